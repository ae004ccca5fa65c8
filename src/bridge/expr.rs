//! Sessions in expressions: `%{SESSION:key}`, which is `session('key')`.

use std::ffi::CStr;

use super::lookup::look;
use crate::httpd::Request;
use crate::httpd::expr::{self, Function};

pub fn register() {
    expr::register::<Value>();
}

struct Value;

impl Function for Value {
    const NAME: &'static CStr = c"session";

    /// Without a session, and where it cannot be read now, which is logged where it fails, there is nothing to yield.
    fn call(request: Request<'_>, key: &str) -> Option<Vec<u8>> {
        look(request).ok()??.text(key)
    }
}
