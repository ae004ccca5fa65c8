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
        self.beside == other.beside && self.entries().eq(other.entries())
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
        for (at, (key, as_it_lies)) in values.as_they_lie().enumerate() {
            match as_it_lies {
                Some(plain) if detail.shows(key, plain) => {}
                Some(_) => otherwise.push((at, None)),
                None => otherwise.push((at, values.plain(at).filter(|plain| detail.shows(key, plain)).map(Cow::into_owned))),
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
    pub fn shows(self, key: &[u8], plain: &[u8]) -> bool {
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
        value.to_plain().filter(|plain| self.shows(key.as_bytes(), plain)).map(Cow::into_owned)
    }
}

/// Whether the value of a key is a password: mod_auth_form gives them such keys.
fn is_password(key: &[u8]) -> bool {
    key.last_chunk::<3>().is_some_and(|end| end.eq_ignore_ascii_case(b"-pw"))
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
mod tests;
