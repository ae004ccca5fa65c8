//! Records: written, read, changed, merged, sealed.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use mod_session_rs::session::record::sealer;
use mod_session_rs::session::seal::NONCE;
use mod_session_rs::session::{Expiry, Record, Session, Stored};
use mod_session_rs::store::Blob;

use crate::{NOW, SIZES, id, key, later, record};

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let record = record(size);
        let (plain, sealed) = (record.encode(), record.encode_sealed(&sealer(&id(1)), &key(1), [9; NONCE]));
        let [plain, sealed] = [plain, sealed].map(|bytes| Blob::new(later(), bytes));
        group.bench_function(BenchmarkId::new("encode", name), |b| b.iter(|| black_box(&record).encode()));
        group.bench_function(BenchmarkId::new("decode", name), |b| b.iter(|| opened(black_box(&plain))));
        group.bench_function(BenchmarkId::new("seal", name), |b| {
            b.iter(|| black_box(&record).encode_sealed(&sealer(&id(1)), &key(1), [9; NONCE]));
        });
        group.bench_function(BenchmarkId::new("decode sealed", name), |b| b.iter(|| opened(black_box(&sealed))));
        group.bench_function(BenchmarkId::new("change one value", name), |b| {
            b.iter_batched(|| session(&record), |mut session| session.add("n", 1).map(|()| session), BatchSize::SmallInput);
        });
        let mut changed = session(&record);
        changed.add("n", 1).expect("a number");
        group.bench_function(BenchmarkId::new("merge", name), |b| {
            b.iter_batched(|| record.clone(), |newest| changed.merged(newest, later(), &Expiry::default(), NOW), BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn opened(blob: &Blob) -> Record {
    match Stored::decode(&blob.bytes).expect("a record") {
        Stored::Session(record) => record.open(&id(1), &key(1)).expect("its own id"),
        Stored::Alias(_) => unreachable!("none was written"),
    }
}

fn session(record: &Record) -> Session {
    Session::stored(id(1), key(1), record.clone(), later(), NOW, 1 << 20)
}
