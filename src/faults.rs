//! Faults that tests ask for by the environment: `MSRS_FAULT_PANIC=open`, `commit` or `commit-held`, `MSRS_FAULT_KILL=regenerate`,
//! `MSRS_FAULT_LEASES=1`, `MSRS_FAULT_NO_CHECKSUM=1`. Without the feature `faults` there are none.

/// What was asked for under a name.
fn asked(name: &str) -> Option<String> {
    if cfg!(feature = "faults") { std::env::var(name).ok() } else { None }
}

/// Panics if this point was asked for.
#[cfg(feature = "module")]
pub fn panic_at(point: &str) {
    assert!(asked("MSRS_FAULT_PANIC").as_deref() != Some(point), "a test asked for a panic at {point}");
}

/// Ends the process as SIGKILL does if this point was asked for.
pub fn die_at(point: &str) {
    if asked("MSRS_FAULT_KILL").as_deref() == Some(point) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// How small the table of leases is to be, if this was asked for.
#[cfg(feature = "module")]
pub fn few_leases() -> Option<usize> {
    asked("MSRS_FAULT_LEASES")?.parse().ok()
}

/// The control run of the crash test switches the check of what is read off, and must then fail.
pub fn checksum_is_off() -> bool {
    asked("MSRS_FAULT_NO_CHECKSUM").is_some()
}
