//! Leases, and the pool of mutexes under them, when nobody else wants them. `docs/contention.md` has the rest.

use criterion::Criterion;
use mod_session_rs::lock::{Exclusion, Geometry};

use crate::ground::{Ground, PROCESSES, wait};

/// As the module does without configuration on 400 workers.
const STRIPES: usize = 32;

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock");
    let ground = Ground::new(Geometry::new(STRIPES, 1200, 8, PROCESSES));
    let (leases, mutexes) = (ground.attach(), &ground.mutexes);
    group.bench_function("mutex of the pool", |b| b.iter(|| mutexes.under(0, &mut || ()).expect("a mutex")));
    let mut pair = |name: &str| {
        group.bench_function(name, |b| {
            b.iter(|| {
                let lease = leases.acquire(1 << 40, b"GET /shop/cart", &wait(30_000)).expect("a lease");
                leases.release(&lease).expect("which was ours");
            });
        });
    };
    pair("lease taken and given");
    let others: Vec<_> = (1..=1000_u64).map(|n| leases.acquire(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), b"GET /", &wait(0))).collect();
    pair("lease taken and given, 1000 others held");
    for lease in others {
        leases.release(&lease.expect("a lease")).expect("which was ours");
    }
    group.finish();
}
