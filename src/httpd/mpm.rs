//! What the multi-processing module says of itself.

use std::ffi::c_int;

use super::ffi;

fn query(what: i64) -> usize {
    let mut answer: c_int = 0;
    // SAFETY: the answer lives through the call.
    let status = unsafe { ffi::ap_mpm_query(what as c_int, &raw mut answer) };
    if status == 0 { usize::try_from(answer).unwrap_or(0) } else { 0 }
}

/// Whether a child serves with more than one thread.
pub fn is_threaded() -> bool {
    query(ffi::AP_MPMQ_IS_THREADED as i64) != 0
}

/// How many requests are served at once (`MaxRequestWorkers`).
pub fn workers() -> usize {
    query(ffi::AP_MPMQ_MAX_DAEMONS as i64).max(1) * query(ffi::AP_MPMQ_MAX_THREADS as i64).max(1)
}

/// How many children there are at most, those of an earlier generation among them (`ServerLimit`).
pub fn most_processes() -> usize {
    query(ffi::AP_MPMQ_HARD_LIMIT_DAEMONS as i64).max(1)
}

/// How many threads all of them have at most.
pub fn most_threads() -> usize {
    most_processes() * query(ffi::AP_MPMQ_HARD_LIMIT_THREADS as i64).max(1)
}

/// 0 at the first start; each restart adds one.
pub fn generation() -> usize {
    query(ffi::AP_MPMQ_GENERATION as i64)
}
