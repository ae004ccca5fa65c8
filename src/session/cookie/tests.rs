use proptest::prelude::*;

use super::*;

fn id(n: u8) -> Id {
    Id::from_random([n; 24])
}

fn found(header: &str) -> Vec<Id> {
    CookieRule::default().candidates(&[header.as_bytes()], None).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn the_default_cookie_is_the_documented_one() {
    let rule = CookieRule::default();
    assert_eq!(rule.set(id(0).expose(), false), format!("sid={}; Path=/; HttpOnly; SameSite=Lax", "A".repeat(32)));
    assert_eq!(rule.set(id(0).expose(), true), format!("sid={}; Path=/; Secure; HttpOnly; SameSite=Lax", "A".repeat(32)));
}

#[test]
fn every_attribute_is_on_the_cookie_and_on_its_removal() {
    let words = ["Path=/app", "Domain=example.org", "Max-Age=60", "Secure=on", "HttpOnly=off", "SameSite=None", "Partitioned"];
    let rule = CookieRule::parse("app.sid", &words).unwrap();
    assert_eq!(
        rule.set(id(0).expose(), false),
        format!("app.sid={}; Path=/app; Domain=example.org; Max-Age=60; Secure; SameSite=None; Partitioned", "A".repeat(32))
    );
    assert_eq!(
        rule.clear(false),
        "app.sid=; Path=/app; Domain=example.org; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=None; Partitioned"
    );
}

#[test]
fn wrong_words_are_refused_with_the_remedy() {
    for (name, attributes) in [
        ("", &[][..]),
        ("a b", &[]),
        ("a=b", &[]),
        ("sid", &["Path=app"]),
        ("sid", &["Path=/a;b"]),
        ("sid", &["Domain="]),
        ("sid", &["Max-Age=0"]),
        ("sid", &["Max-Age=soon"]),
        ("sid", &["Secure=maybe"]),
        ("sid", &["Secure"]),
        ("sid", &["HttpOnly"]),
        ("sid", &["SameSite=Loose"]),
        ("sid", &["Partitioned=on"]),
        ("sid", &["Colour=red"]),
        ("sid", &["Path=/", "Path=/b"]),
        ("sid", &["SameSite=None", "Secure=off"]),
        ("sid", &["Partitioned", "Secure=off"]),
        ("__Host-sid", &["Path=/app"]),
        ("__Host-sid", &["Domain=example.org"]),
        ("__Host-sid", &["Secure=auto"]),
        ("__Secure-sid", &["Secure=off"]),
    ] {
        assert!(CookieRule::parse(name, attributes).is_err(), "{name} {attributes:?}");
    }
}

#[test]
fn a_prefixed_name_makes_the_cookie_secure_by_itself() {
    assert_eq!(CookieRule::parse("__Host-sid", &[]).unwrap().secure, Secure::On);
    assert_eq!(CookieRule::parse("__Secure-sid", &["Path=/x", "Secure=on"]).unwrap().secure, Secure::On);
}

#[test]
fn well_formed_ids_are_found_among_others() {
    let (a, b) = (id(1), id(2));
    let header = format!(
        "x=1; sid=bad; sid={} ;sid=\"{}\"; SID={}; xsid={}; sid={}, sid={}",
        a.expose(),
        b.expose(),
        b.expose(),
        b.expose(),
        a.expose(),
        b.expose()
    );
    assert_eq!(found(&header), [a, b]);
}

#[test]
fn what_is_not_well_formed_is_no_candidate() {
    let valid = id(1);
    for bad in [
        "sid",
        "sid=",
        "sid==",
        "=sid",
        "",
        ";;;",
        "sid=../../../../etc/passwd",
        &format!("sid={}x", valid.expose()),
        &format!("sid= {}", valid.expose()),
    ] {
        assert!(found(bad).is_empty(), "{bad:?}");
    }
    assert!(found(&format!("sid={}", "a".repeat(65_536))).is_empty());
}

#[test]
fn at_most_eight_candidates_are_tried_and_malformed_ones_do_not_count() {
    let bad = "sid=x; ".repeat(60);
    let many: String = (0..20).map(|n| format!("sid={}; ", id(n).expose())).collect();
    assert_eq!(found(&(bad + &many)).len(), MAX_CANDIDATES);
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(header in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = CookieRule::default().candidates(&[&header], None);
    }

    #[test]
    fn what_we_set_we_find(bytes in any::<[u8; 24]>(), before in "[a-z=; ]{0,20}") {
        let id = Id::from_random(bytes);
        let sent = CookieRule::default().set(id.expose(), false);
        let pair = sent.split(';').next().unwrap();
        prop_assert_eq!(found(&format!("{before}; {pair}; y=2")), [id]);
    }
}
