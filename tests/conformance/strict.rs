//! Which ids name a session: those that the server made, here, and that have not ended.

use std::time::Duration;

use crate::cookie::is_never_adopted;
use crate::runner::cases;
use crate::subject::Subject;
use crate::support::apxs;
use crate::watch::soon;

cases![
    S1 Http an_unknown_id_begins_a_session_under_another,
    S2 Http looking_with_an_unknown_id_leaves_no_record,
    S3 Http an_expired_id_begins_a_session_without_the_old_data,
    S4 Server an_id_of_another_host_or_scope_or_cookie_is_none_here,
    S5 Server an_id_that_is_taken_is_drawn_again,
    S6 Files a_forged_id_is_refused_without_a_question_to_the_store,
];

fn unknown() -> String {
    "0123456789abcdefghijklmnopqrstuv".to_owned()
}

fn an_unknown_id_begins_a_session_under_another(subject: &Subject) {
    let server = subject.server("");
    is_never_adopted(&server, &unknown());
    let mut visitor = server.visitor();
    let response = visitor.ask_with("invalidated&set=n:1", &[("Cookie", &server.pair(&unknown()))]);
    assert_eq!(response.line("invalidated"), "1");
    assert_ne!(visitor.id(), unknown());
    assert!(!server.knows(&unknown()));
    if subject.is_ours() {
        assert_eq!(server.events("created", &visitor.id()).len(), 1);
        assert!(server.events("created", &unknown()).is_empty());
    }
}

fn looking_with_an_unknown_id_leaves_no_record(subject: &Subject) {
    let server = subject.server("");
    for words in ["look&get=n&all", "peek", "get=n&all", "invalidated"] {
        assert_eq!(server.with_id(&unknown(), words).set_cookies(), Vec::<String>::new(), "{words}");
        assert!(!server.knows(&unknown()));
    }
    if subject.offers(crate::subject::Needs::Files) {
        assert_eq!(server.files().len(), 0);
    }
}

fn an_expired_id_begins_a_session_without_the_old_data(subject: &Subject) {
    let server = subject.server("");
    let mut member = server.member();
    member.ask("set=secret:s&timeout=1");
    let old = member.id();
    assert!(soon(Duration::from_secs(10), || !member.has_session()), "it ends");
    let response = member.ask("new&invalidated&get=secret&all&set=m:2");
    let facts = ["new", "invalidated", "get", "all"].map(|word| response.line(word).to_owned());
    assert_eq!(facts, ["1", "1", "-", ""]);
    assert_ne!(member.id(), old);
    assert_eq!(member.says("all"), "m=2");
    assert!(!server.knows(&old));
}

fn an_id_of_another_host_or_scope_or_cookie_is_none_here(subject: &Subject) {
    let server = subject.server(
        "<VirtualHost *:@PORT@>\nServerName one.example\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName two.example\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName shared-a.example\nSessionScope shared\n</VirtualHost>\n\
         <VirtualHost *:@PORT@>\nServerName shared-b.example\nSessionScope shared\n</VirtualHost>\n\
         <Location /admin>\nSetHandler conform\nSessionScope admin\n</Location>\n\
         <Location /app>\nSetHandler conform\nSessionIdCookie app\n</Location>",
    );
    let on = |host: &str, page: &str, cookies: &str, words: &str| {
        server.visitor_of(page).ask_with(words, &[("Host", host), ("Cookie", cookies)])
    };
    let id_of = |host: &str| {
        let cookie = on(host, "/conform", "", "set=n:1").set_cookies().remove(0);
        cookie.split([';', '=']).nth(1).unwrap().to_owned()
    };
    let knows = |host: &str, page: &str, name: &str, id: &str| on(host, page, &format!("{name}={id}"), "look").line("look") == "1";
    let id = id_of("one.example");
    assert!(knows("one.example", "/conform", "sid", &id) && knows("ONE.example", "/conform", "sid", &id));
    for (host, page, name) in [("two.example", "/conform", "sid"), ("one.example", "/admin", "sid"), ("one.example", "/app", "app")] {
        assert!(!knows(host, page, name, &id), "{host}{page} takes it in {name}");
    }
    let id = id_of("shared-a.example");
    assert!(knows("shared-b.example", "/conform", "sid", &id), "what shares a scope shares sessions");
}

/// The random numbers of the server repeat themselves: of the ids that a process draws, the first two are equal.
fn an_id_that_is_taken_is_drawn_again(subject: &Subject) {
    let setup = subject.setup("").workers(1);
    let repeats = apxs::preload("same_ids", setup.root());
    let setup = setup.env("LD_PRELOAD", repeats.to_str().expect("a path"));
    let server = Subject::start(setup);
    let (mut one, mut other) = (server.visitor(), server.visitor());
    assert_eq!(one.says("set=who:one&save"), "ok");
    assert_eq!(one.id(), "QUFB".repeat(8), "the random numbers are ours");
    assert_eq!(other.says("set=who:other&save"), "ok");
    assert_ne!(one.id(), other.id());
    assert_eq!((one.value("who"), other.value("who")), ("one".into(), "other".into()));
}

fn a_forged_id_is_refused_without_a_question_to_the_store(subject: &Subject) {
    let server = subject.server_that_logs("SessionSecret 0123456789abcdef0123456789abcdef", &["cannot load a session"]);
    let good = server.member().id();
    let (id, tag) = good.split_once('.').expect("a tag");
    let away = server.root().join("away");
    std::fs::rename(server.dir(), &away).unwrap();
    assert_eq!(server.with_id(&good, "look").line("look"), "!store", "a store that cannot answer is noticed");
    let noticed = server.log_lines_with("cannot load a session").len();
    let (flipped, last) = (if tag.starts_with('A') { "B" } else { "A" }, &tag[1..]);
    for forged in [id.to_owned(), format!("{id}."), format!("{id}.{flipped}{last}"), format!("{id}.{tag}A"), format!("{}.{tag}", unknown())]
    {
        let response = server.with_id(&forged, "look&get=n");
        assert_eq!((response.status, response.line("look"), response.line("get")), (200, "0", "-"), "{forged}");
        assert_eq!(server.with_id(&forged, "new").line("new"), "1");
    }
    assert_eq!(server.log_lines_with("cannot load a session").len(), noticed, "the store was not asked");
    std::fs::rename(&away, server.dir()).unwrap();
    assert!(server.knows(&good));
}
