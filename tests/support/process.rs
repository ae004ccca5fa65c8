//! What /proc tells of a process.

use std::{collections::HashSet, fs, path::PathBuf};

/// None for what is gone or only waits to be reaped. The name in `pid (name) state parent ...` may hold anything.
pub fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?);
    (state != "Z").then_some(parent.parse().ok()?)
}

/// Whether all of its threads are gone. Until then one of a process that was killed may take a connection, and die with it.
pub fn has_ended(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    parent_of(pid).is_none() && threads <= 1
}

/// What its descriptors lead to; nothing for a process that is gone.
pub fn open_files(pid: u32) -> impl Iterator<Item = PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
}

/// Whether it may take the next connection: it listens, and does not serve one alone.
pub fn may_accept(pid: u32, serves_one_alone: bool) -> bool {
    let inode = |file: PathBuf| Some(file.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let sockets: HashSet<_> = open_files(pid).filter_map(inode).collect();
    let has_one = |states: &[&str]| sockets_in(states).iter().any(|socket| sockets.contains(socket));
    has_one(&[LISTEN]) && !(serves_one_alone && has_one(&[ESTABLISHED, CLOSE_WAIT]))
}

const ESTABLISHED: &str = "01";
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";

/// The inodes of the sockets of the machine in these states.
fn sockets_in(states: &[&str]) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let of_line = |line: &str| {
        let mut fields = line.split_whitespace().skip(3);
        let is_wanted = states.contains(&fields.next()?);
        fields.nth(5).filter(|_| is_wanted).map(str::to_owned)
    };
    lines.filter_map(of_line).collect()
}
