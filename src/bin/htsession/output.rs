//! Text for people, JSON for programs. What comes out of a session never reaches a terminal as a control.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

pub struct Output {
    pub format: Format,
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub fn new(format: Format) -> Output {
        Output { format, out: BufWriter::new(io::stdout().lock()) }
    }

    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(Failure::Output)
    }

    /// A document of our own: it cannot fail to be written as JSON.
    pub fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).expect("text keys only");
        self.line(&tame(&text))
    }

    /// The one or the other.
    pub fn either(&mut self, document: &impl Serialize, text: impl FnOnce() -> Vec<String>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json(document),
            Format::Text => text().iter().try_for_each(|line| self.line(line)),
        }
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Controls, and what reorders the text around it.
fn is_wild(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Escapes what serde_json leaves as it is. Line feeds are JSON's own: in a string they are escaped already.
pub fn tame(json: &str) -> String {
    let mut tamed = String::with_capacity(json.len());
    for c in json.chars() {
        if is_wild(c) && c != '\n' {
            tamed.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// A text within a line: as a JSON string without its quotes.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            wild if is_wild(wild) => shown.push_str(&format!("\\u{:04x}", u32::from(wild))),
            other => shown.push(other),
        }
    }
    shown
}

/// Lines of cells, each column as wide as it needs to be.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |text: &String| text.chars().count();
    let widths: Vec<_> = (0..columns).map(|n| rows.iter().filter_map(|row| row.get(n)).map(wide).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wild_passes() {
        let wild = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\n";
        assert_eq!(plain(wild), "a\\u001b[2J\\u009b\\u007f\\u202e\\n");
        let json = tame(&serde_json::to_string(wild).unwrap());
        assert!(!json.chars().any(is_wild));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), wild);
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_they_end() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&rows), ["a     b", "long"]);
    }
}
