//! Where sessions are kept: what `SessionStore` and `SessionDir` say together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::OnceCell;

use crate::store::Store;
use crate::store::directory::Kind;

/// The word of `SessionStore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    File,
    /// So many bytes of memory that all children share.
    Memory(u64),
    /// The stock store modules answer.
    Stock,
}

impl StoreKind {
    pub fn name(&self) -> &'static str {
        match self {
            StoreKind::File => "file",
            StoreKind::Memory(_) => "memory",
            StoreKind::Stock => "stock",
        }
    }
}

/// A store and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    File(PathBuf),
    Memory { dir: PathBuf, bytes: u64 },
}

impl Location {
    /// What `SessionStore` and `SessionDir` mean together; `None`: no store of ours, or one whose directory is not said.
    pub fn of(kind: &StoreKind, dir: Option<&Path>) -> Option<Location> {
        match kind {
            StoreKind::File => Some(Location::File(dir?.to_owned())),
            StoreKind::Memory(bytes) => Some(Location::Memory { dir: dir?.to_owned(), bytes: *bytes }),
            StoreKind::Stock => None,
        }
    }

    /// The directory, of a store that has one, and what it has to be.
    pub fn directory(&self) -> Option<(&Path, Kind)> {
        match self {
            Location::File(dir) => Some((dir, Kind::File)),
            Location::Memory { dir, .. } => Some((dir, Kind::Memory)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(dir) | Location::Memory { dir, .. } => dir.display().fmt(f),
        }
    }
}

/// A place of sessions. Its store is opened in the child that first needs it, once, however many sections name it.
pub struct StorePlace {
    pub location: Location,
    store: OnceCell<Box<dyn Store>>,
}

impl StorePlace {
    /// The place of a location: one for all sections and hosts of a configuration.
    pub fn of(location: &Location) -> Arc<StorePlace> {
        static PLACES: Mutex<Vec<Weak<StorePlace>>> = Mutex::new(Vec::new());
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| place.strong_count() > 0);
        let known = places.iter().filter_map(Weak::upgrade).find(|place| place.location == *location);
        known.unwrap_or_else(|| {
            let place = Arc::new(StorePlace { location: location.clone(), store: OnceCell::new() });
            places.push(Arc::downgrade(&place));
            place
        })
    }

    /// The store, which `open` makes on first use.
    pub fn store(&self, open: impl FnOnce(&Location) -> Box<dyn Store>) -> &dyn Store {
        self.store.get_or_init(|| open(&self.location)).as_ref()
    }

    pub fn is(&self, other: &StorePlace) -> bool {
        self.location == other.location
    }
}
