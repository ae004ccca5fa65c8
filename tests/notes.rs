//! Request notes: what handlers in any language see of a session, and how they change it.

mod support;

use support::{Client, Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

/// The notes of a request, without the count.
fn all(client: &mut Client) -> Vec<String> {
    client.get("/notes?all").text().lines().filter(|line| !line.starts_with("all:")).map(str::to_owned).collect()
}

fn note(client: &mut Client, name: &str) -> String {
    client.get(&format!("/notes?get={name}")).line("get").to_owned()
}

fn facts_are_published_before_the_handler(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionTimeout 10min"));
    let mut client = httpd.client();
    let names: Vec<_> = all(&mut client).iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["session:new", "session:invalidated", "session:created", "session:accessed", "session:timeout"]);
    let created = client.get("/capi?open=create&set_int=n:1&ref&save&created");
    assert_eq!(note(&mut client, "session:new"), "0");
    assert_eq!(note(&mut client, "session:timeout"), "600");
    assert_eq!(note(&mut client, "session:ref"), created.line("ref"));
    let (noted, told): (u64, u64) = (note(&mut client, "session:created").parse().unwrap(), created.line("created").parse().unwrap());
    assert!(noted.abs_diff(told) < 5_000_000, "microseconds since the epoch");
    assert!(!all(&mut client).iter().any(|line| line.contains(client.cookie("sid").unwrap())), "the id is no note");
    let stale = httpd.client().get_with("/notes?get=session:invalidated", &[("Cookie", &format!("sid={}", "A".repeat(32)))]);
    assert_eq!(stale.line("get"), "1");
}

fn values_of_every_type_have_their_plain_form(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    // a list [1, "x"] and a map {"k": true} in MessagePack
    client.get("/capi?open=create&set_text=text:a+b&set_int=int:-5&set_float=float:1.5&set_bool=yes:1&set_bool=no:0&set_null=nothing&set_bytes=bytes:ff41&set_msgpack=list:9201a178&set_msgpack=map:81a16bc3&set_text=realm-pw:secret");
    let mut shown: Vec<_> = all(&mut client).into_iter().filter(|line| line.starts_with("session.")).collect();
    shown.sort();
    let bytes = shown.iter().position(|line| line.starts_with("session.bytes=")).unwrap();
    shown.remove(bytes);
    assert_eq!(
        shown,
        [
            "session.float=1.5",
            "session.int=-5",
            "session.list=[1,\"x\"]",
            "session.map={\"k\":true}",
            "session.no=0",
            "session.text=a b",
            "session.yes=1"
        ]
    );
}

fn a_written_value_keeps_its_type_if_it_fits(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1&set_int=m:1&set_bool=b:1&set_msgpack=list:9101&set_bytes=raw:ff");
    client.get("/notes?set=session.n:42&set=session.m:many&set=session.b:0&set=session.list:[2,3]&set=session.raw:x&set=session.new:7");
    let response = client.get("/capi?open=&type_of=n&type_of=m&type_of=b&type_of=list&type_of=raw&type_of=new&get_int=n&get_msgpack=list");
    assert_eq!(response.lines("type_of"), ["OK INT", "OK TEXT", "OK BOOL", "OK LIST", "OK BYTES", "OK TEXT"]);
    assert_eq!((response.line("get_int"), response.line("get_msgpack")), ("OK 42", "OK 920203"));
}

fn what_is_not_utf8_is_kept_as_bytes(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/notes?set=session.raw:%FF%FE");
    assert_eq!(client.get("/capi?open=&get_bytes=raw").line("get_bytes"), "OK fffe");
}

fn a_value_is_removed_by_unsetting_its_note_or_by_name(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=a:1&set_int=b:2&set_int=c:3&set_text=d-pw:x&set_int=e+f:5&set_int=keep:6");
    client.get("/notes?unset=session.a");
    client.get("/notes?set=session:unset:b,C+d-pw");
    client.get("/notes?set=session:unset:e+f");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK keep=INT");
}

fn an_untouched_note_never_changes_a_value(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1&set_text=x-pw:secret&set_null=nothing");
    let slow = client.clone().begin("/notes?sleep=500&set=session.other:1");
    std::thread::sleep(std::time::Duration::from_millis(150));
    client.clone().get("/capi?open=create&set_int=n:2");
    slow.finish();
    let response = client.get("/capi?open=&get_int=n&get_text=other&get_text=x-pw&type_of=nothing");
    assert_eq!((response.line("get_int"), response.line("type_of")), ("OK 2", "OK NULL"));
    assert_eq!(response.lines("get_text"), ["OK 1", "OK secret"]);
}

fn a_key_in_another_case_means_the_existing_one(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=Cart:1");
    client.get("/notes?set=session.cart:2");
    assert_eq!(
        client.get("/capi?open=&each&get_int=Cart&set_int=cart:3").text().lines().skip(1).collect::<Vec<_>>(),
        ["each: OK Cart=INT", "get_int: OK 2", "set_int: BAD_KEY"]
    );
    assert_eq!(client.get("/capi?open=create&set_int=cart:3").line("set_int"), "BAD_KEY");
}

fn words_in_session_do_are_carried_out_in_order(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let fresh = || {
        let mut client = httpd.client();
        client.get("/capi?open=create&set_int=n:1");
        client
    };
    let mut client = fresh();
    let response = client.get("/notes?set=session:do:invalidate");
    assert!(response.set_cookies()[0].contains("Max-Age=0"));
    assert_eq!(client.cookie("sid"), None);

    let mut client = fresh();
    let old = client.cookie("sid").unwrap().to_owned();
    client.get("/notes?set=session:do:invalidate&set=session.user:ann");
    assert_ne!(client.cookie("sid"), Some(&*old), "what is written beside invalidate belongs to a new session");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK user=TEXT");

    let mut client = fresh();
    let response = client.get("/notes?set=session:do:expire&set=session.n:5");
    assert!(response.set_cookies()[0].contains("Max-Age=0"));

    let mut client = fresh();
    client.get("/notes?set=session:do:revert&set=session.n:5");
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");

    let mut client = fresh();
    assert_eq!(client.get("/notes?set=session:do:delete").set_cookies().len(), 0);
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn an_unknown_word_is_warned_about(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf(CONF).expect_log("session:do knows").start();
    httpd.get("/notes?set=session:do:dance");
    assert!(httpd.wait_for_log("session:do knows").contains("'dance'"));
}

fn files_proxies_and_switched_off_sections_get_no_notes(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf(&format!("{CONF}\n<Location /quiet>\nSetHandler notesapi\nSessionNotes Off\n</Location>\n<Location /off>\nSetHandler notesapi\nSession Off\n</Location>"))
        .conf("LogFormat \"%U new=%{session:new}n\" seen\nCustomLog @ROOT@/access.log seen")
        .file("htdocs/page.html", "<p>hello")
        .file("htdocs/picture.png", "not really")
        .start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    for path in ["/quiet?all", "/off?all"] {
        assert_eq!(client.get(path).text(), "all: 0\n", "{path}");
    }
    for path in ["/page.html", "/picture.png", "/notes"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    // Whichever thread is first writes first.
    let log = support::wait_for("the access log", || {
        let log = std::fs::read_to_string(httpd.root().join("access.log")).ok()?;
        ["/page.html ", "/picture.png ", "/notes "].iter().all(|path| log.contains(path)).then_some(log)
    });
    assert!(log.contains("/page.html new=-") && log.contains("/picture.png new=-") && log.contains("/notes new=0"), "{log}");
}

fn a_lua_handler_keeps_its_data(mpm: Mpm) {
    let script = "function handle(r)\n\
                  r.notes['session.n'] = tostring((tonumber(r.notes['session.n']) or 0) + 1)\n\
                  r:puts(r.notes['session.n'])\nreturn apache2.OK\nend\n";
    let httpd = Httpd::with(mpm)
        .module("lua")
        .conf(&format!("{CONF}\nLuaMapHandler /count @ROOT@/count.lua handle"))
        .file("count.lua", script)
        .start();
    let mut client = httpd.client();
    for n in 1..=5 {
        assert_eq!(client.get("/count").text(), n.to_string());
    }
}

mpm_tests!(
    facts_are_published_before_the_handler,
    values_of_every_type_have_their_plain_form,
    a_written_value_keeps_its_type_if_it_fits,
    what_is_not_utf8_is_kept_as_bytes,
    a_value_is_removed_by_unsetting_its_note_or_by_name,
    an_untouched_note_never_changes_a_value,
    a_key_in_another_case_means_the_existing_one,
    words_in_session_do_are_carried_out_in_order,
    an_unknown_word_is_warned_about,
    files_proxies_and_switched_off_sections_get_no_notes,
    a_lua_handler_keeps_its_data,
);
