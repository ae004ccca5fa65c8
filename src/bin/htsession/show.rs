//! One session with all its values.

use std::process::ExitCode;

use data_encoding::BASE64;
use mod_session_rs::repository::now;
use mod_session_rs::session::record::Body;
use mod_session_rs::session::{Record, Ref, Value, Values};
use serde::{Serialize, Serializer};

use crate::failure::Failure;
use crate::listing::{Content, Stored, Summary, find, left};
use crate::output::{Output, plain, table, tame};
use crate::place::Place;
use crate::times::{iso_short, span};
use mod_session_rs::session::time::MICROS;

pub fn show(place: &Place, reference: &Ref, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut found = find(place, reference)?;
    let stored = found.remove(0);
    if !found.is_empty() {
        let why = format!("{} sessions go by {reference}", found.len() + 1);
        return Err(Failure::unusable(&place.name, &why, "htsession kill would end them all"));
    }
    let record = match &stored.content {
        Content::Session(record) => record,
        Content::Alias(_) => unreachable!("found where it leads"),
        Content::Newer => {
            let why = format!("{reference} was written by a newer version of the module");
            return Err(Failure::unusable(&place.name, &why, "use the htsession of that version"));
        }
        Content::Damaged(why) => {
            return Err(Failure::unusable(&place.name, &format!("{reference} is damaged: {why}"), "htsession gc or kill puts it aside"));
        }
    };
    let now = now();
    let whole = Whole { summary: Summary::new(&stored, record, now), values: opened(&record.values).map(Typed) };
    output.either(&whole, || {
        let mut lines = heading(&stored, record, &left(stored.expires, now), &span(now.since(record.accessed)));
        lines.extend(opened(&record.values).into_iter().flat_map(values));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

fn opened(body: &Body) -> Option<&Values> {
    match body {
        Body::Open(values) => Some(values),
        Body::Sealed(_) => None,
    }
}

fn heading(stored: &Stored, record: &Record<Body>, left: &str, idle: &str) -> Vec<String> {
    let rows = [
        ("ref", stored.key.reference().to_string()),
        ("created", iso_short(record.created)),
        ("accessed", format!("{} ({idle} ago)", iso_short(record.accessed))),
        ("expires", format!("{} ({left})", iso_short(stored.expires))),
        ("timeout", span(record.timeout.saturating_mul(MICROS))),
        ("presented", if record.presented { "yes" } else { "no" }.to_owned()),
        ("user", record.user.as_deref().map_or_else(|| "-".to_owned(), plain)),
        ("size", format!("{} bytes", stored.size)),
        (
            "values",
            record.values.count().map_or_else(|| "sealed (SessionEncrypt): the client has the key".to_owned(), |count| count.to_string()),
        ),
    ];
    table(&rows.map(|(name, text)| vec![name.to_owned(), text]))
}

fn values(values: &Values) -> Vec<String> {
    let cells = |(key, value): (&str, &Value)| {
        let json = serde_json::to_string(&Shown(value)).expect("text keys only");
        vec![format!("  {}", plain(key)), kind(value).to_owned(), tame(&json)]
    };
    table(&values.iter().map(cells).collect::<Vec<_>>())
}

#[derive(Serialize)]
struct Whole<'r> {
    #[serde(flatten)]
    summary: Summary,
    /// `None`: they are sealed.
    values: Option<Typed<'r>>,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "list",
        Value::Map(_) => "map",
    }
}

/// `{"cart": {"type": "list", "value": [1, 2]}, ...}`: JSON alone does not tell bytes and floats from other things.
struct Typed<'r>(&'r Values);

#[derive(Serialize)]
struct WithType<'r> {
    r#type: &'static str,
    value: Shown<'r>,
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, WithType { r#type: kind(value), value: Shown(value) })))
    }
}

/// A value as JSON, with what JSON has no form for.
struct Shown<'r>(&'r Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Float(number) if !number.is_finite() => to.collect_str(number),
            Value::Bytes(bytes) => to.collect_map([("base64", BASE64.encode(bytes))]),
            Value::List(items) => to.collect_seq(items.iter().map(Shown)),
            Value::Map(items) => to.collect_map(items.iter().map(|(key, value)| (key, Shown(value)))),
            other => other.serialize(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_has_no_form_for_is_shown_as_documented() {
        let value = Value::List(vec![
            Value::Bytes(vec![0, 255]),
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(1.0),
            Value::Map(vec![("b".into(), Value::Null), ("a".into(), Value::Bool(true))]),
        ]);
        let json = serde_json::to_string(&Shown(&value)).unwrap();
        assert_eq!(json, r#"[{"base64":"AP8="},"NaN","-inf",1.0,{"b":null,"a":true}]"#);
    }
}
