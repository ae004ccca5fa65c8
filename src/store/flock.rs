//! Locks of files.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, Result};

/// Asks for a lock again and again; `false`: others had it for all of `patience`. flock(2) itself knows no limit, and a stopped process must not stop
/// all others. `operation` is one that does not block.
pub fn wait_for(file: &File, operation: FlockOperation, patience: Duration) -> Result<bool> {
    let mut since = None;
    for round in 0u32.. {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => continue,
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno),
        }
        if since.get_or_insert_with(Instant::now).elapsed() >= patience {
            break;
        }
        match round {
            0..4 => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(20 << (round / 8).min(6))),
        }
    }
    Ok(false)
}
