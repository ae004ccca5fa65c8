//! The programs of docs/ancestors.md: what was written for an ancestor, in our form, and a store of one's own.

mod support;

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mod_session_rs::repository::{Repository, Terms, now};
use mod_session_rs::session::{Id, Scope, Value};
use mod_session_rs::store::file::FileStore;
use support::{Httpd, Mpm, mpm_tests};

fn last(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or("")
}

fn a_store_of_ones_own_keeps_sessions_through_the_stock_hooks(mpm: Mpm) {
    let section =
        "<Location /own>\nSetHandler stockapi\nSession On\nSessionStore stock\nSessionMaxAge 600\nOwnStoreDir @ROOT@/own\n</Location>";
    let setup = Httpd::with(mpm).of_ours("ownstore").conf("SessionDir @DIR@").conf(section);
    let own = setup.root().join("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, PermissionsExt::from_mode(0o777)).unwrap(); // for whatever user the children run as
    let mut httpd = setup.start();
    let (mut client, mut other) = (httpd.client(), httpd.client());
    assert_eq!(client.get("/own?load&set=a:1%262&set=b:x").set_cookies().len(), 1);
    other.get("/own?load&set=a:theirs");
    let file = own.join(client.cookie("own").unwrap());
    assert!(fs::read_to_string(&file).unwrap().contains("a=1%262&b=x"), "httpd encodes");

    httpd.stop();
    httpd.start_again();
    let response = client.get("/own?load&get=a&unset=b&set=c:3");
    assert_eq!((last(response.line("get")), response.set_cookies().len()), ("1&2", 0));
    assert_eq!(client.get("/own?load&get=b&get=c").lines("get"), ["0 -", "0 3"]);
    assert_eq!(last(other.get("/own?load&get=a").line("get")), "theirs");

    for id in ["00112233-4455-6677-8899-aabbccddeeff", "../../../../../etc/passwd", "own"] {
        let mut stranger = httpd.client();
        stranger.set_cookie("own", id);
        stranger.get("/own?load&set=a:1");
        assert_ne!(stranger.cookie("own"), Some(id), "adopted");
    }
    fs::write(&file, "a=old&expiry=1000000").unwrap();
    assert_eq!(client.get("/own?load&get=a").line("get"), "0 -", "SessionMaxAge");

    client.get("/capi?open=create&set_int=n:1");
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1", "ours goes on beside it");
}

fn a_greeting_through_notes_as_a_myghty_component_did_it(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .module("lua")
        .conf("SessionDir @DIR@\nSessionLock access\nLuaMapHandler /greeting @ROOT@/greeting.lua handle")
        .file("greeting.lua", include_str!("lua/greeting.lua"))
        .start();
    let mut client = httpd.client();
    assert_eq!(client.get("/greeting").text(), "hello stranger\n");
    let mut ids = Vec::new();
    for user in ["ann", "ben"] {
        assert_eq!(client.get(&format!("/greeting?user={user}")).text(), format!("hello {user}\n"));
        assert_eq!(client.get("/greeting").text(), format!("hello {user}\n"));
        ids.push(client.cookie("sid").unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    client.set_cookie("sid", &ids[0]);
    assert_eq!(client.get("/greeting").text(), "hello stranger\n");
}

fn a_log_in_and_out_in_c_as_a_webstack_resource_did_it(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .of_ours("resource")
        .conf("SessionDir @DIR@\n<Location /page>\nSetHandler resource\nSessionNotes Off\n</Location>")
        .start();
    let mut client = httpd.client();
    let response = client.get("/page");
    assert_eq!((&*response.text(), response.set_cookies().len()), ("hello stranger\n", 0));
    for path in ["/page/login?ann", "/page", "/page/logout"] {
        assert_eq!(client.get(path).text(), "hello ann\n", "{path}");
    }
    assert_eq!(client.cookie("sid"), None);
    assert_eq!(client.get("/page").text(), "hello stranger\n");
}

/// A visit that a program counts beside the server.
fn visits(dir: PathBuf, id: &Id) -> Result<Option<Value>, Box<dyn Error>> {
    let store = FileStore::new(dir); // SessionDir
    let terms = Terms::new(Scope { name: "localhost".into(), cookie: "sid".into() }); // SessionScope, SessionIdCookie
    let sessions = Repository { store: &store, terms: &terms };
    let mut session = sessions.open(id, now())?.unwrap_or_else(|| sessions.blank(now()));
    session.add("visits", 1)?;
    sessions.save(&mut session, now())?;
    Ok(session.values().get("visits").cloned())
}

fn a_program_outside_of_httpd_works_with_the_sessions_of_the_server(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionCleanupInterval 0");
    let mut client = httpd.client();
    let id = client.get("/capi?open=create&set_int=visits:1&id").line("id").to_owned();
    let id = Id::parse(id.as_bytes()).expect("an id");
    assert_eq!(visits(httpd.dir(), &id).unwrap(), Some(Value::Int(2)));
    assert_eq!(client.get("/capi?open=create&add=visits:1&get_int=visits").line("get_int"), "OK 3");
    client.get("/capi?open=create&invalidate");
    assert_eq!(visits(httpd.dir(), &id).unwrap(), Some(Value::Int(1)), "an ended one is none");
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

/// Lines without their indentation.
fn plain(text: &str) -> String {
    text.lines().map(|line| line.trim().to_owned() + "\n").collect()
}

/// The examples of the document are taken from files that these tests run.
#[test]
fn the_examples_of_the_document_are_those_that_are_tested() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let files = ["tests/ancestors.rs", "tests/c/mod_ownstore.c", "tests/c/mod_resource.c", "tests/lua/greeting.lua"];
    let files: Vec<_> = files.map(|path| plain(&read(path))).into();
    let document = read("docs/ancestors.md");
    let blocks = document.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let ours: Vec<_> = blocks.filter(|(language, _)| ["c", "lua", "rust"].contains(language)).map(|(_, text)| text).collect();
    assert_eq!(ours.len(), 4);
    for text in ours {
        assert!(files.iter().any(|file| file.contains(&plain(text))), "not what is tested:\n{text}");
    }
}

mpm_tests!(
    a_store_of_ones_own_keeps_sessions_through_the_stock_hooks,
    a_greeting_through_notes_as_a_myghty_component_did_it,
    a_log_in_and_out_in_c_as_a_webstack_resource_did_it,
    a_program_outside_of_httpd_works_with_the_sessions_of_the_server,
);
