//! CGI programs: what they are told (SessionEnv) and what they answer (SessionHeader).

use crate::pair::{Case, ask, get, post};

pub const CASES: &[Case] = &[
    Case {
        name: "a program is told the session",
        on: &["env", "env-aged", "plain", "aged", "dbd-aged", "crypto-aged", "outer", "dbd-keep"],
        script: |v| {
            v.get("cgi");
            v.get("s?load&set=a:1%262&set=b:%C3%A4+y");
            v.get("cgi");
            v.get("cgi/with/path");
            v.ask(get("cgi").with("Session", "a=forged").with("HTTP_SESSION", "a=forged"));
            v.ask(get("cgi").with("session", "a=forged").cookie("none=1"));
            v.ask(post("cgi", "form=1").with("Session", "x=1"));
        },
    },
    Case {
        name: "the header of the client where sessions are off",
        on: &["env-off", "never", "outer/inner", "unsaid"],
        script: |v| {
            v.ask(get("cgi").with("Session", "a=1").cookie("kept=a=1")).shows("session=");
            v.get("s?load&set=a:1&facts");
        },
    },
    Case {
        name: "a program changes the session",
        on: &["header", "outer", "dbd-header", "kept", "plain"],
        script: |v| {
            v.get("s?load&set=a:1&set=b:2");
            v.get("cgi?X-Replace-Session:c=3%26");
            v.get("s?load&entries");
            v.get("cgi?X-Replace-Session:a=+d=4");
            v.get("cgi?x-replace-session:b%3d1=2");
            v.get("s?load&entries");
            v.ask(get("cgi?Status:+404&X-Replace-Session:e=5").answered(404));
            v.ask(get("cgi?Status:+302&Location:+http://elsewhere.test/&X-Replace-Session:f=6").answered(302));
            v.get("s?load&entries");
            v.ask(ask("HEAD", "cgi?X-Replace-Session:g=7"));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "a handler changes the session by a header",
        on: &["header", "kept", "dbd-header"],
        script: |v| {
            v.get("o?out=X-Replace-Session:a=1").shows("Set-Cookie").shows_no("X-Replace-Session");
            v.get("o?err=X-Replace-Session:b=2");
            v.get("s?load&entries").shows("b=2");
            v.get("o?out=X-Replace-Session:c=3&err=X-Replace-Session:d=4").shows_no("X-Replace-Session");
            v.get("o?load&set=a:2&out=X-Replace-Session:a=3&out=x-replace-session:a=4");
            v.get("s?load&entries");
            v.get("o?load&set=e:5&out=X-Replace-Session:a=&save");
            v.get("s?load&entries");
            v.get("o?err=X-Replace-Session:");
            v.ask(ask("HEAD", "o?out=X-Replace-Session:f=6"));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "the header says what it likes",
        on: &["header", "kept"],
        script: |v| {
            for value in [
                "", "=", "a", "a=", "=x", "&&", "a=1;b=2", "%", "%zz=1", "a=%zz", "%00=1", "a=%00", "a==b=c", "+=+", "%61=1", "expiry=x",
                "expiry=1", "EXPIRY=5",
            ] {
                let value = value.replace('&', "%26");
                v.ask(get(&format!("cgi?X-Replace-Session:{value}")).cookie("kept=a=1&b=2"));
            }
            for seconds in [-100, 100, 900] {
                v.ask(get(&format!("cgi?X-Replace-Session:expiry=@{seconds:+}@")).cookie("kept=a=1&b=2"));
            }
        },
    },
    Case {
        name: "the header is set by others",
        on: &["header", "kept", "dbd-header"],
        script: |v| {
            v.get("told/s?load&set=a:1");
            v.get("s?load&entries");
            v.get("told/cgi?X-Replace-Session:b=2");
            v.get("told/cgi");
            v.get("s?load&entries");
            v.get("cgi?X-Replace-Session:c=3&X-Replace-Session:d=4");
            v.get("s?load&entries");
            v.ask(get("told/denied").answered(403));
            v.get("s?load&entries");
        },
    },
];
