//! A lease is gone before a client can make anybody wait, and whoever does not need one takes none.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::process::open_files;
use support::{Client, Httpd, Mpm, mpm_tests};

/// So long the next request of a session may take. It takes a few milliseconds; a machine that does ten other things may need more,
/// and who waits for the client needs seconds.
const PROMPT: Duration = Duration::from_millis(500);

fn begin_session(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:0");
    client
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

/// A session of which no file stays open for its next request.
fn begin_large_session(httpd: &Httpd) -> Client {
    let mut client = httpd.client();
    client.get(&format!("/capi?open=create&set_int=n:0&set_text=large:{}", "x".repeat(7000)));
    client
}

/// Those that the children have open.
fn open_session_files(httpd: &Httpd) -> usize {
    let files = httpd.children().into_iter().flat_map(open_files);
    files.filter(|path| path.starts_with(httpd.dir())).count()
}

fn a_client_that_does_not_read_keeps_nobody_waiting(mpm: Mpm) {
    const SIZE: usize = 16 << 20;
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").file("big", &"x".repeat(SIZE)).start();
    let big = format!("file={}", httpd.root().join("big").display());
    for how in ["pieces=16777216:8192", &big] {
        for page in ["/notes?incr=session.n&", "/capi?open=&incr=n&", "/stock?load&incr=n&"] {
            let mut client = begin_large_session(&httpd);
            let slow = client.clone().begin(&format!("{page}{how}"));
            thread::sleep(Duration::from_millis(300)); // it has begun, and the socket is full
            assert_eq!(open_session_files(&httpd), 0, "{page}{how}: whoever has many slow clients would run out of descriptors");
            let asked = Instant::now();
            let (response, took) = timed(|| client.get("/notes?incr=session.n"));
            println!("beside a client that does not read: {took:?}");
            assert!(took < PROMPT, "{page}{how}: {took:?}");
            assert_eq!(response.line("incr"), "2", "{page}{how}: what was changed before the body is there");
            if page.starts_with("/notes") {
                thread::sleep(Duration::from_secs(3).saturating_sub(asked.elapsed()));
            }
            let slow = slow.finish();
            assert!(slow.body.len() >= SIZE, "{}", slow.body.len());
            let (response, took) = timed(|| client.get("/notes?incr=session.n"));
            assert!(took < PROMPT, "after {page}{how}: {took:?}");
            assert_eq!(response.line("incr"), "3");
        }
    }
}

fn a_flush_gives_the_lease_up_and_later_changes_are_merged(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = begin_large_session(&httpd);
    let slow = client.clone().begin("/capi?open=&set_int=a:1&sleep=400&body=10&flush&sleep=600&open=&set_int=b:1");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(open_session_files(&httpd), 1, "for the change that will come");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(open_session_files(&httpd), 0);
    let (response, took) = timed(|| client.get("/capi?open=&get_int=a&set_int=c:1"));
    assert!(took < PROMPT, "{took:?}");
    assert_eq!(response.line("get_int"), "OK 1");
    assert_eq!(slow.finish().lines("open"), ["OK", "OK"]);
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK a=INT b=INT c=INT large=TEXT n=INT");
}

fn a_session_file_is_open_only_as_long_as_a_change_may_come(mpm: Mpm) {
    let sections = "<Location /capi/free>\nSessionLock access\n</Location>\n<Location /capi/quiet>\nSessionNotes Off\n</Location>";
    let httpd = Httpd::start(mpm, &format!("SessionDir @DIR@\n{sections}"));
    let mut client = begin_large_session(&httpd);
    for (open, path) in [
        (1, "/capi?open=&get_int=n&sleep=600"),
        (1, "/capi/free?open=&get_int=n&sleep=600"),
        (1, "/capi/quiet?open=&get_int=n&sleep=600"),
        (0, "/capi/quiet?open=read_only&get_int=n&sleep=600"),
        (0, "/capi?open=read_only&get_int=n&load&sleep=600"),
        (0, "/capi?open=&get_int=n&unlock&sleep=600"),
        (0, "/capi/free?open=&get_int=n&unlock&sleep=600"),
        (0, "/capi?open=&incr=n&save&sleep=600"),
    ] {
        let slow = client.clone().begin(path);
        thread::sleep(Duration::from_millis(300));
        assert_eq!(open_session_files(&httpd), open, "{path}");
        slow.finish();
    }
    assert_eq!(client.get("/capi?open=&get_int=n").line("get_int"), "OK 1");
}

fn a_sub_request_that_sends_much_gives_the_lease_of_the_page_up(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@\n<Location /stock>\nSession Off\n</Location>");
    let mut client = begin_session(&httpd);
    let slow = client.clone().begin("/capi?open=&incr=n&sub=/stock?pieces=100000:8192&sleep=600");
    thread::sleep(Duration::from_millis(200));
    let (response, took) = timed(|| client.get("/notes?incr=session.n"));
    assert!(took < PROMPT, "{took:?}");
    assert_eq!((response.line("incr"), slow.finish().status), ("2", 200));
}

fn a_small_body_keeps_the_lease_to_the_end(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let mut client = begin_session(&httpd);
    let slow = client.clone().begin("/capi?open=&pieces=40000:8192&sleep=500&incr=n");
    thread::sleep(Duration::from_millis(200));
    let (response, took) = timed(|| client.get("/notes?incr=session.n"));
    assert!(took > Duration::from_millis(200), "{took:?}");
    assert!(slow.finish().text().contains("incr: OK 1") && response.line("incr") == "2");
}

/// Holds the lease of a session for a second, and asks what `ask` asks meanwhile.
fn while_held<T>(client: &Client, ask: impl FnOnce(&mut Client) -> T) -> T {
    let holder = client.clone().begin("/notes?incr=session.n&sleep=1000");
    thread::sleep(Duration::from_millis(200));
    let (answer, took) = timed(|| ask(&mut client.clone()));
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(holder.finish().status, 200);
    answer
}

fn files_cgi_programs_and_proxied_requests_do_not_wait(mpm: Mpm) {
    let cgi = if mpm == Mpm::Prefork { "cgi" } else { "cgid" };
    let httpd = Httpd::with(mpm)
        .module("proxy")
        .module("proxy_http")
        .module(cgi)
        .conf(
            "SessionDir @DIR@\nScriptAlias /cgi-bin/ @ROOT@/cgi-bin/\nProxyPass /behind/ http://127.0.0.1:@PORT@/hello/\n\
             <Location /hello>\nSession Off\n</Location>\n<Location /nothing>\nSetHandler none\n</Location>",
        )
        .conf(if mpm == Mpm::Prefork { "" } else { "ScriptSock @ROOT@/cgid.sock" })
        .file("htdocs/page.html", "page")
        .file("htdocs/picture.png", "picture")
        .program("cgi-bin/env", "#!/bin/sh\necho Content-Type: text/plain\necho\necho program\n")
        .start();
    let client = begin_session(&httpd);
    for (path, body) in
        [("/page.html", "page"), ("/picture.png", "picture"), ("/cgi-bin/env", "program\n"), ("/behind/", "hello"), ("/nothing/", "404")]
    {
        let response = while_held(&client, |client| client.get(path));
        assert!(response.text().contains(body), "{path}: {}", response.text());
    }
}

/// Answers one handshake, and then says back what it is told.
fn echo_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || -> std::io::Result<()> {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer)?;
                stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
                loop {
                    match stream.read(&mut buffer)? {
                        0 => return Ok(()),
                        length => stream.write_all(&buffer[..length])?,
                    }
                }
            });
        }
    });
    port
}

fn a_web_socket_holds_nobody_up_and_waits_for_nobody(mpm: Mpm) {
    let port = echo_server();
    let httpd = Httpd::with(mpm)
        .module("proxy")
        .module("proxy_http")
        .module("proxy_wstunnel")
        .conf(&format!("SessionDir @DIR@\nProxyPass /socket ws://127.0.0.1:{port}/ upgrade=websocket"))
        .start();
    let client = begin_session(&httpd);
    let cookie = client.cookie("sid").unwrap().to_owned();
    let mut socket = while_held(&client, |_| {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, httpd.port())).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!(
            "GET /socket HTTP/1.1\r\nHost: localhost\r\nCookie: sid={cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(socket.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        socket
    });
    let (response, took) = timed(|| client.clone().get("/notes?incr=session.n"));
    assert!(took < PROMPT && response.status == 200, "{took:?} beside an open socket");
    socket.write_all(b"still there").unwrap();
    let mut answer = [0; 11];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"still there");
}

fn a_handshake_that_a_handler_of_ours_answers_takes_no_lease(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "SessionDir @DIR@");
    let client = begin_large_session(&httpd);
    let handshake = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    while_held(&client, |client| assert_eq!(client.get_with("/capi?open=&set_int=m:1&save", &handshake).line("save"), "OK"));
    let tunnel = client.clone().begin_with("/capi?open=&get_int=n&sleep=600", &handshake);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(open_session_files(&httpd), 0, "it may last for hours");
    tunnel.finish();
    // An ordinary request waits, whatever it says it could become.
    let h2c = [("Connection", "Upgrade"), ("Upgrade", "h2c")];
    let form: &[u8] = b"coupon=1";
    let others = [("POST", &handshake[..], form), ("GET", &handshake[..3], b""), ("GET", &h2c[..], b"")];
    for (method, headers, body) in others {
        let holder = client.clone().begin("/notes?sleep=600");
        thread::sleep(Duration::from_millis(200));
        let (_, took) = timed(|| client.clone().request(method, "/notes?get=session.n", headers, body));
        assert!(took > Duration::from_millis(200), "{method} {headers:?}: {took:?}");
        holder.finish();
    }
}

fn an_internal_redirect_to_a_file_gives_the_lease_up(mpm: Mpm) {
    const SIZE: usize = 16 << 20;
    let httpd = Httpd::with(mpm).conf("SessionDir @DIR@").file("htdocs/big.bin", &"x".repeat(SIZE)).start();
    let mut client = begin_session(&httpd);
    let slow = client.clone().begin("/notes?incr=session.n&internal=/big.bin");
    thread::sleep(Duration::from_millis(300));
    let (response, took) = timed(|| client.get("/notes?incr=session.n"));
    assert!(took < PROMPT, "{took:?}");
    assert_eq!((response.line("incr"), slow.finish().body.len()), ("2", SIZE));
}

/// Only event knows suspended requests.
#[test]
fn a_suspended_handler_holds_nothing() {
    let free = "<Location /capi/free>\nSessionLock access\n</Location>";
    let mut httpd = Httpd::start(Mpm::Event, &format!("SessionDir @DIR@\n{free}"));
    let mut client = begin_large_session(&httpd);
    let without_a_lease = client.clone().keep_alive().begin("/capi/free?open=&get_int=n&suspend=60000");
    let suspended = client.clone().keep_alive().begin("/capi?open=&incr=n&suspend=1500");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(open_session_files(&httpd), 0);
    let (response, took) = timed(|| client.get("/notes?incr=session.n"));
    assert!(took < PROMPT, "{took:?}");
    let suspended = thread::scope(|scope| {
        let suspended = scope.spawn(|| suspended.finish());
        while !suspended.is_finished() {
            httpd.get("/hello"); // a child of event looks at its timers when a connection wakes it
            thread::sleep(Duration::from_millis(50));
        }
        suspended.join().unwrap()
    });
    assert_eq!((response.line("incr"), suspended.line("incr")), ("2", "OK 1"));
    drop(without_a_lease);
    httpd.kill(); // a handler cannot hand a suspended connection back to the MPM, which would wait for it
}

mpm_tests!(
    by_the_clock:
    a_client_that_does_not_read_keeps_nobody_waiting,
    a_flush_gives_the_lease_up_and_later_changes_are_merged,
    a_session_file_is_open_only_as_long_as_a_change_may_come,
    a_sub_request_that_sends_much_gives_the_lease_of_the_page_up,
    a_small_body_keeps_the_lease_to_the_end,
    files_cgi_programs_and_proxied_requests_do_not_wait,
    a_web_socket_holds_nobody_up_and_waits_for_nobody,
    a_handshake_that_a_handler_of_ours_answers_takes_no_lease,
    an_internal_redirect_to_a_file_gives_the_lease_up,
);
