//! Who gets in: users, passwords, certificates; and what is said to those who do not.

use std::time::Instant;

use super::leases::process;
use super::*;
use crate::store::lease::{Refused, Wait};

fn why(words: &str) -> String {
    store(words).load(&key(1)).unwrap_err().to_string()
}

#[test]
fn a_password_opens_and_is_in_no_error() {
    let redis = Redis::start(&["requirepass s3cret", "user ann on >p@ss:1 ~msrs1:* +@read +@write +@scripting +@connection +@blocking"]);
    let port = redis.port();
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    for words in [
        format!("redis://:s3cret@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}/2 passwordfile={}", file.display()),
        format!("redis://ann:p%40ss%3a1@127.0.0.1:{port}"),
        format!("redis+unix://:s3cret@{}?db=3", redis.socket().display()),
    ] {
        let store = store(&words);
        assert!(store.create(&key(1), &blob(u64::MAX, b"v"), Durability::Process).unwrap() || words.contains("ann"), "{words}");
        write(&store, &key(1), blob(u64::MAX, b"v")).unwrap();
    }
    assert_eq!(redis.cli(&["-n", "2", "DBSIZE"]), "1");
    for (words, expected) in [
        (format!("redis://127.0.0.1:{port}"), "passwordfile="),
        (format!("redis://:wr0ng@127.0.0.1:{port}"), "passwordfile="),
        (format!("redis://bob:wr0ng@127.0.0.1:{port}"), "passwordfile="),
        (format!("redis://ann:p%40ss%3a1@127.0.0.1:{port} prefix=others:"), "~prefix*"),
    ] {
        let why = why(&words);
        assert!(why.contains(expected) && why.contains(&format!("SessionStore redis://127.0.0.1:{port}: ")), "{why}");
        assert!(!why.contains("wr0ng") && !why.contains("p@ss") && !why.contains("ann:"), "{why}");
    }
    std::fs::write(&file, "\n").unwrap();
    let words = ["redis://h", &format!("passwordfile={}", file.display())];
    assert!(RedisStore::open(&words).err().unwrap().contains("one line"));
}

#[test]
fn tls_asks_for_the_ca_and_gives_the_client_certificate() {
    let redis = Redis::with_tls("yes");
    let file = |name: &str| redis.file(name);
    let client = format!("cert={} key={}", file("client.pem"), file("client.key"));
    for host in ["127.0.0.1", "localhost"] {
        let store = store(&format!("rediss://{host}:{} ca={} {client}", redis.port(), file("ca.pem")));
        store.create(&key(1), &blob(u64::MAX, host.as_bytes()), Durability::Process).unwrap();
        write(&store, &key(1), blob(u64::MAX, &[7; 70_000])).unwrap();
        assert_eq!(*store.load(&key(1)).unwrap().unwrap().bytes, [7; 70_000]);
        store.update(&key(1), Durability::Process, &mut |_| Change::Delete).unwrap();
    }
    for (words, expected) in [
        (format!("rediss://127.0.0.1:{} ca={}", redis.port(), file("ca.pem")), "ertificate"),
        (format!("rediss://127.0.0.1:{} ca={} {client}", redis.port(), file("other-ca.pem")), "certificate"),
        (format!("rediss://127.0.0.1:{} {client}", redis.port()), "certificate"),
        (format!("redis://127.0.0.1:{}", redis.port()), ""),
    ] {
        let why = why(&words);
        assert!(why.contains(expected), "{words}: {why}");
    }
    let refused = |words: String| RedisStore::open(&words.split(' ').collect::<Vec<_>>()).err().unwrap();
    let why = refused(format!("rediss://h ca={}", file("client.key")));
    assert!(why.contains("client.key: it has no BEGIN CERTIFICATE"), "{why}");
    assert!(refused(format!("rediss://h cert={0} key={0}", file("client.pem"))).contains("PRIVATE KEY"));
    assert!(refused(format!("rediss://h ca={}", file("missing.pem"))).contains("No such file"));
}

#[test]
fn session_sync_is_refused_where_the_server_does_not_keep_it() {
    for (options, answer) in [
        (&["appendonly no"][..], Err("appendfsync always")),
        (&["appendonly yes"], Err("appendfsync always")),
        (&["appendonly yes", "appendfsync always", "rename-command CONFIG \"\""], Err("does not tell its settings")),
        (&SYNCED, Ok(())),
    ] {
        let redis = Redis::start(options);
        let store = store(&redis.url());
        let created = store.create(&key(1), &blob(u64::MAX, b"v"), Durability::Machine);
        assert_eq!(redis.cli(&["DBSIZE"]), if answer.is_ok() { "1" } else { "0" }, "{options:?}: what is refused is not written");
        match answer {
            Ok(()) => assert!(created.unwrap()),
            Err(part) => {
                let why = created.unwrap_err().to_string();
                assert!(why.contains(part) && why.contains("SessionSync O"), "{why}");
            }
        }
        store.create(&key(2), &blob(u64::MAX, b"v"), Durability::Process).unwrap();
    }
}

#[test]
fn a_full_server_is_told_as_such() {
    let redis = Redis::start(&["maxmemory 1", "maxmemory-policy noeviction"]);
    let store = store(&redis.url());
    let why = store.create(&key(1), &blob(u64::MAX, b"v"), Durability::Process).unwrap_err().to_string();
    assert!(why.contains("raise maxmemory"), "{why}");
    let wait = Wait { until: Instant::now(), is_pointless: &|| false, then_loads: true };
    match process(&redis, 1, Timing::default()).lease(&key(1), b"", &wait) {
        Some(Err(Refused::Failed(why))) => assert!(why.to_string().contains("raise maxmemory"), "{why}"),
        _ => panic!("there is no room for a lease"),
    }
}

#[test]
fn sentinels_lead_a_user_of_few_rights_to_the_primary() {
    let rights = "~msrs1:* +@read +@write +@scripting +@connection +@blocking";
    let primary = Redis::start(&[
        SYNCED[0],
        SYNCED[1],
        &format!("user few on >pw {rights}"),
        &format!("user ann on >pw {rights} +role +wait +config|get"),
    ]);
    let replica = Redis::start(&[&format!("replicaof 127.0.0.1 {}", primary.port())]);
    replica.wait_until("it follows", |redis| redis.info("master_link_status") == "up");
    let sentinel = Redis::sentinel(&primary, 1);
    let url = |user: &str| format!("redis+sentinel://{user}:pw@127.0.0.1:{}/main", sentinel.port());
    let ann = store(&url("ann"));
    assert!(ann.create(&key(1), &blob(u64::MAX, b"v"), Durability::Machine).unwrap());
    assert_eq!(*ann.load(&key(1)).unwrap().unwrap().bytes, *b"v");
    let why = why(&url("few"));
    assert!(why.contains("+role") && why.contains("SessionStore redis+sentinel://127.0.0.1:"), "{why}");
}
