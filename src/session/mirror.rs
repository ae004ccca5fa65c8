//! A plain-text picture of the values that other code may write on: request notes, the stock table. What differs from what was
//! shown was written there; an untouched entry never changes a value.

use std::borrow::Cow;

use super::values::{Values, compare};

/// What was last shown.
#[derive(Default)]
pub struct Mirror {
    shown: Shown,
    /// What else was there under these keys when they were last compared: nobody writes it by leaving it there.
    beside: Vec<(String, Vec<u8>)>,
}

/// In the order of [`compare`].
enum Shown {
    /// Most values are text, which is shown as it lies there: they are not copied, but stay in memory for as long as the picture does.
    Values {
        values: Values,
        /// The places, ascending, of those that are shown otherwise, with their text, or that are not.
        otherwise: Vec<(usize, Option<Vec<u8>>)>,
    },
    /// Each copied, once their keys or the order of them were others than those that were shown.
    Texts(Vec<(String, Vec<u8>)>),
}

/// They look the same.
impl PartialEq for Mirror {
    fn eq(&self, other: &Mirror) -> bool {
        let are_of_one_session = match (&self.shown, &other.shown) {
            (Shown::Values { values, otherwise }, Shown::Values { values: others, otherwise: otherwise_there }) => {
                values.is_copy_of(others) && otherwise == otherwise_there
            }
            _ => false,
        };
        self.beside == other.beside && (are_of_one_session || self.entries().eq(other.entries()))
    }
}

impl Default for Shown {
    fn default() -> Shown {
        Shown::Texts(Vec::new())
    }
}

/// A key that was shown, which is text.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

impl Shown {
    fn of(values: &Values, detail: Detail) -> Shown {
        let mut otherwise = Vec::new();
        for (at, ((key, plain), (_, as_it_lies))) in values.plain().zip(values.as_they_lie()).enumerate() {
            let shown = plain.filter(|plain| detail.shows(key, plain));
            if shown.is_none() || as_it_lies.is_none() {
                otherwise.push((at, shown.map(Cow::into_owned)));
            }
        }
        Shown::Values { values: values.clone(), otherwise }
    }

    /// Each with its place: among all values, or among the texts.
    fn entries(&self) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
        let (values, otherwise, texts) = match self {
            Shown::Values { values, otherwise } => (Some(values), &otherwise[..], &[][..]),
            Shown::Texts(texts) => (None, &[][..], &texts[..]),
        };
        let mut otherwise = otherwise.iter().peekable();
        let of_values = values.into_iter().flat_map(Values::as_they_lie).enumerate();
        let of_values = of_values.filter_map(move |(at, (key, as_it_lies))| match otherwise.next_if(|(place, _)| *place == at) {
            Some((_, text)) => Some((at, key, text.as_deref()?)),
            None => Some((at, key, as_it_lies?)),
        });
        of_values.chain(texts.iter().enumerate().map(|(at, (key, plain))| (at, key.as_bytes(), plain.as_slice())))
    }

    /// What was written under keys that are just those that were shown, which it counts as from now on. `None`: they are others.
    fn written_in_place(&mut self, entries: &[(&[u8], &[u8])]) -> Option<Vec<Edit>> {
        let (mut there, mut written) = (entries.iter(), Vec::new());
        for (at, key, known) in self.entries() {
            let (_, plain) = there.next().filter(|(other, _)| *other == key)?;
            if *plain != known {
                written.push((at, plain.to_vec(), Edit::Set(text(key), plain.to_vec())));
            }
        }
        if there.next().is_some() {
            return None;
        }
        let write = |(at, plain, edit)| {
            match self {
                Shown::Values { otherwise, .. } => match otherwise.binary_search_by_key(&at, |(place, _)| *place) {
                    Ok(known) => otherwise[known].1 = Some(plain),
                    Err(new) => otherwise.insert(new, (at, Some(plain))),
                },
                Shown::Texts(texts) => texts[at].1 = plain,
            }
            edit
        };
        Some(written.into_iter().map(write).collect())
    }

    fn into_texts(self) -> Vec<(String, Vec<u8>)> {
        match self {
            Shown::Texts(texts) => texts,
            Shown::Values { .. } => self.entries().map(|(_, key, plain)| (text(key), plain.to_vec())).collect(),
        }
    }
}

/// What an entry of a picture is, of several under one key the one that counts more last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Beside,
    Shown,
    Written,
}

/// What somebody did to the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    Set(String, Vec<u8>),
    Unset(String),
}

/// What the picture leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Request notes: long values and passwords stay inside.
    Public,
    /// The environment of CGI programs: passwords stay inside.
    NoPasswords,
    /// The stock table: all that a C string can hold.
    All,
}

/// Longer values are not shown as notes.
const LONGEST_PUBLIC: usize = 8192;

impl Detail {
    /// Whether a value has a place in the picture.
    #[must_use]
    pub fn shows(self, key: &str, plain: &[u8]) -> bool {
        !plain.contains(&0)
            && match self {
                Detail::Public => plain.len() <= LONGEST_PUBLIC && !is_password(key),
                Detail::NoPasswords => !is_password(key),
                Detail::All => true,
            }
    }

    /// What the picture shows of one key, however that is spelled.
    #[must_use]
    pub fn text(self, values: &Values, key: &str) -> Option<Vec<u8>> {
        let (key, value) = values.find(key)?;
        value.to_plain().filter(|plain| self.shows(key, plain)).map(Cow::into_owned)
    }
}

/// Whether the value of a key is a password: mod_auth_form gives them such keys.
fn is_password(key: &str) -> bool {
    key.len() >= 3 && key.as_bytes()[key.len() - 3..].eq_ignore_ascii_case(b"-pw")
}

impl Mirror {
    /// Takes a new picture of the values.
    #[must_use]
    pub fn of(values: &Values, detail: Detail) -> Mirror {
        Mirror { shown: Shown::of(values, detail), beside: Vec::new() }
    }

    /// What to show.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.shown.entries().map(|(_, key, plain)| (key, plain))
    }

    /// Compares the picture with what is there now, which then counts as shown. Keys that are not UTF-8 cannot be ours.
    ///
    /// A key may be there several times (httpd overlays the notes of a fast redirect); it counts as written if any of them is. Those
    /// beside it then count no more, for as long as it is there.
    pub fn edits(&mut self, entries: &[(&[u8], &[u8])]) -> Vec<Edit> {
        if let Some(written) = self.shown.written_in_place(entries) {
            self.beside.clear();
            return written; // nothing, nearly always
        }
        let (shown, were_beside) = (std::mem::take(&mut self.shown).into_texts(), &self.beside);
        let is_shown =
            |key: &str, plain: &[u8]| shown.binary_search_by(|(known, _)| compare(known, key)).is_ok_and(|at| shown[at].1 == plain);
        let standing = |key: &str, plain: &[u8]| {
            let was_beside = |(known, text): &(String, Vec<u8>)| text == plain && known.eq_ignore_ascii_case(key);
            if is_shown(key, plain) {
                Standing::Shown
            } else if were_beside.iter().any(was_beside) {
                Standing::Beside
            } else {
                Standing::Written
            }
        };
        let mut now: Vec<(String, Vec<u8>)> = Vec::new();
        let mut beside = Vec::new();
        for (key, plain) in entries {
            let Ok(spelled) = std::str::from_utf8(key) else { continue };
            let mut entry = (spelled.to_owned(), plain.to_vec());
            match now.binary_search_by(|(known, _)| compare(known, spelled)) {
                Err(at) => now.insert(at, entry),
                Ok(at) => {
                    if standing(spelled, plain) >= standing(&now[at].0, &now[at].1) {
                        std::mem::swap(&mut now[at], &mut entry);
                    }
                    beside.push(entry);
                }
            }
        }
        let set = now.iter().filter(|(key, plain)| !is_shown(key, plain)).cloned().map(|(key, plain)| Edit::Set(key, plain));
        let is_there = |key: &str| now.binary_search_by(|(known, _)| compare(known, key)).is_ok();
        let gone = shown.iter().filter(|(key, _)| !is_there(key)).map(|(key, _)| Edit::Unset(key.clone()));
        let edits = set.chain(gone).collect();
        (self.shown, self.beside) = (Shown::Texts(now), beside);
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Value;

    fn values(pairs: &[(&str, Value)]) -> Values {
        let mut values = Values::default();
        for (key, value) in pairs {
            values.set(key, value.clone());
        }
        values
    }

    fn edits(mirror: &mut Mirror, entries: &[(&str, &str)]) -> Vec<Edit> {
        let entries: Vec<_> = entries.iter().map(|(key, plain)| (key.as_bytes(), plain.as_bytes())).collect();
        mirror.edits(&entries)
    }

    fn set(key: &str, plain: &str) -> Edit {
        Edit::Set(key.into(), plain.into())
    }

    #[test]
    fn every_type_has_its_plain_form_and_secrets_have_none() {
        let all = values(&[
            ("text", Value::Text("a b".into())),
            ("yes", Value::Bool(true)),
            ("n", Value::Int(-5)),
            ("f", Value::Float(1.5)),
            ("list", Value::List(vec![Value::Int(1), Value::Text("x".into())])),
            ("bytes", Value::Bytes(vec![0xff])),
            ("nothing", Value::Null),
            ("nul", Value::Text("a\0b".into())),
            ("realm-PW", Value::Text("secret".into())),
            ("long", Value::Text("x".repeat(8193))),
        ]);
        let shown =
            |detail| Mirror::of(&all, detail).entries().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect::<Vec<_>>();
        assert_eq!(shown(Detail::Public), ["bytes", "f", "list", "n", "text", "yes"]);
        assert_eq!(shown(Detail::NoPasswords), ["bytes", "f", "list", "long", "n", "text", "yes"]);
        assert_eq!(shown(Detail::All), ["bytes", "f", "list", "long", "n", "realm-PW", "text", "yes"]);
        for (key, _) in all.iter() {
            let shown = shown(Detail::Public).iter().any(|known| known == key);
            assert_eq!(Detail::Public.text(&all, &key.to_uppercase()).is_some(), shown, "{key}");
        }
        let mirror = Mirror::of(&all, Detail::Public);
        let plain: Vec<_> = mirror.entries().map(|(_, plain)| plain).collect();
        assert_eq!(plain, [&b"\xff"[..], b"1.5", b"[1,\"x\"]", b"-5", b"a b", b"1"]);
    }

    #[test]
    fn only_what_was_touched_is_an_edit() {
        let mut mirror =
            Mirror::of(&values(&[("a", Value::Int(1)), ("b", Value::Int(2)), ("x-pw", Value::Text("s".into()))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &[("A", "1"), ("b", "3"), ("c", "new")]), [set("b", "3"), set("c", "new")]);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), [Edit::Unset("c".into())]);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), []);
    }

    #[test]
    fn what_is_written_over_a_picture_of_values_is_an_edit_once() {
        let text = |text: &str| Value::Text(text.into());
        let own = values(&[("a", text("1")), ("b", Value::Int(2)), ("c-pw", text("secret")), ("d", text("4")), ("e", Value::Int(5))]);
        let mut bytes = Vec::new();
        own.write(&mut bytes);
        let (packed, _) = Values::read(&bytes.into()).unwrap();
        for mut values in [own, packed] {
            let mut mirror = Mirror::of(&values, Detail::Public);
            values.set("a", text("another request's"));
            values.remove("d");
            let untouched = [("a", "1"), ("b", "2"), ("d", "4"), ("e", "5")];
            assert_eq!(edits(&mut mirror, &untouched), [], "the picture is of what was");
            assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "2"), ("d", "y"), ("e", "5")]), [set("d", "y")]);
            assert_eq!(edits(&mut mirror, &[("a", "x"), ("b", "2"), ("d", "y"), ("e", "5")]), [set("a", "x")]);
            let written = [("a", "xx"), ("b", "3"), ("d", "yy"), ("e", "5")];
            assert_eq!(edits(&mut mirror, &written), [set("a", "xx"), set("b", "3"), set("d", "yy")]);
            assert_eq!(edits(&mut mirror, &written), []);
            let as_written = self::values(&written.map(|(key, plain)| (key, text(plain))));
            assert!(mirror == Mirror::of(&as_written, Detail::Public) && mirror != Mirror::of(&values, Detail::Public));
            assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3"), ("d", "yy"), ("e", "5")]), [set("a", "1")], "as it was at first");
            assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3"), ("e", "5")]), [Edit::Unset("d".into())]);
            assert_eq!(edits(&mut mirror, &[("e", "5"), ("b", "4"), ("a", "1")]), [set("b", "4")]);
        }
    }

    #[test]
    fn of_several_entries_of_a_key_the_written_one_counts() {
        for entries in [[("a", "1"), ("a", "9")], [("a", "9"), ("a", "1")]] {
            let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
            assert_eq!(edits(&mut mirror, &entries), [set("a", "9")]);
        }
        let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("a", "1")]), []);
    }

    #[test]
    fn an_entry_beside_the_written_one_is_no_write_at_the_next_look() {
        for entries in [[("a", "1"), ("A", "9")], [("a", "9"), ("A", "1")]] {
            let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
            assert_eq!(edits(&mut mirror, &entries).len(), 1);
            assert_eq!(edits(&mut mirror, &entries), []);
            assert_eq!(edits(&mut mirror, &[("a", "1")]), [set("a", "1")], "it is alone now: somebody wrote it");
        }
        let mut mirror = Mirror::of(&values(&[("a", Value::Int(1))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &[("a", "9"), ("a", "1")]), [set("a", "9")]);
        assert_eq!(edits(&mut mirror, &[("a", "9")]), []);
        assert_eq!(edits(&mut mirror, &[("a", "9"), ("a", "1")]), [set("a", "1")], "it was gone, and somebody wrote it");
    }
}
