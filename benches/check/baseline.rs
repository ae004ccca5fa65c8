//! What was counted once, and how what is counted now compares. No I/O.

use std::collections::BTreeMap;
use std::fmt::Write;

/// More than so many per cent above the baseline is too much.
pub const PER_CENT: u64 = 5;

const HEAD: &str = "# Instructions that sessions cost a request, and what they were counted with. Written by `make bench-baseline`.\n";

/// Figures, and the versions of what they depend on besides our own code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    pub versions: BTreeMap<String, String>,
    pub rows: Vec<(String, u64)>,
}

impl Baseline {
    /// `name = version` and `name: number` lines.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let mut baseline = Baseline::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, version)) = line.split_once(" = ") {
                baseline.versions.insert(name.into(), version.into());
                continue;
            }
            let row = line.rsplit_once(": ").and_then(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?)));
            baseline.rows.push(row.ok_or_else(|| format!("no row: {line}"))?);
        }
        Ok(baseline)
    }

    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, version) in &self.versions {
            let _ = writeln!(text, "{name} = {version}");
        }
        text.push('\n');
        for (name, number) in &self.rows {
            let _ = writeln!(text, "{name}: {number}");
        }
        text
    }

    pub fn row(&self, name: &str) -> Option<u64> {
        self.rows.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }

    /// What was another one then: `name: then, now`. Where there is any, numbers are no better or worse, but others.
    pub fn other_versions(&self, now: &Baseline) -> Vec<String> {
        let other = |(name, version): (&String, &String)| {
            let then = self.versions.get(name).map_or("none", String::as_str);
            (then != version).then(|| format!("{name}: {then} then, {version} now"))
        };
        now.versions.iter().filter_map(other).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Well,
    /// So much less that the baseline is to be written anew, lest it be lost again.
    Better,
    Worse,
    OverLimit,
    /// The baseline does not know it.
    New,
}

impl Verdict {
    pub fn judge(now: u64, then: Option<u64>, limit: Option<u64>) -> Verdict {
        if limit.is_some_and(|limit| now > limit) {
            return Verdict::OverLimit;
        }
        match then {
            None => Verdict::New,
            Some(then) if now * 100 > then * (100 + PER_CENT) => Verdict::Worse,
            Some(then) if now * 100 < then * (100 - PER_CENT) => Verdict::Better,
            Some(_) => Verdict::Well,
        }
    }

    /// `comparable`: the baseline was counted with what this was counted with.
    pub fn fails(self, comparable: bool) -> bool {
        match self {
            Verdict::Well | Verdict::Better => false,
            Verdict::Worse => comparable,
            Verdict::OverLimit | Verdict::New => true,
        }
    }

    pub fn text(self, comparable: bool) -> &'static str {
        match self {
            Verdict::Better | Verdict::Worse if !comparable => "not compared",
            Verdict::Well => "",
            Verdict::Better => "better: make bench-baseline",
            Verdict::Worse => "WORSE",
            Verdict::OverLimit => "OVER ITS LIMIT",
            Verdict::New => "NOT IN THE BASELINE",
        }
    }
}

/// Names of the rows that fail, each with its verdict. A row that is in the baseline alone is not looked for: some may have been chosen.
pub fn failures(now: &Baseline, then: &Baseline, limit: impl Fn(&str) -> Option<u64>) -> Vec<(String, Verdict)> {
    let comparable = then.other_versions(now).is_empty();
    let verdicts = now.rows.iter().map(|(name, number)| (name.clone(), Verdict::judge(*number, then.row(name), limit(name))));
    verdicts.filter(|(_, verdict)| verdict.fails(comparable)).collect()
}
