//! The bindings that build.rs generates. Never named outside `httpd` and the exported faces.
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    dead_code,
    unnecessary_transmutes,
    missing_docs,
    clippy::all,
    clippy::pedantic
)]

include!(concat!(env!("OUT_DIR"), "/httpd.rs"));
