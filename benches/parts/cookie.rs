//! The cookie of a request, found and verified, and the key of its id.

use std::hint::black_box;

use criterion::Criterion;
use mod_session_rs::session::{CookieRule, Key, Secrets};

use crate::{id, scope};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cookie");
    let (rule, scope, secrets) = (CookieRule::default(), scope(), Secrets::new([SECRET]).expect("a key"));
    let others = "theme=dark; _ga=GA1.2.1234567890.1234567890; consent=yes";
    let plain = format!("{others}; sid={}", id(1).expose());
    let signed = format!("{others}; sid={}", secrets.sign(&scope, &id(1)));
    let forged = format!("{others}; sid={}.{}", id(1).expose(), "A".repeat(22));
    let older = Secrets::new([&[b'x'; 32][..], SECRET]).expect("keys");
    let with = |secrets| Some((secrets, &scope));

    group.bench_function("none among others", |b| b.iter(|| rule.candidates(&[black_box(others).as_bytes()], None)));
    group.bench_function("found", |b| b.iter(|| rule.candidates(&[black_box(&plain).as_bytes()], None)));
    group.bench_function("verified", |b| b.iter(|| rule.candidates(&[black_box(&signed).as_bytes()], with(&secrets))));
    group.bench_function("verified by the second key", |b| b.iter(|| rule.candidates(&[black_box(&signed).as_bytes()], with(&older))));
    group.bench_function("forged", |b| b.iter(|| rule.candidates(&[black_box(&forged).as_bytes()], with(&secrets))));
    group.bench_function("signed", |b| b.iter(|| secrets.sign(&scope, black_box(&id(1)))));
    group.bench_function("key of an id", |b| {
        let id = id(1);
        b.iter(|| Key::derive(&scope, black_box(&id)));
    });
    group.bench_function("Set-Cookie", |b| b.iter(|| rule.set(black_box(id(1).expose()), true)));
    group.finish();
}
