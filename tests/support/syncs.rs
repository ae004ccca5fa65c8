//! Counts how often programs wait for the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const COUNTER: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int fd)
{
    int count = open(getenv("MSRS_SYNCS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (write(count, "x", 1) != 1)
        abort();
    close(count);
    return fsync(fd);
}
"#;

pub struct Syncs {
    counter: PathBuf,
    count: PathBuf,
}

impl Syncs {
    /// Of programs that are started with [`Syncs::environment`].
    pub fn counted_in(dir: &Path) -> Syncs {
        let [source, counter, count] = ["syncs.c", "syncs.so", "syncs"].map(|name| dir.join(name));
        fs::write(&source, COUNTER).expect("the source of the counter");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&counter, &source]).status().expect("cc");
        assert!(built.success());
        fs::write(&count, "").expect("the count");
        fs::set_permissions(&count, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("a count for every user");
        Syncs { counter, count }
    }

    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [("LD_PRELOAD", self.counter.to_str().expect("UTF-8")), ("MSRS_SYNCS", self.count.to_str().expect("UTF-8"))]
    }

    pub fn number(&self) -> u64 {
        fs::metadata(&self.count).expect("the count").len()
    }
}
