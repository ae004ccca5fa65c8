//! Sealed values: who steals the store reads none of them.

mod support;

use std::fs;
use std::process::Command;

use support::sessions::files;
use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@\nSessionEncrypt On";

fn stored(httpd: &Httpd) -> Vec<u8> {
    files(&httpd.dir()).iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn sealed_values_come_back_through_every_door_and_no_file_shows_them(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=creditcard:4111-1111&set_int=n:1");
    client.get("/capi?open=create&add=n:1");
    client.get("/notes?set=session.street:Baker-Street");
    client.get("/capi?open=create&set_user=ann&regenerate=0");
    assert_eq!(
        client.get("/notes?get=session.creditcard&get=session.n&get=session.street").lines("get"),
        ["4111-1111", "2", "Baker-Street"]
    );
    assert_eq!(client.get("/stock?get=creditcard").line("get"), "0 4111-1111");
    let bytes = stored(&httpd);
    for secret in ["4111-1111", "creditcard", "Baker", "street", client.cookie("sid").unwrap()] {
        assert!(!shows(&bytes, secret), "{secret} can be read");
    }
}

fn times_size_and_owner_stay_readable_for_the_tool(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=k:secret-thing&set_user=ann");
    let reference = client.get("/capi?open=&ref").line("ref").to_owned();
    let tool = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_htsession")).arg("--dir").arg(httpd.dir()).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = tool(&["show", &reference]);
    assert!(shown.contains("ann") && shown.contains("sealed") && !shown.contains("secret-thing"), "{shown}");
    assert!(tool(&["-f", "json", "show", &reference]).contains("\"values\": null"));
    assert!(tool(&["list"]).contains("sealed"));
    tool(&["adjust-time", "-60"]);
    assert_eq!(client.get("/capi?open=&get_text=k").line("get_text"), "OK secret-thing", "its times were shifted, its values not touched");
    assert!(tool(&["kill-user", "ann"]).contains("killed 1 session"));
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn sessions_live_on_when_sealing_is_switched_on_and_off(mpm: Mpm) {
    let mut httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=k:open-secret");
    assert!(shows(&stored(&httpd), "open-secret"));
    for (conf, readable) in [(CONF, false), ("SessionDir @DIR@", true)] {
        httpd.reconfigure(conf);
        httpd.restart();
        // Both slots of the file are written anew.
        for _ in 0..2 {
            assert_eq!(client.get("/capi?open=create&get_text=k&add=n:1").line("get_text"), "OK open-secret");
        }
        assert_eq!(shows(&stored(&httpd), "open-secret"), readable);
    }
}

fn a_seal_that_is_broken_is_damage(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).expect_log("is damaged").start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_text=k:v");
    // Under the right name, with a right checksum, but not sealed by who has the id: somebody who can write the store made it.
    support::sessions::reseal(&httpd.dir());
    let response = client.get("/capi?open=create&is_new&was_invalidated");
    assert_eq!((response.line("is_new"), response.line("was_invalidated")), ("1", "1"));
    assert!(httpd.wait_for_log("is damaged").contains("seal"));
}

mpm_tests!(
    sealed_values_come_back_through_every_door_and_no_file_shows_them,
    times_size_and_owner_stay_readable_for_the_tool,
    sessions_live_on_when_sealing_is_switched_on_and_off,
    a_seal_that_is_broken_is_damage,
);
