//! What several tests of the crate need: another process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The test that asks, in another process, which finds `value` in its environment.
pub fn once_more(variable: &str, value: impl AsRef<OsStr>) -> Command {
    let test = std::thread::current().name().expect("the name of the test").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("the path of the tests"));
    command.args(["--exact", &test, "--nocapture", "--test-threads=1"]).env(variable, value).stdout(Stdio::piped());
    command
}

/// Until it has said so.
pub fn wait_until_it_says(child: &mut Child, text: &str) {
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(text)), "it never said {text:?}");
}
