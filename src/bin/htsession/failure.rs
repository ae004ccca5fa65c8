//! What goes wrong, in one line that names the directory and the remedy.

use std::io;
use std::path::Path;

use mod_session_rs::session::Ref;
use mod_session_rs::store;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Written already as an administrator should read it.
    #[error("{0}")]
    Explained(String),
    #[error("no session {0}")]
    Unknown(Ref),
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl Failure {
    pub fn unusable(dir: &Path, why: &str, remedy: &str) -> Failure {
        Failure::Explained(format!("{}: {why}; {remedy}", dir.display()))
    }

    /// Adds the directory and what may be done about it.
    pub fn at(self, dir: &Path) -> Failure {
        let remedy = match &self {
            Failure::Unknown(_) => "see 'htsession list' for those there are",
            Failure::Store(store::Error::Locked(..)) => "a process that holds it is stopped: let it go on or end it",
            Failure::Store(store::Error::Io(_, error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run htsession as root or as the owner of the directory, and look at the owner and mode of that file"
            }
            Failure::Store(store::Error::Io(..)) => "look at the file system and at the kernel's log",
            Failure::Store(store::Error::Newer(_)) => "use the htsession of that version",
            Failure::Store(store::Error::Corrupt(_)) => "htsession gc puts it aside",
            Failure::Store(store::Error::Unusable(_) | store::Error::Failed(_)) | Failure::Explained(_) | Failure::Output(_) => {
                return self;
            }
        };
        Failure::unusable(dir, &self.to_string(), remedy)
    }
}
