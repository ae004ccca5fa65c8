//! Room on the disk for a file that is going to be mapped: to touch what has none is a deadly signal. Knows nothing of sessions.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

/// Makes the file so long, if it is shorter, with zeroes for which there is room whatever happens.
///
/// # Errors
/// There is no room for it.
pub fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        // A file system that cannot promise it, but may keep it.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file, bytes),
        other => Ok(other?),
    }
}

fn fill(file: &File, bytes: u64) -> io::Result<()> {
    let zeroes = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(1 << 20)];
    let mut at = file.metadata()?.len();
    while at < bytes {
        let piece = zeroes.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        file.write_all_at(&zeroes[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_longer_and_never_shorter_and_keeps_what_is_in_it() {
        for make in [reserve, fill] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(b"x", 0).unwrap();
            for (wanted, length) in [(3 << 20, 3 << 20), (5, 3 << 20)] {
                make(&file, wanted).unwrap();
                let found = file.metadata().unwrap().len();
                assert_eq!(found, length);
                let mut bytes = vec![0; usize::try_from(found).unwrap()];
                file.read_exact_at(&mut bytes, 0).unwrap();
                assert!(bytes[0] == b'x' && bytes[1..].iter().all(|byte| *byte == 0));
            }
        }
    }
}
