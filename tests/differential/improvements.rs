//! What is meant to differ, and why.

/// Differences that have one reason.
pub struct Improvement {
    pub title: &'static str,
    pub why: &'static str,
    pub rows: &'static [Row],
}

/// One difference, as it is seen on every MPM.
pub struct Row {
    /// `section: sentence`.
    pub case: &'static str,
    /// The number of the request in the case.
    pub request: usize,
    pub what: &'static str,
    pub stock: &'static str,
    pub ours: &'static str,
}

pub const IMPROVEMENTS: &[Improvement] = &[];
