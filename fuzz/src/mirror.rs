//! The picture of the values that handlers write on, against two plain maps.
//!
//! An input is lines. The first says whether all is shown (`a`) or what notes show. Then values, `key=` and a letter for the type, up
//! to an empty line. Then what is done to the picture, as to a table of httpd: `=key=text` sets, `+key=text` adds an entry beside,
//! `-key` unsets, `~key` spells it in the other case, `/` turns the order round, and `.` is a commit point.

use std::collections::{BTreeMap, BTreeSet};

use mod_session_rs::session::mirror::Detail;
use mod_session_rs::session::value::check_key;
use mod_session_rs::session::{Expiry, Id, Key, Mirror, Record, Session, Timestamp, Value, Values};

const NOW: Timestamp = Timestamp(1_000_000_000);

/// Names and texts as handlers see them.
type Table = Vec<(Vec<u8>, Vec<u8>)>;

/// By keys in lower case.
#[derive(Default)]
struct Oracle {
    /// What the session should hold.
    values: BTreeMap<Vec<u8>, (String, Value)>,
    /// The text that stands for it.
    shown: BTreeMap<Vec<u8>, Vec<u8>>,
    /// All texts that were there.
    seen: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

pub fn mirror(data: &[u8]) {
    let mut lines = data.split(|&c| c == b'\n');
    let detail = if lines.next().is_some_and(|line| line.starts_with(b"a")) { Detail::All } else { Detail::Public };
    let values: Values = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(value).collect();
    let values = if data.len().is_multiple_of(2) { read(&values) } else { values };
    let mut oracle = Oracle::default();
    for (key, value) in values.iter() {
        oracle.values.insert(lower(key.as_bytes()), (key.to_owned(), value.clone()));
        oracle.shown.extend(plain(key, value, detail).map(|plain| (lower(key.as_bytes()), plain)));
    }
    let record = Record { incarnation: 7, created: NOW, accessed: NOW, timeout: 1800, presented: true, user: None, values };
    let mut session = Session::stored(Id::from_random([1; 24]), Key([1; 32]), record.clone(), Timestamp::NEVER, NOW, usize::MAX);

    let mut mirror = Mirror::of(session.values(), detail);
    let mut table: Table = mirror.entries().map(|(key, plain)| (key.to_vec(), plain.to_vec())).collect();
    let shown: BTreeMap<_, _> = table.iter().map(|(key, plain)| (lower(key), plain.clone())).collect();
    assert!(shown == oracle.shown && shown.len() == table.len(), "the picture shows {table:?}");
    oracle.seen = shown.into_iter().map(|(key, plain)| (key, vec![plain])).collect();
    untouched(&mut mirror, &table);
    let reversed: Table = table.iter().rev().cloned().collect();
    untouched(&mut Mirror::of(session.values(), detail), &reversed);

    for line in lines.chain([&b"."[..]]) {
        if line == b"." {
            let refused: BTreeSet<_> = session.apply(mirror.edits(&entries(&table))).into_iter().map(|(key, _)| key).collect();
            assert_eq!(refused, oracle.commit(&table));
            untouched(&mut mirror, &table);
        } else {
            write(&mut table, line);
        }
    }

    let expected: Values = oracle.values.into_values().collect();
    assert_eq!(session.values().weight(), expected.weight());
    assert_eq!(bytes(session.values()), bytes(&expected), "{:?}, not {expected:?}", session.values());
    let stored = session.merged(record, Timestamp::NEVER, &Expiry::default(), NOW).expect("the same session").record;
    assert_eq!(bytes(&stored.values), bytes(&expected), "a commit stores {:?}, not {expected:?}", stored.values);
}

fn lower(key: &[u8]) -> Vec<u8> {
    key.to_ascii_lowercase()
}

/// Equal even where there is a NaN inside.
fn bytes(values: &Values) -> Vec<u8> {
    Value::Map(values.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()).to_msgpack()
}

fn entries(table: &Table) -> Vec<(&[u8], &[u8])> {
    table.iter().map(|(key, text)| (&key[..], &text[..])).collect()
}

/// Nobody wrote: no edits, however often that is looked at.
fn untouched(mirror: &mut Mirror, table: &Table) {
    for _ in 0..2 {
        assert_eq!(mirror.edits(&entries(table)), []);
    }
}

/// As a store gives them back.
fn read(values: &Values) -> Values {
    let mut bytes = Vec::new();
    values.write(&mut bytes);
    Values::read(&bytes.into()).expect("what was just written").0
}

/// A line `key=`, a letter for the type and the text of the value.
fn value(line: &[u8]) -> Option<(String, Value)> {
    let at = line.iter().position(|&c| c == b'=')?;
    let key = String::from_utf8(line[..at].to_vec()).ok().filter(|key| check_key(key).is_ok())?;
    let (&letter, text) = line[at + 1..].split_first()?;
    let like = match letter {
        b'n' => return Some((key, Value::Null)),
        b'm' => return Some((key, Value::from_msgpack(text).ok()?)),
        b'r' => return Some((key, Value::from_plain(text.repeat(1000)))), // more than notes show
        b'b' => Value::Bool(false),
        b'i' => Value::Int(0),
        b'f' => Value::Float(0.0),
        b'x' => Value::Bytes(Vec::new()),
        b'l' => Value::List(Vec::new()),
        b'o' => Value::Map(Vec::new()),
        _ => Value::Null,
    };
    Some((key, like.rewritten(text.to_vec())))
}

/// What is shown of a value.
fn plain(key: &str, value: &Value, detail: Detail) -> Option<Vec<u8>> {
    let plain = value.to_plain().filter(|plain| !plain.contains(&0))?.into_owned();
    let is_private = plain.len() > 8192 || key.to_ascii_lowercase().ends_with("-pw");
    (detail == Detail::All || !is_private).then_some(plain)
}

fn write(table: &mut Table, line: &[u8]) {
    let Some((&what, rest)) = line.split_first() else { return };
    let c_string = rest.split(|&c| c == 0).next().unwrap_or_default();
    let (key, text) = c_string.iter().position(|&c| c == b'=').map_or((c_string, &b""[..]), |at| (&c_string[..at], &c_string[at + 1..]));
    match what {
        // The first one has the new text under its old spelling; the others go.
        b'=' if table.iter().any(|(known, _)| known.eq_ignore_ascii_case(key)) => {
            let mut is_first = true;
            table.retain_mut(|(known, known_text)| {
                let is_it = known.eq_ignore_ascii_case(key);
                if is_it && is_first {
                    *known_text = text.to_vec();
                }
                !is_it || std::mem::take(&mut is_first)
            });
        }
        b'=' => table.push((key.to_vec(), text.to_vec())),
        b'-' => table.retain(|(known, _)| !known.eq_ignore_ascii_case(key)),
        b'/' => table.reverse(),
        b'~' => {
            let swap = |c: u8| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            for (known, _) in table.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(key)) {
                *known = known.iter().copied().map(swap).collect();
            }
        }
        b'+' => table.push((key.to_vec(), text.to_vec())),
        _ => {}
    }
}

impl Oracle {
    /// Does what the table says; answers the keys that cannot be stored.
    fn commit(&mut self, table: &Table) -> BTreeSet<String> {
        let mut refused = BTreeSet::new();
        let mut names: BTreeSet<_> = table.iter().map(|(name, _)| lower(name)).filter(|name| std::str::from_utf8(name).is_ok()).collect();
        names.extend(self.shown.keys().cloned());
        for name in names {
            let there: Vec<_> = table.iter().filter(|(known, _)| lower(known) == name).collect();
            let Some(last) = there.last() else {
                self.shown.remove(&name);
                self.seen.remove(&name);
                self.values.remove(&name);
                continue;
            };
            let shown = self.shown.get(&name);
            let before = self.seen.insert(name.clone(), there.iter().map(|(_, text)| text.clone()).collect()).unwrap_or_default();
            let is_left = there.iter().any(|(_, text)| Some(text) == shown);
            let new = there.iter().rfind(|(_, text)| !before.contains(text));
            let Some((spelled, text)) = new.or((!is_left).then_some(last)) else { continue };
            self.shown.insert(name.clone(), text.clone());
            let spelled = String::from_utf8(spelled.clone()).expect("UTF-8 in any case");
            match self.values.get_mut(&name) {
                Some((_, value)) => *value = value.rewritten(text.clone()),
                None if check_key(&spelled).is_ok() => {
                    self.values.insert(name, (spelled, Value::from_plain(text.clone())));
                }
                None => {
                    refused.insert(spelled);
                }
            }
        }
        refused
    }
}
