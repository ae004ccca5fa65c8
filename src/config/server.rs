//! What holds for the whole server: the directives that stand outside of all virtual hosts and sections.

use std::time::Duration;

/// `None`: not said.
#[derive(Debug, Default, Clone, Copy)]
pub struct ServerConfig {
    pub mutexes: Option<u32>,
    pub lock_timeout: Option<Duration>,
    pub lock_waiters: Option<u32>,
    pub cleanup_interval: Option<Duration>,
    pub cleanup_frequency: Option<u32>,
}

impl ServerConfig {
    /// `SessionMutexes`.
    pub fn mutexes(&self) -> u32 {
        self.mutexes.unwrap_or(32)
    }

    /// `SessionLockTimeout`.
    pub fn lock_timeout(&self) -> Duration {
        self.lock_timeout.unwrap_or(Duration::from_secs(30))
    }

    /// `SessionLockWaiters`.
    pub fn lock_waiters(&self) -> u32 {
        self.lock_waiters.unwrap_or(8)
    }

    /// `SessionCleanupInterval`; `None`: no passes at intervals.
    pub fn cleanup_interval(&self) -> Option<Duration> {
        Some(self.cleanup_interval.unwrap_or(Duration::from_secs(60))).filter(|interval| !interval.is_zero())
    }

    /// `SessionCleanupFrequency`; `None`: no opens start a pass.
    pub fn cleanup_frequency(&self) -> Option<u32> {
        self.cleanup_frequency.filter(|&opens| opens > 0)
    }
}
