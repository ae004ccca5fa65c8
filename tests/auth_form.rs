//! mod_auth_form on our store: who logs in, and what the session from before is worth then.

mod support;

use std::thread;

use support::{Client, Httpd, Mpm, Response, Setup, mpm_tests};

const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

/// The users are ann, ben and cid, whose password is "password".
fn site(mpm: Mpm, more: &str) -> Setup {
    let users: String = ["ann", "ben", "cid"].map(|name| format!("{name}:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")).concat();
    let modules = ["request", "authn_core", "authn_file", "authz_user", "auth_form"];
    let setup = modules.into_iter().fold(Httpd::with(mpm).workers(32), Setup::module);
    setup
        .file("users", &users)
        .file("htdocs/private/page.html", "for members")
        .file("htdocs/login.html", "log in")
        .conf(
            "SessionDir @DIR@\nSessionLockWaiters 20\n\
             <LocationMatch ^/(private|notes/private|env)>\nAuthFormProvider file\nAuthUserFile @ROOT@/users\nAuthType form\nAuthName realm\n\
             AuthFormLoginRequiredLocation /login.html\nRequire valid-user\n</LocationMatch>\n\
             <Location /dologin>\nSetHandler form-login-handler\nAuthFormProvider file\nAuthUserFile @ROOT@/users\nAuthType form\nAuthName realm\n\
             AuthFormLoginRequiredLocation /login.html\nAuthFormLoginSuccessLocation /private/page.html\nRequire all granted\n</Location>\n\
             <Location /logout>\nSetHandler form-logout-handler\nAuthType form\nAuthName realm\nAuthFormProvider file\n\
             AuthFormLogoutLocation /login.html\nRequire all granted\n</Location>",
        )
        .conf(more)
        .expect_log("AH01617")
}

fn log_in(client: &mut Client, name: &str, password: &str) -> Response {
    client.request("POST", "/dologin", &FORM, format!("httpd_username={name}&httpd_password={password}").as_bytes())
}

fn is_member(client: &mut Client) -> bool {
    client.get("/private/page.html").text() == "for members"
}

fn a_login_is_kept_in_our_store_until_the_log_out(mpm: Mpm) {
    let httpd = site(mpm, "").expect_log("password Mismatch").start();
    let mut client = httpd.client();
    let response = client.get("/private/page.html");
    assert_eq!((response.status, response.header("Location")), (302, Some("/login.html")));
    let response = log_in(&mut client, "ann", "wrong");
    assert_eq!((response.status, response.header("Location"), response.set_cookies().len()), (302, Some("/login.html"), 0));
    assert!(!is_member(&mut client));
    let response = log_in(&mut client, "ann", "password");
    assert_eq!((response.status, response.header("Location"), response.set_cookies().len()), (302, Some("/private/page.html"), 1));
    assert!(is_member(&mut client));
    let response = client.get("/capi?open=&user&get_text=realm-user");
    assert_eq!((response.line("user"), response.line("get_text")), ("ann", "OK ann"));
    let response = client.get("/logout");
    assert_eq!((response.status, response.header("Location"), client.cookie("sid")), (307, Some("/login.html"), None));
    assert!(!is_member(&mut client));
    assert_eq!(support::sessions::files(&httpd.dir()).len(), 0);
}

fn the_id_from_before_the_login_never_sees_it(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    let mut client = httpd.client();
    client.get("/notes?set=session.cart:full");
    let mut before = client.clone();
    assert_eq!(log_in(&mut client, "ann", "password").set_cookies().len(), 1);
    assert_ne!(client.cookie("sid"), before.cookie("sid"));
    let response = client.get("/capi?open=&get_text=cart&user");
    assert_eq!((response.line("get_text"), response.line("user")), ("OK full", "ann"), "what was there goes on");
    assert!(is_member(&mut client) && !is_member(&mut before));
    assert_eq!(before.get("/capi?open=").line("open"), "NONE");
    // Each login is one, by whomever.
    let mut ann = client.clone();
    log_in(&mut client, "ann", "password");
    assert!(is_member(&mut client) && !is_member(&mut ann));
    let mut ann = client.clone();
    log_in(&mut client, "ben", "password");
    assert!(is_member(&mut client) && !is_member(&mut ann));
    let mut ben = client.clone();
    client.get("/logout");
    assert_eq!(client.get("/capi?open=&get_text=cart&user").line("user"), "-", "the cart stays");
    assert_eq!(client.get("/notes?get=session.cart").line("get"), "full");
    assert!(!is_member(&mut ben));
}

/// A thief has the cookie; the password is changed; the owner logs in again with the new one.
fn a_new_password_locks_out_whoever_has_the_old_cookie(mpm: Mpm) {
    let httpd = site(mpm, "").expect_log("password Mismatch").start();
    let mut ann = httpd.client();
    log_in(&mut ann, "ann", "password");
    let mut thief = ann.clone();
    std::fs::write(httpd.root().join("users"), "ann:{SHA}C+7Hteo/D9vJXQ3UfzxbwnXaijM=\n").unwrap(); // "foo"
    assert!(!is_member(&mut ann) && !is_member(&mut thief));
    log_in(&mut ann, "ann", "foo");
    assert!(is_member(&mut ann) && !is_member(&mut thief));
}

/// The handlers for log-in and log-out look at AuthName only.
fn a_login_handler_without_authtype_changes_the_id_as_well(mpm: Mpm) {
    let without = "<Location /login2>\nSetHandler form-login-handler\nAuthFormProvider file\nAuthUserFile @ROOT@/users\nAuthName realm\n\
                   AuthFormLoginRequiredLocation /login.html\nAuthFormLoginSuccessLocation /private/page.html\n</Location>\n\
                   <Location /logout2>\nSetHandler form-logout-handler\nAuthName realm\n</Location>";
    let httpd = site(mpm, without).start();
    let mut client = httpd.client();
    client.get("/notes?set=session.cart:full");
    let mut before = client.clone();
    client.request("POST", "/login2", &FORM, b"httpd_username=ann&httpd_password=password");
    assert!(is_member(&mut client) && !is_member(&mut before));
    assert_eq!(client.get("/capi?open=&user").line("user"), "ann");
    let mut ann = client.clone();
    client.get("/logout2");
    assert!(!is_member(&mut client) && !is_member(&mut ann));
    assert_eq!(client.get("/capi?open=&user&get_text=cart").text(), "open: OK\nuser: -\nget_text: OK full\n");
}

/// No new file can be made, for want of inodes, say; what is there can be written.
fn a_login_whose_change_of_the_id_fails_is_not_stored(mpm: Mpm) {
    let httpd = site(mpm, "").expect_log("cannot move").expect_log("is not stored").start();
    let mut client = httpd.client();
    client.get("/notes?set=session.cart:full");
    let mut before = client.clone();
    let set_mode = |mode| {
        let subs = std::fs::read_dir(httpd.dir()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        for sub in subs.chain([httpd.dir()]) {
            std::fs::set_permissions(sub, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    set_mode(0o500);
    let response = log_in(&mut client, "ann", "password");
    set_mode(0o700);
    assert!(response.set_cookies().is_empty());
    assert!(!is_member(&mut client) && !is_member(&mut before));
    let kept = before.get("/capi?open=&each&user");
    assert_eq!((kept.line("each"), kept.line("user")), ("OK cart=TEXT", "-"));
}

fn an_authname_that_is_no_key_logs_nobody_in_and_says_so(mpm: Mpm) {
    let long = "r".repeat(130);
    let conf = format!("<LocationMatch ^/(private|dologin)>\nAuthName {long}\n</LocationMatch>");
    let httpd = site(mpm, &conf).expect_log("is not stored").start();
    let mut client = httpd.client();
    log_in(&mut client, "ann", "password");
    assert!(!is_member(&mut client));
    assert_eq!(client.get("/capi?open=create&user").line("user"), "-");
    assert!(!httpd.log_lines_with("is not stored").is_empty());
}

fn logins_on_a_static_page_at_once_are_all_logins(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    for _ in 0..5 {
        let mut visitor = httpd.client();
        visitor.get("/notes?set=session.cart:full");
        let clients: Vec<_> = (0..8).map(|_| visitor.clone()).collect();
        thread::scope(|scope| {
            for mut client in clients {
                scope.spawn(move || {
                    let form = b"httpd_username=ann&httpd_password=password";
                    assert!(client.request("POST", "/private/page.html", &FORM, form).status < 400);
                    assert!(is_member(&mut client));
                });
            }
        });
        assert!(!is_member(&mut visitor));
    }
}

/// Without notes nothing is read back before the handler.
fn what_the_handler_does_after_a_login_on_its_page_counts(mpm: Mpm) {
    for more in ["SessionNotes Off", "SessionNotes On"] {
        let httpd = site(mpm, &format!("{more}\n<Location /notes/private>\nSetHandler capi\n</Location>")).start();
        let mut client = httpd.client();
        client.request("POST", "/notes/private?open=create&user&invalidate", &FORM, b"httpd_username=ann&httpd_password=password");
        assert!(!is_member(&mut client), "{more}");
        client.request("POST", "/notes/private?open=create&set_user=account-17", &FORM, b"httpd_username=ann&httpd_password=password");
        assert_eq!(client.get("/capi?open=&user").line("user"), "account-17", "{more}");
    }
}

fn a_store_that_fails_asks_nobody_to_log_in(mpm: Mpm) {
    let httpd = site(mpm, "").expect_log("cannot load").expect_log("is missing").start();
    let mut client = httpd.client();
    log_in(&mut client, "ann", "password");
    let away = httpd.root().join("away");
    std::fs::rename(httpd.dir(), &away).unwrap();
    assert_eq!(client.get("/private/page.html").status, 503);
    assert_eq!(log_in(&mut client, "ann", "password").status, 503);
    std::fs::rename(&away, httpd.dir()).unwrap();
    assert!(is_member(&mut client));
}

fn a_form_on_the_page_itself_logs_in_as_well(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    let mut client = httpd.client();
    client.get("/notes?set=session.cart:full");
    let mut before = client.clone();
    let form = b"httpd_username=ann&httpd_password=password&httpd_location=/private/page.html";
    let response = client.request("POST", "/notes/private", &FORM, form);
    assert!(response.status < 400, "{}", response.status);
    assert_ne!(client.cookie("sid"), before.cookie("sid"));
    assert!(is_member(&mut client) && !is_member(&mut before));
}

fn the_password_stays_on_the_server(mpm: Mpm) {
    let cgi = if mpm == Mpm::Prefork { "cgi" } else { "cgid" };
    let socket = if mpm == Mpm::Prefork { "" } else { "ScriptSock @ROOT@/cgid.sock" };
    let httpd = site(mpm, &format!("SessionEnv On\nScriptAlias /env @ROOT@/env\n{socket}"))
        .module(cgi)
        .program("env", "#!/bin/sh\necho Content-Type: text/plain\necho\nenv\n")
        .start();
    let mut client = httpd.client();
    let response = log_in(&mut client, "ann", "password");
    assert!(!response.headers.iter().any(|(_, value)| value.contains("password")));
    let environment = client.get("/env").text().into_owned();
    assert!(environment.contains("HTTP_SESSION=realm-user=ann\n") && !environment.contains("password"), "{environment}");
    let notes = client.get("/notes?all").text().into_owned();
    assert!(notes.contains("session.realm-user=ann") && !notes.contains("realm-pw"), "{notes}");
    assert_eq!(client.get("/stock?load&get=realm-pw").line("get"), "0 password", "mod_auth_form needs it");
}

fn parallel_logins_and_pages_lose_nothing(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    thread::scope(|scope| {
        for n in 0..8 {
            let mut client = httpd.client();
            scope.spawn(move || {
                let name = ["ann", "ben", "cid"][n % 3];
                for round in 0..10 {
                    client.get("/notes?incr=session.n");
                    assert_eq!(log_in(&mut client, name, "password").status, 302);
                    let pages: Vec<_> = (0..4).map(|_| client.clone().begin("/notes/private?incr=session.n")).collect();
                    assert!(pages.into_iter().all(|page| page.finish().status == 200));
                    assert_eq!(client.get("/notes?get=session.n").line("get"), ((round + 1) * 5).to_string());
                    client.get("/logout");
                }
            });
        }
    });
}

/// Eight at once with the cookie of one visitor: whoever comes second finds the id superseded, and has a session of his own.
fn parallel_logins_of_one_visitor_each_have_a_session(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    let mut visitor = httpd.client();
    visitor.get("/notes?set=session.cart:full");
    let clients: Vec<_> = (0..8).map(|_| visitor.clone()).collect();
    let carts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    assert_eq!(log_in(&mut client, "ann", "password").status, 302);
                    assert!(is_member(&mut client));
                    client.get("/notes?get=session.cart").line("get").to_owned()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(carts.iter().filter(|cart| *cart == "full").count(), 1, "{carts:?}");
    assert!(!is_member(&mut visitor));
}

fn all_sessions_of_somebody_who_logged_in_can_be_ended(mpm: Mpm) {
    let httpd = site(mpm, "").start();
    let mut clients: Vec<_> = (0..3).map(|_| httpd.client()).collect();
    for (client, name) in clients.iter_mut().zip(["ann", "ann", "ben"]) {
        log_in(client, name, "password");
    }
    let tool =
        std::process::Command::new(env!("CARGO_BIN_EXE_htsession")).arg("--dir").arg(httpd.dir()).args(["kill-user", "ann"]).status();
    assert!(tool.unwrap().success());
    assert_eq!(clients.iter_mut().map(is_member).collect::<Vec<_>>(), [false, false, true]);
}

mpm_tests!(
    a_login_is_kept_in_our_store_until_the_log_out,
    the_id_from_before_the_login_never_sees_it,
    a_form_on_the_page_itself_logs_in_as_well,
    a_new_password_locks_out_whoever_has_the_old_cookie,
    a_login_handler_without_authtype_changes_the_id_as_well,
    a_login_whose_change_of_the_id_fails_is_not_stored,
    an_authname_that_is_no_key_logs_nobody_in_and_says_so,
    logins_on_a_static_page_at_once_are_all_logins,
    what_the_handler_does_after_a_login_on_its_page_counts,
    a_store_that_fails_asks_nobody_to_log_in,
    the_password_stays_on_the_server,
    parallel_logins_and_pages_lose_nothing,
    parallel_logins_of_one_visitor_each_have_a_session,
    all_sessions_of_somebody_who_logged_in_can_be_ended,
);
