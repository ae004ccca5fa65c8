//! The main job: a handler that knows one door only keeps its data from request to request.

mod support;

use support::{Client, Httpd, Mpm, mpm_tests};

const CONF: &str = "SessionDir @DIR@";

fn c(client: &mut Client) -> String {
    client.get("/capi?open=create&add=n:1&get_int=n").line("get_int").replace("OK ", "")
}

/// The stock API has no numbers: the test counts, as an application would.
fn stock(client: &mut Client) -> String {
    let before: u64 = client.get("/stock?load&get=n").line("get").rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    client.get(&format!("/stock?load&set=n:{}", before + 1));
    client.get("/stock?load&get=n").line("get").rsplit(' ').next().unwrap().to_owned()
}

fn notes(client: &mut Client) -> String {
    client.get("/notes?incr=session.n").line("incr").to_owned()
}

fn counts_through(mpm: Mpm, door: fn(&mut Client) -> String) {
    let mut httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    for n in 1..=5 {
        assert_eq!(door(&mut client), n.to_string());
    }
    httpd.stop();
    httpd.start_again();
    assert_eq!(door(&mut client), "6");
    assert_eq!(door(&mut httpd.client()), "1", "another client has a session of its own");
}

fn the_c_api_counts_from_request_to_request_and_over_a_restart(mpm: Mpm) {
    counts_through(mpm, c);
}

fn the_stock_api_counts_from_request_to_request_and_over_a_restart(mpm: Mpm) {
    counts_through(mpm, stock);
}

fn notes_count_from_request_to_request_and_over_a_restart(mpm: Mpm) {
    counts_through(mpm, notes);
}

fn all_doors_lead_to_the_same_session(mpm: Mpm) {
    let httpd = Httpd::start(mpm, CONF);
    let mut client = httpd.client();
    client.get("/capi?open=create&set_int=n:1");
    assert_eq!(client.get("/notes?incr=session.n").line("incr"), "2");
    assert_eq!(client.get("/stock?load&get=n").line("get").rsplit(' ').next(), Some("2"));
    client.get("/stock?load&set=n:3");
    let response = client.get("/capi?open=&type_of=n&get_int=n");
    assert_eq!((response.line("type_of"), response.line("get_int")), ("OK INT", "OK 3"), "the type survives the doors without types");
}

mpm_tests!(
    the_c_api_counts_from_request_to_request_and_over_a_restart,
    the_stock_api_counts_from_request_to_request_and_over_a_restart,
    notes_count_from_request_to_request_and_over_a_restart,
    all_doors_lead_to_the_same_session,
);
