//! `SessionStore memory` in a server: what outlives what, who may have it, what happens when it is full.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use mod_session_rs::store::Store;
use support::members::{CONF, all_are_there, members, number};
use support::memory;
use support::process::open_files;
use support::sessions::shift;
use support::{Client, Httpd, Mpm, mpm_tests};

fn server(mpm: Mpm) -> Httpd {
    Httpd::with(mpm).conf(CONF).workers(8).start()
}

/// How often a process has the file open, and how often mapped.
fn uses(process: u32) -> (usize, usize) {
    let is_it = |text: &Path| text.to_string_lossy().contains("sessions.mem");
    let open = open_files(process).filter(|file| is_it(file)).count();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    (open, maps.lines().filter(|line| is_it(Path::new(line))).count())
}

fn all_sessions_outlive_restarts_of_every_kind_and_a_kill_of_all_processes(mpm: Mpm) {
    let mut httpd = server(mpm);
    let mut members = members(&httpd, 40);
    for _ in 0..20 {
        httpd.graceful();
    }
    all_are_there(&mut members);
    for process in httpd.children().into_iter().chain([httpd.pid()]) {
        assert_eq!(uses(process), (1, 1), "descriptors and mappings of process {process}");
    }
    httpd.restart();
    all_are_there(&mut members);
    httpd.stop();
    httpd.start_again();
    all_are_there(&mut members);
    for _ in 0..3 {
        httpd.kill();
        httpd.start_again();
        all_are_there(&mut members);
    }
    let file = httpd.dir().join("sessions.mem");
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.mode() & 0o7777, found.len()), (0o600, 16 << 20));
    assert_eq!(found.uid(), fs::metadata(httpd.dir()).unwrap().uid());
}

fn restarts_under_load_lose_no_acknowledged_change(mpm: Mpm) {
    let httpd = server(mpm);
    let mut members = members(&httpd, 4);
    let (stop, acknowledged, unanswered) = (AtomicBool::new(false), AtomicI64::new(0), AtomicI64::new(0));
    thread::scope(|scope| {
        for client in &members {
            let mut client = client.clone();
            let (stop, acknowledged, unanswered) = (&stop, &acknowledged, &unanswered);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match client.try_request("GET", "/capi?open=create&add=n:1&save", &[], b"") {
                        Ok(response) => {
                            assert_eq!((response.status, response.line("save")), (200, "OK"), "{}", response.text());
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => drop(unanswered.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(100));
            httpd.graceful();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let of = |client: &mut Client| number(client).replace("OK ", "").parse::<i64>().unwrap();
    let stored: i64 = members.iter_mut().map(of).sum::<i64>() - 6; // 0 + 1 + 2 + 3 at the beginning
    let (acknowledged, unanswered) = (acknowledged.into_inner(), unanswered.into_inner());
    assert!(acknowledged > 50, "hardly any load");
    assert!((acknowledged..=acknowledged + unanswered).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
}

mpm_tests!(all_sessions_outlive_restarts_of_every_kind_and_a_kill_of_all_processes, restarts_under_load_lose_no_acknowledged_change,);

#[test]
fn a_second_httpd_on_the_same_directory_does_not_start_and_says_why() {
    let httpd = server(Mpm::Event);
    let mut member = members(&httpd, 1).remove(0);
    let conf = format!("SessionDir {}\nSessionStore memory:16M", httpd.dir().display());
    assert!(Httpd::with(Mpm::Event).conf(&conf).configtest().0, "what is running is no error of the configuration");
    let said = Httpd::with(Mpm::Event).conf(&conf).try_start().err().expect("refused");
    assert!(said.contains("another httpd") && said.contains(&*httpd.dir().to_string_lossy()) && said.contains("of its own"), "{said}");
    // Nor at a restart, where the server goes on with what else it has.
    let mut other = Httpd::with(Mpm::Event).conf("").start();
    other.reconfigure(&conf);
    other.expect_log("another httpd");
    other.expect_log("could not be had at the start");
    other.graceful();
    assert_eq!(other.get("/capi?open=create&set_int=n:1&save").line("save"), "STORE");
    assert_eq!(number(&mut member), "OK 0");
    let (dir, left) = (httpd.dir(), httpd.root().join("left"));
    drop(other);
    // When the first has ended, its place is free.
    let mut httpd = httpd;
    httpd.stop();
    fs::rename(&dir, &left).unwrap();
    fs::rename(&left, &dir).unwrap();
    assert!(Httpd::with(Mpm::Event).conf(&conf).try_start().is_ok());
}

#[test]
fn another_size_takes_effect_at_a_full_restart_and_sessions_are_carried_over() {
    let mut httpd = server(Mpm::Event);
    let mut members = members(&httpd, 30);
    all_are_there(&mut members);
    for (size, bytes) in [("32M", 32 << 20), ("1M", 1 << 20)] {
        let before = fs::metadata(httpd.dir().join("sessions.mem")).unwrap().len();
        httpd.reconfigure(&CONF.replace("16M", size));
        httpd.graceful();
        httpd.wait_for_log(&format!("memory:{size} in {} takes effect at a full restart", httpd.dir().display()));
        all_are_there(&mut members);
        assert_eq!(fs::metadata(httpd.dir().join("sessions.mem")).unwrap().len(), before);
        httpd.stop();
        httpd.start_again();
        let line = httpd.wait_for_log(&format!("has {size} now"));
        assert!(line.contains("30 sessions were carried over, 0 were not"), "{line}");
        all_are_there(&mut members);
        assert_eq!(fs::metadata(httpd.dir().join("sessions.mem")).unwrap().len(), bytes);
        assert_eq!(fs::read_dir(httpd.dir()).unwrap().count(), 2, "the marker and the file");
    }
}

#[test]
fn what_does_not_fit_into_less_is_told_and_who_came_back_is_kept() {
    let conf = |size: &str| format!("SessionDir @DIR@\nSessionStore memory:{size}\nSessionLock access");
    let mut httpd = Httpd::with(Mpm::Event).conf(&conf("16M")).expect_log("for want of room").start();
    let mut members = members(&httpd, 10);
    for client in &mut members {
        assert_eq!(client.get("/conform?fill=a:3000&save").line("save"), "ok");
    }
    let mut keep_alive = httpd.client().keep_alive();
    for _ in 0..400 {
        keep_alive.request("GET", "/conform?fill=a:3000&save", &[("Cookie", "")], b"");
    }
    httpd.reconfigure(&conf("1M"));
    httpd.stop();
    httpd.start_again();
    let line = httpd.wait_for_log("has 1M now");
    assert!(!line.contains("0 were not"), "{line}");
    all_are_there(&mut members);
}

#[test]
fn a_full_store_drops_who_never_came_back_then_refuses_new_sessions_and_serves_the_others() {
    let conf = "SessionDir @DIR@\nSessionStore memory:1M\nSessionLock access";
    let setup = Httpd::with(Mpm::Event).conf(conf).expect_log("never came back were dropped").expect_log("full of sessions in use");
    let httpd = setup.start();
    let mut members = members(&httpd, 40);
    for client in &mut members {
        assert_eq!(client.get("/conform?fill=a:9000&save").line("save"), "ok");
    }
    let mut crawler = httpd.client().keep_alive();
    let mut visit = |size: usize| {
        let path = format!("/conform?fill=a:{size}&save");
        let response = crawler.request("GET", &path, &[("Cookie", "")], b"");
        (response.line("save").to_owned(), response.set_cookies().len())
    };
    for n in 0..800 {
        assert_eq!(visit(1000), ("ok".into(), 1), "visitor {n}");
    }
    let line = httpd.wait_for_log("never came back were dropped");
    assert!(line.contains("SessionStore memory:1M in") && line.contains("larger size"), "{line}");
    assert_eq!(httpd.log_lines_with("were dropped").len(), 1, "once a minute");
    // Those who came back are all that is left room for.
    let mut refused = false;
    for _ in 0..200 {
        let mut client = httpd.client();
        let first = client.get("/conform?fill=a:9000&save");
        if first.line("save") != "ok" {
            assert_eq!((first.status, first.line("save"), first.set_cookies().len()), (200, "!store", 0));
            refused = true;
            break;
        }
        client.get("/conform?fill=a:9001&save");
    }
    assert!(refused, "there is no end to it");
    let line = httpd.wait_for_log("full of sessions in use");
    assert!(line.contains("cannot save a session: SessionStore memory:1M in") && line.contains("larger size"), "{line}");
    for client in &mut members {
        assert_eq!(client.get("/capi?open=create&add=n:100&save").line("save"), "OK");
    }
    for (n, client) in members.iter_mut().enumerate() {
        assert_eq!(number(client), format!("OK {}", n + 100));
    }
}

#[test]
fn expired_sessions_are_cleaned_away() {
    let httpd = Httpd::with(Mpm::Event).conf(CONF).conf("SessionCleanupInterval 1\nSessionTimeout 60").log_level("info").start();
    let mut members = members(&httpd, 20);
    shift(&memory::store(&httpd.dir()), -400);
    httpd.wait_for_log("deleted 20 of 20 sessions");
    assert_eq!(number(&mut members[0]), "NONE");
    let mut left = 0;
    memory::store(&httpd.dir())
        .each(&mut |_, _| {
            left += 1;
            true
        })
        .unwrap();
    assert_eq!(left, 0);
    assert_eq!(httpd.log_lines_with("session event=expired").len(), 20);
}

#[cfg(feature = "tool")]
#[test]
fn htsession_looks_at_a_copy_and_says_what_it_cannot_do() {
    let httpd = server(Mpm::Event);
    members(&httpd, 3);
    let run = |arguments: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_htsession")).arg("--dir").arg(httpd.dir()).args(arguments).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let (listed, text) = run(&["list"]);
    assert!(listed && text.lines().count() == 4, "{text}");
    let reference = &text.lines().nth(1).unwrap()[..12];
    let (shown, text) = run(&["show", reference]);
    assert!(shown && text.contains("int"), "{text}");
    fs::write(httpd.dir().join("sessions.mem.damaged"), "nonsense").unwrap();
    let (verified, text) = run(&["verify"]);
    assert!(verified && text.contains("3 records, 0 damaged") && !text.contains("not of the store"), "{text}");
    assert!(text.contains("put aside: ") && text.contains("sessions.mem.damaged"), "{text}");
    assert_eq!(run(&["locks"]), (true, "no session is held\n".into()));
    for words in [&["kill", reference][..], &["gc"], &["adjust-time", "5"]] {
        let (done, text) = run(words);
        assert!(!done && text.contains("only the server can change its sessions") && text.contains("sessions.mem"), "{words:?}: {text}");
    }
}
