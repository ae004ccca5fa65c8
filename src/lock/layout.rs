//! Where what lies in the shared memory: a head, a cell for each process, and the stripes with their leases. Futex words are apart,
//! for they are half as wide. Everything is an atomic, nothing a pointer.
//!
//! ```text
//! head       version, geometry, server, flag
//! processes  {who, waiting} each
//! stripes    {counter, used, hash of each lease, each lease {token, start, since, abandoned, label, its places}} each
//! futexes    one for each place in the queue of each lease
//! ```

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::entry::{ENTRY_HEAD, Entry, LABEL_WORDS};
use super::process::Process;

/// "MSRSLCK" and the version of this layout.
const VERSION: u64 = u64::from_be_bytes(*b"MSRSLCK\x01");
const HEAD: usize = 8;
/// A cache line each: all processes write their own.
const PROCESS: usize = 8;
const STRIPE_HEAD: usize = 8;

/// How much there is of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub stripes: usize,
    /// Per stripe.
    pub leases: usize,
    /// Per lease.
    pub waiters: usize,
    pub processes: usize,
}

impl Geometry {
    /// A table that does not fill up: `workers` leases are held at most, and hashes spread them over the stripes.
    #[must_use]
    pub fn new(stripes: usize, workers: usize, waiters: usize, processes: usize) -> Geometry {
        let stripes = stripes.max(1);
        let mean = workers.div_ceil(stripes);
        // Eight standard deviations above the mean: less than one in 10^12.
        let leases = (mean + 8 * mean.isqrt() + 16).min(workers.max(1));
        Geometry { stripes, leases, waiters: waiters.max(1), processes }
    }

    /// Places in a queue: one more than may wait, for who was chosen leaves its own only when it wakes.
    fn places(&self) -> usize {
        self.waiters + 1
    }

    fn entry(&self) -> usize {
        (ENTRY_HEAD + LABEL_WORDS + 2 * self.places()).next_multiple_of(8)
    }

    fn stripe(&self) -> usize {
        STRIPE_HEAD + self.leases.next_multiple_of(8) + self.leases * self.entry()
    }

    /// 64-bit words in all.
    #[must_use]
    pub fn words(&self) -> usize {
        HEAD + self.processes * PROCESS + self.stripes * self.stripe()
    }

    /// 32-bit words behind them.
    #[must_use]
    pub fn futexes(&self) -> usize {
        (self.stripes * self.leases * self.places()).next_multiple_of(2)
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.words() * 8 + self.futexes() * 4
    }
}

/// The shared memory, in its layout.
#[derive(Clone, Copy)]
pub struct Memory<'m> {
    words: &'m [AtomicU64],
    futexes: &'m [AtomicU32],
    pub geometry: Geometry,
}

impl<'m> Memory<'m> {
    /// Takes zeroed memory into use.
    ///
    /// # Panics
    /// The memory has not the size that the geometry asks for.
    #[must_use]
    pub fn format(words: &'m [AtomicU64], futexes: &'m [AtomicU32], geometry: Geometry, server: Process) -> Memory<'m> {
        assert!(words.len() >= geometry.words() && futexes.len() >= geometry.futexes());
        let Geometry { stripes, leases, waiters, processes } = geometry;
        let head = [stripes as u64, leases as u64, waiters as u64, processes as u64, u64::from(server.pid), server.start];
        for (word, value) in words[1..].iter().zip(head) {
            word.store(value, Ordering::Relaxed);
        }
        words[0].store(VERSION, Ordering::Release);
        Memory { words, futexes, geometry }
    }

    /// Reads the geometry of memory in use from its first words; `None`: it is of another version, or none of ours.
    #[must_use]
    pub fn geometry_of(words: &[AtomicU64]) -> Option<Geometry> {
        let word = |i: usize| words.get(i).map(|word| word.load(Ordering::Acquire));
        let number = |i| usize::try_from(word(i)?).ok().filter(|&n| n < 1 << 24);
        if word(0)? != VERSION {
            return None;
        }
        Some(Geometry { stripes: number(1)?, leases: number(2)?, waiters: number(3)?, processes: number(4)? })
    }

    /// The words of a copy of the memory, for [`Memory::attach`].
    #[must_use]
    pub fn of_copy(bytes: &[u8]) -> Option<(Vec<AtomicU64>, Vec<AtomicU32>)> {
        let words = |bytes: &[u8]| -> Vec<AtomicU64> {
            bytes.as_chunks::<8>().0.iter().map(|&word| AtomicU64::new(u64::from_ne_bytes(word))).collect()
        };
        let Geometry { stripes, leases, waiters, processes } = Memory::geometry_of(&words(bytes.get(..HEAD * 8)?))?;
        // Numbers of others: what does not fit into the copy is not multiplied further.
        let least = stripes.checked_mul(leases)?.checked_mul(waiters)?.checked_add(processes)?;
        if least > bytes.len() {
            return None;
        }
        let (wide, narrow) = bytes.split_at_checked(Geometry { stripes, leases, waiters, processes }.words() * 8)?;
        let futexes = narrow.as_chunks::<4>().0.iter().map(|&half| AtomicU32::new(u32::from_ne_bytes(half))).collect();
        Some((words(wide), futexes))
    }

    /// Memory that is in use.
    #[must_use]
    pub fn attach(words: &'m [AtomicU64], futexes: &'m [AtomicU32]) -> Option<Memory<'m>> {
        let geometry = Memory::geometry_of(words)?;
        let fits = words.len() >= geometry.words() && futexes.len() >= geometry.futexes();
        fits.then_some(Memory { words, futexes, geometry })
    }

    /// The parent of the server that made it.
    #[must_use]
    pub fn server(&self) -> Process {
        Process { pid: u32::try_from(self.words[5].load(Ordering::Relaxed)).unwrap_or(0), start: self.words[6].load(Ordering::Relaxed) }
    }

    /// A flag that any process of the server raises, for another one to take down.
    #[must_use]
    pub fn flag(&self) -> &'m AtomicU64 {
        &self.words[7]
    }

    /// Who a process is, and how many of its threads wait.
    pub(super) fn process(&self, number: usize) -> [&'m AtomicU64; 2] {
        let at = HEAD + number * PROCESS;
        [&self.words[at], &self.words[at + 1]]
    }

    pub(super) fn stripe(&self, number: usize) -> Stripe<'m> {
        let at = HEAD + self.geometry.processes * PROCESS + number * self.geometry.stripe();
        let per_stripe = self.geometry.leases * self.geometry.places();
        Stripe {
            words: &self.words[at..at + self.geometry.stripe()],
            futexes: &self.futexes[number * per_stripe..(number + 1) * per_stripe],
            geometry: self.geometry,
        }
    }
}

/// The leases that one mutex guards.
#[derive(Clone, Copy)]
pub(super) struct Stripe<'m> {
    words: &'m [AtomicU64],
    futexes: &'m [AtomicU32],
    geometry: Geometry,
}

impl<'m> Stripe<'m> {
    /// Counts the tickets.
    pub fn counter(&self) -> &'m AtomicU64 {
        &self.words[0]
    }

    /// Leases from this one on were never used.
    pub fn used(&self) -> &'m AtomicU64 {
        &self.words[1]
    }

    /// What the leases are of; 0: of nothing.
    pub fn hashes(&self) -> &'m [AtomicU64] {
        &self.words[STRIPE_HEAD..STRIPE_HEAD + self.geometry.leases]
    }

    pub fn entry(&self, number: usize) -> Entry<'m> {
        let at = STRIPE_HEAD + self.geometry.leases.next_multiple_of(8) + number * self.geometry.entry();
        let places = self.geometry.places();
        Entry::new(&self.words[at..at + self.geometry.entry()], &self.futexes[number * places..(number + 1) * places])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_all_workers_however_few_stripes_there_are() {
        for workers in [1, 8, 400, 20_000] {
            assert!(Geometry::new(1, workers, 8, 4).leases >= workers);
            let spread = Geometry::new(32, workers, 8, 4);
            assert!(spread.leases * 32 >= workers && spread.leases <= workers);
        }
    }

    #[test]
    fn another_version_or_too_little_memory_is_not_attached() {
        let geometry = Geometry::new(4, 16, 8, 4);
        let words: Vec<_> = (0..geometry.words()).map(|_| AtomicU64::new(0)).collect();
        let futexes: Vec<_> = (0..geometry.futexes()).map(|_| AtomicU32::new(0)).collect();
        assert!(Memory::attach(&words, &futexes).is_none(), "not formatted");
        let _ = Memory::format(&words, &futexes, geometry, Process::current());
        let attached = Memory::attach(&words, &futexes).unwrap();
        assert_eq!((attached.geometry, attached.server()), (geometry, Process::current()));
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        let (copy, _) = Memory::of_copy(&bytes).unwrap();
        assert_eq!(Memory::geometry_of(&copy), Some(geometry));
        assert!(Memory::of_copy(&bytes[..bytes.len() - 1]).is_none() && Memory::of_copy(&bytes[..10]).is_none());
        assert!(Memory::attach(&words[1..], &futexes).is_none());
        assert!(Memory::attach(&words[..words.len() - 1], &futexes).is_none());
        words[0].store(VERSION + 1, Ordering::Relaxed);
        assert!(Memory::attach(&words, &futexes).is_none());
    }
}
