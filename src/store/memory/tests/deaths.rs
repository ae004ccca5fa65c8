//! Deaths within this process: see [`crate::faults::window`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::faults::window;

/// Records that have nothing to do with what dies.
const OTHERS: u64 = 60;
const SIZES: [usize; 6] = [0, 120, 350, 900, 4000, 20_000];

fn other(n: u64) -> Blob {
    blob(n, 0, SIZES[n as usize % SIZES.len()])
}

/// Does something again and again, and dies at the first, second, third point of it, until it comes to its end.
fn dies_everywhere(what: &str, before: Option<Blob>, after: Option<Blob>, act: impl Fn(&Ground)) {
    let mut deaths = 0;
    loop {
        let ground = ground(MIB);
        (1..=OTHERS).for_each(|n| assert!(ground.create(n, &other(n))));
        (1..=OTHERS).step_by(3).for_each(|n| ground.delete(n));
        if let Some(before) = &before {
            assert!(ground.create(0, before));
        }
        window::die_after(deaths);
        let done = catch_unwind(AssertUnwindSafe(|| act(&ground))).is_ok();
        if window::survived() {
            assert!(done, "{what} failed by itself");
            assert_eq!(ground.load(0), after);
            break;
        }
        deaths += 1;
        for healed in [false, true] {
            if healed {
                ground.enter_all();
            }
            let found = ground.load(0);
            assert!(found == before || found == after, "{what}, death {deaths}, healed {healed}: {found:?}");
            for n in 1..=OTHERS {
                assert_eq!(ground.load(n), (n % 3 != 1).then(|| other(n)), "{what}, death {deaths}, healed {healed}");
            }
        }
        assert_eq!(ground.store.memory.damaged()[0].load(Ordering::Relaxed), 0);
        ground.audit();
    }
    assert!(deaths >= 3, "{what} has {deaths} points");
}

#[test]
fn a_death_between_any_two_writes_leaves_the_old_state_or_the_new_one_and_heals() {
    let (small, other_class, chain) = (blob(0, 1, 300), blob(0, 2, 2000), blob(0, 3, 30_000));
    let same_class = blob(0, 4, 301);
    for new in [&small, &chain] {
        dies_everywhere("create", None, Some(new.clone()), |ground| assert!(ground.create(0, new)));
    }
    for (old, new) in [(&small, &same_class), (&small, &other_class), (&small, &chain), (&chain, &small), (&chain, &chain)] {
        dies_everywhere("update", Some(old.clone()), Some(new.clone()), |ground| {
            assert_eq!(ground.write(0, new).unwrap(), Outcome::Written)
        });
    }
    for old in [&small, &chain] {
        dies_everywhere("delete", Some(old.clone()), None, |ground| ground.delete(0));
    }
    let expired = Blob { expires: Timestamp(1), ..small.clone() };
    dies_everywhere("sweep", Some(expired), None, |ground| {
        ground.store.sweep(Timestamp(9), Duration::from_secs(9), Cursor::default(), &mut |_, _| {}).unwrap();
    });
    // Healing itself.
    dies_everywhere("heal", Some(small.clone()), Some(small), |ground| {
        MemoryStore::distrust(ground.store.memory);
        ground.enter_all();
    });
}

#[test]
fn a_death_while_room_is_made_loses_nothing_but_what_is_passing() {
    for deaths in (0..).step_by(53) {
        let ground = ground(MIB);
        let mut n = 0;
        // So that pages are hardly used, and some of what is left is passing.
        while ground.store.create(&key(n), &blob(n, 0, 300), PROCESS).is_ok() {
            n += 1;
        }
        (0..n).filter(|n| n % 3 > 0).for_each(|n| ground.delete(n));
        ground.look_for_room_again();
        let passing = |n: u64| Blob::new(Timestamp(n), format!("passing {n} {:500}", "").into_bytes());
        let more = n..n + 200;
        more.clone().for_each(|n| assert!(ground.create(n, &passing(n))));
        window::die_after(deaths);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            for n in 0..40 {
                ground.store.create(&key(1 << 40 | n), &blob(n, 0, 9000), PROCESS).unwrap();
            }
        }));
        let survived = window::survived();
        for healed in [false, true] {
            if healed {
                ground.enter_all();
            }
            (0..n).step_by(3).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 0, 300)), "death {deaths}"));
            more.clone().for_each(|n| assert!(ground.load(n).is_none_or(|found| found == passing(n))));
        }
        ground.audit();
        if survived {
            assert!(deaths > 500, "{deaths} points");
            break;
        }
    }
}
