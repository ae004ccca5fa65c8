//! Leases over several servers, each a store of its own here.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::store::lease::{Answer, Lease, Refused, Wait};

fn spawn(run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().spawn(run).map(drop)
}

/// Quick enough to be waited for.
fn timing() -> Timing {
    let [lifetime, renewal, hand_over, look] = [600, 200, 300, 100].map(Duration::from_millis);
    Timing { lifetime, renewal, hand_over, look }
}

/// A process of server `n`.
pub fn process(redis: &Redis, n: u8, timing: Timing) -> RedisStore {
    let host = Host { instance: format!("{n:032x}"), name: format!("server {n}"), spawn: Some(spawn), timing };
    RedisStore::new(Target::parse(&[&redis.url()]).unwrap(), Ok(Files::default()), host)
}

pub fn ask(store: &RedisStore, patience: u64) -> Answer {
    let wait = Wait { until: Instant::now() + Duration::from_millis(patience), is_pointless: &|| false, then_loads: false };
    store.lease(&key(1), b"GET /cart", &wait).unwrap()
}

pub fn held_by(answer: Answer) -> String {
    match answer {
        Err(Refused::Timeout(holder)) => holder.unwrap(),
        Err(refused) => panic!("{refused:?}"),
        Ok(_) => panic!("it was granted"),
    }
}

pub fn give(mut lease: Box<dyn Lease>) -> bool {
    lease.give_back()
}

/// Nothing is left: no lease, no queue, no hint.
pub fn is_clean(redis: &Redis) {
    redis.wait_until("nothing is left", |redis| redis.cli(&["DBSIZE"]) == "0");
}

#[test]
fn one_server_at_a_time_has_it_and_who_waits_in_vain_is_told_who() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, Timing::default()));
    let lease = ask(&one, 0).unwrap();
    assert_eq!(held_by(ask(&two, 0)), "server 1, GET /cart");
    let started = Instant::now();
    assert_eq!(held_by(ask(&two, 300)), "server 1, GET /cart");
    assert!((300..1000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    let pointless = Wait { until: Instant::now() + Duration::from_secs(60), is_pointless: &|| true, then_loads: false };
    assert!(matches!(two.lease(&key(1), b"", &pointless), Some(Err(Refused::Pointless))));
    let elsewhere = Wait { until: Instant::now(), is_pointless: &|| false, then_loads: false };
    assert!(give(two.lease(&key(2), b"", &elsewhere).unwrap().unwrap()), "another session");
    assert!(give(lease));
    assert!(give(ask(&two, 0).unwrap()));
    is_clean(&redis);
    assert!(store(&redis.url()).lease(&key(1), b"", &elsewhere).is_none(), "a tool takes none");
}

#[test]
fn it_is_handed_over_at_once_in_the_order_of_asking() {
    let redis = Redis::start(&[]);
    let stores = [1, 2, 3, 4].map(|n| process(&redis, n, Timing::default()));
    let first = ask(&stores[0], 0).unwrap();
    let order = AtomicUsize::new(1);
    let queue = format!("msrs1:queue:{}", key(1).hex());
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (1..4)
            .map(|n| {
                let (store, order) = (&stores[n], &order);
                let waiter = scope.spawn(move || {
                    let lease = ask(store, 20_000).unwrap();
                    (order.fetch_add(1, Ordering::Relaxed), Instant::now(), give(lease))
                });
                redis.wait_until("it waits", |redis| redis.cli(&["LLEN", &queue]) == n.to_string());
                waiter
            })
            .collect();
        let given = Instant::now();
        assert!(give(first));
        for (n, waiter) in waiters.into_iter().enumerate() {
            let (place, granted, was_held) = waiter.join().unwrap();
            assert!(place == n + 1 && was_held);
            assert!(granted - given < Duration::from_millis(200), "{:?}: sooner than anybody looks", granted - given);
        }
    });
    is_clean(&redis);
}

#[test]
fn many_on_three_servers_never_hold_it_at_once_and_each_gets_its_share() {
    let redis = Redis::start(&[]);
    let stores = [1, 2, 3].map(|n| process(&redis, n, Timing::default()));
    let holders = AtomicU32::new(0);
    let served: Vec<_> = std::thread::scope(|scope| {
        let end = Instant::now() + Duration::from_secs(2);
        let busy = stores.each_ref().map(|store| {
            let holders = &holders;
            scope.spawn(move || {
                let mut served = 0;
                while Instant::now() < end {
                    let lease = ask(store, 20_000).unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                    std::thread::sleep(Duration::from_micros(200));
                    holders.fetch_sub(1, Ordering::SeqCst);
                    assert!(give(lease));
                    served += 1;
                }
                served
            })
        });
        busy.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (least, most) = (*served.iter().min().unwrap(), *served.iter().max().unwrap());
    assert!(least > 50 && most <= least + least / 5 + 2, "{served:?}");
    is_clean(&redis);
}

#[test]
fn what_a_killed_process_left_its_own_server_takes_at_once_and_others_when_it_ends() {
    let redis = Redis::start(&[]);
    let lifetime = Duration::from_secs(5);
    let dead = process(&redis, 1, Timing { renewal: Duration::from_secs(60), lifetime, ..timing() });
    let [sibling, other] = [1, 2].map(|n| process(&redis, n, timing()));
    let left = ask(&dead, 0).unwrap();
    assert!(held_by(ask(&other, 0)).starts_with("server 1"));
    let lease = ask(&sibling, 0).expect("it is of the same server");
    let mut left = left;
    assert!(!left.give_back(), "it had been taken over");
    assert!(held_by(ask(&other, 0)).starts_with("server 1"), "and is not given back by who lost it");
    assert!(give(lease));
    // A server that is gone altogether.
    let gone = process(&redis, 3, Timing { renewal: Duration::from_secs(60), ..timing() });
    std::mem::forget(ask(&gone, 0).unwrap());
    let started = Instant::now();
    assert!(give(ask(&other, 20_000).unwrap()));
    assert!((300..3000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    // One that waits, and dies before it is handed over.
    let lease = ask(&sibling, 0).unwrap();
    let queue = format!("msrs1:queue:{}", key(1).hex());
    redis.cli(&["RPUSH", &queue, &format!("{:032x}{:032x} server 9", 77, 9)]);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| ask(&other, 20_000).map(give));
        redis.wait_until("it waits", |redis| redis.cli(&["LLEN", &queue]) == "2");
        assert!(give(lease));
        assert!(waiter.join().unwrap().unwrap());
    });
    is_clean(&redis);
}

#[test]
fn it_is_renewed_as_long_as_it_is_held_and_who_lost_it_is_told() {
    let redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, timing()));
    let lease = ask(&one, 0).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(held_by(ask(&two, 0)), "server 1, GET /cart", "beyond its lifetime");
    assert!(give(lease), "and it was never lost");
    std::thread::sleep(Duration::from_millis(500));
    is_clean(&redis);
    let name = format!("msrs1:lease:{}", key(1).hex());
    // As after a fail-over to a replica that had not heard of it: it is taken again, if nobody did meanwhile.
    let lease = ask(&one, 0).unwrap();
    redis.cli(&["DEL", &name]);
    redis.wait_until("it is taken again", |redis| redis.cli(&["EXISTS", &name]) == "1");
    assert_eq!(held_by(ask(&two, 0)), "server 1, GET /cart");
    std::thread::sleep(Duration::from_millis(50));
    assert!(!give(lease), "somebody may have had it");
    let lease = ask(&one, 0).unwrap();
    redis.cli(&["DEL", &name]);
    let other = ask(&two, 0).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(!give(lease) && give(other));
    is_clean(&redis);
}

#[test]
fn without_the_server_a_lease_is_a_failure_of_the_store() {
    let mut redis = Redis::start(&[]);
    let [one, two] = [1, 2].map(|n| process(&redis, n, timing()));
    let lease = ask(&one, 0).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| ask(&two, 60_000));
        redis.wait_until("it waits", |redis| redis.cli(&["DBSIZE"]) == "2");
        redis.kill();
        assert!(matches!(waiter.join().unwrap(), Err(Refused::Failed(_))));
    });
    assert!(give(lease), "that it was lost, nobody knows");
    assert!(matches!(ask(&one, 0), Err(Refused::Failed(_))));
}
