//! What is asked: a script that never changes, so that its instructions can be compared.

/// A page whose instructions are counted, above those of another one.
pub struct Page {
    pub name: &'static str,
    pub path: &'static str,
    /// Where its session is filled. Also what has none is sent a cookie, since httpd's own reading of the header is no work of ours.
    pub fills: &'static str,
    pub above: Option<&'static str>,
    /// No more than this, whatever the baseline says.
    pub limit: Option<u64>,
}

const fn page(name: &'static str, path: &'static str, fills: &'static str) -> Page {
    Page { name, path, fills, above: Some("hello"), limit: None }
}

pub const PAGES: [Page; 14] = [
    Page { name: "hello", path: "/off/hello", fills: "/file", above: None, limit: None },
    Page { name: "static, Session Off", path: "/off/static.txt", fills: "/file", above: None, limit: None },
    Page { name: "static, Session On", path: "/file/static.txt", fills: "/file", above: Some("static, Session Off"), limit: Some(3000) },
    page("file, read only", "/file/peek", "/file"),
    page("file, read-modify-write", "/file/count", "/file"),
    page("file, SessionLock access", "/access/count", "/access"),
    page("file, stock interface", "/file/count-stock", "/file"),
    page("file, notes only shown", "/notes/hello", "/notes"),
    page("file, notes changed", "/notes/noted", "/notes"),
    page("file, signed", "/signed/count", "/signed"),
    page("file, sealed", "/sealed/count", "/sealed"),
    page("memory, read only", "/memory/peek", "/memory"),
    page("memory, read-modify-write", "/memory/count", "/memory"),
    page("memory, SessionLock access", "/memory-access/count", "/memory-access"),
];

/// Renewals do not come in the time that the script takes, and nothing is cleaned meanwhile. Each page is in as many sections as the
/// others, which httpd has to merge: its place, and that of its handler.
const GENERAL: &str = "SessionTimeout 360000
SessionTouchInterval 36000
SessionCleanupInterval 0
SessionNotes Off
KeepAliveTimeout 600
MaxKeepAliveRequests 0
Timeout 600
<LocationMatch /peek$>
    SetHandler peek
</LocationMatch>
<LocationMatch /noted$>
    SetHandler noted
</LocationMatch>
<LocationMatch /hello$>
    SetHandler hello
</LocationMatch>
<LocationMatch /count$>
    SetHandler count
</LocationMatch>
<LocationMatch /count-stock$>
    SetHandler count-stock
</LocationMatch>
<LocationMatch /fill$>
    SetHandler capi
</LocationMatch>
<LocationMatch /meter$>
    SetHandler meter
</LocationMatch>
";

/// Each has its own directory and the cookie of its own path, so that no session is found in two of them.
const PLACES: [(&str, &str); 8] = [
    ("/off", "Session Off"),
    ("/file", "SessionStore file"),
    ("/access", "SessionLock access"),
    ("/notes", "SessionNotes On"),
    ("/signed", "SessionSecret 0123456789abcdef0123456789abcdef"),
    ("/sealed", "SessionEncrypt On"),
    ("/memory", "SessionStore memory"),
    ("/memory-access", "SessionStore memory\nSessionLock access"),
];

pub fn conf() -> String {
    let place = |(path, lines): &(&str, &str)| {
        format!("<Location {path}>\nSessionDir @ROOT@/sessions{path}\nSessionIdCookie sid Path={path}\n{lines}\n</Location>\n")
    };
    GENERAL.to_owned() + &PLACES.iter().map(place).collect::<String>()
}

/// A session of 1 kB: a counter and nine texts.
pub fn fill(place: &str) -> String {
    let texts: String = (1..10).map(|n| format!("&set_text=text{n}:{}", "x".repeat(96))).collect();
    format!("{place}/fill?open=create&set_int=n:1{texts}")
}
