//! The Rust interface for other modules, from one that uses it in a real httpd.

mod support;

use std::{fs, thread};

use support::{Client, Httpd, Mpm, Setup, apxs, crates, mpm_tests, wait_for};

fn with(mpm: Mpm) -> Setup {
    let handlers = "<Location /rust>\nSetHandler rustapi\n</Location>\n<Location /cart>\nSetHandler rustcart\n</Location>";
    Httpd::with(mpm).conf(&apxs::load_line("rustapi", crates::rustapi())).conf(handlers).conf("SessionDir @DIR@")
}

/// Text as it may stand in a query string.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

/// A handler at `until=` goes on when its file is there.
fn until(httpd: &Httpd, file: &str) -> String {
    format!("until={}", encoded(&httpd.root().join(file).to_string_lossy()))
}

fn go_on(httpd: &Httpd, file: &str) {
    fs::write(httpd.root().join(file), "").expect("a file");
}

/// Until a handler has stored this key, which says how far it got.
fn wait_for_key(client: &Client, key: &str) {
    let page = format!("/capi?open=no_lock,no_touch&type_of={key}");
    wait_for(key, || (client.clone().get(&page).line("type_of") == "OK INT").then_some(()));
}

fn a_struct_comes_back_in_another_request(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    assert_eq!(client.get("/cart").text(), r#"{"items":[],"voucher":null,"prices":{}}"#);
    client.get("/cart?tea");
    client.get("/cart?caf%C3%A9");
    let cart = r#"{"items":[{"name":"tea","number":3},{"name":"café","number":5}],"voucher":null,"#.to_owned()
        + r#""prices":{"café":{"EUR":0.5},"tea":{"EUR":0.5}}}"#;
    assert_eq!(client.get("/cart").text(), cart);
    assert_eq!(client.get("/rust?find&type_of=cart&get=cart").line("type_of"), r#"OK "Map""#, "a map with names, for all languages");
}

fn the_interface_is_found_again_after_a_restart(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    for n in 1..=3 {
        assert_eq!(client.get("/rust?open&add=n:1&get_int=n").line("get_int"), format!("OK {n}"));
        if n == 1 { httpd.graceful() } else { httpd.restart() }
    }
}

fn rust_and_c_read_what_the_other_wrote(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    let list = encoded("[1,\"x\",null]");
    client.get(&format!(
        "/rust?open&set=text:%22caf%C3%A9%22&set=int:-5&set=float:0.5&set=yes:true&set=nil:null&set_bytes=raw:ab&set=list:{list}"
    ));
    let c = client.get(
        "/capi?open=&get_text=text&get_int=int&get_float=float&get_bool=yes&type_of=nil&get_bytes=raw&get_msgpack=list&\
         set_text=c_text:from%20C&set_int=c_int:9223372036854775807&set_bytes=c_raw:6869&set_msgpack=c_map:82a16101a16293c0c3cb3fe0000000000000",
    );
    assert_eq!((c.line("get_text"), c.line("get_int"), c.line("get_float")), ("OK caf\u{e9}", "OK -5", "OK 0.5"));
    assert_eq!((c.line("get_bool"), c.line("type_of"), c.line("get_bytes")), ("OK 1", "OK NULL", "OK 6162"));
    assert_eq!(c.line("get_msgpack"), "OK 9301a178c0");
    let rust = client.get("/rust?find&get_text=c_text&get_int=c_int&get_bytes=c_raw&get=c_map&get=nil&get=missing&keys&len");
    assert_eq!((rust.line("get_text"), rust.line("get_int")), (r#"OK "from C""#, "OK 9223372036854775807"));
    assert_eq!((rust.line("get_bytes"), rust.lines("get")), (r#"OK "hi""#, vec![r#"OK {"a":1,"b":[null,true,0.5]}"#, "OK null", "none"]));
    let keys = r#"OK ["c_int=Int","c_map=Map","c_raw=Bytes","c_text=Text","float=Float","int=Int","list=List","nil=Null","raw=Bytes","text=Text","yes=Bool"]"#;
    assert_eq!((rust.line("keys"), rust.line("len")), (keys, "11 false"));
}

fn additions_of_8_clients_through_rust_are_exact(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionLock access").start();
    let mut client = httpd.client();
    client.get("/rust?open&add=hits:1");
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut client = client.clone().keep_alive();
            scope.spawn(move || (0..100).for_each(|_| assert_eq!(client.get("/rust?open&add=hits:1").line("add"), "OK")));
        }
    });
    assert_eq!(client.get("/rust?find&get_int=hits").line("get_int"), "OK 801");
}

fn what_does_not_work_has_its_error(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionMaxSize 2K\n<Location /rust/off>\nSession Off\n</Location>").expect_log("headers have gone").start();
    let mut client = httpd.client();
    let big = encoded(&format!("\"{}\"", "x".repeat(3000)));
    let response = client.get(&format!(
        "/rust?open&set=big:{big}&set_deep=deep:40&set=u64:18446744073709551615&set=fine:1&set=Fine:1&set=:1&set=a%0ab:1&set=a%E2%90%80b:1&\
         get_text=fine&add=fine:1&set=text:%22x%22&add=text:1&get_int=text&get_int=fine&set_timeout=0.9&set_timeout=5e8&set_user=a%E2%90%80b"
    ));
    let refused = ["TooLarge", "BadType", "OK", "BadKey", "BadKey", "BadKey", "BadKey", "OK"];
    assert_eq!(response.lines("set"), refused);
    assert_eq!((response.line("set_deep"), response.lines("add")), ("TooLarge", vec!["OK", "BadType"]));
    assert_eq!((response.line("get_text"), response.lines("get_int")), ("BadType", vec!["BadType", "OK 2"]));
    assert_eq!(response.lines("set_timeout"), ["BadType", "BadType"]);
    assert_eq!(response.line("set_user"), "BadType", "a NUL");
    for page in ["open", "find", "exists=x", "open_by_id=x"] {
        assert_eq!(httpd.get(&format!("/rust/off?{page}")).line(page.split('=').next().unwrap()), "Off", "{page}");
    }
    let response = client.get("/rust?find=read_only&set=x:1&get_int=fine&save&delete&touch&open&set=x:1");
    assert_eq!((response.lines("set"), response.line("get_int")), (vec!["Off", "OK"], "OK 2"));
    assert_eq!((response.line("save"), response.line("delete"), response.line("touch")), ("Off", "Off", "OK"));
    let response = httpd.get("/rust?open&flush&set=x:1&save");
    assert_eq!(response.line("save"), "TooLate", "{}", response.text());
}

fn a_session_that_was_ended_meanwhile_is_gone(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionLock access").start();
    let mut client = httpd.client();
    client.get("/rust?open&set=n:1");
    let slow = client.clone().begin(&format!("/rust?find&set=here:1&save&{}&set=n:3&save&load", until(&httpd, "go")));
    wait_for_key(&client, "here");
    assert_eq!(client.clone().get("/rust?find&invalidate").line("invalidate"), "OK");
    go_on(&httpd, "go");
    let response = slow.finish();
    assert_eq!((response.lines("save"), response.line("load")), (vec!["OK", "Gone"], "Gone"));
}

fn sessions_are_ended_in_each_way(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    client.get("/rust?open&set=n:1");
    let response = client.get("/rust?find&id&delete&get_int=n&set=m:2&save&id");
    assert_eq!((response.line("delete"), response.line("get_int"), response.line("save")), ("OK", "OK 1", "OK"));
    assert_eq!(response.lines("id")[0], response.lines("id")[1]);
    let response = client.get("/rust?find&id&is_new&invalidate&is_new&len&set=k:1&id");
    assert_eq!((response.lines("is_new"), response.line("len")), (vec!["false", "true"], "0 true"));
    assert_ne!(response.lines("id")[0], response.lines("id")[1]);
    let response = client.get("/rust?find&get_int=k&get_int=m&expire&get_int=k");
    assert_eq!((response.lines("get_int"), response.line("expire")), (vec!["OK 1", "none", "OK 1"], "OK"));
    assert_eq!(client.get("/rust?find").line("find"), "none");
    assert_eq!(httpd.get("/rust?open&set=n:1&clear&len").line("len"), "0 true");
}

fn save_revert_load_and_unset_do_what_their_names_say(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionLock access").start();
    let mut client = httpd.client();
    let response = client.get("/rust?open&set=n:1&set=m:1&save&set=n:2&unset=m&revert&get_int=n&get_int=m&unset=m&unset=never");
    assert_eq!((response.lines("get_int"), response.lines("unset")), (vec!["OK 1", "OK 1"], vec!["OK", "OK", "OK"]));
    let slow = client
        .clone()
        .begin(&format!("/rust?find&set=here:1&save&set=mine:1&{}&load&get_int=n&get_int=mine&get_int=m", until(&httpd, "go")));
    wait_for_key(&client, "here");
    client.clone().get("/rust?find&set=n:7");
    go_on(&httpd, "go");
    assert_eq!(slow.finish().lines("get_int"), ["OK 7", "OK 1", "none"], "what others stored, and our changes on top");
}

fn a_session_is_found_by_its_id(mpm: Mpm) {
    let httpd = with(mpm).start();
    let id = httpd.get("/rust?open&set=n:1&id").line("id").to_owned();
    let response = httpd.get(&format!(
        "/rust?exists={id}&exists=nonsense&exists=a%E2%90%80b&open_by_id={id}:no_touch&add=n:1&open_by_id=nonsense&\
         open_by_id=a%E2%90%80b"
    ));
    assert_eq!(response.lines("exists"), ["OK true", "OK false", "OK false"]);
    assert_eq!((response.lines("open_by_id"), response.set_cookies().len()), (vec!["OK", "none", "none"], 0));
    assert_eq!(httpd.get(&format!("/rust?open_by_id={id}:read_only&get_int=n&add=n:1")).line("get_int"), "OK 2");
}

fn locks_keep_others_off_until_they_are_given_up(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionNotes Off").start();
    let mut client = httpd.client();
    client.get("/rust?open&set=n:0");
    let slow = client.clone().begin(&format!(
        "/rust?open=no_lock&try_lock&set=held:1&save&set=n:5&{}&unlock&{}&get_int=n",
        until(&httpd, "unlock"),
        until(&httpd, "end")
    ));
    wait_for_key(&client, "held");
    let response = client.clone().get("/rust?find=no_lock&try_lock&lock_for=10");
    assert_eq!((response.line("try_lock"), response.line("lock_for")), ("Busy", "Busy"));
    let waits = client.clone().begin("/rust?find=no_lock&get_int=n&set=waits:1&save&lock&get_int=n&add=n:1&unlock&locked=n&get_int=n");
    wait_for_key(&client, "waits");
    go_on(&httpd, "unlock");
    let response = waits.finish();
    assert_eq!((response.line("lock"), response.line("unlock"), response.line("locked")), ("OK", "OK", "OK"));
    assert_eq!(response.lines("get_int"), ["OK 0", "OK 5", "OK 7"], "a lock reads what the store holds by then");
    go_on(&httpd, "end");
    let slow = slow.finish();
    assert_eq!((slow.line("try_lock"), slow.line("unlock"), slow.line("get_int")), ("OK", "OK", "OK 5"));
    let response = client.get("/rust?open&locked_fails=n");
    assert_eq!(response.line("locked_fails"), "BadKey");
    assert_eq!(client.get("/rust?find&try_lock&get_int=n").line("get_int"), "OK 8", "given up, and stored");
    let none = with(mpm).conf("SessionLock none").start().get("/rust?open&lock&unlock&locked=n&get_int=n");
    assert_eq!((none.line("lock"), none.line("unlock"), none.line("locked"), none.line("get_int")), ("Off", "Off", "Off", "none"));
}

fn an_error_of_a_handler_is_a_status_of_http(mpm: Mpm) {
    let httpd = with(mpm).conf("SessionNotes Off\nSessionLockTimeout 0\nSessionMaxSize 1K").expect_log("not granted").start();
    let mut client = httpd.client();
    client.get("/cart?tea");
    assert_eq!(client.get(&format!("/cart?{}", "x".repeat(1500))).status, 413);
    let slow = client.clone().begin(&format!("/rust?open&set=held:1&save&{}", until(&httpd, "go")));
    wait_for_key(&client, "held");
    assert_eq!(client.clone().get("/cart").status, 503);
    go_on(&httpd, "go");
    slow.finish();
    assert_eq!(client.get("/cart").status, 200);
}

fn facts_are_those_of_the_c_interface(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    let first = client.get("/rust?open&is_new&was_invalidated&user&created&accessed&timeout&set=n:1&set_timeout=77.5&timeout&reference");
    assert_eq!((first.line("is_new"), first.line("was_invalidated"), first.line("user")), ("true", "false", "none"));
    assert_eq!((first.lines("timeout"), first.line("created")), (vec!["1800", "77"], first.line("accessed")));
    let facts = "id&cookie_name&created&accessed&timeout";
    let (rust, c) =
        (client.get(&format!("/rust?find=no_touch&reference&{facts}")), client.get(&format!("/capi?open=no_touch&ref&{facts}")));
    for fact in facts.split('&') {
        assert_eq!(rust.line(fact), c.line(fact), "{fact}");
    }
    assert_eq!((rust.line("reference"), rust.line("timeout")), (c.line("ref"), "77"));
    assert_eq!(rust.line("reference"), first.line("reference"));
    client.set_cookie("sid", &"A".repeat(32));
    let stale = client.get("/rust?open&is_new&was_invalidated");
    assert_eq!((stale.line("is_new"), stale.line("was_invalidated")), ("true", "true"));
}

fn regenerate_keeps_the_values_and_changes_the_id(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    client.get("/rust?open&set=n:1");
    for (privilege, old_id_leads_to) in [("unchanged", "OK"), ("changed", "none")] {
        let mut late = client.clone();
        let before = client.cookie("sid").unwrap().to_owned();
        let response = client.get(&format!("/rust?open&id&regenerate={privilege}&id&add=n:1"));
        assert_eq!(response.line("regenerate"), "OK", "{privilege}");
        assert_eq!(response.lines("id")[0], before);
        assert_eq!(Some(response.lines("id")[1]), client.cookie("sid"));
        assert_ne!(response.lines("id")[1], before);
        assert_eq!(late.get("/rust?find").line("find"), old_id_leads_to, "{privilege}");
    }
    let response = client.get("/rust?find&is_new&get_int=n");
    assert_eq!((response.line("is_new"), response.line("get_int")), ("false", "OK 3"));
}

fn an_owner_is_kept_and_to_change_it_changes_the_id(mpm: Mpm) {
    let httpd = with(mpm).start();
    let mut client = httpd.client();
    client.get("/rust?open&set=n:1");
    let response = client.get("/rust?open&id&set_user=ann&user&id&set_user=ann&id");
    assert_eq!((response.lines("set_user"), response.line("user")), (vec!["OK", "OK"], "ann"));
    let ids = response.lines("id");
    assert!(ids[0] != ids[1] && ids[1] == ids[2], "{ids:?}");
    assert_eq!(client.cookie("sid"), Some(ids[1]));
    let response = client.get("/rust?find&user&get_int=n&set_user=&user");
    assert_eq!((response.lines("user"), response.line("get_int")), (vec!["ann", "none"], "OK 1"));
    assert_eq!(client.get("/rust?find&user").line("user"), "none");
}

mpm_tests!(
    a_struct_comes_back_in_another_request,
    the_interface_is_found_again_after_a_restart,
    rust_and_c_read_what_the_other_wrote,
    additions_of_8_clients_through_rust_are_exact,
    what_does_not_work_has_its_error,
    a_session_that_was_ended_meanwhile_is_gone,
    sessions_are_ended_in_each_way,
    save_revert_load_and_unset_do_what_their_names_say,
    a_session_is_found_by_its_id,
    locks_keep_others_off_until_they_are_given_up,
    an_error_of_a_handler_is_a_status_of_http,
    facts_are_those_of_the_c_interface,
    regenerate_keeps_the_values_and_changes_the_id,
    an_owner_is_kept_and_to_change_it_changes_the_id,
);
