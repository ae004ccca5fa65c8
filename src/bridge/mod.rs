//! Faces to other code. Each registers its own hooks and functions. Those that C calls are, with `httpd`, the only home of `unsafe`.

mod authz;
pub mod c_api;
mod exports;
mod expr;
mod lookup;
mod notes;
mod stock;

pub fn register() {
    notes::register();
    stock::register();
    c_api::register();
    authz::register();
    expr::register();
}
