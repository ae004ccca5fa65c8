//! Requests of many clients on the same sessions at once, over HTTP: what must hold however they meet.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::choice::{once_in, pick};
use crate::oracle::{Check, demand};
use crate::over_http::{CLIENTS, FOLLOWING};
use crate::support::{Client, Httpd, Response};

/// Who presents an old id follows this often.
const MOST_MOVES: u32 = 8;

/// What ends a run in which nobody comes further.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session that everybody works with.
struct Shared {
    tag: String,
    owner: Client,
    sum: AtomicI64,
    moves: AtomicU32,
}

impl Shared {
    fn new(httpd: &Httpd, tag: String) -> Shared {
        let mut owner = httpd.client().keep_alive();
        owner.get(&format!("/capi?open=create&set_text=tag:{tag}&set_int=n:0"));
        Shared { tag, owner, sum: AtomicI64::new(0), moves: AtomicU32::new(0) }
    }
}

fn path(rng: &mut Rng) -> &'static str {
    FOLLOWING[rng.usize(..FOLLOWING.len())]
}

fn expect(response: &Response, op: &str, expected: &str) -> Check {
    demand!(response.lines(op) == [expected], "{op} instead of {expected:?}: status {}\n{}", response.status, response.text());
    Ok(())
}

/// Runs `work` for each client at once; the first difference counts.
fn all_at_once(rng: &mut Rng, work: impl Fn(usize, Rng) -> Check + Sync) -> Check {
    let generators: Vec<_> = (0..CLIENTS).map(|_| rng.fork()).collect();
    thread::scope(|scope| {
        let work = &work;
        let clients: Vec<_> = generators.into_iter().enumerate().map(|(n, rng)| scope.spawn(move || work(n, rng))).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client that did not panic"))
    })
}

/// Every client adds to one number of each session and writes keys of its own, while ids change: nothing is lost, nothing is mixed.
/// Answers the number of requests.
pub fn merging(httpd: &Httpd, rng: &mut Rng, rounds: u64) -> Check<u64> {
    let mut shared: Vec<_> = (0..3).map(|n| Shared::new(httpd, format!("session{n}"))).collect();
    let last = [const { [const { AtomicI64::new(0) }; 3] }; CLIENTS];
    all_at_once(rng, |client, mut rng| {
        let mut jars: Vec<_> = shared.iter().map(|shared| shared.owner.clone()).collect();
        for _ in 0..rounds {
            let n = rng.usize(..shared.len());
            work_with(&shared[n], &mut jars[n], (client, &last[client][n]), &mut rng)?;
        }
        Ok(())
    })?;
    for (n, shared) in shared.iter_mut().enumerate() {
        let keys: String = (0..CLIENTS).map(|client| format!("&get_int=own{client}")).collect();
        let response = shared.owner.get(&format!("/capi?open=&get_text=tag&len&get_int=n{keys}"));
        expect(&response, "get_text", &format!("OK {}", shared.tag))?;
        let own: Vec<_> = last.iter().map(|last| last[n].load(Ordering::Relaxed)).collect();
        let own = own.iter().map(|value| if *value == 0 { "NONE".into() } else { format!("OK {value}") });
        let expected: Vec<_> = std::iter::once(format!("OK {}", shared.sum.load(Ordering::Relaxed))).chain(own).collect();
        demand!(response.lines("get_int") == expected, "{:?} instead of {expected:?}", response.lines("get_int"));
        expect(&shared.owner.get("/capi?open=&invalidate"), "invalidate", "OK")?;
    }
    Ok(CLIENTS as u64 * rounds + 9)
}

/// One request. Its client's own key holds `last`, or is not there if that is 0.
fn work_with(shared: &Shared, jar: &mut Client, (client, last): (usize, &AtomicI64), rng: &mut Rng) -> Check {
    let (before, delta, own) = (last.load(Ordering::Relaxed), rng.i64(-20..100), format!("own{client}"));
    let next = if before != 0 && once_in(rng, 5) { 0 } else { before.abs() + 1 };
    let change = if next == 0 { format!("unset={own}") } else { format!("set_int={own}:{next}") };
    let mut query = format!("open=&get_text=tag&get_int={own}&{change}");
    for extra in ["&save", "&load", "&sleep=2"] {
        if once_in(rng, 5) {
            query += extra;
        }
    }
    query += &format!("&add=n:{delta}");
    if once_in(rng, 20) && shared.moves.fetch_add(1, Ordering::Relaxed) < MOST_MOVES {
        query += "&regenerate=0";
    }
    let response = jar.get(&format!("{}?{query}", path(rng)));
    expect(&response, "open", "OK")?;
    expect(&response, "get_text", &format!("OK {}", shared.tag))?;
    let shown = if before == 0 { "NONE".to_owned() } else { format!("OK {before}") };
    expect(&response, "get_int", &shown)?;
    expect(&response, "add", "OK")?;
    for op in ["save", "load", "unset", "set_int", "regenerate"] {
        demand!(response.lines(op).iter().all(|answer| *answer == "OK"), "{op}:\n{}", response.text());
    }
    last.store(next, Ordering::Relaxed);
    shared.sum.fetch_add(delta, Ordering::Relaxed);
    Ok(())
}

/// One client ends a session, or changes its rights, while the others add to it: from the answer on its old id is worth nothing, and
/// what was answered as saved before is there. Answers the number of requests.
pub fn ending(httpd: &Httpd, rng: &mut Rng) -> Check<u64> {
    let (how, survives) = *pick(
        rng,
        &[
            ("invalidate", false),
            ("remove", false),
            ("expire", false),
            ("clear&save", false),
            ("regenerate=1", true),
            ("set_user=ann", true),
        ],
    );
    let shared = Shared::new(httpd, "ending".into());
    let (ended, done, patience) = (AtomicBool::new(false), AtomicU64::new(0), rng.u64(..40));
    let (last_words, deadline) = (Mutex::new(None), Instant::now() + PATIENCE);
    all_at_once(rng, |client, mut rng| {
        let mut jar = shared.owner.clone();
        if client == 0 {
            while done.load(Ordering::Relaxed) < patience && Instant::now() < deadline {
                thread::yield_now();
            }
            let response = jar.get(&format!("{}?open=&{how}", path(&mut rng)));
            ended.store(true, Ordering::SeqCst);
            expect(&response, "open", "OK")?;
            let op = how.split(['=', '&']).next().unwrap_or(how);
            expect(&response, op, "OK")?;
            *last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(jar);
            return Ok(());
        }
        loop {
            demand!(Instant::now() < deadline, "nobody ended the session");
            let over = ended.load(Ordering::SeqCst);
            let response = jar.get(&format!("{}?open=&add=n:1&save", path(&mut rng)));
            done.fetch_add(1, Ordering::Relaxed);
            let opened = response.line("open") == "OK";
            demand!(!(over && opened), "{how} was answered, and the old id leads to the session still:\n{}", response.text());
            if opened && response.line("save") == "OK" {
                shared.sum.fetch_add(1, Ordering::Relaxed);
            } else if opened {
                expect(&response, "save", "GONE")?;
            }
            demand!(response.set_cookies().is_empty(), "a cookie was sent, although nothing is new");
            if over {
                return Ok(());
            }
        }
    })?;
    let response = shared.owner.clone().get("/capi?open=&get_int=n");
    expect(&response, "open", "NONE")?;
    let mut jar = last_words.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or("nobody ended it")?;
    demand!(jar.cookie("sid") != shared.owner.cookie("sid") || how == "remove", "the client has its old cookie still after {how}");
    let response = jar.get("/capi?open=&get_int=n");
    if survives {
        expect(&response, "get_int", &format!("OK {}", shared.sum.load(Ordering::Relaxed)))?;
        jar.get("/capi?open=&invalidate");
    } else {
        expect(&response, "open", "NONE")?;
    }
    Ok(done.load(Ordering::Relaxed) + 5)
}
