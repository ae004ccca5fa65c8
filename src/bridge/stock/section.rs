//! `session_dir_conf`: what mod_session.h declares of the configuration of a section, for other modules to read.

use std::ffi::{c_int, c_long};
use std::ptr::null;

use crate::config::Config;
use crate::httpd::Pool;
use crate::httpd::config::SectionConfig;
use crate::httpd::ffi::session_dir_conf;
use crate::session::time::MICROS;

impl SectionConfig for Config {
    type Public = session_dir_conf;

    fn public(&self, pool: Pool<'_>) -> session_dir_conf {
        let stock = &self.stock;
        session_dir_conf {
            enabled: c_int::from(self.is_switched_on()),
            enabled_set: c_int::from(self.switch.is_some()),
            maxage: stock.max_age_seconds.map_or(0, |seconds| c_long::try_from(seconds).unwrap_or(0)),
            maxage_set: c_int::from(stock.max_age_seconds.is_some()),
            header: stock.header.as_deref().map_or(null(), |name| pool.text(name).as_ptr()),
            header_set: c_int::from(stock.header.is_some()),
            env: c_int::from(stock.env == Some(true)),
            env_set: c_int::from(stock.env.is_some()),
            includes: pool.texts(stock.includes.iter().map(|prefix| &**prefix)),
            excludes: pool.texts(stock.excludes.iter().map(|prefix| &**prefix)),
            expiry_update_time: stock.expiry_update.map_or(0, |seconds| i64::try_from(seconds.saturating_mul(MICROS)).unwrap_or(0)),
            expiry_update_set: c_int::from(stock.expiry_update.is_some()),
        }
    }
}
