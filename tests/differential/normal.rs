//! What differs between any two servers and any two moments is replaced by what it stands for.

use std::path::Path;
use std::time::UNIX_EPOCH;

/// The names that one server's random ids get, in the order in which a case shows them.
#[derive(Default)]
pub struct Ids {
    seen: Vec<String>,
}

const UUID: [usize; 5] = [8, 4, 4, 4, 12];
const UUID_LENGTH: usize = 36;
/// Sixteen digits: microseconds since 1970, from 2001 to 2286.
const MICROS: usize = 16;
/// Times are told in steps of 20 s: what the cases configure lies far from the middle between two.
const STEP: i64 = 20;

pub fn micros() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().expect("a clock").as_micros()).expect("64 bits")
}

impl Ids {
    /// `asked_at` is the time of the request that was answered with this.
    pub fn normal(&mut self, text: &str, root: &Path, asked_at: i64) -> String {
        let text = text.replace(&*root.to_string_lossy(), "@ROOT@");
        let mut normal = String::new();
        let mut rest = &*text;
        while let Some(first) = rest.chars().next() {
            let before = normal.chars().next_back();
            let taken = if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                None
            } else {
                self.uuid(rest).or_else(|| time(rest, asked_at)).or_else(|| sealed(rest))
            };
            match taken {
                Some((shown, length)) => {
                    normal += &shown;
                    rest = &rest[length..];
                }
                None => {
                    normal.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        normal
    }

    fn uuid(&mut self, text: &str) -> Option<(String, usize)> {
        let candidate = text.get(..UUID_LENGTH)?;
        let parts: Vec<_> = candidate.split('-').collect();
        let fits = parts.iter().map(|part| part.len()).eq(UUID) && parts.iter().all(|part| part.bytes().all(|c| c.is_ascii_hexdigit()));
        if !fits {
            return None;
        }
        let index = self.seen.iter().position(|known| known == candidate).unwrap_or_else(|| {
            self.seen.push(candidate.into());
            self.seen.len() - 1
        });
        Some((format!("id#{}", index + 1), UUID_LENGTH))
    }
}

fn time(text: &str, asked_at: i64) -> Option<(String, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let micros: i64 = (digits == MICROS).then(|| text[..digits].parse().ok())??;
    let seconds = (micros - asked_at).div_euclid(1_000_000);
    Some((format!("now{:+}", (seconds + STEP / 2).div_euclid(STEP) * STEP), MICROS))
}

/// mod_session_crypto begins each text with random bytes; only its length can be compared.
fn sealed(text: &str) -> Option<(String, usize)> {
    let is_base64 = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let length = text.bytes().take_while(is_base64).count();
    let word = &text[..length];
    // Sealed are a salt, an initial vector, a MAC and at least a block; what is plain shows its pairs.
    let is_sealed =
        length >= 72 && length % 4 == 0 && !word.trim_end_matches('=').contains('=') && word.bytes().any(|c| c.is_ascii_uppercase());
    is_sealed.then(|| (format!("sealed#{length}"), length))
}

/// `@+280@` in a request is the time so many seconds from now, `@-10@` one that is past.
pub fn with_times(text: &str, now: i64) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('@') {
        let time = after.split_once('@').and_then(|(seconds, rest)| Some((seconds.parse::<i64>().ok()?, rest)));
        match time {
            Some((seconds, behind)) => {
                filled += &format!("{before}{}", now + seconds * 1_000_000);
                rest = behind;
            }
            None => {
                filled += &format!("{before}@");
                rest = after;
            }
        }
    }
    filled + rest
}

#[test]
fn ids_times_and_sealed_texts_are_told_by_what_they_stand_for() {
    let mut ids = Ids::default();
    let now = 1_700_000_000_000_000;
    let mut normal = |text: &str| ids.normal(text, Path::new("/tmp/room"), now);
    let (a, b) = ("0123abcd-0123-0123-0123-0123456789ab", "1123abcd-0123-0123-0123-0123456789ab");
    assert_eq!(normal(&format!("row={a};{b};{a} /tmp/room/x")), "row=id#1;id#2;id#1 @ROOT@/x");
    assert_eq!(normal("expiry=1700000300000123&a=1699999989999999"), "expiry=now+300&a=now-20");
    assert_eq!(normal(&format!("kept={}Q==;path=/", "aB+/5".repeat(17))), "kept=sealed#88;path=/");
    let plain = "a".repeat(80);
    assert_eq!(normal(&format!("kept={plain};x=1")), format!("kept={plain};x=1"));
    assert_eq!(with_times("expiry=@+300@&a=me@home", now), "expiry=1700000300000000&a=me@home");
}
