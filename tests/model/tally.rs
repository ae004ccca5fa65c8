//! How often what has happened: a history in which something never did proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! events {
    ($($(#[$meaning:meta])* $event:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Event {
            $($(#[$meaning])* $event,)*
        }

        const ALL: &[Event] = &[$(Event::$event,)*];
    };
}

events! {
    Opened,
    /// Led on from an id that it had before.
    FoundByFormerId,
    /// Of a superseded id, or one whose grace is over.
    RefusedFormerId,
    Created,
    /// Under the id of one that was removed.
    CreatedAnew,
    /// On top of what others stored since it was read.
    Merged,
    /// After its end, within what a request may outlive it.
    TakenLate,
    /// By a request that began under a former id.
    StoredElsewhere,
    /// And whose grace was over.
    StoredBehindGrace,
    Renewed,
    Emptied,
    TooLarge,
    Gone,
    Moved,
    Superseded,
    /// Another request had moved it.
    Joined,
    Reloaded,
    Removed,
    Invalidated,
    /// Under an id that the request did not know.
    EndedElsewhere,
    SweptSession,
    SweptId,
    Interrupted,
}

#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Event, u64>);

impl Tally {
    pub fn count(&mut self, event: Event) {
        *self.0.entry(event).or_default() += 1;
    }

    pub fn add(&mut self, other: &Tally) {
        for (event, count) in &other.0 {
            *self.0.entry(*event).or_default() += count;
        }
    }

    /// What has happened less often than this.
    pub fn rarer_than(&self, count: u64) -> Vec<Event> {
        ALL.iter().copied().filter(|event| self.0.get(event).is_none_or(|happened| *happened < count)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().map(|(event, count)| format!("{event:?} {count}")).collect();
        f.write_str(&counts.join(", "))
    }
}
