//! Faults that tests ask for: `MSRS_FAULT_PANIC=open` or `commit` in the environment of the server. Without the feature `faults` there
//! are none.

/// Panics if this point was asked for.
pub fn panic_at(point: &str) {
    let asked = cfg!(feature = "faults") && std::env::var("MSRS_FAULT_PANIC").is_ok_and(|asked| asked == point);
    assert!(!asked, "a test asked for a panic at {point}");
}
