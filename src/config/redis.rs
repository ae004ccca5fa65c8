//! `SessionStore redis://…`: what the words say, and what is in the files that they name, which who starts the server reads.

use std::fmt;
use std::path::Path;

use super::secrets;
use crate::httpd::Place;
use crate::store::redis::{Files, Target};

/// A Redis that a section names.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSource {
    pub target: Target,
    files: Result<Files, Broken>,
}

/// A file that cannot be used: sessions there fail.
#[derive(Clone, PartialEq, Eq)]
struct Broken {
    why: String,
    /// Only who starts the server may read it.
    is_private: bool,
}

impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

impl RedisSource {
    /// Reads the words of the directive, and the files that they name, absolute or below ServerRoot.
    ///
    /// # Errors
    /// What is wrong with the words. What is wrong with the files is told later: a running server does not end because of it.
    pub fn parse(words: &[&str], place: Place<'_>) -> Result<RedisSource, String> {
        let mut target = Target::parse(words)?;
        let paths = &mut target.paths;
        for path in [&mut paths.password, &mut paths.ca, &mut paths.cert, &mut paths.key].into_iter().flatten() {
            let full = place.path(path).ok_or_else(|| format!("takes files, absolute or below ServerRoot, not '{path}'"))?;
            *path = full.to_string_lossy().into_owned();
        }
        Ok(RedisSource::new(target))
    }

    fn new(target: Target) -> RedisSource {
        let mut is_private = false;
        let paths = &target.paths;
        let is_secret = |path: &str| [&paths.password, &paths.key].into_iter().any(|of| of.as_deref() == Some(path));
        let read = &mut |path: &str| {
            let read = if is_secret(path) {
                secrets::read(Path::new(path))
            } else {
                std::fs::read(path).map_err(|error| (error.to_string(), error.kind() == std::io::ErrorKind::PermissionDenied))
            };
            read.map_err(|(why, private)| {
                is_private = private;
                format!("{path}: {why}")
            })
        };
        let files = Files::read(paths, read);
        let files = files.map_err(|why| Broken { why: format!("SessionStore {target}: {why}"), is_private });
        RedisSource { target, files }
    }

    /// # Errors
    /// Why there are none, for the log.
    pub fn files(&self) -> Result<&Files, &str> {
        self.files.as_ref().map_err(|broken| broken.why.as_str())
    }

    /// Why its files cannot be used. `unprivileged`: what only root may read is not looked at.
    pub fn trouble(&self, unprivileged: bool) -> Option<&str> {
        let broken = self.files.as_ref().err()?;
        (!(unprivileged && broken.is_private)).then_some(&broken.why)
    }
}
