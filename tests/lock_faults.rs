//! Whatever dies, stops or restarts while requests hold a session or wait for it: the next one goes on, and nothing is lost.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::locks::holder;
use support::{Client, Httpd, Mpm, Pending, mpm_tests, wait_for};

/// Who waited for a dead holder would wait for the 30 s of SessionLockTimeout.
const PATIENCE: Duration = Duration::from_secs(15);

fn begin_session(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get("/notes?set=session.n:0");
    client
}

fn signal(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal);
}

fn stored(client: &mut Client) -> i64 {
    // A process that was killed may take one more connection, which ends with it.
    let response = wait_for("an answer", || client.try_request("GET", "/notes?get=session.n", &[], b"").ok());
    response.line("get").parse().unwrap()
}

/// Increments by several clients until `stop`; the numbers that were acknowledged, and how many requests had no answer.
struct Load {
    acknowledged: Vec<i64>,
    unanswered: i64,
    longest: Duration,
}

fn increment(client: &Client, clients: usize, each: usize, stop: &AtomicBool) -> Load {
    let work = || {
        let mut client = client.clone();
        let mut load = Load { acknowledged: Vec::new(), unanswered: 0, longest: Duration::ZERO };
        while load.acknowledged.len() < each && !stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            match client.try_request("GET", "/notes?incr=session.n", &[], b"") {
                Ok(response) if response.status == 200 => {
                    load.acknowledged.push(response.line("incr").parse().unwrap());
                    load.longest = load.longest.max(started.elapsed());
                }
                Ok(response) => panic!("{}: {}", response.status, response.text()),
                Err(_) => load.unanswered += 1,
            }
        }
        load
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        let loads = threads.into_iter().map(|thread| thread.join().unwrap());
        loads.reduce(|a, b| Load {
            acknowledged: [a.acknowledged, b.acknowledged].concat(),
            unanswered: a.unanswered + b.unanswered,
            longest: a.longest.max(b.longest),
        })
    })
    .unwrap()
}

/// Ends the load, also when the test fails meanwhile.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Every acknowledged increment has a number of its own and is stored; those without an answer may be.
    fn check(mut self, stored: i64) {
        let acknowledged = i64::try_from(self.acknowledged.len()).unwrap();
        println!("{acknowledged} acknowledged, {} unanswered, {stored} stored, longest {:?}", self.unanswered, self.longest);
        self.acknowledged.sort_unstable();
        self.acknowledged.dedup();
        assert_eq!(i64::try_from(self.acknowledged.len()).unwrap(), acknowledged, "two requests read the same number");
        assert!((acknowledged..=acknowledged + self.unanswered).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
    }
}

fn killed_children_lose_no_acknowledged_increment(mpm: Mpm) {
    let pause = Duration::from_millis(if mpm == Mpm::Prefork { 100 } else { 400 });
    // Enough processes that some are left: the parent makes new ones once a second.
    let processes = match mpm {
        Mpm::Prefork => "StartServers 28\nMinSpareServers 16",
        _ => "ServerLimit 16\nThreadsPerChild 4\nStartServers 8\nMinSpareThreads 16\nMaxSpareThreads 64\nMaxRequestWorkers 64",
    };
    let mut httpd = Httpd::with(mpm).conf(&format!("SessionDir @DIR@\n{processes}")).workers(32).start();
    httpd.expect_log("exit signal Killed");
    httpd.expect_log("children are killed successively");
    let mut client = begin_session(&httpd);
    let stop = AtomicBool::new(false);
    let load = thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(&stop);
            let mut random = 0_usize;
            for _ in 0..20 {
                thread::sleep(pause);
                let children = httpd.children();
                random = random.wrapping_mul(31).wrapping_add(7);
                if let Some(&child) = children.get(random % children.len().max(1)) {
                    signal(child, Signal::KILL);
                }
            }
            let started = Instant::now();
            wait_for("an answer", || client_answers(&client));
            println!("the next request after the last kill: {:?}", started.elapsed());
            assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
            thread::sleep(Duration::from_millis(300));
        });
        increment(&client, 8, usize::MAX, &stop)
    });
    assert!(load.acknowledged.len() > 50, "{}", load.acknowledged.len());
    assert!(load.longest < PATIENCE, "{:?}", load.longest);
    load.check(stored(&mut client));
}

fn client_answers(client: &Client) -> Option<()> {
    let answer = client.clone().try_request("GET", "/notes?get=session.n", &[], b"");
    answer.is_ok_and(|response| response.status == 200).then_some(())
}

fn twenty_graceful_restarts_keep_requests_of_one_session_apart(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLockWaiters 30").workers(64).start();
    let mut client = begin_session(&httpd);
    let stop = AtomicBool::new(false);
    let load = thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = Stop(&stop);
            // Old children that still work while new ones come.
            let slow = (0..20).map(|_| {
                let pending = client.clone().begin("/notes?incr=session.n&sleep=20");
                thread::sleep(Duration::from_millis(100));
                httpd.graceful();
                pending
            });
            let slow: Vec<Pending> = slow.collect();
            drop(slow);
        });
        increment(&client, 4, usize::MAX, &stop)
    });
    let mut load = load;
    load.unanswered += 20; // the slow ones, whose answers nobody looked at
    assert!(load.acknowledged.len() > 40, "hardly any load");
    load.check(stored(&mut client));
    assert!(!httpd.error_log().contains("exit signal"));
}

/// The process of a request that sleeps, and the request.
fn sleeper(httpd: &Httpd, client: &Client, path: &str) -> (u32, Pending) {
    let pending = client.clone().begin(path);
    let pid = wait_for("the holder", || holder(httpd));
    (pid, pending)
}

fn a_killed_holder_is_passed_over_at_once(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(16).start();
    httpd.expect_log("exit signal Killed");
    let mut client = begin_session(&httpd);
    let (pid, held) = sleeper(&httpd, &client, "/notes?sleep=20000");
    let waiting: Vec<_> = (0..3).map(|_| client.clone()).collect();
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = waiting
            .into_iter()
            .map(|mut client| scope.spawn(move || client.try_request("GET", "/notes?incr=session.n&pid", &[], b"")))
            .collect();
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        signal(pid, Signal::KILL);
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(killed.elapsed() < Duration::from_millis(500), "{:?}", killed.elapsed());
        answers
    });
    drop(held);
    // In worker and event, some of those who waited were threads of the killed process.
    let answered = answers.iter().flatten().filter(|response| response.status == 200).count();
    assert!(answered == 3 || mpm != Mpm::Prefork, "{answered} of 3");
    let started = Instant::now();
    wait_for("an answer", || client_answers(&client));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(stored(&mut client) >= i64::try_from(answered).unwrap());
}

fn a_stopped_holder_keeps_its_session(mpm: Mpm) {
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLockTimeout 1").workers(16).expect_log("SessionLockTimeout").start();
    let mut client = begin_session(&httpd);
    let (pid, held) = sleeper(&httpd, &client, "/notes?incr=session.n&sleep=300");
    signal(pid, Signal::STOP);
    // The kernel may choose the stopped process for a connection, but not for one after the other.
    let asked: Vec<_> = (0..4).map(|_| client.clone().begin("/notes?incr=session.n")).collect();
    httpd.wait_for_log(&format!("held by pid {pid} (GET /notes)"));
    signal(pid, Signal::CONT);
    let statuses: Vec<_> = asked.into_iter().map(|pending| pending.finish().status).collect();
    let done = statuses.iter().filter(|&&status| status == 200).count();
    assert!(done < 4 && statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert_eq!(held.finish().line("incr"), "1");
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), (done + 2).to_string());
}

fn a_panic_gives_the_lease_up(mpm: Mpm) {
    let httpd =
        Httpd::with(mpm).conf("SessionDir @DIR@\nSessionLockTimeout 5").env("MSRS_FAULT_PANIC", "commit-held").expect_log("panic").start();
    let mut client = httpd.client();
    client.get("/notes?set=session.n:0");
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(client.get("/notes?incr=session.n").status, 500);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

fn the_server_stops_at_once_however_many_wait(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf("SessionDir @DIR@").workers(16).start();
    let client = begin_session(&httpd);
    let (_, held) = sleeper(&httpd, &client, "/notes?sleep=1500");
    let waiting: Vec<_> = (0..4).map(|_| client.clone().begin("/notes?sleep=1500")).collect();
    thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    httpd.stop();
    assert!(started.elapsed() < Duration::from_millis(2800), "{:?}", started.elapsed());
    drop((held, waiting));
    httpd.start_again();
}

fn other_mechanisms_than_the_default_serve_as_well(mpm: Mpm) {
    for mechanism in ["file:@ROOT@", "flock:@ROOT@", "sysvsem"] {
        let httpd = Httpd::with(mpm).conf(&format!("SessionDir @DIR@\nSessionMutexes 4\nMutex {mechanism} session-pool")).start();
        let mut client = begin_session(&httpd);
        let load = increment(&client, 6, 50, &AtomicBool::new(false));
        assert_eq!((load.acknowledged.len(), load.unanswered), (300, 0));
        load.check(stored(&mut client));
        httpd.graceful();
        increment(&client, 4, 10, &AtomicBool::new(false));
        assert_eq!(stored(&mut client), 340, "{mechanism}");
    }
}

fn another_size_of_the_pool_waits_for_a_full_restart(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf("SessionDir @DIR@\nSessionMutexes 4").start();
    let mut client = begin_session(&httpd);
    httpd.reconfigure("SessionDir @DIR@\nSessionMutexes 8\nSessionLockWaiters 20\n");
    httpd.graceful();
    assert!(httpd.wait_for_log("SessionMutexes 8 takes effect at a full restart").contains("notice"));
    httpd.wait_for_log("SessionLockWaiters 20 takes effect at a full restart");
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), "1");
    httpd.stop();
    httpd.start_again();
    httpd.wait_for_log("session-pool: 8 mutexes");
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), "2");
}

/// Locks come with the first SessionDir, be it at a restart.
fn a_first_session_directory_at_a_graceful_restart_has_locks(mpm: Mpm) {
    let mut httpd = Httpd::with(mpm).conf("").start();
    httpd.reconfigure("SessionDir @DIR@\n");
    httpd.graceful();
    let mut client = begin_session(&httpd);
    let load = increment(&client, 4, 25, &AtomicBool::new(false));
    load.check(stored(&mut client));
    assert_eq!(stored(&mut client), 100);
}

mpm_tests!(
    killed_children_lose_no_acknowledged_increment,
    twenty_graceful_restarts_keep_requests_of_one_session_apart,
    other_mechanisms_than_the_default_serve_as_well,
    another_size_of_the_pool_waits_for_a_full_restart,
    a_first_session_directory_at_a_graceful_restart_has_locks,
);
mpm_tests!(
    by_the_clock:
    a_killed_holder_is_passed_over_at_once,
    a_stopped_holder_keeps_its_session,
    a_panic_gives_the_lease_up,
    the_server_stops_at_once_however_many_wait,
);
