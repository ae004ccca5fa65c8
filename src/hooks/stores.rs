//! The stores of a child, opened when the first request needs them.

use crate::config::{Location, Settings, StorePlace};
use crate::repository::Repository;
use crate::store::Store;
use crate::store::dbd::DbdStore;
use crate::store::file::FileStore;

use super::dbd::ModDbd;

pub fn store(place: &StorePlace) -> &dyn Store {
    place.store(open)
}

fn open(location: &Location) -> Box<dyn Store> {
    match location {
        Location::File(dir) => Box::new(FileStore::new(dir.clone())),
        Location::Dbd(table, server) => Box::new(DbdStore::new(ModDbd::new(*server), table.clone())),
    }
}

/// The sessions that settings mean.
pub fn repository(settings: &Settings) -> Repository<'_> {
    Repository { store: store(&settings.place), terms: &settings.terms }
}
