//! Processes that take leases of a few sessions while others of them are killed.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mod_session_rs::lock::{Leases, monotonic};

use crate::apr::Mutexes;
use crate::child::Child;
use crate::ground::{Board, Ground, until, wait};
use crate::judge::Inside;
use crate::metronome::waited;

/// The first one is hot: half of all want it.
const SESSIONS: usize = 4;
/// httpd's parent looks for its dead once a second.
const ZOMBIE: Duration = Duration::from_secs(1);

pub struct Storm<'g> {
    ground: &'g Ground,
    living: Vec<Child>,
    zombies: Vec<(Instant, Child)>,
    lives: Vec<usize>,
    /// Lives so far.
    born: usize,
    random: Random,
}

impl<'g> Storm<'g> {
    pub fn start(ground: &'g Ground, processes: usize) -> Storm<'g> {
        let seed = monotonic();
        let mut storm = Storm { ground, living: Vec::new(), zombies: Vec::new(), lives: Vec::new(), born: 0, random: Random(seed) };
        for place in 0..processes {
            let (life, child) = storm.bear(place);
            storm.living.push(child);
            storm.lives.push(life);
        }
        storm
    }

    fn bear(&mut self, place: usize) -> (usize, Child) {
        self.born += 1;
        let (life, ground) = (self.born, self.ground);
        (life, Child::fork(ground.board(), || work(ground, life, place)))
    }

    /// Kills one, puts another in its place, and reaps those that have been dead for long enough.
    pub fn kill_one(&mut self) {
        let place = self.random.below(self.living.len() as u64);
        self.living[place].kill(self.ground.board(), self.lives[place]);
        let (life, child) = self.bear(place);
        self.lives[place] = life;
        let dead = std::mem::replace(&mut self.living[place], child);
        self.zombies.push((Instant::now(), dead));
        while self.zombies.first().is_some_and(|(died, _)| died.elapsed() >= ZOMBIE) {
            self.zombies.remove(0).1.reap();
        }
    }

    /// All that live serve somebody yet, and end.
    pub fn end(self) {
        let board = self.ground.board();
        let served = &board.served[..self.living.len()];
        for count in served {
            count.store(0, Ordering::Relaxed);
        }
        until("all went on", || served.iter().all(|count| count.load(Ordering::Relaxed) > 1));
        board.ended.store(1, Ordering::Release);
        self.living.into_iter().for_each(Child::reap);
    }
}

fn work(ground: &Ground, life: usize, place: usize) {
    let (leases, board) = (ground.attach(), ground.board());
    let mut random = Random(monotonic() ^ (life as u64) << 32);
    while !board.has_ended() {
        let session = if random.below(2) == 0 { 0 } else { 1 + random.below(SESSIONS as u64 - 1) };
        visit(&leases, board, session, life, random.below(2000));
        if random.below(8) == 0 {
            sleep(Duration::from_micros(random.below(3000) as u64));
        }
        board.served[place].fetch_add(1, Ordering::Relaxed);
    }
}

/// One critical section of so many microseconds.
fn visit(leases: &Leases<'_, &Mutexes>, board: &Board, session: usize, life: usize, microseconds: usize) {
    let started = monotonic();
    let lease = match leases.acquire(session as u64 + 1, b"GET /storm", &wait(crate::ground::PATIENT)) {
        Ok(lease) => lease,
        Err(refused) => return board.complain(&format!("{life} was refused: {refused:?}")),
    };
    waited(board, started);
    let inside = Inside::enter(board, session, life as u64);
    hold(microseconds);
    inside.leave();
    if leases.release(&lease).is_err() {
        board.complain(&format!("the lease of {life} was taken over while it lived"));
    }
    // Whoever has it now keeps it.
    if microseconds.is_multiple_of(8) && leases.release(&lease).is_ok() {
        board.complain(&format!("{life} gave back what it no longer had"));
    }
}

/// Short ones keep the processor, as a handler does; long ones wait for something.
fn hold(microseconds: usize) {
    let time = Duration::from_micros(microseconds as u64);
    if microseconds > 200 {
        return sleep(time);
    }
    let started = Instant::now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Of George Marsaglia: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.max(1);
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit).expect("below a small limit")
    }
}
