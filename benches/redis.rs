//! `make bench`: the counter page with sessions in Redis, over each kind of connection, with and without leases, against the same server
//! without a session; and how a session passes from one server to another.
//!
//! Load generator, httpd and Redis share the machine: ratios to `hello` are taken from interleaved rounds of one run, and the median counts.

#[path = "measuring/mod.rs"]
mod measuring;
#[path = "../tests/support/mod.rs"]
mod support;

use std::thread;
use std::time::{Duration, Instant};

use measuring::{CONNECTIONS, Report, cpu_seconds, median, wrk};
use support::redis::{Redis, SYNCED};
use support::{Client, Httpd, Mpm};

const ROUNDS: usize = 7;
const SECONDS: u64 = 2;

fn main() {
    let plain = Redis::start(&[]);
    let synced = Redis::start(&SYNCED);
    let tls = Redis::with_tls("no");
    let pages = [
        ("hello", "Session Off\nSetHandler hello".to_owned()),
        ("file", "SessionDir @DIR@".into()),
        ("redis+unix", format!("SessionStore {}", plain.url())),
        ("redis+unix, access", format!("SessionStore {}\nSessionLock access", plain.url())),
        ("redis (loopback)", format!("SessionStore redis://127.0.0.1:{}", plain.port())),
        ("rediss (loopback)", format!("SessionStore rediss://127.0.0.1:{} ca={}", tls.port(), tls.file("ca.pem"))),
        ("redis+unix, synced", format!("SessionStore {}\nSessionSync On", synced.url())),
    ];
    let section = |(n, (_, conf)): (usize, &(&str, String))| {
        format!("<Location /page{n}>\nSetHandler count\nSessionIdCookie page{n}\n{conf}\n</Location>\n")
    };
    let conf: String = pages.iter().enumerate().map(section).collect();
    let conf = format!("SessionCleanupInterval 0\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n{conf}");
    let httpd = Httpd::with(Mpm::Event).log_level("notice").conf(&conf).workers(16).start();
    let of_redis: [u32; 3] = [&plain, &synced, &tls].map(|redis| redis.info("process_id").parse().expect("a number"));
    let cpu = || [cpu_seconds(httpd.children()), cpu_seconds(of_redis)];
    let mut rates = vec![Vec::new(); pages.len()];
    let mut costs = vec![Vec::new(); pages.len()];
    for round in 0..=ROUNDS {
        for n in 0..pages.len() {
            let before = cpu();
            let rate = load(&httpd, &format!("/page{n}"));
            let requests = rate * SECONDS as f64;
            if round > 0 {
                rates[n].push(rate); // the first one warms up
                let after = cpu();
                costs[n].push([0, 1].map(|of| (after[of] - before[of]) * 1e6 / requests));
            }
        }
    }
    println!("\n{CONNECTIONS} keep-alive connections, one session each; median of {ROUNDS} interleaved rounds of {SECONDS} s; event MPM\n");
    println!("{:<24}{:>12}{:>8}{:>22}{:>12}", "page", "requests/s", "ratio", "CPU us/request: httpd", "redis");
    for (((name, _), page), costs) in pages.iter().zip(&rates).zip(&costs) {
        let ratio = median(page.iter().zip(&rates[0]).map(|(rate, hello)| rate / hello));
        let [httpd, redis] = [0, 1].map(|of| median(costs.iter().map(|cost| cost[of])));
        println!("{name:<24}{:>12.0}{ratio:>8.2}{httpd:>22.1}{redis:>12.1}", median(page.iter().copied()));
    }
    hand_over(&plain);
}

/// One round of load on a page.
fn load(httpd: &Httpd, path: &str) -> f64 {
    Report::of_success(&mut wrk(httpd, path, "jar", SECONDS)).requests_per_second()
}

/// One session, wanted all the time by four clients: of one server, and of two.
fn hand_over(redis: &Redis) {
    let server = || Httpd::with(Mpm::Event).log_level("notice").conf(&format!("SessionStore {}", redis.url())).start();
    let servers = [server(), server()];
    let mut member = servers[0].client();
    member.get("/conform?int=n:0&save");
    let rate = |places: &[usize]| -> f64 {
        let end = Instant::now() + Duration::from_secs(SECONDS);
        let served: usize = thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|n| {
                    let mut client = Client::new(servers[places[n % places.len()]].port()).keep_alive();
                    member.cookies().iter().for_each(|(name, value)| client.set_cookie(name, value));
                    scope.spawn(move || {
                        let served = std::iter::from_fn(|| (Instant::now() < end).then(|| client.get("/conform?incr=n").status));
                        served.filter(|&status| status == 200).count()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("a client")).sum()
        });
        served as f64 / SECONDS as f64
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(rate(&[0]));
        two.push(rate(&[0, 1]));
    }
    println!("\none session, four clients: increments/s on one server {:.0}, on two {:.0}", median(one), median(two));
}
