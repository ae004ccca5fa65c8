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
    let room = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"other\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n\
         [dependencies]\nmod_session_rs = {{ path = {:?}, default-features = false }}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    let code = "use mod_session_rs::store::{Store, file::FileStore};\n\
                #[unsafe(no_mangle)]\npub extern \"C\" fn other_module() -> bool {\n\
                FileStore::new(\"/nowhere\".into()).load(&mod_session_rs::session::Key([0; 32])).is_err()\n}\n";
    std::fs::create_dir(room.path().join("src")).unwrap();
    std::fs::write(room.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::write(room.path().join("src/lib.rs"), code).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"), room.path().join("Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("other");
    let build =
        Command::new(env!("CARGO")).args(["build", "--quiet"]).env("CARGO_TARGET_DIR", &target).current_dir(room.path()).output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    assert_eq!(symbols(&target.join("debug/libother.so")), ["other_module"]);
}
