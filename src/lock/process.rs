//! Who holds, and whether they live.

use std::fs::File;
use std::io::{ErrorKind, Read};

use rustix::io::Errno;
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
        Process { pid, start: if let Look::Found(stat) = look(pid) { stat.start } else { 0 } }
    }

    /// A zombie is dead: its parent may take a second to reap it. So is what was killed and is being taken apart: its connections are
    /// closed before it becomes a zombie, and its clients come back meanwhile. A stopped process lives.
    #[must_use]
    pub fn is_alive(self) -> bool {
        match look(self.pid) {
            Look::Found(stat) => (self.start == 0 || stat.start == self.start) && !stat.is_ending,
            Look::Gone if self.start != 0 => false,
            // Without /proc, or with no descriptor left to look there, a zombie counts as alive until it is reaped.
            Look::Gone | Look::Failed => {
                let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
                pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
            }
        }
    }
}

struct Stat {
    start: u64,
    is_ending: bool,
}

/// What /proc says of a process.
enum Look {
    Found(Stat),
    /// There is no such process, or no /proc.
    Gone,
    /// It could not be asked, which says nothing of the process.
    Failed,
}

fn look(pid: u32) -> Look {
    let mut buffer = [0; 512];
    match File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut buffer)) {
        Ok(length) => parse(&buffer[..length]).map_or(Look::Failed, Look::Found),
        Err(error) if error.kind() == ErrorKind::NotFound || Errno::from_io_error(&error) == Some(Errno::SRCH) => Look::Gone,
        Err(_) => Look::Failed,
    }
}

/// `PF_EXITING` of the kernel.
const EXITING: u64 = 4;

fn parse(text: &[u8]) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let text = std::str::from_utf8(text.rsplit(|&c| c == b')').next()?).ok()?;
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

    fn stat(pid: u32) -> Stat {
        match look(pid) {
            Look::Found(stat) => stat,
            Look::Gone | Look::Failed => panic!("no {pid}"),
        }
    }

    #[test]
    fn zombies_and_successors_are_dead_and_stopped_processes_live() {
        let me = Process::current();
        assert!(me.start > 0 && me.is_alive());
        assert!(!Process { start: me.start + 1, ..me }.is_alive(), "a later process with this number");
        assert!(Process { start: 0, ..me }.is_alive());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let it = Process { pid: child.id(), start: stat(child.id()).start };
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        assert!(it.is_alive());
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        while !stat(it.pid).is_ending {
            std::thread::yield_now();
        }
        assert!(!it.is_alive(), "a zombie");
        child.wait().unwrap();
        assert!(!it.is_alive() && !Process { start: 0, ..it }.is_alive());
    }
}
