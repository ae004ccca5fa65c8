//! The stores of a child, opened when the first request needs them.

use crate::config::{Location, Settings, StorePlace};
use crate::httpd::mpm;
use crate::repository::Repository;
use crate::store::Store;
use crate::store::dbd::DbdStore;
use crate::store::dbm::DbmStore;
use crate::store::file::FileStore;

use super::dbd::ModDbd;

pub fn store(place: &StorePlace) -> &dyn Store {
    place.store(|location| open(location, place))
}

fn open(location: &Location, place: &StorePlace) -> Box<dyn Store> {
    match location {
        Location::File(dir) => Box::new(FileStore::new(dir.clone())),
        Location::Dbm(dir) => Box::new(DbmStore::new(dir.clone()).readers(readers()).synced(place.is_synced())),
        Location::Redis(source) => Box::new(super::redis::open(source)),
        Location::Memory { dir, bytes } => super::memory::open(dir, *bytes),
        Location::Dbd(table, server) => Box::new(DbdStore::new(ModDbd::new(*server), table.clone())),
    }
}

/// How many may read at once: the threads of all children, those of HTTP/2 among them, and tools.
fn readers() -> u32 {
    u32::try_from(mpm::most_threads() * 5 / 2 + 16).unwrap_or(u32::MAX)
}

/// The sessions that settings mean.
pub fn repository(settings: &Settings) -> Repository<'_> {
    Repository { store: store(&settings.place), terms: &settings.terms }
}
