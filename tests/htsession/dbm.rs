//! The same commands on a dbm store, which the tool knows by its marker.

use std::sync::mpsc;
use std::time::Duration;

use mod_session_rs::session::Value;
use mod_session_rs::store::directory::{self, Kind};
use mod_session_rs::store::{Change, Durability};
use serde_json::json;

use crate::COMMANDS;
use crate::room::{Answer, Room, SECOND, key, now};
use crate::syncs::Syncs;

#[test]
fn sessions_of_a_dbm_store_are_listed_shown_ended_and_shifted() {
    let room = Room::of(Kind::Dbm);
    let alice = room.put(1, |session| {
        session.record.user = Some("alice".into());
        session.record.values.set("n", Value::Int(-5));
    });
    let (bob, other) = (room.put(2, |session| session.record.user = Some("bob".into())), room.put(3, |_| ()));
    assert_eq!(room.refs().len(), 3);
    let shown = room.run(&["show", &alice, "-f", "json"]).succeeded().json();
    assert_eq!((shown["user"].clone(), shown["values"]["n"].clone()), (json!("alice"), json!({"type": "int", "value": -5})));
    let start = room.stored(1);
    assert_eq!(room.run(&["adjust-time", "3600"]).succeeded().out, "adjusted 3 sessions by 3600 s\n");
    assert_eq!(room.stored(1).expires, start.expires.plus(3600 * SECOND));
    assert_eq!(room.run(&["kill-user", "bob"]).succeeded().out, "killed 1 session\n");
    room.run(&["show", &bob]).failed(&bob);
    assert_eq!(room.run(&["kill", &other]).succeeded().out, "killed 1 session\n");
    assert_eq!(room.refs(), [alice]);
    assert_eq!(room.run(&["locks"]).succeeded().out, "no session is held\n");
    assert!(room.run(&["verify"]).succeeded().out.ends_with("1 records, 0 damaged\n"));
}

#[test]
fn gc_and_verify_of_a_dbm_store_find_what_expired_what_is_damaged_and_what_is_foreign() {
    let room = Room::of(Kind::Dbm);
    let expired = room.put(1, |session| session.expires = now().minus(250 * SECOND));
    let within = room.put(2, |session| session.expires = now().minus(230 * SECOND));
    let damaged = room.put(3, |session| session.expires = now().minus(250 * SECOND));
    room.damage(3);
    std::fs::write(room.dir.join("thesis.txt"), "x").unwrap();
    let text = room.run(&["verify"]);
    assert_eq!(text.code, 1, "{text:?}");
    for part in [&format!("damaged: {damaged}"), "not of the store: ", "thesis.txt", "3 records, 1 damaged"] {
        assert!(text.out.contains(part), "{part} in {}", text.out);
    }
    let list = room.run(&["list"]).succeeded().out;
    assert!(list.contains(&format!("{damaged}  damaged")) && list.contains(&expired), "{list}");
    let done = room.run(&["gc", "-f", "json"]).succeeded().json();
    assert_eq!((done["deleted"].clone(), done["total"].clone(), done["put_aside"].clone()), (json!(1), json!(3), json!(1)));
    assert!(done["foreign"].as_str().unwrap().ends_with("thesis.txt"), "{done}");
    assert_eq!(room.refs(), [within]);
    let found = room.run(&["verify", "-f", "json"]).succeeded().json();
    assert_eq!((found["unindexed"].clone(), found["adrift"].clone()), (json!([]), json!(0)));
    assert!(found["put_aside"][0].as_str().unwrap().starts_with(&format!("{damaged} of 2")), "{found}");

    let torn = room.put(4, |_| ());
    room.damage(4);
    assert_eq!(room.run(&["kill", &torn, "-f", "json"]).succeeded().json(), json!({"killed": 0, "put_aside": 1}));
}

#[test]
fn the_kind_of_store_is_told_by_the_directory_or_by_the_option() {
    let (dbm, file) = (Room::of(Kind::Dbm), Room::new());
    dbm.put(1, |_| ());
    file.put(1, |_| ());
    for (room, right, wrong) in [(&dbm, "dbm", "file"), (&file, "file", "dbm")] {
        assert_eq!(room.run(&["list", "-f", "json", "--store", right]).succeeded().out, room.run(&["list", "-f", "json"]).succeeded().out);
        room.run(&["list", "--store", wrong]).failed("another store");
    }
    let wrong = dbm.run(&["list", "--store", "tape"]);
    assert!(wrong.code == 2 && wrong.err.contains("file, dbm, memory, dbd and redis"), "{wrong:?}");
}

#[test]
fn a_dbm_store_that_its_server_has_not_used_yet_has_nothing_in_it() {
    let room = Room::of(Kind::Dbm);
    let empty = room.place.path().join("empty");
    directory::make(&empty, None).unwrap();
    for command in COMMANDS {
        for answer in [room.run(command), Answer::of(Room::tool().args(["--store", "dbm", "--dir"]).arg(&empty).args(command))] {
            match command[0] {
                "show" | "kill" => answer.failed("no session 0123456789ab"),
                _ => drop(answer.succeeded()),
            }
        }
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "{command:?} put something there");
    }
}

/// What is stopped within a transaction keeps all writers waiting. Who only looks does not wait.
#[test]
fn whoever_writes_for_too_long_is_named_and_who_looks_does_not_wait() {
    let room = Room::of(Kind::Dbm);
    let name = room.put(1, |_| ());
    let store = room.store();
    let (begun, has_begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            store.update(&key(1), Durability::Process, &mut |_| {
                begun.send(()).unwrap();
                let _ = ended.recv_timeout(Duration::from_secs(60));
                Change::Keep
            })
        });
        has_begun.recv().unwrap();
        assert!(room.run(&["list"]).succeeded().out.contains(&name));
        let answer = room.run(&["kill", &name]);
        answer.failed("stayed locked for 5s");
        answer.failed("a process that holds it is stopped");
        drop(end);
    });
    assert_eq!(room.run(&["kill", &name]).succeeded().out, "killed 1 session\n");
}

/// Where the server has SessionSync On, a change that did not wait could take with it what did.
#[test]
fn whatever_the_tool_changes_in_a_dbm_store_waits_for_the_disk() {
    let room = Room::of(Kind::Dbm);
    let syncs = Syncs::counted_in(room.place.path());
    let waits = |command: &[&str]| {
        let before = syncs.number();
        Answer::of(room.command(command).envs(syncs.environment())).succeeded();
        syncs.number() > before
    };
    room.put(1, |session| session.record.user = Some("alice".into()));
    let bob = room.put(2, |_| ());
    assert!(waits(&["adjust-time", "3600"]));
    assert!(waits(&["kill-user", "alice"]));
    assert!(waits(&["kill", &bob]));
    room.put(3, |session| session.expires = now().minus(250 * SECOND));
    assert!(waits(&["gc"]));
    room.put(4, |_| ());
    room.damage(4);
    assert!(waits(&["kill", &key(4).reference().to_string()]), "to put aside is a change too");
    assert!(!waits(&["gc"]) && !waits(&["list"]) && !waits(&["verify"]), "nothing is changed");
}
