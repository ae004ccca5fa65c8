//! What expired is removed beside the requests. That mod_watchdog is missing is not tried here: Debian links it into httpd.
#![cfg(feature = "tool")]

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::sessions::{age, files, put};
use support::{Httpd, Mpm, mpm_tests, wait_for};

/// Expired for longer than any request may outlive its session.
const LONG_AGO: Option<Duration> = Some(Duration::from_secs(3600));

/// The lines on passes that are complete.
fn passes(httpd: &Httpd, dir: &Path) -> Vec<String> {
    httpd.log_lines_with(&format!("cleaned {}: ", dir.display()))
}

/// Waits for passes that began when this was called.
fn after_passes(httpd: &Httpd, dir: &Path, number: usize) -> Vec<String> {
    let before = passes(httpd, dir).len();
    // One may be under way.
    wait_for("passes", || Some(passes(httpd, dir)).filter(|lines| lines.len() > before + number)).split_off(before + 1)
}

fn what_expired_before_the_grace_is_removed_and_nothing_else(mpm: Mpm) {
    let started = Instant::now();
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionTimeout 100\nSessionTouchInterval 0\nSessionCleanupInterval 2");
    let [mut old, mut recent, mut living] = [httpd.client(), httpd.client(), httpd.client()];
    old.get("/capi?open=create&set_int=n:1");
    age(&httpd.dir(), 200);
    recent.get("/capi?open=create&set_int=n:1");
    age(&httpd.dir(), 300); // 400 s beyond its end the one, 200 s the other
    living.get("/capi?open=create&set_int=n:1");
    httpd.wait_for_log("cleaned ");
    assert!(started.elapsed() >= Duration::from_secs(2), "the first pass began {:?} after the start", started.elapsed());
    wait_for("a pass without work", || passes(&httpd, &httpd.dir()).into_iter().find(|line| line.contains("deleted 0 of 2 sessions in ")));
    assert_eq!(passes(&httpd, &httpd.dir()).iter().filter(|line| line.contains("deleted 1 of ")).count(), 1);
    assert_eq!(files(&httpd.dir()).len(), 2);
    assert_eq!(living.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
    for mut ended in [old, recent] {
        assert_eq!(ended.get("/capi?open=create&was_invalidated").line("was_invalidated"), "1");
    }
}

fn opens_start_passes_by_chance_where_that_is_wanted(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionCleanupInterval 0\nSessionCleanupFrequency 10");
    let rare = Httpd::start(mpm, "SessionDir @DIR@\nSessionCleanupInterval 0\nSessionCleanupFrequency 4000000000");
    let (mut client, mut other) = (httpd.client(), rare.client());
    client.get("/capi?open=create&set_int=n:1");
    age(&httpd.dir(), 3600);
    wait_for("a pass that deletes", || {
        assert_eq!((httpd.client().get("/capi?open=create").status, other.get("/capi?open=create").status), (200, 200));
        passes(&httpd, &httpd.dir()).iter().any(|line| line.contains("deleted 1 of 1 sessions")).then_some(())
    });
    assert_eq!(files(&httpd.dir()).len(), 0);
    // At most as many passes as were wanted; those wanted at once are one.
    let (settled, passes_of_rare) = (after_quiet(&httpd), passes(&rare, &rare.dir()).len());
    assert_eq!((passes_of_rare, passes(&httpd, &httpd.dir()).len()), (0, settled), "none without opens");
}

/// The number of passes once no more come.
fn after_quiet(httpd: &Httpd) -> usize {
    let mut seen = usize::MAX;
    wait_for("quiet", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = passes(httpd, &httpd.dir()).len();
        (std::mem::replace(&mut seen, now) == now).then_some(now)
    })
}

fn what_is_not_ours_stays_and_is_told_once_a_pass(mpm: Mpm) {
    let setup = Httpd::with(mpm)
        .conf("SessionDir @DIR@\nSessionCleanupInterval 1")
        .expect_log("what is not of the store is left alone, first: ")
        .expect_log(": 1 damaged records were put aside, first: ");
    put(&setup.dir(), 0..300, |n| LONG_AGO.filter(|_| n > 0));
    let damaged = files(&setup.dir()).into_iter().find(|path| path.parent().unwrap().ends_with("00")).unwrap();
    fs::write(&damaged, "damage").unwrap();
    let foreign = ["11/thesis.txt", "22/notes"].map(|name| setup.dir().join(name));
    foreign.iter().for_each(|path| fs::write(path, "x").unwrap());
    fs::hard_link(&foreign[0], setup.root().join("htdocs/thesis.txt")).unwrap();
    let httpd = setup.start();
    let dir = httpd.dir();
    let counts = || (passes(&httpd, &dir).len(), httpd.log_lines_with("left alone").len());
    wait_for("some passes", || (counts().0 > 2).then_some(()));
    wait_for("a warning for each pass", || Some(counts()).filter(|(passes, warnings)| passes == warnings));
    assert!(httpd.log_lines_with("left alone")[0].contains("11/thesis.txt"));
    assert_eq!(httpd.log_lines_with("were put aside").len(), 1);
    assert!(damaged.with_extension("corrupt").exists() && foreign.iter().all(|path| path.exists()));
    assert_eq!(files(&dir).len(), 4 - 1, "{:?}", files(&dir));
}

fn a_directory_that_vanished_keeps_no_other_from_being_cleaned(mpm: Mpm) {
    let hosts = "SessionCleanupInterval 1\n\
        <VirtualHost *:@PORT@>\nServerName one\nSessionDir @ROOT@/one\n</VirtualHost>\n\
        <VirtualHost *:@PORT@>\nServerName two\nSessionDir @ROOT@/two\n</VirtualHost>\n\
        <VirtualHost *:@PORT@>\nServerName three\nSessionDir @ROOT@/one\n</VirtualHost>";
    let setup = Httpd::with(mpm).conf(hosts).expect_log("cannot clean ");
    let [one, two] = ["one", "two"].map(|name| setup.root().join(name));
    put(&one, 0..10, |_| LONG_AGO);
    put(&two, 0..10, |_| LONG_AGO);
    let httpd = setup.start();
    wait_for("both are clean", || (files(&one).is_empty() && files(&two).is_empty()).then_some(()));
    fs::rename(&one, httpd.root().join("away")).unwrap();
    put(&httpd.root().join("new"), 0..5, |_| LONG_AGO);
    fs::rename(&two, httpd.root().join("old")).unwrap();
    fs::rename(httpd.root().join("new"), &two).unwrap();
    wait_for("two is clean", || files(&two).is_empty().then_some(()));
    let failures = || httpd.log_lines_with(&format!("cannot clean {}: ", one.display()));
    wait_for("the failure is told", || (!failures().is_empty()).then_some(()));
    let (before, told) = (passes(&httpd, &two).len(), failures().len());
    wait_for("more passes", || (passes(&httpd, &two).len() >= before + 3).then_some(()));
    assert!(failures().len() - told <= 4, "more than once a pass");
    fs::rename(httpd.root().join("away"), &one).unwrap();
    after_passes(&httpd, &one, 1);
}

/// A server with a pass under way that takes some seconds.
fn in_a_long_pass(mpm: Mpm) -> Httpd {
    let number = 12_000;
    let setup = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionCleanupInterval 1");
    put(&setup.dir(), 0..number, |_| LONG_AGO);
    let httpd = setup.start();
    wait_for("the pass begins", || (files(&httpd.dir()).len() < number as usize - 500).then_some(()));
    httpd
}

fn a_server_stops_at_once_in_the_middle_of_a_pass(mpm: Mpm) {
    let mut httpd = in_a_long_pass(mpm);
    let started = Instant::now();
    httpd.stop();
    let took = started.elapsed();
    assert!(passes(&httpd, &httpd.dir()).is_empty() && !files(&httpd.dir()).is_empty(), "the pass was over before the stop");
    assert!(took < Duration::from_millis(1500), "it took {took:?}");
}

fn a_pass_that_a_graceful_restart_ends_is_made_up_for(mpm: Mpm) {
    let httpd = in_a_long_pass(mpm);
    for _ in 0..2 {
        httpd.graceful();
        let left = files(&httpd.dir()).len();
        assert!(left > 0, "the pass was over before the restart");
        wait_for("the next generation cleans", || (files(&httpd.dir()).len() < left.saturating_sub(500)).then_some(()));
    }
    // A busy machine may need minutes for all of them, but none for a thousand.
    let mut left = files(&httpd.dir()).len();
    while left > 0 {
        left = wait_for("the cleaning goes on", || Some(files(&httpd.dir()).len()).filter(|&now| now == 0 || now + 1000 < left));
    }
    after_passes(&httpd, &httpd.dir(), 1);
    assert!(!httpd.error_log().contains("exit signal"));
}

fn a_killed_cleaner_is_succeeded_by_another_child(mpm: Mpm) {
    let mut httpd = Httpd::start(mpm, "SessionDir @DIR@\nSessionCleanupInterval 1");
    httpd.expect_log("exit signal Killed");
    let cleaner = || {
        let line = passes(&httpd, &httpd.dir()).pop()?;
        line.split_once("[pid ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i32>().ok()
    };
    let first = wait_for("a pass", cleaner);
    let new = httpd.root().join("new");
    put(&new, 0..5000, |_| LONG_AGO);
    for sub in fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        fs::rename(&sub, httpd.dir().join(sub.file_name().unwrap())).unwrap();
    }
    wait_for("the next pass begins", || (files(&httpd.dir()).len() < 4500).then_some(()));
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    // mod_watchdog waits ten seconds before it has another child go on.
    assert!(!files(&httpd.dir()).is_empty(), "the pass was over before the kill");
    wait_for("another child cleans", || cleaner().filter(|&pid| pid != first));
    wait_for("all is clean", || files(&httpd.dir()).is_empty().then_some(()));
}

fn nothing_is_cleaned_where_nothing_is_to_be_cleaned(mpm: Mpm) {
    for conf in ["SessionDir @DIR@\nSessionCleanupInterval 0", "SessionCleanupInterval 1", "SessionStore stock\nSessionCleanupInterval 1"] {
        let httpd = Httpd::with(mpm).log_level("info watchdog:debug").conf(conf).start();
        assert!(httpd.log_lines_with("session-cleaner").is_empty(), "{conf}");
    }
    let httpd = Httpd::with(mpm).log_level("info watchdog:debug").conf("SessionDir @DIR@").start();
    httpd.wait_for_log("session-cleaner");
}

mpm_tests!(
    opens_start_passes_by_chance_where_that_is_wanted,
    what_is_not_ours_stays_and_is_told_once_a_pass,
    a_directory_that_vanished_keeps_no_other_from_being_cleaned,
    a_pass_that_a_graceful_restart_ends_is_made_up_for,
    a_killed_cleaner_is_succeeded_by_another_child,
    nothing_is_cleaned_where_nothing_is_to_be_cleaned,
);
mpm_tests!(
    by_the_clock:
    what_expired_before_the_grace_is_removed_and_nothing_else,
    a_server_stops_at_once_in_the_middle_of_a_pass,
);
