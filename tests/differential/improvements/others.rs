//! Error buckets, numbers below zero, and the hooks.

use super::{Row, row};

pub const BUCKET: &[Row] = &[
    row(&["dbd"], "an error bucket", &[1], "Set-Cookie", "-", "row=id#1;path=/ and row=id#1;path=/"),
    row(&["dbd", "plain"], "an error bucket", &[2], "body", "entries: ", "entries: a=1"),
    row(&["plain"], "an error bucket", &[1], "Set-Cookie", "-", "kept=a=1;path=/"),
];

pub const BELOW_ZERO: &[Row] = &[
    row(&["negative"], "a number below zero", &[1], "X-Kept", "-", "a=1"),
    row(
        &["negative"],
        "a number below zero",
        &[1],
        "log",
        "session:warn: AH01819: attempt made to save a session when the session had already expired, session not saved: /negative/o",
        "-",
    ),
];

pub const PROVIDER: &[Row] = &[row(
    &["own", "plain"],
    "layout and order",
    &[2],
    "body",
    "hook load: mod_stockonly.c@0 mod_session_cookie.c@10 mod_session_dbd.c@10 and hook save: mod_stockonly.c@0 mod_session_cookie.c@10 mod_session_dbd.c@10",
    "hook load: mod_session.c@-10 mod_stockonly.c@0 mod_session_cookie.c@10 mod_session_dbd.c@10 and hook save: mod_session.c@-10 mod_stockonly.c@0 mod_session_cookie.c@10 mod_session_dbd.c@10",
)];
