//! A module of httpd in Rust that uses the sessions of mod_session_rs through its Rust interface.
//!
//!     SetHandler rustapi    runs the operations in the query string, as the handlers of tests/c do (ops.rs)
//!     SetHandler rustcart   puts what the query string names into a cart and shows it, as an application would

mod httpd;
mod ops;

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::panic::catch_unwind;
use std::sync::OnceLock;

use httpd::{DECLINED, Module, OK, Request, RequestRec};
use mod_session_rs::client::{Error, Open, Sessions};
use serde::{Deserialize, Serialize};

/// What `LoadModule rustapi_module` looks for; httpd writes its index into it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static mut rustapi_module: Module = Module::new(c"mod_rustapi.c", register);

static SESSIONS: OnceLock<Sessions> = OnceLock::new();

unsafe extern "C" fn register(_: *mut c_void) {
    httpd::hooks(child_init, handler);
}

unsafe extern "C" fn child_init(_: *mut c_void, _: *mut c_void) {
    if let Ok(sessions) = Sessions::retrieve() {
        let _ = SESSIONS.set(sessions);
    }
}

unsafe extern "C" fn handler(r: *mut RequestRec) -> c_int {
    // SAFETY: httpd calls with the request that it serves, in the thread that serves it.
    let request = unsafe { Request::new(r) };
    catch_unwind(|| match (request.handler().as_str(), SESSIONS.get()) {
        ("rustapi" | "rustcart", None) => Error::NotOffered.http_status(),
        ("rustapi", Some(sessions)) => ops::run(request, sessions),
        ("rustcart", Some(sessions)) => put_into_cart(request, sessions).map_or_else(|error| error.http_status(), |()| OK),
        _ => DECLINED,
    })
    .unwrap_or(500)
}

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<Item>,
    voucher: Option<String>,
    /// What each item costs in each currency.
    prices: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    number: u32,
}

fn put_into_cart(request: Request, sessions: &Sessions) -> Result<(), Error> {
    // SAFETY: the request is served as long as this runs.
    let session = unsafe { sessions.open(request.raw(), Open::new()) }?;
    let mut cart: Cart = session.get("cart")?.unwrap_or_default();
    let name = httpd::decode(&request.args());
    if !name.is_empty() {
        let number = u32::try_from(name.len()).unwrap_or(0);
        cart.prices.entry(name.clone()).or_default().insert("EUR".into(), 0.5);
        cart.items.push(Item { name, number });
        session.set("cart", &cart)?;
    }
    request.say(&serde_json::to_string(&cart).unwrap_or_default());
    Ok(())
}
