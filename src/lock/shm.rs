//! The name of the shared memory, by which `htsession` finds the tables of running servers.

use rustix::shm;

use super::Process;

const PREFIX: &str = "mod_session_rs.";
/// Where Linux shows shared memory objects.
pub const DIRECTORY: &str = "/dev/shm";

/// The object of the server with this parent.
#[must_use]
pub fn name(parent: u32) -> String {
    format!("/{PREFIX}{parent}")
}

/// The parents that objects are named after.
pub fn servers() -> impl Iterator<Item = u32> {
    let names = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok())
}

pub fn remove(parent: u32) {
    let _ = shm::unlink(name(parent));
}

/// Removes what servers left that were killed. What belongs to others stays, for want of permission.
pub fn remove_stale() {
    for parent in servers() {
        if !(Process { pid: parent, start: 0 }).is_alive() {
            remove(parent);
        }
    }
}
