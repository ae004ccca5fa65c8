//! mod_auth_form: logins, logouts, and pages for those who are in.

use crate::pair::{Case, Visit, get, post};

const FORMS: &[&str] = &["form", "form-aged", "form-dbd", "form-env", "form-crypto"];
const ANN: &str = "httpd_username=ann&httpd_password=password";

fn login(v: &mut Visit) {
    v.ask(post("dologin", ANN).answered(302)).shows("/private/s").shows("Set-Cookie");
}

pub const CASES: &[Case] = &[
    Case {
        name: "login, a page, logout",
        on: FORMS,
        script: |v| {
            v.ask(get("private/s?load").answered(302)).shows("Location");
            login(v);
            v.get("private/s?load&get=realm-user&set=a:1").shows("get: 0 ann");
            v.get("private/cgi").shows("user=ann type=form");
            v.get("ann/cgi").shows("user=ann");
            v.get("s?load&entries").shows("a=1");
            v.get("logout");
            v.ask(get("private/s").answered(302));
            v.get("s?load&entries");
            login(v);
            v.ask(get("logout-to").answered(307)).shows("/bye");
            v.ask(get("private/s").answered(302));
        },
    },
    Case {
        name: "wrong names and passwords",
        on: FORMS,
        script: |v| {
            for form in [
                "httpd_username=ann&httpd_password=wrong",
                "httpd_username=eve&httpd_password=password",
                "httpd_username=ann",
                "",
                "x=1",
                ANN.get(..14).unwrap_or(""),
            ] {
                v.ask(post("dologin", form).answered(302)).shows("/login");
            }
            v.ask(get("dologin").answered(405));
            v.ask(post("anylogin", "httpd_username=ann&httpd_password=wrong").answered(401));
            v.get("s?load&entries").shows_no("realm-user=");
            v.ask(post("dologin", "httpd_username=bob&httpd_password=password").answered(302)).shows("/private/s");
            v.get("private/cgi").shows("user=bob");
            v.ask(get("ann/cgi").answered(401));
        },
    },
    Case {
        name: "a login that says where to go",
        on: FORMS,
        script: |v| {
            v.ask(post("anylogin", &format!("{ANN}&httpd_location=http://site.test/$/private/cgi")).answered(302)).shows("/private/cgi");
            v.get("private/cgi").shows("user=ann");
            v.get("logout");
            v.ask(post("anylogin", ANN));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "a login in place",
        on: FORMS,
        script: |v| {
            v.ask(get("inline/cgi").answered(401)).shows("log in, please");
            v.ask(post("inline/cgi", "httpd_username=ann&httpd_password=wrong").answered(401));
            v.ask(post("inline/cgi", ANN)).shows("user=ann").shows("Set-Cookie");
            v.get("inline/cgi").shows("user=ann");
            v.get("logout");
            // Not of a program: one that leaves the kept body unread may cost the client the end of the answer, with any session module.
            v.ask(post("inline/s?load&get=realm-user", &format!("{ANN}&httpd_method=GET&httpd_mimetype=text/plain&httpd_body=hello")));
            v.get("logout");
            v.ask(post("inline/cgi", &format!("{ANN}&httpd_method=POST&httpd_mimetype=text/plain&httpd_body=hello")))
                .shows("user=ann")
                .shows("hello");
            v.ask(post("inline/cgi", "form=1")).shows("form=1");
        },
    },
    Case {
        name: "other names of fields, and forms that are too long",
        on: FORMS,
        script: |v| {
            v.ask(post("named/cgi", ANN).answered(401));
            v.ask(post("named/cgi", "who=ann&what=password&how=POST&kind=text/plain&text=hello")).shows("user=ann");
            v.get("named/cgi").shows("user=ann");
            v.get("logout");
            v.ask(post("strict/cgi", ANN).answered(413));
            v.get("s?load&entries");
        },
    },
    Case {
        name: "authentication in other clothes",
        on: FORMS,
        script: |v| {
            login(v);
            v.get("basic/cgi").shows("authorization=Basic YW5uOnBhc3N3b3Jk");
            v.get("logout");
            v.ask(post("site/cgi", ANN)).shows("user=ann");
            v.get("s?load&entries").shows("realm-site=");
            v.get("site/cgi").shows("user=ann");
            v.get("logout");
            v.ask(get("site/cgi").answered(401));
        },
    },
    Case {
        name: "the redirect handler",
        on: FORMS,
        script: |v| {
            v.ask(get("redirect").answered(500));
            login(v);
            v.ask(get("redirect").answered(500));
        },
    },
    Case {
        name: "sessions that were changed or forged",
        on: FORMS,
        script: |v| {
            v.ask(get("private/cgi").cookie("kept=realm-user=ann&realm-pw=wrong").answered(302));
            v.ask(get("private/cgi").cookie("kept=realm-user=ann").answered(302));
            v.ask(get("private/cgi").cookie("row=01234567-89ab-cdef-0123-456789abcdef").answered(302));
            v.ask(get("site/cgi").cookie("kept=realm-user=ann&realm-site=x").answered(401));
            login(v);
            v.get("s?load&set=realm-pw:wrong");
            v.ask(get("private/cgi").answered(302));
        },
    },
    Case {
        name: "what was in the session before the login stays",
        on: FORMS,
        script: |v| {
            v.get("s?load&set=basket:full");
            login(v);
            v.get("private/s?load&get=basket").shows("get: 0 full");
            v.get("logout");
            v.get("s?load&get=basket").shows("get: 0 full");
        },
    },
    Case {
        name: "a login where the cookie is taken from the request",
        on: &["form-remove"],
        script: |v| {
            v.ask(post("dologin", ANN).answered(302));
            v.get("s?load&get=realm-user");
        },
    },
    Case {
        name: "a login after the session expired",
        on: &["form"],
        script: |v| {
            v.set_cookie("kept", "expiry=@-40@&old=1");
            v.ask(post("dologin", ANN).answered(302));
            v.get("s?load&entries");
        },
    },
];
