//! Servers and virtual hosts, and the state of the process.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use rustix::process::{Gid, Uid};

use super::config::SectionConfig;
use super::{Pool, config, ffi};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server<'s> {
    raw: *mut ffi::server_rec,
    owner: PhantomData<&'s ()>,
}

// SAFETY: a server_rec is not changed after the configuration is read, and is used from all threads by httpd itself.
unsafe impl Send for Server<'static> {}
// SAFETY: as above.
unsafe impl Sync for Server<'static> {}

impl<'s> Server<'s> {
    /// # Safety
    /// `raw` is a server that outlives `'s`.
    pub unsafe fn from_raw(raw: *mut ffi::server_rec) -> Server<'s> {
        Server { raw, owner: PhantomData }
    }

    pub fn raw(self) -> *mut ffi::server_rec {
        self.raw
    }

    /// `ServerName`.
    pub fn name(self) -> &'s [u8] {
        // SAFETY: a NUL-terminated string of the configuration, or null.
        unsafe {
            let name = (*self.raw).server_hostname;
            if name.is_null() { b"" } else { CStr::from_ptr(name).to_bytes() }
        }
    }

    /// Whether its virtual host begins at this line of this file.
    pub(super) fn is_defined_at(self, file: *const std::ffi::c_char, line: c_int) -> bool {
        // SAFETY: texts of the configuration, or null for the main server.
        unsafe {
            let (defined, number) = ((*self.raw).defn_name, (*self.raw).defn_line_number);
            !file.is_null()
                && !defined.is_null()
                && number == u32::try_from(line).unwrap_or(0)
                && CStr::from_ptr(defined) == CStr::from_ptr(file)
        }
    }

    /// This server and the virtual hosts after it.
    pub fn and_following(self) -> impl Iterator<Item = Server<'s>> {
        std::iter::successors(Some(self), |server| {
            // SAFETY: `next` is a server or null.
            let next = unsafe { (*server.raw).next };
            (!next.is_null()).then_some(Server { raw: next, owner: PhantomData })
        })
    }

    /// What our directives say outside of all sections of this server.
    pub fn dir_config<C: SectionConfig>(self) -> Option<&'s C> {
        // SAFETY: lookup_defaults is the configuration vector of the server's outermost section.
        unsafe { config::of_section((*self.raw).lookup_defaults) }
    }

    /// What our directives say in each `<Location>` and `<Directory>` of this server.
    pub fn sections<C: SectionConfig>(self) -> Vec<&'s C> {
        // SAFETY: core keeps arrays of configuration vectors of the sections; they live as long as the server.
        unsafe {
            let core = ffi::ap_get_module_config((*self.raw).module_config, &raw const ffi::core_module).cast::<ffi::core_server_config>();
            let Some(core) = core.as_ref() else { return Vec::new() };
            let vectors = [core.sec_url, core.sec_dir].into_iter().filter_map(|array| array.as_ref());
            vectors
                .flat_map(|array| {
                    (0..usize::try_from(array.nelts).unwrap_or(0)).map(|i| *array.elts.cast::<*const ffi::ap_conf_vector_t>().add(i))
                })
                .filter_map(|vector| config::of_section(vector))
                .collect()
        }
    }

    /// For what is configured itself: a server and all that is said of it end together.
    pub fn for_life_of_configuration(self) -> Server<'static> {
        Server { raw: self.raw, owner: PhantomData }
    }

    /// Keeps a child's server for as long as the child lives.
    pub fn for_life_of_child(self, _pool: Pool<'_>) -> Server<'static> {
        Server { raw: self.raw, owner: PhantomData }
    }
}

/// At `-t` and in the first of the two passes of a start, where a failing check is answered to whoever typed the command. At a
/// restart it would end a server that works.
pub fn is_first_reading() -> bool {
    is_in_state(ffi::AP_SQ_MS_CREATE_PRE_CONFIG as c_int)
}

/// The server runs already, and reads its configuration again.
pub fn is_restart() -> bool {
    super::mpm::generation() > 0
}

/// The whole server ends.
pub fn is_exiting() -> bool {
    is_in_state(ffi::AP_SQ_MS_EXITING as c_int)
}

fn is_in_state(state: c_int) -> bool {
    // SAFETY: a query without arguments.
    unsafe { ffi::ap_state_query(ffi::AP_SQ_MAIN_STATE as c_int) == state }
}

/// Who serves requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// The server switches to `User` and `Group`.
    Become(Uid, Gid),
    /// It was not started by root: it stays who it is.
    Same,
    /// It was started by root and has no `User`.
    Unknown,
}

pub fn workers() -> Workers {
    if !rustix::process::geteuid().is_root() {
        return Workers::Same;
    }
    // SAFETY: a plain struct, set while the configuration is read by one thread.
    let (user, group) = unsafe { (ffi::ap_unixd_config.user_id, ffi::ap_unixd_config.group_id) };
    if user == u32::MAX || group == u32::MAX { Workers::Unknown } else { Workers::Become(Uid::from_raw(user), Gid::from_raw(group)) }
}

/// Whether a module is loaded, by the name of its source file.
pub fn is_loaded(source: &CStr) -> bool {
    // SAFETY: httpd compares the name with those of the loaded modules.
    unsafe { !ffi::ap_find_linked_module(source.as_ptr()).is_null() }
}
