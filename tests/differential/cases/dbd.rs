//! What mod_session_dbd keeps in its table.

use crate::pair::{Case, get};

pub const CASES: &[Case] = &[
    Case {
        name: "rows are made, renamed and removed",
        on: &["dbd", "dbd-aged", "dbd-keep", "crypto-dbd", "dbd-header"],
        script: |v| {
            v.get("page");
            v.rows();
            v.get("s?load&set=a:1");
            assert_eq!(v.rows(), 1);
            let first = v.cookie("row").expect("an id").to_owned();
            v.get("s?load&get=a").shows("get: 0 1");
            v.get("s?load&set=b:2");
            assert_ne!(v.cookie("row"), Some(&*first));
            assert_eq!(v.rows(), 1);
            v.ask(get("s?load&entries").cookie("none=1"));
            v.get("cgi?X-Replace-Session:c=3");
            v.rows();
            v.get("s?load&unset=a&unset=b&unset=c");
            v.rows();
            v.get("s?load&entries");
            v.rows();
        },
    },
    Case {
        name: "two clients, and one that comes back with an old id",
        on: &["dbd", "dbd-aged"],
        script: |v| {
            v.get("s?load&set=a:1");
            v.forget_cookie("row");
            v.get("s?load&set=a:2");
            assert_eq!(v.rows(), 2);
            v.change_cookie("row", |id| id.to_ascii_uppercase());
            v.get("s?load&entries");
            v.rows();
        },
    },
    Case {
        name: "the cookie is taken from the request, or left",
        on: &["dbd", "dbd-keep", "dbd-aged"],
        script: |v| {
            v.get("s?load&set=a:1");
            v.get("cgi");
            v.get("s?load&get=a&sub=/$/s?load%26get=a&internal=/$/cgi");
        },
    },
    Case {
        name: "a database that does not answer",
        on: &["dbd-broken"],
        script: |v| {
            v.get("s?load&set=a:1&get=a");
            v.ask(get("s?load&set=a:1&get=a&save").cookie("row=01234567-89ab-cdef-0123-456789abcdef"));
            v.ask(get("page").cookie("row=01234567-89ab-cdef-0123-456789abcdef"));
        },
    },
    Case {
        name: "a session for each user",
        on: &["dbd-user"],
        script: |v| {
            let (ann, bob) = ("Basic YW5uOnBhc3N3b3Jk", "Basic Ym9iOnBhc3N3b3Jk");
            v.ask(get("s?load&set=a:1").answered(401));
            v.ask(get("s?load&set=a:1").with("Authorization", ann));
            v.ask(get("s?load&get=a&set=b:2").with("Authorization", ann)).shows("get: 0 1");
            v.ask(get("s?load&entries&set=a:9").with("Authorization", bob)).shows("entries: \n");
            v.ask(get("s?load&entries&facts").with("Authorization", ann)).shows("b=2");
            v.rows();
            v.ask(get("s?load&unset=a").with("Authorization", bob));
            v.rows();
        },
    },
    Case {
        name: "what is set after the session in a row expired",
        on: &["dbd"],
        script: |v| {
            v.get("s?load&set=a:1&raw=expiry:1");
            v.get("s?load&entries&set=b:2&load&get=b");
            v.get("s?load&entries");
            v.rows();
        },
    },
];
