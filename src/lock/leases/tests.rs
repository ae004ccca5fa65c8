use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::thread;
use std::time::Instant;

use super::super::layout::Geometry;
use super::super::survey::in_use;
use super::*;

/// Memory for threads of this process.
pub fn memory(stripes: usize, leases: usize, waiters: usize, processes: usize) -> Memory<'static> {
    let geometry = Geometry { stripes, leases, waiters, processes };
    let words: Vec<_> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
    let futexes: Vec<_> = (0..geometry.futexes()).map(|_| AtomicU32::new(0)).collect();
    Memory::format(words.leak(), futexes.leak(), geometry, Process::current())
}

/// Mutexes of threads, which can be told to fail.
#[derive(Default)]
struct Threads(Mutex<()>, AtomicBool);

impl Exclusion for Threads {
    fn under(&self, _: usize, section: &mut dyn FnMut()) -> Result<(), Unavailable> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Unavailable("told to fail".into()));
        }
        let _guard = self.0.lock().unwrap();
        section();
        Ok(())
    }
}

fn leases(leases: usize, waiters: usize) -> Leases<'static, Threads> {
    Leases::attach(memory(1, leases, waiters, 4), Threads::default())
}

const DEAD: Process = Process { pid: 1 << 21, start: 7 };
const HASH: u64 = 42;

fn wait(milliseconds: u64) -> Wait<'static> {
    Wait { timeout: Duration::from_millis(milliseconds), queue: 8, crowd: 100, is_pointless: &|| false }
}

fn until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited in vain");
        thread::yield_now();
    }
}

/// A lease of a process that is dead.
fn held_by_the_dead(leases: &Leases<'static, Threads>) -> Entry<'static> {
    let mine = leases.acquire(HASH, b"GET /dead", &wait(0)).unwrap();
    let entry = leases.memory.stripe(0).entry(mine.entry);
    entry.take(Token::new(DEAD.pid, 1 << 30), DEAD.start, 1);
    entry
}

#[test]
fn a_held_lease_names_its_holder_and_a_released_one_is_free() {
    let leases = leases(4, 8);
    let label = "GET /".to_owned() + &"long".repeat(100);
    let lease = leases.acquire(HASH, label.as_bytes(), &wait(0)).unwrap();
    let Err(Refused::Timeout(Some(holder))) = leases.acquire(HASH, b"", &wait(30)) else { panic!("two have it") };
    assert_eq!((holder.pid, holder.label.as_str()), (std::process::id(), &label[..160]));
    assert!(holder.age >= Duration::from_millis(30) && holder.to_string().starts_with(&format!("pid {} (GET /long", holder.pid)));
    let other = leases.acquire(HASH + 1, b"PUT /short", &wait(0)).unwrap();
    let mut seen: Vec<_> = in_use(leases.memory).into_iter().map(|lease| (lease.hash, lease.holder.label)).collect();
    seen.sort();
    assert_eq!(seen, [(HASH, label[..160].to_owned()), (HASH + 1, "PUT /short".to_owned())]);
    leases.release(&other).unwrap();
    leases.release(&lease).unwrap();
    assert_eq!(leases.release(&lease), Err(Lost), "twice");
    let lease = leases.acquire(HASH, b"short", &wait(0)).unwrap();
    assert_eq!(in_use(leases.memory)[0].holder.label, "short", "no rest of a longer label");
    leases.release(&lease).unwrap();
    assert_eq!(in_use(leases.memory), []);
}

#[test]
fn who_came_first_is_served_first() {
    let (leases, order) = (leases(4, 8), Mutex::new(Vec::new()));
    let first = leases.acquire(HASH, b"", &wait(0)).unwrap();
    thread::scope(|scope| {
        for n in 0..6 {
            let (leases, order) = (&leases, &order);
            scope.spawn(move || {
                let lease = leases.acquire(HASH, b"", &wait(10_000)).unwrap();
                order.lock().unwrap().push(n);
                leases.release(&lease).unwrap();
            });
            until(|| leases.memory.stripe(0).entry(0).waiting() == n + 1);
        }
        leases.release(&first).unwrap();
    });
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_full_queue_refuses_at_once_and_the_dead_have_no_place_in_it() {
    let leases = leases(4, 8);
    let held = leases.acquire(HASH, b"GET /held", &wait(0)).unwrap();
    let entry = leases.memory.stripe(0).entry(held.entry);
    let two = || Wait { queue: 2, ..wait(10_000) };
    entry.enqueue(Token::new(std::process::id(), 1 << 20), Process::current().start, 8).unwrap();
    entry.enqueue(Token::new(DEAD.pid, 2 << 20), DEAD.start, 8).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| leases.acquire(HASH, b"", &Wait { timeout: Duration::from_millis(300), ..two() }));
        until(|| entry.waiters() == [Process::current(); 2]);
        let started = Instant::now();
        let Err(Refused::QueueFull(Some(holder))) = leases.acquire(HASH, b"", &two()) else { panic!("three wait") };
        assert!(started.elapsed() < Duration::from_millis(200) && holder.label == "GET /held");
        let none = Wait { queue: 0, ..wait(10_000) };
        assert!(matches!(leases.acquire(HASH, b"", &none), Err(Refused::QueueFull(_))));
        let alone = Wait { crowd: 1, ..wait(10_000) };
        assert_eq!(leases.acquire(HASH, b"", &alone).unwrap_err(), Refused::Crowded(1));
        assert!(matches!(second.join().unwrap(), Err(Refused::Timeout(_))));
    });
    assert_eq!(entry.waiting(), 1, "who gave up left the queue");
}

#[test]
fn a_queue_that_is_full_because_its_holder_died_moves_on() {
    let leases = leases(4, 8);
    let entry = held_by_the_dead(&leases);
    entry.take(entry.token().unwrap(), DEAD.start, monotonic()); // a moment ago
    entry.enqueue(Token::new(std::process::id(), 1 << 20), Process::current().start, 8).unwrap();
    let alone = Wait { queue: 1, ..wait(5) };
    assert!(matches!(leases.acquire(HASH, b"", &alone), Err(Refused::Timeout(_))), "there is a place: the first has the lease now");
    assert_eq!(entry.holder(), Some(Process::current()));
}

#[test]
fn a_dead_holder_is_passed_over_by_who_waits_and_by_who_comes() {
    let leases = leases(4, 8);
    let entry = held_by_the_dead(&leases);
    let lease = leases.acquire(HASH, b"", &wait(0)).expect("who comes sees that the holder is dead");
    leases.release(&lease).unwrap();
    let mine = leases.acquire(HASH, b"", &wait(0)).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| leases.acquire(HASH, b"", &wait(10_000)).map(|lease| (lease, Instant::now())));
        until(|| entry.waiting() == 1);
        let died = Instant::now();
        entry.take(Token::new(DEAD.pid, 5), DEAD.start, monotonic());
        let (lease, when) = waiter.join().unwrap().unwrap();
        assert!(when - died < Duration::from_millis(150), "after {:?}", when - died);
        assert_eq!(leases.release(&mine), Err(Lost));
        leases.release(&lease).unwrap();
    });
}

/// Who hands a lease on may die after each of its writes.
#[test]
fn a_death_between_any_two_writes_leaves_a_table_that_heals() {
    for writes in 0..3 {
        let leases = leases(4, 8);
        let entry = held_by_the_dead(&leases);
        // Somebody who was there while the holder lived.
        entry.label(b"");
        let dead = entry.token().unwrap();
        entry.take(dead, DEAD.start, monotonic() + 10_000_000_000);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let cell = entry.enqueue(Token::new(std::process::id(), 9), Process::current().start, 8).unwrap();
                leases.queue(0, 0, cell, Token::new(std::process::id(), 9), monotonic(), &wait(10_000))
            });
            until(|| entry.waiting() == 1);
            // The waiter looks when it is chosen, so what else was written is there before.
            if writes > 1 {
                entry.take(dead, Process::current().start, monotonic()); // the start of the next holder beside the old token
            }
            if writes > 0 {
                entry.choose_for_test();
            }
            waiter.join().unwrap().expect("the lease");
        });
        assert_eq!((entry.holder(), entry.waiting()), (Some(Process::current()), 0));
    }
    // Cleared, but still under its hash.
    let leases = leases(1, 8);
    let lease = leases.acquire(HASH, b"", &wait(0)).unwrap();
    leases.memory.stripe(0).entry(lease.entry).clear();
    let other = leases.acquire(HASH + 1, b"", &wait(0)).expect("the entry is free for another hash");
    leases.release(&other).unwrap();
}

#[test]
fn a_full_table_refuses_and_takes_back_what_the_dead_held() {
    let leases = leases(2, 8);
    let one = leases.acquire(1, b"", &wait(0)).unwrap();
    let _two = leases.acquire(2, b"", &wait(0)).unwrap();
    assert_eq!(leases.acquire(3, b"", &wait(10_000)).unwrap_err(), Refused::TableFull);
    leases.memory.stripe(0).entry(one.entry).take(Token::new(DEAD.pid, 1), DEAD.start, 1);
    leases.acquire(3, b"", &wait(0)).expect("the entry of the dead");
}

#[test]
fn who_no_longer_wants_it_leaves_the_queue() {
    let leases = leases(2, 8);
    let held = leases.acquire(HASH, b"", &wait(0)).unwrap();
    let hung_up = Wait { is_pointless: &|| true, ..wait(10_000) };
    assert_eq!(leases.acquire(HASH, b"", &hung_up).unwrap_err(), Refused::Pointless);
    assert_eq!(leases.memory.stripe(0).entry(held.entry).waiting(), 0);
}

#[test]
fn a_lease_that_could_not_be_given_back_in_time_does_not_stay_taken() {
    let leases = leases(2, 8);
    let lease = leases.acquire(HASH, b"", &wait(0)).unwrap();
    leases.exclusion.1.store(true, Ordering::Relaxed);
    assert!(matches!(leases.acquire(HASH, b"", &wait(10_000)), Err(Refused::Unavailable(_))));
    leases.release(&lease).unwrap();
    leases.exclusion.1.store(false, Ordering::Relaxed);
    leases.acquire(HASH, b"", &wait(0)).expect("it was abandoned");
}

#[test]
fn threads_exclude_each_other() {
    let (leases, inside, total) = (leases(4, 32), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let lease = leases.acquire(HASH, b"", &Wait { queue: 32, ..wait(10_000) }).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    total.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    leases.release(&lease).unwrap();
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 4000);
}
