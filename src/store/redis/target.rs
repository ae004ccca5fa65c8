//! The words of `SessionStore` that name a Redis: a URL, and `name=value` words behind it. No text made here shows a password.

use std::fmt;
use std::path::PathBuf;

/// What every key begins with, if `prefix=` does not say otherwise. The number is that of the layout.
pub const PREFIX: &str = "msrs1:";
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Tcp(String, u16),
    Tls(String, u16),
    Unix(PathBuf),
    /// The primary that these sentinels name under this service.
    Sentinel(Vec<(String, u16)>, String),
}

/// What the words say. Files are named, not read.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub peer: Peer,
    pub user: Option<String>,
    pub password: Option<String>,
    pub db: i64,
    pub prefix: String,
    pub paths: Paths,
}

/// The files that the words name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    pub password: Option<String>,
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

impl Target {
    /// With the prefix, if it is another one: what two of them have in the same server are two stores.
    #[must_use]
    pub fn whole(&self) -> String {
        if self.prefix == PREFIX { self.to_string() } else { format!("{self} prefix={}", self.prefix) }
    }
}

/// Without user and password: what logs show.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &String, port: &u16| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        match &self.peer {
            Peer::Tcp(name, port) => write!(f, "redis://{}", host(name, port))?,
            Peer::Tls(name, port) => write!(f, "rediss://{}", host(name, port))?,
            Peer::Unix(path) => write!(f, "redis+unix://{}", path.display())?,
            Peer::Sentinel(sentinels, service) => {
                let hosts: Vec<_> = sentinels.iter().map(|(name, port)| host(name, port)).collect();
                write!(f, "redis+sentinel://{}/{service}", hosts.join(","))?;
            }
        }
        match (&self.peer, self.db) {
            (_, 0) => Ok(()),
            (Peer::Unix(_), db) => write!(f, "?db={db}"),
            (_, db) => write!(f, "/{db}"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, user {:?}, prefix {:?}, {:?})", self.user, self.prefix, self.paths)
    }
}

/// A word as an error may show it: what stands before the last @ may be a password, whatever it looks like.
#[must_use]
pub fn without_login(word: &str) -> String {
    let Some((login, rest)) = word.rsplit_once('@') else { return word.to_owned() };
    let scheme = login.split_once(':').map_or("", |(scheme, _)| scheme);
    format!("{scheme}:...@{rest}")
}

/// Whether a word is for us.
#[must_use]
pub fn is_redis(word: &str) -> bool {
    let scheme = word.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    scheme.starts_with("redis") || scheme.starts_with("valkey")
}

impl Target {
    /// Reads the words.
    ///
    /// # Errors
    /// What is wrong and what to write instead, as it follows the name of the directive.
    pub fn parse(words: &[&str]) -> Result<Target, String> {
        let (url, options) = words.split_first().ok_or("takes the URL of a Redis")?;
        let mut target = parse_url(url)?;
        for option in options {
            target.set(option)?;
        }
        let is_tls = matches!(target.peer, Peer::Tls(..));
        let paths = &target.paths;
        if !is_tls && (paths.ca.is_some() || paths.cert.is_some() || paths.key.is_some()) {
            return Err(format!("{target}: ca=, cert= and key= are for TLS: write rediss://"));
        }
        if paths.cert.is_some() != paths.key.is_some() {
            return Err(format!("{target}: a client certificate needs both cert=file and key=file"));
        }
        if target.password.is_some() && paths.password.is_some() {
            return Err(format!("{target}: the password is given twice: take it out of the URL, or leave passwordfile= away"));
        }
        Ok(target)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let Some((name, value)) = option.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(format!("takes words as name=value behind the URL, not '{option}'"));
        };
        let paths = &mut self.paths;
        let slot = match name.to_ascii_lowercase().as_str() {
            "ca" => &mut paths.ca,
            "cert" => &mut paths.cert,
            "key" => &mut paths.key,
            "passwordfile" => &mut paths.password,
            "prefix" => {
                if value.len() > 64 || !value.bytes().all(|c| c.is_ascii_graphic()) {
                    return Err(format!("takes a prefix of 1 to 64 ASCII characters without blanks, not '{}'", value.escape_debug()));
                }
                value.clone_into(&mut self.prefix);
                return Ok(());
            }
            // The value of a word that is not known may be a password.
            _ => return Err(format!("knows ca=, cert=, key=, passwordfile= and prefix= behind the URL, not '{name}='")),
        };
        *slot = Some(value.to_owned());
        Ok(())
    }
}

fn parse_url(url: &str) -> Result<Target, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let kind = scheme.to_ascii_lowercase().replacen("valkey", "redis", 1);
    // What stands before the last @ may be a password, whatever it looks like.
    let shown = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let wrong = |why: &str| format!("takes a URL such as redis://host:6379/0, not '{scheme}://{shown}': {why}");
    let before_host = if kind == "redis+unix" { rest.find('/').unwrap_or(rest.len()) } else { rest.len() };
    let (login, rest) = rest[..before_host].rfind('@').map_or((None, rest), |at| (Some(&rest[..at]), &rest[at + 1..]));
    let (user, password) = match login {
        Some(login) => parse_login(login).ok_or_else(|| wrong("write %XX for what is special in user or password"))?,
        None => (None, None),
    };
    let (peer, db) = match kind.as_str() {
        "redis" | "rediss" => {
            let (host, db) = rest.split_once('/').unwrap_or((rest, ""));
            let (host, port) = parse_host(host, PORT).map_err(wrong)?;
            (if kind == "rediss" { Peer::Tls(host, port) } else { Peer::Tcp(host, port) }, db)
        }
        "redis+unix" => {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            if !path.starts_with('/') || path.len() < 2 {
                return Err(wrong("a socket has an absolute path, as in redis+unix:///run/redis/redis.sock"));
            }
            let db = match query {
                "" => "",
                query => query.strip_prefix("db=").ok_or_else(|| wrong("behind ? stands db=number"))?,
            };
            (Peer::Unix(path.into()), db)
        }
        "redis+sentinel" => {
            let (hosts, service) = rest.split_once('/').unwrap_or((rest, ""));
            let (service, db) = service.split_once('/').unwrap_or((service, ""));
            if service.is_empty() {
                return Err(wrong("the name of the service is missing, as in redis+sentinel://host1:26379,host2:26379/mymaster"));
            }
            let sentinels = hosts.split(',').map(|host| parse_host(host, SENTINEL_PORT)).collect::<Result<_, _>>().map_err(wrong)?;
            (Peer::Sentinel(sentinels, service.to_owned()), db)
        }
        _ => return Err(wrong("the schemes are redis, rediss (TLS), redis+unix and redis+sentinel")),
    };
    let db = match db {
        "" => 0,
        db => db.parse::<u16>().map_err(|_| wrong("a database is a number from 0 on"))?.into(),
    };
    Ok(Target { peer, user, password, db, prefix: PREFIX.to_owned(), paths: Paths::default() })
}

/// `user:password`, `:password` or `user`.
fn parse_login(login: &str) -> Option<(Option<String>, Option<String>)> {
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let decoded = |text: &str| if text.is_empty() { Some(None) } else { unescape(text).map(Some) };
    Some((decoded(user)?, password.map_or(Some(None), decoded)?))
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |c: Option<u8>| char::from(c?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `host`, `host:port`, `[::1]`, `[::1]:port`.
fn parse_host(text: &str, port: u16) -> Result<(String, u16), &'static str> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => text.split_once(']').ok_or("an address in brackets does not end")?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    if host.is_empty() || host.contains(|c: char| c.is_ascii_whitespace() || c == '/' || c == '?' || c == '#') {
        return Err("the host is missing, or is no name");
    }
    let port = match rest {
        "" => port,
        rest => {
            let number = rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|&port| port > 0);
            number.ok_or("a port is a number from 1 to 65535; IPv6 addresses stand in brackets")?
        }
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
