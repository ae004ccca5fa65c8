//! What was measured, and what it means beside a page without a session.

use std::collections::BTreeMap;

use crate::load::Round;
use crate::measuring::median;
use crate::rows::{ROWS, Row};

#[derive(Default)]
pub struct Results {
    of: BTreeMap<&'static str, Figures>,
}

#[derive(Default)]
struct Figures {
    /// For each round, all loads in it.
    rounds: Vec<Vec<Round>>,
    calls: f64,
    /// `None`: they could not be counted.
    instructions: Option<f64>,
    lost: Option<usize>,
}

impl Figures {
    /// Of one round.
    fn mean(&self, round: usize, field: fn(&Round) -> f64) -> f64 {
        let loads = &self.rounds[round];
        loads.iter().map(field).sum::<f64>() / loads.len() as f64
    }

    fn median(&self, field: fn(&Round) -> f64) -> f64 {
        median((0..self.rounds.len()).map(|round| self.mean(round, field)))
    }
}

const RATE: fn(&Round) -> f64 = |round| round.requests_per_second;
const CPU: fn(&Round) -> f64 = |round| round.cpu_us;

/// A row beside its base. Each is `None` where the row was not measured.
impl Results {
    pub fn add(&mut self, row: &Row, round: usize, measured: Round) {
        let rounds = &mut self.of.entry(row.name).or_default().rounds;
        rounds.resize_with(rounds.len().max(round + 1), Vec::new);
        rounds[round].push(measured);
    }

    pub fn count(&mut self, row: &Row, calls: f64, instructions: Option<f64>) {
        let figures = self.of.entry(row.name).or_default();
        (figures.calls, figures.instructions) = (calls, instructions);
    }

    pub fn lose(&mut self, row: &Row, updates: usize) {
        self.of.entry(row.name).or_default().lost = Some(updates);
    }

    pub fn has(&self, name: &str) -> bool {
        self.of.contains_key(name)
    }

    pub fn requests_per_second(&self, name: &str) -> Option<f64> {
        Some(self.of.get(name)?.median(RATE))
    }

    pub fn latency_us(&self, name: &str) -> Option<(f64, f64)> {
        let figures = self.of.get(name)?;
        Some((figures.median(|round| round.p50_us), figures.median(|round| round.p99_us)))
    }

    pub fn lost(&self, name: &str) -> Option<usize> {
        self.of.get(name)?.lost
    }

    /// Requests/s as a part of the base's.
    pub fn ratio(&self, name: &str) -> Option<f64> {
        let ratios = self.ratios(name)?;
        Some(median(ratios))
    }

    /// One row's ratio as a part of another's.
    pub fn ratio_to(&self, name: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.ratios(name)?, self.ratios(other)?);
        Some(median(one.into_iter().zip(other).map(|(one, other)| one / other)))
    }

    fn ratios(&self, name: &str) -> Option<Vec<f64>> {
        let (one, base) = (self.of.get(name)?, self.base(name)?);
        Some((0..one.rounds.len()).map(|round| one.mean(round, RATE) / base.mean(round, RATE)).collect())
    }

    /// All of it for a base, for others what comes on top.
    pub fn cpu_us(&self, name: &str) -> Option<f64> {
        let is_base = self.row(name).is_base();
        if is_base { Some(self.of.get(name)?.median(CPU)) } else { self.cpu_us_above(name, self.row(name).base) }
    }

    pub fn cpu_us_above(&self, name: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.of.get(name)?, self.of.get(other)?);
        Some(median((0..one.rounds.len()).map(|round| one.mean(round, CPU) - other.mean(round, CPU))))
    }

    /// As `cpu_us`.
    pub fn calls(&self, name: &str) -> Option<f64> {
        self.above(name, |figures| Some(figures.calls))
    }

    /// As `cpu_us`.
    pub fn instructions(&self, name: &str) -> Option<f64> {
        self.above(name, |figures| figures.instructions)
    }

    fn above(&self, name: &str, field: fn(&Figures) -> Option<f64>) -> Option<f64> {
        let one = field(self.of.get(name)?)?;
        Some(if self.row(name).is_base() { one } else { one - field(self.base(name)?)? })
    }

    fn base(&self, name: &str) -> Option<&Figures> {
        self.of.get(self.row(name).base)
    }

    fn row(&self, name: &str) -> &'static Row {
        ROWS.iter().find(|row| row.name == name).expect("the name of a row")
    }
}
