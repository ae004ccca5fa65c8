//! Sessions in a database: what is told at the start, several servers, databases that go and come back.

mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mod_session_rs::store::dbd::sql::{Engine, schema};
use support::sql::{Database, SqlServer};
use support::syncs::Syncs;
use support::{Client, Httpd, Mpm, Setup, wait_for};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];

/// A server with a table of its own.
fn setup(engine: Engine) -> Setup {
    let setup = Httpd::with(Mpm::Event);
    let database = Database::new(engine, setup.root());
    setup.database(database)
}

fn add(client: &mut Client) -> String {
    client.get("/conform?add=n:1&save").line("add").to_owned()
}

#[test]
fn a_start_without_what_the_database_needs_is_refused_with_the_remedy() {
    for engine in ENGINES {
        let whole = setup(engine);
        let place = Database::new(engine, &whole.root().join("htdocs"));
        place.sql(&format!("DROP TABLE {}", place.table()));
        for (conf, module, says) in [
            ("SessionStore dbd".to_owned(), "env", ["SessionStore dbd needs mod_dbd", "LoadModule dbd_module"]),
            ("SessionStore dbd".into(), "dbd", ["SessionStore dbd needs a database", "DBDriver"]),
            (place.conf(), "dbd", ["the table", &format!("htsession init-sql {}", engine.driver())]),
        ] {
            let refused = |said: &str| assert!(says.iter().all(|part| said.contains(part)), "{engine:?}, {conf}: {said}");
            let broken = || Httpd::with(Mpm::Event).module(module).conf(&conf);
            let (accepted, said) = broken().configtest();
            assert!(!accepted, "{conf}");
            refused(&said);
            refused(&broken().try_start().err().expect("it was to be refused"));
        }
        place.sql(&schema(engine, &mod_session_rs::store::dbd::sql::Table::parse(&place.table()).unwrap()));
        assert_eq!(add(&mut Httpd::with(Mpm::Event).database(place).start().client()), "1");
        drop(whole);
    }
    let (accepted, said) =
        Httpd::with(Mpm::Event).module("dbd").conf("DBDriver sqlite3\nDBDParams /nowhere/s.db\nSessionStore dbd").configtest();
    assert!(!accepted && said.contains("no file /nowhere/s.db") && !std::path::Path::new("/nowhere").exists(), "{said}");
    let (accepted, said) = Httpd::configtest("SessionStore dbd:Robert'--");
    assert!(!accepted && said.contains("'robert'--'") && said.contains("SessionStore"), "{said}");
}

#[test]
fn a_start_with_a_table_that_may_be_read_only_is_refused_with_the_remedy() {
    for engine in ENGINES {
        let setup = Httpd::with(Mpm::Event).module("dbd");
        let database = Database::new(engine, setup.root());
        let (table, mut conf) = (database.table(), database.conf());
        let who = format!("reader_{table}");
        let file = setup.root().join("db/sessions.db");
        let mode = |mode| std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let remedy = match engine {
            Engine::Sqlite => {
                mode(0o444);
                "belong to the User"
            }
            Engine::Postgres => {
                database.sql(&format!("CREATE ROLE {who} LOGIN; GRANT SELECT ON {table} TO {who}"));
                conf = conf.replace("\"\n", &format!(" user={who}\"\n"));
                "GRANT SELECT, INSERT"
            }
            Engine::Mysql => {
                database.sql(&format!("CREATE USER {who}@localhost; GRANT SELECT ON {table} TO {who}@localhost"));
                conf = conf.replace("user=root", &format!("user={who}"));
                "init-sql mysql" // it judges statements before they are carried out
            }
        };
        let setup = setup.conf(&conf);
        let (accepted, said) = setup.configtest();
        assert!(!accepted && said.contains("SessionStore dbd: the table") && said.contains(remedy), "{engine:?}: {said}");
        if engine == Engine::Sqlite {
            mode(0o600);
        }
        assert_eq!(database.count(), 0, "{engine:?}: what was written to see is there no more");
    }
}

#[test]
fn a_database_that_is_away_at_the_start_is_told_and_used_when_it_is_there() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let server = Arc::new(SqlServer::start(engine, &[]));
        let database = Database::on(&server);
        server.stop();
        let setup = Httpd::with(Mpm::Event).expect_log("cannot be used now").expect_log("[dbd:").expect_log("cannot load a session");
        let httpd = setup.expect_log("cannot save a session").database(database).start();
        let mut client = httpd.client();
        assert_eq!(client.get("/conform?set=a:1&save").line("save"), "!store");
        let said = std::fs::read_to_string(httpd.root().join("output.log")).unwrap();
        assert_eq!(said.matches("SessionStore dbd: the database").count(), 1, "{said}");
        server.start_again();
        wait_for("the store", || (client.get("/conform?set=a:1&save").line("save") == "ok").then_some(()));
    }
}

#[test]
fn a_table_that_is_dropped_at_a_restart_is_told_and_one_made_again_is_used_again() {
    for engine in ENGINES {
        let httpd = setup(engine).expect_log("cannot").start();
        let database = httpd.database().unwrap();
        let mut client = httpd.client();
        assert_eq!(add(&mut client), "1");
        database.sql(&format!("DROP TABLE {}", database.table()));
        assert_eq!(client.get("/conform?look").line("look"), "!store", "{engine:?}");
        assert!(httpd.wait_for_log("cannot load a session").contains("SessionStore dbd"));
        httpd.graceful();
        assert!(httpd.wait_for_log("sessions there fail until that is mended").contains("htsession init-sql"), "{engine:?}");
        wait_for("new children", || (client.get("/conform?look").line("look") == "!store").then_some(()));
        assert!(httpd.log_lines_with("cannot load a session").iter().any(|line| line.contains("init-sql")), "{engine:?}");
        let table = mod_session_rs::store::dbd::sql::Table::parse(&database.table()).unwrap();
        database.sql(&schema(engine, &table));
        assert_eq!(client.get("/conform?look").line("look"), "0", "{engine:?}: it is there, and empty");
        assert_eq!((add(&mut client), add(&mut client)), ("1".into(), "2".into()));
    }
}

#[test]
fn a_virtual_host_with_a_database_of_its_own_uses_it() {
    let setup = Httpd::with(Mpm::Event);
    let [main, own] = ["main", "own"].map(|name| {
        let root = setup.root().join(name);
        std::fs::create_dir(&root).unwrap();
        Database::new(Engine::Sqlite, &root)
    });
    let hosts = format!(
        "SessionCleanupInterval 1\n<VirtualHost *:@PORT@>\nServerName one\nSessionScope all\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName two\nSessionScope all\n{}</VirtualHost>",
        own.driver()
    );
    let httpd = setup.database(main.clone()).conf(&hosts).start();
    let mut client = httpd.client();
    let mut ask = |host: &str| client.get_with("/conform?add=n:1&save", &[("Host", host)]).line("add").to_owned();
    assert_eq!((ask("one"), ask("one"), main.count(), own.count()), ("1".into(), "2".into(), 1, 0));
    assert_eq!((ask("two"), ask("two"), main.count(), own.count()), ("1".into(), "2".into(), 1, 1), "the id is not known there");
    for database in [&main, &own] {
        database.sql("UPDATE sessions SET expires = 5");
        wait_for("the cleaner", || (database.count() == 0).then_some(()));
    }
    let lines = httpd.log_lines_with("cleaned dbd:sessions: deleted 1 of 1");
    assert_eq!(lines.len(), 2, "each database is cleaned, and that of two hosts once: {lines:#?}");
}

#[test]
fn the_cleaner_removes_what_expired_and_a_damaged_record_is_put_aside() {
    for engine in ENGINES {
        let setup = setup(engine).conf("SessionCleanupInterval 1").expect_log("is damaged").expect_log("left alone");
        let httpd = setup.start();
        let database = httpd.database().unwrap();
        let [mut old, mut new, mut damaged] = [(), (), ()].map(|()| httpd.client());
        for client in [&mut old, &mut new, &mut damaged] {
            assert_eq!(add(client), "1");
        }
        let table = database.table();
        let key = |client: &mut Client| {
            let reference = client.get("/capi?open=&ref").line("ref").replace("OK ", "");
            assert_eq!(reference.len(), 12);
            format!("k LIKE '{reference}%' AND k NOT LIKE '%corrupt'")
        };
        let damage = if engine == Engine::Postgres { r"'\001damage'" } else { "X'0164616d616765'" };
        database.sql(&format!("INSERT INTO {table} (k, ver, expires, data) VALUES ('thesis', 1, 1, '')"));
        database.sql(&format!("UPDATE {table} SET ver = ver / 2 + 1, data = {damage} WHERE {}", key(&mut damaged)));
        database.sql(&format!("UPDATE {table} SET ver = ver / 2 + 1, expires = 5 WHERE {}", key(&mut old)));
        wait_for("the record to go", || (database.count() == 3).then_some(()));
        assert_eq!(damaged.get("/conform?look").line("look"), "0");
        assert_eq!(database.sql(&format!("SELECT COUNT(*) FROM {table} WHERE k LIKE '%.corrupt'")).trim(), "1");
        assert_eq!((add(&mut new), add(&mut damaged), add(&mut old)), ("2".into(), "1".into(), "1".into()));
        assert_eq!(database.count(), 5, "three sessions, damage and thesis");
        let line = httpd.wait_for_log("cleaned dbd:");
        assert!(line.contains(&format!("cleaned dbd:{table}: deleted")), "{line}");
        assert!(httpd.wait_for_log("left alone").contains("thesis"));
    }
}

/// `DBDMax 1`: while a request waits for its session, or a handler works, nobody has the connection.
#[test]
fn who_waits_for_a_session_has_no_connection() {
    for persist in ["On", "Off"] {
        let conf = format!("DBDMin 1\nDBDKeep 1\nDBDMax 1\nDBDPersist {persist}");
        let httpd = setup(Engine::Postgres).conf(&conf).workers(16).start();
        let (mut busy, mut stranger) = (httpd.client(), httpd.client());
        assert_eq!((add(&mut busy), add(&mut stranger)), ("1".into(), "1".into()));
        let holder = busy.clone().begin("/conform?add=n:1&sleep=3000");
        thread::sleep(Duration::from_millis(300));
        let waiting: Vec<_> = (0..3).map(|_| busy.clone().begin("/conform?add=n:1")).collect();
        thread::sleep(Duration::from_millis(300));
        let started = Instant::now();
        assert_eq!(add(&mut stranger), "2");
        assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
        holder.finish();
        waiting.into_iter().for_each(|one| drop(one.finish()));
        assert_eq!(add(&mut busy), "6");
    }
}

#[test]
fn two_servers_that_share_a_database_lose_no_addition_and_no_key() {
    let first = setup(Engine::Postgres).workers(16).start();
    let second = Httpd::with(Mpm::Event).workers(16).database(first.database().unwrap().clone()).start();
    assert_eq!(first.log_lines_with("SessionLock request holds among the requests of this server").len(), 1);
    let mut client = first.client();
    client.get("/conform?set=start:1");
    let at = |httpd: &Httpd, client: &Client| {
        let mut other = httpd.client();
        client.cookies().iter().for_each(|(name, value)| other.set_cookie(name, value));
        other
    };
    let clients: Vec<_> = (0..8).map(|n| at(if n % 2 == 0 { &first } else { &second }, &client)).collect();
    thread::scope(|scope| {
        for (n, mut client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                for i in 0..200 {
                    let response = client.get(&format!("/conform?add=n:1&set=key{n}:{i}&save"));
                    assert_eq!((response.status, response.line("save")), (200, "ok"), "{}", response.text());
                }
            });
        }
    });
    let all = at(&second, &client).get("/conform?all").line("all").to_owned();
    let expected: Vec<_> = (0..8).map(|n| format!("key{n}=199")).chain(["n=1600".into(), "start=1".into()]).collect();
    assert_eq!(all, expected.join(" "));
    assert_eq!(client.get("/conform?destroy&save").line("save"), "ok");
    assert_eq!(at(&second, &client).get("/conform?look").line("look"), "0", "a log-out on one is seen on the other");
}

#[cfg(feature = "tool")]
fn htsession(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_htsession")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[cfg(feature = "tool")]
#[test]
fn init_sql_prints_what_makes_the_table_and_does_no_harm_again() {
    for engine in ENGINES {
        let setup = setup(engine);
        let httpd = setup.start();
        let database = httpd.database().unwrap();
        let mut client = httpd.client();
        assert_eq!(add(&mut client), "1");
        let (code, sql, _) = htsession(&["init-sql", engine.driver(), &database.table()]);
        assert_eq!(code, Some(0));
        database.sql(&sql);
        assert_eq!(add(&mut client), "2");
        database.sql(&format!("DROP TABLE {}", database.table()));
        database.sql(&sql);
        assert_eq!((add(&mut client), database.count()), ("1".into(), 1));
    }
    assert!(htsession(&["init-sql", "pgsql"]).1.contains("CREATE TABLE IF NOT EXISTS sessions ("));
    assert_eq!(htsession(&["init-sql", "oracle"]).0, Some(2));
    assert_eq!(htsession(&["init-sql", "pgsql", "a b"]).0, Some(2));
}

/// What others do on the connection waits as they want it to.
#[test]
fn a_change_in_sqlite_waits_for_the_disk_where_session_sync_is_on_and_else_does_not() {
    for (sync, pragma, waits) in [("On", "FULL", true), ("On", "NORMAL", true), ("Off", "FULL", false), ("Off", "NORMAL", false)] {
        let setup = Httpd::with(Mpm::Event);
        let syncs = Syncs::counted_in(setup.root());
        let database = Database::new(Engine::Sqlite, setup.root());
        let lines = format!("DBDInitSQL \"PRAGMA synchronous = {pragma}\"\nSessionSync {sync}\nSessionCleanupInterval 0");
        let conf =
            database.conf().lines().filter(|line| !line.starts_with("DBDInitSQL")).map(|line| format!("{line}\n")).collect::<String>();
        let mut setup = setup.module("dbd").conf(&conf).conf(&lines);
        for (name, value) in syncs.environment() {
            setup = setup.env(name, value);
        }
        let httpd = setup.start();
        let mut client = httpd.client();
        for n in 1..=3 {
            assert_eq!(add(&mut client), n.to_string());
        }
        let before = syncs.number();
        for n in 4..=23 {
            assert_eq!(add(&mut client), n.to_string());
        }
        let counted = syncs.number() - before;
        assert!(if waits { counted >= 20 } else { counted == 0 }, "SessionSync {sync}, {pragma}: {counted} of 20");
    }
}

#[cfg(feature = "tool")]
#[test]
fn the_tool_says_which_sql_does_what_it_cannot() {
    let httpd = setup(Engine::Sqlite).start();
    let database = httpd.database().unwrap();
    let mut client = httpd.client();
    assert_eq!(add(&mut client), "1");
    for command in [&["list"][..], &["show", "0123456789ab"], &["kill", "0123456789ab"], &["kill-user", "ann"], &["gc"], &["verify"]] {
        let (code, out, said) = htsession(&[&["--store", &database.store()], command].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{command:?}");
        assert!(said.starts_with("htsession: --store dbd:sessions: the database can be reached"), "{said}");
        if command == ["kill", "0123456789ab"] {
            let reference = client.get("/capi?open=&ref").line("ref").replace("OK ", "");
            let sql = |head: &str| said.lines().find_map(|line| line.trim().strip_prefix(head)).unwrap().trim().to_owned();
            assert!(database.sql(&sql("list")).starts_with(&reference));
            database.sql(&sql("kill REF").replace("REF", &reference));
            assert_eq!(client.get("/conform?look").line("look"), "0");
        }
    }
    assert_eq!(htsession(&["--store", "cupboard", "list"]).0, Some(2));
}
