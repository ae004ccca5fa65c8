//! Internal redirects.

use super::{Row, row};

pub const DBD: &[Row] = &[
    row(&["dbd-aged", "dbd"], "an internal redirect to what other sections apply to", &[2], "body", "get: 0 -", "get: 0 1"),
    row(
        &["dbd-aged"],
        "an internal redirect to what other sections apply to",
        &[3],
        "body",
        "id#1|expiry=now+300|now+300",
        "id#1|a=1&expiry=now+300|now+300",
    ),
    row(
        &["dbd-aged"],
        "mod_rewrite leads to the page",
        &[2],
        "body",
        "get: 0 - and set: 0 and entries: expiry=now+300 b=2",
        "get: 0 1 and set: 0 and entries: a=1 expiry=now+300 b=2",
    ),
    row(
        &["dbd-aged"],
        "mod_rewrite leads to the page",
        &[3, 5, 7],
        "body",
        "entries: b=2 expiry=now+300",
        "entries: a=1 b=2 expiry=now+300",
    ),
    row(
        &["dbd-aged"],
        "the cookie is taken from the request, or left",
        &[3],
        "body",
        "session=expiry=now+300",
        "session=a=1&expiry=now+300",
    ),
    row(
        &["dbd-header", "dbd"],
        "an internal redirect to a section that shares the cookie",
        &[4],
        "body",
        "id#1|a=1|0 and id#2|expiry=now+300&c=3|now+300",
        "id#2|a=1&b=2&expiry=now+300&c=3|now+300",
    ),
    row(&["dbd"], "an internal redirect to what other sections apply to", &[1], "Set-Cookie", "-", "row=id#1;path=/ and row=id#1;path=/"),
    row(&["dbd"], "an internal redirect to what other sections apply to", &[3], "body", "-", "id#1|a=1|0"),
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
    row(
        &["dbd"],
        "mod_rewrite leads to the page",
        &[2],
        "body",
        "get: 0 - and set: 0 and entries: b=2",
        "get: 0 1 and set: 0 and entries: a=1 b=2",
    ),
    row(&["dbd"], "mod_rewrite leads to the page", &[3, 5, 7], "body", "entries: b=2", "entries: a=1 b=2"),
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
