//! The model of one request of a site: what each operation of its script answers.

use mod_session_rs::session::Value;
use mod_session_rs::session::session::ChangeError;

use crate::contents::{Contents, Edit};
use crate::script::Op;
use crate::site::{Kept, Name, Sends, Site};

/// Of a session for which nobody said otherwise.
const TIMEOUT: u64 = 1800;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    New,
    Stored(Name, usize),
    /// Its storage was taken away, under this id; `None`: it comes back under another one.
    Removed(Option<Name>),
}

pub struct Page {
    standing: Standing,
    /// The cookie of the client, if it led to a session.
    presented: Option<Name>,
    was_invalidated: bool,
    is_new: bool,
    forget_cookie: bool,
    expires: bool,
    base: Kept,
    shown: Kept,
    changed: bool,
}

impl Page {
    pub fn blank(was_invalidated: bool) -> Page {
        let base = Kept { contents: Contents::default(), user: None, timeout: TIMEOUT };
        let (standing, presented, shown) = (Standing::New, None, base.clone());
        Page { standing, presented, was_invalidated, is_new: true, forget_cookie: false, expires: false, base, shown, changed: false }
    }

    pub fn of(presented: Option<Name>, name: Name, number: usize, kept: &Kept) -> Page {
        let standing = Standing::Stored(name, number);
        Page { standing, presented, is_new: false, base: kept.clone(), shown: kept.clone(), ..Page::blank(false) }
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    fn is_empty(&self) -> bool {
        self.shown.contents.is_empty() && self.shown.user.is_none()
    }

    pub fn sends(&self) -> Sends {
        match self.standing {
            Standing::Stored(name, _) if self.presented == Some(name) => Sends::Nothing,
            Standing::Stored(name, _) => Sends::Cookie(name),
            _ if self.forget_cookie && self.presented.is_some() => Sends::End,
            _ => Sends::Nothing,
        }
    }

    /// `grace`: who presents the id that a session had is led on.
    pub fn answer(&mut self, site: &mut Site, op: &Op, grace: bool) -> String {
        match op {
            Op::IsNew => return u8::from(self.is_new).to_string(),
            Op::WasInvalidated => return u8::from(self.was_invalidated).to_string(),
            Op::Len => return self.shown.contents.len().to_string(),
            Op::AskUser => return self.shown.user.clone().unwrap_or_else(|| "-".into()),
            Op::AskTimeout => return self.shown.timeout.to_string(),
            Op::Get(key) => return self.shown.contents.get(key).map_or("NONE".into(), |value| format!("OK {}", hex(value))),
            Op::Each => return self.each(),
            Op::Edit(edit) => return self.edit(edit).into(),
            Op::Timeout(seconds) => {
                self.shown.timeout = *seconds;
                self.changed = true;
            }
            Op::User(user) if *user == self.shown.user => {}
            Op::User(user) => {
                self.shown.user.clone_from(user);
                self.changed = true;
                self.regenerate(site, false);
            }
            Op::Regenerate { privilege } => self.regenerate(site, grace && !privilege),
            Op::Save => self.save(site, true),
            Op::Load => {}
            Op::Revert => {
                self.shown = self.base.clone();
                self.changed = false;
            }
            Op::Remove => {
                if let Standing::Stored(name, number) = self.standing {
                    site.end(name, number);
                    self.removed(name);
                }
            }
            Op::Invalidate => self.invalidate(site),
            Op::Expire => self.expires = true,
        }
        "OK".into()
    }

    fn each(&self) -> String {
        let shown: Vec<_> = self.shown.contents.iter().map(|(key, value)| format!(" {key}={}", type_name(value))).collect();
        format!("OK{}", shown.concat())
    }

    fn edit(&mut self, edit: &Edit) -> &'static str {
        match self.shown.contents.refusal(edit) {
            None => {
                self.shown.contents.apply(edit);
                self.changed = true;
                "OK"
            }
            Some(ChangeError::Key(_)) => "BAD_KEY",
            Some(ChangeError::NotAnInteger) => "BAD_TYPE",
            Some(ChangeError::TooLarge) => "TOO_LARGE",
        }
    }

    fn stored(&mut self, standing: Standing) {
        self.standing = standing;
        self.base = self.shown.clone();
        self.changed = false;
    }

    fn removed(&mut self, name: Name) {
        self.stored(Standing::Removed(Some(name)));
    }

    fn invalidate(&mut self, site: &mut Site) {
        if let Standing::Stored(name, number) = self.standing {
            site.end(name, number);
        }
        let (presented, was_invalidated) = (self.presented, self.was_invalidated);
        *self = Page { presented, was_invalidated, forget_cookie: true, ..Page::blank(false) };
    }

    /// `asked`: a session whose storage went comes back also without a further change.
    pub fn save(&mut self, site: &mut Site, asked: bool) {
        if self.expires {
            return self.invalidate(site);
        }
        match self.standing {
            Standing::Stored(name, number) if self.changed && self.is_empty() => {
                site.end(name, number);
                self.removed(name);
                self.forget_cookie = true;
            }
            Standing::Stored(name, number) => {
                site.store(number, self.shown.clone());
                self.stored(Standing::Stored(name, number));
            }
            Standing::New | Standing::Removed(_) if self.is_empty() => {}
            Standing::New if self.changed => self.create(site, None),
            Standing::Removed(name) if self.changed || asked => self.create(site, name),
            Standing::New | Standing::Removed(_) => {}
        }
    }

    fn create(&mut self, site: &mut Site, name: Option<Name>) {
        let (name, number) = site.create(name, self.shown.clone());
        self.stored(Standing::Stored(name, number));
    }

    fn regenerate(&mut self, site: &mut Site, on: bool) {
        match self.standing {
            Standing::Stored(name, number) if self.is_empty() => {
                site.end(name, number);
                self.stored(Standing::Removed(None));
                self.forget_cookie = true;
            }
            Standing::Stored(name, number) => {
                site.store(number, self.shown.clone());
                let name = site.rename(name, number, on);
                self.stored(Standing::Stored(name, number));
            }
            Standing::New => {}
            Standing::Removed(_) => self.standing = Standing::Removed(None),
        }
    }
}

pub fn hex(value: &Value) -> String {
    value.to_msgpack().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOL",
        Value::Int(_) => "INT",
        Value::Float(_) => "FLOAT",
        Value::Text(_) => "TEXT",
        Value::Bytes(_) => "BYTES",
        Value::List(_) => "LIST",
        Value::Map(_) => "MAP",
    }
}
