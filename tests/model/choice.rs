//! What clients and requests do, by chance: mostly what is usual, now and then what is not.

use fastrand::Rng;
use mod_session_rs::session::{Id, Move, Value};

use crate::contents::Edit;

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A request begins with an id that its client knows.
    Begin,
    /// A request begins without an id.
    Blank,
    Edit,
    /// Everything goes, one by one.
    Empty,
    User,
    Timeout,
    Save,
    Regenerate(Move),
    Remove,
    Invalidate,
    Reload,
    Revert,
    Renew,
    Identify,
    /// A request saves and ends.
    Finish,
    /// A request ends without a save.
    Abandon,
    Look,
    Clock,
    Terms,
    Sweep,
}

/// For a while, some things are done more often than else.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    Usual,
    /// Ids change all the time.
    Moving,
    /// Requests save while others do.
    Merging,
    /// Time goes by.
    Ending,
}

const MOODS: [Mood; 4] = [Mood::Usual, Mood::Moving, Mood::Merging, Mood::Ending];

/// How often each is done in each mood.
const ACTS: [(Act, [u32; 4]); 21] = [
    (Act::Begin, [24, 24, 24, 24]),
    (Act::Blank, [2, 1, 1, 2]),
    (Act::Edit, [40, 16, 60, 20]),
    (Act::Empty, [2, 3, 2, 1]),
    (Act::User, [2, 1, 1, 1]),
    (Act::Timeout, [3, 1, 1, 5]),
    (Act::Save, [20, 12, 36, 14]),
    (Act::Regenerate(Move::Moved), [5, 60, 3, 3]),
    (Act::Regenerate(Move::Superseded), [2, 4, 1, 1]),
    (Act::Remove, [2, 1, 1, 1]),
    (Act::Invalidate, [1, 1, 1, 1]),
    (Act::Reload, [4, 4, 6, 3]),
    (Act::Revert, [2, 1, 1, 1]),
    (Act::Renew, [1, 1, 1, 1]),
    (Act::Identify, [1, 1, 0, 0]),
    (Act::Finish, [14, 14, 14, 14]),
    (Act::Abandon, [2, 1, 1, 1]),
    (Act::Look, [4, 4, 2, 6]),
    (Act::Clock, [8, 2, 2, 26]),
    (Act::Terms, [2, 2, 2, 1]),
    (Act::Sweep, [1, 1, 0, 3]),
];

pub fn mood(rng: &mut Rng) -> Mood {
    *pick(rng, &MOODS)
}

pub fn act(rng: &mut Rng, mood: Mood) -> Act {
    let weight = |(_, weights): &(Act, [u32; 4])| weights[mood as usize];
    let all: u32 = ACTS.iter().map(weight).sum();
    let mut left = rng.u32(..all);
    for entry in &ACTS {
        match left.checked_sub(weight(entry)) {
            Some(rest) => left = rest,
            None => return entry.0,
        }
    }
    Act::Finish
}

pub fn pick<'t, T>(rng: &mut Rng, from: &'t [T]) -> &'t T {
    rng.choice(from).expect("something to pick from")
}

/// Once in so many times.
pub fn once_in(rng: &mut Rng, times: u32) -> bool {
    rng.u32(..times) == 0
}

/// Few, so that requests meet; two that differ in case only; and one whose sum is near the end of all numbers.
const KEYS: [&str; 7] = ["n", "cart", "Cart", "name", "\u{e9}t\u{e9}", "visits", BIG];
const BIG: &str = "big";

pub fn key(rng: &mut Rng) -> String {
    (*pick(rng, &KEYS)).to_owned()
}

pub fn edit(rng: &mut Rng) -> Edit {
    let key = key(rng);
    match rng.u32(..40) {
        0 => Edit::Clear,
        1 => Edit::Set(malformed(rng), Value::Int(1)),
        2..=6 => Edit::Unset(key),
        // A sum that reaches its end keeps it: only upwards here.
        7..=9 => Edit::Add(BIG.into(), i64::from(rng.u8(..4))),
        10..=22 if key != BIG => Edit::Add(key, i64::from(rng.i8(..))),
        _ if key == BIG => Edit::Set(key, Value::Int(i64::MAX - i64::from(rng.u8(..9)))),
        _ => Edit::Set(key, value(rng, 0)),
    }
}

fn malformed(rng: &mut Rng) -> String {
    pick(rng, &["", &"k".repeat(129), "a\nb"]).to_string()
}

fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u32(..if depth < 3 { 20 } else { 17 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 => Value::Float(f64::from(rng.i32(..)) / 7.0),
        3 => Value::Int(rng.i64(..)),
        4..=8 => Value::Int(rng.i64(-9..9)),
        9..=13 => Value::Text(text(rng, 12)),
        14 => Value::Text(text(rng, 900)),
        15..=16 => Value::Bytes((0..rng.u8(..20)).map(|_| rng.u8(..)).collect()),
        17..=18 => Value::List((0..rng.u8(..4)).map(|_| value(rng, depth + 1)).collect()),
        _ => Value::Map((0..rng.u8(..4)).map(|_| (text(rng, 5), value(rng, depth + 1))).collect()),
    }
}

fn text(rng: &mut Rng, most: usize) -> String {
    (0..rng.usize(..most)).map(|_| *pick(rng, &['a', 'b', 'Z', '0', ' ', '\u{e9}', '\u{1f600}'])).collect()
}

pub fn user(rng: &mut Rng) -> Option<String> {
    pick(rng, &[None, Some("ann"), Some("bob")]).map(str::to_owned)
}

pub fn timeout(rng: &mut Rng) -> u64 {
    *pick(rng, &[1, 5, 60, 60, 300, 1800, 7200])
}

/// The id that a client makes up, or that a session has.
pub fn id(rng: &mut Rng) -> Id {
    Id::from_random(std::array::from_fn(|_| rng.u8(..)))
}
