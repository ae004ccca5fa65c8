//! Sessions that cannot be read, and clients that mean no good.

use crate::pair::{Case, get};

const TEXTS: usize = 60;

const COOKIES: &[&str] = &["plain", "aged", "env"];

pub const CASES: &[Case] = &[
    Case {
        name: "texts that no encoder wrote",
        on: COOKIES,
        script: |v| {
            for text in [
                "a",
                "a=",
                "=",
                "=b",
                "&",
                "&&a=1&&",
                "&=test&a=1",
                "test=1&&=test",
                "a=1&a=2",
                "a=1&A=2",
                "a=1&a=",
                "a=b=c",
                "a==",
                "==",
                "a=%zz",
                "%zz=1",
                "a=%",
                "a=%4",
                "a=%00b",
                "%00=1&b=2",
                "a%00b=1",
                "a=%2f",
                "a%2fb=1",
                "a=%2F%2f",
                "a=+1+",
                "+a+=1",
                "a=%20",
                "a=1;b=2",
                "a=\u{e4}",
                "a=%C3%A4%FF",
                "a=1&%61=",
                "a=1&a",
                "expiry",
                "a=\"1\"",
                "a='1'",
                "a=<b>",
                "{\"a\":1}",
                "a=1%26b=2",
                "a=%3d%3D",
                "%41=1&a=2",
            ] {
                v.ask(get("s?load&entries&set=b:2").cookie(&format!("kept={text}")));
            }
        },
    },
    Case {
        name: "texts that chance wrote",
        on: &["plain", "aged", "header"],
        script: |v| {
            let parts = [
                "a", "b", "A", "=", "=", "&", "&", "%", "%3d", "%26", "%25", "%0", "%zz", "+", " ", "expiry=", "expiry", "1", "@+100@",
                "@-100@", "-", ";", "\"", ",",
            ];
            let mut chance = fastrand::Rng::with_seed(58171);
            for _ in 0..TEXTS {
                let text: String = (0..chance.usize(1..12)).map(|_| *chance.choice(&parts).expect("a part")).collect();
                v.ask(get("s?load&entries&facts").cookie(&format!("kept={text}")));
                let value = text.replace('&', "%26").replace('%', "%25").replace('+', "%2b");
                v.ask(get(&format!("o?load&set=b:2&record&err=X-Replace-Session:{}", value.replace(' ', ""))).cookie("kept=a=1&b=2&A=3"));
            }
        },
    },
    Case {
        name: "long texts",
        on: &["plain", "aged", "env", "header"],
        script: |v| {
            let long = "x".repeat(7000);
            v.ask(get("s?load&entries&set=b:2").cookie(&format!("kept=a={long}")));
            v.ask(get("cgi").cookie(&format!("kept=a={long}")));
            let many: String = (0..400).map(|n| format!("k{n}={n}&")).collect();
            v.ask(get("s?load&entries&set=b:2").cookie(&format!("kept={many}")));
            let escapes = "%zz=1&".repeat(1000);
            v.ask(get("s?load&entries&set=b:2").cookie(&format!("kept={escapes}")));
            v.ask(get("s?load&entries").cookie(&format!("kept={}", "&=".repeat(3000))));
            v.ask(get("s?load&entries").cookie(&format!("kept=a={}", "%41".repeat(2000))));
            v.ask(get("s?load&entries").cookie(&"kept=a=1; ".repeat(400)));
            v.ask(get("s?load&entries").cookie(&format!("kept={}", "x".repeat(9000))).answered(400));
        },
    },
    Case {
        name: "what is set after a session that cannot be read",
        on: &["crypto-other"],
        script: |v| {
            v.get("/crypto/s?load&set=a:1");
            v.get("s?load&get=a&set=b:2&load&get=b").shows("get: 0 -");
            v.get("s?load&entries");
        },
    },
    Case {
        name: "ids that nobody gave out",
        on: &["dbd", "dbd-aged", "dbd-keep", "crypto-dbd"],
        script: |v| {
            let id = "01234567-89ab-cdef-0123-456789abcdef";
            for cookie in [
                id,
                "",
                "x",
                "' or 1=1 --",
                "0",
                "01234567-89ab-cdef-0123-456789abcdeg",
                "01234567-89AB-cdef-0123-456789abcdef",
                "%00",
                "../../etc/passwd",
            ] {
                v.ask(get("s?load&entries&facts").cookie(&format!("row={cookie}")));
                v.ask(get("cgi").cookie(&format!("row={cookie}; other=1")));
            }
            v.set_cookie("row", id);
            v.get("s?load&set=a:1");
            assert_ne!(v.cookie("row"), Some(id));
            v.get("s?load&get=a").shows("get: 0 1");
            v.ask(get("s?load&entries").cookie(&format!("row={}", "x".repeat(5000))));
            v.ask(get("s?load&entries").cookie(&format!("row={id}; row=x")));
            v.rows();
        },
    },
];
