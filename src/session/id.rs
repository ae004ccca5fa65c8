//! The session id, the key it is stored under, and the reference that logs show.

use std::fmt;
use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

/// Random bytes of an id: 192 bits (OWASP and NIST ask for 128 and 64).
pub const ID_BYTES: usize = 24;
/// Characters of an id in a cookie.
pub const ID_LEN: usize = 32;

/// A session id: 192 random bits, 32 characters base64url. A secret: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Id([u8; ID_LEN]);

impl Id {
    #[must_use]
    pub fn from_random(bytes: [u8; ID_BYTES]) -> Id {
        let mut text = [0; ID_LEN];
        BASE64URL_NOPAD.encode_mut(&bytes, &mut text);
        Id(text)
    }

    /// Takes what a client presented. Only the exact form is accepted: no quotes, no padding, no line end
    /// (mod_python's regular expression let a newline through).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Id> {
        let text: [u8; ID_LEN] = text.try_into().ok()?;
        text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')).then_some(Id(text))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url")
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id(hidden)")
    }
}

/// Where a session is visible: hosts that share a store do not share sessions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    pub name: Arc<str>,
    pub cookie: Arc<str>,
}

/// What a store knows of an id: SHA-256("msrs1" 0 scope 0 cookie-name 0 id). Whoever steals a store holds no valid cookie.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

impl Key {
    #[must_use]
    pub fn derive(scope: &Scope, id: &Id) -> Key {
        let mut hash = Sha256::new();
        for part in ["msrs1", &*scope.name, &*scope.cookie] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(id.0);
        Key(hash.finalize().into())
    }

    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The inverse of [`Key::hex`]; lower case only.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Key> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Key)
    }

    /// What logs and people see of a session: the first 12 hex digits.
    #[must_use]
    pub fn reference(&self) -> Ref {
        Ref(HEXLOWER.encode(&self.0[..6]))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.reference())
    }
}

/// The reference of a session: safe to show, useless as a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref(String);

impl Ref {
    /// Takes what an administrator typed: 12 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Ref> {
        let valid = text.len() == 12 && HEXLOWER_PERMISSIVE.decode(text.as_bytes()).is_ok();
        valid.then(|| Ref(text.to_ascii_lowercase()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str, cookie: &str) -> Scope {
        Scope { name: name.into(), cookie: cookie.into() }
    }

    #[test]
    fn an_id_is_32_characters_and_parses_back() {
        let id = Id::from_random([0xfb; ID_BYTES]);
        assert_eq!(id.expose().len(), ID_LEN);
        assert_eq!(Id::parse(id.expose().as_bytes()), Some(id));
    }

    #[test]
    fn only_the_exact_form_is_an_id() {
        let good = "AZaz09-_AZaz09-_AZaz09-_AZaz09-_";
        assert!(Id::parse(good.as_bytes()).is_some());
        for bad in [
            "",
            "short",
            &good[1..],
            &format!("{good}A"),
            &format!("{}\n", &good[1..]),
            &format!("\"{}\"", &good[2..]),
            "../../../../../../etc/passwd....",
            &good.replace('-', "+"),
            &good.replace('A', "\u{e9}"),
        ] {
            assert!(Id::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn scope_cookie_and_id_each_change_the_key_and_cannot_be_shifted() {
        let id = Id::from_random([1; ID_BYTES]);
        let keys = [
            Key::derive(&scope("a", "sid"), &id),
            Key::derive(&scope("b", "sid"), &id),
            Key::derive(&scope("a", "sid2"), &id),
            Key::derive(&scope("as", "id"), &id),
            Key::derive(&scope("a", "sid"), &Id::from_random([2; ID_BYTES])),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn the_key_is_the_documented_hash() {
        // printf 'msrs1\0example.org\0sid\0AAAA…' | sha256sum
        let key = Key::derive(&scope("example.org", "sid"), &Id::from_random([0; ID_BYTES]));
        assert_eq!(key.hex(), "8bd13a429f8a9efb82b57658d9e79cefa67e4bc304023e977307b29be03a3b3a");
        assert_eq!(Key::from_hex(&key.hex()), Some(key));
        assert_eq!(key.reference().as_str(), &key.hex()[..12]);
    }

    #[test]
    fn debug_output_shows_no_id() {
        let id = Id::from_random([7; ID_BYTES]);
        assert!(!format!("{id:?}").contains(id.expose()));
    }
}
