//! `SessionCookieRemove On`.

use super::{Row, row};

pub const REMOVED: &[Row] = &[
    row(&["remove"], "an internal redirect to what other sections apply to", &[2], "body", "get: 0 -", "get: 0 1"),
    row(&["remove"], "an internal redirect within the section", &[1], "body", "get: 0 -", "get: 0 1"),
    row(
        &["remove"],
        "an internal redirect within the section",
        &[3],
        "body",
        "get: 0 - and load: 0 and entries: ",
        "get: 0 1 and load: 0 and entries: before=1 after=2",
    ),
    row(&["remove"], "an internal redirect within the section", &[4], "body", "entries: ", "entries: after=2"),
    row(
        &["remove"],
        "an internal redirect to what other sections apply to",
        &[1],
        "Cache-Control",
        "no-cache, private and no-cache, private",
        "no-cache, private",
    ),
    row(&["remove"], "an internal redirect to what other sections apply to", &[1], "Set-Cookie", "-", "kept=a=1;path=/"),
    row(
        &["remove"],
        "an internal redirect to what other sections apply to",
        &[2],
        "Cache-Control",
        "no-cache, private and no-cache, private and no-cache, private",
        "no-cache, private",
    ),
    row(
        &["remove"],
        "an internal redirect within the section",
        &[1, 2, 3, 4],
        "Cache-Control",
        "no-cache, private and no-cache, private and no-cache, private",
        "no-cache, private",
    ),
    row(&["remove"], "an internal redirect within the section", &[1], "Set-Cookie", "-", "kept=before=1&after=2;path=/"),
    row(&["remove"], "an internal redirect within the section", &[2], "body", "entries: ", "entries: before=1 after=2"),
    row(&["remove"], "an internal redirect within the section", &[3], "Set-Cookie", "-", "kept=after=2;path=/"),
    row(
        &["remove"],
        "the cookie is taken from the request",
        &[1, 2],
        "Cache-Control",
        "no-cache, private and no-cache, private",
        "no-cache, private",
    ),
    row(
        &["remove"],
        "the cookie is taken from the request",
        &[3, 4],
        "Cache-Control",
        "no-cache, private and no-cache, private and no-cache, private",
        "no-cache, private",
    ),
    row(&["remove"], "the cookie is taken from the request", &[3], "body", "get: 0 - and entries: ", "get: 0 1 and entries: a=1"),
    row(&["remove"], "the cookie is taken from the request", &[4], "Set-Cookie", "-", "kept=a=1&b=2;path=/"),
    row(&["remove"], "the cookie is taken from the request", &[4], "body", "entries: b=2", "entries: a=1 b=2"),
];
