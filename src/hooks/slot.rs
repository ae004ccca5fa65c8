//! One session of a request tree, with what the response has to do with it.

use std::any::Any;

use crate::config::Settings;
use crate::httpd::Request;
use crate::repository::Error;
use crate::session::{Id, Key, Ref, Session};

use super::events::{Event, happened};
use super::lease::Holdings;
use super::stores::repository;
use super::tree::Origin;

/// One session of a tree: of one store, scope and cookie name.
pub struct Slot {
    pub settings: Settings,
    pub session: Session,
    /// The id that the client presented and the store knew.
    pub presented: Option<Id>,
    /// The configuration that it was last opened under: most trees have one.
    pub opened_under: Option<Origin>,
    /// The id that the client will come back with, as far as the headers have told: at first the one it presented.
    pub client_has: Option<Id>,
    /// Opened by an id that the application named: cookies have nothing to do with it.
    pub by_id: bool,
    /// Until then it was only looked at.
    pub is_opened: bool,
    pub is_new: bool,
    pub was_invalidated: bool,
    /// The response was made with what an existing session holds.
    pub is_used: bool,
    /// The client's cookie is to go, unless a new one is sent.
    pub forget_cookie: bool,
    /// The client's cookie was signed by an older key.
    pub send_again: bool,
    /// The key under whose lease it was read last, which the tree may still hold.
    pub leased: Option<Key>,
    /// How often it was read again: pictures of it may be old.
    pub reads: u32,
    /// The expiry was moved: a cookie with an age is sent again.
    pub renewed: bool,
    /// Storage and cookie go at the next commit point.
    pub expires_at_commit: bool,
    /// A change of privilege failed: nothing more of this request may be stored under the id from before it.
    pub is_barred: bool,
    /// What faces keep with the session.
    attachments: Vec<Box<dyn Any + Send>>,
}

impl Slot {
    pub fn new(settings: Settings, session: Session) -> Box<Slot> {
        Box::new(Slot {
            settings,
            session,
            presented: None,
            client_has: None,
            opened_under: None,
            by_id: false,
            is_opened: false,
            is_new: false,
            was_invalidated: false,
            is_used: false,
            forget_cookie: false,
            send_again: false,
            leased: None,
            reads: 0,
            renewed: false,
            expires_at_commit: false,
            is_barred: false,
            attachments: Vec::new(),
        })
    }

    pub fn is_of(&self, settings: &Settings) -> bool {
        self.settings.place.is(&settings.place) && self.settings.terms.scope == settings.terms.scope
    }

    /// Whether it was read under a lease that the tree holds still.
    pub fn is_held(&self, leases: &Holdings) -> bool {
        self.leased.is_some_and(|key| leases.holds(&key) && self.session.key() == Some(&key))
    }

    /// Whether its id travels by cookie.
    pub fn needs_cookie(&self) -> bool {
        !self.by_id && self.settings.cookie().is_some()
    }

    /// Whether the client will come back with its id, if no further cookie is sent.
    pub fn is_known_to_client(&self) -> bool {
        !self.needs_cookie() || self.session.id().is_some_and(|id| self.client_has.as_ref() == Some(id))
    }

    /// Tells those who follow sessions. `was`: the reference it had before, if that has changed.
    pub fn happened(&self, request: Request<'_>, event: Event, was: Option<&Ref>) {
        if let Some(key) = self.session.key() {
            happened(request, event, &key.reference(), was, self.session.user());
        }
    }

    /// What a face attached before.
    pub fn attachment<T: Any>(&mut self) -> Option<&mut T> {
        self.attachments.iter_mut().find_map(|attached| attached.downcast_mut())
    }

    pub fn attach<T: Any + Send>(&mut self, value: T) {
        self.attachments.push(Box::new(value));
    }

    /// Its id and key; a new session draws them now.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn identify(&mut self) -> Result<(Id, Key), Error> {
        repository(&self.settings).identify(&mut self.session)
    }

    /// The reference, or a dash for a session that is not stored.
    pub fn reference(&self) -> String {
        self.session.key().map_or_else(|| "-".to_owned(), |key| key.reference().to_string())
    }
}
