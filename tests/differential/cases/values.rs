//! Values, cookies, and where sessions are.

use crate::pair::{Case, ask, get};

const STORES: &[&str] = &["plain", "aged", "crypto", "crypto-aged", "dbd", "dbd-aged", "crypto-dbd"];
const COOKIES: &[&str] = &["plain", "aged", "name2"];

pub const CASES: &[Case] = &[
    Case {
        name: "values are set, changed and removed",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:1&set=b:2&get=a").shows("get: 0 1").shows("Set-Cookie");
            v.get("s?load&get=a&get=b&get=c&entries&facts").shows("get: 0 1").shows("get: 0 -");
            v.get("s?load&set=a:3&unset=b&entries").shows("entries: a=3");
            v.get("s?load&entries").shows("a=3").shows_no("b=2");
            v.get("s?load&unset=a");
            v.get("s?load&entries&facts");
        },
    },
    Case {
        name: "the session that a request has need not be named",
        on: &["plain", "dbd", "aged"],
        script: |v| {
            v.get("s?setnull=a:1&getnull=a");
            v.get("s?getnull=a&load&get=a&setnull=b:2");
            v.get("s?getnull=b&getnull=a");
        },
    },
    Case {
        name: "who looks and changes nothing",
        on: STORES,
        script: |v| {
            v.get("s?load&get=a&entries&facts").shows("get: 0 -");
            v.get("page").shows("a page");
            v.get("s?body=1");
            v.get("s?load&set=a:1");
            v.get("s?load&facts");
            v.get("page");
            v.ask(get("page").with("If-Modified-Since", "Sun, 13 Sep 2020 12:26:40 GMT").answered(304));
        },
    },
    Case {
        name: "every byte of a value is kept",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:x%26y%3Dz%25%2B+%3B%2C&set=%3D%26:k&set=u:%C3%A4%FF%01&set=colon:a%3Ab").shows("set: 0");
            v.get("s?load&entries&get=a").shows("x&y=z%+ ;,");
            v.get("s?load&set=A:upper&entries");
            v.get("s?load&get=a&entries").shows("upper");
            v.get("s?load&set=a:&set=e:&entries");
            v.get("s?load&entries&get=e");
        },
    },
    Case {
        name: "entries that are written directly",
        on: &["plain", "dbd", "crypto"],
        script: |v| {
            v.get("s?load&raw=a:1");
            v.get("s?load&entries&raw=expiry:12").shows("entries: a=1");
            v.get("s?load&entries&facts");
        },
    },
    Case {
        name: "a handler saves by itself, once",
        on: STORES,
        script: |v| {
            v.get("s?load&set=a:1&save&facts").shows("written=1");
            v.get("s?load&set=b:1&save&set=c:2&save").shows("save: 20014");
            v.get("s?load&entries&save").shows_no("c=2");
        },
    },
    Case {
        name: "what is set after the first output",
        on: STORES,
        script: |v| {
            v.get("s?load&set=early:1&body=10&flush&set=late:2&body=10");
            v.get("s?load&entries").shows("early=1");
            v.get("s?load&body=10&flush&set=late:2&save");
            v.get("s?load&entries");
        },
    },
    Case {
        name: "large sessions and large answers",
        on: &["plain", "crypto", "dbd"],
        script: |v| {
            let value = "x".repeat(3000);
            v.get(&format!("s?load&set=a:{value}"));
            v.get("s?load&pieces=100000:8192&set=b:2").shows("xxxx");
            v.get("s?load&entries").shows_no("b=2");
        },
    },
    Case {
        name: "methods and statuses",
        on: &["plain", "aged", "crypto", "dbd"],
        script: |v| {
            v.ask(ask("HEAD", "s?load&set=a:1"));
            v.get("s?load&entries").shows("a=1");
            v.ask(ask("POST", "s?load&get=a").body("x=1"));
            v.ask(ask("OPTIONS", "page"));
            v.ask(get("s?load&set=b:2&status=500").answered(500));
            v.ask(get("s?load&set=c:3&status=503").answered(503));
            v.ask(get("s?load&set=e:5&redirect=/elsewhere").answered(302));
            v.ask(get("s?load&set=f:6&status=304").answered(304));
            v.ask(get("s?load&set=g:7&status=204").answered(204));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "an error bucket",
        on: &["plain", "dbd"],
        script: |v| {
            v.ask(get("s?load&set=a:1&bucket=502").answered(502));
            v.get("s?load&entries");
            v.rows();
        },
    },
    Case {
        name: "the cookie is taken from the request",
        on: &["remove"],
        script: |v| {
            v.ask(get("page").cookie("kept=a=1"));
            v.ask(get("cgi").cookie("before=1; kept=a=1; after=2")).shows("cookie=before=1");
            v.ask(get("s?load&get=a&entries").cookie("kept=a=1"));
            v.ask(get("s?load&set=b:2&entries").cookie("kept=a=1"));
        },
    },
    Case {
        name: "attributes of the cookie",
        on: &["attributes", "bare", "name2", "dbd-name2", "two"],
        script: |v| {
            v.get("s?load&set=a:1").shows("Set-Cookie");
            v.ask(get("s?load&get=a").cookie("kept=a=1"));
            v.ask(get("s?load&get=a&unset=a").cookie("kept=a=1"));
            v.ask(get("s?load&get=a").with("Cookie2", "kept=a=1"));
        },
    },
    Case {
        name: "no store and no session",
        on: &["nowhere", "unsaid", "never"],
        script: |v| {
            v.get("page");
            v.get("s?load&set=a:1&get=a&facts&save");
            v.get("s?getnull=a&setnull=a:1");
            v.ask(get("cgi").with("Session", "a=1"));
        },
    },
    Case {
        name: "parts of the site that are included, and those that are not",
        on: &["include"],
        script: |v| {
            for path in ["out/s", "in/s", "inside/s", "in/but/s", "in/butter/s", "in/more/s", "in/more/but/s", "also/s", "also/but/s"] {
                v.get(&format!("{path}?load&set=a:1&facts"));
                v.get(&format!("{path}?load&get=a"));
                v.forget_cookie("kept");
            }
        },
    },
    Case {
        name: "sections within sections",
        on: &["outer"],
        script: |v| {
            v.get("s?load&set=a:1&facts").shows("maxage=300");
            v.get("inner/s?load&get=a&set=b:2&facts");
            v.ask(get("inner/cgi?X-Inner:b=3").with("Session", "a=9"));
            v.ask(get("inner/cgi?X-Replace-Session:b=4").with("Session", "a=9"));
            v.ask(get("cgi?X-Replace-Session:b=5").with("Session", "a=9"));
            v.get("s?load&entries");
            v.get("closed/s?load&get=a&set=a:9&facts");
            v.get("s?load&get=a");
        },
    },
    Case {
        name: "sessions of a virtual host",
        on: &["never", "plain"],
        script: |v| {
            for path in ["s?load&set=a:1&facts", "s?load&get=a&facts", "not/s?load&get=a&set=a:2&facts", "s?load&get=a", "page"] {
                v.ask(get(path).with("Host", "other.test"));
                v.get(path);
            }
        },
    },
    Case {
        name: "directives in .htaccess",
        on: &["ht"],
        script: |v| {
            v.get("x?load&set=a:1&facts").shows("maxage=300");
            v.get("deep/x?load&get=a&set=a:2&facts").shows("maxage=900");
            v.get("deep/not?load&get=a&set=a:3&facts");
            v.get("x?load&get=a&facts");
        },
    },
    Case {
        name: "many cookies, and names that begin alike",
        on: COOKIES,
        script: |v| {
            for cookie in [
                "kept=a=1",
                "a=1; kept=a=2",
                "kept2=a=1; kept=a=3",
                "xkept=a=1",
                "KEPT=a=1",
                "kept=a=1; kept=a=1",
                "kept=a=1; kept=a=2",
                "kept=a=1, other=2",
                "  kept=a=1 ; b=2",
                "kept =a=1",
                "kept= a=1",
                "kept=\"a=1\"",
                "$Version=1; kept=a=1; $Path=/",
                "kept",
                "kept=",
                "kept=;kept=a=1",
                ";;;,kept=a=1;",
                "=; =a; ;=kept=a=1",
            ] {
                v.ask(get("s?load&entries&set=b:2").cookie(cookie));
            }
            v.ask(get("s?load&entries&set=b:2").with("Cookie", "kept=a=1").with("Cookie", "kept=a=2"));
            v.ask(get("cgi").cookie("before=1; kept=a=1; after=2"));
        },
    },
];
