use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn whatever_is_a_target_is_the_same_as_it_is_shown(url in "(redis|rediss|redis\\+unix|redis\\+sentinel)://[a-b0-2:@/?.,=%\\[\\]]{0,24}") {
        if let Ok(target) = Target::parse(&[&url]) {
            let shown = target.to_string();
            let again = Target::parse(&[&shown]).unwrap();
            prop_assert_eq!((&again.peer, again.db, again.user, again.password), (&target.peer, target.db, None, None), "{}", shown);
        }
    }

    #[test]
    fn a_password_is_in_no_error(password in "[xyz:/?.,=%@\\[\\]]{1,12}", rest in "[a-b0-2:/?.,=]{0,12}") {
        if let Err(why) = Target::parse(&[&format!("redis://:secret{password}@{rest}")]) {
            prop_assert!(!why.contains("secret"), "{}", why);
        }
    }
}

fn target(words: &str) -> Target {
    Target::parse(&words.split(' ').collect::<Vec<_>>()).unwrap()
}

fn why(words: &str) -> String {
    Target::parse(&words.split(' ').collect::<Vec<_>>()).unwrap_err()
}

#[test]
fn each_form_says_what_it_means() {
    let all = [
        ("redis://cache", Peer::Tcp("cache".into(), 6379), 0),
        ("REDIS://cache:7000/3", Peer::Tcp("cache".into(), 7000), 3),
        ("valkey://[::1]:7000/", Peer::Tcp("::1".into(), 7000), 0),
        ("rediss://[fe80::2]", Peer::Tls("fe80::2".into(), 6379), 0),
        ("valkeys://cache", Peer::Tls("cache".into(), 6379), 0),
        ("Valkey+unix:///run/valkey.sock", Peer::Unix("/run/valkey.sock".into()), 0),
        ("valkey+sentinel://one/main", Peer::Sentinel(vec![("one".into(), 26379)], "main".into()), 0),
        ("redis+unix:///run/redis/redis.sock?db=2", Peer::Unix("/run/redis/redis.sock".into()), 2),
        (
            "redis+sentinel://one,two:26380,[::1]/main/1",
            Peer::Sentinel(vec![("one".into(), 26379), ("two".into(), 26380), ("::1".into(), 26379)], "main".into()),
            1,
        ),
    ];
    for (url, peer, db) in all {
        let target = target(url);
        assert_eq!((&target.peer, target.db, &*target.prefix), (&peer, db, PREFIX), "{url}");
        assert_eq!(Target::parse(&[&target.to_string()]).unwrap(), target, "{url} as it is shown");
    }
}

#[test]
fn user_and_password_are_decoded_and_shown_nowhere() {
    for (url, user, password) in [
        ("redis://ann:p%40s%3as@h", Some("ann"), Some("p@s:s")),
        ("redis://:p@ss@h", None, Some("p@ss")),
        ("redis://ann@h", Some("ann"), None),
        ("redis+unix://ann:p@/s@t", Some("ann"), Some("p")),
        ("redis://:p/q@h", None, Some("p/q")),
        ("redis+sentinel://:p@h/m", None, Some("p")),
    ] {
        let target = target(url);
        assert_eq!((target.user.as_deref(), target.password.as_deref()), (user, password), "{url}");
        if let Some(password) = password {
            assert!(!format!("{target} {target:?}").contains(&format!("{password}@")), "{target:?}");
        }
    }
    for bad in ["redis://u:se%zzcret@h", "redis://u:secret@", "redis://u:secret@h:0", "redis://u:secret@h ca=x", "radis://u:secret@h"] {
        assert!(!why(bad).contains("cret"), "{}", why(bad));
    }
    assert!(!why("redis://h password=secret").contains("secret"));
    assert!(why("redis://u:p@h passwordfile=x").contains("twice"));
}

#[test]
fn words_behind_the_url_are_told_apart_and_checked() {
    let target = target("rediss://h ca=/a cert=b key=c passwordfile=d prefix=shop:");
    let paths = Paths { password: Some("d".into()), ca: Some("/a".into()), cert: Some("b".into()), key: Some("c".into()) };
    assert_eq!((target.paths, &*target.prefix), (paths, "shop:"));
    for (bad, remedy) in [
        ("redis://h ca=x", "rediss://"),
        ("rediss://h cert=x", "key=file"),
        ("redis://h timeout=3", "knows ca="),
        ("redis://h 3", "name=value"),
        ("redis://h prefix=", "name=value"),
        ("redis://h prefix=\u{e4}", "ASCII"),
    ] {
        assert!(why(bad).contains(remedy), "{bad}: {}", why(bad));
    }
}

#[test]
fn what_is_no_url_of_ours_is_refused_with_the_value_and_the_remedy() {
    for (bad, remedy) in [
        ("redis:", "host"),
        ("redis://", "host"),
        ("redis:///0", "host"),
        ("redis://h:port", "a port is"),
        ("redis://h:70000", "a port is"),
        ("redis://::1", "host"),
        ("redis://[::1", "does not end"),
        ("redis://h/zero", "a database is a number"),
        ("redis://h/-1", "a database is a number"),
        ("redis+unix://run/redis.sock", "absolute path"),
        ("redis+unix:///s?user=x", "db=number"),
        ("redis+sentinel://h", "mymaster"),
        ("redis+sentinel:///m", "host"),
        ("redis+cluster://h", "the schemes are"),
    ] {
        let why = why(bad);
        assert!(why.contains(remedy) && why.contains(bad.split_once("://").map_or("", |(_, rest)| rest)), "{bad}: {why}");
    }
}

#[test]
fn other_words_are_not_for_us() {
    assert!(is_redis("redis://h") && is_redis("rediss://h") && is_redis("redis+cluster://h") && is_redis("Valkey://h"));
    assert!(!is_redis("file") && !is_redis("redis") && !is_redis("memory:64M"));
}
