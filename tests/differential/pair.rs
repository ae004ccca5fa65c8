//! Two servers, one with the stock mod_session and one with ours, and a client that asks both the same.

use std::io;
use std::path::PathBuf;
use std::thread;

use crate::compare::{Found, Seen};
use crate::normal::{Ids, micros, with_times};
use crate::site;
use crate::support::{Client, Httpd, Mpm, Response};

/// A script, asked of each of some sections.
pub struct Case {
    pub name: &'static str,
    pub on: &'static [&'static str],
    pub script: fn(&mut Visit),
}

pub struct Pair {
    mpm: Mpm,
    /// Stock, ours.
    servers: [Httpd; 2],
    steps: usize,
    visits: Vec<(String, Vec<Step>)>,
    /// Cases in which the stock module did not do what the case is about.
    missed: Vec<String>,
}

/// A request, with the number that marks its lines in the error logs, and what came of it.
struct Step {
    number: usize,
    asked_at: i64,
    /// The length of what a program says is known if httpd has read all of it by then.
    is_framed_at_will: bool,
    /// None for a step that looks at the tables only. A server that hangs up is not answered for.
    responses: Option<[io::Result<Response>; 2]>,
    rows: Option<[String; 2]>,
}

/// A case under way: a client for each server, with cookies.
pub struct Visit<'p> {
    pair: &'p mut Pair,
    case: String,
    section: &'static str,
    clients: [Client; 2],
    steps: Vec<Step>,
}

pub struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
}

/// What the stock module answered, which a case looks at to see that it asks what it means to ask.
pub struct Answer<'v> {
    asked: String,
    response: &'v Response,
    missed: &'v mut Vec<String>,
}

pub fn ask(method: &'static str, path: &str) -> Ask {
    Ask { method, path: path.into(), headers: Vec::new(), body: String::new(), status: 200 }
}

pub fn get(path: &str) -> Ask {
    ask("GET", path)
}

/// A form that was filled in.
pub fn post(path: &str, form: &str) -> Ask {
    ask("POST", path).with("Content-Type", "application/x-www-form-urlencoded").body(form)
}

impl Ask {
    pub fn with(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// In place of the cookies that the client has.
    pub fn cookie(self, cookie: &str) -> Ask {
        self.with("Cookie", cookie)
    }

    pub fn body(mut self, body: &str) -> Ask {
        self.body = body.into();
        self
    }

    /// What the stock module answers, if not 200.
    pub fn answered(mut self, status: u16) -> Ask {
        self.status = status;
        self
    }
}

impl Answer<'_> {
    /// Fails the test if the stock module does not show this: the case would not show what it says.
    pub fn shows(&mut self, text: &str) -> &mut Self {
        self.is_so(self.whole().contains(text), &format!("shows {text:?}"))
    }

    pub fn shows_no(&mut self, text: &str) -> &mut Self {
        self.is_so(!self.whole().contains(text), &format!("shows no {text:?}"))
    }

    fn is_so(&mut self, so: bool, what: &str) -> &mut Self {
        if !so {
            self.missed.push(format!("{}: it is not so that the stock module {what}; it answered {}", self.asked, self.whole()));
        }
        self
    }

    fn whole(&self) -> String {
        let headers: String = self.response.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{}\n{headers}\n{}", self.response.status, self.response.text())
    }
}

impl Pair {
    pub fn start(mpm: Mpm) -> Pair {
        Pair { mpm, servers: [site::start(mpm, true), site::start(mpm, false)], steps: 0, visits: Vec::new(), missed: Vec::new() }
    }

    /// `only` is a part of the section or the name.
    pub fn run(&mut self, case: &Case, only: &str) {
        for &section in case.on.iter().filter(|section| format!("{section}: {}", case.name).contains(only)) {
            self.servers.iter().for_each(site::forget_rows);
            let clients = [0, 1].map(|side: usize| self.servers[side].client());
            let mut visit = Visit { case: format!("{section}: {}", case.name), section, clients, steps: Vec::new(), pair: self };
            (case.script)(&mut visit);
            let (case, steps) = (visit.case, visit.steps);
            self.visits.push((case, steps));
        }
    }

    /// Stops both servers, and compares all that was seen.
    pub fn differences(mut self) -> Vec<Found> {
        self.servers.iter_mut().for_each(Httpd::stop);
        let logs = [0, 1].map(|side: usize| Log { lines: read_log(&self.servers[side]), root: self.servers[side].root().to_owned() });
        let mut found = Vec::new();
        for (case, steps) in &self.visits {
            let mut ids = [Ids::default(), Ids::default()];
            for (index, step) in steps.iter().enumerate() {
                let [stock, ours] = [0, 1].map(|side: usize| step.seen(side, &mut ids[side], &logs[side]));
                let differs = Seen::differs(&stock, &ours);
                let found_here = |(what, stock, ours)| Found { case: case.clone(), request: index + 1, what, stock, ours };
                found.extend(differs.into_iter().map(found_here));
            }
        }
        assert!(self.missed.is_empty(), "{}", self.missed.join("\n"));
        let answered: usize = self.visits.iter().map(|(_, steps)| steps.len()).sum();
        println!("{:?}: {} cases, {answered} requests, {} differences", self.mpm, self.visits.len(), found.len());
        found
    }
}

/// The lines of an error log by the number of their request.
struct Log {
    lines: Vec<(usize, String)>,
    root: PathBuf,
}

fn read_log(httpd: &Httpd) -> Vec<(usize, String)> {
    let of_step = |line: &str| {
        let (head, rest) = line.split_once("] [step ")?;
        let (number, text) = rest.split_once("] ")?;
        let (module, level) = head.rsplit_once('[')?.1.split_once(':')?;
        Some((number.parse().ok()?, format!("{module}:{level}: {text}")))
    };
    httpd.error_log().lines().filter_map(of_step).collect()
}

impl Step {
    fn seen(&self, side: usize, ids: &mut Ids, log: &Log) -> Seen {
        let mut normal = |text: &str| ids.normal(text, &log.root, self.asked_at);
        let mut seen = match self.responses.as_ref().map(|both| &both[side]) {
            Some(Ok(response)) => Seen::of(response, &mut normal),
            Some(Err(error)) => Seen::silence(error),
            None => Seen::default(),
        };
        if self.is_framed_at_will {
            seen.forget_framing();
        }
        if let Some(rows) = &self.rows {
            seen.body.extend(rows[side].lines().map(&mut normal));
        }
        seen.log = log.lines.iter().filter(|(number, _)| *number == self.number).map(|(_, text)| normal(text)).collect();
        seen
    }
}

impl Visit<'_> {
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// GET. A path that does not begin with `/` is relative to the section; `$` stands for its name.
    pub fn get(&mut self, path: &str) -> Answer<'_> {
        self.ask(get(path))
    }

    pub fn ask(&mut self, ask: Ask) -> Answer<'_> {
        let path = if ask.path.starts_with('/') { ask.path.clone() } else { format!("/{}/{}", self.section, ask.path) };
        self.pair.steps += 1;
        let (number, now) = (self.pair.steps.to_string(), micros());
        let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (name.clone(), with_times(value, now))).collect();
        let mut all: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        all.push(("X-Step", &number));
        if !ask.headers.iter().any(|(name, _)| name == "Host") {
            all.push(("Host", "site.test"));
        }
        let path = with_times(&path, now).replace('$', self.section);
        let body = ask.body.replace('$', self.section);
        // At the same time, as times count.
        let [stock, ours] = &mut self.clients;
        let request = |client: &mut Client| client.try_request(ask.method, &path, &all, body.as_bytes());
        let responses = thread::scope(|scope| {
            let ours = scope.spawn(|| request(ours));
            [request(stock), ours.join().expect("an answer")]
        });
        self.steps.push(Step {
            number: self.pair.steps,
            asked_at: now,
            is_framed_at_will: path.contains("cgi"),
            responses: Some(responses),
            rows: None,
        });
        let [stock, _] = self.steps.last().and_then(|step| step.responses.as_ref()).expect("the answers");
        let response = stock.as_ref().unwrap_or_else(|error| panic!("{}: {path}: the stock module answers {error}", self.case));
        let mut answer = Answer { asked: format!("{}: {path}", self.case), response, missed: &mut self.pair.missed };
        answer.is_so(response.status == ask.status, &format!("answers {}", ask.status));
        answer
    }

    /// Compares what mod_session_dbd has stored by now.
    pub fn rows(&mut self) -> usize {
        self.pair.steps += 1;
        let rows = [0, 1].map(|side: usize| site::rows(&self.pair.servers[side]));
        let count = rows[0].lines().count();
        self.steps.push(Step { number: self.pair.steps, asked_at: micros(), is_framed_at_will: false, responses: None, rows: Some(rows) });
        count
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        let value = with_times(value, micros());
        self.clients.iter_mut().for_each(|client| client.set_cookie(name, &value));
    }

    pub fn forget_cookie(&mut self, name: &str) {
        self.clients.iter_mut().for_each(|client| client.forget_cookie(name));
    }

    /// What the client of the stock side has.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.clients[0].cookie(name)
    }

    /// Changes the cookie that each of both clients has.
    pub fn change_cookie(&mut self, name: &str, change: impl Fn(&str) -> String) {
        for client in &mut self.clients {
            let changed = change(client.cookie(name).unwrap_or_else(|| panic!("{}: no cookie {name}", self.case)));
            client.set_cookie(name, &changed);
        }
    }
}
