//! Error buckets, caches, numbers below zero, and the hooks.

use super::{Row, row};

pub const BUCKET: &[Row] = &[
    row(&["dbd"], "an error bucket", &[1], "Set-Cookie", "-", "row=id#1;path=/ and row=id#1;path=/"),
    row(&["dbd", "plain"], "an error bucket", &[2], "body", "entries: ", "entries: a=1"),
    row(&["plain"], "an error bucket", &[1], "Set-Cookie", "-", "kept=a=1;path=/"),
];

pub const CACHES: &[Row] = &[
    row(
        &["aged", "crypto", "kept", "plain"],
        "an internal redirect within the section",
        &[1, 3],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(&["aged", "kept", "plain"], "error documents", &[4, 6, 8], "Cache-Control", "-", "no-cache, private"),
    row(&["dbd"], "error documents", &[8], "Cache-Control", "-", "no-cache, private"),
    row(&["aged", "crypto", "dbd", "plain"], "methods and statuses", &[5, 6, 7], "Cache-Control", "-", "no-cache, private"),
    row(
        &["aged", "crypto", "dbd-aged", "dbd", "env-aged", "plain"],
        "mod_dir finds the page",
        &[4],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(&["dbd", "plain"], "an error bucket", &[1], "Cache-Control", "-", "no-cache, private"),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "a login that says where to go",
        &[1, 4],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "authentication in other clothes",
        &[1],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "login, a page, logout",
        &[1, 2, 8, 10, 12],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "other names of fields, and forms that are too long",
        &[5],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "sessions that were changed or forged",
        &[1, 2, 3, 5, 7],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(&["form-aged", "form-crypto", "form-dbd", "form"], "the redirect handler", &[1, 2, 3], "Cache-Control", "-", "no-cache, private"),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "what was in the session before the login stays",
        &[2],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(
        &["form-aged", "form-crypto", "form-dbd", "form"],
        "wrong names and passwords",
        &[1, 2, 3, 4, 5, 6, 7, 8, 10, 12],
        "Cache-Control",
        "-",
        "no-cache, private",
    ),
    row(&["form"], "a login after the session expired", &[1], "Cache-Control", "-", "no-cache, private"),
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
