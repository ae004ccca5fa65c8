//! The session cookie: how it is declared, found in a request and written into a response (RFC 6265bis).

use std::fmt::Write as _;
use std::sync::Arc;

use super::id::{ID_LEN, Id, Scope};
use super::secret::{Secrets, Signature};

/// A client that sends more well-formed ids than this is not served by trying on.
pub const MAX_CANDIDATES: usize = 8;
/// Nor is one with more signatures than this.
const MAX_VERIFIED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// Follows the scheme of the request.
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

/// What `SessionIdCookie` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieRule {
    pub name: Arc<str>,
    pub path: String,
    pub domain: Option<String>,
    /// Seconds; `None`: a cookie of the browser session.
    pub max_age: Option<u64>,
    pub secure: Secure,
    pub http_only: bool,
    pub same_site: SameSite,
    pub partitioned: bool,
}

impl Default for CookieRule {
    fn default() -> Self {
        CookieRule {
            name: "sid".into(),
            path: "/".into(),
            domain: None,
            max_age: None,
            secure: Secure::Auto,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    #[error("'{0}' is no cookie name: use letters, digits and -_.")]
    Name(String),
    #[error(
        "unknown attribute '{0}': use Path=, Domain=, Max-Age=, Secure=auto|on|off, HttpOnly=on|off, SameSite=Lax|Strict|None or Partitioned"
    )]
    Attribute(String),
    #[error("'{0}' given twice: leave one")]
    Twice(String),
    #[error("'{1}' is no value of {0}: use {2}")]
    Value(&'static str, String, &'static str),
    #[error("a name that begins with {0} needs {1}")]
    Prefix(&'static str, &'static str),
    #[error("{0} needs a secure cookie: add Secure=on")]
    NeedsSecure(&'static str),
}

impl CookieRule {
    /// Reads the words of `SessionIdCookie name [attribute…]`.
    ///
    /// # Errors
    /// Says which word is wrong and what to write instead.
    pub fn parse(name: &str, attributes: &[&str]) -> Result<CookieRule, CookieError> {
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) {
            return Err(CookieError::Name(name.into()));
        }
        let mut rule = CookieRule { name: name.into(), ..CookieRule::default() };
        let mut seen: Vec<String> = Vec::new();
        for &attribute in attributes {
            let (word, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let word = word.to_ascii_lowercase();
            if seen.contains(&word) {
                return Err(CookieError::Twice(attribute.into()));
            }
            match word.as_str() {
                "path" => rule.path = path(value)?,
                "domain" => rule.domain = Some(domain(value)?),
                "max-age" => rule.max_age = Some(max_age(value)?),
                "secure" => {
                    rule.secure = match value.to_ascii_lowercase().as_str() {
                        "auto" => Secure::Auto,
                        "on" => Secure::On,
                        "off" => Secure::Off,
                        _ => return Err(CookieError::Value("Secure", value.into(), "auto, on or off")),
                    }
                }
                "httponly" => {
                    rule.http_only = match value.to_ascii_lowercase().as_str() {
                        "on" => true,
                        "off" => false,
                        _ => return Err(CookieError::Value("HttpOnly", value.into(), "on or off")),
                    }
                }
                "samesite" => {
                    rule.same_site = match value.to_ascii_lowercase().as_str() {
                        "lax" => SameSite::Lax,
                        "strict" => SameSite::Strict,
                        "none" => SameSite::None,
                        _ => return Err(CookieError::Value("SameSite", value.into(), "Lax, Strict or None")),
                    }
                }
                "partitioned" if attribute.len() == word.len() => rule.partitioned = true,
                _ => return Err(CookieError::Attribute(attribute.into())),
            }
            seen.push(word);
        }
        rule.with_rules_of_prefix(seen.iter().any(|word| word == "secure"))
    }

    /// Browsers drop a cookie that breaks the rules of its prefix, so we refuse it where an administrator sees it.
    fn with_rules_of_prefix(mut self, secure_said: bool) -> Result<CookieRule, CookieError> {
        let lower = self.name.to_ascii_lowercase();
        let prefix = ["__Host-", "__Secure-"].into_iter().find(|prefix| lower.starts_with(&prefix.to_ascii_lowercase()));
        if let Some(prefix) = prefix {
            if secure_said && self.secure != Secure::On {
                return Err(CookieError::Prefix(prefix, "Secure=on"));
            }
            self.secure = Secure::On;
            if prefix == "__Host-" && self.path != "/" {
                return Err(CookieError::Prefix(prefix, "Path=/"));
            }
            if prefix == "__Host-" && self.domain.is_some() {
                return Err(CookieError::Prefix(prefix, "no Domain"));
            }
        }
        if self.secure == Secure::Off && self.same_site == SameSite::None {
            return Err(CookieError::NeedsSecure("SameSite=None"));
        }
        if self.secure == Secure::Off && self.partitioned {
            return Err(CookieError::NeedsSecure("Partitioned"));
        }
        Ok(self)
    }

    /// The well-formed, different ids under our name, in the order of the client, signed where there are keys. What is not well-formed
    /// is no id of ours and costs no look into the store.
    #[must_use]
    pub fn candidates(&self, headers: &[&[u8]], signed: Option<(&Secrets, &Scope)>) -> Vec<(Id, Signature)> {
        let mut found: Vec<(Id, Signature)> = Vec::new();
        let mut verified = 0;
        for pair in headers.iter().flat_map(|header| header.split(|&c| c == b';' || c == b',')) {
            let pair = pair.trim_ascii();
            let Some(value) = pair.strip_prefix(self.name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else { continue };
            let candidate = match signed {
                // More of them than any client sends by chance are not worth the arithmetic.
                Some((secrets, scope)) if value.len() > ID_LEN && verified < MAX_VERIFIED => {
                    verified += 1;
                    secrets.verify(scope, value)
                }
                Some(_) => None,
                None => Id::parse(value).map(|id| (id, Signature::Current)),
            };
            if let Some(candidate) = candidate
                && !found.iter().any(|(id, _)| *id == candidate.0)
            {
                found.push(candidate);
                if found.len() == MAX_CANDIDATES {
                    break;
                }
            }
        }
        found
    }

    /// The `Set-Cookie` header that hands out `value`: an id, signed where there are keys.
    #[must_use]
    pub fn set(&self, value: &str, https: bool) -> String {
        self.header(value, self.max_age, https)
    }

    /// The value of a `Set-Cookie` header that makes the client forget the id. It repeats path and domain, or another cookie goes.
    #[must_use]
    pub fn clear(&self, https: bool) -> String {
        self.header("", Some(0), https)
    }

    fn header(&self, value: &str, max_age: Option<u64>, https: bool) -> String {
        let mut text = format!("{}={value}; Path={}", self.name, self.path);
        if let Some(domain) = &self.domain {
            let _ = write!(text, "; Domain={domain}");
        }
        match max_age {
            // Some clients know Expires only.
            Some(0) => text.push_str("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
            Some(seconds) => {
                let _ = write!(text, "; Max-Age={seconds}");
            }
            None => {}
        }
        if self.secure == Secure::On || (self.secure == Secure::Auto && https) {
            text.push_str("; Secure");
        }
        if self.http_only {
            text.push_str("; HttpOnly");
        }
        text.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            text.push_str("; Partitioned");
        }
        text
    }
}

fn path(value: &str) -> Result<String, CookieError> {
    if value.starts_with('/') && value.bytes().all(|c| (0x21..0x7f).contains(&c) && c != b';' && c != b',') {
        Ok(value.into())
    } else {
        Err(CookieError::Value("Path", value.into(), "an absolute URL path such as / or /app"))
    }
}

fn domain(value: &str) -> Result<String, CookieError> {
    let plain = value.strip_prefix('.').unwrap_or(value);
    if !plain.is_empty() && plain.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c)) {
        Ok(value.into())
    } else {
        Err(CookieError::Value("Domain", value.into(), "a host name such as example.org"))
    }
}

/// Browsers cap the age of a cookie at 400 days; more than ten years is a mistake.
fn max_age(value: &str) -> Result<u64, CookieError> {
    let seconds = value.parse().ok().filter(|seconds| (1..=315_360_000).contains(seconds));
    seconds.ok_or_else(|| CookieError::Value("Max-Age", value.into(), "seconds, 1 to 315360000"))
}

#[cfg(test)]
mod tests;
