//! A plain-text picture of the values that other code may write on: request notes, the stock table. What differs from what was
//! shown was written there; an untouched entry never changes a value.

use std::collections::BTreeMap;

use super::values::{Values, fold};

/// What was last shown, by key without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirror {
    shown: BTreeMap<String, Vec<u8>>,
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
    /// The stock table: all that a C string can hold.
    All,
}

/// Longer values are not shown as notes.
const LONGEST_PUBLIC: usize = 8192;

impl Detail {
    fn shows(self, key: &str, plain: &[u8]) -> bool {
        !plain.contains(&0) && (self == Detail::All || (plain.len() <= LONGEST_PUBLIC && !fold(key).ends_with("-pw")))
    }
}

impl Mirror {
    /// Takes a new picture and answers what to show.
    pub fn show<'v>(&mut self, values: &'v Values, detail: Detail) -> Vec<(&'v str, Vec<u8>)> {
        let entries: Vec<_> = values
            .iter()
            .filter_map(|(key, value)| Some((key, value.to_plain()?)))
            .filter(|(key, plain)| detail.shows(key, plain))
            .collect();
        self.shown = entries.iter().map(|(key, plain)| (fold(key), plain.clone())).collect();
        entries
    }

    /// Compares the picture with what is there now, which then counts as shown. Keys that are not UTF-8 cannot be ours.
    ///
    /// A key may be there several times (httpd overlays the notes of a fast redirect); it counts as written if any of them is.
    pub fn edits<'e>(&mut self, entries: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> Vec<Edit> {
        let mut now: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
        for (key, plain) in entries {
            let Ok(key) = std::str::from_utf8(key) else { continue };
            let folded = fold(key);
            let is_news = self.shown.get(&folded).is_none_or(|shown| shown != plain);
            if is_news || !now.contains_key(&folded) {
                now.insert(folded, (key.to_owned(), plain.to_vec()));
            }
        }
        let set = now.iter().filter(|(folded, (_, plain))| self.shown.get(*folded) != Some(plain));
        let set = set.map(|(_, (key, plain))| Edit::Set(key.clone(), plain.clone()));
        let gone = self.shown.keys().filter(|folded| !now.contains_key(*folded)).cloned().map(Edit::Unset);
        let edits = set.chain(gone).collect();
        self.shown = now.into_iter().map(|(folded, (_, plain))| (folded, plain)).collect();
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
        mirror.edits(entries.iter().map(|(key, plain)| (key.as_bytes(), plain.as_bytes())))
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
        let shown = |detail| Mirror::default().show(&all, detail).into_iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(shown(Detail::Public), ["bytes", "f", "list", "n", "text", "yes"]);
        assert_eq!(shown(Detail::All), ["bytes", "f", "list", "long", "n", "realm-PW", "text", "yes"]);
        let mut mirror = Mirror::default();
        let plain: Vec<_> = mirror.show(&all, Detail::Public).into_iter().map(|(_, plain)| plain).collect();
        assert_eq!(plain, [&b"\xff"[..], b"1.5", b"[1,\"x\"]", b"-5", b"a b", b"1"]);
    }

    #[test]
    fn only_what_was_touched_is_an_edit() {
        let mut mirror = Mirror::default();
        mirror.show(&values(&[("a", Value::Int(1)), ("b", Value::Int(2)), ("x-pw", Value::Text("s".into()))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &[("A", "1"), ("b", "3"), ("c", "new")]), [set("b", "3"), set("c", "new")]);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), [Edit::Unset("c".into())]);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("b", "3")]), []);
    }

    #[test]
    fn of_several_entries_of_a_key_the_written_one_counts() {
        for entries in [[("a", "1"), ("a", "9")], [("a", "9"), ("a", "1")]] {
            let mut mirror = Mirror::default();
            mirror.show(&values(&[("a", Value::Int(1))]), Detail::Public);
            assert_eq!(edits(&mut mirror, &entries), [set("a", "9")]);
        }
        let mut mirror = Mirror::default();
        mirror.show(&values(&[("a", Value::Int(1))]), Detail::Public);
        assert_eq!(edits(&mut mirror, &[("a", "1"), ("a", "1")]), []);
    }
}
