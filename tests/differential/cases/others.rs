//! A module that others wrote, on all hooks and functions of mod_session.h.

use crate::pair::{Case, ask, get};

pub const CASES: &[Case] = &[
    Case {
        name: "a store and an encoding of others",
        on: &["own", "own-aged", "own-turned"],
        script: |v| {
            v.get("o?load&record&get=a&set=a:1&record").shows("set: 0");
            v.ask(get("o?load&record&get=a&set=b:2").with("X-Kept", "a=1"));
            v.ask(get("o?load&record&get=a&set=b:2").with("X-Kept", "turned.1=a"));
            v.ask(get("o?load&record&load&record").with("X-Kept", "broken."));
            v.ask(get("o?load&record&load&record").with("X-Kept", "expiry=@-40@&a=1"));
            v.ask(get("o?load&unset=a&save&record&save").with("X-Kept", "a=1"));
            v.ask(get("page").with("X-Kept", "a=1"));
            v.ask(ask("HEAD", "o?load&set=a:1"));
        },
    },
    Case {
        name: "an encoding of others under that of mod_session_crypto",
        on: &["own-sealed"],
        script: |v| {
            v.get("o?load&set=a:1&save&record");
            v.ask(get("o?load&record").with("X-Kept", "turned.1=a"));
            v.ask(get("page").with("X-Kept", "a=1"));
        },
    },
    Case {
        name: "hooks that are run directly",
        on: &["own", "own-aged", "own-turned", "plain", "crypto", "dbd", "nowhere", "never"],
        script: |v| {
            v.ask(get("o?run_load&record").with("X-Kept", "a=1").cookie("kept=a=1; sealed=a=1"));
            if !["nowhere", "never"].contains(&v.section()) {
                v.ask(
                    get("o?run_load&run_decode&record&run_encode&record&run_decode&record")
                        .with("X-Kept", "a=1")
                        .cookie("kept=a=1; sealed=a=1"),
                );
                v.ask(
                    get("o?run_load&run_decode&get=a&set=b:2&run_encode&run_save&record")
                        .with("X-Kept", "a=1")
                        .cookie("kept=a=1; sealed=a=1"),
                );
            }
        },
    },
    Case {
        name: "what is set after the store gave a session that expired, and one that cannot be read",
        on: &["own-turned"],
        script: |v| {
            v.ask(get("o?load&get=a&set=b:2&load&get=b").with("X-Kept", "expiry=@-40@&a=1"));
            v.ask(get("o?load&get=a&set=b:2&load&get=b").with("X-Kept", "broken."));
        },
    },
    Case {
        name: "hooks that fail",
        on: &["own-no-load", "own-no-save", "own-no-encode"],
        script: |v| {
            v.ask(get("o?load&record&save").with("X-Kept", "a=1"));
            v.ask(get("o?get=a&set=b:2").with("X-Kept", "a=1"));
            v.ask(get("o?load&set=b:2").with("X-Kept", "a=1"));
            v.get("page");
        },
    },
    Case {
        name: "layout and order",
        on: &["own", "plain"],
        script: |v| {
            v.get("o?layout").shows("layout: 72");
            v.get("o?hooks").shows("hook decode: mod_session_crypto.c@0");
        },
    },
    Case {
        name: "a number below zero",
        on: &["negative"],
        script: |v| {
            v.get("o?load&set=a:1");
        },
    },
    Case {
        name: "the configuration of a section",
        on: &["config", "own", "aged", "include/in/more", "outer/inner", "unsaid", "never", "ht"],
        script: |v| {
            v.get("o?config").shows("name=mod_session.c");
        },
    },
    Case {
        name: "the configuration of a section within it",
        on: &["config"],
        script: |v| {
            v.get("o?config").shows("maxage=300/1 header=X-Replace-Session/1 env=1/1 includes=2:/config,/other,");
            v.get("inner/o?config");
            v.get("inner/o?load&set=a:1&record");
        },
    },
];
