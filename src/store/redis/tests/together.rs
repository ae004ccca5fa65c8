//! Leases and records in one question: the record comes with the lease, and the lease goes with the last write.

use std::time::Instant;

use super::leases::{ask, give, held_by, is_clean, process};
use super::proxy::Proxy;
use super::*;
use crate::store::lease::Wait;

#[test]
fn the_record_comes_with_the_lease_for_the_load_that_follows_in_the_same_thread() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, Timing::default()));
    one.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    let wait = || Wait { until: Instant::now(), is_pointless: &|| false, then_loads: true };
    let asked = || redis.info("cmdstat_get").split([':', '=', ',']).nth(1).unwrap().parse::<u32>().unwrap();
    let shown = |store: &RedisStore| store.load(&key(1)).unwrap().unwrap().bytes.to_vec();
    let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
    let before = asked();
    assert_eq!((shown(&one), asked() - before), (b"1".to_vec(), 0), "it had been fetched");
    write(&two, &key(1), blob(u64::MAX, b"2")).unwrap();
    assert_eq!(shown(&one), b"2", "once");
    assert!(give(lease));
    for another_thread in [true, false] {
        let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
        write(&two, &key(1), blob(u64::MAX, b"3")).unwrap();
        if another_thread {
            assert_eq!(std::thread::scope(|scope| scope.spawn(|| shown(&one)).join().unwrap()), b"3");
        }
        assert!(give(lease));
        assert_eq!(shown(&one), b"3", "what nobody loaded is forgotten with the lease");
        write(&two, &key(1), blob(u64::MAX, b"2")).unwrap();
    }
    // A record that is none is told by the load.
    redis.cli(&["DEL", &format!("msrs1:{}", key(1).hex())]);
    redis.cli(&["LPUSH", &format!("msrs1:{}", key(1).hex()), "a list"]);
    let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
    assert!(matches!(one.load(&key(1)), Err(Error::Corrupt(_))));
    assert!(give(lease));
}

#[test]
fn what_came_with_the_lease_is_not_what_is_there_after_a_write() {
    let redis = Redis::start(&[]);
    let one = process(&redis, 1, Timing::default());
    let wait = || Wait { until: Instant::now(), is_pointless: &|| false, then_loads: true };
    let shown = || one.load(&key(1)).unwrap().map(|blob| blob.bytes.to_vec());
    let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
    assert!(one.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap(), "a new session is locked before it is stored");
    assert_eq!(shown(), Some(b"1".to_vec()));
    assert!(give(lease));
    let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
    write(&one, &key(1), blob(u64::MAX, b"2")).unwrap();
    assert_eq!(shown(), Some(b"2".to_vec()));
    assert!(give(lease));
    let lease = one.lease(&key(1), b"", &wait()).unwrap().unwrap();
    one.quarantine(&key(1), &|_| true).unwrap();
    assert_eq!(shown(), None);
    assert!(give(lease));
}

/// How often the store asked by this command.
fn calls(redis: &Redis, command: &str) -> u32 {
    redis.info(&format!("cmdstat_{command}")).split(['=', ',']).nth(1).map_or(0, |calls| calls.parse().unwrap())
}

#[test]
fn the_last_write_gives_the_lease_back_to_whoever_waits_for_it() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, Timing::default()));
    one.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    for change in [Change::Write(blob(u64::MAX, b"2")), Change::Keep, Change::Replace(blob(u64::MAX, b"2")), Change::Delete] {
        let mut lease = ask(&one, 0).unwrap();
        let is_write = !matches!(change, Change::Keep);
        one.update(&key(1), Durability::Process, &mut |_| Change::Write(blob(u64::MAX, b"1"))).unwrap();
        assert!(held_by(ask(&two, 0)).starts_with("server 1"), "one write is not the last");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| ask(&two, 20_000).map(give));
            redis.wait_until("it waits", |redis| !redis.cli(&["KEYS", "msrs1:queue:*"]).is_empty());
            lease.ends_with_next_write();
            let asked = calls(&redis, "evalsha");
            one.update(&key(1), Durability::Process, &mut |_| change.clone()).unwrap();
            if is_write {
                assert!(waiter.join().unwrap().unwrap(), "it was handed over");
                // The write; the other server took it and gave it back.
                assert!(lease.give_back() && calls(&redis, "evalsha") <= asked + 3);
            } else {
                assert!(lease.give_back());
                assert!(waiter.join().unwrap().unwrap());
            }
        });
    }
    is_clean(&redis);
}

#[test]
fn who_writes_in_another_thread_gives_back_nothing_that_he_does_not_hold() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, Timing::default()));
    one.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    let mut lease = ask(&one, 0).unwrap();
    lease.ends_with_next_write();
    std::thread::scope(|scope| scope.spawn(|| write(&one, &key(1), blob(u64::MAX, b"2")).unwrap()).join().unwrap());
    assert!(held_by(ask(&two, 0)).starts_with("server 1"), "the holder has not written yet");
    write(&one, &key(1), blob(u64::MAX, b"3")).unwrap();
    assert!(give(ask(&two, 0).unwrap()) && lease.give_back());
}

#[test]
fn who_writes_without_the_lease_that_was_lost_is_told() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, Timing::default()));
    one.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    let mut lease = ask(&one, 0).unwrap();
    redis.cli(&["DEL", &format!("msrs1:lease:{}", key(1).hex())]);
    let other = ask(&two, 0).unwrap();
    lease.ends_with_next_write();
    write(&one, &key(1), blob(u64::MAX, b"2")).unwrap();
    assert!(!lease.give_back());
    assert!(held_by(ask(&one, 0)).starts_with("server 2"), "that of the other is untouched");
    assert!(give(other));
}

#[test]
fn a_lease_whose_end_was_not_heard_of_has_ended_all_the_same() {
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port(), b"EVALSHA");
    let host =
        || Host { instance: format!("{:032x}", 7), spawn: Some(|run| std::thread::Builder::new().spawn(run).map(drop)), ..Host::default() };
    let away = RedisStore::new(Target::parse(&[&format!("redis://127.0.0.1:{}", proxy.port)]).unwrap(), Ok(Files::default()), host());
    let near = process(&redis, 1, Timing::default());
    away.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    write(&away, &key(1), blob(u64::MAX, b"1")).unwrap(); // the script is known
    let mut lease = ask(&away, 0).unwrap();
    lease.ends_with_next_write();
    proxy.lose_an_answer();
    assert_eq!(write(&away, &key(1), blob(u64::MAX, b"2")).unwrap(), Outcome::Written);
    assert!(proxy.has_lost());
    assert!(give(ask(&near, 0).unwrap()), "it is free");
    assert!(lease.give_back(), "nobody can say that it was lost");
}
