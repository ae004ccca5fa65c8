//! What a request did to a session. A commit replays it on the newest record, so that changes to different keys are never lost,
//! in any lock mode, and additions are exact.

use super::value::Value;
use super::values::{Values, compare};

#[derive(Debug, Clone, PartialEq)]
enum Change {
    Set(Value),
    /// Under this spelling, whichever it had before: it was removed in between.
    Replace(Value),
    Unset,
    Add(i64),
}

/// The recorded changes of a request: at most one for each key, behind an optional `clear`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    cleared: bool,
    /// In the order of [`compare`].
    by_key: Vec<(String, Change)>,
    /// A sum came to an end of the numbers on the way, and stayed there.
    reached_an_end: bool,
}

impl Changes {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.cleared && self.by_key.is_empty()
    }

    pub fn set(&mut self, key: &str, value: Value) {
        let next = if self.replaces(key) { Change::Replace(value) } else { Change::Set(value) };
        self.record(key, next);
    }

    pub fn unset(&mut self, key: &str) {
        self.record(key, Change::Unset);
    }

    /// Everything that was there goes; what is recorded afterwards stays.
    pub fn clear(&mut self) {
        self.by_key.clear();
        self.cleared = true;
    }

    /// What is shown of a sum is no more what a replay of the additions comes to.
    pub fn reach_an_end(&mut self) {
        self.reached_an_end = true;
    }

    #[must_use]
    pub fn reached_an_end(&self) -> bool {
        self.reached_an_end
    }

    pub fn add(&mut self, key: &str, delta: i64) {
        let before = self.position(key).ok().map(|at| &self.by_key[at].1);
        let next = match before {
            None if self.cleared => Change::Set(Value::Int(delta)),
            None => Change::Add(delta),
            Some(Change::Add(before)) => {
                let sum = before.saturating_add(delta);
                self.reached_an_end |= before.checked_add(delta).is_none();
                Change::Add(sum)
            }
            Some(Change::Set(value)) => Change::Set(added(Some(value), delta)),
            Some(Change::Replace(value)) => Change::Replace(added(Some(value), delta)),
            Some(Change::Unset) => Change::Replace(Value::Int(delta)),
        };
        self.record(key, next);
    }

    /// What they are applied to is another record than the one they were made on. What is shown from now on may be a sum that stays at an end of
    /// the numbers.
    pub fn applied_anew(&mut self, values: &Values) -> Values {
        self.reached_an_end |= self.by_key.iter().any(|(_, change)| matches!(change, Change::Add(_)));
        self.applied(values)
    }

    /// A copy of `values` with the changes.
    #[must_use]
    pub fn applied(&self, values: &Values) -> Values {
        let mut values = values.clone();
        self.apply(&mut values);
        values
    }

    /// Replays the changes on `values`.
    pub fn apply(&self, values: &mut Values) {
        if self.cleared {
            values.clear();
        }
        for (key, change) in &self.by_key {
            match change {
                Change::Set(value) => values.set(key, value.clone()),
                Change::Replace(value) => {
                    values.remove(key);
                    values.set(key, value.clone());
                }
                Change::Unset => values.remove(key),
                Change::Add(delta) => {
                    let sum = added(values.find(key).map(|(_, value)| value), *delta);
                    values.set(key, sum);
                }
            }
        }
    }

    fn replaces(&self, key: &str) -> bool {
        self.position(key).is_ok_and(|at| matches!(self.by_key[at].1, Change::Unset | Change::Replace(_)))
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|(known, _)| compare(known, key))
    }

    fn record(&mut self, key: &str, change: Change) {
        match self.position(key) {
            Ok(at) => self.by_key[at] = (key.to_owned(), change),
            Err(at) => self.by_key.insert(at, (key.to_owned(), change)),
        }
    }
}

/// `value + delta`. Something else than an integer counts as 0: somebody replaced the counter meanwhile, and the last writer wins.
fn added(value: Option<&Value>, delta: i64) -> Value {
    match value {
        Some(Value::Int(number)) => Value::Int(number.saturating_add(delta)),
        _ => Value::Int(delta),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Set(usize, i64),
        Unset(usize),
        Clear,
        Add(usize, i64),
    }

    const KEYS: [&str; 4] = ["a", "b", "C", "d"];

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..4usize, -5i64..5).prop_map(|(k, v)| Op::Set(k, v)),
            (0..4usize).prop_map(Op::Unset),
            Just(Op::Clear),
            (0..4usize, -5i64..5).prop_map(|(k, v)| Op::Add(k, v)),
        ]
    }

    /// The oracle: each operation carried out at once.
    fn directly(values: &mut Values, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Set(k, v) => values.set(KEYS[*k], Value::Int(*v)),
                Op::Unset(k) => values.remove(KEYS[*k]),
                Op::Clear => values.clear(),
                Op::Add(k, d) => {
                    let sum = added(values.get(KEYS[*k]), *d);
                    values.set(KEYS[*k], sum);
                }
            }
        }
    }

    fn recorded(ops: &[Op]) -> Changes {
        let mut changes = Changes::default();
        for op in ops {
            match op {
                Op::Set(k, v) => changes.set(KEYS[*k], Value::Int(*v)),
                Op::Unset(k) => changes.unset(KEYS[*k]),
                Op::Clear => changes.clear(),
                Op::Add(k, d) => changes.add(KEYS[*k], *d),
            }
        }
        changes
    }

    fn values(pairs: Vec<(usize, i64)>) -> Values {
        let mut values = Values::default();
        for (k, v) in pairs {
            values.set(KEYS[k], Value::Int(v));
        }
        values
    }

    proptest! {
        #[test]
        fn replaying_the_record_equals_doing_it_at_once(
            start in prop::collection::vec((0..4usize, -5i64..5), 0..4),
            ops in prop::collection::vec(op(), 0..12),
        ) {
            let (mut one, mut other) = (values(start.clone()), values(start));
            directly(&mut one, &ops);
            recorded(&ops).apply(&mut other);
            prop_assert_eq!(one, other);
        }

        #[test]
        fn changes_to_different_keys_commute(
            start in prop::collection::vec((0..4usize, -5i64..5), 0..4),
            ours in prop::collection::vec((0..2usize, any::<bool>()), 0..6),
            theirs in prop::collection::vec((2..4usize, any::<bool>()), 0..6),
        ) {
            let ops = |list: &[(usize, bool)]| list.iter().map(|&(k, set)| if set { Op::Set(k, 9) } else { Op::Unset(k) }).collect::<Vec<_>>();
            let (ours, theirs) = (recorded(&ops(&ours)), recorded(&ops(&theirs)));
            let (mut one, mut other) = (values(start.clone()), values(start));
            ours.apply(&mut one);
            theirs.apply(&mut one);
            theirs.apply(&mut other);
            ours.apply(&mut other);
            prop_assert_eq!(one, other);
        }

        #[test]
        fn additions_are_exact_in_any_order(deltas in prop::collection::vec((any::<bool>(), -1000i64..1000), 0..20)) {
            let (mut ours, mut theirs) = (Changes::default(), Changes::default());
            for (mine, delta) in &deltas {
                if *mine { ours.add("n", *delta) } else { theirs.add("n", *delta) }
            }
            let mut result = Values::default();
            theirs.apply(&mut result);
            ours.apply(&mut result);
            let sum = deltas.iter().map(|(_, delta)| delta).sum::<i64>();
            let counted = match result.get("n") { Some(Value::Int(n)) => *n, _ => 0 };
            prop_assert_eq!(counted, sum);
        }
    }

    #[test]
    fn a_key_that_somebody_else_spelled_differently_is_the_same_key() {
        let mut newest = Values::default();
        newest.set("Cart", Value::Int(1));
        let mut changes = Changes::default();
        changes.set("cart", Value::Int(2));
        changes.apply(&mut newest);
        assert_eq!(newest.iter().collect::<Vec<_>>(), [("Cart", &Value::Int(2))]);
    }

    #[test]
    fn a_key_that_was_removed_comes_back_under_its_new_spelling() {
        for come_back in [|changes: &mut Changes| changes.set("cart", Value::Int(2)), |changes: &mut Changes| changes.add("cart", 2)] {
            let mut newest = Values::default();
            newest.set("Cart", Value::Int(1));
            let mut changes = Changes::default();
            changes.unset("Cart");
            come_back(&mut changes);
            changes.apply(&mut newest);
            assert_eq!(newest.iter().collect::<Vec<_>>(), [("cart", &Value::Int(2))]);
        }
    }

    #[test]
    fn an_addition_saturates() {
        let mut newest = Values::default();
        newest.set("n", Value::Int(i64::MAX - 1));
        let mut changes = Changes::default();
        changes.add("n", 5);
        changes.apply(&mut newest);
        assert_eq!(newest.get("n"), Some(&Value::Int(i64::MAX)));
    }
}
