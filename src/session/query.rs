//! Ids in a query string, for visitors without cookies (`SessionUseCookies off`). Whoever sees such a link has the session.

use super::cookie::MAX_CANDIDATES;
use super::id::Id;

/// The well-formed, different ids that a query string names by `name`, in its order.
#[must_use]
pub fn ids(query: &[u8], name: &str) -> Vec<Id> {
    let mut found: Vec<Id> = Vec::new();
    for pair in query.split(|&c| c == b'&' || c == b';') {
        let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else { continue };
        if let Some(id) = Id::parse(value)
            && !found.contains(&id)
            && found.len() < MAX_CANDIDATES
        {
            found.push(id);
        }
    }
    found
}

/// Whether a word can be the name of a parameter.
#[must_use]
pub fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_under_their_name_only_and_in_their_exact_form() {
        let [one, two] = ["A", "B"].map(|c| c.repeat(32));
        let query = format!("x=1&sid={one}&sid={one}&SID={two}&asid={two}&sid=short&sid={two}%20&sid={two}");
        let found: Vec<_> = ids(query.as_bytes(), "sid").iter().map(|id| id.expose().to_owned()).collect();
        assert_eq!(found, [one, two]);
        assert!(ids(b"", "sid").is_empty());
    }

    #[test]
    fn no_more_are_tried_than_of_cookies() {
        let query: Vec<_> = (10..60).map(|n| format!("s={n}{}", "A".repeat(30))).collect();
        assert_eq!(ids(query.join("&").as_bytes(), "s").len(), MAX_CANDIDATES);
    }
}
