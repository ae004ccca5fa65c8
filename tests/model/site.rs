//! The model of a site whose requests come one after another: what each cookie leads to.

use std::collections::HashMap;

use crate::contents::Contents;
use crate::oracle::{Check, demand};
use crate::page::Page;

/// An id that a session has or had. Many never leave the server: who changes it twice in a request is told the second.
pub type Name = usize;

#[derive(Debug, Clone, Copy)]
enum Leads {
    Nowhere,
    Session(usize),
    /// To the next one; `on`: also who presents it.
    Former {
        session: usize,
        to: Name,
        on: bool,
    },
}

/// A stored session.
#[derive(Debug, Clone)]
pub struct Kept {
    pub contents: Contents,
    pub user: Option<String>,
    pub timeout: u64,
}

#[derive(Default)]
pub struct Site {
    kept: Vec<Option<Kept>>,
    names: Vec<Leads>,
    cookies: HashMap<String, Name>,
}

/// What a response does to the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    Nothing,
    /// The client is to forget it.
    End,
    Cookie(Name),
}

impl Site {
    pub fn session(&self, number: usize) -> &Kept {
        self.kept[number].as_ref().expect("a session that is stored")
    }

    pub fn sessions(&self) -> usize {
        self.kept.iter().flatten().count()
    }

    /// Every cookie that was ever sent.
    pub fn cookies(&self) -> Vec<String> {
        let mut cookies: Vec<_> = self.cookies.iter().map(|(cookie, name)| (*name, cookie.clone())).collect();
        cookies.sort();
        cookies.into_iter().map(|(_, cookie)| cookie).collect()
    }

    /// A request begins; with this cookie, if the client has one.
    pub fn open(&self, cookie: Option<&str>) -> Page {
        let presented = cookie.and_then(|cookie| self.cookies.get(cookie).copied());
        match presented.and_then(|name| self.follow(name)) {
            Some((name, number)) => Page::of(presented, name, number, self.session(number)),
            None => Page::blank(cookie.is_some()),
        }
    }

    /// Where a cookie leads, for people.
    pub fn way(&self, cookie: &str) -> String {
        let Some(mut name) = self.cookies.get(cookie).copied() else { return "unknown".into() };
        let mut way = name.to_string();
        while let Leads::Former { to, on, .. } = self.names[name] {
            way += &format!("{} {to}", if on { " ->" } else { " -|" });
            name = to;
        }
        way
    }

    fn follow(&self, from: Name) -> Option<(Name, usize)> {
        let (mut name, mut of) = (from, None);
        for _ in 0..=64 {
            match self.names[name] {
                // Under an id that it had, another session may have begun since.
                Leads::Session(number) => return of.is_none_or(|of| of == number).then_some((name, number)),
                Leads::Former { session, to, on: true } if of.is_none_or(|of| of == session) => (name, of) = (to, Some(session)),
                Leads::Former { .. } | Leads::Nowhere => return None,
            }
        }
        None
    }

    fn draw(&mut self, number: usize) -> Name {
        self.names.push(Leads::Session(number));
        self.names.len() - 1
    }

    /// Stores a session that was not stored, under the id it had if it had one.
    pub fn create(&mut self, name: Option<Name>, kept: Kept) -> (Name, usize) {
        let number = self.kept.len();
        self.kept.push(Some(kept));
        match name {
            Some(name) => {
                self.names[name] = Leads::Session(number);
                (name, number)
            }
            None => (self.draw(number), number),
        }
    }

    pub fn store(&mut self, number: usize, kept: Kept) {
        self.kept[number] = Some(kept);
    }

    pub fn end(&mut self, name: Name, number: usize) {
        self.kept[number] = None;
        self.names[name] = Leads::Nowhere;
    }

    /// Gives a session another id.
    pub fn rename(&mut self, name: Name, number: usize, on: bool) -> Name {
        let to = self.draw(number);
        self.names[name] = Leads::Former { session: number, to, on };
        to
    }

    /// Compares the cookie that a response sent with what it had to send: `Some(None)` ended the client's.
    pub fn answered(&mut self, page: &Page, sent: Option<Option<&str>>) -> Check {
        let expected = page.sends();
        match (expected, sent) {
            (Sends::Nothing, None) | (Sends::End, Some(None)) => Ok(()),
            (Sends::Cookie(name), Some(Some(cookie))) => {
                let known = *self.cookies.entry(cookie.to_owned()).or_insert(name);
                demand!(known == name, "the cookie of another session, or of an earlier id of this one, was sent");
                Ok(())
            }
            (_, sent) => {
                let sent = sent.map_or("nothing", |cookie| if cookie.is_some() { "a cookie" } else { "the end of the cookie" });
                Err(format!("{sent} was sent instead of {expected:?}, {:?}", page.standing()))
            }
        }
    }

    /// What is stored at the end of a request.
    pub fn finish(&mut self, page: &mut Page) {
        page.save(self, false);
    }
}
