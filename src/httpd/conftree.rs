//! The configuration as it was read: what directives of other modules say.

use std::ffi::CStr;

use super::pool::OwnPool;
use super::{Server, ffi};

/// The arguments of all directives of a name, in their order, as the configuration is being read.
pub fn in_configuration(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(root(), name, &mut |_| true, &mut found);
    found
}

/// The last argument that a directive of one word has in a server: in its virtual host, else outside of all of them.
pub fn of_server(server: Server<'_>, name: &str) -> Option<String> {
    of_virtual_host(server, name).or_else(|| {
        let mut found = Vec::new();
        walk(root(), name, &mut |node| !is_virtual_host(node), &mut found);
        found.pop().map(|arguments| first_word(&arguments))
    })
}

/// As [`of_server`], in the virtual host itself only.
pub fn of_virtual_host(server: Server<'_>, name: &str) -> Option<String> {
    let (mut found, mut unwanted) = (Vec::new(), Vec::new());
    let mut enters = |node: &ffi::ap_directive_t| {
        if is_virtual_host(node) && server.is_defined_at(node.filename, node.line_num) {
            walk(node.first_child, name, &mut |_| true, &mut found);
        }
        true
    };
    walk(root(), name, &mut enters, &mut unwanted);
    found.pop().map(|arguments| first_word(&arguments))
}

fn root() -> *const ffi::ap_directive_t {
    // SAFETY: written by the thread that reads the configuration, which this is.
    unsafe { ffi::ap_conftree }
}

fn is(directive: &ffi::ap_directive_t, name: &str) -> bool {
    // SAFETY: a NUL-terminated text of the tree, or null.
    !directive.directive.is_null() && unsafe { CStr::from_ptr(directive.directive) }.to_bytes().eq_ignore_ascii_case(name.as_bytes())
}

fn is_virtual_host(directive: &ffi::ap_directive_t) -> bool {
    is(directive, "<VirtualHost")
}

/// Goes into what `enters` says.
fn walk(
    mut directive: *const ffi::ap_directive_t,
    name: &str,
    enters: &mut dyn FnMut(&ffi::ap_directive_t) -> bool,
    found: &mut Vec<String>,
) {
    // SAFETY: the tree of the configuration that was just read: nodes with NUL-terminated texts, siblings and children, or null.
    while let Some(node) = unsafe { directive.as_ref() } {
        if is(node, name) {
            let arguments = if node.args.is_null() { c"" } else { unsafe { CStr::from_ptr(node.args) } };
            found.push(arguments.to_string_lossy().into_owned());
        }
        if enters(node) {
            walk(node.first_child, name, enters, found);
        }
        directive = node.next;
    }
}

/// As httpd reads it, without its quotes.
fn first_word(arguments: &str) -> String {
    let pool = OwnPool::new();
    let mut line = pool.get().text(arguments).as_ptr();
    // SAFETY: the line lives in the pool, and so does the answer.
    unsafe { CStr::from_ptr(ffi::ap_getword_conf(pool.get().raw(), &raw mut line)) }.to_string_lossy().into_owned()
}
