//! The stock encoding of a session: `key=value&key=value`, each side as in a web form. CGI programs read it in `HTTP_SESSION`, and backends
//! answer in it.

/// Writes pairs. As httpd does, it leaves letters, digits and `.-*_` as they are, and makes a `+` of a blank.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push(b'&');
        }
        escape(key, &mut text);
        text.push(b'=');
        escape(value, &mut text);
    }
    text
}

fn escape(bytes: &[u8], text: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        match byte {
            b' ' => text.push(b'+'),
            _ if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) => text.push(byte),
            _ => text.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

/// One pair as it was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Pair {
    Set(Vec<u8>, Vec<u8>),
    /// A key without a value: it is to go. It is taken as it stands, not decoded.
    Unset(Vec<u8>),
}

/// Reads pairs. What is not encoded properly is left out; so is a NUL.
pub fn decode(text: &[u8]) -> impl Iterator<Item = Pair> {
    text.split(|&c| c == b'&').filter_map(|pair| {
        let pair = &pair[pair.iter().position(|&c| c != b'=')?..];
        let (key, value) = match pair.iter().position(|&c| c == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        if value.is_empty() { Some(Pair::Unset(key.to_vec())) } else { Some(Pair::Set(unescape(key)?, unescape(value)?)) }
    })
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(c) = rest.next() {
        let byte = match c {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            _ => c,
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, value: &str) -> Pair {
        Pair::Set(key.into(), value.into())
    }

    #[test]
    fn what_was_written_is_read() {
        let all: Vec<u8> = (1..=255).collect();
        let pairs: [(&[u8], &[u8]); 3] = [(b"a b", b"1&2=3%"), (&all, &all), (b"x", b"y")];
        let text = encode(pairs);
        assert!(text.starts_with(b"a+b=1%262%3d3%25&"), "{}", String::from_utf8_lossy(&text));
        assert!(text.iter().all(u8::is_ascii_graphic));
        let read: Vec<_> = decode(&text).collect();
        assert_eq!(read, pairs.map(|(key, value)| Pair::Set(key.to_vec(), value.to_vec())));
    }

    #[test]
    fn odd_pairs_mean_what_they_mean_to_the_stock_module() {
        let read = |text: &str| decode(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(read("a=b=c&d==e"), [set("a", "b=c"), set("d", "=e")]);
        assert_eq!(read("a=&b&=c&a%20b="), ["a", "b", "c", "a%20b"].map(|key| Pair::Unset(key.into())));
        assert_eq!(read("a=%zz&%=1&b=%00&c=%4&d=1"), [set("d", "1")]);
        assert_eq!(read("&&=&==&"), []);
        assert_eq!(read("a+b=c+d&%61=%C3%a4"), [set("a b", "c d"), set("a", "ä")]);
    }
}
