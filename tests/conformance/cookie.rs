//! The cookie: when it is sent, how it looks, what clients may present, and what caches are told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::{Client, Response};

cases![
    C1 Http a_visitor_who_never_writes_gets_no_cookie,
    C2 Http the_first_write_sends_exactly_one_cookie,
    C3 Http a_known_session_is_sent_no_cookie_again,
    C4 Server the_cookie_has_exactly_the_attributes_that_are_configured,
    C5 Http a_cookie_is_taken_back_with_the_attributes_it_was_sent_with,
    C6 Http among_several_cookies_of_the_name_the_first_usable_one_counts,
    C7 Http what_has_not_the_form_of_an_id_is_no_session_and_no_error,
    C8 Http an_id_counts_in_the_cookie_only,
    C9 Http the_cookie_is_sent_once_with_every_kind_of_response,
    C10 Http no_cache_hands_the_cookie_of_one_visitor_to_another,
];

fn a_visitor_who_never_writes_gets_no_cookie(subject: &Subject) {
    let server = subject.server("");
    for words in ["", "look&get=n&all", "peek", "get=n&all", "new&invalidated"] {
        let response = server.visitor().ask(words);
        assert_eq!((response.status, response.set_cookies()), (200, vec![]), "{words}");
    }
}

fn the_first_write_sends_exactly_one_cookie(subject: &Subject) {
    let server = subject.server("");
    for words in ["set=a:1", "add=a:1", "get=a&set=a:1&set=b:2", "set=a:1&save&set=b:2&save", "set=a:0&unset=a&set=a:1"] {
        let mut visitor = server.visitor();
        assert_eq!(visitor.ask(words).set_cookies().len(), 1, "{words}");
        assert_eq!(visitor.value("a"), "1", "{words}");
    }
}

fn a_known_session_is_sent_no_cookie_again(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    for words in ["look&get=n", "peek", "get=n", "add=n:1", "set=m:2", "set=m:3&save&unset=m", "status=404"] {
        assert_eq!(member.ask(words).set_cookies(), Vec::<String>::new(), "{words}");
    }
}

/// Pages with cookies of all kinds: what is configured, how the cookie begins and how it ends.
const LOOKS: [(&str, &str, &str); 6] = [
    ("", "sid", "; Path=/; HttpOnly; SameSite=Lax"),
    ("app Path=/look1 Domain=example.org SameSite=Strict", "app", "; Path=/look1; Domain=example.org; HttpOnly; SameSite=Strict"),
    ("app Path=/look2 Max-Age=600", "app", "; Path=/look2; Max-Age=600; HttpOnly; SameSite=Lax"),
    ("app Path=/look3 HttpOnly=off SameSite=None Secure=on Partitioned", "app", "; Path=/look3; Secure; SameSite=None; Partitioned"),
    ("__Host-id Secure=on", "__Host-id", "; Path=/; Secure; HttpOnly; SameSite=Lax"),
    ("__Secure-id Secure=on Path=/look5", "__Secure-id", "; Path=/look5; Secure; HttpOnly; SameSite=Lax"),
];

fn many_looks(subject: &Subject) -> Server {
    let mut conf = String::from("<VirtualHost *:@PORT@>\nServerName plain.example\n</VirtualHost>\n");
    conf += "<VirtualHost *:@PORT@>\nServerName https://secure.example\n</VirtualHost>\n";
    for (n, (cookie, _, _)) in LOOKS.iter().enumerate() {
        let directive = if cookie.is_empty() { String::new() } else { format!("SessionIdCookie {cookie}\n") };
        conf += &format!("<Location /look{n}>\nSetHandler conform\n{directive}</Location>\n");
    }
    subject.server(&conf)
}

fn asked(client: &mut Client, n: usize, words: &str) -> Response {
    client.get(&format!("/look{n}?{words}"))
}

fn the_cookie_has_exactly_the_attributes_that_are_configured(subject: &Subject) {
    let server = many_looks(subject);
    for (n, (_, name, attributes)) in LOOKS.iter().enumerate() {
        let mut client = server.client();
        let cookies = asked(&mut client, n, "set=n:1").set_cookies();
        let id = client.cookie(name).unwrap_or_else(|| panic!("{cookies:?}"));
        assert_eq!(cookies, [format!("{name}={id}{attributes}")]);
    }
    for (host, secure) in [("plain.example", false), ("secure.example", true)] {
        let response = server.visitor().ask_with("set=n:1", &[("Host", host)]);
        assert_eq!(response.set_cookies()[0].contains("; Secure"), secure, "Secure=auto follows the scheme of {host}");
    }
    let host = ["__Host-id Secure=off", "__Host-id Path=/a", "__Host-id Domain=a.example"];
    for refused in host.into_iter().chain(["__Secure-id Secure=off", "sid SameSite=None Secure=off", "sid Partitioned Secure=off", "s;d"]) {
        let (accepted, said) = subject.setup(&format!("SessionIdCookie {refused}")).configtest();
        assert!(!accepted && said.contains("SessionIdCookie"), "{refused}: {said}");
    }
}

/// The attributes of a cookie but those that end it.
fn attributes(cookie: &str) -> Vec<&str> {
    let ends = |attribute: &str| attribute.starts_with("Max-Age=") || attribute.starts_with("Expires=");
    let mut attributes: Vec<_> = cookie.split("; ").skip(1).filter(|attribute| !ends(attribute)).collect();
    attributes.sort_unstable();
    attributes
}

fn is_taken_back(sent: &Response, taken: &Response) {
    let (sent, taken) = (sent.set_cookies(), taken.set_cookies());
    assert_eq!((sent.len(), taken.len()), (1, 1));
    assert_eq!(attributes(&taken[0]), attributes(&sent[0]));
    assert!(taken[0].contains("Max-Age=0") || taken[0].contains("1970"), "{}", taken[0]);
}

fn a_cookie_is_taken_back_with_the_attributes_it_was_sent_with(subject: &Subject) {
    let server = subject.server("");
    let mut visitor = server.visitor();
    is_taken_back(&visitor.ask("set=n:1"), &visitor.ask("destroy"));
    assert!(!visitor.has_cookie());
    if subject.is_ours() {
        let server = many_looks(subject);
        for n in 0..LOOKS.len() {
            let mut client = server.client();
            is_taken_back(&asked(&mut client, n, "set=n:1"), &asked(&mut client, n, "destroy"));
        }
    }
}

fn among_several_cookies_of_the_name_the_first_usable_one_counts(subject: &Subject) {
    let server = subject.server("");
    let (mut one, other) = (server.member(), server.member());
    one.ask("set=who:one");
    let (one, other) = (server.pair(&one.id()), server.pair(&other.id()));
    let unknown = server.pair(&"A".repeat(32));
    let junk = format!("{}; ", server.pair("x"));
    for cookies in [
        format!("{}; {unknown}; {one}", server.pair("bad")),
        format!("{one}; {}; {unknown}", server.pair("bad")),
        format!("a=1; {}; b=2; {one}; c=3", server.pair("\"x\"")),
        format!("{one}; {other}"),
        format!("{}{one}", junk.repeat(60)),
        format!("{one}; {}", format!("{one}; ").repeat(60)),
    ] {
        let response = server.with_cookies(&cookies, "get=who");
        assert_eq!((response.line("get"), response.set_cookies().len()), ("one", 0), "{cookies}");
    }
}

/// Presents a value that must not be taken for a session, nor become one.
pub fn is_never_adopted(server: &Server, value: &str) {
    let response = server.with_id(value, "new&get=n&set=n:7");
    if [400, 431].contains(&response.status) {
        return; // the server would not even look at such a header
    }
    assert_eq!((response.status, response.line("new"), response.line("get")), (200, "1", "-"), "{value:?}");
    let cookies = response.set_cookies();
    assert!(cookies.len() == 1 && !cookies[0].starts_with(&format!("{};", server.pair(value))), "{value:?}: {cookies:?}");
}

fn what_has_not_the_form_of_an_id_is_no_session_and_no_error(subject: &Subject) {
    let server = subject.server("");
    let id = server.member().id();
    for value in [
        "",
        "\"\"",
        "=",
        &format!("{id}A"),
        &id[1..],
        &format!("\"{id}\""),
        &format!("{}%41", &id[..id.len() - 1]),
        &format!("{} {}", &id[..16], &id[16..]),
        &format!("{id}\0"),
        "../../../../../../../etc/passwd.",
        "..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/etc/passwd",
        "\u{e9}\u{4f1a}\u{8bdd}",
        "$(reboot)`reboot`",
        "<script>alert(1)</script>",
        &"A".repeat(4096),
        &"A".repeat(65536),
    ] {
        is_never_adopted(&server, value);
    }
    assert!(server.knows(&id), "and the session is still there");
}

fn an_id_counts_in_the_cookie_only(subject: &Subject) {
    let server = subject.server("");
    let id = server.member().id();
    let (name, pair) = (&server.cookie, server.pair(&id));
    let is_stranger = |how: &str, response: Response| assert_eq!(response.line("get"), "-", "{how}");
    is_stranger("query", server.visitor().ask(&format!("{pair}&get=n")));
    is_stranger("end of the query", server.visitor().ask(&format!("get=n&{pair}")));
    is_stranger("path", server.visitor_of(&format!("{}/{pair}", server.page())).ask("get=n"));
    is_stranger("body", server.visitor().post("get=n", &[("Content-Type", "application/x-www-form-urlencoded")], &pair));
    for (header, value) in [(&**name, &*id), ("X-Session-Id", &id), ("Session", &pair), ("Authorization", &id), ("Cookie2", &pair)] {
        is_stranger(header, server.visitor().ask_with("get=n", &[(header, value)]));
    }
    let response = server.visitor().ask("set=n:1");
    assert!(!response.text().contains(response.set_cookies()[0].split([';', '=']).nth(1).unwrap()), "nor does the page show one");
}

fn the_cookie_is_sent_once_with_every_kind_of_response(subject: &Subject) {
    let server = subject.server("ErrorDocument 410 /conform?add=errors:1");
    let statuses = [
        ("", 200),
        ("&redirect=/", 302),
        ("&status=304", 304),
        ("&status=403", 403),
        ("&status=404", 404),
        ("&status=500", 500),
        ("&status=503", 503),
    ];
    let bodies = [("&flush&body=10", 200), ("&body=3000000", 200), ("&pieces=300000:8192", 200)];
    let inside = [
        ("&internal=/hello", 200),
        ("&internal=/conform?add=m:1", 200),
        ("&sub=/hello", 200),
        ("&sub=/conform?add=m:1", 200),
        ("&status=410", 410),
    ];
    let more = if subject.is_ours() { &inside[..] } else { &[] };
    for (how, status) in statuses.iter().chain(&bodies).chain(more) {
        let mut visitor = server.visitor();
        let response = visitor.ask(&format!("int=n:1{how}"));
        assert_eq!((response.status, response.set_cookies().len()), (*status, 1), "{how}");
        assert_eq!(visitor.value("n"), "1", "{how}: and it names the session");
    }
    let mut visitor = server.visitor();
    assert_eq!(visitor.head("int=n:1").set_cookies().len(), 1, "HEAD");
    assert_eq!(visitor.value("n"), "1");
    let continued = server.visitor().post("int=n:1", &[("Expect", "100-continue")], "x=1");
    assert_eq!((continued.status, continued.set_cookies().len()), (200, 1), "100-continue");
}

fn is_kept_from_caches(response: &Response) -> bool {
    let fields =
        response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Cache-Control")).map(|(_, value)| value.to_lowercase());
    let said: Vec<_> = fields.collect();
    said.iter().any(|value| value.contains("no-store") || value.contains("private"))
}

fn no_cache_hands_the_cookie_of_one_visitor_to_another(subject: &Subject) {
    let server = subject.server("");
    let mut visitor = server.visitor();
    assert!(is_kept_from_caches(&visitor.ask("set=n:1")), "with a cookie");
    let used = visitor.ask("get=n");
    assert!(is_kept_from_caches(&used), "with what a session holds");
    assert!(used.header("Vary").is_some_and(|vary| vary.to_lowercase().contains("cookie")));
    if subject.is_ours() {
        for quick in ["on", "off"] {
            behind_a_cache(subject, quick);
        }
    }
}

/// mod_cache in front of a page that says it may be stored.
fn behind_a_cache(subject: &Subject, quick: &str) {
    let conf = format!(
        "CacheQuickHandler {quick}\nCacheEnable disk /\nCacheRoot @ROOT@/cache\nCacheHeader on\nCacheIgnoreNoLastMod on\n\
         Header set Cache-Control \"public, max-age=60\" early"
    );
    let setup = subject.setup(&conf).module("cache").module("cache_disk");
    let cache = setup.root().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, PermissionsExt::from_mode(0o777)).unwrap(); // the children write there
    let server = Subject::start(setup);
    let is_hit = |response: &Response| response.header("X-Cache").is_some_and(|value| value.starts_with("HIT"));
    server.get("/hello");
    assert!(is_hit(&server.get("/hello")), "the cache works");
    let mut cookies = Vec::new();
    for _ in 0..3 {
        let response = server.visitor().ask("set=n:1");
        assert!(!is_hit(&response), "a response with a cookie came from the cache");
        cookies.extend(response.set_cookies());
    }
    cookies.sort();
    cookies.dedup();
    assert_eq!(cookies.len(), 3, "each visitor has a session of one's own");
    let (mut one, mut other) = (server.member(), server.member());
    one.ask("set=who:one");
    other.ask("set=who:other");
    for _ in 0..3 {
        // The page says that it is public, so all may see what strangers see, but not what the others see.
        assert_ne!((one.value("who"), other.value("who")), ("other".into(), "one".into()));
        assert_eq!(server.visitor().value("who"), "-");
    }
}
