//! Reading MessagePack: one value, and nothing behind it.

use std::io::ErrorKind;

use rmp_serde::Deserializer;
use rmp_serde::decode::Error;
use serde::Deserialize;

/// Reads all of `bytes`, of which text is borrowed as long as it can be; they nest at most `depth` levels.
///
/// # Errors
/// As the reader says; or there are `bytes after the NAME`.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], depth: usize, name: &str) -> Result<T, Error> {
    let mut reader = Deserializer::from_read_ref(bytes);
    reader.set_max_depth(depth);
    let value = T::deserialize(&mut reader)?;
    // Only at the end there is not even the first byte of another value.
    match <()>::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(value),
        _ => Err(Error::Syntax(format!("bytes after the {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_behind_the_value_is_refused() {
        assert_eq!(read::<u8>(&[7], 1, "number").unwrap(), 7);
        for rest in [&[0xc0][..], &[7], &[0x91], &[0x81], &[0xcc], &[0xda, 0], &[0xc1], &[0xdc, 0, 1], &[0xd4]] {
            let error = read::<u8>(&[&[7], rest].concat(), 1, "number").unwrap_err();
            assert!(error.to_string().contains("bytes after the number"), "{rest:x?}: {error}");
        }
        assert!(read::<u8>(&[], 1, "number").is_err());
    }
}
