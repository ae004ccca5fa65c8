//! As whom the tool works: as the owner of the directory, or not at all.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::room::{self, Answer, Room};

/// uid, gid and supplementary groups of a process.
fn identity(pid: u32) -> Option<[String; 3]> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name| {
        let line = status.lines().find_map(|line: &str| line.strip_prefix(name))?;
        Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    Some([field("Uid:")?, field("Gid:")?, field("Groups:")?])
}

#[test]
fn run_as_root_it_becomes_the_owner_of_the_directory() {
    const UID: u32 = 65_534;
    const GID: u32 = 65_533;
    if !rustix::process::geteuid().is_root() {
        return room::print("skipped: only root can see htsession give root up");
    }
    let room = Room::new();
    let held = room.put(1, |_| ());
    room.give_to(UID, GID);
    // Somebody holds the record, so that there is time to look at who waits for it.
    let holder = std::fs::File::open(room.file(1)).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = room::with_groups("4,27", &room.command(&["kill", &held]));
    let tool = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let expected = [[UID; 4], [GID; 4]].map(|ids| ids.map(|id| id.to_string()).join(" "));
    let deadline = Instant::now() + Duration::from_secs(3);
    let found = loop {
        let found = identity(tool.id()).expect("the tool waits for the lock");
        if found[..2] == expected || Instant::now() > deadline {
            break found;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    drop(holder);
    let done = tool.wait_with_output().unwrap();
    assert_eq!((&found[..2], found[2].as_str()), (&expected[..], ""), "{done:?}");
    assert!(done.status.success() && !room.file(1).exists(), "{done:?}");

    // What only root can read is out of its reach.
    std::fs::write(room.file(1), "x").unwrap();
    std::fs::set_permissions(room.file(1), PermissionsExt::from_mode(0o600)).unwrap();
    let answer = room.run(&["list"]);
    answer.failed("Permission denied");
    answer.failed("look at the owner");
}

#[test]
fn what_belongs_to_somebody_else_is_refused_without_root() {
    if !rustix::process::geteuid().is_root() {
        return room::print("skipped: only root can give a directory away");
    }
    let room = Room::new();
    room.put(1, |_| ());
    room.give_to(65_534, 65_534);
    let answer = Answer::of(&mut room::as_user(12_345, &room, &room.command(&["list"])));
    answer.failed("run htsession as root or as");
}
