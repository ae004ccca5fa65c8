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
    row(&["dbd"], "an internal redirect within the section", &[5], "Set-Cookie", "-", "row=id#3;path=/"),
    row(&["dbd"], "an internal redirect within the section", &[6], "body", "entries: ", "entries: after=2 last=3"),
    row(&["dbd"], "an internal redirect within the section", &[7], "body", "id#1|after=2|0", "id#3|after=2&last=3|0"),
    row(&["dbd"], "error documents", &[5], "body", "entries: missing=1", "entries: a=1 seen=1 c=3 missing=1"),
    row(&["dbd"], "error documents", &[6], "body", "get: 0 -", "get: 0 1"),
    row(&["dbd"], "error documents", &[7], "body", "entries: seen=1", "entries: a=1 seen=1 c=3 missing=1 d=4"),
    row(&["dbd"], "error documents", &[9], "body", "entries: seen=1 f=6", "entries: a=1 seen=1 c=3 missing=1 d=4 f=6"),
];

pub const ELSEWHERE: &[Row] = &[
    row(
        &["dbd-aged"],
        "mod_rewrite leads to the page",
        &[2],
        "Set-Cookie",
        "row=id#2;Max-Age=300;path=/ and row=id#2;Max-Age=300;path=/",
        "row=id#2;Max-Age=300;path=/ and row=id#1;Max-Age=300;path=/ and row=id#2;Max-Age=300;path=/",
    ),
    row(
        &["dbd-aged"],
        "mod_rewrite leads to the page",
        &[4],
        "Set-Cookie",
        "kept=b=2&expiry=now+300;Max-Age=300;path=/",
        "kept=b=2&expiry=now+300;Max-Age=300;path=/ and row=id#2;Max-Age=300;path=/",
    ),
    row(&["dbd"], "an internal redirect to another section", &[2], "Set-Cookie", "kept=c=3;path=/", "kept=c=3;path=/ and row=id#2;path=/"),
    row(&["dbd"], "an internal redirect to another section", &[3], "body", "entries: a=1", "entries: a=1 b=header"),
    row(
        &["dbd"],
        "an internal redirect to another section",
        &[4],
        "Set-Cookie",
        "sealed=sealed#76;path=/",
        "sealed=sealed#76;path=/ and row=id#3;path=/",
    ),
    row(&["dbd"], "an internal redirect to another section", &[5], "body", "entries: a=1", "entries: a=1 b=crypto"),
    row(&["dbd"], "an internal redirect to another section", &[6], "Set-Cookie", "-", "row=id#4;path=/"),
    row(&["dbd"], "an internal redirect to another section", &[7], "body", "entries: a=1", "entries: a=1 b=never"),
    row(&["dbd"], "an internal redirect to another section", &[8], "Set-Cookie", "-", "row=id#5;path=/"),
    row(
        &["dbd"],
        "an internal redirect to another section",
        &[8],
        "body",
        "cookie= kept=c=3; sealed=sealed#76",
        "cookie=kept=c=3; sealed=sealed#76",
    ),
    row(&["dbd"], "an internal redirect to another section", &[9], "body", "entries: a=1", "entries: b=never"),
    row(
        &["plain"],
        "an internal redirect to another section",
        &[4],
        "Set-Cookie",
        "sealed=sealed#76;path=/",
        "sealed=sealed#76;path=/ and kept=a=1&b=crypto&c=3;path=/",
    ),
    row(&["plain"], "an internal redirect to another section", &[5], "body", "entries: a=1 b=header c=3", "entries: a=1 b=crypto c=3"),
    row(&["plain"], "an internal redirect to another section", &[6], "Set-Cookie", "-", "kept=a=1&b=never&c=3;path=/"),
    row(&["plain"], "an internal redirect to another section", &[7], "body", "entries: a=1 b=header c=3", "entries: a=1 b=never c=3"),
    row(&["plain"], "an internal redirect to another section", &[8], "Set-Cookie", "kept=b=header&c=3;path=/", "kept=b=never&c=3;path=/"),
    row(
        &["plain"],
        "an internal redirect to another section",
        &[8],
        "body",
        "cookie=kept=a=1&b=header&c=3; sealed=sealed#76",
        "cookie=sealed=sealed#76; kept=a=1&b=never&c=3",
    ),
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
