//! Sessions in Redis: several servers that share one, and a Redis that goes and comes.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::redis::{Redis, SYNCED};
use support::{Client, Httpd, Mpm, Setup, mpm_tests, wait_for};

fn setup(mpm: Mpm, url: &str) -> Setup {
    Httpd::with(mpm).conf(&format!("SessionStore {url}\nSessionLockWaiters 30\n<Location /conform>\nSessionNotes Off\n</Location>"))
}

/// A client of another server with the same cookies.
fn at(httpd: &Httpd, client: &Client) -> Client {
    let mut there = httpd.client();
    client.cookies().iter().for_each(|(name, value)| there.set_cookie(name, value));
    there
}

/// Somebody with a session in which `n` is 0.
fn member(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    assert_eq!(client.get("/conform?int=n:0&save").line("save"), "ok");
    client
}

fn number(client: &mut Client) -> u64 {
    client.get("/conform?look&get=n").line("get").parse().unwrap()
}

#[test]
fn increments_over_two_servers_are_all_counted() {
    let redis = Redis::start(&[]);
    let servers = [setup(Mpm::Event, &redis.url()).start(), setup(Mpm::Prefork, &redis.url()).start()];
    let mut member = member(&servers[0]);
    let started = Instant::now();
    let slowest: Vec<Duration> = thread::scope(|scope| {
        let client = |n: usize| {
            let mut clients = servers.each_ref().map(|httpd| at(httpd, &member));
            scope.spawn(move || {
                let mut slowest = Duration::ZERO;
                for round in 0..200 {
                    let asked = Instant::now();
                    let response = clients[(n + round) % 2].get("/conform?incr=n");
                    assert_eq!(response.status, 200, "{}", response.text());
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            })
        };
        let clients: Vec<_> = (0..8).map(client).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    println!("1600 increments in {:?}, the slowest {:?}", started.elapsed(), slowest.iter().max());
    assert_eq!(number(&mut member), 1600);
    assert_eq!(number(&mut at(&servers[1], &member)), 1600);
    assert!(redis.cli(&["KEYS", "msrs1:lease:*"]).is_empty() && redis.cli(&["KEYS", "msrs1:queue:*"]).is_empty(), "nothing is left");
}

#[test]
fn a_log_out_on_one_server_is_seen_on_the_other_at_once() {
    let redis = Redis::start(&[]);
    let [one, two] = [(); 2].map(|()| setup(Mpm::Event, &redis.url()).start());
    for _ in 0..20 {
        let mut here = member(&one);
        let mut there = at(&two, &here);
        assert_eq!(there.get("/conform?look").line("look"), "1");
        let before = at(&two, &here);
        assert_eq!(here.get("/conform?destroy").line("destroy"), "ok");
        assert_eq!(there.get("/conform?look").line("look"), "0");
        assert_eq!(at(&one, &before).get("/conform?new&invalidated").line("invalidated"), "1");
    }
    // Nor does a request revive it that held the session on the other server meanwhile.
    let mut here = member(&one);
    let slow = at(&two, &here).begin("/conform?look&sleep=400&set=late:1&save");
    thread::sleep(Duration::from_millis(100));
    here.get("/conform?destroy");
    let _ = slow.finish();
    assert_eq!(here.get("/conform?look").line("look"), "0");
}

#[test]
fn a_session_is_held_on_one_server_at_a_time_and_the_log_names_the_holder() {
    let redis = Redis::start(&[]);
    let one = setup(Mpm::Event, &redis.url()).start();
    let two = setup(Mpm::Event, &redis.url()).conf("SessionLockTimeout 1").expect_log("held on another server").start();
    let mut here = member(&one);
    let slow = here.clone().begin("/conform?incr=n&sleep=3000");
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    let response = at(&two, &here).get("/conform?get=n");
    assert_eq!(response.line("get"), "!busy");
    assert!((900..2500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    let line = two.wait_for_log("not granted in 1s (SessionLockTimeout), held on another server by ");
    assert!(line.contains(&format!("{}", one.children()[0])) || line.contains(&format!("{}", one.children()[1])), "{line}");
    assert!(line.ends_with(", GET /conform"), "{line}");
    assert_eq!(at(&two, &here).get("/conform?look&get=n").line("get"), "0", "who only reads does not wait");
    assert_eq!(slow.finish().line("incr"), "1");
    assert_eq!(at(&two, &here).get("/conform?incr=n").line("incr"), "2");
    here.get("/conform?get=n");
}

#[test]
fn who_lost_a_lease_merges_and_the_log_says_so() {
    let redis = Redis::start(&[]);
    let one = setup(Mpm::Event, &redis.url()).expect_log("taken over while this request held it").start();
    let two = setup(Mpm::Event, &redis.url()).start();
    for (before, end) in ["", "&unlock"].into_iter().enumerate() {
        let mut here = member(&one);
        let slow = here.clone().begin(&format!("/conform?add=n:1&set=here:1&sleep=1000{end}"));
        let lease = wait_for("the lease", || Some(redis.cli(&["KEYS", "msrs1:lease:*"])).filter(|name| !name.is_empty()));
        assert_eq!(redis.cli(&["DEL", &lease]), "1");
        assert_eq!(at(&two, &here).get("/conform?incr=n&set=there:1").line("incr"), "1");
        slow.finish();
        let told = || one.log_lines_with("taken over while this request held it; what it changed was merged").len();
        wait_for("the log", || (told() == before + 1).then_some(()));
        assert_eq!(here.get("/conform?look&all").line("all"), "here=1 n=2 there=1");
    }
}

#[test]
fn a_session_that_is_locked_before_it_is_stored_is_found_afterwards() {
    let redis = Redis::start(&[]);
    let response = setup(Mpm::Event, &redis.url()).start().get("/capi?open=create&lock&set_int=n:1&save&load&get_int=n");
    assert_eq!((response.line("load"), response.line("get_int")), ("OK", "OK 1"));
}

fn nothing_is_connected_before_a_child_needs_it(mpm: Mpm) {
    let redis = Redis::start(&[]);
    let httpd = setup(mpm, &redis.url()).start();
    let connected = || redis.cli(&["CLIENT", "LIST"]).lines().filter(|line| !line.contains("cmd=client|list")).count();
    httpd.get("/hello");
    assert_eq!(connected(), 0);
    let mut client = httpd.client();
    client.get("/notes?incr=session.n");
    assert_eq!(connected(), 1);
    httpd.graceful();
    assert_eq!(client.get("/notes?incr=session.n&get=session.n").line("get"), "2");
}

fn without_redis_nothing_is_taken_for_absent_and_with_it_all_goes_on(mpm: Mpm) {
    let mut redis = Redis::start(&SYNCED);
    let httpd = setup(mpm, &redis.url()).expect_log("cannot l").expect_log("cannot save").start();
    let mut client = httpd.client();
    client.get("/notes?incr=session.n");
    let (id, children) = (client.cookie("sid").unwrap().to_owned(), httpd.children());
    let slow = client.clone().begin("/conform?add=n:1&sleep=800");
    thread::sleep(Duration::from_millis(300));
    redis.kill();
    let started = Instant::now();
    for _ in 0..20 {
        let response = client.get("/notes?get=session:error&get=session.n&incr=session.n");
        assert_eq!((response.status, response.set_cookies().len()), (200, 0), "{}", response.text());
        assert_eq!(response.lines("get"), ["store", "-"]);
        let response = client.get("/conform?look&get=n");
        assert_eq!((response.line("look"), response.line("get"), response.set_cookies().len()), ("!store", "!store", 0));
        assert_eq!(client.get("/conform?get=n").line("get"), "!store", "not busy");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(slow.finish().status, 200);
    assert!(httpd.wait_for_log("cannot l").contains(&format!("SessionStore {}: ", redis.url())));
    redis.start_again();
    // Each child finds out for itself, within a second.
    let found = wait_for("the store to be there", || {
        let response = client.get("/notes?get=session:error&incr=session.n&get=session.n");
        let [error, n] = response.lines("get")[..] else { panic!("{}", response.text()) };
        (error == "-").then(|| n.to_owned())
    });
    assert_eq!(found, "2");
    assert_eq!((client.cookie("sid"), httpd.children()), (Some(&*id), children));
}

#[test]
fn a_page_that_counts_asks_redis_twice() {
    let redis = Redis::start(&[]);
    let httpd = setup(Mpm::Event, &redis.url()).start();
    let mut client = httpd.client();
    for _ in 0..20 {
        client.get("/count"); // all children have their connections by now, and know the scripts
    }
    let calls = |command: &str| -> u32 {
        redis.info(&format!("cmdstat_{command}")).split(['=', ',']).nth(1).map_or(0, |calls| calls.parse().unwrap())
    };
    let before = ["evalsha", "hello", "client|setinfo"].map(calls);
    let gets = calls("get");
    (0..10).for_each(|_| assert_eq!(client.get("/count").status, 200));
    let after = ["evalsha", "hello", "client|setinfo"].map(calls);
    assert_eq!((after[0] - before[0], after[1..].to_vec()), (10, before[1..].to_vec()), "the lease comes with the record and goes with it");
    assert_eq!(calls("get") - gets, 20, "the record, and within the script the lease");
}

/// What clients saw that added to one number, while something happened to the store.
#[derive(Default)]
struct Ledger {
    acknowledged: AtomicU64,
    /// Answered with an error: whether it was done is not known.
    failed: AtomicU64,
}

/// Adds all the time. The session must never be taken for absent.
fn add_until(stop: &AtomicBool, mut client: Client, ledger: &Ledger) {
    while !stop.load(Ordering::Relaxed) {
        let response = client.get("/conform?add=n:1&new&save");
        assert_eq!((response.status, response.set_cookies().len()), (200, 0), "{}", response.text());
        assert_ne!(response.line("new"), "1", "it was taken for absent: {}", response.text());
        // What could not be opened at first may be by then, and has nothing to save.
        let is_done = !response.line("add").starts_with('!') && response.line("save") == "ok";
        let count = if is_done { &ledger.acknowledged } else { &ledger.failed };
        count.fetch_add(1, Ordering::Relaxed);
        if !is_done {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Four clients on each server add while `happens`; nothing acknowledged may be lost, nor done twice.
fn adding(servers: &[Httpd], happens: impl FnOnce(&Ledger)) {
    let mut member = member(&servers[0]);
    let children: Vec<_> = servers.iter().map(Httpd::children).collect();
    let (stop, ledger) = (AtomicBool::new(false), Ledger::default());
    thread::scope(|scope| {
        for client in 0..4 * servers.len() {
            let client = at(&servers[client % servers.len()], &member);
            scope.spawn(|| add_until(&stop, client, &ledger));
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| happens(&ledger)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    let [acknowledged, failed] = [ledger.acknowledged, ledger.failed].map(AtomicU64::into_inner);
    let stored = number(&mut member);
    println!("{acknowledged} acknowledged, {failed} failed, {stored} stored");
    assert!((acknowledged..=acknowledged + failed).contains(&stored), "{acknowledged} acknowledged, {failed} failed, {stored} stored");
    assert!(acknowledged > 100 && failed > 0, "hardly any load");
    assert_eq!(servers.iter().map(Httpd::children).collect::<Vec<_>>(), children, "a child died");
}

/// Waits until so many more are acknowledged.
fn progress(ledger: &Ledger, more: u64) {
    let goal = ledger.acknowledged.load(Ordering::Relaxed) + more;
    wait_for("the store to be used again", || (ledger.acknowledged.load(Ordering::Relaxed) >= goal).then_some(()));
}

#[test]
fn redis_stopped_and_started_under_load_loses_nothing_acknowledged() {
    let mut redis = Redis::start(&SYNCED);
    let server = || setup(Mpm::Event, &redis.url()).expect_log("cannot ").expect_log("taken over while").start();
    let servers = [server(), server()];
    adding(&servers, |ledger| {
        for round in 0..4 {
            progress(ledger, 100);
            if round % 2 == 0 {
                redis.kill()
            } else {
                redis.stop()
            }
            thread::sleep(Duration::from_millis(300));
            redis.start_again();
        }
        progress(ledger, 100);
    });
}

#[test]
fn a_killed_primary_under_sentinels_loses_nothing_that_session_sync_acknowledged() {
    let mut primary = Redis::start(&SYNCED);
    let of = format!("replicaof 127.0.0.1 {}", primary.port());
    let replicas = [(); 2].map(|()| Redis::start(&[SYNCED[0], SYNCED[1], &of]));
    replicas.iter().for_each(|replica| replica.wait_until("it follows", |redis| redis.info("master_link_status") == "up"));
    let sentinels = [(); 3].map(|()| Redis::sentinel(&primary, 2));
    let knows_all = |redis: &Redis| {
        let state = redis.cli(&["SENTINEL", "MASTER", "main"]);
        let field = |name: &str| state.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
        field("num-slaves").as_deref() == Some("2") && field("num-other-sentinels").as_deref() == Some("2")
    };
    sentinels.iter().for_each(|sentinel| sentinel.wait_until("it knows all", knows_all));
    let hosts: Vec<_> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let url = format!("redis+sentinel://{}/main", hosts.join(","));
    let server = || setup(Mpm::Event, &url).conf("SessionSync On").expect_log("cannot ").expect_log("taken over while").start();
    let servers = [server(), server()];
    adding(&servers, |ledger| {
        progress(ledger, 100);
        primary.kill();
        let started = Instant::now();
        progress(ledger, 100);
        println!("used again after {:?}", started.elapsed());
        primary.start_again(); // the sentinels make a replica of it
        primary.wait_until("it follows", |redis| redis.info("role") == "slave");
        progress(ledger, 100);
    });
}

mpm_tests!(nothing_is_connected_before_a_child_needs_it, without_redis_nothing_is_taken_for_absent_and_with_it_all_goes_on);
