//! Ending, cleaning, shifting. Everything is judged again under the lock of the record: a server may be at work on it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mod_session_rs::repository::{Ended, end, now};
use mod_session_rs::session::expiry::GRACE;
use mod_session_rs::session::time::MICROS;
use mod_session_rs::session::{Key, Ref, Stored as Decoded, Timestamp};
use mod_session_rs::store::{Blob, Change, Cursor, Durability, Error, Outcome, Sweep};
use serde::Serialize;

use crate::failure::Failure;
use crate::listing::{Content, Stored, each, find, follow};
use crate::output::{Output, plain};
use crate::place::Place;

#[derive(Serialize, Default)]
struct Killed {
    killed: u64,
    /// Damaged records, kept for inspection.
    put_aside: u64,
}

impl Killed {
    /// Ends a session wherever it has moved meanwhile.
    fn end(&mut self, place: &Place, key: &Key, incarnation: u64) -> Result<(), Failure> {
        match end(&*place.store, (*key, None), incarnation, place.durability, &mut |_| {})? {
            Ended::At(_) => self.killed += 1,
            Ended::PutAside(_) => self.put_aside += 1,
            Ended::Before => {}
        }
        Ok(())
    }

    /// Takes a record away that cannot be read.
    fn remove(&mut self, place: &Place, key: &Key) -> Result<(), Failure> {
        match place.store.update(key, place.durability, &mut |_| Change::Delete) {
            Ok(Outcome::Deleted) => self.killed += 1,
            Ok(_) => {}
            Err(Error::Corrupt(_)) => {
                place.store.quarantine(key, &|_| false)?;
                self.put_aside += 1;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn report(&self, output: &mut Output) -> Result<ExitCode, Failure> {
        output.either(self, || {
            let mut lines = vec![format!("killed {}", sessions(self.killed))];
            if self.put_aside > 0 {
                lines.push(format!("put aside as damaged: {}", sessions(self.put_aside)));
            }
            lines
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn sessions(number: u64) -> String {
    if number == 1 { "1 session".to_owned() } else { format!("{number} sessions") }
}

pub fn kill(place: &Place, reference: &Ref, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut killed = Killed::default();
    for stored in find(place, reference)? {
        match &stored.content {
            Content::Session(record) => killed.end(place, &stored.key, record.incarnation)?,
            _ => killed.remove(place, &stored.key)?,
        }
    }
    if killed.killed + killed.put_aside == 0 {
        return Err(Failure::Unknown(reference.clone())); // it ended by itself meanwhile
    }
    killed.report(output)
}

pub fn kill_user(place: &Place, name: &str, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut killed = Killed::default();
    each(place, |stored| {
        // A session that moves while we walk may come to lie where we were: its alias leads there.
        let stored = if let Content::Alias(alias) = &stored.content { follow(place, alias.to)? } else { Some(stored) };
        match stored {
            Some(Stored { key, content: Content::Session(record), .. }) if record.user.as_deref() == Some(name) => {
                killed.end(place, &key, record.incarnation)
            }
            _ => Ok(()),
        }
    })?;
    killed.report(output)
}

#[derive(Serialize)]
struct Collected {
    deleted: u64,
    total: u64,
    put_aside: u64,
    failed: u64,
    /// Why the first could not be looked at.
    failure: Option<String>,
    /// The first thing met that is not of the store.
    foreign: Option<String>,
    seconds: f64,
}

pub fn collect(place: &Place, output: &mut Output) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let before = now().minus(GRACE);
    // A sweep takes an empty directory into use, which is the server's to do.
    let mut done = Sweep { next: (!place.empty).then(Cursor::default), ..Sweep::default() };
    while let Some(from) = done.next.take() {
        done.add(place.store.sweep(before, Duration::from_secs(1), from, &mut |_, _| {})?);
    }
    let collected = Collected {
        deleted: done.deleted,
        total: done.seen,
        put_aside: done.corrupt,
        failed: done.failed,
        failure: done.failure,
        foreign: done.foreign.map(|path| path.display().to_string()),
        seconds: started.elapsed().as_secs_f64(),
    };
    output.either(&collected, || {
        let mut lines = vec![format!("deleted {} of {} in {:.3} s", done.deleted, sessions(done.seen), collected.seconds)];
        if done.corrupt > 0 {
            lines.push(format!("put aside as damaged: {}", sessions(done.corrupt)));
        }
        lines.extend(collected.failure.iter().map(|why| format!("could not be looked at: {}, first: {}", collected.failed, plain(why))));
        lines.extend(collected.foreign.iter().map(|path| format!("left alone what is not of the store: {}", plain(path))));
        lines
    })?;
    Ok(if collected.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Serialize, Default)]
struct Adjusted {
    adjusted: u64,
    /// Damaged, or written by a newer version: left as they are.
    skipped: u64,
}

pub fn adjust_time(place: &Place, seconds: i64, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut done = Adjusted::default();
    each(place, |stored| {
        let shifted = place.store.update(&stored.key, Durability::Process, &mut |found| match found {
            Some(blob) => shift(blob, seconds).map_or(Change::Keep, Change::Write),
            None => Change::Keep,
        });
        match shifted {
            Ok(Outcome::Written) if matches!(stored.content, Content::Alias(_)) => {}
            Ok(Outcome::Written) => done.adjusted += 1,
            Ok(_) | Err(Error::Corrupt(_)) => done.skipped += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    output.either(&done, || {
        let mut lines = vec![format!("adjusted {} by {seconds} s", sessions(done.adjusted))];
        if done.skipped > 0 {
            lines.push(format!("left {} as they were: damaged, of a newer version, or ended meanwhile", sessions(done.skipped)));
        }
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `None`: not a record that we can rewrite.
fn shift(blob: &Blob, seconds: i64) -> Option<Blob> {
    let mut stored = Decoded::decode(&blob.bytes).ok()?;
    match &mut stored {
        Decoded::Session(record) => {
            record.created = shifted(record.created, seconds);
            record.accessed = shifted(record.accessed, seconds);
        }
        Decoded::Alias(alias) => alias.grace_ends = shifted(alias.grace_ends, seconds),
    }
    Some(Blob::new(shifted(blob.expires, seconds), stored.encode()))
}

/// What never ends goes on for ever.
fn shifted(time: Timestamp, seconds: i64) -> Timestamp {
    let micros = seconds.unsigned_abs().saturating_mul(MICROS);
    match time {
        Timestamp::NEVER => time,
        _ if seconds < 0 => time.minus(micros),
        _ => time.plus(micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_shift_both_ways_and_stay_in_range() {
        assert_eq!(shifted(Timestamp(5 * MICROS), -2), Timestamp(3 * MICROS));
        assert_eq!(shifted(Timestamp(5 * MICROS), 2), Timestamp(7 * MICROS));
        assert_eq!(shifted(Timestamp(5 * MICROS), i64::MIN), Timestamp(0));
        assert_eq!(shifted(Timestamp::NEVER, -2), Timestamp::NEVER);
    }
}
