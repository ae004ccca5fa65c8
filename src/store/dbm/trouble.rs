//! What goes wrong with LMDB, and how an administrator reads it.

use std::path::Path;

use heed::MdbError;

use super::Error;
use super::files::{DATA, LOCK};
use crate::lmdb;

/// What stops a transaction.
pub enum Trouble {
    Lmdb(heed::Error),
    Ours(Error),
    /// Others have taken the place of the files.
    Replaced,
}

impl From<heed::Error> for Trouble {
    fn from(error: heed::Error) -> Trouble {
        Trouble::Lmdb(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Ours(error)
    }
}

/// An error of LMDB as an administrator should read it.
pub fn failed(dir: &Path, error: heed::Error) -> Error {
    let what = match error {
        heed::Error::Io(error) => return Error::Io(dir.join(DATA), error),
        heed::Error::Mdb(MdbError::MapFull) => {
            format!(
                "the dbm store is full, at {} GiB; end sessions with htsession, or give some sections another SessionDir",
                lmdb::MAP >> 30
            )
        }
        heed::Error::Mdb(MdbError::ReadersFull) => {
            "all places for readers are taken; stop and start httpd, so that it makes more".to_owned()
        }
        heed::Error::Mdb(MdbError::VersionMismatch) => format!(
            "{DATA} or {LOCK} is of another version of LMDB; stop httpd, and start it when the last child has ended; if that does not help, \
             move the directory away, sessions begin anew"
        ),
        heed::Error::Mdb(error @ (MdbError::Invalid | MdbError::Corrupted | MdbError::PageNotFound | MdbError::BadTxn)) => {
            format!("{DATA} is damaged ({error}); stop httpd and move the directory away, sessions begin anew")
        }
        error => format!("LMDB failed: {error}"),
    };
    Error::Failed(format!("SessionDir {}: {what}", dir.display()))
}
