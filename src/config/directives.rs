//! The directives: one row each. `apache-conf/reference.conf` and the README describe them; a test compares.

use std::sync::Arc;
use std::time::Duration;

use super::parse::{LONGEST, memory, number, size};
use super::{Config, LockMode, RedisSource, SecretSource, StoreKind, Switch};
use crate::httpd::directive::{Commands, time};
use crate::httpd::{Contexts, Directive, Place, Setter};
use crate::session::time::MICROS;
use crate::session::{CookieRule, Secrets, query};
use crate::store::dbd::sql::Table;
use crate::store::memory::layout::{LARGEST, SMALLEST};
use crate::store::redis::{is_redis, without_login};

use Contexts::{Everywhere, NotHtaccess, ServerOnly};
use Setter::{Flag, One, Words};

const fn row(
    name: &'static std::ffi::CStr,
    contexts: Contexts,
    setter: Setter<Config>,
    help: &'static std::ffi::CStr,
) -> Directive<Config> {
    Directive { name, contexts, setter, help }
}

pub static DIRECTIVES: [Directive<Config>; 31] = [
    row(c"Session", Everywhere, Flag(|c, on| c.switch = Some(Switch::Said(on))), c"On or Off: whether this part of the site has sessions"),
    row(c"SessionDir", NotHtaccess, One(session_dir), c"directory of the session files; alone it means SessionStore file"),
    row(
        c"SessionStore",
        NotHtaccess,
        Words(session_store),
        c"file, dbm or memory[:size] (in SessionDir), dbd[:table] (mod_dbd), redis://..., or stock: leave it to the stock store modules",
    ),
    row(
        c"SessionTimeout",
        Everywhere,
        One(session_timeout),
        c"idle time after which a session ends (default 1800; seconds, or with s, min, h)",
    ),
    row(
        c"SessionTouchInterval",
        NotHtaccess,
        One(session_touch_interval),
        c"at most so often a mere access is written (default timeout/60, at most 60; 0: always)",
    ),
    row(c"SessionLifetime", NotHtaccess, One(session_lifetime), c"absolute lifetime of a session, never extended (default 0: none)"),
    row(
        c"SessionIdCookie",
        NotHtaccess,
        Words(session_id_cookie),
        c"name of the cookie, then Path= Domain= Max-Age= Secure= HttpOnly= SameSite= Partitioned",
    ),
    row(c"SessionScope", NotHtaccess, One(session_scope), c"name within which sessions are visible (default: the ServerName)"),
    row(
        c"SessionIdGrace",
        NotHtaccess,
        One(session_id_grace),
        c"how long an id that was changed leads to its session (default 10; 0: not at all)",
    ),
    row(
        c"SessionSecret",
        NotHtaccess,
        Words(session_secret),
        c"keys of 32 bytes or more that sign the cookie: the first signs, all verify (default: not signed)",
    ),
    row(c"SessionSecretFile", NotHtaccess, One(session_secret_file), c"file with the keys of SessionSecret, one a line"),
    row(
        c"SessionEncrypt",
        NotHtaccess,
        Flag(|c, on| c.encrypt = Some(on)),
        c"On: values are sealed with a key that only the client has; Off: they are stored as they are (default)",
    ),
    row(
        c"SessionUseCookies",
        NotHtaccess,
        Flag(|c, on| c.use_cookies = Some(on)),
        c"On: a cookie carries the id (default); Off: the query string does, which is unsafe",
    ),
    row(
        c"SessionIdParam",
        NotHtaccess,
        One(session_id_param),
        c"with SessionUseCookies Off: the parameter of the query string that is the id",
    ),
    row(
        c"SessionNotes",
        Everywhere,
        Flag(|c, on| c.notes = Some(on)),
        c"On or Off: show the session to handlers as request notes (default On)",
    ),
    row(c"SessionMaxSize", NotHtaccess, One(session_max_size), c"largest session in bytes, or with K or M (default 1M)"),
    row(
        c"SessionInvalidateCorrupt",
        NotHtaccess,
        Flag(|c, on| c.invalidate_corrupt = Some(on)),
        c"On: a damaged record means a new session (default); Off: an error",
    ),
    row(
        c"SessionSync",
        NotHtaccess,
        Flag(|c, on| c.sync = Some(on)),
        c"On: a change survives a crash of the machine; Off: that of any process (default)",
    ),
    row(
        c"SessionNewTimeout",
        NotHtaccess,
        One(session_new_timeout),
        c"lifetime of a session until its id has come back once (default 0: as any other)",
    ),
    row(c"SessionLock", Everywhere, One(session_lock), c"request, access or none: how long a session is held (default request)"),
    row(
        c"SessionLockTimeout",
        ServerOnly,
        One(session_lock_timeout),
        c"how long a request waits for its session before it is answered 503 (default 30; 0: not at all)",
    ),
    row(
        c"SessionLockWaiters",
        ServerOnly,
        One(|c, word, _| set(&mut c.server.lock_waiters, number(word, 0, 1024)?)),
        c"how many requests wait for one session at most (default 8)",
    ),
    row(
        c"SessionMutexes",
        ServerOnly,
        One(|c, word, _| set(&mut c.server.mutexes, number(word, 1, 4096)?)),
        c"size of the pool of mutexes, which Mutex session-pool governs (default 32)",
    ),
    row(c"SessionCleanupInterval", ServerOnly, One(session_cleanup_interval), c"from one cleaning pass to the next (default 60; 0: none)"),
    row(
        c"SessionCleanupFrequency",
        ServerOnly,
        One(|c, word, _| set(&mut c.server.cleanup_frequency, number(word, 0, u32::MAX)?)),
        c"a cleaning pass beside those at intervals, on average every so many opens (default 0: none)",
    ),
    row(
        c"SessionMaxAge",
        Everywhere,
        One(session_max_age),
        c"stock: seconds of a session; with a store of ours SessionTimeout and Max-Age of the cookie",
    ),
    row(
        c"SessionHeader",
        Everywhere,
        One(|c, word, _| set(&mut c.stock.header, word.into())),
        c"stock: response header that is merged into the session",
    ),
    row(
        c"SessionEnv",
        Everywhere,
        Flag(|c, on| c.stock.env = Some(on)),
        c"stock: On: the encoded session as HTTP_SESSION in the environment",
    ),
    row(
        c"SessionInclude",
        Everywhere,
        One(|c, word, _| push(&mut c.stock.includes, word)),
        c"stock: URL prefix that has sessions; several add up",
    ),
    row(
        c"SessionExclude",
        Everywhere,
        One(|c, word, _| push(&mut c.stock.excludes, word)),
        c"stock: URL prefix that has none; wins over SessionInclude",
    ),
    row(
        c"SessionExpiryUpdateInterval",
        Everywhere,
        One(session_expiry_update),
        c"stock: seconds by which the expiry may move unwritten; with a store of ours SessionTouchInterval",
    ),
];

pub static COMMANDS: Commands<32> = Commands::new(&DIRECTIVES);

/// Bytes of `SessionStore memory`.
const DEFAULT_MEMORY: u64 = 64 << 20;

type Answer = Result<(), String>;

fn set<T>(slot: &mut Option<T>, value: T) -> Answer {
    *slot = Some(value);
    Ok(())
}

fn push(list: &mut Vec<Arc<str>>, word: &str) -> Answer {
    list.push(word.into());
    Ok(())
}

fn session_dir(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    let dir = place.path(word).filter(|path| path.parent().is_some());
    let dir = dir.ok_or_else(|| format!("takes a directory, absolute or below ServerRoot, not '{word}'"))?;
    config.kind.get_or_insert(StoreKind::File);
    config.imply();
    config.dir = Some(dir.into());
    config.locate();
    Ok(())
}

fn session_store(config: &mut Config, words: &[&str], place: Place<'_>) -> Answer {
    let lower = words.first().map_or_else(String::new, |word| word.to_ascii_lowercase());
    let (name, argument) = lower.split_once(':').map_or((lower.as_str(), None), |(name, argument)| (name, Some(argument)));
    let kind = match (name, argument, words) {
        (_, _, [url, ..]) if is_redis(url) => StoreKind::Redis(RedisSource::parse(words, place)?.into()),
        ("file", None, [_]) => StoreKind::File,
        ("dbm", None, [_]) => StoreKind::Dbm,
        ("memory", None, [_]) => StoreKind::Memory(DEFAULT_MEMORY),
        // An error shows the size as it was written.
        ("memory", Some(size), [word]) => StoreKind::Memory(memory(&word[word.len() - size.len()..], SMALLEST, LARGEST)?),
        ("dbd", None, [_]) => StoreKind::Dbd(Table::default()),
        ("dbd", Some(table), [_]) => StoreKind::Dbd(Table::parse(table).ok_or_else(|| {
            format!("takes the name of a table behind 'dbd:', at most 40 lower-case letters, digits and _, not '{table}'")
        })?),
        ("stock", None, [_]) => StoreKind::Stock,
        _ => {
            let shown: Vec<_> = words.iter().map(|word| without_login(word)).collect();
            return Err(format!("knows file, dbm, memory, dbd, redis://... and stock, not '{}'", shown.join(" ")));
        }
    };
    if kind != StoreKind::Stock {
        config.imply();
    }
    config.kind = Some(kind);
    config.locate();
    Ok(())
}

fn session_timeout(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    let seconds = time(place, word).filter(|micros| micros % MICROS == 0).map(|micros| micros / MICROS);
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("takes a time from 1 s to 10 years, in whole seconds, or with s, min, h, not '{word}'"))?;
    set(&mut config.timeout, seconds)
}

/// A time that may be 0.
fn span(word: &str, place: Place<'_>) -> Result<u64, String> {
    let micros = time(place, word).filter(|&micros| micros <= LONGEST * MICROS);
    micros.ok_or_else(|| format!("takes a time from 0 to 10 years, in seconds, or with ms, s, min, h, not '{word}'"))
}

fn session_touch_interval(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.touch_interval, span(word, place)?)
}

fn session_lifetime(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.lifetime, span(word, place)?)
}

fn session_new_timeout(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.new_timeout, span(word, place)?)
}

fn session_id_grace(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.id_grace, span(word, place)?)
}

/// An error must not show a key.
fn session_secret(config: &mut Config, words: &[&str], _: Place<'_>) -> Answer {
    let secrets = Secrets::new(words.iter().map(|word| word.as_bytes())).map_err(|error| error.to_string())?;
    set_secrets(config, SecretSource::Keys(secrets))
}

fn session_secret_file(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    let path = place.path(word).ok_or_else(|| format!("takes a file, absolute or below ServerRoot, not '{word}'"))?;
    set_secrets(config, SecretSource::of_file(path))
}

fn set_secrets(config: &mut Config, source: SecretSource) -> Answer {
    if config.secrets.is_some() {
        return Err("the keys of this section are given already: SessionSecret takes several, and so does SessionSecretFile".into());
    }
    set(&mut config.secrets, Arc::new(source))
}

fn session_id_param(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    if !query::is_name(word) {
        return Err(format!("takes the name of a parameter, of letters, digits and -_., not '{word}'"));
    }
    set(&mut config.id_param, word.into())
}

fn session_lock_timeout(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.server.lock_timeout, Duration::from_micros(span(word, place)?))
}

fn session_cleanup_interval(config: &mut Config, word: &str, place: Place<'_>) -> Answer {
    set(&mut config.server.cleanup_interval, Duration::from_micros(span(word, place)?))
}

fn session_id_cookie(config: &mut Config, words: &[&str], _: Place<'_>) -> Answer {
    let (name, attributes) = words.split_first().ok_or("takes the name of the cookie, and attributes")?;
    let rule = CookieRule::parse(name, attributes).map_err(|error| format!("{}: {error}", words.join(" ")))?;
    set(&mut config.cookie, Arc::new(rule))
}

fn session_scope(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    if word.is_empty() || word.len() > 255 || word.chars().any(char::is_control) {
        return Err(format!("takes a name of 1 to 255 bytes without control characters, not '{}'", word.escape_debug()));
    }
    set(&mut config.scope, word.into())
}

fn session_max_size(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    set(&mut config.max_size, size(word, 1 << 10, 64 << 20)?)
}

fn session_lock(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    let mode = match word.to_ascii_lowercase().as_str() {
        "request" => LockMode::Request,
        "access" => LockMode::Access,
        "none" => LockMode::None,
        _ => return Err(format!("takes request, access or none, not '{word}'")),
    };
    set(&mut config.lock, mode)
}

fn session_max_age(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    let seconds = word.parse().map_err(|_| format!("takes a number of seconds, 0 for none, not '{word}'"))?;
    set(&mut config.stock.max_age_seconds, seconds)
}

fn session_expiry_update(config: &mut Config, word: &str, _: Place<'_>) -> Answer {
    let seconds = word.parse().map_err(|_| format!("must be zero (disable) or a positive value (seconds), not '{word}'"))?;
    set(&mut config.stock.expiry_update, seconds)
}
