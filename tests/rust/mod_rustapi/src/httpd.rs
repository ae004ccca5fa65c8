//! As much of httpd 2.4 as the handlers need, by hand: another module has bindings of its own.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::{null, null_mut};

/// `module`, up to its end.
#[repr(C)]
pub struct Module {
    version: c_int,
    minor_version: c_int,
    module_index: c_int,
    name: *const c_char,
    dynamic_load_handle: *mut c_void,
    next: *mut Module,
    magic: c_ulong,
    /// rewrite_args, and what makes and merges the configuration of directories and servers.
    unused: [*const c_void; 5],
    commands: *const c_void,
    register_hooks: Option<unsafe extern "C" fn(*mut c_void)>,
    flags: c_int,
}

impl Module {
    pub const fn new(file: &'static CStr, register_hooks: unsafe extern "C" fn(*mut c_void)) -> Module {
        Module {
            version: 20_120_211,
            minor_version: 0,
            module_index: -1,
            name: file.as_ptr(),
            dynamic_load_handle: null_mut(),
            next: null_mut(),
            magic: 0x4150_3234,
            unused: [null(); 5],
            commands: null(),
            register_hooks: Some(register_hooks),
            flags: 0,
        }
    }
}

/// `request_rec`, as far as `args`.
#[repr(C)]
pub struct RequestRec {
    pool_to_main: [*mut c_void; 6],
    the_request: *mut c_char,
    flags: [c_int; 4],
    protocol: *mut c_char,
    hostname: *const c_char,
    request_time: i64,
    status_line: *const c_char,
    status: c_int,
    method_number: c_int,
    method: *const c_char,
    allowed: i64,
    allowed_lists: [*mut c_void; 2],
    counts_and_mtime: [i64; 3],
    range: *const c_char,
    clength: i64,
    body_reading: [c_int; 3],
    expecting_100: c_uint,
    kept_body_and_table: [*mut c_void; 2],
    remaining_and_read: [i64; 2],
    tables: [*mut c_void; 5],
    content_type: *const c_char,
    handler: *const c_char,
    content_encoding: *const c_char,
    content_languages: *mut c_void,
    vlist_validator_to_path_info: [*mut c_char; 8],
    args: *mut c_char,
}

unsafe extern "C" {
    fn ap_hook_handler(run: unsafe extern "C" fn(*mut RequestRec) -> c_int, before: *const c_void, after: *const c_void, order: c_int);
    fn ap_hook_child_init(run: unsafe extern "C" fn(*mut c_void, *mut c_void), before: *const c_void, after: *const c_void, order: c_int);
    fn ap_set_content_type(r: *mut RequestRec, content_type: *const c_char);
    fn ap_rwrite(bytes: *const c_void, len: c_int, r: *mut RequestRec) -> c_int;
    fn ap_rflush(r: *mut RequestRec) -> c_int;
    fn ap_unescape_urlencoded(text: *mut c_char) -> c_int;
}

pub const OK: c_int = 0;
pub const DECLINED: c_int = -1;
const MIDDLE: c_int = 10;

pub fn hooks(child_init: unsafe extern "C" fn(*mut c_void, *mut c_void), handler: unsafe extern "C" fn(*mut RequestRec) -> c_int) {
    // SAFETY: both have the types of their hooks.
    unsafe {
        ap_hook_child_init(child_init, null(), null(), MIDDLE);
        ap_hook_handler(handler, null(), null(), MIDDLE);
    }
}

/// A request that is being served.
#[derive(Clone, Copy)]
pub struct Request(*mut RequestRec);

// SAFETY: (of all blocks) the request lives, as the caller of `new` vouched for; its texts are NUL-terminated.
impl Request {
    /// # Safety
    /// The request is served by this thread as long as this is used.
    pub unsafe fn new(r: *mut RequestRec) -> Request {
        Request(r)
    }

    pub fn raw(self) -> *mut c_void {
        self.0.cast()
    }

    pub fn handler(self) -> String {
        text(unsafe { (*self.0).handler })
    }

    pub fn args(self) -> String {
        text(unsafe { (*self.0).args })
    }

    pub fn say(self, lines: &str) {
        unsafe {
            ap_set_content_type(self.0, c"text/plain; charset=utf-8".as_ptr());
            ap_rwrite(lines.as_ptr().cast(), lines.len().try_into().unwrap(), self.0);
        }
    }

    pub fn flush(self) {
        unsafe { ap_rflush(self.0) };
    }
}

fn text(text: *const c_char) -> String {
    // SAFETY: as above.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// What came in a query string. NUL, which cannot, is written `\u{2400}` there, the symbol for it.
pub fn decode(urlencoded: &str) -> String {
    let mut bytes = CString::new(urlencoded).unwrap().into_bytes_with_nul();
    // SAFETY: NUL-terminated, and decoding never makes it longer.
    unsafe { ap_unescape_urlencoded(bytes.as_mut_ptr().cast()) };
    CStr::from_bytes_until_nul(&bytes).unwrap().to_string_lossy().replace('\u{2400}', "\0")
}
