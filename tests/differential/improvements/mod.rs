//! What is meant to differ, and why.

mod emptied;
mod others;
mod removed;
mod tree;

/// Differences that have one reason.
pub struct Improvement {
    pub title: &'static str,
    pub why: &'static str,
    pub rows: &'static [Row],
}

/// A difference that is seen on every MPM, in each of some sections and requests of a case.
pub struct Row {
    pub on: &'static [&'static str],
    pub case: &'static str,
    /// Their numbers in the case, from 1 on.
    pub requests: &'static [usize],
    /// `status`, `body`, `log`, or the name of a header.
    pub what: &'static str,
    pub stock: &'static str,
    pub ours: &'static str,
}

const fn row(
    on: &'static [&'static str],
    case: &'static str,
    requests: &'static [usize],
    what: &'static str,
    stock: &'static str,
    ours: &'static str,
) -> Row {
    Row { on, case, requests, what, stock, ours }
}

pub const IMPROVEMENTS: &[Improvement] = &[
    Improvement {
        title: "What is set after a session expired is kept",
        why: "The stock module gives each caller another empty session, and saves none of them (PR 56052, PR 58171). Here the session of the \
              request is emptied in place, as in httpd's trunk.",
        rows: emptied::EXPIRED,
    },
    Improvement {
        title: "What is set after a session that cannot be read is kept",
        why: "The same, where a passphrase is wrong or a decoder refuses (PR 58171). The text that could not be decoded does not stay in the \
              record, so a further call does not fail again.",
        rows: emptied::UNREADABLE,
    },
    Improvement {
        title: "SessionCookieRemove On does not lose the session",
        why: "mod_session_cookie of httpd 2.4.69 to 2.4.71 forgets its record and looks for the cookie again, which it took away. Here the store \
              is asked once, and all parts of a request have that record.",
        rows: removed::REMOVED,
    },
    Improvement {
        title: "mod_session_dbd keeps its session over internal redirects and error documents",
        why: "The stock module gives the request after an internal redirect another record than the one before, so that changes made \
              before are lost, and rows are left behind.",
        rows: tree::DBD,
    },
    Improvement {
        title: "What was changed before an internal redirect to a section without sessions is saved",
        why: "The stock module looks at the requests from the one that answers on, not at those that led there. Where the section that \
              answers has a session of its own, that one alone is saved, as ever.",
        rows: tree::ELSEWHERE,
    },
    Improvement {
        title: "A session does not vanish while a request works with it",
        why: "The stock module judges the end at each call, so a session that a handler has read may be empty at the next look. Here it is judged \
              when the session is read. In both, what has ended is not saved.",
        rows: tree::MEANWHILE,
    },
    Improvement {
        title: "What is set before an error bucket is saved",
        why: "A module that answers by an error bucket, as mod_security does, makes httpd drop the response with its cookie. The stock module has \
              saved by then, and does not save with the error page.",
        rows: others::BUCKET,
    },
    Improvement {
        title: "SessionMaxAge below zero means no end",
        why: "With the stock module such a session has ended before it is saved, and each request says so in the log.",
        rows: others::BELOW_ZERO,
    },
    Improvement {
        title: "The stores of this module are on the hooks",
        why: "They come first, and decline where no store of this module is configured.",
        rows: others::PROVIDER,
    },
];
