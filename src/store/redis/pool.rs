//! The connections of a process: one for each thread that is in the store, kept for the next. What fails is tried once more over a new
//! connection; where none can be had, nobody tries for a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{Connection, ErrorKind, RedisError, RedisResult};

use super::connect::{CONNECT, Connector};
use crate::store::{Error, Result};

/// So long nobody connects after somebody could not.
const REST: Duration = Duration::from_secs(1);

/// A connection, and what is known of the server behind it.
pub struct Link {
    pub connection: Connection,
    /// The server was seen to write to its disk before it answers.
    pub is_durable: bool,
    /// Of the pool when it was made.
    generation: u64,
}

#[derive(Default)]
struct Idle {
    links: Vec<Link>,
    /// Whose they are.
    pid: u32,
    /// One more with each failure: what is older is not used again.
    generation: u64,
    /// Why nobody could connect, and until when nobody tries.
    trouble: Option<(Instant, String)>,
}

impl Idle {
    /// In a process that was forked, the connections are those of the other one, which goes on with them; not even a farewell may be said.
    fn disown(&mut self) {
        let pid = std::process::id();
        if std::mem::replace(&mut self.pid, pid) != pid {
            std::mem::take(&mut self.links).into_iter().for_each(std::mem::forget);
            self.generation += 1;
        }
    }
}

pub struct Pool {
    connector: std::result::Result<Connector, String>,
    idle: Mutex<Idle>,
    /// What errors begin with.
    name: String,
}

impl Pool {
    /// `connector`: or why there is none, which every operation is told.
    pub fn new(connector: std::result::Result<Connector, String>, name: String) -> Pool {
        Pool { connector, idle: Mutex::default(), name }
    }

    /// Runs `body` over a connection. Where that breaks, or its server is none to write to at present, `body` runs once more, over a new
    /// connection, and is told so: what it did before may have been done.
    ///
    /// # Errors
    /// The store failed; the text names it.
    pub fn run<T>(&self, mut body: impl FnMut(&mut Link, bool) -> RedisResult<T>) -> Result<T> {
        let mut again = false;
        loop {
            let mut link = self.take()?;
            match body(&mut link, again) {
                Ok(answer) => {
                    self.put(link);
                    return Ok(answer);
                }
                Err(error) if is_fatal(&error) => {
                    self.forget(link.generation, again.then(|| error.to_string()));
                    if again {
                        return Err(self.failed(&error));
                    }
                    again = true;
                }
                Err(error) => {
                    self.put(link);
                    return Err(self.failed(&error));
                }
            }
        }
    }

    pub fn failed(&self, error: &RedisError) -> Error {
        Error::Failed(format!("{}: {error}{}", self.name, remedy(error)))
    }

    fn take(&self) -> Result<Link> {
        let connector = self.connector.as_ref().map_err(|why| Error::Failed(why.clone()))?;
        let generation = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.disown();
            if let Some(link) = idle.links.pop() {
                return Ok(link);
            }
            if let Some((until, why)) = &mut idle.trouble {
                if Instant::now() < *until {
                    return Err(Error::Failed(why.clone()));
                }
                *until = Instant::now() + CONNECT; // one tries, for all
            }
            idle.generation
        };
        let connected = connector.connect();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match connected {
            Ok(connection) => {
                idle.trouble = None;
                Ok(Link { connection, is_durable: false, generation })
            }
            Err(error) => {
                let Error::Failed(why) = self.failed(&error) else { unreachable!("it is made so") };
                idle.trouble = Some((Instant::now() + REST, why.clone()));
                Err(Error::Failed(why))
            }
        }
    }

    /// Keeps a connection for the next.
    fn put(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if link.generation == idle.generation {
            idle.links.push(link);
        }
    }

    /// What one connection met, the others will meet too.
    fn forget(&self, generation: u64, trouble: Option<String>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.generation == generation {
            idle.generation += 1;
            idle.links.clear();
        }
        if let Some(why) = trouble {
            idle.trouble = Some((Instant::now() + REST, format!("{}: {why}", self.name)));
        }
    }
}

/// Whether the server answered with one of these codes: to a command, to one of several, or to one within a script, whose code Redis before 7
/// only tells in the text.
fn answered(error: &RedisError, codes: &[&str]) -> bool {
    let Some(all) = error.clone().into_server_errors() else { return error.code().is_some_and(|code| codes.contains(&code)) };
    let is_within = |text: &str, code: &str| text.contains(&format!(": -{code} "));
    let is_one =
        |code: &str, text: Option<&str>| codes.iter().any(|known| code == *known || text.is_some_and(|text| is_within(text, known)));
    all.iter().any(|(_, answer)| is_one(answer.code(), answer.details()))
}

/// Whether a connection is of no more use: it broke, or the server behind it is a replica, loads its data, or waits for a script.
fn is_fatal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Parse
        || error.is_io_error()
        || error.is_unrecoverable_error()
        || answered(error, &["READONLY", "MASTERDOWN", "LOADING", "BUSY", "UNKILLABLE"])
}

/// What an administrator may do, where the answer of the server does not say it.
pub fn remedy(error: &RedisError) -> &'static str {
    if error.kind() == ErrorKind::AuthenticationFailed || answered(error, &["NOAUTH", "WRONGPASS"]) {
        "; give user and password in the URL, or the password by passwordfile="
    } else if answered(error, &["NOPERM"]) {
        "; the user needs ~prefix* +@read +@write +@scripting +@connection +@blocking, and with sentinels +role +wait"
    } else if answered(error, &["READONLY"]) {
        "; name the primary, or the sentinels (redis+sentinel://)"
    } else if answered(error, &["OOM"]) {
        "; raise maxmemory"
    } else if error.is_timeout() {
        "; it did not answer in time"
    } else if error.is_connection_refusal() {
        "; start the server, or mend the URL of SessionStore"
    } else {
        ""
    }
}

#[cfg(test)]
impl Pool {
    /// As if this process had been forked.
    pub fn fork(&self) {
        self.idle.lock().unwrap().pid = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> RedisError {
        redis::parse_redis_value(format!("{line}\r\n").as_bytes()).and_then(redis::Value::extract_error).unwrap_err()
    }

    #[test]
    fn a_replica_is_left_also_where_a_script_found_out_as_redis_before_7_says_it() {
        let script = "-ERR Error running script (call to f_b16a): @user_script:3: @user_script: 3: ";
        for (line, fatal, remedy_has) in [
            ("-READONLY You can't write against a read only replica.", true, "name the primary"),
            (&format!("{script}-READONLY You can't write against a read only replica."), true, "name the primary"),
            ("-LOADING Redis is loading the dataset in memory", true, ""),
            ("-BUSY Redis is busy running a script.", true, ""),
            (&format!("{script}-OOM command not allowed when used memory > 'maxmemory'."), false, "raise maxmemory"),
            ("-MISCONF Errors writing to the AOF file: READONLY disk", false, ""),
            ("-WRONGTYPE Operation against a key holding the wrong kind of value", false, ""),
        ] {
            let error = error(line);
            assert_eq!(is_fatal(&error), fatal, "{line}");
            assert!(remedy(&error).contains(remedy_has) && remedy(&error).is_empty() == remedy_has.is_empty(), "{line}");
        }
    }
}
