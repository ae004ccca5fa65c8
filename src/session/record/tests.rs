use proptest::prelude::*;

use super::*;
use crate::session::Session;
use crate::session::value::tests::any_value;

pub fn any_record() -> impl Strategy<Value = Record> {
    let values = prop::collection::vec(("[a-zA-Z]{1,8}", any_value()), 0..6);
    (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>(), prop::option::of(".{0,9}"), values).prop_map(
        |(incarnation, created, accessed, timeout, presented, user, pairs)| {
            let mut values = Values::default();
            for (key, value) in pairs {
                values.set(&key, value);
            }
            let (created, accessed) = (Timestamp(created), Timestamp(accessed));
            Record { incarnation, created, accessed, timeout, presented, user, values }
        },
    )
}

fn decoded(bytes: &[u8]) -> Record<Body> {
    match Stored::decode(&Bytes::copy_from_slice(bytes)) {
        Ok(Stored::Session(record)) => record,
        other => panic!("{other:?}"),
    }
}

const KEY: Key = Key([9; 32]);

fn id(byte: u8) -> Id {
    Id::from_random([byte; 24])
}

proptest! {
    #[test]
    fn sealed_values_open_with_their_id_and_key_only(record in any_record(), flip in any::<prop::sample::Index>()) {
        let bytes = record.encode_sealed(&sealer(&id(1)), &KEY, [3; NONCE]);
        prop_assert_eq!(decoded(&bytes).open(&id(1), &KEY).unwrap(), record.clone());
        prop_assert!(decoded(&bytes).plain().is_none());
        prop_assert!(decoded(&bytes).open(&id(2), &KEY).is_err());
        prop_assert!(decoded(&bytes).open(&id(1), &Key([8; 32])).is_err());
        let mut other = decoded(&bytes);
        other.incarnation ^= 1;
        prop_assert!(other.open(&id(1), &KEY).is_err());
        let mut torn = decoded(&bytes);
        if let Body::Sealed(sealed) = &mut torn.values {
            let at = flip.index(sealed.len());
            sealed[at] ^= 1;
        }
        prop_assert!(torn.open(&id(1), &KEY).is_err());
    }

    #[test]
    fn every_record_survives_its_encoding(record in any_record()) {
        prop_assert_eq!(decoded(&record.encode()).plain().unwrap(), record);
    }

    #[test]
    fn whether_it_was_presented_is_told_without_decoding_it(record in any_record()) {
        prop_assert_eq!(is_unpresented(&record.encode()), !record.presented);
        prop_assert_eq!(is_unpresented(&record.encode_sealed(&sealer(&id(1)), &KEY, [3; NONCE])), !record.presented);
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Stored::decode(&bytes.clone().into()), is_unpresented(&bytes));
    }

    #[test]
    fn a_truncated_record_is_refused(record in any_record(), cut in 1..50usize) {
        let bytes = record.encode();
        prop_assert!(Stored::decode(&Bytes::copy_from_slice(&bytes[..bytes.len().saturating_sub(cut)])).is_err());
    }
}

#[test]
fn what_is_sealed_is_read_as_strictly_as_what_is_open() {
    let session = Session::blank(Timestamp(0), 1, 0).record_to_create(7, Timestamp(0));
    let opened = |plain: &[u8]| {
        let sealed = sealer(&id(1)).close(&bound(&KEY, 7), [3; NONCE], plain);
        session.clone().with(Body::Sealed(sealed)).open(&id(1), &KEY)
    };
    assert_eq!(opened(&[0x80]), Ok(session.clone()));
    assert!(matches!(opened(&[0x80, 0xc0]), Err(CodecError::Malformed(_))), "bytes after the values");
    assert!(matches!(opened(&[0xc0]), Err(CodecError::Malformed(_))), "no map");
}

#[test]
fn a_newer_version_is_told_from_damage() {
    assert_eq!(Stored::decode(&vec![VERSION + 1, 0xc0].into()), Err(CodecError::Newer(VERSION + 1)));
    assert!(matches!(Stored::decode(&vec![0].into()), Err(CodecError::Malformed(_))));
    assert!(matches!(Stored::decode(&Bytes::new()), Err(CodecError::Malformed(_))));
}
