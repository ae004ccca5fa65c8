//! Sessions in expressions: `%{SESSION:key}` and `session('key')`, wherever httpd has expressions.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::members::visitor;
use support::{Client, Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn values_are_shown_as_notes_show_them(mpm: Mpm) {
    let keys = ["text", "TEXT", "int", "yes", "no", "float", "list", "map", "a b", "nothing", "nul", "long", "realm-pw", "missing"];
    let headers: String = (0..keys.len()).map(|i| format!("Header set X-{i} \"expr=[%{{SESSION:{}}}]\"\n", keys[i])).collect();
    let function = "Header set X-Function yes \"expr=session('text') . Session('int') == 'a text-5'\"";
    let httpd = Httpd::start(mpm, &format!("LimitRequestLine 20000\n{CONF}\n{headers}{function}"));
    let long = "x".repeat(8193);
    let all = format!(
        "set_text=text:a+text&set_int=int:-5&set_float=float:1.5&set_bool=yes:1&set_bool=no:0&set_null=nothing&set_bytes=nul:410042\
         &set_msgpack=list:9201a178&set_msgpack=map:81a16bc3&set_text=a+b:c&set_text=realm-pw:secret&set_text=long:{long}"
    );
    let response = visitor(&httpd, &all).get("/hello");
    let shown: Vec<_> = (0..keys.len()).map(|i| response.header(&format!("X-{i}")).unwrap()).collect();
    let expected =
        ["[a text]", "[a text]", "[-5]", "[1]", "[0]", "[1.5]", "[[1,\"x\"]]", "[{\"k\":true}]", "[c]", "[]", "[]", "[]", "[]", "[]"];
    assert_eq!(shown, expected);
    assert_eq!(response.header("X-Function"), Some("yes"));
    assert_eq!(httpd.get("/hello").header("X-0"), Some("[]"), "without a session");
}

fn every_place_that_has_expressions_has_sessions(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf(&format!(
            "{CONF}\n<If \"%{{SESSION:role}} == 'admin'\">\nHeader set X-If yes\n</If>\n\
             <Location /private>\nRequire expr session('role') == 'admin'\n</Location>\n\
             SetEnvIfExpr \"%{{SESSION:role}} =~ /^(a.*)$/\" ROLE=$1\nHeader set X-Role %{{ROLE}}e env=ROLE\n\
             RewriteEngine On\nRewriteCond expr \"%{{SESSION:role}} == 'admin'\"\nRewriteRule ^/which /admin.html\nRewriteRule ^/which /other.html\n\
             RequestHeader set X-From \"expr=%{{SESSION:role}}\"\nHeader echo ^X-From$\n\
             CustomLog @ROOT@/admins.log %U \"expr=%{{SESSION:role}} == 'admin'\""
        ))
        .module("include")
        .conf("AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml\n<Directory @ROOT@/htdocs>\nOptions +Includes\n</Directory>")
        .file("htdocs/part.shtml", "<!--#if expr=\"session('role') == 'admin'\" -->for admins<!--#else -->for others<!--#endif -->")
        .file("htdocs/private/page.html", "inside")
        .file("htdocs/admin.html", "for admins")
        .file("htdocs/other.html", "for others")
        .expect_log("AH01630")
        .start();
    let seen = |client: &Client| {
        let page = client.clone().get("/which");
        let header = |name| page.header(name).unwrap_or("-").to_owned();
        assert_eq!(client.clone().get("/part.shtml").text(), page.text());
        let private = client.clone().get("/private/page.html").status;
        (private, page.text().into_owned(), header("X-If"), header("X-Role"), header("X-From"))
    };
    let of = |private, page: &str, rest: [&str; 3]| (private, page.to_owned(), rest[0].to_owned(), rest[1].to_owned(), rest[2].to_owned());
    assert_eq!(seen(&visitor(&httpd, "set_text=role:guest")), of(403, "for others", ["-", "-", "guest"]));
    assert_eq!(seen(&httpd.client()).1, "for others");
    assert!(
        fs::read_to_string(httpd.root().join("admins.log")).unwrap().lines().all(|path| path == "/capi"),
        "guests are in the log of admins"
    );
    assert_eq!(seen(&visitor(&httpd, "set_text=role:admin")), of(200, "for admins", ["yes", "admin", "admin"]));
    support::wait_for("the log of admins", || {
        fs::read_to_string(httpd.root().join("admins.log")).ok()?.contains("/private/page.html").then_some(())
    });
}

fn a_log_that_asks_when_all_is_over_sees_the_session(mpm: Mpm) {
    let log = "LogFormat \"%U %{session:ref}n\" seen\nCustomLog @ROOT@/seen.log seen \"expr=%{SESSION:n} == '1'\"";
    let httpd = Httpd::with(mpm).conf(&format!("{CONF}\n{log}")).file("htdocs/page.html", "a page").start();
    let mut client = visitor(&httpd, "set_int=n:1");
    let reference = client.get("/capi?open=&ref").line("ref").to_owned();
    for path in ["/page.html", "/nowhere", "/notes?get=session.n"] {
        client.get(path);
        httpd.get(path);
    }
    let lines = support::wait_for("the log", || {
        let log = fs::read_to_string(httpd.root().join("seen.log")).ok()?;
        let mut lines: Vec<_> = log.lines().filter(|line| !line.starts_with("/capi")).map(str::to_owned).collect();
        lines.sort(); // processes write when they get to it
        (lines.len() >= 3).then_some(lines)
    });
    assert_eq!(lines, [format!("/notes {reference}"), "/nowhere -".into(), "/page.html -".into()]);
}

fn what_a_handler_changed_is_what_headers_show(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nHeader set X-N \"expr=%{{SESSION:n}}\""));
    let mut client = visitor(&httpd, "set_int=n:1");
    for (path, n) in [
        ("/capi?open=create&set_int=n:2", "2"),
        ("/notes?set=session.n:3", "3"),
        ("/stock?load&set=n:4", "4"),
        ("/capi?open=create&set_int=n:5&status=403", "4"), // Header set is for answers that are no errors
        ("/hello", "5"),
        ("/notes?set=session:do:invalidate", ""),
        ("/capi?open=create&set_int=n:6", "6"),
    ] {
        let response = client.get(path);
        if response.status == 200 {
            assert_eq!(response.header("X-N"), Some(n), "{path}");
        }
    }
}

fn an_expression_does_not_renew_and_waits_for_nobody_and_caches_need_not_know(mpm: Mpm) {
    let conf = format!("{CONF}\nSessionNotes Off\nSessionTouchInterval 0\nHeader set X-N \"expr=%{{SESSION:n}}\"");
    // mod_filter asks before anything of the response has passed.
    let parsed = "<Location /page.shtml>\nFilterDeclare known RESOURCE\nFilterProvider known INCLUDES \"%{SESSION:n} == '1'\"\nFilterChain known\n\
                  Options +Includes\n</Location>";
    let setup = Httpd::with(mpm).module("include").module("filter").conf(&conf).conf(parsed).file("htdocs/page.html", "a page");
    let httpd = setup.file("htdocs/page.shtml", "<!--#if expr=\"true\" -->known<!--#endif -->").start();
    let client = visitor(&httpd, "set_int=n:1");
    let accessed = || client.clone().get("/capi?open=read_only,no_touch&accessed").line("accessed").to_owned();
    let before = accessed();
    std::thread::sleep(Duration::from_millis(20));
    let slow = client.clone().begin("/capi?open=create,no_touch&sleep=1500");
    std::thread::sleep(Duration::from_millis(150));
    let begun = Instant::now();
    let response = client.clone().get("/page.html");
    assert!(begun.elapsed() < Duration::from_millis(1000), "waited {:?}", begun.elapsed());
    assert_eq!((response.header("X-N"), response.header("Vary"), response.header("Cache-Control")), (Some("1"), None, None));
    let response = client.clone().get("/page.shtml");
    assert_eq!((response.text().as_ref(), response.header("Vary"), response.header("Cache-Control")), ("known", None, None));
    slow.finish();
    assert_eq!(accessed(), before);
    assert!(httpd.get("/page.html").set_cookies().is_empty());
}

fn a_failing_store_yields_nothing_and_one_line(mpm: Mpm) {
    let headers = "Header set X-N \"expr=[%{SESSION:n}]\"\nHeader set X-M \"expr=[%{SESSION:n}]\"\n<If \"%{SESSION:n} == '1'\">\n</If>";
    let conf = format!("{CONF}\nSessionInvalidateCorrupt Off\n{headers}");
    let httpd = Httpd::with(mpm).conf(&conf).file("htdocs/page.html", "a page").expect_log("cannot load").expect_log("is damaged").start();
    let client = visitor(&httpd, "set_int=n:1");
    let page = || {
        let response = client.clone().get("/page.html");
        (response.status, response.header("X-N").unwrap().to_owned(), response.set_cookies().len())
    };
    assert_eq!(page(), (200, "[1]".into(), 0));
    let away = httpd.root().join("away");
    fs::rename(httpd.dir(), &away).unwrap();
    assert_eq!(page(), (200, "[]".into(), 0));
    httpd.wait_for_log("cannot load a session");
    fs::rename(&away, httpd.dir()).unwrap();
    fs::write(&support::sessions::files(&httpd.dir())[0], "damage").unwrap();
    assert_eq!(page(), (200, "[]".into(), 0));
    assert_eq!(httpd.log_lines_with("is damaged").len(), 1);
}

/// `<If>` is evaluated before the file of a request is known, when the sections of its directory do not hold yet.
fn an_early_expression_does_not_speak_for_the_sections_of_the_request(mpm: Mpm) {
    let secret = "x".repeat(32);
    let conf = format!(
        "{CONF}\n<If \"%{{SESSION:n}} == '1'\">\nHeader set X-If yes\n</If>\n<Directory @ROOT@/htdocs/app>\nSetHandler capi\nSessionTimeout 77\n</Directory>\n\
         <Directory @ROOT@/htdocs/signed>\nSetHandler capi\nSessionSecret {secret}\n</Directory>"
    );
    let httpd = Httpd::with(mpm).conf(&conf).file("htdocs/app/x", "").file("htdocs/signed/x", "").start();
    assert_eq!(httpd.get("/app/x?open=create&set_int=n:1&timeout").line("timeout"), "77");
    let mut client = visitor(&httpd, "set_int=n:1");
    let response = client.get("/signed/x?open=create&is_new&get_int=n");
    assert_eq!((response.line("is_new"), response.line("get_int")), ("1", "NONE"), "an id that nobody signed");
    assert_eq!((client.get("/hello").header("X-If"), response.header("X-If")), (Some("yes"), None));
}

fn the_stock_stores_and_sections_without_sessions_have_expressions_too(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .module("session_cookie")
        .of_ours("exprnow")
        .conf("Header set X-A \"expr=[%{SESSION:a}%{SESSION:x-pw}]\"\nExprNow SESSION a")
        .conf("<Location /stock>\nSession On\nSessionCookieName kept path=/\n</Location>")
        .start();
    let mut client = httpd.client();
    client.get("/stock?load&set=a:1&set=x-pw:secret");
    assert_eq!(client.get("/stock?load").header("X-A"), Some("[1]"));
    assert_eq!(client.get("/hello").header("X-A"), Some("[]"));
}

mpm_tests!(
    values_are_shown_as_notes_show_them,
    every_place_that_has_expressions_has_sessions,
    a_log_that_asks_when_all_is_over_sees_the_session,
    what_a_handler_changed_is_what_headers_show,
    an_expression_does_not_renew_and_waits_for_nobody_and_caches_need_not_know,
    a_failing_store_yields_nothing_and_one_line,
    an_early_expression_does_not_speak_for_the_sections_of_the_request,
    the_stock_stores_and_sections_without_sessions_have_expressions_too,
);
