use super::*;
use crate::store::{Change, conformance};

#[path = "../../../tests/support/redis.rs"]
#[allow(dead_code)]
mod server;

mod access;
mod leases;
mod lost;
mod proxy;
mod records;
mod together;

use server::{Redis, SYNCED};

fn key(n: u8) -> Key {
    Key([n; 32])
}

fn blob(expires: u64, bytes: &[u8]) -> Blob {
    Blob::new(Timestamp(expires), bytes.to_vec())
}

fn now() -> u64 {
    crate::repository::now().0
}

fn store(words: &str) -> RedisStore {
    RedisStore::open(&words.split(' ').collect::<Vec<_>>()).unwrap()
}

fn write(store: &RedisStore, key: &Key, new: Blob) -> Result<Outcome> {
    store.update(key, Durability::Process, &mut |_| Change::Write(new.clone()))
}

#[test]
fn it_is_a_store() {
    let redis = Redis::start(&SYNCED);
    conformance::run(&store(&redis.url()));
}

#[test]
fn two_prefixes_are_two_stores_whatever_is_in_them() {
    let redis = Redis::start(&SYNCED);
    conformance::run(&store(&format!("{} prefix=[a*]?", redis.url())));
    let [one, two, other] = ["a", "aa", "a?"].map(|prefix| store(&format!("{} prefix={prefix}", redis.url())));
    one.create(&key(1), &blob(u64::MAX, b"one"), Durability::Process).unwrap();
    two.create(&key(1), &blob(u64::MAX, b"two"), Durability::Process).unwrap();
    let all = |store: &RedisStore| {
        let mut all = Vec::new();
        store
            .each(&mut |_, entry| {
                all.push(format!("{entry:?}"));
                true
            })
            .unwrap();
        all.len()
    };
    assert_eq!((all(&one), all(&two), all(&other)), (1, 1, 0));
    assert_eq!(*one.load(&key(1)).unwrap().unwrap().bytes, *b"one");
}
