//! What the directives say: one `Config` for each section, and the [`Settings`] that hold for a request.

pub mod directives;
pub mod parse;
mod place;
mod redis;
mod secrets;
mod server;
mod stock;

use std::path::Path;
use std::sync::{Arc, LazyLock};

pub use place::{Location, StoreKind, StorePlace};
pub use redis::RedisSource;
pub use secrets::SecretSource;
pub use server::ServerConfig;
pub use stock::StockConfig;

use self::parse::LONGEST;
use crate::repository::{DEFAULT_GRACE, DEFAULT_MAX_SIZE, DEFAULT_TIMEOUT, Terms};
use crate::session::time::MICROS;
use crate::session::{CookieRule, Expiry, Id, Scope};
use crate::store::Durability;

/// Whether sessions are on in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `Session On|Off`.
    Said(bool),
    /// A store was named.
    Implied,
}

/// `SessionLock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMode {
    #[default]
    Request,
    Access,
    None,
}

static DEFAULT_COOKIE: LazyLock<Arc<CookieRule>> = LazyLock::new(Arc::default);

/// What one section says; `None`: nothing, so the section around it counts.
#[derive(Default, Clone)]
pub struct Config {
    pub switch: Option<Switch>,
    pub kind: Option<StoreKind>,
    /// `SessionDir`.
    pub dir: Option<Arc<Path>>,
    /// What the two mean together.
    place: Option<Arc<StorePlace>>,
    pub scope: Option<Arc<str>>,
    pub cookie: Option<Arc<CookieRule>>,
    /// Seconds.
    pub timeout: Option<u64>,
    /// Microseconds.
    pub touch_interval: Option<u64>,
    /// Microseconds; 0: none.
    pub lifetime: Option<u64>,
    /// Microseconds; 0: none.
    pub new_timeout: Option<u64>,
    pub max_size: Option<usize>,
    pub invalidate_corrupt: Option<bool>,
    pub sync: Option<bool>,
    /// Microseconds.
    pub id_grace: Option<u64>,
    pub encrypt: Option<bool>,
    pub secrets: Option<Arc<SecretSource>>,
    pub use_cookies: Option<bool>,
    pub id_param: Option<Arc<str>>,
    pub notes: Option<bool>,
    pub lock: Option<LockMode>,
    pub stock: StockConfig,
    /// A `Require` line here or in a section around asks for a session.
    pub has_requirement: bool,
    /// Of the main server only.
    pub server: ServerConfig,
}

impl Config {
    /// The configuration of a section within another.
    pub fn merge(outer: &Config, inner: &Config) -> Config {
        let mut config = Config {
            switch: inner.switch.or(outer.switch),
            kind: inner.kind.clone().or_else(|| outer.kind.clone()),
            dir: inner.dir.clone().or_else(|| outer.dir.clone()),
            place: None,
            scope: inner.scope.clone().or_else(|| outer.scope.clone()),
            cookie: inner.cookie.clone().or_else(|| outer.cookie.clone()),
            timeout: inner.timeout.or(outer.timeout),
            touch_interval: inner.touch_interval.or(outer.touch_interval),
            lifetime: inner.lifetime.or(outer.lifetime),
            new_timeout: inner.new_timeout.or(outer.new_timeout),
            max_size: inner.max_size.or(outer.max_size),
            invalidate_corrupt: inner.invalidate_corrupt.or(outer.invalidate_corrupt),
            sync: inner.sync.or(outer.sync),
            id_grace: inner.id_grace.or(outer.id_grace),
            encrypt: inner.encrypt.or(outer.encrypt),
            secrets: inner.secrets.clone().or_else(|| outer.secrets.clone()),
            use_cookies: inner.use_cookies.or(outer.use_cookies),
            id_param: inner.id_param.clone().or_else(|| outer.id_param.clone()),
            notes: inner.notes.or(outer.notes),
            lock: inner.lock.or(outer.lock),
            stock: StockConfig::merge(&outer.stock, &inner.stock),
            has_requirement: inner.has_requirement || outer.has_requirement,
            server: outer.server,
        };
        // Sections are merged for each request, and to look a place up takes a lock.
        match (&inner.kind, &inner.dir) {
            (None, None) => config.place.clone_from(&outer.place),
            (Some(_), Some(_)) => config.place.clone_from(&inner.place),
            _ => config.locate(),
        }
        config
    }

    /// To be called when `kind` or `dir` changes.
    fn locate(&mut self) {
        let location = self.kind.as_ref().and_then(|kind| Location::of(kind, self.dir.as_deref()));
        self.place = location.as_ref().map(StorePlace::of);
    }

    /// A store was named here: that switches sessions on, unless `Session Off` is said here too.
    fn imply(&mut self) {
        self.switch.get_or_insert(Switch::Implied);
    }

    /// Whether sessions are on here, whatever `SessionInclude` and `SessionExclude` say of a path.
    pub fn is_switched_on(&self) -> bool {
        match self.switch {
            Some(Switch::Said(on)) => on,
            Some(Switch::Implied) => true,
            None => false,
        }
    }

    pub fn is_on(&self, uri: &[u8]) -> bool {
        self.is_switched_on() && self.stock.includes(uri)
    }

    /// The place of our store; `None`: the stock modules answer.
    pub fn own_store(&self) -> Option<&Arc<StorePlace>> {
        self.place.as_ref()
    }

    pub fn cookie(&self) -> Arc<CookieRule> {
        match (&self.cookie, self.stock.max_age()) {
            (Some(rule), _) => Arc::clone(rule),
            (None, Some(seconds)) => Arc::new(CookieRule { max_age: Some(seconds.min(LONGEST)), ..CookieRule::default() }),
            (None, None) => Arc::clone(&DEFAULT_COOKIE),
        }
    }

    fn carrier(&self, rule: Arc<CookieRule>) -> Carrier {
        match &self.id_param {
            Some(name) if !self.uses_cookies() => Carrier::Query(Arc::clone(name)),
            _ => Carrier::Cookie(rule, self.secrets.clone()),
        }
    }

    pub fn uses_cookies(&self) -> bool {
        self.use_cookies.unwrap_or(true)
    }

    /// What holds for a request on a host, if a store of ours does.
    pub fn settings(&self, server_name: &[u8]) -> Option<Settings> {
        let place = Arc::clone(self.own_store()?);
        let cookie = self.cookie();
        let name = match &self.scope {
            Some(scope) => Arc::clone(scope),
            None => String::from_utf8_lossy(server_name).to_lowercase().into(),
        };
        let terms = Terms {
            scope: Scope { name, cookie: Arc::clone(&cookie.name) },
            timeout: self.timeout.or(self.stock.max_age().map(|seconds| seconds.min(LONGEST))).unwrap_or(DEFAULT_TIMEOUT),
            expiry: Expiry {
                touch_interval: self.touch_interval.or(self.stock.expiry_update.map(|seconds| seconds.saturating_mul(MICROS))),
                lifetime: self.lifetime.filter(|&span| span > 0),
                new_timeout: self.new_timeout.filter(|&span| span > 0),
            },
            max_size: self.max_size.unwrap_or(DEFAULT_MAX_SIZE),
            sealed: self.encrypt.unwrap_or(false),
            grace: self.id_grace.unwrap_or(DEFAULT_GRACE),
            durability: if self.sync.unwrap_or(false) { Durability::Machine } else { Durability::Process },
        };
        Some(Settings {
            place,
            terms,
            carrier: self.carrier(cookie),
            invalidate_corrupt: self.invalidate_corrupt.unwrap_or(true),
            lock: self.lock.unwrap_or_default(),
        })
    }

    pub fn notes(&self) -> bool {
        self.notes.unwrap_or(true)
    }
}

/// What holds for one session of a request tree.
pub struct Settings {
    pub place: Arc<StorePlace>,
    pub terms: Terms,
    pub carrier: Carrier,
    pub invalidate_corrupt: bool,
    pub lock: LockMode,
}

/// What carries the id to the client and back.
pub enum Carrier {
    /// Signed where there are keys.
    Cookie(Arc<CookieRule>, Option<Arc<SecretSource>>),
    /// A parameter of the query string, which the application writes into its links (`SessionUseCookies off`).
    Query(Arc<str>),
}

impl Settings {
    pub fn cookie(&self) -> Option<&CookieRule> {
        match &self.carrier {
            Carrier::Cookie(rule, _) => Some(rule),
            Carrier::Query(_) => None,
        }
    }

    /// The `Set-Cookie` header that hands out an id; `None`: cookies do not carry it, or it cannot be signed, which was said when the
    /// session was opened.
    pub fn set_cookie(&self, id: &Id, https: bool) -> Option<String> {
        let Carrier::Cookie(rule, secrets) = &self.carrier else { return None };
        let value = match secrets {
            Some(source) => source.keys().ok()?.sign(&self.terms.scope, id),
            None => id.expose().to_owned(),
        };
        Some(rule.set(&value, https))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_store() -> Config {
        let mut config = Config { kind: Some(StoreKind::File), dir: Some(Path::new("/s").into()), ..Config::default() };
        config.imply();
        config.locate();
        config
    }

    #[test]
    fn without_a_store_nothing_is_on() {
        assert!(!Config::default().is_on(b"/"));
        assert!(Config::default().settings(b"h").is_none());
    }

    #[test]
    fn a_store_implies_on_where_it_is_named_unless_off_is_said_there() {
        assert!(with_store().is_on(b"/"));
        let off = Config { switch: Some(Switch::Said(false)), ..Config::default() };
        assert!(!Config::merge(&with_store(), &off).is_on(b"/"));
        assert!(Config::merge(&off, &with_store()).is_on(b"/"));
        let mut both = off;
        both.imply();
        assert!(!both.is_on(b"/"));
    }

    #[test]
    fn the_inner_section_wins_and_the_outer_fills_in() {
        let outer = Config { timeout: Some(60), max_size: Some(2048), ..with_store() };
        let inner = Config { timeout: Some(5), ..Config::default() };
        let settings = Config::merge(&outer, &inner).settings(b"Example.ORG").unwrap();
        assert_eq!((settings.terms.timeout, settings.terms.max_size), (5, 2048));
        assert_eq!((&*settings.terms.scope.name, &*settings.terms.scope.cookie), ("example.org", "sid"));
    }

    #[test]
    fn stock_gives_a_section_back_to_the_stock_modules() {
        let stock = Config { kind: Some(StoreKind::Stock), ..Config::default() };
        let merged = Config::merge(&with_store(), &stock);
        assert!(merged.own_store().is_none() && merged.is_on(b"/"));
    }

    #[test]
    fn stock_directives_mean_ours_where_ours_are_not_said() {
        let mut config = with_store();
        config.stock.max_age_seconds = Some(60);
        config.stock.expiry_update = Some(10);
        let said = |config: &Config| {
            let settings = config.settings(b"h").unwrap();
            (settings.terms.timeout, settings.cookie().unwrap().max_age, settings.terms.expiry.touch_interval)
        };
        assert_eq!(said(&config), (60, Some(60), Some(10 * MICROS)));
        config.stock.max_age_seconds = Some(i64::MAX);
        assert_eq!(said(&config), (LONGEST, Some(LONGEST), Some(10 * MICROS)), "the stock module knows no limit");
        config.timeout = Some(7);
        config.cookie = Some(Arc::new(CookieRule::default()));
        config.touch_interval = Some(1);
        assert_eq!(said(&config), (7, None, Some(1)));
    }
}
