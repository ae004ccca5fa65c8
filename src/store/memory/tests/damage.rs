//! Words that nobody of ours wrote, and mutexes that are not granted.

use super::*;

#[test]
fn what_was_replaced_or_deleted_is_not_in_the_memory_any_more() {
    let ground = ground(MIB);
    for (n, size) in [(1, 100), (2, 30_000)] {
        let secret = format!("record {n} version 1 ");
        ground.create(n, &blob(n, 1, size));
        assert!(ground.holds(secret.as_bytes()));
        ground.store.update(&key(n), PROCESS, &mut |_| Change::Replace(blob(n, 2, 200))).unwrap();
        assert!(!ground.holds(secret.as_bytes()));
        ground.delete(n);
        assert!(!ground.holds(format!("record {n} ").as_bytes()));
    }
}

#[test]
fn a_record_with_any_word_changed_is_damage_and_is_put_out_of_the_way_alone() {
    for (size, at) in [(100, 0), (100, 5), (100, 6), (100, 7), (100, 9), (12_000, 600), (12_000, 1023)] {
        let ground = ground(MIB);
        for n in 0..50 {
            ground.create(n, &blob(n, 1, size));
        }
        let slot = index::candidates(ground.store.memory, ground.store.memory.place(&key(7))).next().unwrap();
        let block = ground.store.memory.block(slot.1.address(), at + 1).unwrap();
        block[at].fetch_xor(1 << 33 | 4, Ordering::Relaxed);
        let damaged = || matches!(ground.store.load(&key(7)), Err(Error::Corrupt(_)));
        assert!(damaged(), "word {at}");
        assert!(matches!(ground.write(7, &blob(7, 2, 9)), Err(Error::Corrupt(_))));
        let mut shown = 0;
        let mut show = |_: &Key, entry: Entry| {
            shown += u32::from(matches!(entry, Entry::Corrupt));
            true
        };
        ground.store.each(&mut show).unwrap();
        assert_eq!(shown, 1);
        if size == 100 {
            ground.store.quarantine(&key(7), &|_| false).unwrap();
        } else {
            let swept = ground.store.sweep(Timestamp(1 << 40), Duration::from_secs(9), Cursor::default(), &mut |_, _| {}).unwrap();
            assert_eq!((swept.corrupt, swept.deleted), (1, 49));
            assert!(swept.damage.unwrap().contains(&key(7).reference().to_string()));
        }
        assert_eq!(ground.load(7), None);
        assert!(ground.create(7, &blob(7, 3, 10)));
        ground.audit();
    }
}

#[test]
fn what_was_loaded_is_not_taken_for_a_record_whose_blocks_cannot_be_told_any_more() {
    for (size, at) in [(100, 0), (100, 3), (100, 5), (100, 6), (12_000, 6), (12_000, 600), (12_000, 1023)] {
        let ground = ground(MIB);
        (0..50).for_each(|n| assert!(ground.create(n, &blob(n, 1, size))));
        let loaded = ground.store.load(&key(7)).unwrap().unwrap();
        let slot = index::candidates(ground.store.memory, ground.store.memory.place(&key(7))).next().unwrap();
        let word = &ground.store.memory.block(slot.1.address(), at + 1).unwrap()[at];
        word.fetch_xor(1 << 33 | 4, Ordering::Relaxed);
        for change in [Change::Write(blob(7, 2, 9)), Change::Delete] {
            let outcome = ground.store.update_from(&key(7), Some(&loaded), PROCESS, &mut |_| change.clone());
            // Of one whose key was changed nobody knows whose it is.
            assert!(matches!(outcome, Err(Error::Corrupt(_))) || (at == 3 && outcome.unwrap() == Outcome::Kept), "word {at}");
        }
        (0..50).filter(|n| *n != 7).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 1, size))));
    }
}

#[test]
fn what_its_reader_calls_damaged_goes_and_what_is_whole_stays() {
    let ground = ground(MIB);
    for n in 0..2 {
        ground.create(n, &blob(n, 1, 10));
        ground.store.quarantine(&key(n), &|blob| blob.bytes.starts_with(b"record 1 ")).unwrap();
    }
    assert_eq!((ground.load(0), ground.load(1)), (Some(blob(0, 1, 10)), None));
}

#[test]
fn memory_full_of_nonsense_makes_no_session_and_no_panic() {
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..20 {
        let words = memory(MIB);
        Memory::format(words, Geometry::of(MIB).unwrap());
        for n in 0..100 {
            attach(words).create(n, &blob(n, 1, 300));
        }
        for _ in 0..20_000 {
            let at = random.usize(64..words.len());
            // Like what may stand there, or anything.
            let other = words[random.usize(..words.len())].load(Ordering::Relaxed);
            words[at].store(if random.bool() { random.u64(..) } else { other ^ 1 << random.u8(..64) }, Ordering::Relaxed);
        }
        let ground = attach(words);
        if round % 2 == 0 {
            MemoryStore::distrust(ground.store.memory);
            ground.audit();
        }
        for n in 0..100 {
            assert!(ground.store.load(&key(n)).is_ok_and(|found| found.is_none_or(|found| found == blob(n, 1, 300))) || round % 2 == 1);
        }
        let _ = ground.store.sweep(Timestamp(500), Duration::from_secs(9), Cursor::default(), &mut |_, _| {});
    }
}

#[test]
fn a_mutex_that_is_not_granted_is_an_error_that_says_so() {
    struct Never;
    impl Exclusion for Never {
        fn under(&self, _: usize, _: &mut dyn FnMut()) -> std::result::Result<(), String> {
            Err("not granted in time".into())
        }
    }
    let mut ground = ground(MIB);
    ground.create(1, &blob(1, 1, 10));
    ground.store.around.exclusion = Box::new(Never);
    assert_eq!(ground.load(1), Some(blob(1, 1, 10)), "reading takes no mutex");
    let why = ground.write(1, &blob(1, 2, 10)).unwrap_err().to_string();
    assert!(why.contains("SessionStore memory:1M in /s") && why.contains("not granted"), "{why}");
    assert!(ground.store.create(&key(2), &blob(2, 1, 1), PROCESS).is_err());
}

#[test]
fn what_a_crash_of_the_machine_left_in_pieces_is_told_of_once() {
    let ground = ground(MIB);
    for n in 0..50 {
        ground.create(n, &blob(n, 1, 300));
    }
    for n in [7, 8] {
        let slot = index::candidates(ground.store.memory, ground.store.memory.place(&key(n))).next().unwrap();
        ground.store.memory.block(slot.1.address(), 20).unwrap()[19].fetch_xor(1, Ordering::Relaxed);
    }
    MemoryStore::distrust(ground.store.memory);
    assert_eq!((ground.load(6), ground.store.create(&key(7), &blob(7, 2, 1), PROCESS).unwrap()), (Some(blob(6, 1, 300)), true));
    let pass = || ground.store.sweep(Timestamp(1), Duration::from_secs(9), Cursor::default(), &mut |_, _| {}).unwrap();
    let told = pass();
    assert_eq!((told.seen, told.corrupt), (49, 2));
    assert!(told.damage.is_some_and(|text| text.contains("SessionStore memory:1M in /s") && text.contains("crash")));
    let again = pass();
    assert_eq!((again.corrupt, again.damage), (0, None));
}

#[test]
fn a_damaged_record_that_has_to_go_takes_nothing_of_others_with_it() {
    let ground = ground(MIB);
    let passing = |n: u64| Blob::new(Timestamp(1 << 40), format!("passing {n} {:300}", "").into_bytes());
    for n in 0..200 {
        ground.create(n, &if n % 2 == 0 { passing(n) } else { blob(n, 1, 300) });
    }
    for n in (0..200).step_by(20) {
        let slot = index::candidates(ground.store.memory, ground.store.memory.place(&key(n))).next().unwrap();
        // Its length says that it is in other blocks than it is.
        ground.store.memory.block(slot.1.address(), 8).unwrap()[6].store(5000, Ordering::Relaxed);
    }
    (1000..8000).for_each(|n| assert!(ground.create(n, &passing(n))));
    (1..200).step_by(2).for_each(|n| assert_eq!(ground.load(n), Some(blob(n, 1, 300))));
    ground.audit();
}

#[test]
fn a_count_of_pages_that_a_death_made_wrong_does_not_pass_below_zero() {
    let ground = ground(MIB);
    ground.create(1, &blob(1, 1, 300));
    ground.store.memory.pages_taken().store(0, Ordering::Relaxed);
    ground.delete(1);
    assert_eq!(ground.store.memory.pages_taken().load(Ordering::Relaxed), 0);
    ground.audit();
}
