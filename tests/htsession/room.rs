//! A store in a temporary place, and the tool run on it.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use mod_session_rs::session::{Key, Record, Stored as Decoded, Timestamp, Value, Values};
use mod_session_rs::store::dbm::DbmStore;
use mod_session_rs::store::directory::{self, Kind};
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Blob, Durability, Store};

pub const SECOND: u64 = 1_000_000;

pub struct Room {
    pub place: tempfile::TempDir,
    pub dir: PathBuf,
    kind: Kind,
}

/// A session as it is stored.
pub struct Stored {
    pub record: Record,
    pub expires: Timestamp,
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros().try_into().unwrap())
}

/// Writes a line that shows also where the test passes.
pub fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn key(number: u8) -> Key {
    Key(std::array::from_fn(|n| number.wrapping_mul(37).wrapping_add(u8::try_from(n).unwrap())))
}

impl Room {
    /// An empty store. Others may pass, for the tests that give it away.
    pub fn new() -> Room {
        Room::of(Kind::File)
    }

    pub fn of(kind: Kind) -> Room {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let dir = place.path().join("sessions");
        directory::make(&dir, None).unwrap();
        directory::claim(&dir, kind).unwrap();
        Room { place, dir, kind }
    }

    pub fn store(&self) -> Box<dyn Store> {
        match self.kind {
            Kind::File => Box::new(FileStore::new(self.dir.clone())),
            Kind::Dbm => Box::new(DbmStore::new(self.dir.clone())),
            Kind::Memory => panic!("only a server has one"),
        }
    }

    /// Stores a session of one value, changed by `change`; returns its reference.
    pub fn put(&self, number: u8, change: impl FnOnce(&mut Stored)) -> String {
        let mut values = Values::default();
        values.set("name", Value::Text("x".into()));
        let (created, accessed) = (now().minus(60 * SECOND), now());
        let record = Record { incarnation: number.into(), created, accessed, timeout: 1800, presented: true, user: None, values };
        let mut stored = Stored { record, expires: accessed.plus(1800 * SECOND) };
        change(&mut stored);
        self.put_blob(number, stored.expires, stored.record.encode())
    }

    /// Stores what need not be a session.
    pub fn put_bytes(&self, number: u8, bytes: &[u8]) -> String {
        self.put_blob(number, now().plus(SECOND), bytes.to_vec())
    }

    fn put_blob(&self, number: u8, expires: Timestamp, bytes: Vec<u8>) -> String {
        let key = key(number);
        assert!(self.store().create(&key, &Blob::new(expires, bytes), Durability::Process).unwrap());
        key.reference().to_string()
    }

    pub fn stored(&self, number: u8) -> Stored {
        let blob = self.store().load(&key(number)).unwrap().expect("the session is there");
        let Ok(Decoded::Session(record)) = Decoded::decode(&blob.bytes) else { panic!("not a session") };
        Stored { record: record.plain().expect("its values are not sealed"), expires: blob.expires }
    }

    pub fn file(&self, number: u8) -> PathBuf {
        let hex = key(number).hex();
        self.dir.join(&hex[..2]).join(&hex)
    }

    pub fn damage(&self, number: u8) {
        match self.kind {
            Kind::File => std::fs::write(self.file(number), "damage").unwrap(),
            Kind::Dbm => self.damage_page(number),
            Kind::Memory => panic!("only a server has one"),
        }
    }

    /// Changes the check of a record where it lies, in all pages that have it, behind the store's back. Nobody has it open meanwhile.
    fn damage_page(&self, number: u8) {
        let data = self.dir.join("data.mdb");
        let mut bytes = std::fs::read(&data).unwrap();
        // LMDB writes the length of a key before it; entries of the index are longer.
        let entry = [&32u16.to_le_bytes()[..], &key(number).0].concat();
        let found: Vec<_> = bytes.windows(entry.len()).enumerate().filter(|(_, window)| *window == entry).map(|(at, _)| at).collect();
        assert!(!found.is_empty());
        found.iter().for_each(|at| bytes[at + entry.len()] ^= 1);
        std::fs::write(&data, bytes).unwrap();
    }

    /// Makes all of the store another user's.
    pub fn give_to(&self, uid: u32, gid: u32) {
        for path in contents(&self.dir).keys().chain([&self.dir]) {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Whom the tool lists.
    pub fn refs(&self) -> Vec<String> {
        let list = self.run(&["list", "-f", "json"]).succeeded().json();
        list["sessions"].as_array().unwrap().iter().map(|session| session["ref"].as_str().unwrap().to_owned()).collect()
    }

    pub fn tool() -> Command {
        Command::new(env!("CARGO_BIN_EXE_htsession"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Self::tool();
        command.arg("--dir").arg(&self.dir).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command(arguments))
    }

    pub fn run_in(dir: &Path, arguments: &[&str]) -> Answer {
        Answer::of(Self::tool().arg("--dir").arg(dir).args(arguments))
    }
}

/// Everything below a directory, with what it holds and its mode.
pub fn contents(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let bytes = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        if metadata.is_dir() {
            found.extend(contents(&path));
        }
        found.insert(path, (metadata.mode(), bytes));
    }
    found
}

/// The same command, begun with other supplementary groups if setpriv (util-linux) is there.
pub fn with_groups(groups: &str, command: &Command) -> Command {
    if Command::new("setpriv").arg("--version").output().is_err() {
        print("setpriv is not installed: run with the groups that there are");
        return again(command);
    }
    let mut other = Command::new("setpriv");
    other.args(["--groups", groups, "--"]).arg(command.get_program()).args(command.get_args());
    other
}

/// The same command as another user, who might not reach the directory of the build.
pub fn as_user(uid: u32, room: &Room, command: &Command) -> Command {
    let copy = room.place.path().join("htsession");
    // By another process: were the copy open for writing here, a process that another test starts just now would inherit that,
    // and the copy could not be run ("text file busy").
    assert!(Command::new("cp").arg(command.get_program()).arg(&copy).status().unwrap().success());
    let mut other = Command::new(copy);
    other.args(command.get_args()).uid(uid).gid(uid).current_dir("/");
    other
}

fn again(command: &Command) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(command.get_args());
    other
}

#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    pub fn of(command: &mut Command) -> Answer {
        let output = command.output().unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("{}", output.status));
        Answer { code, out: String::from_utf8(output.stdout).unwrap(), err: String::from_utf8(output.stderr).unwrap() }
    }

    pub fn succeeded(self) -> Answer {
        assert!(self.code == 0 && self.err.is_empty(), "{self:?}");
        self
    }

    /// One line on stderr that has `part` in it, and nothing else.
    pub fn failed(&self, part: &str) {
        assert!(self.code == 1 && self.out.is_empty() && self.err.lines().count() == 1, "{self:?}");
        assert!(self.err.starts_with("htsession: ") && self.err.contains(part), "{part:?} in {self:?}");
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}
