//! Sub-requests, internal redirects and error documents share the session of the first request, and never wait for each other.

mod support;

use support::{Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn a_sub_request_sees_and_changes_the_session_of_its_parent(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&sub=/capi?open=create%26get_int=n%26set_int=sub:2&get_int=sub");
    assert_eq!(response.lines("get_int"), ["OK 1", "OK 2"]);
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK n=INT sub=INT");
}

fn an_internal_redirect_goes_on_with_the_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&internal=/capi?open=%26get_int=n%26set_int=m:2");
    assert_eq!(response.line("get_int"), "OK 1");
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK m=INT n=INT");
}

fn an_error_document_goes_on_with_the_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nErrorDocument 403 /capi?open=create&get_int=n&add=errors:1"));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&status=403");
    assert_eq!((response.status, response.line("get_int"), response.set_cookies().len()), (403, "OK 1", 1));
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK errors=INT n=INT");
}

fn opening_twice_is_harmless_and_a_read_only_open_can_be_upgraded(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/capi?open=create,read_only&set_int=n:1&open=create&set_int=n:1&open=create&get_int=n");
    assert_eq!(response.lines("set_int"), ["OFF", "OK"]);
    assert_eq!(response.line("get_int"), "OK 1");
}

fn notes_of_the_parent_and_of_a_sub_request_are_both_read(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/notes?set=session.a:1&sub=/notes?set=session.b:2&set=session.c:3");
    let response = client.get("/capi?open=&get_text=a&get_text=b&get_text=c");
    assert_eq!(response.lines("get_text"), ["OK 1", "OK 2", "OK 3"]);
}

fn notes_written_before_an_internal_redirect_are_kept(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    let response = client.get("/notes?set=session.a:1&internal=/notes?set=session.b:2");
    assert_eq!(response.set_cookies().len(), 1);
    let response = client.get("/capi?open=&get_text=a&get_text=b");
    assert_eq!(response.lines("get_text"), ["OK 1", "OK 2"]);
}

fn what_was_written_before_a_redirect_is_seen_after_it_and_the_later_write_wins(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nErrorDocument 403 /notes?get=session.a&set=session.a:2"));
    let mut client = httpd.client();
    let response = client.get("/notes?set=session.a:1&status=403");
    assert_eq!(response.line("get"), "1", "a message to the error page");
    assert_eq!(client.get("/capi?open=&get_text=a").line("get_text"), "OK 2");
    let response = client.get("/notes?set=session.a:3&internal=/notes?get=session.a%26set=session.a:4");
    assert_eq!(response.line("get"), "3");
    assert_eq!(client.get("/capi?open=&get_text=a").line("get_text"), "OK 4");
    let response = client.get("/notes?set=session.a:5&sub=/notes?get=session.a%26set=session.a:6");
    assert_eq!(response.line("get"), "5");
    assert_eq!(client.get("/capi?open=&get_text=a").line("get_text"), "OK 6");
    let response = client.get("/notes?set=session.a:7&internal=/notes?set=session:do:invalidate");
    assert!(response.set_cookies()[0].contains("Max-Age=0"), "what was written before a log-out goes with the session");
    assert_eq!(client.cookie("sid"), None);
}

fn the_cookie_survives_a_redirect_that_ends_in_a_directory_index(mpm: Mpm) {
    let httpd = Httpd::with(mpm)
        .conf(&format!("{CONF}\nErrorDocument 403 /dir/\nDirectoryIndex index.html"))
        .file("htdocs/dir/index.html", "the index")
        .start();
    for how in ["&status=403", "&internal=/dir/"] {
        let response = httpd.client().get(&format!("/capi?open=create&set_int=n:1{how}"));
        assert_eq!((&*response.text(), response.set_cookies().len()), ("the index", 1), "{how}");
    }
}

fn an_error_bucket_is_not_taken_for_the_response(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\nErrorDocument 403 /capi?open=create&get_int=n&add=errors:1&save"));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&bucket=403");
    assert_eq!((response.status, response.line("get_int"), response.line("save")), (403, "OK 1", "OK"));
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK errors=INT n=INT");
}

fn a_sub_request_may_begin_a_session_in_a_page_without_one(mpm: Mpm) {
    let httpd = Httpd::start(mpm, "<Location /stock>\nSessionDir @DIR@\n</Location>");
    let mut client = httpd.client();
    let response = client.get("/notes?sub=/stock?load%26set=a:1");
    assert_eq!(response.set_cookies().len(), 1, "{}", response.text());
    assert_eq!(client.get("/stock?load&get=a").line("get").rsplit(' ').next(), Some("1"));
}

fn a_second_session_in_one_request_has_its_own_cookie(mpm: Mpm) {
    let httpd = Httpd::start(mpm, &format!("{CONF}\n<Location /stock>\nSessionIdCookie other\n</Location>"));
    let mut client = httpd.client();
    let response = client.get("/capi?open=create&set_int=n:1&sub=/stock?load%26set=m:2");
    let mut cookies = response.set_cookies();
    cookies.sort();
    assert!(cookies.len() == 2 && cookies[0].starts_with("other=") && cookies[1].starts_with("sid="), "{cookies:?}");
    assert_eq!(client.get("/capi?open=&each").line("each"), "OK n=INT");
    assert_eq!(client.get("/stock?load&get=m").line("get").rsplit(' ').next(), Some("2"));
}

mpm_tests!(
    a_sub_request_sees_and_changes_the_session_of_its_parent,
    an_internal_redirect_goes_on_with_the_session,
    an_error_document_goes_on_with_the_session,
    opening_twice_is_harmless_and_a_read_only_open_can_be_upgraded,
    notes_of_the_parent_and_of_a_sub_request_are_both_read,
    notes_written_before_an_internal_redirect_are_kept,
    what_was_written_before_a_redirect_is_seen_after_it_and_the_later_write_wins,
    the_cookie_survives_a_redirect_that_ends_in_a_directory_index,
    an_error_bucket_is_not_taken_for_the_response,
    a_sub_request_may_begin_a_session_in_a_page_without_one,
    a_second_session_in_one_request_has_its_own_cookie,
);
