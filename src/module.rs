//! The module record: the table of contents. Directives are in `config::directives`, the life of a session in `hooks`, the doors in
//! `bridge`.
#![allow(unsafe_code)]

use crate::config::Config;
use crate::config::directives::COMMANDS;
use crate::httpd::{self, ffi};
use crate::{bridge, hooks};

struct SessionModule;

impl httpd::Module for SessionModule {
    type Config = Config;

    fn address() -> *mut ffi::module {
        &raw mut session_module
    }

    fn merge(outer: &Config, inner: &Config) -> Config {
        Config::merge(outer, inner)
    }

    fn register_hooks() {
        hooks::register();
        bridge::register();
    }
}

/// What `LoadModule session_module` looks for. httpd writes its index into it. The file name is that of the module whose place it
/// takes: `<IfModule mod_session.c>` keeps its meaning.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut session_module: ffi::module = httpd::record::<SessionModule>(c"mod_session.c", COMMANDS.first());
