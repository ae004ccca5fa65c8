//! What becomes of sessions is told: in the error log, and to modules that ask for it.

mod support;

use support::sessions::age;
use support::{Httpd, Mpm, mpm_tests, wait_for};

/// The events that were told, in the log and to the hook of the C handlers: name and reference.
fn told(httpd: &Httpd) -> Vec<(String, String)> {
    let event = |line: String, mark: &str| {
        let rest = line.split(mark).nth(1).unwrap();
        let name = rest.split(' ').next().unwrap().to_owned();
        let reference = rest.split("ref=").nth(1).unwrap().chars().take(12).collect();
        (name, reference)
    };
    let log = |mark: &str| httpd.log_lines_with(mark).into_iter().map(|line| event(line, mark)).collect::<Vec<_>>();
    let (lines, hook) = (log("session event="), log("hook event="));
    assert_eq!(lines, hook, "the hook and the log tell the same");
    lines
}

fn each_event_is_told_once_in_the_log_and_to_the_hook(mpm: Mpm) {
    let conf = "SessionDir @DIR@\nSessionNotes Off\nSessionCleanupInterval 1\nSessionIdGrace 0";
    let httpd = Httpd::with(mpm).conf(conf).log_level("debug").start();
    let (mut client, mut expected) = (httpd.client(), Vec::new());
    let mut happens = |name: &str, reference: &str| expected.push((name.to_owned(), reference.to_owned()));

    httpd.get("/capi?open=create&get_int=n"); // who only looks is no event
    let first = client.get("/capi?open=create&set_int=n:1&ref&set_user=ann").line("ref").to_owned();
    happens("created", &first);
    client.get("/capi?open=create&add=n:1"); // a change is none
    age(&httpd.dir(), 60);
    client.get("/capi?open=");
    happens("renewed", &first);
    let mut old = client.clone();
    let second = client.get("/capi?open=create&regenerate=1&ref").line("ref").to_owned();
    happens("renewed", &second);
    old.get("/capi?open=");
    happens("superseded", &first);
    client.get("/capi?open=create&invalidate&set_int=n:2");
    happens("destroyed", &second);
    let third = client.get("/capi?open=&ref").line("ref").to_owned();
    happens("created", &third);
    client.get("/capi?open=create&unset=n");
    happens("destroyed", &third);
    let fourth = client.get("/capi?open=create&set_int=n:3&ref").line("ref").to_owned();
    happens("created", &fourth);
    age(&httpd.dir(), 3600);
    client.get("/capi?open="); // it has ended, which the cleaner tells
    happens("expired", &fourth);
    wait_for("the cleaner", || (!httpd.log_lines_with("event=expired").is_empty()).then_some(()));
    wait_for("the hook", || (!httpd.log_lines_with("hook event=expired").is_empty()).then_some(()));
    assert_eq!(told(&httpd), expected);
    let lines = httpd.log_lines_with("session event=");
    assert!(lines[0].ends_with(&format!("session event=created ref={first} was=- user=\"ann\"")), "{}", lines[0]);
    assert!(lines[2].ends_with(&format!("session event=renewed ref={second} was={first} user=\"ann\"")), "{}", lines[2]);
    let log = httpd.error_log();
    for client in [&client, &old] {
        assert!(client.cookie("sid").is_none_or(|id| !log.contains(id)), "the log shows an id");
    }
}

mpm_tests!(each_event_is_told_once_in_the_log_and_to_the_hook);
