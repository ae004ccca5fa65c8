//! `make install` and `make uninstall`: what lies where, and that it works from there.

mod support;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mod_session_rs::session::{Key, Timestamp};
use mod_session_rs::store::directory::{self, Kind, MARKER};
use mod_session_rs::store::{Blob, Durability, Store, dbm, file, memory};
use support::apxs::module_under_test;
use support::{Httpd, Mpm};
use tempfile::TempDir;

const PREFIX: &str = "/opt/sessions";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn apxs() -> Command {
    Command::new(env::var_os("APXS").unwrap_or_else(|| "apxs".into()))
}

/// A place for an installation, and what is to be installed: what this test was built with.
struct Place {
    dest: TempDir,
    built: TempDir,
    modules: String,
    headers: String,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dest: tempfile::tempdir().expect("DESTDIR"),
            built: tempfile::tempdir().expect("a place for what is built"),
            modules: run(apxs().args(["-q", "LIBEXECDIR"])).trim().to_owned(),
            headers: run(apxs().args(["-q", "INCLUDEDIR"])).trim().to_owned(),
        };
        fs::copy(module_under_test(), place.built.path().join("mod_session.so")).expect("the module");
        fs::copy(env!("CARGO_BIN_EXE_htsession"), place.built.path().join("htsession")).expect("the tool");
        place
    }

    fn make(&self, target: &str) {
        let variable = |name: &str, path: &Path| format!("{name}={}", path.display());
        run(Command::new("make")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("MAKEFLAGS") // of the make that runs the tests
            .arg(target)
            .arg(variable("DESTDIR", self.dest.path()))
            .arg(variable("BUILT", self.built.path()))
            .arg(format!("PREFIX={PREFIX}")));
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dest.path().join(path.trim_start_matches('/'))
    }

    /// All files, as an administrator will see them.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.dest.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    found.insert(format!("/{}", entry.strip_prefix(self.dest.path()).expect("it is in there").display()));
                }
            }
        }
        found
    }
}

fn set<const N: usize>(paths: [String; N]) -> BTreeSet<String> {
    paths.into_iter().collect()
}

#[test]
fn everything_lies_where_it_belongs_and_uninstall_leaves_nothing_but_what_was_there() {
    let place = Place::new();
    let stock = format!("{}/mod_session.so", place.modules);
    let notes = format!("{PREFIX}/share/mod_session_rs/notes.txt");
    for (path, text) in [(&stock, "the distribution's"), (&notes, "an administrator's")] {
        fs::create_dir_all(place.path(path).parent().expect("a folder")).expect("its folder");
        fs::write(place.path(path), text).expect("a file that is there already");
    }
    place.make("install");
    let (modules, headers) = (&place.modules, &place.headers);
    let expected = set([
        stock.clone(),
        format!("{modules}/mod_session_rs.so"),
        format!("{headers}/session_api.h"),
        format!("{PREFIX}/bin/htsession"),
        format!("{PREFIX}/share/man/man1/htsession.1"),
        format!("{PREFIX}/share/man/man8/mod_session_rs.8"),
        format!("{PREFIX}/share/mod_session_rs/reference.conf"),
        format!("{PREFIX}/share/mod_session_rs/session-rs.conf"),
        format!("{PREFIX}/share/mod_session_rs/session-rs.load"),
        notes.clone(),
    ]);
    assert_eq!(place.files(), expected);
    assert_eq!(fs::read_to_string(place.path(&stock)).expect("the stock module"), "the distribution's");
    place.make("install"); // once more, over itself
    assert_eq!(place.files(), expected);
    place.make("uninstall");
    assert_eq!(place.files(), set([stock, notes.clone()]));
    fs::remove_file(place.path(&notes)).expect("it is there");
    place.make("install");
    place.make("uninstall");
    assert!(!place.path(&format!("{PREFIX}/share/mod_session_rs")).exists());
    place.make("uninstall"); // nothing to do, and no error
}

#[test]
fn httpd_the_tool_and_a_module_in_c_work_with_what_is_installed() {
    let place = Place::new();
    place.make("install");
    let module = place.path(&format!("{}/mod_session_rs.so", place.modules));
    let load = fs::read_to_string(place.path(&format!("{PREFIX}/share/mod_session_rs/session-rs.load"))).expect("session-rs.load");
    let line = format!("LoadModule session_module {}/mod_session_rs.so", place.modules);
    assert_eq!(load.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), [line], "the path without DESTDIR");

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("apache-conf/demo");
    fs::copy(source.join("mod_visits.c"), place.built.path().join("mod_visits.c")).expect("a module in C");
    let headers = place.path(&place.headers);
    run(apxs().current_dir(place.built.path()).arg("-c").arg(format!("-I{}", headers.display())).arg("mod_visits.c"));

    let visits = place.built.path().join(".libs/mod_visits.so");
    let httpd = Httpd::with(Mpm::Event)
        .session_module(&module)
        .file("htdocs/c", &fs::read_to_string(source.join("page.html")).expect("page.html"))
        .conf(&format!("LoadModule visits_module \"{}\"\nSessionDir @DIR@", visits.display()))
        .conf("<Location \"/c\">\nSetHandler visits\n</Location>")
        .start();
    let mut client = httpd.client();
    assert_eq!(client.get("/count").text(), "hello 1\n");
    assert_eq!(client.get("/count").text(), "hello 2\n");
    let page = client.get("/c");
    assert!(page.status == 200 && page.text().contains("<html"), "{} {}", page.status, page.text());

    let tool = place.path(&format!("{PREFIX}/bin/htsession"));
    let listed = run(Command::new(tool).arg("--dir").arg(httpd.dir()).args(["-f", "json", "list"]));
    assert_eq!(listed.matches("\"ref\"").count(), 1, "{listed}");
}

/// Debian's httpd reads `mods-enabled/*.load` in the order of bytes.
#[test]
fn our_load_file_comes_before_those_of_the_modules_that_need_it() {
    let ours = "session-rs.load";
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("apache-conf").join(ours).exists());
    for theirs in ["session.load", "session_cookie.load", "session_crypto.load", "session_dbd.load"] {
        assert!(ours < theirs, "{theirs}");
    }
}

/// a2enmod takes such lines of a comment for its own.
#[test]
fn our_load_file_asks_for_no_module_and_excludes_none() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("apache-conf/session-rs.load")).expect("session-rs.load");
    assert!(!text.lines().any(|line| line.starts_with("# Depends:") || line.starts_with("# Conflicts:")), "{text}");
}

/// What `apt purge` leaves of a directory.
fn purged(dir: &Path) -> BTreeSet<String> {
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("debian/libapache2-mod-session-rs.postrm")).expect("postrm");
    let ours = "dir=/var/lib/apache2/sessions\n";
    assert!(script.contains(ours), "{script}");
    run(Command::new("sh").arg("-c").arg(script.replace(ours, &format!("dir={}\n", dir.display()))).args(["postrm", "purge"]));
    let left = fs::read_dir(dir).into_iter().flatten();
    left.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

#[test]
fn purge_takes_the_sessions_of_every_store_and_leaves_what_is_not_ours() {
    let place = tempfile::tempdir().expect("a place");
    let dir = place.path().join("sessions");
    let blob = Blob::new(Timestamp::NEVER, b"secret".to_vec());
    for kind in [Kind::File, Kind::Dbm, Kind::Memory] {
        for stranger in [None, Some("thesis.txt")] {
            directory::make(&dir, None).expect("a directory");
            let store: Option<Box<dyn Store>> = match kind {
                Kind::File => Some(Box::new(file::FileStore::new(dir.clone()))),
                Kind::Dbm => Some(Box::new(dbm::DbmStore::new(dir.clone()))),
                Kind::Memory => {
                    directory::claim(&dir, kind).expect("a marker");
                    memory::file::FILES.iter().for_each(|name| fs::write(dir.join(name), "secret").expect("a file"));
                    None
                }
            };
            if let Some(store) = store {
                assert!(store.create(&Key([7; 32]), &blob, Durability::Process).expect("a session"));
            }
            assert!(dir.join(MARKER).exists());
            stranger.iter().for_each(|name| fs::write(dir.join(name), "mine").expect("a file"));
            assert_eq!(purged(&dir), stranger.iter().map(ToString::to_string).collect(), "{kind:?}");
            assert_eq!(dir.exists(), stranger.is_some());
            let _ = fs::remove_dir_all(&dir);
        }
    }
}
