//! Leases between processes that are killed, stopped and forked again, under APR's global mutexes, as in httpd. Whether two hold one
//! lease is told by what they do, not by the table.
//!
//! Who does what: [`ground`] is what the processes share; [`apr`] is the pool of mutexes; [`child`] forks and kills; [`judge`] tells
//! whether two were in one session; [`storm`] and [`rush`] are many processes without and with a hurry; [`actor`] is one that does as
//! it is told; [`steps`] lets one die at a certain instruction; [`figures`] measures, and [`metronome`] tells when the machine stood still.

#[path = "lease/actor.rs"]
mod actor;
#[path = "lease/apr.rs"]
mod apr;
#[path = "lease/child.rs"]
mod child;
#[path = "lease/figures.rs"]
mod figures;
#[path = "lease/ground.rs"]
mod ground;
#[path = "lease/judge.rs"]
mod judge;
#[path = "lease/kernel.rs"]
mod kernel;
#[path = "lease/metronome.rs"]
mod metronome;
#[path = "lease/rush.rs"]
mod rush;
#[path = "lease/steps.rs"]
mod steps;
#[path = "lease/storm.rs"]
mod storm;

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mod_session_rs::lock::{Geometry, Wait, monotonic};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use actor::{Actor, waiting};
use ground::{Ground, PROCESSES, print, turn, until, wait};
use rush::Rush;
use steps::Act;
use storm::Storm;

const KILLS: u64 = 1000;
/// What `mod_session_rs` promises whoever waits for a dead holder.
const PROMISED: Duration = Duration::from_millis(150);

fn ground() -> Ground {
    Ground::new(Geometry { stripes: 2, leases: 8, waiters: 32, processes: PROCESSES })
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort();
    values[values.len() / 2]
}

#[test]
fn a_thousand_kills_violate_nothing_and_delay_nobody_for_long() {
    let (_turn, ground) = (turn(), ground());
    let (board, started) = (ground.board(), Instant::now());
    let _metronome = metronome::start(board);
    let mut storm = Storm::start(&ground, 12);
    for _ in 0..KILLS {
        sleep(Duration::from_millis(9));
        storm.kill_one();
    }
    storm.end();
    let sections = judge::counted(board);
    let (longest, stood_still) = (metronome::longest_wait(board), metronome::stood_still(board));
    print(&format!("{KILLS} kills in {:.1?}, {sections} critical sections; waits: {}", started.elapsed(), board.waits));
    print(&format!("longest wait {longest:.1?} without the {stood_still:.1?} in which the machine ran others"));
    board.assert_no_violation();
    assert!(sections > 2 * KILLS, "a storm that hardly locks proves little");
    assert!(longest < Duration::from_millis(300), "somebody waited for {longest:?}");
}

#[test]
fn without_kills_nobody_sleeps_while_the_lease_is_free() {
    let (_turn, ground) = (turn(), ground());
    let rush = Rush::start(&ground, 8, Duration::from_micros(300));
    let stalls = rush.stalls_within(Duration::from_secs(3));
    rush.end();
    let hand_offs = &ground.board().hand_offs;
    print(&format!("{} hand-offs among 8: {hand_offs}; {stalls} stalls", hand_offs.count()));
    ground.board().assert_no_violation();
    assert_eq!(stalls, 0, "all slept");
    // What else it may take on a machine that builds beside the test.
    assert!(hand_offs.quantile(0.5) < Duration::from_millis(5), "{hand_offs}");
}

#[test]
fn a_stopped_holder_keeps_its_lease() {
    let (_turn, ground) = (turn(), ground());
    let holder = Actor::start(&ground, 1, "GET /stopped", &wait(0));
    assert_eq!(holder.answer(), "held");
    holder.stop();
    let (short, long) = (Actor::start(&ground, 2, "GET /short", &wait(400)), Actor::start(&ground, 3, "GET /long", &wait(ground::PATIENT)));
    let answer = short.answer();
    let named = format!("Timeout(Some(Holder {{ pid: {}, age: ", holder.pid());
    assert!(answer.starts_with(&named) && answer.ends_with("label: \"GET /stopped\" }))"), "{answer}");
    assert_eq!(long.answered(), None);
    holder.child.signal(Signal::CONT);
    holder.let_go();
    assert_eq!(long.answer(), "held");
    long.let_go();
    ground.board().assert_no_violation();
}

#[test]
fn a_killed_waiter_takes_no_place_of_the_queue_or_of_the_crowd() {
    let _turn = turn();
    let two_in_the_queue = Wait { queue: 2, ..wait(ground::PATIENT) };
    let two_in_the_crowd = Wait { crowd: 2, ..wait(ground::PATIENT) };
    for (narrow, refusal) in [(two_in_the_queue, "QueueFull(Some(Holder"), (two_in_the_crowd, "Crowded(2)")] {
        let ground = ground();
        let holder = Actor::start(&ground, 1, "GET /", &wait(0));
        assert_eq!(holder.answer(), "held");
        let waiters = [2, 3].map(|number| Actor::start(&ground, number, "GET /", &narrow));
        until("two wait", || waiting(&ground) == 2);
        let refused = Actor::start(&ground, 4, "GET /", &narrow).answer();
        assert!(refused.starts_with(refusal), "{refused}");
        // A process that attaches takes what the dead left there; this one did so before.
        let board = ground.board();
        let after_the_death = || {
            board.served[5].store(1, Ordering::Release);
            until("one died", || board.has_begun());
        };
        let next = Actor::start_after(&ground, 5, "GET /", &narrow, after_the_death);
        until("it is attached", || board.served[5].load(Ordering::Acquire) == 1);
        waiters[0].kill();
        until("it is a zombie", || kernel::state(waiters[0].pid()) == Some('Z'));
        board.begun.store(1, Ordering::Release);
        until("it waits beside the other", || waiting(&ground) == 2);
        let refused = Actor::start(&ground, 6, "GET /", &narrow).answer();
        assert!(refused.starts_with(refusal), "only the dead one's place came free: {refused}");
        holder.let_go();
        assert_eq!(waiters[1].answer(), "held");
        waiters[1].let_go();
        assert_eq!(next.answer(), "held");
        ground.board().assert_no_violation();
    }
}

#[test]
fn several_that_die_at_once_are_passed_over_together() {
    let _turn = turn();
    let took = (0..9).map(|_| {
        let ground = ground();
        let holder = Actor::start(&ground, 1, "GET /", &wait(0));
        assert_eq!(holder.answer(), "held");
        let queue: Vec<Actor<'_>> = (2..8)
            .map(|number| {
                let waiter = Actor::start(&ground, number, "GET /", &wait(ground::PATIENT));
                until("it waits", || waiting(&ground) == number - 1);
                waiter
            })
            .collect();
        let died = monotonic();
        holder.kill();
        queue[..4].iter().for_each(Actor::kill);
        assert_eq!(queue[4].answer(), "held");
        let took = Duration::from_nanos(queue[4].answered().expect("an answer") - died);
        queue[4].let_go();
        assert_eq!(queue[5].answer(), "held");
        ground.board().assert_no_violation();
        took
    });
    let took: Vec<Duration> = took.collect();
    print(&format!("five dead at once, the next had the lease after {took:.1?}"));
    assert!(median(took.clone()) < PROMISED, "{took:?}");
}

/// `MSRS_LEASE_STRIDE=1` tries each instruction, which takes long.
#[test]
fn a_death_at_any_instruction_lets_all_others_have_the_lease() {
    let _turn = turn();
    // Small, for who is stepped is slow.
    let ground = || Ground::new(Geometry { stripes: 1, leases: 2, waiters: 4, processes: 8 });
    let stride = std::env::var("MSRS_LEASE_STRIDE").map_or(0, |text| text.parse().expect("a number"));
    for act in [Act::Taking, Act::Queueing, Act::Releasing] {
        let Some((all, _)) = steps::dies_after(&ground(), act, usize::MAX) else {
            return print("nobody may be stepped here: not tested");
        };
        // Other instructions each time, for they are too many for each.
        let stride = if stride == 0 { all.div_ceil(16).max(2) } else { stride };
        let first = usize::try_from(monotonic() / 1000).expect("a number") % stride;
        let started = Instant::now();
        let mut delays = Vec::new();
        let steps = all.div_ceil(stride);
        // Scattered, for the last ones may not be reached (7 shares no factor with 16 and 17).
        for n in (0..steps).map(|i| first + if stride > 1 { i * 7 % steps } else { i } * stride).filter(|&n| n < all) {
            // Single steps are slow where others want the processors too.
            if delays.len() >= 3 && stride > 1 && started.elapsed() > Duration::from_secs(8) {
                break;
            }
            delays.extend(steps::dies_after(&ground(), act, n).map(|(_, delay)| delay));
        }
        delays.sort();
        let worst = delays[delays.len() - 1];
        print(&format!(
            "{act:?}: {} deaths within {all} instructions; delay p50 {:.1?}, max {worst:.1?}",
            delays.len(),
            median(delays.clone())
        ));
        // Each healed; how soon, the machine may blur for some.
        assert!(median(delays.clone()) < PROMISED, "{delays:?}");
    }
}

#[test]
fn who_waits_is_served_as_often_as_the_others() {
    let (_turn, ground) = (turn(), ground());
    let rush = Rush::start(&ground, 32, Duration::from_micros(50));
    rush.until_each_was_served(5); // by then all wait in the queue
    let before = rush.served();
    rush.until_each_was_served(405);
    let served: Vec<_> = rush.served().iter().zip(before).map(|(count, before)| count - before).collect();
    rush.end();
    let (least, most) = (*served.iter().min().expect("32"), *served.iter().max().expect("32"));
    print(&format!("32 processes were served {least} to {most} times; hand-offs: {}", ground.board().hand_offs));
    ground.board().assert_no_violation();
    assert!((most - least) * 20 <= most, "{served:?}");
}

#[test]
fn who_cannot_open_a_file_takes_nobody_for_dead() {
    let (_turn, ground) = (turn(), ground());
    let holder = Actor::start(&ground, 1, "GET /", &wait(0));
    assert_eq!(holder.answer(), "held");
    let waiter = Actor::start(&ground, 2, "GET /", &wait(ground::PATIENT));
    until("one waits", || waiting(&ground) == 1);
    let no_descriptors = || {
        let limit = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Nofile, limit).expect("a lower limit");
    };
    let poor = Actor::start_after(&ground, 3, "GET /", &wait(300), no_descriptors);
    let answer = poor.answer();
    assert!(answer.starts_with("Timeout("), "{answer}");
    assert_eq!((waiting(&ground), waiter.answered()), (1, None));
    holder.let_go();
    assert_eq!(waiter.answer(), "held");
    waiter.let_go();
    ground.board().assert_no_violation();
}
