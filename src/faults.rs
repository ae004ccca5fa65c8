//! Faults that tests ask for by the environment: `MSRS_FAULT_PANIC=open`, `commit` or `commit-held`, `MSRS_FAULT_KILL=regenerate`,
//! `MSRS_FAULT_LEASES=1`, `MSRS_FAULT_NO_CHECKSUM=1`, `MSRS_FAULT_DEATHS=500`. Without the feature `faults` there are none.

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

/// Between two writes to memory that others share. One process in so many that pass here ends as SIGKILL does, if that was asked for.
#[inline]
pub fn may_die() {
    #[cfg(test)]
    window::pass();
    #[cfg(feature = "faults")]
    {
        static ONE_IN: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();
        static PASSED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let one_in = ONE_IN.get_or_init(|| asked("MSRS_FAULT_DEATHS")?.parse().ok());
        if let Some(one_in) = one_in {
            // A process that died is followed by one with another number, and that dies elsewhere.
            let passed = PASSED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let dice = (u64::from(std::process::id()) << 32 | passed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if (dice ^ dice >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16 & 0xffff_ffff < (1 << 32) / one_in {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
        }
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

/// In a test within this process, a death is a panic that nobody cleans up after.
#[cfg(test)]
pub mod window {
    use std::cell::Cell;

    thread_local! {
        static PASSES_LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// The thread dies at the point after so many.
    pub fn die_after(passes: u64) {
        PASSES_LEFT.set(Some(passes));
    }

    /// Whether it was to die and did not come to that.
    pub fn survived() -> bool {
        PASSES_LEFT.take().is_some()
    }

    pub fn pass() {
        match PASSES_LEFT.get() {
            Some(0) => {
                PASSES_LEFT.set(None);
                panic!("a test asked for a death here");
            }
            Some(left) => PASSES_LEFT.set(Some(left - 1)),
            None => {}
        }
    }
}
