//! A way to Redis on which answers are lost.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

/// What the proxy does to the next request that holds a word.
#[derive(Default)]
pub struct Plan {
    /// Carried out, but the answer is lost with the connection.
    pub loses_answer: AtomicBool,
}

pub struct Proxy {
    pub port: u16,
    pub plan: Arc<Plan>,
    /// Where new connections lead.
    pub to: Arc<AtomicU16>,
}

impl Proxy {
    /// Loses answers to requests that contain `word`, to any if that is empty.
    pub fn start(to: u16, word: &'static [u8]) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (plan, to) = (Arc::new(Plan::default()), Arc::new(AtomicU16::new(to)));
        let (its_plan, its_to) = (Arc::clone(&plan), Arc::clone(&to));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, its_to.load(Ordering::Relaxed))) else { continue };
                let plan = Arc::clone(&its_plan);
                thread::spawn(move || carry(client, server, &plan, word));
            }
        });
        Proxy { port, plan, to }
    }

    pub fn lose_an_answer(&self) {
        self.plan.loses_answer.store(true, Ordering::Relaxed);
    }

    /// Whether the last order was carried out.
    pub fn has_lost(&self) -> bool {
        !self.plan.loses_answer.load(Ordering::Relaxed)
    }
}

/// One request, one answer, in turns: they are small enough to come in one piece.
fn carry(mut client: TcpStream, mut server: TcpStream, plan: &Plan, word: &[u8]) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(length @ 1..) = client.read(&mut buffer) else { return };
        let request = &buffer[..length];
        let has_word = word.is_empty() || request.windows(word.len()).any(|window| window == word);
        if server.write_all(request).is_err() {
            return;
        }
        let loses = has_word && plan.loses_answer.swap(false, Ordering::Relaxed);
        let Ok(length) = server.read(&mut buffer) else { return };
        if loses {
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
        if length == 0 || client.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
