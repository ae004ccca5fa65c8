//! Who holds a session and who waits for it, as `htsession locks` tells.

use std::process::Command;

use super::Httpd;

/// Lines of `REF PID HELD WAITING REQUEST`.
pub fn locks(httpd: &Httpd) -> Vec<Vec<String>> {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_htsession"));
    if httpd.dir().exists() {
        tool.arg("--dir").arg(httpd.dir()).arg("locks");
    } else {
        tool.args(["--store", "dbd", "locks", "--server", &httpd.pid().to_string()]);
    }
    let output = tool.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines()
        .filter(|line| !line.starts_with("REF") && !line.starts_with("no "))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// How many requests wait for sessions.
pub fn waiting(httpd: &Httpd) -> usize {
    locks(httpd).iter().map(|line| line[3].parse::<usize>().unwrap()).sum()
}

/// The process of a request that holds a session.
pub fn holder(httpd: &Httpd) -> Option<u32> {
    locks(httpd).first().map(|line| line[1].parse().unwrap())
}
