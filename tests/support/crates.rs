//! Other people's crates that link this library, as cargo builds them.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use rustix::fs::{FlockOperation, flock};

use super::apxs::modified;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// The shared object of tests/rust/mod_rustapi, built if it is older than its sources, once for each test process.
pub fn rustapi() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("mod_rustapi"))
}

/// cargo writes a lock file beside the manifest, so it is given a copy, and our lock file, that nothing need be looked up.
fn build(name: &str) -> PathBuf {
    let source = Path::new(PACKAGE).join("tests/rust").join(name);
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(room.join("src")).expect("a directory for the copy");
    let lock = File::create(room.join("lock")).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("a lock on the copy");
    let manifest = fs::read_to_string(source.join("Cargo.toml")).expect("the manifest");
    renew(&room.join("Cargo.toml"), manifest.replace("\"../../..\"", &format!("{PACKAGE:?}")).as_bytes());
    let (ours, copy) = (Path::new(PACKAGE).join("Cargo.lock"), room.join("Cargo.lock"));
    // cargo strikes from the copy what this crate does not need.
    if modified(&ours) > modified(&copy) {
        fs::copy(ours, copy).expect("Cargo.lock");
    }
    for file in fs::read_dir(source.join("src")).expect("the sources").map(|entry| entry.expect("a source")) {
        renew(&room.join("src").join(file.file_name()), &fs::read(file.path()).expect("a source"));
    }
    let target = room.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(["build", "--quiet"]).env("CARGO_TARGET_DIR", &target).current_dir(&room).output().expect("cargo");
    assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
    target.join(format!("debug/lib{name}.so"))
}

/// What has not changed keeps its time, so that cargo does not build it again.
fn renew(file: &Path, contents: &[u8]) {
    if fs::read(file).ok().as_deref() != Some(contents) {
        fs::write(file, contents).expect("the copy of a file");
    }
}
