//! The document: text and tables in Markdown, aligned so that they can be read on a terminal too.

use std::iter::zip;

use crate::LOADS;
use crate::counts::ACKNOWLEDGED;
use crate::goals::{Limit, goals};
use crate::measuring::CONNECTIONS;
use crate::results::Results;
use crate::rows::{ROWS, Row};

pub fn document(results: &Results, machine: &str, rounds: usize, seconds: u64) -> String {
    let missing: String = ROWS
        .iter()
        .filter_map(|row| Some(format!("* {} ({}) was not measured: {}.\n", row.what, row.name, row.place.missing()?)))
        .collect();
    let missing = if missing.is_empty() { missing } else { format!("\n{missing}") };
    format!(
        "# Benchmarks

What a session costs, side by side with other session modules for httpd and with the floor: handlers in C that do the same work of the
system and nothing else. `make bench` measures all of it in one run and writes this page.

![Requests per second of a counter page, relative to the same server without a session](benchmarks.svg)

{machine}
## Figures

A page loads its session, adds one to a counter in it, stores it and answers the number; *read only*: it loads the session and answers the
number. A session is ten values, 1 kB together. {CONNECTIONS} keep-alive connections (wrk) have a session each. Of ours, `SessionLock request` and
the C interface with `SessionNotes Off` unless the row says else. Ours and httpd's own modules run on the event MPM, PHP and
mod_python on prefork. SQLite has write-ahead logging and `synchronous = NORMAL`, in one row `FULL`, which it has unless told otherwise: it waits for the disk at each commit.

Load generator and servers share the machine, so no figure is worth much alone. {rounds} rounds load all pages, each page {LOADS} times for {seconds} s, each round in
another order. *To hello*, and *CPU*, compare a page to the one without a session of the same server in the same round, and the median
counts; latencies and requests/s are medians too. *CPU* is user and system time of the server's processes, Redis's own not among them.
*Instructions* are those of the server's program counted by callgrind, *calls* are system calls counted by strace; both over a script of 200 requests on one
connection, on prefork (callgrind's processor has no instructions for SHA-256, so an id costs more there than in truth, and no room for the map of the dbm store). In brackets: not above
hello, but in all. *Lost*: of {ACKNOWLEDGED} acknowledged increments of one session by {CONNECTIONS} clients at once, those that were not there in the end.

{}
{missing}
## Goals

Where a multiple of a peer falls short, *hello* says what a page without a session would make of it.

{}",
        figures(results),
        goal_table(results)
    )
}

fn figures(results: &Results) -> String {
    let header = ["page", "row", "requests/s", "to hello", "CPU µs", "instructions", "calls", "p50 µs", "p99 µs", "lost"];
    let rows = ROWS.iter().filter(|row| results.has(row.name)).filter_map(|row| cells(results, row));
    table(&header, rows.collect())
}

fn cells(results: &Results, row: &Row) -> Option<Vec<String>> {
    let above = |text: String| if row.is_base() { format!("({text})") } else { text };
    let (p50, p99) = results.latency_us(row.name)?;
    Some(vec![
        row.what.into(),
        row.name.into(),
        format!("{:.0}", results.requests_per_second(row.name)?),
        ratio(results.ratio(row.name)?),
        above(format!("{:.1}", results.cpu_us(row.name)?)),
        results.instructions(row.name).map_or("–".into(), |count| above(format!("{count:.0}"))),
        above(format!("{:.1}", unsigned_zero(results.calls(row.name)?, 0.05))),
        format!("{p50:.0}"),
        format!("{p99:.0}"),
        results.lost(row.name).map_or("–".into(), |lost| lost.to_string()),
    ])
}

/// Two digits that count, also of a hundredth.
pub fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// No `-0.0`.
fn unsigned_zero(value: f64, least: f64) -> f64 {
    if value.abs() < least { 0.0 } else { value }
}

fn goal_table(results: &Results) -> String {
    let number = |value: f64, unit: &str| match unit {
        "instructions" => format!("{value:.0}"),
        "times" => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    };
    let rows = goals(results).into_iter().map(|goal| {
        let (sign, limit) = match goal.limit {
            Limit::AtMost(limit) => ("≤", limit),
            Limit::AtLeast(limit) => ("≥", limit),
        };
        let unit = if goal.unit == "times" { String::new() } else { format!(" {}", goal.unit) };
        vec![
            goal.what.clone(),
            format!("{sign} {}{unit}", number(limit, goal.unit)),
            goal.measured.map_or("–".into(), |measured| format!("{}{unit}", number(measured, goal.unit))),
            match (goal.is_met(), goal.of_hello) {
                (None, _) => "–".into(),
                (Some(true), _) => "holds".into(),
                (Some(false), Some(hello)) => format!("**falls short**; hello: {}", number(hello, goal.unit)),
                (Some(false), None) => "**falls short**".into(),
            },
        ]
    });
    table(&["goal", "limit", "measured", ""], rows.collect())
}

/// The first column is text, the others are numbers, and stand right.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut widths: Vec<_> = header.iter().map(|cell| cell.chars().count().max(3)).collect();
    for row in &rows {
        zip(&mut widths, row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let line = |cells: Vec<String>| {
        let padded = zip(&cells, &widths).enumerate().map(|(n, (cell, &width))| match n {
            0 => format!(" {cell:<width$} "),
            _ => format!(" {cell:>width$} "),
        });
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.iter().enumerate().map(|(n, width)| if n == 0 { "-".repeat(*width) } else { "-".repeat(width - 1) + ":" });
    let mut text = line(header.iter().map(|&cell| cell.into()).collect()) + &line(rule.collect());
    text.extend(rows.into_iter().map(line));
    text
}
