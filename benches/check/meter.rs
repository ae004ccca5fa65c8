//! The server whose pages are counted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::measuring::{Callgrind, instructions};
use crate::pages::{Page, conf, fill};
use crate::support::{Httpd, Mpm};

/// Of each page, counted; and before, until all that is made once is made.
const REQUESTS: u64 = 200;
const WARM: u64 = 20;

pub struct Meter(Callgrind);

impl Meter {
    pub fn start() -> Meter {
        let setup = Httpd::with(Mpm::Prefork).workers(1).log_level("notice").of_ours("meter").conf(&conf());
        let setup = setup.file("htdocs/file/static.txt", "hello\n").file("htdocs/off/static.txt", "hello\n");
        let sessions = setup.root().join("sessions");
        fs::create_dir(&sessions).expect("a folder for sessions");
        fs::set_permissions(&sessions, fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
        Meter(Callgrind::start(setup, "/off/meter"))
    }

    /// Instructions of a request, with its share of one more at the end; `keep`: a file for what callgrind knows of each function.
    pub fn count(&mut self, page: &Page, keep: Option<&Path>) -> u64 {
        let mut client = self.0.client();
        let response = client.get(&fill(page.fills));
        assert!(client.cookie("sid").is_some(), "{}: {}", page.name, response.text());
        self.0.ask(&mut client, page.path, WARM);
        self.0.mark(&mut client);
        self.0.ask(&mut client, page.path, REQUESTS);
        let count = self.0.mark(&mut client);
        if let Some(folder) = keep {
            let name: String = page.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            fs::write(folder.join(name), &count).expect("a folder for the counts");
        }
        instructions(&count) / REQUESTS
    }
}
