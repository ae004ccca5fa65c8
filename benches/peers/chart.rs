//! The picture: a bar for each page, its requests/s as a part of those of the same server without a session.

use std::fmt::Write;

use crate::report::ratio;
use crate::results::Results;
use crate::rows::{Place, ROWS, Row};

const WIDTH: usize = 860;
/// Where bars begin, and how long one of 1.0 is.
const LEFT: usize = 390;
const LENGTH: f64 = 400.0;
const TOP: usize = 64;
const STEP: usize = 22;

/// Greys that can be read on white and on black; a viewer that tells which one it has gets the better ones.
const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #767676 }
.title { font-size: 16px; font-weight: 600 }
.ours { fill: #2f81f7 } .floor { fill: #8b949e } .peer { fill: #d4772c }
line { stroke: #767676; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: light) { text { fill: #1f2328 } }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }";

pub fn draw(results: &Results) -> String {
    let rows: Vec<_> = ROWS.iter().filter(|row| !row.is_base() && row.base != "static-off" && results.has(row.name)).collect();
    let height = TOP + rows.len() * STEP + 12;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Requests per second of a counter page, relative to the same server without a session</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"8\" y=\"22\">Requests/s of a counter page; 1.00: the same server without a session</text>\n"
    );
    for (x, class, text) in [(8, "floor", "floor, bare C"), (130, "ours", "mod_session_rs"), (270, "peer", "others")] {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"36\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"47\">{text}</text>",
            x + 18
        );
    }
    for (n, row) in rows.iter().enumerate() {
        let Some(value) = results.ratio(row.name) else { continue };
        let y = TOP + n * STEP;
        let length = value.min(1.1) * LENGTH;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect class=\"{}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8,
            y + 13,
            row.what,
            class(row),
            length.max(1.0),
            LEFT as f64 + length + 6.0,
            y + 13,
            ratio(value)
        );
    }
    let one = LEFT as f64 + LENGTH;
    let _ = writeln!(svg, "<line x1=\"{one}\" x2=\"{one}\" y1=\"{}\" y2=\"{}\"/>\n</svg>", TOP - 6, height - 6);
    svg
}

fn class(row: &Row) -> &'static str {
    match row.place {
        Place::Ours if row.is_floor => "floor",
        Place::Ours => "ours",
        _ => "peer",
    }
}
