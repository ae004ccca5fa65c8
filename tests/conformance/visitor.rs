//! A browser that asks the page.

use std::io;

use crate::support::{Client, Pending, Response};

/// A clone has the same cookies; what happens to them later, each learns for itself.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    page: String,
}

impl Visitor {
    pub fn new(port: u16, page: &str) -> Visitor {
        Visitor { client: Client::new(port), page: page.to_owned() }
    }

    /// All requests over one connection.
    pub fn keep_alive(self) -> Visitor {
        Visitor { client: self.client.keep_alive(), ..self }
    }

    /// Whose kernel takes next to nothing of a response that is not read.
    pub fn reluctant(self) -> Visitor {
        Visitor { client: self.client.reluctant(), ..self }
    }

    fn path(&self, words: &str) -> String {
        format!("{}?{words}", self.page)
    }

    pub fn ask(&mut self, words: &str) -> Response {
        self.ask_with(words, &[])
    }

    pub fn ask_with(&mut self, words: &str, headers: &[(&str, &str)]) -> Response {
        self.client.get_with(&self.path(words), headers)
    }

    pub fn head(&mut self, words: &str) -> Response {
        self.client.head(&self.path(words))
    }

    pub fn post(&mut self, words: &str, headers: &[(&str, &str)], body: &str) -> Response {
        self.client.request("POST", &self.path(words), headers, body.as_bytes())
    }

    /// For servers that may die meanwhile.
    pub fn try_ask(&mut self, words: &str) -> io::Result<Response> {
        self.client.try_request("GET", &self.path(words), &[], b"")
    }

    /// Sends a request and comes back at once. What the response does to the cookies is not learnt.
    pub fn begin(&self, words: &str) -> Pending {
        self.client.clone().begin(&self.path(words))
    }

    /// What the last word is answered.
    pub fn says(&mut self, words: &str) -> String {
        let word = words.rsplit('&').next().and_then(|word| word.split('=').next()).expect("a word");
        let response = self.ask(words);
        let lines = response.lines(word);
        lines.last().map(|line| (*line).to_owned()).unwrap_or_else(|| panic!("{words}: {} {}", response.status, response.text()))
    }

    /// A value of the session, by a request that changes nothing.
    pub fn value(&mut self, key: &str) -> String {
        self.says(&format!("look&get={key}"))
    }

    pub fn number(&mut self, key: &str) -> i64 {
        let text = self.value(key);
        text.parse().unwrap_or_else(|_| panic!("{key} is {text:?}"))
    }

    /// Whether the cookies name a session. This is no use of it.
    pub fn has_session(&mut self) -> bool {
        self.says("peek") == "1"
    }

    pub fn cookie_name(&self) -> String {
        self.only_cookie().0.to_owned()
    }

    /// The value of the session cookie.
    pub fn id(&self) -> String {
        self.only_cookie().1.to_owned()
    }

    fn only_cookie(&self) -> (&str, &str) {
        match self.client.cookies() {
            [(name, value)] => (name, value),
            others => panic!("not one cookie, but {}", others.len()),
        }
    }

    pub fn has_cookie(&self) -> bool {
        !self.client.cookies().is_empty()
    }
}
