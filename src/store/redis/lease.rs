//! Leases in Redis, for the servers that share it: `lease:<key>` says who holds a session, `queue:<key>` who waits for it, in their order. Who
//! gives a lease back hands it to the first of the queue, and wakes it by an element on a list of its own; that is a hint only, for who
//! holds is said by the lease.
//!
//! One request of each server competes, so a lease belongs to a server rather than to a request: what a killed request left is taken by the next
//! one of the same server at once. What a server left that is gone ends by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;

use ::redis::{Cmd, ErrorKind, RedisError, RedisResult, ScriptInvocation, Value, pipe};

use super::renew::{Registry, Spawn, start};
use super::scripts::{ACQUIRE, RELEASE};
use super::{Error, Link, Result, Shared, Stored};
use crate::session::Key;
use crate::store::lease::{Answer, Lease, Refused, Wait};

/// Hex digits of a token, and of an instance.
const TOKEN: usize = 32;
/// Bytes of what a lease says of its holder, for the log of another server.
const LABEL: usize = 200;

/// Who competes.
#[derive(Clone, Default)]
pub struct Host {
    /// 32 hex digits, the same in all processes of a server, and in no other server.
    pub instance: String,
    /// How logs of other servers name this one.
    pub name: String,
    /// Starts the thread that renews leases; `None`: this program takes none.
    pub spawn: Option<Spawn>,
    pub timing: Timing,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A lease ends so long after it was renewed last: where its server is gone, others wait for that.
    pub lifetime: Duration,
    /// So often it is renewed.
    pub renewal: Duration,
    /// Who is handed a lease takes it within this, or is gone.
    pub hand_over: Duration,
    /// So often who waits looks whether a hint was lost.
    pub look: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        let [lifetime, renewal, hand_over, look] = [10_000, 3_000, 2_000, 250].map(Duration::from_millis);
        Timing { lifetime, renewal, hand_over, look }
    }
}

pub struct Leases {
    pub host: Host,
    pub registry: Registry,
    /// Those that the next write to their record gives back, by the thread that is about to write.
    ending: Mutex<Vec<(ThreadId, Key, Arc<Claim>)>>,
}

impl Leases {
    pub fn new(host: Host) -> Leases {
        Leases { host, registry: Registry::default(), ending: Mutex::default() }
    }

    /// The lease that a write of this thread to this record is to give back. Another thread may write it too, for a request that holds nothing.
    pub fn ending(&self, key: &Key) -> Option<Arc<Claim>> {
        let mut all = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let here = thread::current().id();
        let at = all.iter().position(|(thread, known, _)| *thread == here && known == key)?;
        Some(all.swap_remove(at).2)
    }

    fn forget(&self, claim: &Arc<Claim>) {
        self.registry.forget(claim);
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).retain(|(.., known)| !Arc::ptr_eq(known, claim));
    }

    pub fn is_wanted(&self) -> bool {
        self.host.spawn.is_some()
    }
}

pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

enum Taken {
    /// With the record, unless that is no string.
    Now(Option<Stored>),
    /// What it holds.
    By(Vec<u8>),
}

/// What a request holds or waits for.
pub struct Claim {
    pub lease: String,
    queue: String,
    record: String,
    /// Token, instance, label.
    pub value: String,
    state: Mutex<State>,
}

/// What became of a lease by a write that was to give it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Held,
    GivenBack,
    /// It was not ours any more.
    Lost,
    /// The answer was lost.
    Unclear,
}

impl Claim {
    fn token(&self) -> &str {
        &self.value[..TOKEN]
    }

    pub fn is_now(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lease, with the record; or answers who has it, and joins the queue.
    fn acquire(&self, shared: &Shared, link: &mut Link, joins: bool) -> RedisResult<Taken> {
        let timing = &shared.leases.host.timing;
        let mut call = ACQUIRE.key(&self.lease);
        call.key(&self.queue).key(&self.record).arg(&self.value).arg(millis(timing.lifetime)).arg(millis(timing.hand_over));
        match call.arg(wake(shared)).arg(u8::from(joins)).invoke(&mut link.connection)? {
            Value::BulkString(holder) => Ok(Taken::By(holder)),
            Value::Array(record) => Ok(Taken::Now(record.into_iter().next().map(|record| match record {
                Value::BulkString(bytes) => Stored::Bytes(bytes.into()),
                _ => Stored::Nothing,
            }))),
            other => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "not an answer of ours", format!("{other:?}")))),
        }
    }

    /// Has a write give the lease back too, in the same step.
    pub fn give_back_with<'s>(&self, call: &mut ScriptInvocation<'s>, shared: &Shared) {
        call.key(&self.lease).key(&self.queue).arg(&self.value).arg(millis(shared.leases.host.timing.hand_over)).arg(wake(shared));
    }

    /// Takes a lease that is free, with the record if that is wanted: one question, which most need no more than. `false`: it is not free.
    fn take(&self, shared: &Shared, link: &mut Link, then_loads: bool) -> RedisResult<(bool, Option<Stored>)> {
        let mut both = pipe();
        both.cmd("SET").arg(&self.lease).arg(&self.value).arg("NX").arg("PX").arg(millis(shared.leases.host.timing.lifetime));
        if !then_loads {
            let (taken,): (Option<String>,) = both.query(&mut link.connection)?;
            return Ok((taken.is_some(), None));
        }
        both.cmd("GET").arg(&self.record);
        match both.query::<(Option<String>, Option<Vec<u8>>)>(&mut link.connection) {
            Ok((taken, stored)) => {
                Ok((taken.is_some(), Some(stored.map_or(Stored::Nothing, |bytes: Vec<u8>| Stored::Bytes(bytes.into())))))
            }
            Err(error) => match error.clone().into_server_errors().as_deref() {
                // The lease is answered for; what is wrong with the record, the load will tell.
                Some([(1, _)]) => Ok((false, None)),
                _ => Err(error),
            },
        }
    }

    /// Sleeps until somebody hands the lease over, or for a time.
    fn listen(&self, shared: &Shared, span: Duration) -> Result<()> {
        let list = format!("{}{}", wake(shared), self.token());
        let mut listen = Cmd::new();
        listen.arg("BLPOP").arg(list).arg(span.as_secs_f64().max(0.001));
        shared.pool.run(|link, _| listen.query::<Option<(String, String)>>(&mut link.connection).map(drop))
    }

    /// `true`: it was held, or perhaps, where the answer was lost.
    pub fn release(&self, shared: &Shared) -> Result<bool> {
        let hand_over = millis(shared.leases.host.timing.hand_over);
        shared.pool.run(|link, again| {
            let mut call = RELEASE.key(&self.lease);
            call.key(&self.queue).arg(&self.value).arg(hand_over).arg(wake(shared));
            call.invoke::<u8>(&mut link.connection).map(|held| held == 1 || again)
        })
    }
}

fn wake(shared: &Shared) -> String {
    format!("{}wake:", shared.prefix)
}

struct Held {
    shared: Arc<Shared>,
    key: Key,
    claim: Arc<Claim>,
    /// Set by the thread that renews.
    is_lost: Arc<AtomicBool>,
}

impl Lease for Held {
    fn give_back(&mut self) -> bool {
        self.end();
        let was_held = match self.claim.state() {
            State::GivenBack => true,
            State::Lost => false,
            // A failure has been told by the commit before, if that was one; the lease ends by itself.
            State::Held => self.claim.release(&self.shared).unwrap_or(true),
            State::Unclear => {
                let _ = self.claim.release(&self.shared);
                true
            }
        };
        self.claim.is_now(State::GivenBack);
        was_held && !self.is_lost.load(Ordering::Relaxed)
    }

    fn ends_with_next_write(&mut self) {
        let leases = &self.shared.leases;
        leases.forget(&self.claim);
        let ending = (thread::current().id(), self.key, Arc::clone(&self.claim));
        leases.ending.lock().unwrap_or_else(PoisonError::into_inner).push(ending);
    }
}

impl Held {
    fn end(&self) {
        self.shared.leases.forget(&self.claim);
        self.shared.fetched.forget(&self.key); // if nobody loaded it, nobody shall
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end();
    }
}

pub fn acquire(shared: &Arc<Shared>, key: &Key, label: &str, wait: &Wait<'_>) -> Answer {
    let claim = claim(shared, key, label).map_err(Refused::Failed)?;
    match wait_for(shared, &claim, wait) {
        Ok(None) => {}
        Ok(Some(stored)) => shared.fetched.put(*key, stored),
        Err(refused) => {
            if !matches!(refused, Refused::Failed(_)) {
                let _ = claim.release(shared);
            }
            return Err(refused);
        }
    }
    let claim = Arc::new(claim);
    let is_lost = shared.leases.registry.enter(&claim);
    let mut held = Held { shared: Arc::clone(shared), key: *key, claim, is_lost };
    match start(shared) {
        Ok(()) => Ok(Box::new(held)),
        Err(error) => {
            held.give_back();
            Err(Refused::Failed(Error::Failed(format!("no thread to renew leases: {error}"))))
        }
    }
}

fn claim(shared: &Shared, key: &Key, label: &str) -> Result<Claim> {
    let mut token = [0; TOKEN / 2];
    getrandom::fill(&mut token).map_err(|error| Error::Failed(format!("no random numbers: {error}")))?;
    let host = &shared.leases.host;
    let said: String = format!("{}, {label}", host.name).chars().filter(|c| !c.is_control()).take(LABEL).collect();
    let name = |kind: &str| format!("{}{kind}:{}", shared.prefix, key.hex());
    let record = shared.name(key);
    let value = format!("{}{} {said}", HEXLOWER.encode(&token), host.instance);
    Ok(Claim { lease: name("lease"), queue: name("queue"), record, value, state: Mutex::new(State::Held) })
}

/// Answers the record, if it was fetched with the lease.
fn wait_for(shared: &Shared, claim: &Claim, wait: &Wait<'_>) -> std::result::Result<Option<Stored>, Refused> {
    let (is_free, stored) = shared.pool.run(|link, _| claim.take(shared, link, wait.then_loads)).map_err(Refused::Failed)?;
    if is_free {
        return Ok(stored);
    }
    loop {
        let left = wait.until.saturating_duration_since(Instant::now());
        let taken = shared.pool.run(|link, _| claim.acquire(shared, link, !left.is_zero())).map_err(Refused::Failed)?;
        let holder = match taken {
            Taken::Now(stored) => return Ok(stored.filter(|_| wait.then_loads)),
            Taken::By(holder) => holder,
        };
        if left.is_zero() {
            return Err(Refused::Timeout(holder.get(2 * TOKEN + 1..).map(|label| String::from_utf8_lossy(label).into_owned())));
        }
        if (wait.is_pointless)() {
            return Err(Refused::Pointless);
        }
        claim.listen(shared, left.min(shared.leases.host.timing.look)).map_err(Refused::Failed)?;
    }
}
