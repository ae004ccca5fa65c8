//! The tool on a Redis.

use mod_session_rs::session::{Record, Stored as Decoded, Timestamp, Value, Values};
use mod_session_rs::store::redis::RedisStore;
use mod_session_rs::store::{Blob, Durability, Store};
use serde_json::json;

use crate::COMMANDS;
use crate::redis_server::Redis;
use crate::room::{Answer, Room, SECOND, key, now};

/// Stores a session of one value; returns its reference.
fn put(store: &RedisStore, number: u8, user: Option<&str>, expires: Timestamp) -> String {
    let mut values = Values::default();
    values.set("name", Value::Text("x".into()));
    let (created, accessed) = (now().minus(60 * SECOND), now());
    let user = user.map(str::to_owned);
    let record = Record { incarnation: number.into(), created, accessed, timeout: 1800, presented: true, user, values };
    assert!(store.create(&key(number), &Blob::new(expires, record.encode()), Durability::Process).unwrap());
    key(number).reference().to_string()
}

fn run(words: &str, arguments: &[&str]) -> Answer {
    Answer::of(Room::tool().args(["--store", words]).args(arguments))
}

#[test]
fn sessions_in_redis_are_listed_shown_moved_in_time_and_ended() {
    let redis = Redis::start(&[]);
    let store = RedisStore::open(&[&redis.url()]).unwrap();
    let later = now().plus(1800 * SECOND);
    let refs: Vec<_> = (1..=4).map(|number| put(&store, number, (number > 2).then_some("alice"), later)).collect();
    let expired = put(&store, 5, None, now().minus(200 * SECOND));
    let foreign = redis.cli(&["SET", "other", "stays"]);
    assert_eq!(foreign, "OK");

    let list = run(&redis.url(), &["list", "-f", "json"]).succeeded().json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 5, "{list}");
    let shown = run(&redis.url(), &["show", &refs[0], "-f", "json"]).succeeded().json();
    assert_eq!(shown["values"]["name"]["text"].as_str().or(shown["values"]["name"]["value"].as_str()), Some("x"), "{shown}");
    assert_eq!(run(&redis.url(), &["verify"]).succeeded().out, "5 records, 0 damaged\n");
    assert_eq!(run(&redis.url(), &["locks"]).succeeded().out, "no session is held\n");

    run(&redis.url(), &["adjust-time", "-100"]).succeeded();
    let blob = store.load(&key(1)).unwrap().unwrap();
    let Ok(Decoded::Session(_)) = Decoded::decode(&blob.bytes) else { panic!("no session") };
    assert_eq!(blob.expires, later.minus(100 * SECOND));
    let collected = run(&redis.url(), &["gc", "-f", "json"]).succeeded().json();
    assert_eq!(
        (collected["deleted"].clone(), collected["total"].clone()),
        (json!(1), json!(5)),
        "{expired} expired 300 s ago: {collected}"
    );

    assert_eq!(run(&redis.url(), &["kill", &refs[0]]).succeeded().out, "killed 1 session\n");
    run(&redis.url(), &["kill", &refs[0]]).failed("no session");
    assert_eq!(run(&redis.url(), &["kill-user", "alice", "-f", "json"]).succeeded().json(), json!({"killed": 2, "put_aside": 0}));
    assert!(store.load(&key(2)).unwrap().is_some() && store.load(&key(1)).unwrap().is_none() && store.load(&key(3)).unwrap().is_none());
    assert_eq!(redis.cli(&["GET", "other"]), "stays");
}

#[test]
fn a_redis_with_a_password_is_reached_with_the_words_of_the_directive_and_one_that_is_away_is_told() {
    let mut redis = Redis::start(&["requirepass secret"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let words = format!("{} passwordfile={}", redis.url(), file.path().display());
    assert_eq!(run(&words, &["verify"]).succeeded().out, "0 records, 0 damaged\n");
    run(&redis.url(), &["list"]).failed("passwordfile=");
    redis.stop();
    for command in COMMANDS.iter().filter(|command| command[0] != "locks") {
        let answer = run(&words, command);
        answer.failed("redis+unix://");
        assert!(!answer.err.contains("secret"), "{answer:?}");
    }
    assert_eq!(run("redis://127.0.0.1:port", &["list"]).code, 1);
    assert_eq!(run("ftp://127.0.0.1", &["list"]).code, 2);
}
