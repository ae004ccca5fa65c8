//! Pages that not everybody may see, and who asks for them.

use crate::support::{Client, Httpd, Mpm, Setup};

pub const CONF: &str = "SessionDir @DIR@";

/// What mod_authz_core says of everybody whom it turns away.
const DENIED: &str = "AH01630";

pub fn with(mpm: Mpm, conf: &str) -> Setup {
    Httpd::with(mpm).conf(conf).file("htdocs/private/page.html", "inside").file("htdocs/guests/page.html", "come in").expect_log(DENIED)
}

pub fn asks(client: &Client) -> u16 {
    client.clone().get("/private/page.html").status
}
