//! mod_session_crypto over the hooks.

use crate::pair::{Case, get};

const FIRST: &[&str] = &["crypto", "crypto-aged"];

pub const CASES: &[Case] = &[
    Case {
        name: "what another passphrase sealed",
        on: FIRST,
        script: |v| {
            v.get("s?load&set=a:1").shows("Set-Cookie");
            v.get("/crypto-rotated/s?load&get=a").shows("get: 0 1");
            v.get("/crypto-other/s?load&get=a").shows("get: 0 -");
        },
    },
    Case {
        name: "a change seals under the new passphrase",
        on: &["crypto"],
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("/crypto-rotated/s?load&set=b:2");
            v.get("/crypto-other/s?load&entries").shows("a=1 b=2");
            v.get("s?load&entries").shows("entries: \n");
        },
    },
    Case {
        name: "what was tampered with",
        on: FIRST,
        script: |v| {
            let tamper: [fn(&str) -> String; 6] = [
                |text| text[..text.len() - 8].to_owned(),
                |text| format!("AAAA{text}"),
                |text| text.replacen(&text[40..41], if &text[40..41] == "A" { "B" } else { "A" }, 1),
                |_| "AAAA".into(),
                |_| "no base64!".into(),
                |_| "a=1&b=2".into(),
            ];
            for change in tamper {
                v.forget_cookie("sealed");
                v.get("s?load&set=a:1");
                v.change_cookie("sealed", change);
                v.get("s?load&get=a&load&get=a").shows("get: 0 -");
            }
        },
    },
    Case {
        name: "another cipher",
        on: &["crypto-cipher"],
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("s?load&get=a").shows("get: 0 1");
            v.get("/crypto/s?load&get=a");
        },
    },
    Case {
        name: "a program is told what is sealed",
        on: FIRST,
        script: |v| {
            v.get("cgi");
            v.get("s?load&set=a:1");
            v.get("cgi");
            v.ask(get("cgi").cookie("sealed=AAAA"));
        },
    },
];
