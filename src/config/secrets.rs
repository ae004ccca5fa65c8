//! Where the keys of signed cookies come from. Their values are shown to nobody, not in an error either.

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Uid, geteuid};

use crate::session::Secrets;

/// What `SessionSecret` or `SessionSecretFile` said.
pub enum SecretSource {
    Keys(Secrets),
    /// A file that cannot be used. Without keys nothing is trusted: sessions of that section fail.
    Broken {
        why: String,
        /// Only who starts the server may read it.
        is_private: bool,
    },
}

impl SecretSource {
    /// Reads a file of keys, as whoever starts the server.
    pub fn of_file(path: PathBuf) -> SecretSource {
        let broken = |why: &dyn Display, is_private| SecretSource::Broken {
            why: format!("SessionSecretFile {}: {why}", path.display()),
            is_private,
        };
        match read(&path) {
            Ok(text) => match Secrets::parse(&text) {
                Ok(keys) => SecretSource::Keys(keys),
                Err(error) => broken(&error, false),
            },
            Err((why, is_private)) => broken(&why, is_private),
        }
    }

    /// # Errors
    /// Why there are none, for the log.
    pub fn keys(&self) -> Result<&Secrets, &str> {
        match self {
            SecretSource::Keys(keys) => Ok(keys),
            SecretSource::Broken { why, .. } => Err(why),
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, (String, bool)> {
    let failed = |error: std::io::Error| (format!("{error}"), error.kind() == std::io::ErrorKind::PermissionDenied);
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(("not a file".into(), false));
    }
    let owner = Uid::from_raw(metadata.uid());
    if !owner.is_root() && owner != geteuid() {
        return Err((format!("it belongs to user {}, who could change the keys: chown root, chmod 600", metadata.uid()), false));
    }
    if metadata.mode() & 0o027 != 0 {
        return Err((format!("others may read or change it (mode {:o}): chmod 600, and owned by root", metadata.mode() & 0o777), false));
    }
    fs::read(path).map_err(failed)
}
