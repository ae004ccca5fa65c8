//! Questions that the parent must not ask itself, since the answer takes connections, libraries and rights: a child asks them, as whom
//! children will be, tells, and ends at once.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{Pool, Server, ffi, guard};

/// What a child of the `User` of the server answers, which nothing survives.
///
/// # Errors
/// Why there is no answer.
pub fn ask(pool: Pool<'_>, server: Server<'_>, patience: Duration, question: impl FnOnce() -> String) -> Result<String, String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let (mut answer, told) = std::io::pipe().map_err(|error| failed("no pipe", &error))?;
    // SAFETY: a plain struct of C.
    let mut process: ffi::apr_proc_t = unsafe { std::mem::zeroed() };
    // SAFETY: the parent has one thread when it reads its configuration.
    match unsafe { ffi::apr_proc_fork(&raw mut process, pool.raw()) } {
        status if status == ffi::APR_INCHILD as ffi::apr_status_t => tell(pool, server, told, question),
        status if status == ffi::APR_INPARENT as ffi::apr_status_t => {}
        status => return Err(failed("no child", &std::io::Error::from_raw_os_error(status))),
    }
    drop(told);
    let heard = listen(&mut answer, patience);
    if let Some(child) = Pid::from_raw(process.pid) {
        let _ = kill_process(child, Signal::KILL); // it has told all it will
        while matches!(waitpid(Some(child), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
    }
    heard
}

/// Never returns, and runs nothing that the parent has prepared for its own end.
fn tell(pool: Pool<'_>, server: Server<'_>, mut to: PipeWriter, question: impl FnOnce() -> String) -> ! {
    guard((), || {
        // SAFETY: what the MPM calls in each child.
        if unsafe { ffi::ap_run_drop_privileges(pool.raw(), server.raw()) } == ffi::OK {
            let _ = to.write_all(question().as_bytes());
        }
    });
    // SAFETY: ends the process without its destructors, which are the parent's.
    unsafe { ffi::_exit(0) }
}

fn listen(from: &mut PipeReader, patience: Duration) -> Result<String, String> {
    let deadline = Instant::now() + patience;
    let mut heard = Vec::new();
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let rest = Timespec { tv_sec: rest.as_secs().cast_signed(), tv_nsec: rest.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&*from, PollFlags::IN)], Some(&rest)) {
            Ok(0) => return Err(format!("no answer within {} s", patience.as_secs())),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.to_string()),
        }
        let mut part = [0; 1024];
        match from.read(&mut part) {
            Ok(0) if heard.is_empty() => return Err("the process that was to look died".into()),
            Ok(0) => return Ok(String::from_utf8_lossy(&heard).into_owned()),
            Ok(length) => heard.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
