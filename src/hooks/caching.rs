//! What a response with a session tells caches: no cache may hand one visitor's cookie or page to another.

use std::borrow::Cow;

use crate::httpd::Request;

/// Sets `Cache-Control` and `Vary` of a response that is about to begin.
pub fn protect(request: Request<'_>, sets_cookie: bool, used: bool) {
    let headers = request.headers_out();
    let said = |name| match (headers.joined(name), request.err_headers_out().joined(name)) {
        (Some(one), Some(other)) => Some(format!("{one}, {other}")),
        (one, other) => one.or(other),
    };
    if let Some(value) = cache_control(said(c"Cache-Control").as_deref(), sets_cookie, used) {
        request.err_headers_out().unset(c"Cache-Control");
        headers.set_static(c"Cache-Control", value.as_bytes());
    }
    if used && let Some(value) = vary(said(c"Vary").as_deref()) {
        request.err_headers_out().unset(c"Vary");
        headers.set_static(c"Vary", value.as_bytes());
    }
}

/// The page has links with the id of its visitor: no other site may see where its visitors come from.
pub fn hide_referrer(request: Request<'_>) {
    request.err_headers_out().unset(c"Referrer-Policy");
    request.headers_out().set_static(c"Referrer-Policy", b"no-referrer");
}

fn directives(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|directive| !directive.is_empty())
}

/// The header to send; `None`: as the application said.
fn cache_control(said: Option<&str>, sets_cookie: bool, used: bool) -> Option<Cow<'static, str>> {
    match said {
        None if sets_cookie => Some("no-store".into()),
        None if used => Some("private".into()),
        Some(said) if sets_cookie => {
            let safe = |directive: &str| ["private", "no-store", "no-cache"].iter().any(|word| directive.eq_ignore_ascii_case(word));
            if directives(said).any(safe) {
                return None;
            }
            let kept = directives(said).filter(|directive| !directive.eq_ignore_ascii_case("public"));
            Some(kept.chain(["private", "no-cache=\"Set-Cookie\""]).collect::<Vec<_>>().join(", ").into())
        }
        _ => None,
    }
}

fn vary(said: Option<&str>) -> Option<Cow<'static, str>> {
    match said {
        None => Some("Cookie".into()),
        Some(said) if directives(said).any(|field| field == "*" || field.eq_ignore_ascii_case("Cookie")) => None,
        Some(said) => Some(format!("{said}, Cookie").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_with_a_cookie_is_never_shared() {
        let with_cookie = |said| cache_control(said, true, false);
        assert_eq!(with_cookie(None).unwrap(), "no-store");
        assert_eq!(with_cookie(Some("public, max-age=60")).unwrap(), "max-age=60, private, no-cache=\"Set-Cookie\"");
        for said in ["private", "max-age=0, No-Store", "no-cache"] {
            assert_eq!(with_cookie(Some(said)), None, "{said}");
        }
    }

    #[test]
    fn a_response_made_from_a_session_is_private_unless_the_application_decides() {
        assert_eq!(cache_control(None, false, true).unwrap(), "private");
        assert_eq!(cache_control(Some("public, max-age=60"), false, true), None);
        assert_eq!(cache_control(None, false, false), None);
    }

    #[test]
    fn vary_names_the_cookie_once() {
        assert_eq!(vary(None).unwrap(), "Cookie");
        assert_eq!(vary(Some("Accept-Encoding")).unwrap(), "Accept-Encoding, Cookie");
        assert_eq!(vary(Some("accept, cookie")), None);
        assert_eq!(vary(Some("*")), None);
    }
}
