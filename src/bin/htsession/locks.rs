//! Who holds the sessions of this place now: the tables of leases of the servers that run as its owner. Of a store that cannot be read
//! from here: all that the servers of this machine hold.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use mod_session_rs::lock::survey::{InUse, in_use};
use mod_session_rs::lock::{Memory, shm};
use mod_session_rs::store::directory::Kind;
use mod_session_rs::store::file;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, plain, table};
use crate::place::Place;

#[derive(Serialize)]
struct Held {
    r#ref: String,
    pid: u32,
    seconds: f64,
    waiting: usize,
    /// Method and path.
    request: String,
}

#[derive(Serialize)]
struct Locks {
    held: Vec<Held>,
}

/// `server`: of this one only, by the pid of its parent process.
pub fn locks(place: Option<&Place>, server: Option<u32>, output: &mut Output) -> Result<ExitCode, Failure> {
    let servers = shm::servers().filter(|pid| server.is_none_or(|server| server == *pid));
    let mut leases: Vec<_> = servers.flat_map(leases).collect();
    if let Some(place) = place {
        let stored = stored(place, &leases.iter().map(|lease| lease.hash).collect())?;
        leases.retain(|lease| stored.contains(&lease.hash));
    }
    let mut held: Vec<_> = leases.into_iter().map(show).collect();
    held.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let locks = Locks { held };
    output.either(&locks, || {
        let head = ["REF", "PID", "HELD", "WAITING", "REQUEST"].map(str::to_owned).to_vec();
        let row = |held: &Held| {
            vec![held.r#ref.clone(), held.pid.to_string(), format!("{:.1}s", held.seconds), held.waiting.to_string(), plain(&held.request)]
        };
        if locks.held.is_empty() {
            return vec!["no session is held".to_owned()];
        }
        table(&std::iter::once(head).chain(locks.held.iter().map(row)).collect::<Vec<_>>())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the table of a server holds. One that is not ours to read, is of another version or just went away holds nothing.
fn leases(server: u32) -> Vec<InUse> {
    let bytes = read(server).unwrap_or_default();
    let Some((words, futexes)) = Memory::of_copy(&bytes) else { return Vec::new() };
    Memory::attach(&words, &futexes).map(in_use).unwrap_or_default()
}

/// More than any table has.
const LARGEST: u64 = 1 << 30;

/// Anybody may put anything there, a pipe or a link too.
fn read(server: u32) -> Option<Vec<u8>> {
    let path = Path::new(shm::DIRECTORY).join(shm::name(server).trim_start_matches('/'));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let is_trusted = geteuid().is_root() || found.uid() == geteuid().as_raw();
    if !found.is_file() || !is_trusted || found.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(found.len()).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Those of these hashes that are of sessions here: leases go by the first eight bytes of a key.
fn stored(place: &Place, hashes: &HashSet<u64>) -> Result<HashSet<u64>, Failure> {
    let mut stored = HashSet::new();
    match &place.directory {
        Some((dir, Kind::File)) => stored.extend(hashes.iter().filter(|hash| is_file(dir, **hash))),
        _ if hashes.is_empty() => {}
        _ => place.store.each(&mut |key, _| {
            let hash = key.0.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            stored.extend(hash.filter(|hash| hashes.contains(hash)));
            stored.len() < hashes.len()
        })?,
    }
    Ok(stored)
}

/// Files go by the whole key.
fn is_file(dir: &Path, hash: u64) -> bool {
    let [first, ..] = hash.to_be_bytes();
    let begins = format!("{hash:016x}");
    let mut entries = fs::read_dir(file::sub(dir, first)).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
}

fn show(lease: InUse) -> Held {
    let reference = &format!("{:016x}", lease.hash)[..12];
    Held {
        r#ref: reference.to_owned(),
        pid: lease.holder.pid,
        seconds: lease.holder.age.as_secs_f64(),
        waiting: lease.waiting,
        request: lease.holder.label,
    }
}
