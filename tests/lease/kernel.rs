//! What the kernel tells of a process.

/// S sleeps, R runs or would, T is stopped, Z is a zombie.
pub fn state(pid: u32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}
