//! The C interface: every operation, every answer.

mod support;

use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn every_type_survives_the_store(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let big = "x".repeat(60_000);
    let set = client.request(
        "GET",
        &format!(
            "/capi?open=create&set_null=a&set_bool=b:1&set_int=c:-9223372036854775808&set_float=d:-0.1&set_text=e:%C3%A9&set_text=empty:&\
             set_bytes=f:00ff00&set_bytes=nothing:&set_msgpack=g:93010203&set_msgpack=h:82a162c0a16101&set_text=big:{}",
            &big[..7000]
        ),
        &[],
        b"",
    );
    assert!(set.text().lines().all(|line| line.ends_with("OK")), "{}", set.text());
    let get = client.get(
        "/capi?open=&each&len&type_of=a&get_bool=b&get_int=c&get_float=d&get_text=e&get_text=empty&get_bytes=f&get_bytes=nothing&\
         get_msgpack=g&get_msgpack=h&get_msgpack=c&get_text=big",
    );
    assert_eq!(get.line("each"), "OK a=NULL b=BOOL big=TEXT c=INT d=FLOAT e=TEXT empty=TEXT f=BYTES g=LIST h=MAP nothing=BYTES");
    assert_eq!(get.line("len"), "11");
    assert_eq!((get.line("get_bool"), get.line("get_int"), get.line("get_float")), ("OK 1", "OK -9223372036854775808", "OK -0.1"));
    assert_eq!(get.lines("get_text")[0], "OK \u{e9}");
    assert_eq!(get.lines("get_text")[2].len(), 7003);
    assert_eq!(get.lines("get_bytes")[0], "OK 00ff00");
    assert_eq!(get.lines("get_msgpack"), ["OK 93010203", "OK 82a162c0a16101", "OK d38000000000000000"], "in the order of the application");
}

fn wrong_types_keys_and_pointers_are_answered(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let response = httpd.get("/capi?get_int=n&set_int=n:1&save&id&len&unlock&each");
    for op in ["get_int", "set_int", "save", "unlock"] {
        assert_eq!(response.line(op), "NONE", "{op} without a handle");
    }
    assert_eq!((response.line("id"), response.line("len")), ("-", "0"));
    let long = "k".repeat(129);
    let response = httpd.get(&format!(
        "/capi?open=create&set_int=n:1&get_text=n&get_bool=n&get_float=n&get_bytes=n&get_int=missing&add=n:1&set_text=t:x&add=t:1&\
         set_int={long}:1&set_int=:1&set_int=a%0Ab:1&set_int=%FF:1&set_int=N:1&set_text&get_int&set_text=null&set_text=bad:%FF&\
         set_msgpack=m:c1&set_msgpack=m:0101&set_msgpack=m:d40100&unset=missing&unset=N"
    ));
    for op in ["get_text", "get_bool", "get_float", "get_bytes"] {
        assert_eq!(response.line(op), "BAD_TYPE", "{op}");
    }
    assert_eq!(response.lines("get_int"), ["NONE", "BAD_KEY"]);
    assert_eq!(response.lines("add"), ["OK", "BAD_TYPE"]);
    assert_eq!(response.lines("set_int"), ["OK", "BAD_KEY", "BAD_KEY", "BAD_KEY", "BAD_KEY", "BAD_KEY"]);
    assert_eq!(response.lines("set_text"), ["OK", "BAD_KEY", "BAD_TYPE", "BAD_TYPE"]);
    assert_eq!(response.lines("set_msgpack"), ["BAD_TYPE", "BAD_TYPE", "BAD_TYPE"]);
    assert_eq!(response.lines("unset"), ["OK", "BAD_KEY"]);
}

fn open_without_create_answers_none_and_off_where_sessions_are_off(mpm: Mpm) {
    let sections = "<Location /off>\nSetHandler capi\nSession Off\n</Location>\n\
                    <Location /stocked>\nSetHandler capi\nSessionStore stock\n</Location>\nSessionExclude /capi/out";
    let httpd = Httpd::with(mpm).conf(CONF).conf(sections).expect_log("no session modules have been configured").start();
    assert_eq!(httpd.get("/capi?open=").line("open"), "NONE");
    assert_eq!(httpd.get("/capi?open=create").line("open"), "OK");
    for path in ["/off", "/capi/out", "/stocked"] {
        assert_eq!(httpd.get(&format!("{path}?open=create")).line("open"), "OFF", "{path}");
    }
    let none = Httpd::start(mpm, "");
    assert_eq!(none.get("/capi?open=create").line("open"), "OFF", "nothing is on without a store");
}

fn remove_keeps_the_session_usable_under_its_id(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let response = client.get("/capi?open=create&id&remove&get_int=n&set_int=m:2&save&id");
    assert_eq!((response.line("remove"), response.line("get_int"), response.line("save")), ("OK", "OK 1", "OK"));
    let ids = response.lines("id");
    assert_eq!(ids[0], ids[1]);
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK m=INT n=INT");
    client.get("/capi?open=create&remove");
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
    let response = client.get("/capi?open=create&is_new&was_invalidated&id&set_int=n:1");
    assert_eq!((response.line("is_new"), response.line("was_invalidated")), ("1", "1"));
    assert_ne!(response.line("id"), ids[0], "an id the store does not know is never adopted");
}

fn invalidate_gives_a_new_id_and_no_values(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let response = client.get("/capi?open=create&id&is_new&invalidate&is_new&len&id");
    assert_eq!((response.line("invalidate"), response.lines("is_new"), response.line("len")), ("OK", vec!["0", "1"], "0"));
    assert_ne!(response.lines("id")[0], response.lines("id")[1]);
}

fn expire_takes_storage_and_cookie_at_the_next_commit_point(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let response = client.get("/capi?open=create&expire&get_int=n&set_int=n:2");
    assert_eq!((response.line("expire"), response.line("get_int")), ("OK", "OK 1"));
    assert!(response.set_cookies()[0].contains("Max-Age=0"));
    assert_eq!(client.get("/capi?open=").line("open"), "NONE");
}

fn save_revert_and_load_do_what_their_names_say(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionLock access"));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&save&set_int=n:2&clear&revert&get_int=n");
    assert_eq!(response.line("get_int"), "OK 1");
    let slow = client.clone().begin("/capi?open=create&set_int=mine:1&sleep=400&load&get_int=n&get_int=mine");
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.clone().get("/capi?open=create&set_int=n:7");
    assert_eq!(slow.finish().lines("get_int"), ["OK 7", "OK 1"], "what others stored, and our changes on top");
}

fn load_finds_nothing_to_read_where_nothing_is_stored(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&id&load&set_int=n:1&save&load&get_int=n");
    assert_eq!((response.lines("load"), response.line("save"), response.line("get_int")), (vec!["OK", "OK"], "OK", "OK 1"));
    let response = client.get("/capi?open=create&remove&load&set_int=n:2&save");
    assert_eq!((response.line("load"), response.line("save")), ("OK", "OK"));
}

fn a_session_can_be_opened_by_its_id_and_asked_for(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let id = httpd.get("/capi?open=create&set_int=n:1&id").line("id").to_owned();
    let response = httpd.get(&format!(
        "/capi?exists={id}&open_by_id={id}&get_int=n&add=n:1&exists={}&exists=nonsense&open_by_id={}",
        "A".repeat(32),
        "B".repeat(32)
    ));
    assert_eq!(response.lines("exists"), ["OK", "NONE", "NONE"]);
    assert_eq!((response.lines("open_by_id"), response.line("get_int")), (vec!["OK", "NONE"], "OK 1"));
    assert_eq!(response.set_cookies().len(), 0, "cookies have nothing to do with it");
    let response = httpd.get(&format!("/capi?open_by_id={id}&get_int=n"));
    assert_eq!(response.line("get_int"), "OK 2");
}

fn too_large_is_told_at_set_and_the_old_record_survives(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nSessionMaxSize 2K"));
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let response = client.get(&format!("/capi?open=create&set_text=big:{}&set_text=fits:{}&save", "x".repeat(3000), "y".repeat(1500)));
    assert_eq!((response.lines("set_text"), response.line("save")), (vec!["TOO_LARGE", "OK"], "OK"));
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK fits=TEXT n=INT");
    let deep = "91".repeat(40) + "c0";
    assert_eq!(client.get(&format!("/capi?open=create&set_msgpack=deep:{deep}")).line("set_msgpack"), "TOO_LARGE");
}

fn two_requests_that_together_grow_too_large_are_told_at_save(mpm: Mpm) {
    let httpd =
        Httpd::with(mpm).conf(&format!("{CONF}\nSessionLock access\nSessionMaxSize 2K")).expect_log("larger than SessionMaxSize").start();
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    let slow = client.clone().begin(&format!("/capi?open=create&set_text=a:{}&sleep=400&save", "x".repeat(1500)));
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.clone().get(&format!("/capi?open=create&set_text=b:{}", "y".repeat(1500)));
    assert_eq!(slow.finish().line("save"), "TOO_LARGE");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK b=TEXT n=INT");
}

fn facts_and_statuses_are_as_documented(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let response = httpd
        .get("/capi?open=create&cookie_name&user&timeout&http_status=0&http_status=3&http_status=10&http_status=6&http_status=99&ref&id");
    assert_eq!((response.line("cookie_name"), response.line("user"), response.line("timeout")), ("sid", "-", "1800"));
    assert_eq!(response.lines("http_status"), ["0", "503", "503", "413", "500"]);
    assert_eq!((response.line("ref").len(), response.line("id").len()), (12, 32));
}

fn a_visitor_may_use_the_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let response = httpd.get("/capi?open=create&set_text=a:1&set_text=b:2&visitget=a");
    assert!(response.line("visitget").starts_with("OK"), "{}", response.text());
    assert!(!response.line("visitget").contains("BUSY"), "{}", response.text());
}

mpm_tests!(
    every_type_survives_the_store,
    wrong_types_keys_and_pointers_are_answered,
    open_without_create_answers_none_and_off_where_sessions_are_off,
    remove_keeps_the_session_usable_under_its_id,
    invalidate_gives_a_new_id_and_no_values,
    expire_takes_storage_and_cookie_at_the_next_commit_point,
    save_revert_and_load_do_what_their_names_say,
    load_finds_nothing_to_read_where_nothing_is_stored,
    a_session_can_be_opened_by_its_id_and_asked_for,
    too_large_is_told_at_set_and_the_old_record_survives,
    two_requests_that_together_grow_too_large_are_told_at_save,
    facts_and_statuses_are_as_documented,
    a_visitor_may_use_the_session,
);
