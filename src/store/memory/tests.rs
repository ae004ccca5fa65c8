use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use layout::{CLASSES, Geometry, blocks_per_page};

mod damage;
mod deaths;
mod full;

const MIB: u64 = 1 << 20;
const PROCESS: Durability = Durability::Process;

/// A mutex for each partition, among threads.
struct Threads(Vec<Mutex<()>>);

impl Exclusion for Threads {
    fn under(&self, partition: usize, section: &mut dyn FnMut()) -> std::result::Result<(), String> {
        let _guard = self.0[partition].lock().unwrap_or_else(PoisonError::into_inner);
        section();
        Ok(())
    }
}

struct Ground {
    store: MemoryStore,
    words: &'static [AtomicU64],
    /// What was told of records that had to go.
    told: Arc<Mutex<Vec<u64>>>,
}

fn memory(bytes: u64) -> &'static [AtomicU64] {
    let words: Vec<_> = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
    words.leak()
}

fn ground(bytes: u64) -> Ground {
    let words = memory(bytes);
    Memory::format(words, Geometry::of(bytes).unwrap());
    attach(words)
}

fn attach(words: &'static [AtomicU64]) -> Ground {
    let memory = Memory::attach(words).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let around = Surroundings {
        name: "SessionStore memory:1M in /s".into(),
        exclusion: Box::new(Threads((0..memory.geometry.partitions).map(|_| Mutex::new(())).collect())),
        is_passing: |blob| blob.bytes.starts_with(b"passing"),
        dropped: Box::new({
            let told = Arc::clone(&told);
            move |number| told.lock().unwrap().push(number)
        }),
    };
    Ground { store: MemoryStore::new(memory, around), words, told }
}

fn key(n: u64) -> Key {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    Key(bytes)
}

/// A record that shows whose and which it is, of about this size.
fn blob(n: u64, version: u64, size: usize) -> Blob {
    let mut bytes = format!("record {n} version {version} ").into_bytes();
    let filler = bytes.clone();
    bytes.extend(filler.iter().cycle().take(size));
    Blob::new(Timestamp(1000 + version), bytes)
}

impl Ground {
    fn create(&self, n: u64, blob: &Blob) -> bool {
        self.store.create(&key(n), blob, PROCESS).unwrap()
    }

    fn write(&self, n: u64, blob: &Blob) -> Result<Outcome> {
        self.store.update(&key(n), PROCESS, &mut |_| Change::Write(blob.clone()))
    }

    fn delete(&self, n: u64) {
        assert_eq!(self.store.update(&key(n), PROCESS, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
    }

    fn load(&self, n: u64) -> Option<Blob> {
        self.store.load(&key(n)).unwrap()
    }

    fn partitions(&self) -> impl Iterator<Item = usize> {
        0..self.store.memory.geometry.partitions
    }

    /// Lists and counts are those that a healer makes of the index, and what is free is zero.
    fn audit(&self) {
        // The first pages of lists come in another order, and an empty page may be kept in reserve.
        let counts = || -> Vec<u64> {
            let mut taken = self.store.memory.pages_taken().load(Ordering::Relaxed);
            let mut counts = Vec::new();
            for partition in self.partitions().map(|number| Partition::new(self.store.memory, number)) {
                for class in 0..CLASSES.len() {
                    let empty = partition.listed(class).filter(|page| page.used() == 0).count() as u64;
                    taken -= empty;
                    counts.extend([
                        partition.free(class).load(Ordering::Relaxed) - empty * blocks_per_page(class) as u64,
                        partition.used(class).load(Ordering::Relaxed),
                    ]);
                }
            }
            counts.push(taken);
            counts
        };
        let content = || -> Vec<u64> {
            let heap = self.store.memory.geometry.pages * PAGE;
            self.words[self.words.len() - heap..].iter().map(|word| word.load(Ordering::Relaxed)).collect()
        };
        self.enter_all();
        let (counted, held) = (counts(), content());
        MemoryStore::distrust(self.store.memory);
        self.enter_all();
        assert!(counts() == counted, "lists or counts were wrong");
        assert!(content() == held, "something stayed in a free block");
    }

    fn enter_all(&self) {
        self.partitions().for_each(|partition| self.store.in_section(partition, |_| ()).unwrap());
    }

    /// As if time had passed since it was done in vain.
    fn look_for_room_again(&self) {
        self.store.memory.exhausted().store(0, Ordering::Relaxed);
    }

    fn holds(&self, text: &[u8]) -> bool {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        bytes.windows(text.len()).any(|window| window == text)
    }
}

#[test]
fn it_keeps_the_promises_of_a_store() {
    for bytes in [16 * MIB, 64 * MIB] {
        crate::store::conformance::run(&ground(bytes).store);
    }
}

#[test]
fn a_history_of_any_sizes_leaves_what_it_should_and_takes_no_more_than_that() {
    let ground = ground(8 * MIB);
    let mut random = fastrand::Rng::with_seed(7);
    let mut expected = std::collections::HashMap::new();
    for version in 0..20_000 {
        let n = random.u64(..900);
        let size = [10, 100, 400, 1000, 3000, 9000, 30_000][random.usize(..7)];
        let blob = blob(n, version, random.usize(..size));
        match expected.remove(&n) {
            None => assert!(ground.create(n, &blob)),
            Some(_) if random.u8(..4) == 0 => {
                ground.delete(n);
                continue;
            }
            Some(before) => {
                let mut shown = None;
                let mut change = |found: Option<&Blob>| {
                    shown = found.cloned();
                    Change::Write(blob.clone())
                };
                assert_eq!(ground.store.update(&key(n), PROCESS, &mut change).unwrap(), Outcome::Written);
                assert_eq!(shown, Some(before));
            }
        }
        expected.insert(n, blob);
        if version % 5000 == 0 {
            ground.audit();
        }
    }
    for n in 0..900 {
        assert_eq!(ground.load(n).as_ref(), expected.get(&n));
    }
    let mut seen = 0;
    ground
        .store
        .each(&mut |_, _| {
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, expected.len());
    expected.keys().for_each(|&n| ground.delete(n));
    ground.audit();
    let taken = ground.store.memory.pages_taken().load(Ordering::Relaxed);
    assert!(taken <= 2, "{taken} pages are taken by nothing but further buckets");
}

#[test]
fn a_pass_over_much_empty_memory_is_cut_into_slices_too() {
    let ground = ground(64 * MIB);
    let (mut next, mut slices) = (Some(Cursor::default()), 0);
    while let Some(from) = next {
        next = ground.store.sweep(Timestamp(9), Duration::ZERO, from, &mut |_, _| {}).unwrap().next;
        slices += 1;
    }
    assert!((10..100).contains(&slices), "{slices} slices");
}

#[test]
fn more_records_than_places_in_the_index_are_all_found() {
    let ground = ground(MIB);
    // The places are for records of 256 bytes.
    let many = MIB / 256;
    let all = 0..many * 6 / 5;
    for n in all.clone() {
        assert!(ground.create(n, &Blob::new(Timestamp(n), n.to_le_bytes().to_vec())));
    }
    for n in all {
        assert_eq!(*ground.load(n).unwrap().bytes, n.to_le_bytes());
    }
    ground.audit();
}

#[test]
fn readers_beside_writers_see_whole_records_and_never_an_older_one() {
    let ground = ground(MIB);
    let sizes = [0, 50, 300, 700, 12_000];
    let done = std::sync::atomic::AtomicBool::new(false);
    let version = |blob: &Blob| blob.expires.0 - 1000;
    for n in 0..4 {
        ground.create(n, &blob(n, 0, 0));
    }
    std::thread::scope(|scope| {
        let (ground, done) = (&ground, &done);
        for reader in 0..3 {
            scope.spawn(move || {
                let mut newest = [0; 4];
                let mut n = reader;
                while !done.load(Ordering::Relaxed) {
                    n = (n + 1) % 4;
                    let found = ground.load(n).expect("a record that is there all the time");
                    let version = version(&found);
                    assert!(version >= newest[n as usize], "{version} after {}", newest[n as usize]);
                    newest[n as usize] = version;
                    assert_eq!(found, blob(n, version, sizes[version as usize % 5]));
                }
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let n = (round + writer) % 4;
                        let change = &mut |found: Option<&Blob>| {
                            let next = version(found.unwrap()) + 1;
                            Change::Write(blob(n, next, sizes[next as usize % 5]))
                        };
                        assert_eq!(ground.store.update(&key(n), PROCESS, change).unwrap(), Outcome::Written);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((0..4).map(|n| version(&ground.load(n).unwrap())).sum::<u64>(), 40_000);
    ground.audit();
}
