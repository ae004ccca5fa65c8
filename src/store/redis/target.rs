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
    // What stands before the host may be a password.
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    let wrong = |why: &str| format!("takes a URL such as redis://host:6379/0, not '{scheme}://{rest}': {why}");
    let (user, password) = match login {
        Some(login) => parse_login(login).ok_or_else(|| wrong("write %XX for what is special in user or password"))?,
        None => (None, None),
    };
    let kind = scheme.to_ascii_lowercase().replacen("valkey", "redis", 1);
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
mod tests {
    use super::*;

    fn target(words: &str) -> Target {
        Target::parse(&words.split(' ').collect::<Vec<_>>()).unwrap()
    }

    fn why(words: &str) -> String {
        Target::parse(&words.split(' ').collect::<Vec<_>>()).unwrap_err()
    }

    #[test]
    fn each_form_says_what_it_means() {
        let all = [
            ("redis://cache", Peer::Tcp("cache".into(), 6379), 0),
            ("REDIS://cache:7000/3", Peer::Tcp("cache".into(), 7000), 3),
            ("valkey://[::1]:7000/", Peer::Tcp("::1".into(), 7000), 0),
            ("rediss://[fe80::2]", Peer::Tls("fe80::2".into(), 6379), 0),
            ("valkeys://cache", Peer::Tls("cache".into(), 6379), 0),
            ("redis+unix:///run/redis/redis.sock?db=2", Peer::Unix("/run/redis/redis.sock".into()), 2),
            (
                "redis+sentinel://one,two:26380,[::1]/main/1",
                Peer::Sentinel(vec![("one".into(), 26379), ("two".into(), 26380), ("::1".into(), 26379)], "main".into()),
                1,
            ),
        ];
        for (url, peer, db) in all {
            let target = target(url);
            assert_eq!((&target.peer, target.db, &*target.prefix), (&peer, db, PREFIX), "{url}");
            assert_eq!(Target::parse(&[&target.to_string()]).unwrap(), target, "{url} as it is shown");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_shown_nowhere() {
        for (url, user, password) in [
            ("redis://ann:p%40s%3as@h", Some("ann"), Some("p@s:s")),
            ("redis://:p@ss@h", None, Some("p@ss")),
            ("redis://ann@h", Some("ann"), None),
            ("redis+unix://ann:p@/s", Some("ann"), Some("p")),
            ("redis+sentinel://:p@h/m", None, Some("p")),
        ] {
            let target = target(url);
            assert_eq!((target.user.as_deref(), target.password.as_deref()), (user, password), "{url}");
            if let Some(password) = password {
                assert!(!format!("{target} {target:?}").contains(&format!("{password}@")), "{target:?}");
            }
        }
        for bad in ["redis://u:se%zzcret@h", "redis://u:secret@", "redis://u:secret@h:0", "redis://u:secret@h ca=x", "radis://u:secret@h"] {
            assert!(!why(bad).contains("cret"), "{}", why(bad));
        }
        assert!(!why("redis://h password=secret").contains("secret"));
        assert!(why("redis://u:p@h passwordfile=x").contains("twice"));
    }

    #[test]
    fn words_behind_the_url_are_told_apart_and_checked() {
        let target = target("rediss://h ca=/a cert=b key=c passwordfile=d prefix=shop:");
        let paths = Paths { password: Some("d".into()), ca: Some("/a".into()), cert: Some("b".into()), key: Some("c".into()) };
        assert_eq!((target.paths, &*target.prefix), (paths, "shop:"));
        for (bad, remedy) in [
            ("redis://h ca=x", "rediss://"),
            ("rediss://h cert=x", "key=file"),
            ("redis://h timeout=3", "knows ca="),
            ("redis://h 3", "name=value"),
            ("redis://h prefix=", "name=value"),
            ("redis://h prefix=\u{e4}", "ASCII"),
        ] {
            assert!(why(bad).contains(remedy), "{bad}: {}", why(bad));
        }
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused_with_the_value_and_the_remedy() {
        for (bad, remedy) in [
            ("redis:", "host"),
            ("redis://", "host"),
            ("redis:///0", "host"),
            ("redis://h:port", "a port is"),
            ("redis://h:70000", "a port is"),
            ("redis://::1", "host"),
            ("redis://[::1", "does not end"),
            ("redis://h/zero", "a database is a number"),
            ("redis://h/-1", "a database is a number"),
            ("redis+unix://run/redis.sock", "absolute path"),
            ("redis+unix:///s?user=x", "db=number"),
            ("redis+sentinel://h", "mymaster"),
            ("redis+sentinel:///m", "host"),
            ("redis+cluster://h", "the schemes are"),
        ] {
            let why = why(bad);
            assert!(why.contains(remedy) && why.contains(bad.split_once("://").map_or("", |(_, rest)| rest)), "{bad}: {why}");
        }
    }

    #[test]
    fn other_words_are_not_for_us() {
        assert!(is_redis("redis://h") && is_redis("rediss://h") && is_redis("redis+cluster://h") && is_redis("Valkey://h"));
        assert!(!is_redis("file") && !is_redis("redis") && !is_redis("memory:64M"));
    }
}
