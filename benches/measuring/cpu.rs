//! Time of the processor that other processes took.

/// User and system time. The clock of a process says what /proc/PID/stat says, and not in hundredths of a second.
pub fn cpu_seconds(pids: impl IntoIterator<Item = u32>) -> f64 {
    pids.into_iter().filter_map(cpu_of).sum()
}

fn cpu_of(pid: u32) -> Option<f64> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both write what they are given a reference to, and nothing else.
    let read = unsafe { libc::clock_getcpuclockid(pid.try_into().ok()?, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0 };
    read.then_some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}
