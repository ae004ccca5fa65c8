//! Connections that break, and servers that go and come.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::proxy::Proxy;
use super::*;

/// A store whose writes can lose their answers, and one beside it.
fn behind_a_proxy(redis: &Redis) -> (Proxy, RedisStore, RedisStore) {
    let proxy = Proxy::start(redis.port(), &[]);
    let away = store(&format!("redis://127.0.0.1:{}", proxy.port));
    (proxy, away, store(&redis.url()))
}

#[test]
fn a_write_whose_answer_was_lost_is_done_once() {
    let redis = Redis::start(&[]);
    let (proxy, away, near) = behind_a_proxy(&redis);
    assert_eq!(away.load(&key(9)).unwrap(), None); // connected, and the scripts are known
    away.create(&key(9), &blob(1, b"9"), Durability::Process).unwrap();
    write(&away, &key(9), blob(1, b"9")).unwrap();

    proxy.lose_an_answer();
    assert!(away.create(&key(1), &blob(1, b"0"), Durability::Process).unwrap(), "it was created, by this");
    assert!(proxy.has_lost());
    let mut calls = 0;
    for n in 1..=20 {
        away.load(&key(1)).unwrap(); // the next question is the write
        proxy.lose_an_answer();
        let mut add = |found: Option<&Blob>| {
            calls += 1;
            let n: u32 = std::str::from_utf8(&found.unwrap().bytes).unwrap().parse().unwrap();
            Change::Write(blob(1, (n + 1).to_string().as_bytes()))
        };
        assert_eq!(away.update(&key(1), Durability::Process, &mut add).unwrap(), Outcome::Written);
        assert!(proxy.has_lost());
        assert_eq!(near.load(&key(1)).unwrap().unwrap().bytes, n.to_string().as_bytes());
    }
    assert_eq!(calls, 20, "none was done twice");
    away.load(&key(1)).unwrap();
    proxy.lose_an_answer();
    assert_eq!(away.update(&key(1), Durability::Process, &mut |_| Change::Delete).unwrap(), Outcome::Deleted);
    assert!(proxy.has_lost() && near.load(&key(1)).unwrap().is_none());
}

#[test]
fn what_is_found_after_a_lost_answer_tells_whether_the_write_was_done() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    let [zero, mine, other, third] = [1, 2, 3, 4].map(|n| Version([n; 8]));
    let name = store.shared.name(&key(1));
    let write = Write { over: zero, version: mine, to: Some((format::encode(&key(1), mine, zero, &blob(1, b"mine")), None)) };
    // (what is there, whether the write ends as done, as not done, or nobody knows)
    for (version, before, expected) in [
        (mine, zero, "done"),
        (other, mine, "done"),
        (zero, third, "done"), // it was not, and is now
        (other, zero, "other"),
        (third, other, "unknown"),
    ] {
        let there = format::encode(&key(1), version, before, &blob(1, b"there"));
        let answer = store.shared.pool.run(|link, _| {
            Cmd::new().arg("SET").arg(&name).arg(&there[..]).exec(&mut link.connection)?;
            Ok(write::attempt(link, &store.shared, &name, &write, (None, Durability::Process), true))
        });
        let got = match answer.unwrap() {
            Ok(Answer::Done) => "done",
            Ok(Answer::Other(_)) => "other",
            Err(error) if error.to_string().contains("not known") => "unknown",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(got, expected, "{version:?} over {before:?}");
    }
}

#[test]
fn an_end_whose_answer_was_lost_counts_once_a_replica_has_it() {
    let redis = Redis::start(&SYNCED);
    let mut store = store(&redis.url());
    Arc::get_mut(&mut store.shared).unwrap().has_replicas = true; // as with sentinels, and there is none
    let name = store.shared.name(&key(1));
    let gone = Write { over: Version([1; 8]), version: Version([2; 8]), to: None };
    for again in [false, true] {
        let there = format::encode(&key(1), gone.over, Version::default(), &blob(1, b"there"));
        let answer = store.shared.pool.run(|link, _| {
            if !again {
                Cmd::new().arg("SET").arg(&name).arg(&there[..]).exec(&mut link.connection)?;
            }
            write::attempt(link, &store.shared, &name, &gone, (None, Durability::Machine), again).map(drop)
        });
        let why = answer.unwrap_err().to_string();
        assert!(why.contains("no replica had the write"), "again {again}: {why}");
    }
}

#[test]
fn a_server_that_goes_is_a_failure_at_once_and_one_that_comes_back_is_used_again() {
    let mut redis = Redis::start(&SYNCED);
    let store = store(&redis.url());
    store.create(&key(1), &blob(u64::MAX, b"v"), Durability::Machine).unwrap();
    for round in 0..2 {
        if round == 0 {
            redis.kill()
        } else {
            redis.stop()
        }
        let started = Instant::now();
        for _ in 0..100 {
            let why = store.load(&key(1)).unwrap_err().to_string();
            assert!(why.starts_with(&format!("SessionStore {}: ", redis.url())) && why.contains("start the server"), "{why}");
        }
        assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
        redis.start_again();
        let end = Instant::now() + Duration::from_secs(5);
        while store.load(&key(1)).is_err() {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(*store.load(&key(1)).unwrap().unwrap().bytes, *b"v");
        write(&store, &key(1), blob(u64::MAX, b"v")).unwrap(); // its scripts are gone
    }
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(store.load(&key(1)).unwrap().is_some(), "a connection that broke is made anew");
    redis.cli(&["SCRIPT", "FLUSH"]);
    write(&store, &key(1), blob(u64::MAX, b"v")).unwrap();
}

#[test]
fn a_primary_that_became_a_replica_is_left_for_where_the_name_leads_now() {
    let old = Redis::start(&[]);
    let new = Redis::start(&[&format!("replicaof 127.0.0.1 {}", old.port())]);
    let proxy = Proxy::start(old.port(), b"nothing");
    let store = store(&format!("redis://localhost:{}", proxy.port));
    store.create(&key(1), &blob(u64::MAX, b"1"), Durability::Process).unwrap();
    new.wait_until("it is a replica", |redis| redis.info("master_link_status") == "up" && redis.cli(&["DBSIZE"]) == "1");
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    old.wait_until("it is a replica", |redis| redis.info("master_link_status") == "up");
    let why = write(&store, &key(1), blob(u64::MAX, b"2")).unwrap_err().to_string();
    assert!(why.contains("read only replica") && why.contains("name the primary"), "{why}");
    proxy.to.store(new.port(), Ordering::Relaxed); // the name leads to the other server
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(write(&store, &key(1), blob(u64::MAX, b"2")).unwrap(), Outcome::Written);
    assert_eq!(new.cli(&["DBSIZE"]), "1");
}

#[test]
fn a_server_that_stands_still_is_not_waited_for_beyond_the_time_of_an_answer() {
    let redis = Redis::start(&["enable-debug-command local"]);
    let store = store(&redis.url());
    assert_eq!(store.load(&key(1)).unwrap(), None);
    let sleeper = std::thread::spawn({
        let (socket, stop) = (redis.socket(), "8");
        move || std::process::Command::new("redis-cli").arg("-s").arg(socket).args(["DEBUG", "SLEEP", stop]).output()
    });
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    let failed = store.load(&key(1));
    assert!(failed.as_ref().is_err_and(|why| why.to_string().ends_with("; it did not answer in time")), "{failed:?}");
    assert!(started.elapsed() < Duration::from_millis(6500), "{failed:?} in {:?}", started.elapsed());
    let started = Instant::now();
    assert!(store.load(&key(1)).is_err() && started.elapsed() < Duration::from_millis(500), "nobody tries for a second");
    drop(redis);
    let _ = sleeper.join();
}

#[test]
fn a_socket_whose_queue_is_full_is_not_waited_for() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("sock");
    let standing_still = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let come = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(&path).unwrap()).map(|()| socket)
    };
    let mut queue = Vec::new();
    for is_full in [false, true] {
        if is_full {
            queue.extend(std::iter::from_fn(|| come().ok()));
        }
        let (tell, told) = std::sync::mpsc::channel();
        let store = store(&format!("redis+unix://{}", path.display()));
        std::thread::spawn(move || tell.send(store.load(&key(1)).unwrap_err().to_string()));
        let why = told.recv_timeout(Duration::from_secs(6)).unwrap_or_else(|_| panic!("full {is_full}: it waits for ever"));
        assert!(why.contains("did not answer in time"), "full {is_full}: {why}");
    }
    drop(standing_still);
}

#[test]
fn a_process_that_was_forked_makes_connections_of_its_own() {
    let redis = Redis::start(&[]);
    let store = store(&redis.url());
    let connections = || redis.cli(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("cmd=get")).count();
    (0..3).for_each(|_| assert!(store.load(&key(1)).unwrap().is_none()));
    assert_eq!(connections(), 1);
    store.shared.pool.fork();
    (0..3).for_each(|_| assert!(store.load(&key(1)).unwrap().is_none()));
    assert_eq!(connections(), 2, "that of the other process is not closed");
}
