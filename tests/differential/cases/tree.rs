//! Sub-requests, internal redirects, error documents.

use crate::pair::{Case, get};

const STORES: &[&str] = &["plain", "aged", "crypto", "dbd", "dbd-aged", "env-aged"];

pub const CASES: &[Case] = &[
    Case {
        name: "a handler asks another by a sub-request",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("s?load&get=a&sub=/$/s?load%26get=a%26set=b:2&load&get=b&set=c:3");
            v.get("s?load&entries");
            v.get("s?sub=/plain/s?load%26set=d:4&sub=/dbd/s?load%26set=e:5&load&set=f:6");
            v.get("s?load&entries");
            v.get("s?load&set=g:7&sub=/plain/page&set=h:8");
            v.get("s?load&entries");
            v.get("s?load&set=i:9&sub=/never/page&set=j:10");
            v.get("s?load&entries");
        },
    },
    Case {
        name: "an internal redirect within the section",
        on: &["plain", "aged", "crypto", "dbd", "remove", "kept"],
        script: |v| {
            v.get("s?load&set=before:1&internal=/$/s?load%26get=before%26set=after:2");
            v.get("s?load&entries");
            v.get("s?load&get=before&internal=/$/s?load%26entries%26unset=before");
            v.get("s?load&entries");
            v.rows();
        },
    },
    Case {
        name: "an internal redirect to what other sections apply to",
        on: &["plain", "aged", "dbd", "dbd-aged", "remove"],
        script: |v| {
            v.get("s?load&set=a:1&internal=/$/page");
            v.get("s?load&get=a");
            v.rows();
        },
    },
    Case {
        name: "an internal redirect to another section",
        on: &["plain", "dbd"],
        script: |v| {
            v.get("s?load&set=a:1");
            for section in ["header", "crypto", "never"] {
                v.get(&format!("s?load&get=a&set=b:{section}&internal=/{section}/s?load%26entries%26set=c:3"));
                v.get("s?load&entries");
            }
            v.get("s?load&unset=a&internal=/plain/page");
            v.get("s?load&entries");
        },
    },
    Case {
        name: "an internal redirect to a section that shares the cookie",
        on: &["plain", "header", "dbd", "dbd-header"],
        script: |v| {
            let aged = if v.section().starts_with("dbd") { "dbd-aged" } else { "aged" };
            v.get("s?load&set=a:1");
            v.get(&format!("s?load&get=a&set=b:2&internal=/{aged}/s?load%26set=c:3"));
            v.get("s?load&get=c").shows("get: 0 3");
            v.rows();
        },
    },
    Case {
        name: "mod_dir finds the page",
        on: STORES,
        script: |v| {
            v.get("dir/?load&set=a:1&get=a").shows("get: 0 1");
            v.get("dir/?load&get=a&set=a:2");
            v.get("s?load&get=a");
            v.ask(get("dir").answered(301));
        },
    },
    Case {
        name: "mod_rewrite leads to the page",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("rewrite/$?load&get=a&set=b:2&entries");
            v.get("s?load&entries");
            v.get("rewrite/kept?load&get=a&set=b:2&entries");
            v.get("s?load&entries");
            v.ask(get("rewrite/gone").answered(302));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "mod_include includes pages",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("ssi").shows("end").shows("get: 0 1");
            v.get("s?load&entries");
            v.get("ssi-late");
            v.get("ssi-two");
            v.get("s?load&entries");
        },
    },
    Case {
        name: "error documents",
        on: &["plain", "dbd", "kept", "aged"],
        script: |v| {
            v.get("s?load&set=a:1");
            v.ask(get("denied/s?load&set=b:2").answered(403));
            v.get("s?load&entries");
            v.ask(get("s?load&set=c:3&status=404").answered(404));
            v.get("s?load&entries");
            v.ask(get("s?load&set=d:4&status=403").answered(403));
            v.get("s?load&entries");
            v.ask(get("s?load&set=f:6&status=500").answered(500));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "a sub-request in another section",
        on: &["plain", "dbd"],
        script: |v| {
            v.get("s?load&set=mine:1&sub=/crypto/s?load%26entries%26set=its:2&load&entries");
            v.get("s?load&entries");
            v.get("/own/o?load&get=mine&record");
        },
    },
];
