//! A session directory on a file system of its own that is soon full.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::Setup;

/// Mounted until it is dropped. Keep it longer than the server, which has files open there.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes the session directory. `size` as mount takes it: `64k`. Where mounting is refused, that is told and the answer is `None`.
    pub fn mount(setup: &Setup, size: &str) -> Option<SmallDisk> {
        let dir = setup.dir();
        fs::create_dir(&dir).expect("a directory to mount on");
        let owner = Command::new("id").args(["-u", "www-data"]).output().expect("id");
        let options = format!("size={size},mode=0700,uid={}", String::from_utf8_lossy(&owner.stdout).trim());
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&dir).output().expect("mount");
        if !mounted.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return None;
        }
        Some(SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        // The server could not remove its directory with something mounted in it.
        let _ = fs::remove_dir_all(self.0.parent().expect("the directory of the server"));
    }
}
