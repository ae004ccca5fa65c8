//! Session files that stay open for the next request of their session: to open and close one costs as much as all else that the system
//! does for a request.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use rustix::fs::{AtFlags, CWD, OFlags, Statx, StatxFlags, statx};
use rustix::io::Errno;

use crate::here::{Here, forks};
use crate::session::Key;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Device and number: a file that is open keeps both from others.
type Inode = (u32, u32, u64);

fn inode(found: Statx) -> Inode {
    (found.stx_dev_major, found.stx_dev_minor, found.stx_ino)
}

pub struct OpenFile {
    pub file: File,
    pub key: Key,
    access: Access,
    of: Here,
    forks: Option<u32>,
    /// Asked for when it is first taken again.
    inode: OnceLock<Option<Inode>>,
}

/// Of every session file that is opened.
pub fn flags() -> i32 {
    // NONBLOCK: a FIFO in the place of a record must not block a worker.
    (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits().cast_signed()
}

impl OpenFile {
    pub fn open(path: &Path, key: Key, access: Access) -> std::io::Result<OpenFile> {
        let open = |more: OFlags| {
            let flags = flags() | more.bits().cast_signed();
            OpenOptions::new().read(true).write(access == Access::Write).custom_flags(flags).open(path)
        };
        let forks = forks();
        // That somebody looked is nothing to write to the disk. Only the owner may leave it out.
        let file = match open(OFlags::NOATIME) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => open(OFlags::empty()),
            other => other,
        };
        Ok(OpenFile { file: file?, key, access, of: Here::mark(), forks, inode: OnceLock::new() })
    }

    /// No process has it open that was forked, or did fork. The two would not keep each other off, and if one dies while it has the lock, the
    /// other would have it.
    pub fn is_of_no_other(&self) -> bool {
        self.of.is_here() && self.forks.is_some() && self.forks == forks()
    }

    /// Whether a path leads to it.
    fn is_under(&self, path: &Path) -> bool {
        let mine = self.inode.get_or_init(|| statx(&self.file, c"", AtFlags::EMPTY_PATH, StatxFlags::INO).ok().map(inode));
        mine.is_some() && statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO).ok().map(inode) == *mine
    }
}

/// As good as the spread of keys, which are hashes.
const SETS: usize = 16;
const WAYS: usize = 4;
type Set = [Option<Arc<OpenFile>>; WAYS];

/// A few files that were used last, each by one request at a time. Nobody waits for it: a thread of a process that forked may have a lock
/// for ever in the child.
pub struct OpenFiles {
    sets: [Mutex<Set>; SETS],
}

/// Those of all directories, for descriptors are counted by process.
pub static OF_THIS_PROCESS: OpenFiles = OpenFiles::new();

impl OpenFiles {
    pub const fn new() -> OpenFiles {
        OpenFiles { sets: [const { Mutex::new([const { None }; WAYS]) }; SETS] }
    }

    fn set(&self, key: &Key) -> Option<MutexGuard<'_, Set>> {
        self.sets[usize::from(key.0[0]) % SETS].try_lock().ok()
    }

    /// One that opening the path would come to as well, and that nobody uses.
    pub fn take(&self, path: &Path, key: &Key, access: Access) -> Option<Arc<OpenFile>> {
        let file = {
            let mut set = self.set(key)?;
            let kept = set.iter_mut().find(|kept| kept.as_ref().is_some_and(|kept| kept.key == *key))?;
            Arc::get_mut(kept.as_mut()?)?;
            kept.take()?
        };
        let serves = access == Access::Read || file.access == Access::Write;
        (serves && file.is_of_no_other() && file.is_under(path)).then_some(file)
    }

    /// Keeps a file that was read well, for the next request, which has it when the last other copy of this is gone. It comes in the place of
    /// another one of its session or of that which was used longest ago.
    pub fn keep(&self, file: Arc<OpenFile>) {
        let Some(mut set) = self.set(&file.key) else { return };
        let same = set.iter().position(|kept| kept.as_ref().is_some_and(|kept| kept.key == file.key));
        let at = same.or_else(|| set.iter().position(Option::is_none)).unwrap_or(WAYS - 1);
        set[..=at].rotate_right(1);
        let before = set[0].replace(file);
        drop(set);
        drop(before); // which may close it
    }
}
