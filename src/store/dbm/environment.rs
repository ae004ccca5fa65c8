//! The LMDB environment of a directory: opened on first use, once in a process, and again if it was replaced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use heed::{MdbError, RoTxn, RwTxn};

use super::gate::{self, PATIENCE};
use super::group::{Answer, Group, Joined, Lead};
use super::opened::{Opened, Terms, Verdict};
use super::tables::{Tables, Wanted};
use super::trouble::{Trouble, failed};
use super::{Error, Outcome, Result};
use crate::here::Here;
use crate::store::directory::{self, Kind};

pub struct Environment {
    dir: PathBuf,
    terms: Terms,
    opened: RwLock<Option<Opened>>,
    /// Those who do not wait for the disk, and those who do.
    groups: [Group<Wanted, Outcome>; 2],
    /// The process that opens it.
    of: Here,
}

/// What a transaction takes in beside the leader's own, for all others wait for it. The first always fits, so that nobody is passed over.
struct Room {
    changes: usize,
    bytes: usize,
}

impl Room {
    const EMPTY: Room = Room { changes: 63, bytes: 1 << 20 };

    fn takes(&mut self, wanted: &Wanted) -> bool {
        let fits = self.changes > 0 && self.bytes > 0;
        if fits {
            self.changes -= 1;
            self.bytes = self.bytes.saturating_sub(wanted.size());
        }
        fits
    }
}

/// An environment that stays open meanwhile.
struct InUse<'e>(RwLockReadGuard<'e, Option<Opened>>);

impl std::ops::Deref for InUse<'_> {
    type Target = Opened;

    fn deref(&self) -> &Opened {
        self.0.as_ref().expect("only what is open is in use")
    }
}

impl Environment {
    /// That of a directory: LMDB must not have it twice in a process.
    pub fn of(dir: &Path, terms: Terms) -> Result<Arc<Environment>> {
        static ENVIRONMENTS: Mutex<Option<HashMap<PathBuf, Weak<Environment>>>> = Mutex::new(None);
        let canonical = match dir.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => {
                directory::claim(dir, Kind::Dbm)?; // says what is wrong with it
                return Err(Error::Io(dir.to_owned(), error));
            }
        };
        let mut environments = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let environments = environments.get_or_insert_default();
        environments.retain(|_, environment| environment.strong_count() > 0);
        if let Some(known) = environments.get(&canonical).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let environment =
            Arc::new(Environment { dir: dir.to_owned(), terms, opened: RwLock::new(None), groups: Default::default(), of: Here::mark() });
        environments.insert(canonical, Arc::downgrade(&environment));
        Ok(environment)
    }

    /// What a process that was forked has of it stands still in the middle of what other threads were doing.
    pub fn of_this_process(&self) -> Result<&Environment> {
        if self.of.is_here() {
            return Ok(self);
        }
        Err(Error::Unusable(format!(
            "SessionDir {}: a process that a handler forks cannot use the sessions of the dbm store; let its parent do so, or take SessionStore file",
            self.dir.display()
        )))
    }

    fn in_use(&self) -> Result<InUse<'_>> {
        loop {
            let opened = InUse(self.opened.read().unwrap_or_else(PoisonError::into_inner));
            match &*opened.0 {
                Some(known) if known.was_there_lately(&self.dir) => return Ok(opened),
                Some(_) => self.close(opened),
                None => drop(opened),
            }
            let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
            if opened.is_none() {
                *opened = Some(Opened::open(&self.dir, self.terms)?);
            }
        }
    }

    /// Lets go of what was opened, once nobody uses it.
    fn close(&self, in_use: InUse<'_>) {
        let number = in_use.number;
        drop(in_use);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.as_ref().is_some_and(|opened| opened.number == number) {
            *opened = None;
        }
    }

    /// Runs `look` within a snapshot.
    pub fn read<T>(&self, look: impl Fn(Tables, &RoTxn<'_>) -> heed::Result<T>) -> Result<T> {
        self.look(look, |_| true)
    }

    /// As [`Environment::read`], and sees to it that "nothing" is what the directory says.
    pub fn find<T>(&self, look: impl Fn(Tables, &RoTxn<'_>) -> heed::Result<Option<T>>) -> Result<Option<T>> {
        self.look(look, Option::is_some)
    }

    fn look<T>(&self, look: impl Fn(Tables, &RoTxn<'_>) -> heed::Result<T>, is_sure: impl Fn(&T) -> bool) -> Result<T> {
        let mut again = true;
        loop {
            let opened = self.in_use()?;
            let found = opened.environment.read_txn().and_then(|snapshot| look(opened.tables, &snapshot));
            match found {
                Ok(found) if is_sure(&found) || opened.is_there(&self.dir) => return Ok(found),
                Ok(_) => self.close(opened),
                Err(error) => self.after(error, opened, &mut again)?,
            }
        }
    }

    /// Runs `work` as the one who writes, and commits what it did if it says so.
    pub fn write<T>(
        &self,
        synced: bool,
        patience: Duration,
        mut work: impl FnMut(Tables, &mut RwTxn<'_>) -> std::result::Result<Verdict<T>, Trouble>,
    ) -> Result<T> {
        let mut again = true;
        loop {
            let opened = self.in_use()?;
            match opened.turn(&self.dir, synced, patience, &mut work) {
                Ok(done) => return Ok(done),
                Err(Trouble::Ours(error)) => return Err(error),
                Err(Trouble::Lmdb(error)) => self.after(error, opened, &mut again)?,
                Err(Trouble::Replaced) => self.close(opened),
            }
        }
    }

    /// Writes what is wanted, in one transaction with what other threads want. `None`: it is not to be done as it is wanted, or cannot be done
    /// together.
    pub fn write_together(&self, synced: bool, wanted: Wanted) -> Result<Option<Outcome>> {
        let answer = match self.groups[usize::from(synced)].join(wanted, PATIENCE) {
            Joined::Leads(lead) => self.write_for_all(synced, lead)?,
            Joined::Answered(answer) => answer,
        };
        match answer {
            Answer::Done(outcome) => Ok(Some(outcome)),
            Answer::Alone => Ok(None),
            Answer::Locked => Err(Error::Locked(self.dir.join(gate::NAME), PATIENCE)),
        }
    }

    /// The answer is for the leader.
    fn write_for_all(&self, synced: bool, mut lead: Lead<'_, Wanted, Outcome>) -> Result<Answer<Outcome>> {
        let (mut room, mut answers) = (Room::EMPTY, Vec::new());
        let done = self.write(synced, PATIENCE, |tables, writer| {
            let answer = |done: Option<Outcome>| done.map_or(Answer::Alone, Answer::Done);
            lead.gather(|wanted| room.takes(wanted));
            let own = answer(lead.own().write(tables, writer)?);
            answers.clear();
            for wanted in lead.others() {
                answers.push(answer(wanted.write(tables, writer)?));
            }
            let changes = |answer: &Answer<Outcome>| matches!(answer, Answer::Done(Outcome::Written | Outcome::Deleted));
            Ok(if changes(&own) || answers.iter().any(changes) { Verdict::Commit(own) } else { Verdict::Abort(own) })
        });
        match done {
            Ok(own) => {
                lead.end(answers);
                Ok(own)
            }
            Err(error @ Error::Locked(..)) => {
                lead.gather(|_| true);
                lead.end(std::iter::repeat(Answer::Locked));
                Err(error)
            }
            Err(error) if lead.others().len() == 0 => Err(error),
            // It may be about what one of them wants: each tries for himself.
            Err(_) => Ok(Answer::Alone),
        }
    }

    /// What to do about an error of LMDB: once more, if that may help and was not tried before.
    fn after(&self, error: heed::Error, opened: InUse<'_>, again: &mut bool) -> Result<()> {
        let first = std::mem::replace(again, false);
        match error {
            // Killed readers keep their slots until somebody looks.
            heed::Error::Mdb(MdbError::ReadersFull) if first => {
                drop(opened.environment.clear_stale_readers());
                Ok(())
            }
            // A disk that failed LMDB, and a map that another version made larger: both need another opening.
            heed::Error::Mdb(MdbError::Panic | MdbError::MapResized) if first => {
                self.close(opened);
                Ok(())
            }
            error => Err(failed(&self.dir, error)),
        }
    }

    /// Gives free what killed readers hold.
    pub fn clear_stale_readers(&self) -> Result<()> {
        self.in_use()?.environment.clear_stale_readers().map(drop).map_err(|error| failed(&self.dir, error))
    }

    /// How many threads wait for others to write what they want.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.groups.iter().map(Group::waiting).sum()
    }

    #[cfg(test)]
    pub fn flags(&self) -> heed::Result<heed::EnvFlags> {
        Ok(self.in_use().expect("an environment").environment.flags()?.expect("flags that heed knows"))
    }

    /// Waits until all that was committed is on the disk.
    pub fn sync(&self) -> Result<()> {
        self.in_use()?.environment.force_sync().map_err(|error| failed(&self.dir, error))
    }
}
