use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn place() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn why(dir: &Path) -> String {
    examine(dir, rustix::process::geteuid(), Kind::File).unwrap_err().to_string()
}

#[test]
fn a_missing_directory_is_made_private_and_claimed() {
    let place = place();
    let dir = place.path().join("sessions");
    assert_eq!(examine(&dir, rustix::process::geteuid(), Kind::File).unwrap().state, State::Missing);
    assert!(!dir.exists(), "examine made it");
    assert!(claim(&dir, Kind::File).unwrap_err().to_string().contains("missing"));
    make(&dir, None).unwrap();
    claim(&dir, Kind::File).unwrap();
    claim(&dir, Kind::File).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(std::fs::metadata(dir.join(MARKER)).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(examine(&dir, rustix::process::geteuid(), Kind::File).unwrap().state, State::Ours);
}

#[test]
fn a_marker_that_a_death_left_empty_is_written_by_who_comes_next() {
    let place = place();
    for kind in Kind::ALL {
        let dir = place.path().join(format!("{kind:?}"));
        make(&dir, None).unwrap();
        std::fs::write(dir.join(MARKER), "").unwrap();
        assert_eq!(super::kind(&dir).unwrap(), None);
        assert!(!is_claimed(&dir, kind).unwrap());
        claim(&dir, kind).unwrap();
        assert_eq!(Kind::ALL.map(|other| is_claimed(&dir, other).unwrap()), Kind::ALL.map(|other| other == kind), "{kind:?}");
        assert_eq!(super::kind(&dir).unwrap(), Some(kind));
        claim(&dir, kind).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join(MARKER)).unwrap(), kind.marker());
    }
}

#[test]
fn what_is_not_safe_or_not_ours_is_refused_with_the_remedy() {
    let place = place();
    let dir = |name: &str| {
        let dir = place.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        dir
    };
    let open = dir("open");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o770)).unwrap();
    assert!(why(&open).contains("chmod 0700"));

    let foreign = dir("foreign");
    std::fs::write(foreign.join("thesis.txt"), "x").unwrap();
    assert!(why(&foreign).contains("directory of their own"));

    let link = place.path().join("link");
    symlink(dir("target"), &link).unwrap();
    assert!(why(&link).contains("real path"));

    let other_kind = dir("kind");
    std::fs::write(other_kind.join(MARKER), "dbm store 1\n").unwrap();
    assert!(why(&other_kind).contains("another store"));

    assert!(why(&place.path().join("no/such/parent")).contains("parent directory"));
    let stranger = Uid::from_raw(rustix::process::geteuid().as_raw() + 1);
    assert!(examine(&dir("mine"), stranger, Kind::File).unwrap_err().to_string().contains("chown"));
}

#[test]
fn a_place_below_a_temporary_directory_is_warned_about() {
    let place = place();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let found = examine(&place.path().join("sessions"), rustix::process::geteuid(), Kind::File).unwrap();
    assert!(found.warning.unwrap().contains("temporary directory"));
}
