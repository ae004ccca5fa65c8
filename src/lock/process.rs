//! Who holds, and whether they live.

use std::fs::File;
use std::io::Read;

use rustix::process::{Pid, test_kill_process};

/// A process, told from a later one with the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since the boot; 0: unknown, for there is no /proc.
    pub start: u64,
}

impl Process {
    #[must_use]
    pub fn current() -> Process {
        let pid = std::process::id();
        Process { pid, start: stat(pid).map_or(0, |found| found.start) }
    }

    /// A zombie is dead: its parent may take a second to reap it. So is what was killed and is being taken apart: its connections are
    /// closed before it becomes a zombie, and its clients come back meanwhile. A stopped process lives.
    #[must_use]
    pub fn is_alive(self) -> bool {
        if self.start == 0 {
            // Without /proc a zombie counts as alive until it is reaped.
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            return pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
        }
        stat(self.pid).is_some_and(|found| found.start == self.start && !found.is_ending)
    }
}

struct Stat {
    start: u64,
    is_ending: bool,
}

/// `PF_EXITING` of the kernel.
const EXITING: u64 = 4;

/// What /proc says of a process; `None`: there is none, or no /proc.
fn stat(pid: u32) -> Option<Stat> {
    let mut buffer = [0; 512];
    let length = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut buffer)).ok()?;
    // The name, in parentheses, may hold anything.
    let text = std::str::from_utf8(buffer[..length].rsplit(|&c| c == b')').next()?).ok()?;
    let mut fields = text.split_ascii_whitespace(); // from the third on
    let state = fields.next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let start = fields.nth(12)?.parse().ok()?;
    Some(Stat { start, is_ending: matches!(state, "Z" | "X") || flags & EXITING != 0 })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Signal, kill_process};

    use super::*;

    #[test]
    fn zombies_and_successors_are_dead_and_stopped_processes_live() {
        let me = Process::current();
        assert!(me.start > 0 && me.is_alive());
        assert!(!Process { start: me.start + 1, ..me }.is_alive(), "a later process with this number");
        assert!(Process { start: 0, ..me }.is_alive());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let it = Process { pid: child.id(), start: stat(child.id()).unwrap().start };
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        assert!(it.is_alive());
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        while !stat(it.pid).unwrap().is_ending {
            std::thread::yield_now();
        }
        assert!(!it.is_alive(), "a zombie");
        assert!(Process { start: 0, ..it }.is_alive(), "which nobody knows without /proc");
        child.wait().unwrap();
        assert!(!it.is_alive() && !Process { start: 0, ..it }.is_alive());
    }
}
