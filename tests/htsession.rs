//! The tool on stores that the library made, run as an administrator runs it.
#![cfg(feature = "tool")]

#[path = "htsession/dbm.rs"]
mod dbm;
#[path = "htsession/owner.rs"]
mod owner;
#[path = "htsession/redis.rs"]
mod redis;
#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod redis_server;
#[path = "htsession/room.rs"]
mod room;
#[path = "support/syncs.rs"]
mod syncs;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mod_session_rs::session::{Timestamp, Value};
use mod_session_rs::store::{Change, Durability, Outcome};
use room::{Answer, Room, SECOND, now};
use serde_json::json;

/// Every command, with arguments that fit.
const COMMANDS: [&[&str]; 8] = [
    &["locks"],
    &["list"],
    &["show", "0123456789ab"],
    &["kill", "0123456789ab"],
    &["kill-user", "alice"],
    &["gc"],
    &["verify"],
    &["adjust-time", "-5"],
];

#[test]
fn list_shows_the_last_used_first_and_marks_the_expired() {
    let room = Room::new();
    let old = room.put(1, |session| {
        session.record.accessed = now().minus(90 * SECOND);
        session.expires = now().minus(5 * SECOND);
    });
    let new = room.put(2, |session| session.record.user = Some("alice\u{1b}[31m".into()));
    let text = room.run(&["list"]).succeeded().out;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("REF"), "{text}");
    assert!(lines[1].starts_with(&new) && lines[1].ends_with("alice\\u001b[31m"), "{text}");
    assert!(lines[2].starts_with(&old) && lines[2].contains("expired"), "{text}");

    let list = room.run(&["list", "-f", "json"]).succeeded().json();
    assert_eq!((list["damaged"].clone(), list["newer"].clone()), (json!([]), json!([])));
    let (first, second) = (&list["sessions"][0], &list["sessions"][1]);
    assert_eq!((first["ref"].clone(), first["user"].clone(), first["keys"].clone()), (json!(new), json!("alice\u{1b}[31m"), json!(1)));
    assert_eq!((first["expired"].clone(), first["timeout"].clone()), (json!(false), json!(1800)));
    assert!(first["created"].as_str().unwrap().ends_with('Z'));
    assert!((1790..=1800).contains(&first["expires_in"].as_i64().unwrap()), "{first}");
    assert_eq!((second["expired"].clone(), second["user"].clone()), (json!(true), json!(null)));
    assert!((90..120).contains(&second["idle"].as_i64().unwrap()), "{second}");
    assert!(second["expires_in"].as_i64().unwrap() < 0, "{second}");
}

#[test]
fn show_tells_all_values_with_their_types() {
    let room = Room::new();
    let name = room.put(1, |session| {
        let values = &mut session.record.values;
        values.set("n", Value::Int(-5));
        values.set("half", Value::Float(0.5));
        values.set("raw", Value::Bytes(vec![0, 255]));
        values.set("wild", Value::Text("a\nb\u{1b}]0;x\u{9b}\u{202e}".into()));
        values.set("cart", Value::List(vec![Value::Int(1), Value::Map(vec![("k".into(), Value::Null)])]));
    });
    let text = room.run(&["show", &name.to_uppercase()]).succeeded().out;
    assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'), "{text:?}");
    for line in ["  n     int    -5", "  half  float  0.5", r#"  raw   bytes  {"base64":"AP8="}"#, r#"  cart  list   [1,{"k":null}]"#] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} in {text}");
    }
    let shown = room.run(&["-f", "json", "show", &name]).succeeded().json();
    assert_eq!(shown["ref"], json!(name));
    assert_eq!(shown["values"]["n"], json!({"type": "int", "value": -5}));
    assert_eq!(shown["values"]["raw"], json!({"type": "bytes", "value": {"base64": "AP8="}}));
    assert_eq!(shown["values"]["wild"], json!({"type": "text", "value": "a\nb\u{1b}]0;x\u{9b}\u{202e}"}));
    assert_eq!(shown["values"].as_object().unwrap().len(), 6);
    let answer = room.run(&["show", "0123456789ab"]);
    answer.failed("0123456789ab");
    answer.failed("htsession list");
}

#[test]
fn kill_ends_one_session_and_no_other() {
    let room = Room::new();
    let (one, other) = (room.put(1, |_| ()), room.put(2, |_| ()));
    assert_eq!(room.run(&["kill", &one]).succeeded().out, "killed 1 session\n");
    assert_eq!(room.refs(), [other]);
    room.run(&["kill", &one]).failed(&one);
}

#[test]
fn kill_user_ends_all_sessions_of_that_user() {
    let room = Room::new();
    let user = |name: &'static str| move |session: &mut room::Stored| session.record.user = Some(name.into());
    room.put(1, user("alice"));
    room.put(2, user("alice"));
    let others = [room.put(3, user("Alice")), room.put(4, |_| ())];
    assert_eq!(room.run(&["kill-user", "alice", "-f", "json"]).succeeded().json(), json!({"killed": 2, "put_aside": 0}));
    let left = room.refs();
    assert!(left.len() == 2 && others.iter().all(|name| left.contains(name)));
    assert_eq!(room.run(&["kill-user", "alice"]).succeeded().out, "killed 0 sessions\n");
}

#[test]
fn gc_deletes_what_expired_before_the_grace_and_puts_damage_aside() {
    let room = Room::new();
    room.put(1, |session| session.expires = now().minus(250 * SECOND));
    let within = room.put(2, |session| session.expires = now().minus(230 * SECOND));
    let living = room.put(3, |_| ());
    room.put(4, |_| ());
    room.damage(4);
    std::fs::write(room.file(3).with_file_name("thesis.txt"), "x").unwrap();
    let done = room.run(&["gc", "-f", "json"]).succeeded().json();
    assert_eq!((done["deleted"].clone(), done["total"].clone(), done["put_aside"].clone()), (json!(1), json!(4), json!(1)));
    assert!(done["seconds"].is_f64() && done["foreign"].as_str().unwrap().ends_with("thesis.txt"), "{done}");
    let left = room.refs();
    assert!(left.len() == 2 && left.contains(&within) && left.contains(&living));
    assert!(room.file(3).with_file_name("thesis.txt").exists());
    assert!(room.run(&["gc"]).succeeded().out.starts_with("deleted 0 of 2 sessions in "));
    assert!(room.run(&["verify"]).succeeded().out.contains("put aside: "));
}

#[test]
fn verify_names_damage_and_foreign_files_and_changes_nothing() {
    let room = Room::new();
    room.put(1, |_| ());
    assert!(room.run(&["verify"]).succeeded().out.ends_with("1 records, 0 damaged\n"));
    let torn = room.put(2, |_| ());
    room.damage(2);
    let garbled = room.put_bytes(3, &[1, 0xc1, 0xff]);
    room.put_bytes(4, &[200, 1, 2, 3]);
    std::fs::write(room.dir.join("notes\n.txt"), "x").unwrap();
    std::fs::hard_link(room.file(1), room.dir.join("backup")).unwrap();
    let before = room::contents(&room.dir);

    let text = room.run(&["verify"]);
    assert_eq!(text.code, 1, "{text:?}");
    for part in [&format!("damaged: {torn}"), &format!("damaged: {garbled}"), "notes\\n.txt", "4 records, 2 damaged, 1 of a newer version"]
    {
        assert!(text.out.contains(part), "{part} in {}", text.out);
    }
    let found = room.run(&["verify", "-f", "json"]);
    assert_eq!((found.code, found.json()["records"].clone(), found.json()["newer"].clone()), (1, json!(4), json!(1)));
    assert_eq!(found.json()["damaged"].as_array().unwrap().len(), 2);
    // The text file, the additional link, and the record that has one.
    assert_eq!(found.json()["foreign"].as_array().unwrap().len(), 3);
    assert_eq!(room::contents(&room.dir), before);
}

#[test]
fn what_cannot_be_read_is_listed_and_can_be_killed() {
    let room = Room::new();
    let torn = room.put(1, |_| ());
    room.damage(1);
    let newer = room.put_bytes(2, &[200, 1, 2, 3]);
    let text = room.run(&["list"]).succeeded().out;
    assert!(text.contains(&format!("{torn}  damaged")) && text.contains(&format!("{newer}  written by a newer")), "{text}");
    room.run(&["show", &torn]).failed("damaged");
    room.run(&["show", &newer]).failed("newer version");
    assert_eq!(room.run(&["adjust-time", "5", "-f", "json"]).succeeded().json(), json!({"adjusted": 0, "skipped": 2}));
    assert_eq!(room.run(&["kill", &torn, "-f", "json"]).succeeded().json(), json!({"killed": 0, "put_aside": 1}));
    assert_eq!(room.run(&["kill", &newer, "-f", "json"]).succeeded().json(), json!({"killed": 1, "put_aside": 0}));
    assert_eq!(room.run(&["list"]).succeeded().out, "");
}

#[test]
fn adjust_time_shifts_every_time_both_ways() {
    let room = Room::new();
    room.put(1, |_| ());
    room.put(2, |session| session.expires = Timestamp::NEVER);
    let start = room.stored(1);
    assert_eq!(room.run(&["adjust-time", "3600"]).succeeded().out, "adjusted 2 sessions by 3600 s\n");
    let later = room.stored(1);
    assert_eq!(later.expires, start.expires.plus(3600 * SECOND));
    assert_eq!(later.record.created, start.record.created.plus(3600 * SECOND));
    assert_eq!(later.record.accessed, start.record.accessed.plus(3600 * SECOND));
    assert_eq!((later.record.incarnation, &later.record.values), (start.record.incarnation, &start.record.values));
    assert_eq!(room.stored(2).expires, Timestamp::NEVER);
    room.run(&["adjust-time", "-3600"]).succeeded();
    assert_eq!(room.stored(1).record, start.record);
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_a_record_stops_nothing() {
    let room = Room::new();
    let living = room.put(9, |_| ());
    room.put(1, |_| ());
    std::fs::rename(room.file(1), room.place.path().join("away")).unwrap();
    symlink(room.place.path().join("away"), room.file(1)).unwrap();
    room.put(2, |_| ());
    std::fs::remove_file(room.file(2)).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, room.file(2), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(room.refs(), [living]);
    let found = room.run(&["verify", "-f", "json"]).succeeded().json();
    assert_eq!(found["foreign"].as_array().unwrap().len(), 2);
    room.run(&["gc"]).succeeded();
    assert!(room.file(1).is_symlink() && room.place.path().join("away").exists());
}

#[test]
fn a_directory_that_is_not_a_store_is_refused_and_left_as_it_was() {
    let room = Room::new();
    let place = room.place.path();
    let foreign = place.join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "x").unwrap();
    let open = place.join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    let other_kind = place.join("kind");
    std::fs::create_dir(&other_kind).unwrap();
    std::fs::write(other_kind.join(".mod_session_rs"), "tape store 1\n").unwrap();
    let link = place.join("link");
    room.put(1, |_| ());
    symlink(&room.dir, &link).unwrap();
    let before = room::contents(place);
    for (dir, remedy) in [
        (place.join("missing"), "SessionDir of the server"),
        (foreign.clone(), "directory of their own"),
        (foreign.join("thesis.txt"), "real path"),
        (open, "chmod 0700"),
        (other_kind, "directory of its own"),
        (link.clone(), "real path"),
        (link.join(""), "real path"),
    ] {
        for command in COMMANDS {
            let answer = Room::run_in(&dir, command);
            answer.failed(remedy);
            answer.failed(dir.to_str().unwrap().trim_end_matches('/'));
        }
    }
    assert_eq!(room::contents(place), before);
}

#[test]
fn an_empty_directory_lists_nothing_and_stays_empty() {
    let room = Room::new();
    let empty = room.place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for command in COMMANDS {
        let answer = Room::run_in(&empty, command);
        match command[0] {
            "show" | "kill" => answer.failed("no session 0123456789ab"),
            _ => drop(answer.succeeded()),
        }
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "{command:?} put something there");
    }
    assert_eq!(Room::run_in(&empty, &["list"]).succeeded().out, "");
    assert_eq!(Room::run_in(&empty, &["list", "-f", "json"]).succeeded().json(), json!({"sessions": [], "newer": [], "damaged": []}));
}

#[test]
fn options_go_before_or_after_the_command_and_wrong_usage_exits_with_2() {
    let room = Room::new();
    let dir = room.dir.to_str().unwrap();
    room.put(1, |_| ());
    let before = Answer::of(Room::tool().args(["--dir", dir, "-f", "json", "list"])).succeeded().json();
    let after = Answer::of(Room::tool().args(["list", "--dir", dir, "--format=json"])).succeeded().json();
    assert_eq!(before["sessions"][0]["ref"], after["sessions"][0]["ref"]);
    for wrong in [
        &[][..],
        &["list", "-f", "xml"],
        &["show"],
        &["show", "xyz"],
        &["kill", "0123456789abc"],
        &["adjust-time", "soon"],
        &["init-sql", "x"],
    ] {
        let answer = room.run(wrong);
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{wrong:?}: {answer:?}");
        assert!(answer.err.contains("Usage") || answer.err.contains("--help"), "{answer:?}");
    }
    let answer = Answer::of(Room::tool().arg("list"));
    assert!(answer.code == 2 && answer.err.contains("--dir"), "{answer:?}");
    let help = Answer::of(Room::tool().arg("--help")).succeeded().out;
    for word in ["list", "show", "kill", "kill-user", "gc", "verify", "adjust-time", "--dir", "Examples", "Exit status"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(Answer::of(Room::tool().arg("--version")).succeeded().out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let room = Room::new();
    for number in 0..=255 {
        room.put(number, |session| session.record.user = Some("x".repeat(1000)));
    }
    for format in ["text", "json"] {
        let mut tool = room.command(&["list", "-f", format]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(tool.stdout.take().unwrap()).read_line(&mut line).unwrap(); // and no more: the pipe is closed here
        let status = tool.wait().unwrap();
        let mut complaint = String::new();
        tool.stderr.unwrap().read_to_string(&mut complaint).unwrap();
        assert!(status.success() && complaint.is_empty(), "{format}: {status} {complaint}");
    }
}

#[test]
fn it_works_beside_a_writer() {
    let room = Room::new();
    let name = room.put(1, |_| ());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (store, key) = (room.store(), room::key(1));
            let deadline = Instant::now() + Duration::from_secs(20);
            while Instant::now() < deadline {
                let outcome = store.update(&key, Durability::Process, &mut |found| match found {
                    Some(blob) => Change::Write(blob.clone()),
                    None => Change::Keep,
                });
                if outcome.unwrap() == Outcome::Kept {
                    return true;
                }
            }
            false
        });
        for command in [&["list"][..], &["verify"], &["gc"], &["adjust-time", "1"], &["show", &name], &["kill", &name]] {
            room.run(command).succeeded();
        }
        assert!(writer.join().unwrap(), "the writer never met the end of its session");
    });
}
