//! `make bench`: the counter page with sessions in Redis, over each kind of connection, with and without leases, against the same server
//! without a session; and how a session passes from one server to another.
//!
//! Load generator, httpd and Redis share the machine: ratios to `hello` are taken from interleaved rounds of one run, and the median counts.

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::redis::{Redis, SYNCED};
use support::{Client, Httpd, Mpm};

const ROUNDS: usize = 7;
const SECONDS: u64 = 2;
const CONNECTIONS: usize = 8;

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
    let of_redis: Vec<u32> = [&plain, &synced, &tls].iter().map(|redis| redis.info("process_id").parse().unwrap_or(0)).collect();
    let mut rates = vec![Vec::new(); pages.len()];
    let mut costs = vec![Vec::new(); pages.len()];
    for round in 0..=ROUNDS {
        for n in 0..pages.len() {
            let before = [cpu(&httpd.children()), cpu(&of_redis)];
            let rate = load(&httpd, &format!("/page{n}"));
            let requests = rate * SECONDS as f64;
            if round > 0 {
                rates[n].push(rate); // the first one warms up
                costs[n].push([cpu(&httpd.children()) - before[0], cpu(&of_redis) - before[1]].map(|seconds| seconds * 1e6 / requests));
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

/// User and system time of processes, in seconds.
fn cpu(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    };
    pids.iter().filter_map(ticks).sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// One round of load on a page.
fn load(httpd: &Httpd, path: &str) -> f64 {
    let url = format!("http://127.0.0.1:{}{path}", httpd.port());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/jar.lua");
    let options = [format!("-t{CONNECTIONS}"), format!("-c{CONNECTIONS}"), format!("-d{SECONDS}s")];
    let output = Command::new("wrk").args(options).args(["-s", script, &url]).output().expect("wrk: make bench installs it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !text.contains("Non-2xx"), "{path}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("a rate").trim().parse().expect("a number")
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
    println!(
        "\none session, four clients: increments/s on one server {:.0}, on two {:.0}",
        median(one.into_iter()),
        median(two.into_iter())
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
