//! Who holds a session and who waits for it, as `htsession locks` tells; and, where the sessions are in no directory, as the table of leases does.

use std::fs;
use std::path::Path;
use std::process::Command;

use mod_session_rs::lock::survey::in_use;
use mod_session_rs::lock::{Memory, shm};

use super::Httpd;

/// Lines of `REF PID HELD WAITING REQUEST`.
pub fn locks(httpd: &Httpd) -> Vec<Vec<String>> {
    if !httpd.dir().exists() {
        return in_table(httpd);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_htsession")).arg("--dir").arg(httpd.dir()).arg("locks").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines()
        .filter(|line| !line.starts_with("REF") && !line.starts_with("no "))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// The same, read from the shared memory of the server.
fn in_table(httpd: &Httpd) -> Vec<Vec<String>> {
    let path = Path::new(shm::DIRECTORY).join(shm::name(httpd.pid()).trim_start_matches('/'));
    let bytes = fs::read(path).unwrap();
    let (words, futexes) = Memory::of_copy(&bytes).unwrap();
    let mut held = in_use(Memory::attach(&words, &futexes).unwrap());
    held.sort_by_key(|lease| std::cmp::Reverse(lease.holder.age));
    let line = |lease: mod_session_rs::lock::survey::InUse| {
        let holder = lease.holder;
        let reference = format!("{:016x}", lease.hash)[..12].to_owned();
        let held = format!("{:.1}s", holder.age.as_secs_f64());
        let request = holder.label.split_whitespace().map(str::to_owned).collect();
        [vec![reference, holder.pid.to_string(), held, lease.waiting.to_string()], request].concat()
    };
    held.into_iter().map(line).collect()
}

/// How many requests wait for sessions.
pub fn waiting(httpd: &Httpd) -> usize {
    locks(httpd).iter().map(|line| line[3].parse::<usize>().unwrap()).sum()
}

/// The process of a request that holds a session.
pub fn holder(httpd: &Httpd) -> Option<u32> {
    locks(httpd).first().map(|line| line[1].parse().unwrap())
}
