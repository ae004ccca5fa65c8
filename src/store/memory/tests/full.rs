//! A store that has no room left.

use super::*;

fn passing(n: u64, size: usize) -> Blob {
    let text = format!("passing {n} ");
    Blob::new(Timestamp(1 << 40), text.bytes().cycle().take(text.len() + size).collect::<Vec<_>>())
}

fn is_full(result: Result<bool>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("SessionStore memory:1M in /s") && text.contains("full of sessions in use"), "{text}");
            true
        }
    }
}

impl Ground {
    /// Creates records from a number on until there is no room; answers the number of the first that found none.
    fn fill(&self, from: u64, size: usize) -> u64 {
        (from..).find(|&n| is_full(self.store.create(&key(n), &blob(n, 0, size), PROCESS))).unwrap()
    }
}

#[test]
fn what_is_passing_goes_first_and_the_oldest_of_it_before_the_rest() {
    for bytes in [MIB, 16 * MIB] {
        let ground = ground(bytes);
        let kept = bytes / 4096;
        (0..kept).for_each(|n| assert!(ground.create(n, &blob(n, 0, 300))));
        let all = kept..kept + bytes / 150;
        all.clone().for_each(|n| assert!(ground.create(n, &passing(n, 300))));
        (0..kept).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 0, 300))));
        let there: Vec<_> = all.clone().filter(|&n| ground.load(n).is_some()).collect();
        let dropped = all.end - all.start - there.len() as u64;
        assert!(dropped > bytes / 1500 && there.len() as u64 > bytes / 1500, "{dropped} of {}", all.end - all.start);
        assert_eq!(ground.store.memory.dropped()[0].load(Ordering::Relaxed), dropped);
        // All that is younger than the youngest that had to go, by a sixteenth of the time at most.
        let youngest_dropped = all.clone().rev().find(|&n| ground.load(n).is_none()).unwrap();
        let spread = youngest_dropped - there[0].min(youngest_dropped);
        assert!(spread <= (all.end - there[0]) / 8, "{spread} of {}", all.end - there[0]);
        assert_eq!(ground.told.lock().unwrap().len(), 1, "told once a minute");
        ground.audit();
    }
}

#[test]
fn what_is_presented_in_time_stays() {
    let ground = ground(MIB);
    for n in 0..20 {
        ground.create(n, &passing(n, 300));
        ground.write(n, &blob(n, 1, 300)).unwrap();
    }
    (100..10_000).for_each(|n| assert!(ground.create(n, &passing(n, 300))));
    (0..20).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 1, 300))));
}

#[test]
fn a_full_store_refuses_what_is_new_and_writes_what_is_there() {
    for size in [20, 300, 5000, 20_000] {
        let ground = ground(MIB);
        let end = ground.fill(0, size);
        assert!(end >= 600_000 / (size as u64 + 110), "{end} records of {size} bytes");
        for version in 1..4 {
            (0..end).for_each(|n| assert_eq!(ground.write(n, &blob(n, version, size)).unwrap(), Outcome::Written));
        }
        (0..end).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 3, size))));
        // There is room again as soon as something goes.
        ground.delete(0);
        ground.look_for_room_again();
        assert!(ground.create(0, &blob(0, 9, size)));
        ground.audit();
    }
}

#[test]
fn sessions_of_a_full_store_may_grow_into_its_reserve() {
    let ground = ground(16 * MIB);
    let end = ground.fill(0, 300);
    (0..end / 100).for_each(|n| assert_eq!(ground.write(n, &blob(n, 1, 600)).unwrap(), Outcome::Written));
    let grown = (0..end).take_while(|&n| ground.write(n, &blob(n, 1, 2500)).is_ok()).count() as u64;
    assert!(grown < end, "there was no end to it");
    (0..end).for_each(|n| assert!(ground.load(n).is_some()));
    (grown..end).for_each(|n| assert_eq!(ground.write(n, &ground.load(n).unwrap()).unwrap(), Outcome::Written));
    ground.audit();
}

#[test]
fn pages_that_are_hardly_used_are_tidied_up_for_others() {
    let ground = ground(16 * MIB);
    let end = ground.fill(0, 300);
    (0..end).filter(|n| n % 20 > 0).for_each(|n| ground.delete(n));
    ground.look_for_room_again();
    let more = ground.fill(1 << 40, 2000) - (1 << 40);
    assert!(more > 5500, "{more} records of 2 kB in what {} of 300 bytes left", end / 20);
    (0..end).step_by(20).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 0, 300))));
    ground.audit();
}

#[test]
fn a_record_that_would_drive_out_all_others_is_refused_with_the_remedy() {
    let ground = ground(MIB);
    ground.create(1, &passing(1, 10));
    let why = ground.store.create(&key(2), &blob(2, 0, 1 << 18), PROCESS).unwrap_err().to_string();
    assert!(why.contains("more than an eighth") && why.contains("larger size"), "{why}");
    assert!(ground.write(1, &blob(1, 0, 1 << 18)).is_err());
    assert_eq!(ground.load(1), Some(passing(1, 10)));
}

/// In a page of its own, if all others are full.
#[test]
fn a_healer_leaves_a_free_block_to_who_writes_again() {
    let ground = ground(MIB);
    (0..5).for_each(|n| assert!(ground.create(n, &blob(n, 0, 8000))));
    ground.delete(0);
    ground.audit();
    let partition = Partition::new(ground.store.memory, 0);
    assert!((0..layout::CLASSES.len()).all(|class| !partition.has_no_spare(class)));
    (1..5).for_each(|n| assert_eq!(ground.write(n, &blob(n, 1, 8000)).unwrap(), Outcome::Written));
}
