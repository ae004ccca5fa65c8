//! The configuration that both servers have: one section for each way to use the stock stores.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::forms;
use crate::support::apxs::Installed;
use crate::support::{Httpd, Mpm, Setup};

const MODULES: [&str; 15] = [
    "request",
    "session_cookie",
    "dbd",
    "session_dbd",
    "session_crypto",
    "authn_core",
    "authn_file",
    "authz_user",
    "auth_basic",
    "auth_form",
    "include",
    "expires",
    "actions",
    "negotiation",
    "deflate",
];

/// `[step n]` stands before what is logged for the request that says so in a header.
const BASE: &str = r#"
ErrorLogFormat "[%t] [%-m:%l] [step %{X-Step}i] %M"
FileETag MTime Size
ScriptAliasMatch "^/.+/cgi(/.*)?$" "@ROOT@/cgi/session.cgi$1"
AliasMatch "^/[^/]+/page$" "@ROOT@/pages/page.html"
AliasMatch "^/[^/]+/ssi(-[a-z]+)?$" "@ROOT@/pages/ssi$1.shtml"
AliasMatch "^/[^/]+/dir(/.*)?$" "@ROOT@/pages/dir$1"
AliasMatch "^/[^/]+/rewrite(/.*)?$" "@ROOT@/pages/rewrite$1"
<Directory "@ROOT@/pages">
    Options +Includes
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
    DirectoryIndex s
</Directory>
<Directory "@ROOT@/pages/rewrite">
    RewriteEngine On
    RewriteRule "^gone$" "/plain/page" [R=302,L]
    RewriteRule "^([a-z-]+)$" "/$1/s" [L]
</Directory>
<Directory "@ROOT@/cgi">
    CGIPassAuth On
</Directory>
<LocationMatch "/s$">
    SetHandler stockapi
</LocationMatch>
<LocationMatch "/o$">
    SetHandler stockonly
</LocationMatch>
<LocationMatch "/denied">
    Require all denied
</LocationMatch>
<LocationMatch "^/[^/]+/told/">
    Header always set X-Replace-Session "told=1"
</LocationMatch>
DBDriver sqlite3
DBDParams "@ROOT@/db/sessions"
DBDPrepareSQL "delete from session where key = %s" deletesession
DBDPrepareSQL "update session set value = %s, expiry = %lld, key = %s where key = %s" updatesession
DBDPrepareSQL "insert into session (value, expiry, key) values (%s, %lld, %s)" insertsession
DBDPrepareSQL "select value from session where key = %s and (expiry = 0 or expiry > %lld)" selectsession
"#;

/// Name and directives of the sections; `Session On` is said for all but those that say it themselves.
const SECTIONS: &[(&str, &str)] = &[
    (
        "plain",
        "SessionCookieName kept path=/\nErrorDocument 403 /plain/s?load&get=a&set=seen:1\nErrorDocument 404 /plain/s?load&set=missing:1",
    ),
    (
        "kept",
        "SessionCookieName kept path=/\nSessionMaxAge 300\nSessionHeader X-Replace-Session\nErrorDocument 404 /kept/s?load&set=missing:1",
    ),
    ("aged", "SessionCookieName kept path=/\nSessionMaxAge 300"),
    ("interval", "SessionCookieName kept path=/\nSessionMaxAge 300\nSessionExpiryUpdateInterval 100"),
    ("interval-only", "SessionCookieName kept path=/\nSessionExpiryUpdateInterval 100"),
    ("env", "SessionCookieName kept path=/\nSessionEnv On"),
    ("env-aged", "SessionCookieName kept path=/\nSessionEnv On\nSessionMaxAge 300"),
    ("env-off", "Session Off\nSessionCookieName kept path=/\nSessionEnv On"),
    ("header", "SessionCookieName kept path=/\nSessionHeader X-Replace-Session"),
    ("remove", "SessionCookieName kept path=/\nSessionCookieRemove On\nSessionEnv On\nErrorDocument 404 /remove/s?load&set=missing:1"),
    ("remove-header", "SessionCookieName kept path=/\nSessionCookieRemove On\nSessionHeader X-Replace-Session"),
    ("name2", "SessionCookieName2 kept path=/\nSessionMaxAge 300"),
    ("attributes", "SessionCookieName kept path=/attributes;domain=site.test;SameSite=Strict;secure\nSessionMaxAge 300"),
    ("bare", "SessionCookieName kept"),
    ("nowhere", ""),
    ("unsaid", "Session Off"),
    ("include", "SessionCookieName kept path=/\nSessionInclude /include/in\nSessionExclude /include/in/but"),
    ("include/in/more", "SessionInclude /include/also\nSessionMaxAge 300"),
    ("include/also", "SessionInclude /include/also\nSessionExclude /include/also/but"),
    ("outer", "SessionCookieName kept path=/\nSessionMaxAge 300\nSessionHeader X-Replace-Session\nSessionEnv On"),
    ("outer/inner", "SessionMaxAge 0\nSessionHeader X-Inner\nSessionEnv Off\nSessionExpiryUpdateInterval 100"),
    ("outer/closed", "Session Off"),
    ("crypto", "SessionCookieName sealed path=/\nSessionCryptoPassphrase first"),
    ("crypto-aged", "SessionCookieName sealed path=/\nSessionCryptoPassphrase first\nSessionMaxAge 300\nSessionEnv On"),
    ("crypto-other", "SessionCookieName sealed path=/\nSessionCryptoPassphrase second"),
    ("crypto-rotated", "SessionCookieName sealed path=/\nSessionCryptoPassphrase second first"),
    ("crypto-cipher", "SessionCookieName sealed path=/\nSessionCryptoPassphrase first\nSessionCryptoCipher aes128"),
    ("crypto-dbd", "SessionDBDCookieName row path=/\nSessionCryptoPassphrase first"),
    ("dbd", "SessionDBDCookieName row path=/\nErrorDocument 403 /dbd/s?load&get=a&set=seen:1\nErrorDocument 404 /dbd/s?load&set=missing:1"),
    ("dbd-aged", "SessionDBDCookieName row path=/\nSessionMaxAge 300\nSessionEnv On"),
    ("dbd-keep", "SessionDBDCookieName row path=/\nSessionDBDCookieRemove Off\nSessionEnv On"),
    ("dbd-name2", "SessionDBDCookieName2 row path=/"),
    ("dbd-header", "SessionDBDCookieName row path=/\nSessionHeader X-Replace-Session"),
    (
        "dbd-user",
        "SessionDBDPerUser On\nAuthType Basic\nAuthName users\nAuthBasicProvider file\nAuthUserFile @ROOT@/users\nRequire valid-user",
    ),
    ("two", "SessionCookieName kept path=/\nSessionDBDCookieName row path=/"),
    ("own", "StockOnlyStore On"),
    ("own-aged", "StockOnlyStore On\nSessionMaxAge 300"),
    ("own-turned", "StockOnlyStore On\nStockOnlyTurn On"),
    ("own-sealed", "StockOnlyStore On\nStockOnlyTurn On\nSessionCryptoPassphrase first"),
    ("own-no-load", "StockOnlyStore On\nStockOnlyFail load"),
    ("own-no-save", "StockOnlyStore On\nStockOnlyFail save"),
    ("own-no-encode", "StockOnlyStore On\nStockOnlyFail encode"),
    ("negative", "StockOnlyStore On\nSessionMaxAge -5"),
    ("dbd-broken", "SessionDBDCookieName row path=/\nSessionDBDSelectLabel none\nSessionDBDInsertLabel none"),
    (
        "config",
        "StockOnlyStore On\nSessionMaxAge 300\nSessionHeader X-Replace-Session\nSessionEnv On\nSessionInclude /config\nSessionInclude /other\n\
         SessionExclude /config/but\nSessionExpiryUpdateInterval 100",
    ),
    ("config/inner", "SessionMaxAge 0\nSessionInclude /inner\nSessionExpiryUpdateInterval 0"),
];

const CGI: &str = r#"#!/bin/sh
# The query string is the header of the answer; "+" is a blank.
[ -z "$QUERY_STRING" ] || echo "$QUERY_STRING" | tr '+&' ' \n'
echo "Content-Type: text/plain"
echo
echo "session=$HTTP_SESSION"
echo "cookie=$HTTP_COOKIE"
echo "authorization=$HTTP_AUTHORIZATION"
echo "user=$REMOTE_USER type=$AUTH_TYPE method=$REQUEST_METHOD"
[ "$REQUEST_METHOD" != POST ] || cat
"#;

/// Sessions of a whole host. The first host has all of the server, and stands for it.
const HOSTS: &str = r#"
<VirtualHost *:@PORT@>
    ServerName site.test
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName other.test
    Session On
    SessionCookieName host path=/
    SessionMaxAge 900
    SessionExclude /plain/not
    SessionExclude /never/not
</VirtualHost>
"#;

fn conf(mpm: Mpm) -> String {
    let installed = Installed::get();
    let mut text = installed.load_line(if mpm == Mpm::Prefork { "cgi" } else { "cgid" });
    text += BASE;
    for (name, lines) in SECTIONS {
        let on = if lines.lines().any(|line| line == "Session Off") || name.contains('/') { "" } else { "Session On\n" };
        text += &format!("<Location \"/{name}\">\n{on}{lines}\n</Location>\n");
    }
    text + &forms::conf() + HOSTS
}

/// A server with the stock mod_session, or with ours.
pub fn start(mpm: Mpm, stock: bool) -> Httpd {
    let setup = Httpd::with(mpm)
        .workers(4)
        .log_level("info session:debug session_cookie:debug session_dbd:debug session_crypto:debug auth_form:debug")
        .file("pages/page.html", "a page\n")
        .file("pages/ssi.shtml", "<!--#include virtual=\"s?load&get=a&set=b:2\" -->end\n")
        .file("pages/ssi-late.shtml", "begin\n<!--#include virtual=\"s?load&get=a&set=b:2\" -->end\n")
        .file("pages/ssi-two.shtml", "<!--#include virtual=\"s?load&set=b:2\" --><!--#include virtual=\"s?load&get=b&set=c:3\" -->end\n")
        .file("pages/dir/s", "for mod_dir, which looks for a file\n")
        .file("pages/rewrite/here", "for mod_rewrite, which looks for a directory\n")
        .file("htdocs/ht/.htaccess", "Session On\nSessionCookieName kept path=/\nSessionMaxAge 300\nSetHandler stockapi\n")
        .file("htdocs/ht/deep/.htaccess", "SessionMaxAge 900\nSessionExclude /ht/deep/not\n")
        .file("users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nbob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n") // "password"
        .file("cgi/session.cgi", CGI)
        .file("db/sql", "create table session (key varchar(36) primary key, value text, expiry bigint);\n")
        .conf(&conf(mpm))
        .of_ours("stockonly")
        .expect_log("[step ");
    let setup = MODULES.iter().fold(setup, |setup, name| setup.module(name));
    let setup = if stock { setup.stock() } else { setup };
    prepare(&setup);
    setup.start()
}

fn prepare(setup: &Setup) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let page = File::options().write(true).open(setup.root().join("pages/page.html")).expect("the page");
    page.set_modified(long_ago).expect("the time of the page");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(setup.root().join("cgi/session.cgi"), PermissionsExt::from_mode(0o755)).expect("a program");
    let db = setup.root().join("db");
    let sql = File::open(db.join("sql")).expect("the table");
    let made = Command::new("sqlite3").arg(db.join("sessions")).stdin(sql).status().expect("sqlite3");
    assert!(made.success(), "sqlite3: {made}");
    if rustix::process::geteuid().is_root() {
        assert!(Command::new("chown").args(["-R", "www-data:www-data"]).arg(&db).status().expect("chown").success());
    }
}

/// A child of the server may be about to close the database.
const PATIENTLY: [&str; 2] = ["-cmd", ".timeout 20000"];

/// What mod_session_dbd keeps: `key|value|expiry`, in the order in which the rows were made.
pub fn rows(httpd: &Httpd) -> String {
    let database = httpd.root().join("db/sessions");
    let said = Command::new("sqlite3")
        .args(PATIENTLY)
        .arg(database)
        .arg("select key, value, expiry from session order by rowid")
        .output()
        .expect("sqlite3");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

pub fn forget_rows(httpd: &Httpd) {
    let database = httpd.root().join("db/sessions");
    assert!(Command::new("sqlite3").args(PATIENTLY).arg(database).arg("delete from session").status().expect("sqlite3").success());
}
