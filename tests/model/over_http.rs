//! Scripts of 8 clients over HTTP: one after another, compared with the model in all they answer, and many at once.

use fastrand::Rng;
use mod_session_rs::session::Stored;
use mod_session_rs::store::file::FileStore;
use mod_session_rs::store::{Entry, Store};

use crate::choice::{self, pick};
use crate::crowd;
use crate::oracle::{Check, caught, demand};
use crate::script::Op;
use crate::site::Site;
use crate::support::{Client, Httpd, Mpm, Response};

pub const CLIENTS: usize = 8;
/// Where who presents a former id is led on: with a lease, and without.
pub const FOLLOWING: [&str; 2] = ["/capi", "/access"];
/// Where it is worth nothing at once.
const STRICT: &str = "/strict";
const LOGGED: usize = 40;

const CONF: &str = "SessionDir @DIR@
LimitRequestLine 60000
SessionIdGrace 3600
<Location /access>
    SetHandler capi
    SessionLock access
</Location>
<Location /strict>
    SetHandler capi
    SessionIdGrace 0
</Location>";

pub struct Scripts {
    httpd: Httpd,
    rng: Rng,
    signed: bool,
    site: Site,
    clients: Vec<Client>,
    log: Vec<String>,
    requests: u64,
}

/// Runs so many requests. The error is a difference, with the requests before it.
pub fn run(seed: u64, wanted: u64) -> Result<u64, String> {
    let mut rng = Rng::with_seed(seed);
    let (signed, sealed) = (rng.bool(), rng.bool());
    let secret = if signed { "\nSessionSecret 0123456789abcdef0123456789abcdef" } else { "" };
    let seal = if sealed { "\nSessionEncrypt On" } else { "" };
    let httpd = Httpd::with(Mpm::Event).workers(24).conf(&format!("{CONF}{secret}{seal}")).start();
    let clients = (0..CLIENTS).map(|_| httpd.client().keep_alive()).collect();
    let mut scripts = Scripts { httpd, rng, signed, site: Site::default(), clients, log: Vec::new(), requests: 0 };
    let Err(difference) = caught(|| scripts.go(wanted)) else { return Ok(scripts.requests) };
    let last = scripts.log.len().saturating_sub(LOGGED);
    let log = scripts.log[last..].join("\n");
    Err(format!("{log}\nsigned: {signed}, sealed: {sealed}\n{difference}\n(request {})", scripts.requests))
}

impl Scripts {
    fn go(&mut self, wanted: u64) -> Check {
        while self.requests < wanted {
            for _ in 0..150 {
                self.one()?;
            }
            self.audit()?;
            self.requests += crowd::merging(&self.httpd, &mut self.rng, 16)?;
            for _ in 0..3 {
                self.requests += crowd::ending(&self.httpd, &mut self.rng)?;
            }
        }
        Ok(())
    }

    /// One request of one client, with all it answers.
    fn one(&mut self) -> Check {
        let n = self.rng.usize(..CLIENTS);
        self.change_jar(n)?;
        let count = self.rng.usize(1..8);
        let mut ops: Vec<_> = (0..count).map(|_| Op::any(&mut self.rng)).collect();
        // What follows is another session's, or nothing's.
        if let Some(end) = ops.iter().position(|op| matches!(op, Op::Expire)) {
            ops.truncate(end + 1);
        }
        let path = *pick(&mut self.rng, &[FOLLOWING[0], FOLLOWING[0], FOLLOWING[1], STRICT]);
        let client = &mut self.clients[n];
        let cookie = client.cookie("sid").map(str::to_owned);
        let queries: Vec<_> = ops.iter().map(Op::query).collect();
        let way = cookie.as_deref().map(|cookie| self.site.way(cookie));
        self.log.push(format!("{} client {n} with {way:?}: {path}?{}", self.requests, queries.join("&")));
        self.requests += 1;
        let response = client.get(&format!("{path}?open=create&{}", queries.join("&")));

        let valid = cookie.as_deref().filter(|cookie| !self.signed || cookie.len() > 32);
        let mut page = self.site.open(valid);
        let mut expected = vec!["open: OK".to_owned()];
        for (op, query) in ops.iter().zip(&queries) {
            let name = query.split('=').next().unwrap_or(query);
            expected.push(format!("{name}: {}", page.answer(&mut self.site, op, path != STRICT)));
        }
        let text = response.text();
        demand!(
            text.lines().eq(expected.iter().map(String::as_str)),
            "status {}:\n{text}\ninstead of\n{}",
            response.status,
            expected.join("\n")
        );
        self.site.finish(&mut page);
        let sent = sent(&response)?;
        self.site.answered(&page, sent.as_ref().map(Option::as_deref))
    }

    /// Now and then a client has the cookie of another one, an old one, or one that it made up.
    fn change_jar(&mut self, n: usize) -> Check {
        let known = self.site.cookies();
        let cookie = match self.rng.u32(..24) {
            0 => {
                self.clients[n].forget_cookie("sid");
                return Ok(());
            }
            1 => Some(choice::id(&mut self.rng).expose().to_owned()),
            2..=4 => self.clients[self.rng.usize(..CLIENTS)].cookie("sid").map(str::to_owned),
            5..=6 => self.rng.choice(known),
            _ => None,
        };
        if let Some(cookie) = cookie {
            self.clients[n].set_cookie("sid", &cookie);
        }
        Ok(())
    }

    /// Every cookie that was ever sent leads where it should, and nothing else is stored.
    fn audit(&mut self) -> Check {
        let cookies = self.site.cookies();
        for cookie in cookies.iter().rev().take(100) {
            let page = &mut self.site.open(Some(cookie));
            let expected = page.answer(&mut self.site, &Op::Each, true);
            let mut client = self.httpd.client();
            client.set_cookie("sid", cookie);
            let response = client.get("/access?open=create,no_touch&each");
            demand!(
                response.line("each") == expected,
                "the cookie of {} leads to {:?} instead of {expected:?}",
                self.site.way(cookie),
                response.line("each")
            );
            self.requests += 1;
        }
        let mut sessions = 0;
        let mut visit = |_: &_, entry| {
            sessions += usize::from(matches!(entry, Entry::Blob(blob) if matches!(Stored::decode(&blob.bytes), Ok(Stored::Session(_)))));
            true
        };
        FileStore::new(self.httpd.dir()).each(&mut visit).map_err(|error| error.to_string())?;
        demand!(sessions == self.site.sessions(), "{sessions} sessions are stored instead of {}", self.site.sessions());
        Ok(())
    }
}

/// What a response does to the cookie; `Some(None)`: it ends.
fn sent(response: &Response) -> Check<Option<Option<String>>> {
    let headers = response.set_cookies();
    demand!(headers.len() <= 1, "{} cookies", headers.len());
    Ok(headers.first().map(|header| {
        let value = header.trim_start_matches("sid=").split(';').next().unwrap_or_default();
        (!value.is_empty() && !header.contains("Max-Age=0")).then(|| value.to_owned())
    }))
}
