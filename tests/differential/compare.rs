//! What was seen of two servers, and where it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, io};

use crate::improvements::Row;
use crate::support::Response;

/// An answer, and what its request left in the error log.
#[derive(Default)]
pub struct Seen {
    pub status: u16,
    pub headers: BTreeMap<String, Vec<String>>,
    pub body: Vec<String>,
    /// `level: text`, each once: how often a session is loaded in a request is nobody's business.
    pub log: BTreeSet<String>,
}

/// One way in which the answers to one request differ.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// `section: sentence`.
    pub case: String,
    /// The number of the request in the case, from 1 on.
    pub request: usize,
    /// `status`, `body`, `log`, or the name of a header.
    pub what: String,
    pub stock: String,
    pub ours: String,
}

impl Seen {
    pub fn of(response: &Response, mut normal: impl FnMut(&str) -> String) -> Seen {
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &response.headers {
            let value = match &**name {
                "Date" => "a date".into(),
                // In the order of a hash table.
                "Allow" => BTreeSet::from_iter(value.split(',')).into_iter().collect::<Vec<_>>().join(","),
                _ => normal(value),
            };
            headers.entry(name.clone()).or_default().push(value);
        }
        let body = response.text().lines().map(normal).collect();
        Seen { status: response.status, headers, body, log: BTreeSet::new() }
    }

    /// A server that does not answer.
    pub fn silence(error: &io::Error) -> Seen {
        Seen { body: vec![error.to_string()], ..Seen::default() }
    }

    pub fn forget_framing(&mut self) {
        self.headers.retain(|name, _| name != "Content-Length" && name != "Transfer-Encoding");
    }

    /// What differs: what, stock, ours.
    pub fn differs(stock: &Seen, ours: &Seen) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let mut note = |what: &str, stock: String, ours: String| {
            if stock != ours {
                found.push((what.to_owned(), stock, ours));
            }
        };
        note("status", stock.status.to_string(), ours.status.to_string());
        let names: BTreeSet<_> = stock.headers.keys().chain(ours.headers.keys()).collect();
        // That of a body that differs says nothing more.
        let same_body = stock.body == ours.body;
        for name in names.into_iter().filter(|name| same_body || *name != "Content-Length") {
            note(name, listed(stock.headers.get(name)), listed(ours.headers.get(name)));
        }
        let (in_stock, in_ours) = apart(&stock.body, &ours.body);
        note("body", in_stock, in_ours);
        let lines = |one: &Seen, other: &Seen| one.log.difference(&other.log).cloned().collect::<Vec<_>>();
        note("log", joined(&lines(stock, ours)), joined(&lines(ours, stock)));
        found
    }
}

fn listed(values: Option<&Vec<String>>) -> String {
    values.map_or("-".into(), |values| joined(values))
}

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "-".into() } else { parts.join(" and ") }
}

/// The lines from the first that differs to the last.
fn apart(stock: &[String], ours: &[String]) -> (String, String) {
    let same = |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut stock.iter().zip(ours));
    let tail = same(&mut stock[head..].iter().rev().zip(ours[head..].iter().rev()));
    (joined(&stock[head..stock.len() - tail]), joined(&ours[head..ours.len() - tail]))
}

impl Found {
    /// The differences that a row stands for.
    pub fn all_of(row: &Row) -> impl Iterator<Item = Found> {
        row.on.iter().flat_map(move |section| {
            row.requests.iter().map(move |&request| {
                let [what, stock, ours] = [row.what, row.stock, row.ours].map(str::to_owned);
                Found { case: format!("{section}: {}", row.case), request, what, stock, ours }
            })
        })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { case, request, what, stock, ours } = self;
        write!(f, "{case}, request {request}, {what}\n    stock: {stock}\n    ours:  {ours}")
    }
}

#[test]
fn every_part_of_an_answer_is_compared() {
    let seen = |status, header: &str, body: &str, log: &str| Seen {
        status,
        headers: BTreeMap::from([("Set-Cookie".to_owned(), vec![header.to_owned()])]),
        body: body.lines().map(str::to_owned).collect(),
        log: BTreeSet::from([log.to_owned()]),
    };
    let one = seen(200, "a=1", "same\nx\ny\nsame", "error: AH01817");
    let differs = |other: &Seen| Seen::differs(&one, other).into_iter().map(|(what, ..)| what).collect::<Vec<_>>();
    assert!(differs(&seen(200, "a=1", "same\nx\ny\nsame", "error: AH01817")).is_empty());
    assert_eq!(differs(&seen(500, "a=2", "other", "warn: AH01817")), ["status", "Set-Cookie", "body", "log"]);
    let other = seen(200, "a=1", "same\nz\nsame", "error: AH01817");
    assert_eq!(Seen::differs(&one, &other), [("body".to_owned(), "x and y".to_owned(), "z".to_owned())]);
}
