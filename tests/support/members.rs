//! Clients that have a session each.

use super::{Client, Httpd};

/// Of a server whose sessions are in memory.
pub const CONF: &str = "SessionDir @DIR@\nSessionStore memory:16M\nSessionLock access";

/// A visitor whose session was made by these operations.
pub fn visitor(httpd: &Httpd, operations: &str) -> Client {
    let mut client = httpd.client();
    assert_eq!(client.get(&format!("/capi?open=create&{operations}&save")).line("save"), "OK");
    client
}

/// As many clients. In each session `n` is the number of the client.
pub fn members(httpd: &Httpd, many: u64) -> Vec<Client> {
    (0..many).map(|n| visitor(httpd, &format!("set_int=n:{n}"))).collect()
}

pub fn number(client: &mut Client) -> String {
    client.get("/capi?open=&get_int=n").line("get_int").to_owned()
}

pub fn all_are_there(members: &mut [Client]) {
    for (n, client) in members.iter_mut().enumerate() {
        assert_eq!(number(client), format!("OK {n}"));
    }
}
