//! The Redis store of a child: who it is to others that share the Redis.

use rustix::system::uname;
use sha2::{Digest, Sha256};

use super::locks::locks;
use crate::config::RedisSource;
use crate::httpd::thread;
use crate::store::redis::{Host, RedisStore};

pub fn open(source: &RedisSource) -> RedisStore {
    let files = source.files().cloned().map_err(str::to_owned);
    RedisStore::new(source.target.clone(), files, host())
}

fn host() -> Host {
    let system = uname();
    let node = system.nodename().to_string_lossy();
    // Without leases of this server nobody competes for those of all.
    let spawn: Option<crate::store::redis::Spawn> = locks().map(|_| thread::spawn_without_signals as _);
    Host { instance: instance(&node), name: format!("{node} pid {}", std::process::id()), spawn, ..Host::default() }
}

/// The same in all children of this server, and in no other server anywhere: they share the leases of this parent, which is told from others by
/// when it started, in which container, since which boot of which machine.
fn instance(node: &str) -> String {
    let mut hash = Sha256::new();
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = std::fs::read_link("/proc/self/ns/pid").map(|link| link.into_os_string().into_encoded_bytes()).unwrap_or_default();
    let parent = locks().map(|locks| locks.leases.memory().server());
    let (pid, start) = parent.map_or((std::process::id(), 0), |parent| (parent.pid, parent.start));
    for part in [node.as_bytes(), &boot, &container, &pid.to_le_bytes(), &start.to_le_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}
