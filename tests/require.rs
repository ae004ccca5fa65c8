//! `Require session`, `session-user` and `session-value`: who gets in, and what that does to the session.

#[path = "require/guarded.rs"]
mod guarded;
mod support;

use std::time::{Duration, Instant};

use guarded::{CONF, asks, with};
use support::members::visitor;
use support::{Client, Httpd, Mpm, Response, Setup, mpm_tests};

fn require(mpm: Mpm, lines: &str) -> Httpd {
    with(mpm, &format!("{CONF}\n<Location /private>\n{lines}\n</Location>")).start()
}

fn only_who_has_a_stored_session_gets_in(mpm: Mpm) {
    let guests = "<Location /guests>\n<RequireAll>\nRequire all granted\nRequire not session\n</RequireAll>\n</Location>";
    let httpd = require(mpm, &format!("Require session\n</Location>\n{guests}\n<Location /private>"));
    let mut forger = httpd.client();
    forger.set_cookie("sid", &"A".repeat(32));
    let mut known = visitor(&httpd, "set_int=n:1");
    let owner = visitor(&httpd, "set_user=ann");
    for (who, client, private, guests) in [
        ("a stranger", &httpd.client(), 403, 200),
        ("a forger", &forger, 403, 200),
        ("a visitor", &known, 200, 403),
        ("an owner", &owner, 200, 403),
    ] {
        assert_eq!((asks(client), client.clone().get("/guests/page.html").status), (private, guests), "{who}");
    }
    assert_eq!(known.clone().get("/private/page.html").text(), "inside");
    httpd.graceful();
    assert_eq!((asks(&httpd.client()), asks(&known)), (403, 200), "after a restart");
    let ended = known.clone();
    known.get("/capi?open=create&invalidate");
    assert_eq!(asks(&ended), 403);
}

fn a_user_is_anybody_or_one_of_those_named(mpm: Mpm) {
    let (anybody, two) = (require(mpm, "Require session-user"), require(mpm, "Require session-user \"ann lee\" bob"));
    for (user, expected) in [("ann+lee", (200, 200)), ("bob", (200, 200)), ("ann", (200, 403)), ("Bob", (200, 403)), ("", (403, 403))] {
        let set = if user.is_empty() { "set_int=n:1".to_owned() } else { format!("set_user={user}") };
        assert_eq!((asks(&visitor(&anybody, &set)), asks(&visitor(&two, &set))), expected, "{user}");
    }
    assert_eq!((asks(&anybody.client()), asks(&two.client())), (403, 403));
}

fn a_value_is_compared_as_notes_show_it(mpm: Mpm) {
    let rows = [
        ("role admin editor", "set_text=role:editor", 200),
        ("role admin editor", "set_text=role:edit", 403),
        ("ROLE admin", "set_text=Role:admin", 200),
        ("role Admin", "set_text=role:admin", 403),
        ("level 3", "set_int=level:3", 200),
        ("ratio 1.5", "set_float=ratio:1.5", 200),
        ("staff 1", "set_bool=staff:1", 200),
        ("staff 0", "set_bool=staff:0", 200),
        ("tags '[1,\"x\"]'", "set_msgpack=tags:9201a178", 200),
        ("motto \"a b\"", "set_text=motto:a+b", 200),
        ("motto a b", "set_text=motto:a+b", 403),
        ("price $1\\n", "set_text=price:$1\\n", 200),
        ("empty ''", "set_text=empty:", 200),
        ("empty ''", "set_text=other:", 403),
        ("role", "set_text=role:any", 200),
        ("role", "set_text=other:any", 403),
        ("nothing", "set_null=nothing", 200),
        ("nothing ''", "set_null=nothing", 403),
        ("realm-pw", "set_text=realm-pw:secret", 200),
        ("realm-pw secret", "set_text=realm-pw:secret", 403),
    ];
    let sections: String = (0..rows.len())
        .map(|i| format!("<Location /v{i}>\nSetHandler hello\nRequire session-value {}\n</Location>\n", rows[i].0))
        .collect();
    let httpd = with(mpm, &format!("{CONF}\n{sections}")).start();
    for (i, (line, operation, status)) in rows.into_iter().enumerate() {
        assert_eq!(visitor(&httpd, operation).get(&format!("/v{i}")).status, status, "{line} with {operation}");
        assert_eq!(httpd.get(&format!("/v{i}")).status, 403, "{line} without a session");
    }
}

/// What an expression yields is one argument, blanks and all; that it is empty does not take it away.
fn arguments_may_be_expressions(mpm: Mpm) {
    let ask = |client: &Client, header: &str| client.clone().get_with("/private/page.html", &[("X-Who", header)]).status;
    let users = require(mpm, "Require session-user %{req:X-Who} carl");
    let ann = visitor(&users, "set_user=ann");
    assert_eq!(["ann", "bob ann", "", "\"ann\""].map(|header| ask(&ann, header)), [200, 403, 403, 403]);
    assert_eq!(ask(&visitor(&users, "set_user=carl"), "ann"), 200);

    let values = require(mpm, "Require session-value \"pre %{req:X-Who}\" x%{SESSION:suffix}");
    let known = visitor(&values, "set_text=pre+k:xyz&set_text=suffix:yz");
    assert_eq!(["k", "l", "k l", ""].map(|header| ask(&known, header)), [200, 403, 403, 403]);

    let roles = require(mpm, "Require session-value role %{req:X-Who}");
    let editor = visitor(&roles, "set_text=role:editor");
    assert_eq!(["editor", "", "admin editor"].map(|header| ask(&editor, header)), [200, 403, 403]);
}

#[test]
fn wrong_lines_are_refused_with_value_and_remedy() {
    let long = "k".repeat(129);
    for (line, parts) in [
        ("Require session on", ["Require session takes no argument, not 'on'", "session-user"]),
        ("Require session-value", ["Require session-value takes a key, and the values", "role admin editor"]),
        ("Require session-value ''", ["Require session-value takes a key, not ''", "1 to 128 bytes"]),
        (&format!("Require session-value {long} x"), ["takes a key, not 'kkk", "1 to 128 bytes"]),
        ("Require session-user ann ''", ["Require session-user takes names", "not ''"]),
        ("Require session-value k %{nothing:x}", ["Require session-value cannot read the expression '%{nothing:x}'", "nothing"]),
        ("Require session-user \"%{SESSION:x\"", ["Require session-user cannot read the expression '%{SESSION:x'", "Unterminated"]),
    ] {
        let (accepted, said) = Httpd::configtest(&format!("<Location /p>\n{line}\n</Location>"));
        assert!(!accepted && said.contains("Syntax error on line") && parts.iter().all(|part| said.contains(part)), "{line}: {said}");
    }
}

fn sections_with_the_stock_stores_are_asked_in_the_same_way(mpm: Mpm) {
    let lines = [
        "session",
        "session-value a 1",
        "session-value a 2",
        "session-value b",
        "session-value x-pw s",
        "session-value x-pw",
        "session-user",
    ];
    let sections: String =
        (0..lines.len()).map(|i| format!("<Location /s{i}>\nSetHandler hello\nRequire {}\n</Location>\n", lines[i])).collect();
    let httpd = with(mpm, &format!("Session On\nSessionCookieName kept path=/\n{sections}")).module("session_cookie").start();
    let mut client = httpd.client();
    let answers = |client: &Client| (0..lines.len()).map(|i| client.clone().get(&format!("/s{i}")).status).collect::<Vec<_>>();
    assert_eq!(answers(&client), [403; 7]);
    client.get("/stock?load&set=a:1&set=x-pw:s");
    assert_eq!(answers(&client), [200, 200, 403, 403, 403, 200, 403]);
}

fn where_sessions_are_off_everybody_is_denied_and_the_log_says_why(mpm: Mpm) {
    let off = "<Location /private>\nSession Off\nRequire session\n</Location>";
    let httpd = with(mpm, &format!("{CONF}\n{off}")).log_level("info session:debug").start();
    assert_eq!(asks(&visitor(&httpd, "set_int=n:1")), 403);
    let lines = httpd.log_lines_with("sessions are off here");
    assert!(lines.len() == 1 && lines[0].contains("[session:debug]") && lines[0].contains("Require session: denied"), "{lines:?}");
}

fn a_line_in_htaccess_or_behind_an_alias_counts_too(mpm: Mpm) {
    let alias =
        "<AuthzProviderAlias session-value admins \"role admin\">\n</AuthzProviderAlias>\n<Location /guests>\nRequire admins\n</Location>";
    let httpd = with(mpm, &format!("{CONF}\n{alias}")).file("htdocs/private/.htaccess", "Require session-value role").start();
    let (admin, guest) = (visitor(&httpd, "set_text=role:admin"), visitor(&httpd, "set_text=role:guest"));
    let guests = |client: &Client| client.clone().get("/guests/page.html").status;
    assert_eq!((asks(&admin), asks(&guest), asks(&httpd.client())), (200, 200, 403));
    assert_eq!((guests(&admin), guests(&guest), guests(&httpd.client())), (200, 403, 403));
}

/// Index files and parts of a page are asked for by sub-requests.
fn sub_requests_are_asked_as_the_pages_themselves_are(mpm: Mpm) {
    let conf = format!(
        "{CONF}\nDirectoryIndex index.html\nAddOutputFilter INCLUDES .shtml\nAddType text/html .shtml\n\
         <Directory @ROOT@/htdocs>\nOptions +Includes\n</Directory>\n<Location /private>\nRequire session-user ann\n</Location>"
    );
    let setup = with(mpm, &conf).module("include").file("htdocs/private/index.html", "the index");
    let httpd =
        setup.file("htdocs/page.shtml", "[<!--#include virtual=\"/private/page.html\" -->]").expect_log("unable to include").start();
    let (ann, bob) = (visitor(&httpd, "set_user=ann"), visitor(&httpd, "set_user=bob"));
    let page = |client: &Client, path: &str| client.clone().get(path);
    assert_eq!((page(&ann, "/private/").text().as_ref(), page(&bob, "/private/").status), ("the index", 403));
    assert_eq!(page(&ann, "/page.shtml").text(), "[inside]");
    assert!(page(&bob, "/page.shtml").text().contains("error occurred"));
}

/// A line that is not met is 403 until somebody else's line asks for a user; then it is what that one makes of it.
fn who_is_denied_is_told_403_unless_a_login_could_help(mpm: Mpm) {
    let httpd = with(
        mpm,
        &format!(
            "{CONF}\n<Location />\nAuthType Basic\nAuthName realm\nAuthBasicProvider file\nAuthUserFile @ROOT@/users\nRequire all granted\n</Location>\n\
             <Location /private>\nRequire session-user ann\n</Location>\n\
             <Location /guests>\nRequire user bob\nRequire session-user ann\n</Location>\n\
             <Location /form>\nAuthType form\nAuthFormProvider file\nAuthFormLoginRequiredLocation /login\nRequire session-user ann\n</Location>\n\
             <Location /form/or>\nSetHandler hello\nRequire valid-user\nRequire session-user ann\n</Location>"
        ),
    );
    let setup = ["auth_basic", "authn_core", "authn_file", "authz_user", "request", "auth_form"].into_iter().fold(httpd, Setup::module);
    let httpd = setup.file("users", "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n").expect_log("AH01629").expect_log("AH01631").start(); // "password"
    let (ann, eve) = (visitor(&httpd, "set_user=ann"), visitor(&httpd, "set_user=eve"));
    let status = |client: &Client, path: &str, login: bool| {
        let headers = [("Authorization", "Basic Ym9iOnBhc3N3b3Jk")];
        client.clone().get_with(path, if login { &headers } else { &[] }).status
    };
    assert_eq!((asks(&ann), asks(&eve), status(&eve, "/private/page.html", true)), (200, 403, 403));
    let guests = |client, login| status(client, "/guests/page.html", login);
    assert_eq!((guests(&ann, false), guests(&eve, false), guests(&eve, true)), (200, 401, 200));
    assert_eq!((status(&eve, "/form", false), status(&eve, "/form/or", false), status(&ann, "/form/or", false)), (403, 302, 200));
    assert_eq!(eve.clone().get("/form/or").header("Location"), Some("/login"));
}

fn plain(response: &Response) -> bool {
    response.set_cookies().is_empty() && response.header("Cache-Control").is_none() && response.header("Vary").is_none()
}

fn who_is_only_asked_is_not_renewed_holds_nothing_and_waits_for_nobody(mpm: Mpm) {
    let httpd =
        with(mpm, &format!("{CONF}\nSessionNotes Off\nSessionTouchInterval 0\n<Location /private>\nRequire session\n</Location>")).start();
    let client = visitor(&httpd, "set_int=n:1");
    let accessed = || client.clone().get("/capi?open=read_only,no_touch&accessed").line("accessed").to_owned();
    let before = accessed();
    std::thread::sleep(Duration::from_millis(20));
    let response = client.clone().get("/private/page.html");
    assert!(response.status == 200 && plain(&response), "{:?}", response.headers);
    assert_eq!(accessed(), before);
    client.clone().get("/capi?open=");
    assert_ne!(accessed(), before, "an open renews");
    assert!(plain(&httpd.get("/private/page.html")));

    let slow = client.clone().begin("/capi?open=create&sleep=1500");
    std::thread::sleep(Duration::from_millis(150));
    let begun = Instant::now();
    assert_eq!(asks(&client), 200);
    assert!(begun.elapsed() < Duration::from_millis(1000), "waited {:?}", begun.elapsed());
    slow.finish();
}

fn what_a_handler_wrote_is_seen_by_the_page_that_it_redirects_to(mpm: Mpm) {
    let lines = "SetHandler capi\nRequire session-value role admin";
    let httpd = with(mpm, &format!("{CONF}\n<Location /target>\n{lines}\n</Location>")).start();
    for (written, ended) in [
        ("/notes?set=session.role:admin", ["/notes?set=session:do:invalidate", "/notes?set=session:do:expire"]),
        ("/capi?open=create&set_text=role:admin", ["/capi?open=create&remove", "/capi?open=create&expire"]),
    ] {
        let mut client = httpd.client();
        let response = client.get(&format!("{written}&internal=/target?open=%26get_text=role"));
        assert_eq!((response.status, response.set_cookies().len()), (200, 1), "{written}");
        assert_eq!(response.line("get_text"), "OK admin");
        for path in ended {
            let client = &mut visitor(&httpd, "set_text=role:admin");
            assert_eq!(
                (client.get("/target?open=").status, client.get(&format!("{path}&internal=/target?open=")).status),
                (200, 403),
                "{path}"
            );
        }
    }
}

/// The session is read before its lease is taken, and then once more.
fn increments_behind_a_require_line_are_all_kept(mpm: Mpm) {
    let httpd = with(mpm, &format!("{CONF}\n<Location /notes>\nRequire session-value n\n</Location>")).start();
    let client = visitor(&httpd, "set_int=n:0");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = client.clone();
                (0..25).for_each(|_| assert_eq!(client.get("/notes?incr=session.n").status, 200));
            });
        }
    });
    assert_eq!(client.clone().get("/capi?open=&get_int=n").line("get_int"), "OK 200");
}

fn a_session_that_somebody_ended_meanwhile_opens_nothing(mpm: Mpm) {
    let section = "<Location /target>\nSetHandler capi\nRequire session\n</Location>";
    let httpd = with(mpm, &format!("{CONF}\nSessionLock access\n{section}")).start();
    let client = visitor(&httpd, "set_int=n:1");
    let slow = client.clone().begin("/capi?open=create&set_int=n:2&sleep=500&save&internal=/target?open=");
    std::thread::sleep(Duration::from_millis(150));
    client.clone().get("/capi?open=create&invalidate");
    assert_eq!(slow.finish().status, 403);
}

mpm_tests!(
    only_who_has_a_stored_session_gets_in,
    a_user_is_anybody_or_one_of_those_named,
    a_value_is_compared_as_notes_show_it,
    arguments_may_be_expressions,
    sections_with_the_stock_stores_are_asked_in_the_same_way,
    where_sessions_are_off_everybody_is_denied_and_the_log_says_why,
    a_line_in_htaccess_or_behind_an_alias_counts_too,
    sub_requests_are_asked_as_the_pages_themselves_are,
    who_is_denied_is_told_403_unless_a_login_could_help,
    who_is_only_asked_is_not_renewed_holds_nothing_and_waits_for_nobody,
    what_a_handler_wrote_is_seen_by_the_page_that_it_redirects_to,
    increments_behind_a_require_line_are_all_kept,
    a_session_that_somebody_ended_meanwhile_opens_nothing,
);
