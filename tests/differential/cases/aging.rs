//! Times: SessionMaxAge, SessionExpiryUpdateInterval, sessions that ended.

use crate::pair::{Case, get};

pub const CASES: &[Case] = &[
    Case {
        name: "a session with an end is written at each request",
        on: &["aged", "env-aged", "crypto-aged", "dbd-aged", "name2"],
        script: |v| {
            v.get("page");
            v.get("s?load&set=a:1&facts").shows("maxage=300");
            v.get("page");
            v.get("s?load&entries&facts");
            v.rows();
        },
    },
    Case {
        name: "the end moves on",
        on: &["aged", "plain", "interval", "interval-only", "header"],
        script: |v| {
            for seconds in [-200, -40, 40, 100, 160, 240, 300, 900] {
                v.ask(get("s?load&get=a&facts").cookie(&format!("kept=expiry=@{seconds:+}@&a=1")));
                v.ask(get("page").cookie(&format!("kept=a=1&expiry=@{seconds:+}@")));
                if seconds > 0 {
                    v.ask(get("s?load&set=b:2&entries").cookie(&format!("kept=expiry=@{seconds:+}@&a=1")));
                }
            }
        },
    },
    Case {
        name: "ends that are no times",
        on: &["aged", "plain", "interval"],
        script: |v| {
            for expiry in ["0", "1", "-1", "x", "1x", "+@+100@", " @+100@", "99999999999999999999999", "", "9223372036854775807", "%30"] {
                v.ask(get("s?load&entries&facts").cookie(&format!("kept=a=1&expiry={expiry}")));
            }
            v.ask(get("s?load&entries&facts").cookie("kept=EXPIRY=@+40@&a=1"));
            v.ask(get("s?load&entries&facts").cookie("kept=expiry=@+40@&expiry=@-40@&a=1"));
            v.ask(get("s?load&entries&facts").cookie("kept=expiry=@-40@&expiry=@+40@&a=1"));
        },
    },
    Case {
        name: "what is set after the session expired",
        on: &["plain", "aged", "env-aged"],
        script: |v| {
            v.ask(get("s?load&get=a&set=b:2&load&get=b&entries").cookie("kept=expiry=@-40@&a=1"));
            v.get("s?load&entries");
            v.ask(get("page").cookie("kept=expiry=@-40@&a=1"));
            v.ask(get("cgi").cookie("kept=expiry=@-40@&a=1"));
        },
    },
    Case {
        name: "a session that ends under a request",
        on: &["plain"],
        script: |v| {
            let ends_soon = "kept=expiry=@+2@&a=1";
            v.ask(get("s?load&get=a&sleep=2600&set=b:2&save").cookie(ends_soon)).shows("get: 0 1").shows("save: 20014");
            v.ask(get("s?load&get=a&sleep=2600&load&get=a&set=b:2").cookie(ends_soon)).shows("get: 0 1");
        },
    },
];
