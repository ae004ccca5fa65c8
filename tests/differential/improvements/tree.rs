//! Internal redirects.

use super::{Row, row};

pub const DBD: &[Row] = &[
    row(&["dbd"], "an internal redirect within the section", &[1], "body", "get: 0 -", "get: 0 1"),
    row(&["dbd"], "an internal redirect within the section", &[2], "body", "entries: after=2", "entries: before=1 after=2"),
    row(
        &["dbd"],
        "an internal redirect within the section",
        &[3],
        "body",
        "get: 0 - and load: 0 and entries: ",
        "get: 0 1 and load: 0 and entries: before=1 after=2",
    ),
    row(&["dbd"], "an internal redirect within the section", &[4], "body", "entries: ", "entries: after=2"),
    row(&["dbd"], "an internal redirect within the section", &[5], "body", "id#1|after=2|0", "id#2|after=2|0"),
    row(&["dbd"], "error documents", &[5], "body", "entries: missing=1", "entries: a=1 seen=1 c=3 missing=1"),
    row(&["dbd"], "error documents", &[6], "body", "get: 0 -", "get: 0 1"),
    row(&["dbd"], "error documents", &[7], "body", "entries: seen=1", "entries: a=1 seen=1 c=3 missing=1 d=4"),
    row(&["dbd"], "error documents", &[9], "body", "entries: seen=1 f=6", "entries: a=1 seen=1 c=3 missing=1 d=4 f=6"),
];

pub const ELSEWHERE: &[Row] = &[
    row(&["dbd"], "an internal redirect to another section", &[6], "Set-Cookie", "-", "row=id#2;path=/"),
    row(&["dbd"], "an internal redirect to another section", &[7, 9], "body", "entries: a=1", "entries: a=1 b=never"),
    row(&["plain"], "an internal redirect to another section", &[6], "Set-Cookie", "-", "kept=a=1&b=never&c=3;path=/"),
    row(&["plain"], "an internal redirect to another section", &[7], "body", "entries: a=1 b=header c=3", "entries: a=1 b=never c=3"),
    row(&["plain"], "an internal redirect to another section", &[8], "Set-Cookie", "kept=b=header&c=3;path=/", "kept=b=never&c=3;path=/"),
    row(&["plain"], "an internal redirect to another section", &[9], "body", "entries: b=header c=3", "entries: b=never c=3"),
];

pub const MEANWHILE: &[Row] = &[
    row(&["plain"], "a session that ends under a request", &[2], "body", "get: 0 -", "get: 0 1"),
    row(
        &["plain"],
        "a session that ends under a request",
        &[2],
        "log",
        "-",
        "session:warn: AH01819: attempt made to save a session when the session had already expired, session not saved: /plain/s",
    ),
];
