//! Signed cookies: an id that we did not issue is told by its signature, before the store is asked.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::{ID_LEN, Id, Scope};

/// Bytes of a key at least: what HMAC-SHA-256 can make use of.
pub const SHORTEST: usize = 32;
/// Bytes of the signature in a cookie: forging one takes 2^127 requests.
const TAG: usize = 16;
/// Characters of it.
const TAG_LEN: usize = 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("no key: write one a line, of {SHORTEST} bytes at least (openssl rand -base64 48)")]
    None,
    #[error("the key number {0} is shorter than {SHORTEST} bytes: write a longer one (openssl rand -base64 48)")]
    Short(usize),
    #[error("the keys number {0} and {1} are the same: leave one")]
    Twice(usize, usize),
}

/// The keys of `SessionSecret`: the first signs, all verify. They are shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Vec<u8>>);

/// How a signature was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// By the key that signs now.
    Current,
    /// By an older one: the cookie is sent again.
    Older,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}

impl Secrets {
    /// # Errors
    /// Which key is wrong, by its number.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k [u8]>) -> Result<Secrets, SecretError> {
        let keys: Vec<_> = keys.into_iter().map(<[u8]>::to_vec).collect();
        if keys.is_empty() {
            return Err(SecretError::None);
        }
        for (at, key) in keys.iter().enumerate() {
            if key.len() < SHORTEST {
                return Err(SecretError::Short(at + 1));
            }
            if let Some(same) = keys[..at].iter().position(|other| other == key) {
                return Err(SecretError::Twice(same + 1, at + 1));
            }
        }
        Ok(Secrets(keys))
    }

    /// Reads the text of a `SessionSecretFile`: one key a line; blank lines and lines that begin with `#` are none.
    ///
    /// # Errors
    /// As [`Secrets::new`].
    pub fn parse(text: &[u8]) -> Result<Secrets, SecretError> {
        let lines = text.split(|&c| c == b'\n').map(<[u8]>::trim_ascii);
        Secrets::new(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")))
    }

    fn mac(key: &[u8], scope: &Scope, id: &Id) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        for part in ["msrs-cookie-1", &*scope.name, &*scope.cookie] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.update(id.expose().as_bytes());
        mac
    }

    /// What a cookie holds: the id, a dot, 16 bytes of HMAC-SHA-256(key, "msrs-cookie-1" 0 scope 0 cookie-name 0 id) in base64url.
    #[must_use]
    pub fn sign(&self, scope: &Scope, id: &Id) -> String {
        let tag = Secrets::mac(&self.0[0], scope, id).finalize().into_bytes();
        format!("{}.{}", id.expose(), BASE64URL_NOPAD.encode(&tag[..TAG]))
    }

    /// Takes the id of a cookie whose signature one of the keys made. The time it takes tells nothing of the signature.
    #[must_use]
    pub fn verify(&self, scope: &Scope, cookie: &[u8]) -> Option<(Id, Signature)> {
        let (id, tag) = cookie.split_at_checked(ID_LEN)?;
        let id = Id::parse(id)?;
        let tag = tag.strip_prefix(b".").filter(|tag| tag.len() == TAG_LEN)?;
        let tag = BASE64URL_NOPAD.decode(tag).ok()?;
        let made_by = |key: &Vec<u8>| Secrets::mac(key, scope, &id).verify_truncated_left(&tag).is_ok();
        let at = self.0.iter().position(made_by)?;
        Some((id, if at == 0 { Signature::Current } else { Signature::Older }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&[u8]; 3] = [&[b'a'; 32], &[b'b'; 40], &[b'c'; 32]];

    fn secrets(keys: &[&[u8]]) -> Secrets {
        Secrets::new(keys.iter().copied()).unwrap()
    }

    fn scope() -> Scope {
        Scope { name: "example.org".into(), cookie: "sid".into() }
    }

    fn id() -> Id {
        Id::from_random([0; 24])
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf 'msrs-cookie-1\0example.org\0sid\0AAAA…' | openssl dgst -sha256 -hmac aaaa… -binary | head -c 16 | basenc --base64url
        assert_eq!(secrets(&KEYS).sign(&scope(), &id()), format!("{}.mzZ74ZFcvyussrHdDRIkiQ", "A".repeat(32)));
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let old = secrets(&KEYS[1..]).sign(&scope(), &id());
        assert_eq!(secrets(&KEYS).verify(&scope(), old.as_bytes()), Some((id(), Signature::Older)));
        assert_eq!(secrets(&KEYS[1..]).verify(&scope(), old.as_bytes()), Some((id(), Signature::Current)));
        assert_eq!(secrets(&KEYS[..1]).verify(&scope(), old.as_bytes()), None);
    }

    #[test]
    fn what_was_signed_for_another_scope_name_or_id_is_refused_and_so_is_any_other_form() {
        let secrets = secrets(&KEYS);
        let good = secrets.sign(&scope(), &id());
        for other in [Scope { name: "example.com".into(), ..scope() }, Scope { cookie: "sid2".into(), ..scope() }] {
            assert_eq!(secrets.verify(&other, good.as_bytes()), None);
        }
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'B' { b'C' } else { b'B' };
            assert_eq!(secrets.verify(&scope(), &bytes), None, "byte {at}");
        }
        for bad in [id().expose().to_owned(), format!("{good}="), format!("{good}A"), good[..good.len() - 1].to_owned(), String::new()] {
            assert_eq!(secrets.verify(&scope(), bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_file_has_one_key_a_line_and_errors_name_the_line_but_not_the_key() {
        let text = format!("# new\n{}\r\n\n{}\n", "n".repeat(32), "o".repeat(32));
        assert_eq!(Secrets::parse(text.as_bytes()), Ok(secrets(&[&[b'n'; 32], &[b'o'; 32]])));
        assert_eq!(Secrets::parse(b"# nothing\n"), Err(SecretError::None));
        assert_eq!(Secrets::parse(format!("{}\nshort", "n".repeat(32)).as_bytes()), Err(SecretError::Short(2)));
        assert_eq!(Secrets::new([&[7; 32][..], &[7; 32]]), Err(SecretError::Twice(1, 2)));
        assert!(!format!("{:?}", secrets(&KEYS)).contains("aaa"));
    }
}
