//! One lease with its queue.
//!
//! Whose lease it is, the token says and nothing else: who has a token that the entry shows holds the lease. All else is written before
//! the token when a lease is taken or handed on, so that a process that dies between two writes leaves either the old state or the
//! new one. Only the mutex of the stripe admits to the functions marked "under the mutex".

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::thread::futex;

use super::process::Process;

/// token, start of the holder, since, abandoned.
pub(super) const ENTRY_HEAD: usize = 4;
/// A label has up to 160 bytes.
pub(super) const LABEL_WORDS: usize = 20;

/// States of a waiter's word. Only the waiter itself leaves `WAITING` for `FREE`; who hands a lease on takes it to `CHOSEN` first, so
/// a waiter can give up without the mutex.
const FREE: u32 = 0;
const WAITING: u32 = 1;
const CHOSEN: u32 = 2;

/// A number that is used once per stripe: the process, and a counter that orders the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(u64);

const COUNTER_BITS: u32 = 42;

impl Token {
    /// Linux has pids of 22 bits at most; the counter starts again after four million million leases.
    pub fn new(pid: u32, count: u64) -> Token {
        Token((u64::from(pid) << COUNTER_BITS) | (count & ((1 << COUNTER_BITS) - 1)))
    }

    fn pid(self) -> u32 {
        u32::try_from(self.0 >> COUNTER_BITS).unwrap_or(0)
    }

    fn order(self) -> u64 {
        self.0 & ((1 << COUNTER_BITS) - 1)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Entry<'m> {
    words: &'m [AtomicU64],
    futexes: &'m [AtomicU32],
}

impl<'m> Entry<'m> {
    pub fn new(words: &'m [AtomicU64], futexes: &'m [AtomicU32]) -> Entry<'m> {
        Entry { words, futexes }
    }

    fn start(&self) -> &'m AtomicU64 {
        &self.words[1]
    }

    fn abandoned(&self) -> &'m AtomicU64 {
        &self.words[3]
    }

    /// Token and start time of a waiter.
    fn cell(&self, number: usize) -> [&'m AtomicU64; 2] {
        let at = ENTRY_HEAD + LABEL_WORDS + 2 * number;
        [&self.words[at], &self.words[at + 1]]
    }

    /// Who holds it.
    pub fn token(&self) -> Option<Token> {
        Some(self.words[0].load(Ordering::Acquire)).filter(|&token| token != 0).map(Token)
    }

    pub fn is_held_by(&self, token: Token) -> bool {
        self.token() == Some(token)
    }

    /// When the holder got it, in monotonic nanoseconds.
    pub fn since(&self) -> u64 {
        self.words[2].load(Ordering::Relaxed)
    }

    /// The process of the holder.
    pub fn holder(&self) -> Option<Process> {
        Some(Process { pid: self.token()?.pid(), start: self.start().load(Ordering::Relaxed) })
    }

    /// Looked at without the mutex, token and start may not belong together: who sees a dead holder looks again under it.
    pub fn is_orphaned(&self) -> bool {
        self.is_abandoned() || self.holder().is_some_and(|holder| !holder.is_alive())
    }

    /// A living process could not give it back in the ordinary way.
    pub fn is_abandoned(&self) -> bool {
        self.token().is_some_and(|token| self.abandoned().load(Ordering::Relaxed) == token.0)
    }

    pub fn abandon(&self, token: Token) {
        self.abandoned().store(token.0, Ordering::Relaxed);
    }

    fn set(&self, token: Token, start: u64, now: u64) {
        self.start().store(start, Ordering::Relaxed);
        self.words[2].store(now, Ordering::Relaxed);
        self.words[0].store(token.0, Ordering::Release);
    }

    /// Under the mutex: takes what nobody holds.
    pub fn take(&self, token: Token, start: u64, now: u64) {
        self.set(token, start, now);
    }

    /// Under the mutex: nobody holds it any more.
    pub fn clear(&self) {
        self.words[0].store(0, Ordering::Release);
    }

    /// What the log shows of the holder, which writes it.
    pub fn label(&self, text: &[u8]) {
        let mut chunks = text.chunks(8);
        for word in &self.words[ENTRY_HEAD..ENTRY_HEAD + LABEL_WORDS] {
            let mut bytes = [0; 8];
            let chunk = chunks.next().unwrap_or_default();
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            if chunk.len() < 8 {
                break; // a zero ends it
            }
        }
    }

    pub fn label_text(&self) -> String {
        let words = self.words[ENTRY_HEAD..ENTRY_HEAD + LABEL_WORDS].iter();
        let bytes: Vec<u8> = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).take_while(|&byte| byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Nobody waits, nor is about to have the lease.
    pub fn is_queue_empty(&self) -> bool {
        self.futexes.iter().all(|word| word.load(Ordering::Relaxed) == FREE)
    }

    /// How many wait, the dead among them.
    pub fn waiting(&self) -> usize {
        self.futexes.iter().filter(|word| word.load(Ordering::Relaxed) == WAITING).count()
    }

    /// The processes of those who wait.
    pub fn waiters(&self) -> Vec<Process> {
        let waiting = (0..self.futexes.len()).filter(|&n| self.futexes[n].load(Ordering::Relaxed) != FREE);
        waiting.map(|n| self.cell(n)).map(|[token, start]| process(token, start)).collect()
    }

    /// Under the mutex: joins the queue; `None`: there is no place among the first `places`.
    pub fn enqueue(&self, token: Token, start: u64, places: usize) -> Option<usize> {
        if self.waiting() >= places {
            return None;
        }
        let number = self.futexes.iter().position(|word| word.load(Ordering::Relaxed) == FREE)?;
        let [token_of, start_of] = self.cell(number);
        start_of.store(start, Ordering::Relaxed);
        token_of.store(token.0, Ordering::Relaxed);
        self.futexes[number].store(WAITING, Ordering::Release);
        Some(number)
    }

    /// Under the mutex: frees the places of the dead.
    pub fn bury(&self) {
        for (number, word) in self.futexes.iter().enumerate() {
            let [token, start] = self.cell(number);
            if word.load(Ordering::Relaxed) != FREE && !process(token, start).is_alive() {
                word.store(FREE, Ordering::Release);
            }
        }
    }

    /// Under the mutex: hands the lease to whoever waits longest. `false`: nobody waits, and the lease is as it was.
    pub fn hand_on(&self, now: u64) -> bool {
        loop {
            let waiting = (0..self.futexes.len()).filter(|&n| self.futexes[n].load(Ordering::Relaxed) == WAITING);
            let first = waiting.min_by_key(|&n| Token(self.cell(n)[0].load(Ordering::Relaxed)).order());
            let Some(number) = first else { return false };
            let word = &self.futexes[number];
            if word.compare_exchange(WAITING, CHOSEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue; // it has just given up
            }
            let [token, start] = self.cell(number);
            self.set(Token(token.load(Ordering::Relaxed)), start.load(Ordering::Relaxed), now);
            let _ = futex::wake(word, futex::Flags::empty(), 1);
            return true;
        }
    }

    /// Sleeps until the lease is handed to this waiter, or for `nanoseconds`.
    pub fn sleep(&self, number: usize, nanoseconds: u64) {
        let slice = rustix::time::Timespec {
            tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanoseconds % 1_000_000_000).unwrap_or(0),
        };
        // Not private: the waker is another process. Why it returns does not matter, the token is looked at.
        let _ = futex::wait(&self.futexes[number], futex::Flags::empty(), WAITING, Some(&slice));
    }

    /// The first half of [`Entry::hand_on`], as if its process died there.
    #[cfg(test)]
    pub fn choose_for_test(&self) {
        self.futexes.iter().find(|word| word.load(Ordering::Relaxed) == WAITING).expect("a waiter").store(CHOSEN, Ordering::Release);
    }

    /// Whether a place is still that of this waiter, who may have been taken for dead.
    pub fn is_place_of(&self, number: usize, token: Token) -> bool {
        self.futexes[number].load(Ordering::Acquire) != FREE && self.cell(number)[0].load(Ordering::Relaxed) == token.0
    }

    /// Leaves the queue, lease in hand or not.
    pub fn leave(&self, number: usize) {
        self.futexes[number].store(FREE, Ordering::Release);
    }

    /// Gives up without the mutex. `false`: it was chosen already.
    pub fn give_up(&self, number: usize) -> bool {
        self.futexes[number].compare_exchange(WAITING, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub fn is_chosen(&self, number: usize) -> bool {
        self.futexes[number].load(Ordering::Acquire) == CHOSEN
    }

    /// Under the mutex: who was chosen but not given the lease, since whoever chose died in between, is in the queue again.
    pub fn recall(&self) {
        for (number, word) in self.futexes.iter().enumerate() {
            let token = Token(self.cell(number)[0].load(Ordering::Relaxed));
            if !self.is_held_by(token) {
                let _ = word.compare_exchange(CHOSEN, WAITING, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }
}

fn process(token: &AtomicU64, start: &AtomicU64) -> Process {
    Process { pid: Token(token.load(Ordering::Relaxed)).pid(), start: start.load(Ordering::Relaxed) }
}
