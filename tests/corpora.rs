//! What the fuzzers kept (`make fuzz`) holds: every file of `fuzz/corpus`, through the same properties.

#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

fn replay(target: &str, property: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(&corpus).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    assert!(inputs.len() >= 20, "{} files in {}", inputs.len(), corpus.display());
    let holds = |input: &Path| {
        let data = fs::read(input).expect("a file");
        catch_unwind(|| property(&data)).is_ok()
    };
    let broken: Vec<_> = inputs.iter().filter(|input| !holds(input)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn presented_ids_are_found_as_they_should_be() {
    replay("cookie", properties::cookie);
}

#[test]
fn records_are_read_as_they_were_written() {
    replay("record", properties::record);
}

#[test]
fn session_files_are_read_as_documented() {
    replay("file", properties::file);
}

#[test]
fn edits_of_the_picture_are_those_of_a_map() {
    replay("mirror", properties::mirror);
}

#[test]
fn words_of_directives_are_taken_or_refused_as_documented() {
    replay("config", properties::config);
}
