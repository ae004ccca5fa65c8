//! Processes that are forked, as httpd's children are, and killed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::ground::Board;

pub struct Child {
    pid: Pid,
    reaped: bool,
}

/// What a child ends with that panicked.
const PANICKED: i32 = 101;

impl Child {
    /// The child does its work and ends: it never comes back to the test. Its panic is a complaint.
    pub fn fork(board: &Board, work: impl FnOnce()) -> Child {
        // SAFETY: only this thread goes on in the child; glibc's allocator is usable there, and nothing else is that other threads hold.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "a fork: {}", std::io::Error::last_os_error());
        if let Some(pid) = Pid::from_raw(pid) {
            return Child { pid, reaped: false };
        }
        // A test that failed leaves no processes behind.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let ended = catch_unwind(AssertUnwindSafe(work));
        if let Err(panic) = &ended {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            board.complain(&format!("a child panicked: {}", text.unwrap_or("?")));
        }
        // SAFETY: ends the process, without what the test's own process does at its end.
        unsafe { libc::_exit(if ended.is_err() { PANICKED } else { 0 }) }
    }

    pub fn number(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a signal to a child that is not reaped");
    }

    /// From now on others may have what it has.
    pub fn kill(&self, board: &Board, life: usize) {
        board.doomed[life].store(1, Ordering::SeqCst);
        self.signal(Signal::KILL);
    }

    /// Waits until it has stopped for whom traces it.
    pub fn until_stopped(&self) {
        let mut status = 0;
        // SAFETY: a status to write to.
        let pid = unsafe { libc::waitpid(self.pid.as_raw_nonzero().get(), &raw mut status, libc::WUNTRACED) };
        assert!(pid > 0 && libc::WIFSTOPPED(status), "stopped: {status:#x}");
    }

    /// One instruction of a child that is traced. `false`: it is not.
    pub fn step(&self) -> bool {
        // SAFETY: no pointers that anybody follows.
        let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid.as_raw_nonzero().get(), 0, 0) } == 0;
        if stepped {
            self.until_stopped();
        }
        stepped
    }

    /// It is a zombie until then.
    pub fn reap(mut self) {
        self.reaped = waitpid(Some(self.pid), WaitOptions::empty()).is_ok();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}
