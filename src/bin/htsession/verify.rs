//! Verifying: every record is read, every other file is named, an index is compared. Nothing is changed.

use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mod_session_rs::session::Key;
use mod_session_rs::store;
use mod_session_rs::store::dbm::{DbmStore, FILES};
use mod_session_rs::store::directory::{Kind, MARKER};
use mod_session_rs::store::file::{Name, classify, is_ours};
use mod_session_rs::store::memory::file as memory;
use serde::Serialize;

use crate::failure::Failure;
use crate::listing::{Content, each};
use crate::output::{Output, plain};
use crate::place::Place;
use crate::times::iso_short;

#[derive(Serialize, Default)]
struct Verified {
    records: u64,
    /// Written by a newer version.
    newer: u64,
    damaged: Vec<Damaged>,
    /// Damaged records that the server or `gc` has put aside.
    put_aside: Vec<String>,
    /// What is not of the store, or not safely so: the cleaner leaves it alone.
    foreign: Vec<String>,
    warning: Option<String>,
    /// Of the dbm store.
    #[serde(flatten)]
    index: Option<Index>,
}

/// Where the index of expiry and the records disagree.
#[derive(Serialize, Default)]
struct Index {
    /// Records that cleaning would never come to.
    unindexed: Vec<String>,
    /// Entries that lead to no record.
    adrift: u64,
}

impl Index {
    fn is_damaged(&self) -> bool {
        !self.unindexed.is_empty() || self.adrift > 0
    }
}

#[derive(Serialize)]
struct Damaged {
    r#ref: String,
    why: String,
}

pub fn verify(place: &Place, output: &mut Output) -> Result<ExitCode, Failure> {
    let mut found = Verified { warning: place.warning.clone(), ..Verified::default() };
    each(place, |stored| {
        found.records += 1;
        match stored.content {
            Content::Session(_) | Content::Alias(_) => {}
            Content::Newer => found.newer += 1,
            Content::Damaged(why) => found.damaged.push(Damaged { r#ref: stored.key.reference().to_string(), why }),
        }
        Ok(())
    })?;
    match &place.directory {
        Some((dir, Kind::File)) => aside(dir, [].into_iter(), &mut found)?,
        Some((dir, Kind::Memory)) => aside(dir, MEMORY.into_iter(), &mut found)?,
        Some((dir, Kind::Dbm)) => dbm(dir, &mut found)?,
        None => {}
    }
    output.either(&found, || {
        let mut lines: Vec<_> =
            found.damaged.iter().map(|damaged| format!("damaged: {}: {}", damaged.r#ref, plain(&damaged.why))).collect();
        lines.extend(found.put_aside.iter().map(|path| format!("put aside: {}", plain(path))));
        if let Some(index) = found.index.as_ref().filter(|index| index.is_damaged()) {
            let unindexed = index.unindexed.len();
            lines.push(format!("the index is damaged: {unindexed} records are not in it, {} of its entries lead nowhere", index.adrift));
        }
        lines.extend(found.foreign.iter().map(|path| format!("not of the store: {}", plain(path))));
        lines.extend(found.warning.iter().map(|warning| format!("warning: {}", plain(warning))));
        let newer = if found.newer > 0 { format!(", {} of a newer version", found.newer) } else { String::new() };
        lines.push(format!("{} records, {} damaged{newer}", found.records, found.damaged.len()));
        lines
    })?;
    let is_whole = found.damaged.is_empty() && !found.index.is_some_and(|index| index.is_damaged());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files of a memory store.
const MEMORY: [(&str, What); 3] = [(memory::NAME, What::OfTheStore), (memory::NEW, What::OfTheStore), (memory::DAMAGED, What::PutAside)];

/// What is beside the records of a directory; of files with known names, what they are.
fn aside(dir: &Path, known: impl Iterator<Item = (&'static str, What)> + Clone, found: &mut Verified) -> Result<(), Failure> {
    for (path, what) in others(dir)? {
        let what = known.clone().find(|(name, _)| path == dir.join(name)).map_or(what, |(_, what)| what);
        match what {
            What::OfTheStore => {}
            What::PutAside => found.put_aside.push(path.display().to_string()),
            What::Foreign => found.foreign.push(path.display().to_string()),
        }
    }
    Ok(())
}

fn dbm(dir: &Path, found: &mut Verified) -> Result<(), Failure> {
    let survey = DbmStore::new(dir.to_owned()).read_only().survey()?;
    let reference = |key: &Key| key.reference().to_string();
    found.put_aside = survey.put_aside.iter().map(|(key, since)| format!("{} of {}", reference(key), iso_short(*since))).collect();
    found.index = Some(Index { unindexed: survey.unindexed.iter().map(reference).collect(), adrift: survey.adrift });
    for (entry, metadata) in entries(dir)? {
        if !is_ours(&metadata) || !FILES.iter().any(|name| entry.file_name() == *name) {
            found.foreign.push(entry.path().display().to_string());
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A record, or one that is being written.
    OfTheStore,
    PutAside,
    Foreign,
}

/// Everything in the directory that is not of the store or was put aside.
fn others(dir: &Path) -> Result<Vec<(PathBuf, What)>, Failure> {
    let mut others = Vec::new();
    for (entry, metadata) in entries(dir)? {
        let name = entry.file_name();
        match name.to_str().and_then(sub_directory) {
            Some(byte) if metadata.is_dir() => {
                for (entry, metadata) in entries(&entry.path())? {
                    let what = if is_ours(&metadata) { what(&entry, byte) } else { What::Foreign };
                    others.push((entry.path(), what));
                }
            }
            _ if name == MARKER && is_ours(&metadata) => {}
            _ => others.push((entry.path(), What::Foreign)),
        }
    }
    others.retain(|(_, what)| *what != What::OfTheStore);
    others.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(others)
}

/// What is there, apart from what goes while we look.
fn entries(dir: &Path) -> Result<Vec<(DirEntry, Metadata)>, Failure> {
    let failed = |error| store::Error::Io(dir.to_owned(), error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.extend(entry.metadata().ok().filter(|found| found.nlink() > 0).map(|found| (entry, found)));
    }
    Ok(entries)
}

fn sub_directory(name: &str) -> Option<u8> {
    let bytes = data_encoding::HEXLOWER.decode(name.as_bytes()).ok()?;
    <[u8; 1]>::try_from(bytes).ok().map(|[byte]| byte)
}

fn what(entry: &DirEntry, sub: u8) -> What {
    match entry.file_name().to_str().map_or(Name::Foreign, |name| classify(name, sub)) {
        Name::Record(_) | Name::Temporary => What::OfTheStore,
        Name::Corrupt => What::PutAside,
        Name::Foreign => What::Foreign,
    }
}
