//! The words of directives, keys of a secret file, and what tools and handlers are given as references, users and keys.
//!
//! An input is the text of a secret file, and its lines are words: each is tried as every kind of word, and all of them together as
//! `SessionIdCookie name [attribute…]`.

use mod_session_rs::session::cookie::{SameSite, Secure};
use mod_session_rs::session::secret::{SHORTEST, SecretError, Signature};
use mod_session_rs::session::session::is_user;
use mod_session_rs::session::value::{KeyError, check_key};
use mod_session_rs::session::{CookieRule, Id, Key, Ref, Scope, Secrets, query};

/// As it stands: `src/config` needs httpd.
#[path = "../../src/config/parse.rs"]
#[allow(dead_code, reason = "times are read with the help of httpd")]
mod parse;

pub fn config(data: &[u8]) {
    secret_file(data);
    let words: Vec<&str> = data.split(|&c| c == b'\n').filter_map(|word| std::str::from_utf8(word).ok()).collect();
    for word in &words {
        numbers(word);
        names(word);
    }
    if let Some((name, attributes)) = words.split_first()
        && let Ok(rule) = CookieRule::parse(name, attributes)
    {
        cookie(&rule);
    }
}

fn id() -> Id {
    Id::from_random([1; 24])
}

fn secret_file(text: &[u8]) {
    let lines = text.split(|&c| c == b'\n').map(<[u8]>::trim_ascii);
    let keys: Vec<_> = lines.filter(|line| line.first().is_some_and(|&c| c != b'#')).collect();
    let wrong = keys.iter().enumerate().find_map(|(at, key)| {
        let twice = || keys[..at].iter().position(|other| other == key).map(|same| SecretError::Twice(same + 1, at + 1));
        if key.len() < SHORTEST { Some(SecretError::Short(at + 1)) } else { twice() }
    });
    let secrets = match (Secrets::parse(text), wrong.or(keys.is_empty().then_some(SecretError::None))) {
        (Ok(secrets), None) => secrets,
        (Err(error), wrong) => return assert_eq!(Some(error), wrong),
        (Ok(_), Some(wrong)) => panic!("accepted: {wrong}"),
    };
    assert_eq!(format!("{secrets:?}"), format!("Secrets({} hidden)", keys.len()));
    let scope = Scope { name: "example.org".into(), cookie: "sid".into() };
    for (at, &key) in keys.iter().enumerate() {
        let cookie = Secrets::new([key]).expect("each is good by itself").sign(&scope, &id());
        let (found, by) = secrets.verify(&scope, cookie.as_bytes()).expect("every key verifies");
        assert_eq!(found, id());
        assert!(at > 0 || (by == Signature::Current && cookie == secrets.sign(&scope, &id())), "the first key signs");
    }
}

fn numbers(word: &str) {
    // In 128 bits nothing overflows that an answer is made of: more than 30 digits are too large with any unit, unless they are zeroes.
    let digits = |text: &str| {
        let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        let text = text.trim_start_matches('0');
        is_plain.then(|| if text.len() > 30 { u128::MAX >> 32 } else { text.parse().unwrap_or(0) })
    };
    let unit = |letters: [char; 2], factor: u128| word.strip_suffix(letters).and_then(digits).map(|number| number * factor);
    let bytes = unit(['k', 'K'], 1 << 10).or_else(|| unit(['m', 'M'], 1 << 20)).or_else(|| digits(word));
    for (least, most) in [(1 << 10, 64 << 20), (0, usize::MAX)] {
        let expected = bytes.filter(|&bytes| (least as u128..=most as u128).contains(&bytes));
        answers(word, parse::size(word, least, most).map(|bytes| bytes as u128), expected);
    }
    for (least, most) in [(1, 4096), (0, u32::MAX)] {
        let expected = digits(word).filter(|&number| (u128::from(least)..=u128::from(most)).contains(&number));
        answers(word, parse::number(word, least, most).map(u128::from), expected);
    }
}

fn answers(word: &str, answer: Result<u128, String>, expected: Option<u128>) {
    match answer {
        Ok(number) => assert_eq!(Some(number), expected, "{word:?}"),
        Err(text) => assert!(expected.is_none() && text.ends_with(&format!("not '{word}'")), "{word:?}: {text}"),
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn names(word: &str) {
    let lower = word.to_ascii_lowercase();
    let reference = Ref::parse(word);
    assert_eq!(reference.as_ref().map(Ref::as_str), (word.len() == 12 && is_hex(&lower)).then_some(&*lower));
    assert_eq!(reference.as_ref().and_then(|reference| Ref::parse(reference.as_str())), reference);

    let key = Key::from_hex(word);
    assert_eq!(key.map(|key| key.hex()), (word.len() == 64 && is_hex(word)).then(|| word.to_owned()));
    assert!(key.is_none_or(|key| key.reference().as_str() == &word[..12]));

    let has_control = word.chars().any(|c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'));
    assert_eq!(is_user(word), word.len() <= 255 && !has_control);
    let expected = match word.len() {
        1..=128 if has_control => Err(KeyError::Control),
        1..=128 => Ok(()),
        _ => Err(KeyError::Length),
    };
    assert_eq!(check_key(word), expected);
    assert_eq!(query::is_name(word), CookieRule::parse(word, &[]).is_ok());
}

/// The words that declare this rule.
fn declared(rule: &CookieRule) -> Vec<String> {
    let on = |on| if on { "on" } else { "off" };
    let secure = if rule.secure == Secure::Auto { "auto" } else { on(rule.secure == Secure::On) };
    let mut words = vec![
        format!("Path={}", rule.path),
        format!("Secure={secure}"),
        format!("HttpOnly={}", on(rule.http_only)),
        format!("SameSite={:?}", rule.same_site),
    ];
    words.extend(rule.domain.as_ref().map(|domain| format!("Domain={domain}")));
    words.extend(rule.max_age.map(|seconds| format!("Max-Age={seconds}")));
    words.extend(rule.partitioned.then(|| "Partitioned".to_owned()));
    words
}

/// Name, value and attributes in lower case as a browser reads them (RFC 6265bis, 5.6).
fn as_browsers_read(header: &str) -> (&str, &str, Vec<(String, &str)>) {
    let mut parts = header.split(';').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']))
    });
    let (name, value) = parts.next().expect("a first part");
    let mut attributes: Vec<_> = parts.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    attributes.sort();
    (name, value, attributes)
}

/// A rule that was accepted.
fn cookie(rule: &CookieRule) {
    let words = declared(rule);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(CookieRule::parse(&rule.name, &words).as_ref(), Ok(rule));

    let max_age = rule.max_age.map(|seconds| seconds.to_string());
    for https in [false, true] {
        let (set, clear) = (rule.set(id().expose(), https), rule.clear(https));
        let secure = rule.secure == Secure::On || (https && rule.secure == Secure::Auto);
        let same_site = format!("{:?}", rule.same_site);
        let mut expected = vec![("path".to_owned(), &*rule.path), ("samesite".into(), &same_site)];
        expected.extend(rule.domain.as_deref().map(|domain| ("domain".into(), domain)));
        expected.extend(rule.http_only.then(|| ("httponly".into(), "")));
        expected.extend(secure.then(|| ("secure".into(), "")));
        expected.extend(rule.partitioned.then(|| ("partitioned".into(), "")));
        let mut cleared = [&expected[..], &[("max-age".into(), "0"), ("expires".into(), "Thu, 01 Jan 1970 00:00:00 GMT")]].concat();
        expected.extend(max_age.as_deref().map(|seconds| ("max-age".into(), seconds)));
        expected.sort();
        cleared.sort();
        assert_eq!(as_browsers_read(&set), (&*rule.name, id().expose(), expected));
        assert_eq!(as_browsers_read(&clear), (&*rule.name, "", cleared));
        assert!(set.bytes().chain(clear.bytes()).all(|c| (0x20..0x7f).contains(&c)), "{set:?}");
        assert!(!set.contains(','), "{set:?}");

        let pair = set.split(';').next().expect("a first part");
        assert_eq!(rule.candidates(&[pair.as_bytes()], None), [(id(), Signature::Current)]);

        // What browsers drop.
        let name = rule.name.to_ascii_lowercase();
        assert!(secure || !(name.starts_with("__host-") || name.starts_with("__secure-")), "{set}");
        assert!(!name.starts_with("__host-") || (rule.path == "/" && rule.domain.is_none()), "{set}");
        assert!(secure || !https || !(rule.partitioned || rule.same_site == SameSite::None), "{set}");
    }
}
