//! Ids that clients present, in Cookie headers and query strings.
//!
//! The first byte says under which name, and how many keys there are (0: cookies are not signed). The rest are headers, each up to a
//! NUL, as C strings are. No mutation makes a signature, so a byte 1 and the one after it stand for a cookie's value: an id, and who
//! signed it.

use std::collections::BTreeSet;

use mod_session_rs::session::cookie::MAX_CANDIDATES;
use mod_session_rs::session::secret::Signature;
use mod_session_rs::session::{CookieRule, Id, Scope, Secrets, query};

/// Signatures that are verified at most.
const MAX_VERIFIED: usize = 64;
const NAMES: [&str; 4] = ["sid", "s", "__Host-a.b_c", "sid2"];
const KEYS: [&[u8]; 4] = [&[b'a'; 32], &[b'b'; 48], &[b'c'; 100], b"a key that no server of ours ever had"];

pub fn cookie(data: &[u8]) {
    let Some((&shape, rest)) = data.split_first() else { return };
    let keys = &KEYS[..usize::from(shape % 4)];
    let scope = Scope { name: "example.org".into(), cookie: NAMES[usize::from(shape / 4 % 4)].into() };
    let text = written_out(rest, &scope, !keys.is_empty());
    let headers: Vec<&[u8]> = text.split(|&c| c == 0).collect();

    let rule = CookieRule { name: scope.cookie.clone(), ..CookieRule::default() };
    let secrets = (!keys.is_empty()).then(|| Secrets::new(keys.iter().copied()).expect("good keys"));
    let found = rule.candidates(&headers, secrets.as_ref().map(|secrets| (secrets, &scope)));
    let presented = headers.iter().flat_map(|header| values(header, &scope.cookie, b";,", true));
    let expected = if keys.is_empty() {
        first_of(presented.filter_map(|value| Some((well_formed(value)?, Signature::Current))))
    } else {
        let verified = presented.filter(|value| value.len() > 32).take(MAX_VERIFIED);
        first_of(verified.filter_map(|value| signed(keys, &scope, value)))
    };
    assert_eq!(exposed(&found), exposed(&expected));
    sane(found.iter().map(|(id, _)| id));

    for query in headers {
        let found = query::ids(query, &scope.cookie);
        let expected = values(query, &scope.cookie, b"&;", false).into_iter().filter_map(|value| Some((well_formed(value)?, ())));
        assert!(found.iter().eq(first_of(expected).iter().map(|(id, ())| id)));
        sane(found.iter());
    }
}

fn sane<'i>(ids: impl Iterator<Item = &'i Id>) {
    let ids: Vec<_> = ids.map(Id::expose).collect();
    assert!(ids.len() <= MAX_CANDIDATES);
    assert!(ids.iter().all(|id| well_formed(id.as_bytes()).is_some()));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id twice");
}

/// With ids that a failure may show.
fn exposed(candidates: &[(Id, Signature)]) -> Vec<(&str, Signature)> {
    candidates.iter().map(|(id, signature)| (id.expose(), *signature)).collect()
}

/// Replaces a byte 1 and the one after it by an id, signed where there are keys: the low half of that byte says which, the high half by
/// whom and for whom.
fn written_out(text: &[u8], scope: &Scope, signed: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (1, Some(&which)) => {
                bytes.next();
                let id = Id::from_random([which % 16; 24]);
                let sign = |key: &[u8], scope: &Scope| Secrets::new([key]).expect("a good key").sign(scope, &id);
                let value = match which / 16 {
                    _ if !signed => id.expose().to_owned(),
                    by @ 0..4 => sign(KEYS[usize::from(by)], scope),
                    4 => sign(KEYS[0], &Scope { name: "example.com".into(), ..scope.clone() }),
                    5 => sign(KEYS[0], &Scope { cookie: "other".into(), ..scope.clone() }),
                    _ => id.expose().to_owned(),
                };
                out.extend_from_slice(value.as_bytes());
            }
            _ => out.push(byte),
        }
    }
    out
}

/// The values under a name: wherever it stands behind a separator, up to the next one.
fn values<'h>(header: &'h [u8], name: &str, separators: &[u8], blanks_around: bool) -> Vec<&'h [u8]> {
    let name = format!("{name}=");
    let begins = |at: usize| {
        let before = if blanks_around { header[..at].trim_ascii_end() } else { &header[..at] };
        before.last().is_none_or(|c| separators.contains(c)) && header[at..].starts_with(name.as_bytes())
    };
    let value = |at: usize| {
        let rest = &header[at + name.len()..];
        let value = &rest[..rest.iter().position(|c| separators.contains(c)).unwrap_or(rest.len())];
        if blanks_around { value.trim_ascii_end() } else { value }
    };
    (0..header.len()).filter(|&at| begins(at)).map(value).collect()
}

fn well_formed(value: &[u8]) -> Option<Id> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() == 32)?;
    let valid = text.chars().all(|c| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_'));
    valid.then(|| Id::parse(value).expect("a well-formed id"))
}

/// The id of a value that is, to the letter, what one of the keys would sign.
fn signed(keys: &[&[u8]], scope: &Scope, value: &[u8]) -> Option<(Id, Signature)> {
    let id = well_formed(value.get(..32)?)?;
    let by = keys.iter().position(|&key| Secrets::new([key]).expect("a good key").sign(scope, &id).as_bytes() == value)?;
    Some((id, if by == 0 { Signature::Current } else { Signature::Older }))
}

fn first_of<S>(presented: impl Iterator<Item = (Id, S)>) -> Vec<(Id, S)> {
    let mut known = BTreeSet::new();
    presented.filter(|(id, _)| known.insert(id.expose().to_owned())).take(MAX_CANDIDATES).collect()
}
