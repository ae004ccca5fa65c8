use proptest::prelude::*;

use super::*;
use crate::session::value::tests::any_value;

/// What the walk makes of one value, beside what the reader makes of it.
fn both(bytes: &[u8]) -> (Option<usize>, Option<usize>) {
    let mut walk = Walk::from(bytes, 0);
    let walked = walk.skip(MAX_DEPTH).ok().filter(|_| walk.at() == bytes.len());
    (walked, Value::from_msgpack(bytes).ok().map(|value| value.weight()))
}

/// Bytes that often are heads of something.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![any::<u8>(), 0x80..0xe0u8, 0..4u8, Just(b'a'), 0xa0..0xa3u8], 0..24)
}

#[test]
fn texts_and_bytes_of_every_length_are_found_behind_their_heads() {
    let lengths = [0, 1, 31, 32, 255, 256, 65_535, 65_536];
    for (head, bytes) in [(0xa0, 0), (0xd9, 1), (0xda, 2), (0xdb, 4), (0xc4, 1), (0xc5, 2), (0xc6, 4)] {
        for length in lengths.into_iter().filter(|&length: &usize| if bytes == 0 { length < 32 } else { length >> (8 * bytes) == 0 }) {
            let mut map = vec![0x82, 0xa1, b'a'];
            map.push(if bytes == 0 { head | length as u8 } else { head });
            map.extend(&(length as u64).to_be_bytes()[8 - bytes..]);
            map.extend(std::iter::repeat_n(b'x', length));
            map.extend([0xa1, b'b', 0xa1, b'y']);
            let (list, end) = read(&map).unwrap();
            assert_eq!(end, map.len(), "{head:x} {length}");
            assert_eq!(list[0].as_it_lies(&map).unwrap(), &*list[0].value(&map).to_plain().unwrap(), "{head:x} {length}");
            assert_eq!((list[0].as_it_lies(&map).unwrap().len(), list[1].as_it_lies(&map)), (length, Some(&b"y"[..])));
            assert_eq!(list[0].weight(), weight("a", list[0].value(&map)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_walked_over_is_what_can_be_read(bytes in heads()) {
        let (walked, read) = both(&bytes);
        prop_assert_eq!(walked, read, "{:x?}", bytes);
    }
}

/// What a field is to the library that values are read with.
fn read_as<'b, T: serde::Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}

#[test]
fn a_field_is_read_as_the_library_reads_it() {
    for first in 0..=u8::MAX {
        for rest in [0x00, 0x7f, 0x80, b'a', 0xc0, 0xff] {
            for length in 0..40 {
                let bytes = [&[first][..], &vec![rest; length]].concat();
                let text = Fields::of(&bytes).text().ok().map(|text| text.map(str::to_owned));
                assert_eq!(Fields::of(&bytes).number().ok(), read_as::<u64>(&bytes), "{bytes:x?}");
                assert_eq!(Fields::of(&bytes).flag().ok(), read_as::<bool>(&bytes), "{bytes:x?}");
                // The library takes bytes for a text where they are one.
                let expected = read_as::<Option<String>>(&bytes).filter(|_| !matches!(first, 0xc4..=0xc6));
                assert_eq!(text, expected, "{bytes:x?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_value_is_walked_over_and_weighed(value in any_value()) {
        prop_assert_eq!(both(&value.to_msgpack()), (Some(value.weight()), Some(value.weight())));
    }
}

proptest! {
    #[test]
    fn what_is_shown_of_a_packed_value_is_what_is_shown_of_the_value(value in any_value()) {
        let map = [&[0x81, 0xa1, b'k'], &*value.to_msgpack()].concat();
        let (entries, end) = read(&map).unwrap();
        prop_assert_eq!((entries.len(), end), (1, map.len()));
        prop_assert_eq!(entries[0].plain(&map), value.to_plain());
    }
}

#[test]
fn values_nest_as_deep_for_the_walk_as_for_the_reader() {
    for inside in [&[0xc0][..], &[0x90], &[0x80], &[0xa1, b'a']] {
        for levels in MAX_DEPTH - 2..MAX_DEPTH + 3 {
            for around in [&[0x91][..], &[0x81, 0xa1, b'k']] {
                let bytes = [&around.repeat(levels), inside].concat();
                let (walked, read) = both(&bytes);
                assert_eq!(walked, read, "{levels} levels of {around:x?} around {inside:x?}");
            }
        }
    }
}

#[test]
fn a_map_that_claims_more_than_it_holds_is_refused_and_takes_no_room() {
    for map in [&[0xdf, 0xff, 0xff, 0xff, 0xff][..], &[0xde, 0xff, 0xff, 0xa1, b'a', 1], &[0x82, 0xa1, b'a', 1]] {
        assert!(read(map).is_err(), "{map:x?}");
    }
}
