//! Requests of one session side by side.

use crate::runner::cases;
use crate::subject::{Server, Subject};
use crate::support::locks::{locks, waiting};
use crate::support::wait_for;
use crate::watch::{at_once, in_time, ms, pause, timed, timely};

cases![
    K1 Http increments_of_several_clients_are_all_counted,
    K2 Http changes_of_different_keys_at_once_are_all_kept,
    K3 Http what_was_ended_during_a_slow_request_is_never_revived,
    K4 Http requests_that_only_read_go_on_beside_one_that_writes,
    K5 Server who_waits_too_long_is_answered_503_and_the_holder_is_named,
    K6 Server more_than_may_wait_are_answered_at_once,
    K7 Http who_came_first_is_served_first_and_nobody_starves,
    K10 Server a_request_never_waits_for_itself,
];

/// The modes in which a store must lose nothing; of another server there is the one it has.
fn modes(subject: &Subject) -> &'static [&'static str] {
    if subject.is_ours() { &["", "SessionLock access", "SessionLock none"] } else { &[""] }
}

fn increments_of_several_clients_are_all_counted(subject: &Subject) {
    for mode in modes(subject) {
        let server = subject.server(mode);
        // What reads a number and writes one more is exact where requests take turns; what adds is exact everywhere.
        for word in if mode.is_empty() { &["incr=n", "add=n:1"][..] } else { &["add=n:1", "add=n:1&save&add=n:1&add=n:-1"] } {
            let member = server.member();
            at_once(8, |_| {
                let mut client = member.clone();
                (0..30).for_each(|_| assert_eq!(client.ask(word).status, 200));
            });
            assert_eq!(member.clone().number("n"), 241, "{mode} {word}");
        }
    }
}

fn changes_of_different_keys_at_once_are_all_kept(subject: &Subject) {
    for mode in modes(subject) {
        let server = subject.server(mode);
        let member = server.member();
        at_once(8, |n| assert_eq!(member.clone().says(&format!("get=n&sleep={}&set=slow{n}:1&save", 20 * (n % 3))), "ok"));
        let mut values = member.clone().says("look&all");
        assert_eq!(values, format!("n=1{}", (0..8).map(|n| format!(" slow{n}=1")).collect::<String>()), "{mode}");
        // Values that grow and go, so that records move while others write to them.
        at_once(8, |n| {
            let mut client = member.clone();
            for round in 1..=25_usize {
                client.ask(&format!("set=k{n}:{round}&fill=pad{n}:{}&add=n:1", 400 * (round % 9)));
                client.ask(&format!("unset=pad{n}&add=n:1"));
            }
        });
        values = member.clone().says("look&all");
        for n in 0..8 {
            assert!(values.contains(&format!("k{n}=25")), "{mode}: {values}");
        }
        assert!(values.contains(&format!("n={}", 1 + 8 * 50)), "{mode}: {values}");
    }
}

/// What a slow request does, and what ends its session meanwhile.
const SLOW: [&str; 4] = [
    "set=late:1&sleep=500",
    "get=n&sleep=500&set=late:1&save",
    "add=n:1&sleep=500&fill=late:5000",
    "lock&sleep=500&set=late:1&delete&set=late:2",
];
const ENDS: [&str; 4] = ["destroy", "delete", "clear&save", "regenerate&destroy"];

fn what_was_ended_during_a_slow_request_is_never_revived(subject: &Subject) {
    for mode in modes(subject) {
        let server = subject.server(mode);
        let pairs: Vec<_> = SLOW.iter().flat_map(|slow| ENDS.map(|ends| (*slow, ends))).collect();
        for pairs in pairs.chunks(6) {
            at_once(pairs.len(), |n| {
                let (slow, ends) = pairs[n];
                ended_meanwhile(&server, slow, ends, mode);
            });
        }
        begun_anew_meanwhile(&server, mode);
        ended_by_a_race(&server, mode);
        moved_in_a_race(&server, mode);
    }
}

fn ended_meanwhile(server: &Server, slow: &str, ends: &str, mode: &str) {
    let member = server.member();
    let pending = member.begin(&format!("new&{slow}"));
    pause(200);
    let mut ending = member.clone();
    assert_eq!(ending.ask(ends).status, 200);
    let response = pending.finish();
    timely(response.line("new") == "0", "the slow request was the later one");
    // Where requests take turns, the slow one was over before.
    assert_eq!(
        response.set_cookies().iter().filter(|cookie| !cookie.contains("Max-Age=0")).count(),
        0,
        "{mode} {slow}, {ends}: a new cookie"
    );
    assert!(!server.knows(&member.id()), "{mode} {slow}, {ends}: it came back");
}

/// The same id may name another session: that of `delete` and a new value. A request that began with the old one has no part in it.
fn begun_anew_meanwhile(server: &Server, mode: &str) {
    for slow in ["get=n&sleep=500&set=late:1&save", "get=n&sleep=500&clear&save", "get=n&sleep=500&destroy"] {
        let member = server.member();
        let pending = member.begin(&format!("new&{slow}"));
        pause(200);
        let mut other = member.clone();
        assert_eq!(other.ask("delete&clear&set=fresh:1&save").line("save"), "ok");
        timely(pending.finish().line("new") == "0", "the slow request was the later one");
        // Where requests take turns the slow one was first, and the other one may have begun under another id.
        assert_eq!(other.says("look&all"), "fresh=1", "{mode} {slow}");
    }
}

/// Changes in quick succession while the session is ended, in the hope of meeting the moment.
fn ended_by_a_race(server: &Server, mode: &str) {
    for round in 0..15_u64 {
        let member = server.member();
        at_once(4, |n| {
            let mut client = member.clone();
            match n {
                0 => {
                    pause(round % 5 * 3);
                    assert_eq!(client.says("destroy"), "ok");
                }
                n => (0..6).for_each(|i| {
                    // Each with the old cookie, whatever it is answered.
                    let _ = member.clone().ask(&format!("look&get=n&fill=pad{n}:{}", 1500 * (i % 2)));
                    let _ = member.begin(&format!("add=n:1&fill=pad{n}:{}&save", 1500 * (i % 2))).finish();
                }),
            }
        });
        assert!(!server.knows(&member.id()), "{mode}: it came back");
    }
}

/// The id changes while the session is ended: it must not live on under any of them.
fn moved_in_a_race(server: &Server, mode: &str) {
    for round in 0..15_u64 {
        let member = server.member();
        let clients = at_once(4, |n| {
            let mut client = member.clone();
            pause((round + n as u64) % 4 * 2);
            match n {
                0 => assert_eq!(client.says("destroy"), "ok"),
                _ => (0..4).for_each(|_| assert_eq!(client.ask("regenerate").status, 200)),
            }
            client
        });
        for client in clients.iter().chain([&member]).filter(|client| client.has_cookie()) {
            assert!(!server.knows(&client.id()), "{mode}: it lives on under another id");
        }
    }
}

fn requests_that_only_read_go_on_beside_one_that_writes(subject: &Subject) {
    let server = subject.server("");
    let member = server.member();
    let slow = member.begin("set=m:2&sleep=2000");
    pause(300);
    let ((), took) = timed(|| {
        at_once(6, |_| {
            let mut client = member.clone();
            for _ in 0..5 {
                assert_eq!(client.value("n"), "1");
                timely(client.value("m") == "-", "what was not stored yet is seen, or the writer is done");
            }
        });
    });
    in_time(took, ms(1200), "60 readers beside a writer of 2 s");
    assert_eq!((slow.finish().line("set"), member.clone().value("m")), ("ok", "2".into()));
}

fn who_waits_too_long_is_answered_503_and_the_holder_is_named(subject: &Subject) {
    let server =
        subject.server_that_logs("SessionLockTimeout 1\n<Location /conform>\nSessionNotes On\n</Location>", &["SessionLockTimeout"]);
    let mut member = server.member();
    let holder = member.begin("pid&add=n:1&sleep=3000");
    wait_for("the holder", || (!locks(&server).is_empty()).then_some(()));
    let (response, took) = timed(|| member.ask("add=n:1"));
    timely(response.status != 200, "the holder is done");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    assert!(took > ms(950), "{took:?}");
    in_time(took, ms(2000), "a wait of 1 s");
    let pid = holder.finish().line("pid").to_owned();
    let line = server.wait_for_log("SessionLockTimeout");
    let reference = server.key(&member.id()).reference().to_string();
    assert!(line.contains(&format!("held by pid {pid} (GET /conform)")) && line.contains(&reference), "{line}");
    assert_eq!(member.says("add=n:1"), "3", "it goes on afterwards, and who was refused changed nothing");
}

fn more_than_may_wait_are_answered_at_once(subject: &Subject) {
    let conf = "SessionLockWaiters 2\n<Location /conform>\nSessionNotes On\n</Location>";
    let server = subject.server_that_logs(conf, &["SessionLockWaiters (2)"]);
    let mut member = server.member();
    let holder = member.begin("add=n:1&sleep=2000");
    wait_for("the holder", || (!locks(&server).is_empty()).then_some(()));
    let waiters = [(), ()].map(|()| member.begin("add=n:1"));
    wait_for("two waiters", || (waiting(&server) == 2).then_some(()));
    for _ in 0..3 {
        let (response, took) = timed(|| member.ask("add=n:1"));
        timely(response.status != 200, "the holder is done");
        assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
        in_time(took, ms(600), "an answer to one too many");
    }
    assert_eq!(server.visitor().ask("set=n:1").status, 200, "strangers do not wait");
    let mut sums: Vec<_> = waiters.into_iter().chain([holder]).map(|pending| pending.finish().line("add").to_owned()).collect();
    sums.sort();
    assert_eq!((sums, member.value("n")), (vec!["2".into(), "3".into(), "4".into()], "4".into()));
}

fn who_came_first_is_served_first_and_nobody_starves(subject: &Subject) {
    let server = subject.server("");
    let member = server.member();
    let holder = member.begin("int=turn:0&sleep=1500");
    pause(300);
    let queue: Vec<_> = (0..5)
        .map(|_| {
            let pending = member.begin("incr=turn");
            pause(150);
            pending
        })
        .collect();
    holder.finish();
    let turns: Vec<_> = queue.into_iter().map(|pending| pending.finish().line("incr").to_owned()).collect();
    timely(turns == ["1", "2", "3", "4", "5"], &format!("they were served in the order {turns:?}"));

    let until = std::time::Instant::now() + ms(1500);
    let served = at_once(5, |_| {
        let mut client = member.clone();
        let mut served = 0;
        while std::time::Instant::now() < until {
            assert_eq!(client.ask("incr=n&sleep=5").status, 200);
            served += 1;
        }
        served
    });
    let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
    timely(least * 3 >= *most && *least > 2, &format!("of five clients the requests served are {served:?}"));
    assert_eq!(member.clone().number("n"), 1 + served.iter().sum::<i64>());
}

fn a_request_never_waits_for_itself(subject: &Subject) {
    let server = subject.server(
        "SessionLockTimeout 3\nErrorDocument 403 /conform?incr=n\nErrorDocument 404 /notes?incr=session.n\n\
         <Location /other>\nSetHandler conform\nSessionIdCookie other\n</Location>",
    );
    let mut member = server.member();
    let ((), took) = timed(|| {
        for (words, more) in [
            ("incr=n&lock&lock&look&incr=n", 2),
            ("incr=n&sub=/conform?incr=n&incr=n", 3),
            ("incr=n&sub=/conform?look%26get=n&sub=/notes?get=session.n", 1),
            ("incr=n&internal=/conform?incr=n", 2),
            ("incr=n&internal=/conform?incr=n%26internal=/conform?incr=n", 3),
            ("incr=n&status=403", 2),
            ("incr=n&bucket=403", 2),
            ("incr=n&status=404", 2),
            ("incr=n&sub=/other?incr=n&incr=n", 2),
        ] {
            let before = member.number("n");
            let response = member.ask(words);
            assert!([200, 403, 404].contains(&response.status), "{words}: {}", response.text());
            assert_eq!(member.number("n"), before + more, "{words}");
        }
    });
    in_time(took, ms(2500), "all of that");
}
