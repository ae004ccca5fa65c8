//! Where sessions are kept: what `SessionStore` and `SessionDir` say together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::OnceCell;

use super::redis::RedisSource;
use crate::httpd::Server;
use crate::store::Store;
use crate::store::dbd::sql::Table;
use crate::store::directory::Kind;

/// The word of `SessionStore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    File,
    Dbm,
    Redis(Arc<RedisSource>),
    /// So many bytes of memory that all children share.
    Memory(u64),
    Dbd(Table),
    /// The stock store modules answer.
    Stock,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreKind::File => "file",
            StoreKind::Dbm => "dbm",
            StoreKind::Dbd(_) => "dbd",
            StoreKind::Memory(_) => "memory",
            StoreKind::Redis(_) => "redis",
            StoreKind::Stock => "stock",
        })
    }
}

/// A store and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    File(PathBuf),
    Dbm(PathBuf),
    Redis(Arc<RedisSource>),
    Memory {
        dir: PathBuf,
        bytes: u64,
    },
    /// In the database of a server; `None`: of whatever server serves.
    Dbd(Table, Option<Server<'static>>),
}

impl Location {
    /// What `SessionStore` and `SessionDir` mean together; `None`: no store of ours, or one whose directory is not said.
    pub fn of(kind: &StoreKind, dir: Option<&Path>) -> Option<Location> {
        match kind {
            StoreKind::File => Some(Location::File(dir?.to_owned())),
            StoreKind::Dbm => Some(Location::Dbm(dir?.to_owned())),
            StoreKind::Redis(source) => Some(Location::Redis(Arc::clone(source))),
            StoreKind::Memory(bytes) => Some(Location::Memory { dir: dir?.to_owned(), bytes: *bytes }),
            StoreKind::Dbd(table) => Some(Location::Dbd(table.clone(), None)),
            StoreKind::Stock => None,
        }
    }

    /// The directory, of a store that has one, and what it has to be.
    pub fn directory(&self) -> Option<(&Path, Kind)> {
        match self {
            Location::File(dir) => Some((dir, Kind::File)),
            Location::Dbm(dir) => Some((dir, Kind::Dbm)),
            Location::Memory { dir, .. } => Some((dir, Kind::Memory)),
            Location::Dbd(..) | Location::Redis(_) => None,
        }
    }

    /// How the configuration says it.
    pub fn said(&self) -> String {
        format!("{} {self}", if self.directory().is_some() { "SessionDir" } else { "SessionStore" })
    }

    /// Whether what expired goes by itself, so that nobody needs to look for it.
    pub fn cleans_itself(&self) -> bool {
        matches!(self, Location::Redis(_))
    }

    /// Why a file that it names cannot be used. `unprivileged`: what only root may read is not looked at.
    pub fn trouble(&self, unprivileged: bool) -> Option<&str> {
        match self {
            Location::File(_) | Location::Dbm(_) | Location::Memory { .. } | Location::Dbd(..) => None,
            Location::Redis(source) => source.trouble(unprivileged),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(dir) | Location::Dbm(dir) | Location::Memory { dir, .. } => dir.display().fmt(f),
            Location::Redis(source) => source.target.whole().fmt(f),
            Location::Dbd(table, _) => write!(f, "dbd:{table}"),
        }
    }
}

/// A place of sessions. Its store is opened in the child that first needs it, once, however many sections name it.
pub struct StorePlace {
    pub location: Location,
    /// A section wants each change on the disk (`SessionSync`).
    is_synced: AtomicBool,
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
            let place = Arc::new(StorePlace { location: location.clone(), is_synced: AtomicBool::new(false), store: OnceCell::new() });
            places.push(Arc::downgrade(&place));
            place
        })
    }

    /// The store, which `open` makes on first use.
    pub fn store(&self, open: impl FnOnce(&Location) -> Box<dyn Store>) -> &dyn Store {
        self.store.get_or_init(|| open(&self.location)).as_ref()
    }

    /// To be said before the store is opened.
    pub fn sync(&self) {
        self.is_synced.store(true, Ordering::Relaxed);
    }

    pub fn is_synced(&self) -> bool {
        self.is_synced.load(Ordering::Relaxed)
    }

    /// The same for a server: each virtual host may have a database of its own.
    pub fn of_server(self: &Arc<StorePlace>, server: Server<'_>) -> Arc<StorePlace> {
        match &self.location {
            Location::Dbd(table, None) => StorePlace::of(&Location::Dbd(table.clone(), Some(server.for_life_of_configuration()))),
            _ => Arc::clone(self),
        }
    }

    pub fn is(&self, other: &StorePlace) -> bool {
        self.location == other.location
    }
}
