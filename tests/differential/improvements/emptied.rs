//! Sessions that expired or cannot be read.

use super::{Row, row};

pub const EXPIRED: &[Row] = &[
    row(
        &["aged"],
        "what is set after the session expired",
        &[1, 2],
        "Set-Cookie",
        "kept=expiry=now+300;Max-Age=300;path=/",
        "kept=b=2&expiry=now+300;Max-Age=300;path=/",
    ),
    row(&["aged", "plain"], "what is set after the session expired", &[1], "body", "get: 0 - and entries: ", "get: 0 2 and entries: b=2"),
    row(&["aged", "plain"], "what is set after the session expired", &[2], "body", "entries: ", "entries: b=2"),
    row(&["dbd"], "what is set after the session in a row expired", &[2], "Set-Cookie", "-", "row=id#2;path=/ and row=id#2;path=/"),
    row(&["dbd"], "what is set after the session in a row expired", &[2], "body", "get: 0 -", "get: 0 2"),
    row(&["dbd"], "what is set after the session in a row expired", &[3], "body", "entries: ", "entries: b=2"),
    row(&["dbd"], "what is set after the session in a row expired", &[4], "body", "-", "id#2|b=2|0"),
    row(&["form"], "a login after the session expired", &[1], "Set-Cookie", "-", "kept=realm-user=ann&realm-pw=password;path=/"),
    row(&["form"], "a login after the session expired", &[2], "body", "entries: ", "entries: realm-user=ann realm-pw=password"),
    row(
        &["own-turned"],
        "what is set after the store gave a session that expired, and one that cannot be read",
        &[1, 2],
        "X-Kept",
        "-",
        "turned.2=b",
    ),
    row(
        &["own-turned"],
        "what is set after the store gave a session that expired, and one that cannot be read",
        &[1, 2],
        "body",
        "get: 0 -",
        "get: 0 2",
    ),
    row(&["plain"], "what is set after the session expired", &[1], "Set-Cookie", "-", "kept=b=2;path=/"),
];

pub const UNREADABLE: &[Row] = &[
    row(&["crypto-other"], "what is set after a session that cannot be read", &[2], "Set-Cookie", "-", "sealed=sealed#76;path=/"),
    row(&["crypto-other"], "what is set after a session that cannot be read", &[2], "body", "get: 0 -", "get: 0 2"),
    row(&["crypto-other"], "what is set after a session that cannot be read", &[3], "body", "entries: ", "entries: b=2"),
    row(
        &["crypto-other"],
        "what is set after a session that cannot be read",
        &[3],
        "log",
        "session:error: AH01817: error while decoding the session, session not loaded: /crypto-other/s and session_crypto:debug: AH10006: auth does not match, skipping and session_crypto:error: AH01842: decrypt session failed, wrong passphrase? and session_crypto:info: AH01840: decryption failed",
        "-",
    ),
    row(
        &["crypto"],
        "hooks that are run directly",
        &[1],
        "body",
        "record: pool=1 uuid=0 remote_user=- encoded=a=1 expiry=0 maxage=0 dirty=0 cached=0 written=0 entries:",
        "record: pool=1 uuid=0 remote_user=- encoded=- expiry=0 maxage=0 dirty=0 cached=0 written=0 entries:",
    ),
    row(
        &["crypto"],
        "hooks that are run directly",
        &[2],
        "body",
        "run_decode: 100005 - and record: pool=1 uuid=0 remote_user=- encoded=a=1 expiry=0 maxage=0 dirty=0 cached=0 written=0 entries:",
        "run_decode: 0 - and record: pool=1 uuid=0 remote_user=- encoded=- expiry=0 maxage=0 dirty=0 cached=0 written=0 entries:",
    ),
    row(&["crypto"], "hooks that are run directly", &[3], "body", "run_decode: 100005 -", "run_decode: 0 -"),
];
