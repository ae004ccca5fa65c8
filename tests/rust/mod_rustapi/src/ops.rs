//! Operations on a session, named by the query string and run in its order: `open&set=k:1&get=k`. Each writes a line, "op: OK value",
//! "op: none", or "op: Variant" with the name of the error; an operation that answers no error writes "op: value". A value is JSON.
//!
//!     open  find  open_by_id=ID  exists=ID  each with flags behind: open=read_only,no_lock,no_touch; open_by_id=ID:read_only
//!     get=k  get_int=k  get_text=k  get_bytes=k  type_of=k  keys  len
//!     set=k:JSON  set_bytes=k:text  set_deep=k:levels  add=k:delta  unset=k  clear
//!     load  save  revert  delete  invalidate  regenerate=changed|unchanged  expire  touch  set_timeout=seconds  set_user=name
//!     lock  lock_for=ms  try_lock  unlock  locked=k (adds 1 to it)  locked_fails=k (adds 1, then fails)
//!     id  reference  cookie_name  user  is_new  was_invalidated  created  accessed  timeout
//!     until=/path (a file that a test makes)  flush

use std::ffi::c_int;
use std::fmt::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use mod_session_rs::client::{Error, Open, Privilege, Result, Session, Sessions};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::httpd::{self, OK, Request};

struct Script<'a> {
    request: Request,
    sessions: &'a Sessions,
    session: Option<Session<'a>>,
    lines: String,
}

pub fn run(request: Request, sessions: &Sessions) -> c_int {
    let mut script = Script { request, sessions, session: None, lines: String::new() };
    for word in request.args().split('&') {
        let (op, argument) = word.split_once('=').unwrap_or((word, ""));
        let (key, value) = argument.split_once(':').unwrap_or((argument, ""));
        let line = script.opening(op, &httpd::decode(key), value).unwrap_or_else(|| match &script.session {
            Some(session) => operation(session, op, &httpd::decode(key), &httpd::decode(value)),
            None => Some("no session".into()),
        });
        if let Some(line) = line {
            let _ = writeln!(script.lines, "{op}: {line}");
        }
        if op == "flush" {
            request.say(&std::mem::take(&mut script.lines));
            request.flush();
        }
    }
    request.say(&script.lines);
    OK
}

fn answer(answer: Result<impl Serialize>) -> Option<String> {
    Some(match answer.map(|value| json!(value)) {
        Ok(Value::Null) => "OK".into(),
        Ok(value) => format!("OK {value}"),
        Err(error) => variant(&error),
    })
}

/// Of what may be missing.
fn found(found: Result<Option<impl Serialize>>) -> Option<String> {
    match found {
        Ok(None) => Some("none".into()),
        Ok(Some(value)) => Some(format!("OK {}", json!(value))),
        Err(error) => answer(Err::<(), _>(error)),
    }
}

fn variant(error: &Error) -> String {
    let debug = format!("{error:?}");
    debug.split('(').next().unwrap_or_default().to_owned()
}

fn opening_flags(names: &str) -> Open {
    names.split(',').fold(Open::new(), |open, name| match name {
        "read_only" => open.read_only(),
        "no_lock" => open.no_lock(),
        "no_touch" => open.no_touch(),
        _ => open,
    })
}

impl<'a> Script<'a> {
    /// What needs no session. The outer `None`: this is no such operation; the inner one: it has no line.
    fn opening(&mut self, op: &str, key: &str, value: &str) -> Option<Option<String>> {
        let (r, sessions) = (self.request.raw(), self.sessions);
        // SAFETY: the request is served as long as the script runs.
        let found = unsafe {
            match op {
                "open" => sessions.open(r, opening_flags(key)).map(Some),
                "find" => sessions.find(r, opening_flags(key)),
                "open_by_id" => sessions.open_by_id(r, key, opening_flags(value)),
                "exists" => return Some(answer(sessions.exists(r, key))),
                "until" => {
                    wait_for_file(key);
                    return Some(None);
                }
                "flush" => return Some(None),
                _ => return None,
            }
        };
        Some(Some(match found {
            Ok(None) => "none".into(),
            Ok(Some(session)) => {
                self.session = Some(session);
                "OK".into()
            }
            Err(error) => variant(&error),
        }))
    }
}

fn wait_for_file(path: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Path::new(path).exists() && Instant::now() < deadline {
        sleep(Duration::from_millis(5));
    }
}

fn operation(session: &Session<'_>, op: &str, key: &str, value: &str) -> Option<String> {
    match op {
        "get" => found(session.get::<Value>(key)),
        "get_int" => found(session.get::<i64>(key)),
        "get_text" => found(session.get::<&str>(key)),
        "get_bytes" => found(session.get::<&[u8]>(key).map(|found| found.map(String::from_utf8_lossy))),
        "type_of" => found(session.type_of(key).map(|found| found.map(|of_type| format!("{of_type:?}")))),
        "keys" => answer(session.keys().map(|keys| keys.iter().map(|(key, of_type)| format!("{key}={of_type:?}")).collect::<Vec<_>>())),
        "len" => Some(format!("{} {}", session.len(), session.is_empty())),
        "set" => answer(session.set(key, &serde_json::from_str::<Value>(value).expect("JSON"))),
        "set_bytes" => answer(session.set(key, &Bytes(value.as_bytes()))),
        "set_deep" => answer(session.set(key, &(0..number(value)).fold(json!(0), |inner, _| json!([inner])))),
        "add" => answer(session.add(key, number(value))),
        "unset" => answer(session.unset(key)),
        "clear" => answer(session.clear()),
        _ => life(session, op, key).or_else(|| fact(session, op)),
    }
}

fn life(session: &Session<'_>, op: &str, key: &str) -> Option<String> {
    answer(match op {
        "load" => session.load(),
        "save" => session.save(),
        "revert" => session.revert(),
        "delete" => session.delete(),
        "invalidate" => session.invalidate(),
        "regenerate" => session.regenerate(if key == "changed" { Privilege::Changed } else { Privilege::Unchanged }),
        "expire" => session.expire(),
        "touch" => session.touch(),
        "set_timeout" => session.set_timeout(Duration::from_secs_f64(key.parse().expect("seconds"))),
        "set_user" => session.set_user((!key.is_empty()).then_some(key)),
        "lock" => session.lock(),
        "lock_for" => session.lock_for(Duration::from_millis(key.parse().expect("milliseconds"))),
        "try_lock" => session.try_lock(),
        "unlock" => session.unlock(),
        "locked" => session.locked(|| session.add(key, 1)),
        "locked_fails" => session.locked(|| session.add(key, 1).and(Err(Error::BadKey))),
        _ => return None,
    })
}

fn fact(session: &Session<'_>, op: &str) -> Option<String> {
    let micros = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_micros().to_string();
    let text = |text: Option<&str>| text.unwrap_or("none").to_owned();
    Some(match op {
        "id" => text(session.id()),
        "reference" => text(session.reference()),
        "cookie_name" => text(session.cookie_name()),
        "user" => text(session.user()),
        "is_new" => session.is_new().to_string(),
        "was_invalidated" => session.was_invalidated().to_string(),
        "created" => micros(session.created()),
        "accessed" => micros(session.accessed()),
        "timeout" => session.timeout().as_secs().to_string(),
        _ => panic!("no operation {op}"),
    })
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}

/// What serde_bytes offers.
struct Bytes<'b>(&'b [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}
