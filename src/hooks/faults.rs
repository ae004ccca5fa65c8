//! Faults that tests ask for by the environment of the server: `MSRS_FAULT_PANIC=open`, `commit` or `commit-held`, `MSRS_FAULT_LEASES=1`. Without the
//! feature `faults` there are none.

/// Panics if this point was asked for.
pub fn panic_at(point: &str) {
    let asked = cfg!(feature = "faults") && std::env::var("MSRS_FAULT_PANIC").is_ok_and(|asked| asked == point);
    assert!(!asked, "a test asked for a panic at {point}");
}

/// How small the table of leases is to be, if this was asked for.
pub fn few_leases() -> Option<usize> {
    if cfg!(feature = "faults") { std::env::var("MSRS_FAULT_LEASES").ok()?.parse().ok() } else { None }
}
