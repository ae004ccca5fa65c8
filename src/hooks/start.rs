//! The start: checks while the configuration is read, preparation in the parent, attachment in the children.
//!
//! At `-t` and at a first start what is wrong with the file system ends the start; at a restart it is logged only, for a server
//! that works must not end because of it.

use std::path::Path;
use std::sync::Arc;

use rustix::process::Uid;

use super::{dbd_start as dbd, locks, memory};
use crate::config::{Config, SecretSource, ServerConfig, StoreKind, StorePlace};
use crate::httpd::conftree::in_configuration;
use crate::httpd::hook::{ChildHook, ConfigHook, EarlyHook};
use crate::httpd::{Level, Pool, Server, Workers, is_first_reading, is_loaded, is_restart, report_panics_to, watchdog, workers};
use crate::store::Error;
use crate::store::directory::{self, Examined, Kind, State};

/// Every part of the configuration that may name a store: each server as a whole, and each of its sections within it.
pub fn parts<'s>(server: Server<'s>) -> Vec<Config> {
    let Some(outer) = server.dir_config::<Config>() else { return Vec::new() };
    let sections = server.sections::<Config>().into_iter().map(|inner| Config::merge(outer, inner));
    std::iter::once(outer.clone()).chain(sections).collect()
}

/// The places of all stores of ours, each directory and each database once.
pub fn places(server: Server<'_>) -> Vec<Arc<StorePlace>> {
    let mut found: Vec<Arc<StorePlace>> = Vec::new();
    for (host, part) in server.and_following().flat_map(|host| parts(host).into_iter().map(move |part| (host, part))) {
        let Some(place) = part.own_store() else { continue };
        let place = place.of_server(dbd::host(server, host));
        if part.sync == Some(true) {
            place.sync();
        }
        if !found.iter().any(|known| known.is(&place)) {
            found.push(place);
        }
    }
    found
}

fn directories(places: &[Arc<StorePlace>]) -> Vec<(&Path, Kind)> {
    places.iter().filter_map(|place| place.location.directory()).collect()
}

/// Whose the session directories must be.
fn owner() -> Result<Uid, Error> {
    match workers() {
        Workers::Become(user, _) => Ok(user),
        Workers::Same => Ok(rustix::process::geteuid()),
        Workers::Unknown => {
            Err(Error::Unusable("SessionDir belongs to the User of the server, and none is set: add User and Group".into()))
        }
    }
}

/// Looks at a directory, and makes it if that is wanted and it is missing.
fn examine(dir: &Path, kind: Kind, prepare: bool) -> Result<Examined, Error> {
    let found = directory::examine(dir, owner()?, kind)?;
    if prepare && found.state == State::Missing {
        let owner = if let Workers::Become(user, group) = workers() { Some((user, group)) } else { None };
        directory::make(dir, owner)?;
    }
    Ok(found)
}

fn server_config(server: Server<'_>) -> ServerConfig {
    server.dir_config::<Config>().map(|config| config.server).unwrap_or_default()
}

pub struct Register;

impl EarlyHook for Register {
    fn run(pool: Pool<'_>) -> Result<(), ()> {
        locks::register(pool)
    }
}

pub struct Check;

impl ConfigHook for Check {
    fn run(pool: Pool<'_>, server: Server<'_>) -> Result<(), ()> {
        let places = places(server);
        let directories = directories(&places);
        memory::check(server, &places)?;
        for host in server.and_following() {
            contradictions(host)?;
        }
        if !places.is_empty() {
            two_stores_in_one_directory(server, &directories)?;
            locks::check(server)?;
            dbd::check(pool, server, &places)?;
        }
        if !directories.is_empty() {
            changing_users(server)?;
        }
        if !is_first_reading() {
            return Ok(());
        }
        if let Some(why) = unusable_secrets(server, &places, workers() == Workers::Same) {
            server.log(Level::Error, format_args!("{why}"));
            return Err(());
        }
        for (dir, kind) in directories {
            if let Err(error) = examine(dir, kind, false) {
                if is_private_to_others(&error) {
                    continue;
                }
                server.log(Level::Error, format_args!("{error}"));
                return Err(());
            }
        }
        Ok(())
    }
}

/// Which of them would be first, chance would say.
fn two_stores_in_one_directory(server: Server<'_>, directories: &[(&Path, Kind)]) -> Result<(), ()> {
    let twice = directories.iter().enumerate().find(|(i, (dir, _))| directories[..*i].iter().any(|(other, _)| other == dir));
    twice.map_or(Ok(()), |(_, (dir, _))| {
        server.log(
            Level::Error,
            format_args!("SessionDir {} is given to two kinds of SessionStore: give each a directory of its own", dir.display()),
        );
        Err(())
    })
}

/// With these modules each request runs as another user, and no file would be everybody's.
fn changing_users(server: Server<'_>) -> Result<(), ()> {
    match [c"mpm_itk.c", c"mod_ruid2.c"].into_iter().find(|name| is_loaded(name)) {
        None => Ok(()),
        Some(name) => {
            let name = name.to_string_lossy();
            server.log(
                Level::Error,
                format_args!(
                    "SessionDir does not go with {name}, where requests run as different users: remove that, or use SessionStore stock"
                ),
            );
            Err(())
        }
    }
}

/// Why the keys of a section, or what its store is to read, cannot be used. `unprivileged`: what only root may read is not looked at.
fn unusable_secrets(server: Server<'_>, places: &[Arc<StorePlace>], unprivileged: bool) -> Option<String> {
    let parts = server.and_following().flat_map(parts);
    let sources = parts.filter(|part| part.own_store().is_some()).filter_map(|part| part.secrets);
    let unusable = sources.into_iter().find_map(|source| match &*source {
        SecretSource::Broken { is_private: true, .. } if unprivileged => None,
        SecretSource::Broken { why, .. } => Some(why.clone()),
        SecretSource::Keys(_) => None,
    });
    unusable.or_else(|| places.iter().find_map(|place| place.location.trouble(unprivileged).map(str::to_owned)))
}

/// Whoever tests a configuration without being root cannot look into a directory that is the server's alone.
fn is_private_to_others(error: &Error) -> bool {
    workers() == Workers::Same && matches!(error, Error::Io(_, error) if error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// What only the whole of a host's configuration shows.
fn contradictions(host: Server<'_>) -> Result<(), ()> {
    let parts = parts(host);
    for part in &parts {
        memory::check_section(host, part)?;
        if let Some(kind) = part.kind.as_ref().filter(|kind| part.own_store().is_none() && **kind != StoreKind::Stock) {
            host.log(Level::Error, format_args!("SessionStore {kind} needs a directory: add SessionDir"));
            return Err(());
        }
        if part.own_store().is_some() && !part.uses_cookies() && part.id_param.is_none() {
            host.log(
                Level::Error,
                format_args!("SessionUseCookies Off needs the name of the parameter that carries the id instead: add SessionIdParam"),
            );
            return Err(());
        }
    }
    let stores: Vec<_> =
        parts.iter().filter(|part| part.uses_cookies()).filter_map(|part| Some((part.own_store()?, part.cookie()))).collect();
    for (i, (place, cookie)) in stores.iter().enumerate() {
        for (other, rule) in &stores[i + 1..] {
            let same_cookie = (&rule.name, &rule.path, &rule.domain) == (&cookie.name, &cookie.path, &cookie.domain);
            if same_cookie && !other.is(place) {
                let (one, two) = (place.location.said(), other.location.said());
                host.log(
                    Level::Error,
                    format_args!(
                        "{one} and {two} of one host would share the cookie {} with path {}: give one section another SessionIdCookie",
                        cookie.name, cookie.path
                    ),
                );
                return Err(());
            }
        }
    }
    Ok(())
}

pub struct Prepare;

impl ConfigHook for Prepare {
    /// Fails at a first start only: at a restart that would end the running server.
    fn run(pool: Pool<'_>, server: Server<'_>) -> Result<(), ()> {
        if is_first_reading() {
            return Ok(());
        }
        let places = places(server);
        if !places.is_empty() {
            pool.adopt(locks::Farewell(std::process::id()));
            let prepared = locks::prepare(server, &server_config(server));
            if !is_restart() {
                prepared?;
            }
        }
        if let Some(why) = unusable_secrets(server, &places, false) {
            server.log(Level::Error, format_args!("{why}; sessions there fail until that is mended"));
            if !is_restart() {
                return Err(());
            }
        }
        mod_session_crypto(server);
        dbd::prepare(pool, server, &places);
        for (dir, kind) in directories(&places) {
            match examine(dir, kind, true) {
                Ok(found) => found.warning.iter().for_each(|warning| server.log(Level::Warning, format_args!("{warning}"))),
                Err(error) => server.log(Level::Error, format_args!("{error}; sessions there fail until that is mended")),
            }
        }
        let prepared = memory::prepare(server, &places);
        if is_restart() { Ok(()) } else { prepared }
    }
}

/// Whoever configured mod_session_crypto expects his sessions to be encrypted.
fn mod_session_crypto(server: Server<'_>) {
    let directives = ["SessionCryptoPassphrase", "SessionCryptoPassphraseFile"];
    let undecided = |part: &Config| part.own_store().is_some() && part.encrypt.is_none();
    if directives.iter().any(|name| !in_configuration(name).is_empty())
        && server.and_following().flat_map(parts).any(|part| undecided(&part))
    {
        server.log(
            Level::Warning,
            format_args!("SessionCryptoPassphrase does not seal the sessions of SessionDir: say SessionEncrypt On, or SessionEncrypt Off"),
        );
    }
}

/// APEXIT_CHILDSICK: the parent waits a little before it starts another one.
const CHILD_SICK: i32 = 7;

pub struct Child;

impl ChildHook for Child {
    fn run(pool: Pool<'_>, server: Server<'_>) {
        report_panics_to(server.for_life_of_child(pool));
        watchdog::stop_before(pool);
        if let Err(why) = locks::attach(pool, server.for_life_of_child(pool), &server_config(server)) {
            server.log(
                Level::Error,
                format_args!(
                    "this child cannot use the session-pool, and ends: {why}; lower SessionMutexes, or name another mechanism: \
                     Mutex pthread session-pool"
                ),
            );
            std::process::exit(CHILD_SICK);
        }
    }
}
