//! What lies in Redis, and for how long.

use super::*;

#[test]
fn redis_keeps_a_record_for_a_while_after_it_expired_and_then_removes_it() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    let left = |n| redis.cli(&["PTTL", &format!("msrs1:{}", key(n).hex())]).parse::<i64>().unwrap() / 1000;
    let expired = i64::try_from(GRACE / 1_000_000).unwrap();
    for (n, expires, seconds) in [(1, now() + 60_000_000, expired + 60), (2, 7, expired), (3, now() - 3_600_000_000, expired)] {
        store.create(&key(n), &blob(expires, b"v"), Durability::Process).unwrap();
        assert!((seconds - 5..=seconds).contains(&left(n)), "{n}: {}", left(n));
        assert!(!store.create(&key(n), &blob(u64::MAX, b"v"), Durability::Process).unwrap(), "it is taken still");
    }
    write(&store, &key(2), blob(now() + 100_000_000, b"v")).unwrap();
    assert!(left(2) > expired + 90);
    write(&store, &key(2), blob(u64::MAX, b"v")).unwrap();
    assert_eq!(redis.cli(&["TTL", &format!("msrs1:{}", key(2).hex())]), "-1", "never");
}

#[test]
fn what_is_not_as_it_was_written_is_damage_and_is_put_aside_for_a_week() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    let name = |n| format!("msrs1:{}", key(n).hex());
    for n in 1..=4 {
        store.create(&key(n), &blob(u64::MAX, b"value"), Durability::Process).unwrap();
    }
    redis.cli(&["SETRANGE", &name(1), "39", "X"]);
    redis.cli(&["COPY", &name(4), &name(2), "REPLACE"]);
    redis.cli(&["DEL", &name(3)]);
    redis.cli(&["LPUSH", &name(3), "a list"]);
    for n in 1..=3 {
        assert!(matches!(store.load(&key(n)), Err(Error::Corrupt(path)) if path.display().to_string() == name(n)), "{n}");
        assert!(matches!(write(&store, &key(n), blob(1, b"v")), Err(Error::Corrupt(_))), "{n}");
        store.quarantine(&key(n), &|_| false).unwrap();
        assert_eq!(store.load(&key(n)).unwrap(), None);
        let aside = format!("msrs1:corrupt:{}", key(n).hex());
        let left: i64 = redis.cli(&["TTL", &aside]).parse().unwrap();
        assert!((604_790..=604_800).contains(&left), "{n}: {left}");
    }
    store.quarantine(&key(4), &|blob| *blob.bytes != *b"value").unwrap();
    assert!(store.load(&key(4)).unwrap().is_some(), "nothing is wrong with it");
    store.quarantine(&key(4), &|blob| *blob.bytes == *b"value").unwrap();
    store.quarantine(&key(4), &|_| true).unwrap();
    assert_eq!(store.load(&key(4)).unwrap(), None);
}

#[test]
fn what_a_newer_version_wrote_counts_as_absent_and_stays() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    let name = format!("msrs1:{}", key(1).hex());
    redis.cli(&["SET", &name, "msrs\u{2}something"]);
    assert_eq!(store.load(&key(1)).unwrap(), None);
    assert!(!store.create(&key(1), &blob(1, b"v"), Durability::Process).unwrap());
    assert_eq!(write(&store, &key(1), blob(1, b"v")).unwrap(), Outcome::Kept);
    store.quarantine(&key(1), &|_| true).unwrap();
    let done = store.sweep(Timestamp(u64::MAX), Duration::from_secs(1), Cursor::default(), &mut |_, _| {}).unwrap();
    assert_eq!((done.seen, done.deleted, redis.cli(&["GET", &name]).as_str()), (1, 0, "msrs\u{2}something"));
}

#[test]
fn a_sweep_on_demand_tells_of_each_and_leaves_alone_what_is_not_ours() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    for n in 1..=200 {
        let expires = if n % 2 == 0 { 5 } else { u64::MAX };
        store.create(&key(n), &blob(expires, &[n]), Durability::Process).unwrap();
    }
    redis.cli(&["SETRANGE", &format!("msrs1:{}", key(201).hex()), "0", "damage"]);
    redis.cli(&["LPUSH", &format!("msrs1:{}", key(202).hex()), "a list"]);
    redis.cli(&["SET", "msrs1:notes", "mine"]);
    let mut told = Vec::new();
    let mut done = Sweep { next: Some(Cursor::default()), ..Sweep::default() };
    while let Some(from) = done.next.take() {
        let slice = store.sweep(Timestamp(9), Duration::ZERO, from, &mut |key, blob| told.push((*key, blob.bytes[0])));
        done.add(slice.unwrap());
    }
    assert_eq!((done.deleted, done.corrupt, told.len()), (100, 1, 100));
    assert!(told.iter().all(|(of, n)| *of == key(*n) && n % 2 == 0));
    assert!(done.foreign.unwrap().display().to_string().ends_with(&key(202).hex()));
    assert_eq!(redis.cli(&["DBSIZE"]), (100 + 1 + 1 + 1).to_string());
}

#[test]
fn an_update_behind_a_load_is_one_question_and_sees_the_newest_all_the_same() {
    let redis = Redis::start(&[]);
    let [store, other] = [(); 2].map(|()| store(&redis.url()));
    store.create(&key(1), &blob(1, b"a"), Durability::Process).unwrap();
    write(&store, &key(1), blob(1, b"a")).unwrap(); // the script is known by now
    let loaded = store.load(&key(1)).unwrap().unwrap();
    let asked = |redis: &Redis| redis.info("total_commands_processed").parse::<u64>().unwrap();
    let before = asked(&redis);
    store.update_from(&key(1), Some(&loaded), Durability::Process, &mut |_| Change::Write(blob(2, b"b"))).unwrap();
    // Beside the script: what it calls (GETRANGE, SET), and the INFO before.
    assert_eq!(asked(&redis) - before, 4);
    let loaded = store.load(&key(1)).unwrap().unwrap();
    write(&other, &key(1), blob(3, b"newest")).unwrap();
    let mut shown = Vec::new();
    let mut keep = |found: Option<&Blob>| {
        shown.push(found.unwrap().bytes.to_vec());
        Change::Keep
    };
    assert_eq!(store.update_from(&key(1), Some(&loaded), Durability::Process, &mut keep).unwrap(), Outcome::Kept);
    assert_eq!(shown, [b"b".to_vec(), b"newest".to_vec()]);
}
