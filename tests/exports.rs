//! What the shared object shows to others.

mod support;

use std::path::Path;
use std::process::Command;

fn symbols(object: &Path) -> Vec<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(object).output().expect("nm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn exactly_the_13_symbols_of_the_stock_module_are_exported() {
    let mut expected = vec!["session_module".to_owned()];
    for what in ["load", "save", "encode", "decode"] {
        expected.extend(["ap_hook_session_", "ap_hook_get_session_", "ap_run_session_"].map(|prefix| format!("{prefix}{what}")));
    }
    expected.sort();
    assert_eq!(symbols(&support::apxs::module_under_test()), expected);
}

#[test]
fn another_module_that_links_our_library_exports_nothing_of_ours() {
    assert_eq!(symbols(support::crates::rustapi()), ["rustapi_module"]);
}
