//! What goes on around the requests: time, and the directives.

use fastrand::Rng;
use mod_session_rs::repository::Terms;
use mod_session_rs::session::{Expiry, Scope};

use crate::choice::{once_in, pick};
use crate::end::{LATE, Rules, SECOND};
use crate::history::History;
use crate::oracle::Place;

const HOUR: u64 = 3600 * SECOND;
/// Where no limit is met by chance.
const LARGE: usize = 1 << 16;

pub fn rules(rng: &mut Rng) -> Rules {
    Rules {
        touch_interval: *pick(rng, &[None, None, None, Some(0), Some(SECOND), Some(100 * SECOND)]),
        lifetime: *pick(rng, &[None, None, Some(600 * SECOND), Some(4 * HOUR)]),
        new_timeout: *pick(rng, &[None, None, Some(20 * SECOND), Some(HOUR)]),
        steady: !once_in(rng, 3),
    }
}

pub fn terms(rules: &Rules, scope: Scope) -> Terms {
    let expiry = Expiry { touch_interval: rules.touch_interval, lifetime: rules.lifetime, new_timeout: rules.new_timeout };
    Terms { expiry, max_size: LARGE, ..Terms::new(scope) }
}

impl History<'_> {
    pub fn change_terms(&mut self) {
        let (rng, terms) = (&mut self.rng, &mut self.terms);
        match rng.u32(..4) {
            0 => terms.sealed = !terms.sealed,
            1 => terms.grace = *pick(rng, &[0, 2 * SECOND, 10 * SECOND, 10 * SECOND, 30 * SECOND, 900 * SECOND]),
            2 => terms.timeout = *pick(rng, &[5, 60, 300, 1800]),
            _ => terms.max_size = *pick(rng, &[300, 300, 1000, 3000, LARGE, LARGE]),
        }
        let Terms { sealed, grace, timeout, max_size, .. } = &self.terms;
        let text = format!("terms: sealed {sealed}, grace {grace}, timeout {timeout}, max_size {max_size}");
        self.note(&text);
    }

    pub fn move_clock(&mut self) {
        let by = match self.rng.u32(..100) {
            0..64 => self.rng.u64(..2 * SECOND),
            64..82 => self.rng.u64(..40 * SECOND),
            82..94 => {
                self.move_to_an_edge();
                return;
            }
            94..98 => self.rng.u64(..1000 * SECOND),
            _ if self.oracle.rules.steady => self.rng.u64(..3 * HOUR),
            _ => {
                self.now -= self.rng.u64(..100 * SECOND);
                self.note("the clock is set back");
                return;
            }
        };
        self.now += by;
        self.note("time goes by");
    }

    /// To a microsecond at which something may end, or the one before.
    fn move_to_an_edge(&mut self) {
        let met = self.oracle.ids().len();
        let Some(id) = self.rng.choice(met.saturating_sub(60)..met) else { return };
        let spare = *pick(&mut self.rng, &[0, 0, LATE]);
        let edges = match self.oracle.places.get(&id) {
            Some(Place::Session(number)) => {
                let life = self.oracle.life(*number);
                vec![life.end.earliest + spare, life.end.earliest, life.end.latest + spare, self.oracle.rules.end_of_life(life.created)]
            }
            Some(Place::Former(former)) => vec![former.grace_ends, former.known_until + spare],
            None => return,
        };
        let edge = pick(&mut self.rng, &edges).saturating_sub(self.rng.u64(..2));
        if (self.now..self.now + 4 * HOUR).contains(&edge) {
            self.now = edge;
            self.watched = self.rng.bool().then_some(id);
            self.note("time goes by, to an edge");
        }
    }
}
