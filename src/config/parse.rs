//! Values of directives. An error names the value and the remedy; the directive is named by who shows it.

/// Ten years: more is a mistake.
pub const LONGEST: u64 = 10 * 365 * 24 * 3600;

/// A number of bytes: `1048576`, `1024K`, `1M`.
pub fn size(word: &str, least: usize, most: usize) -> Result<usize, String> {
    let (digits, unit) = match word.as_bytes().last() {
        Some(b'k' | b'K') => (&word[..word.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&word[..word.len() - 1], 1 << 20),
        _ => (word, 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    let bytes = plain.then(|| digits.parse::<usize>().ok()?.checked_mul(unit)).flatten();
    bytes
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| format!("takes a size from {}K to {}M (bytes, or with K or M), not '{word}'", least >> 10, most >> 20))
}

/// The size of memory: as [`size`], or `2G`.
pub fn memory(word: &str, least: u64, most: u64) -> Result<u64, String> {
    let (digits, unit) = match word.strip_suffix(['g', 'G']) {
        Some(digits) => (digits, 1 << 30),
        None => (word, 1),
    };
    let whole = usize::try_from(most).unwrap_or(usize::MAX);
    let bytes = size(digits, 1, whole).ok().filter(|_| unit == 1 || digits.bytes().all(|c| c.is_ascii_digit()));
    let bytes = bytes.and_then(|number| (number as u64).checked_mul(unit)).filter(|bytes| (least..=most).contains(bytes));
    // A file is mapped by pages.
    bytes.map(|bytes| bytes.next_multiple_of(4096)).ok_or_else(|| {
        format!("takes a size from {}M to {}G (bytes, or with K, M or G) behind memory:, not '{word}'", least >> 20, most >> 30)
    })
}

/// A whole number within bounds.
pub fn number(word: &str, least: u32, most: u32) -> Result<u32, String> {
    let plain = !word.is_empty() && word.bytes().all(|c| c.is_ascii_digit());
    let number = plain.then(|| word.parse().ok()).flatten();
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| format!("takes a number from {least} to {most}, not '{word}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        let parse = |word| size(word, 1 << 10, 64 << 20);
        assert_eq!(parse("1024"), Ok(1024));
        assert_eq!(parse("64k"), Ok(65_536));
        assert_eq!(parse("64M"), Ok(64 << 20));
        for bad in ["", "K", "-1", "+5K", "1023", "65M", "1G", "much", "18446744073709551615M"] {
            assert!(parse(bad).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn memory_has_a_size_up_to_gigabytes() {
        let parse = |word| memory(word, 1 << 20, 256 << 30);
        assert_eq!(["1M", "1048576", "64m", "2G"].map(parse), [1 << 20, 1 << 20, 64 << 20, 2 << 30].map(Ok));
        assert_eq!(["1048577", "1025K"].map(parse), [257 << 12, 257 << 12].map(Ok), "whole pages");
        for bad in ["", "1023K", "257G", "1GG", "1KG", "G", "-1G", "18446744073709551615G", "all"] {
            assert!(
                parse(bad).unwrap_err().contains(&format!("1M to 256G (bytes, or with K, M or G) behind memory:, not '{bad}'")),
                "{bad}"
            );
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((number("1", 1, 4096), number("4096", 1, 4096)), (Ok(1), Ok(4096)));
        for bad in ["", "0", "4097", "-1", "+1", "1.0", "many", "99999999999"] {
            assert!(number(bad, 1, 4096).unwrap_err().contains(&format!("1 to 4096, not '{bad}'")), "{bad}");
        }
    }
}
