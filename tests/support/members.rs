//! Clients that have a session each, of a server whose sessions are in memory.

use super::{Client, Httpd};

pub const CONF: &str = "SessionDir @DIR@\nSessionStore memory:16M\nSessionLock access";

/// As many clients. In each session `n` is the number of the client.
pub fn members(httpd: &Httpd, many: u64) -> Vec<Client> {
    let begin = |n: u64| {
        let mut client = httpd.client();
        assert_eq!(client.get(&format!("/capi?open=create&set_int=n:{n}&save")).line("save"), "OK");
        client
    };
    (0..many).map(begin).collect()
}

pub fn number(client: &mut Client) -> String {
    client.get("/capi?open=&get_int=n").line("get_int").to_owned()
}

pub fn all_are_there(members: &mut [Client]) {
    for (n, client) in members.iter_mut().enumerate() {
        assert_eq!(number(client), format!("OK {n}"));
    }
}
