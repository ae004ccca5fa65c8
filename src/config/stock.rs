//! The seven directives of the stock module, with its rules.

use std::sync::Arc;

#[derive(Default, Clone)]
pub struct StockConfig {
    /// `SessionMaxAge`; 0 and less: none.
    pub max_age_seconds: Option<i64>,
    pub header: Option<Arc<str>>,
    pub env: Option<bool>,
    /// Byte prefixes of the URL path.
    pub includes: Vec<Arc<str>>,
    pub excludes: Vec<Arc<str>>,
    /// `SessionExpiryUpdateInterval`, seconds.
    pub expiry_update: Option<u64>,
}

impl StockConfig {
    /// Includes and excludes add up, as they do in the stock module; the others are replaced.
    pub fn merge(outer: &StockConfig, inner: &StockConfig) -> StockConfig {
        StockConfig {
            max_age_seconds: inner.max_age_seconds.or(outer.max_age_seconds),
            header: inner.header.clone().or_else(|| outer.header.clone()),
            env: inner.env.or(outer.env),
            includes: outer.includes.iter().chain(&inner.includes).cloned().collect(),
            excludes: outer.excludes.iter().chain(&inner.excludes).cloned().collect(),
            expiry_update: inner.expiry_update.or(outer.expiry_update),
        }
    }

    pub fn includes(&self, uri: &[u8]) -> bool {
        let begins = |prefix: &Arc<str>| uri.starts_with(prefix.as_bytes());
        (self.includes.is_empty() || self.includes.iter().any(begins)) && !self.excludes.iter().any(begins)
    }

    pub fn max_age(&self) -> Option<u64> {
        self.max_age_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_bytes_excludes_win_and_sections_add_up() {
        let outer = StockConfig { includes: vec!["/app".into()], ..StockConfig::default() };
        let inner = StockConfig { includes: vec!["/x".into()], excludes: vec!["/app/pub".into()], ..StockConfig::default() };
        let merged = StockConfig::merge(&outer, &inner);
        assert!(merged.includes(b"/app/a") && merged.includes(b"/application") && merged.includes(b"/x"));
        assert!(!merged.includes(b"/app/public") && !merged.includes(b"/other"));
        assert!(StockConfig::default().includes(b"/anything"));
    }
}
