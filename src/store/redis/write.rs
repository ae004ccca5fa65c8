//! Writes, each as one step of Redis, and what is made of an answer that was lost.

use ::redis::{Cmd, ErrorKind, RedisError, RedisResult, Value as Reply};

use super::connect::ANSWER;
use super::format::Version;
use super::lease::{Claim, State};
use super::scripts::COMPARE_AND_SET;
use super::{Durability, Link, Result, Shared, Stored, get};

/// A change to what has the version `over`.
pub struct Write {
    pub over: Version,
    pub version: Version,
    /// Bytes and lifetime; `None`: it goes.
    pub to: Option<(Vec<u8>, Option<u64>)>,
}

pub enum Answer {
    Done,
    /// What is there has another version.
    Other(Stored),
}

/// What bytes that were found say of a write whose answer was lost.
enum Trace {
    /// They are what it wrote, or what was written over that.
    Done,
    /// They are what it was to be written over, or what somebody else wrote over that.
    NotDone,
    /// They came of two writes of others at least.
    Covered,
}

impl Write {
    fn trace(&self, bytes: &[u8]) -> Trace {
        let Some((version, before)) = Version::peek(bytes) else { return Trace::Covered };
        if self.to.is_some() && (version == self.version || before == self.version) {
            Trace::Done
        } else if version == self.over || before == self.over {
            Trace::NotDone
        } else {
            Trace::Covered
        }
    }
}

/// `claim`: the lease that is given back with it.
///
/// # Errors
/// The store failed. Where the connection broke and others wrote twice since, whether it was done is not known.
pub fn compare_and_set(shared: &Shared, name: &str, write: &Write, claim: Option<&Claim>, durability: Durability) -> Result<Answer> {
    shared.pool.run(|link, again| attempt(link, shared, name, write, (claim, durability), again))
}

/// `again`: it may have been done, for the connection broke before the answer.
pub fn attempt(
    link: &mut Link,
    shared: &Shared,
    name: &str,
    write: &Write,
    (claim, durability): (Option<&Claim>, Durability),
    again: bool,
) -> RedisResult<Answer> {
    ensure_durable(link, durability)?;
    if again {
        claim.inspect(|claim| claim.is_now(State::Unclear));
        match get(link, name)? {
            Stored::Nothing if write.to.is_none() => return confirm(link, shared, durability).map(|()| Answer::Done),
            Stored::Bytes(bytes) => match write.trace(&bytes) {
                Trace::Done => return confirm(link, shared, durability).map(|()| Answer::Done),
                Trace::Covered if write.to.is_some() => return Err(unknown()),
                Trace::NotDone | Trace::Covered => {} // the script finds out by what
            },
            Stored::Nothing | Stored::Foreign => {}
        }
    }
    let mut call = COMPARE_AND_SET.key(name);
    call.arg(&write.over.mark()[..]);
    match &write.to {
        Some((bytes, lifetime)) => call.arg(lifetime.map_or_else(String::new, |millis| millis.to_string())).arg(&bytes[..]),
        None => call.arg("gone").arg(""),
    };
    claim.inspect(|claim| claim.give_back_with(&mut call, shared));
    match call.invoke(&mut link.connection)? {
        Reply::Int(was_held) => {
            claim.inspect(|claim| claim.is_now(if was_held == 1 { State::GivenBack } else { State::Lost }));
        }
        Reply::Nil => return Ok(Answer::Other(Stored::Nothing)),
        // Sent twice, the first may have been carried out late.
        Reply::BulkString(bytes) if again && matches!(write.trace(&bytes), Trace::Done) => {}
        Reply::BulkString(bytes) => return Ok(Answer::Other(Stored::Bytes(bytes.into()))),
        other => return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "not an answer of ours", format!("{other:?}")))),
    }
    confirm(link, shared, durability)?;
    Ok(Answer::Done)
}

/// Stores where nothing is.
pub fn create(shared: &Shared, name: &str, version: Version, bytes: &[u8], lifetime: Option<u64>, durability: Durability) -> Result<bool> {
    shared.pool.run(|link, again| {
        ensure_durable(link, durability)?;
        let mut command = Cmd::new();
        command.arg("SET").arg(name).arg(bytes).arg("NX");
        if let Some(millis) = lifetime {
            command.arg("PX").arg(millis);
        }
        let free: Option<String> = command.query(&mut link.connection)?;
        let created = free.is_some() || (again && is_from(version, &get(link, name)?));
        if created {
            confirm(link, shared, durability)?;
        }
        Ok(created)
    })
}

/// Whether what is there is what we created before the connection broke, or came of it.
fn is_from(version: Version, stored: &Stored) -> bool {
    let Stored::Bytes(bytes) = stored else { return false };
    let trace = Write { over: version, version, to: Some((Vec::new(), None)) };
    matches!(trace.trace(bytes), Trace::Done)
}

fn unknown() -> RedisError {
    RedisError::from((ErrorKind::Client, "the connection broke amid a write, and others wrote since: whether it was done is not known"))
}

/// `SessionSync On` is a promise: where the server does not keep it, nothing is written.
fn ensure_durable(link: &mut Link, durability: Durability) -> RedisResult<()> {
    if durability == Durability::Process || link.is_durable {
        return Ok(());
    }
    let refused = |why: String| {
        Err(RedisError::from((
            ErrorKind::Client,
            "SessionSync On is not kept",
            format!("{why}; set appendonly yes and appendfsync always there, or SessionSync Off"),
        )))
    };
    let asked: RedisResult<Vec<String>> = Cmd::new().arg("CONFIG").arg("GET").arg("append*").query(&mut link.connection);
    let settings = match asked {
        Ok(settings) => settings,
        Err(error) if error.is_io_error() => return Err(error),
        Err(error) => return refused(format!("the server does not tell its settings ({error})")),
    };
    let is = |name: &str, value: &str| settings.chunks_exact(2).any(|pair| pair[0] == name && pair[1] == value);
    if !is("appendonly", "yes") || !is("appendfsync", "always") {
        return refused("the server answers before it has written to its disk".into());
    }
    link.is_durable = true;
    Ok(())
}

/// Behind a write that is to survive a machine: where sentinels may make another server the primary, one has to have it.
fn confirm(link: &mut Link, shared: &Shared, durability: Durability) -> RedisResult<()> {
    if durability == Durability::Process || !shared.has_replicas {
        return Ok(());
    }
    let patience = (ANSWER / 2).as_millis() as u64;
    let replicas: u32 = Cmd::new().arg("WAIT").arg(1).arg(patience).query(&mut link.connection)?;
    if replicas == 0 {
        return Err(RedisError::from((
            ErrorKind::Client,
            "SessionSync On is not kept",
            format!("no replica had the write within {patience} ms; add one, or set SessionSync Off"),
        )));
    }
    Ok(())
}
