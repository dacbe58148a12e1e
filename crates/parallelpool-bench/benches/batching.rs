//! The batch builder under criterion: `cargo bench -p parallelpool-bench --bench batching`.
//!
//! The same pools as `parallelpool bench batching`, at every size: filling an empty builder and
//! planning all of it, and planning a block after 1,000 transactions came into a full one.
#![forbid(unsafe_code)]
// Criterion's macro makes a public function.
#![allow(missing_docs)]

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parallelpool_bench::batching::{Bench, POOLS, SIZES};
use parallelpool_bench::workloads::DEFAULT_SEED;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn cold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cold");
    for (pool, count) in POOLS.iter().flat_map(|pool| SIZES.map(|count| (pool, count))) {
        let bench = Bench::new(pool, count, DEFAULT_SEED);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new(*pool, count), |bencher| {
            bencher.iter_with_large_drop(|| {
                let mut builder = bench.filled();
                let plan = bench.plan_all(&mut builder);
                (builder, plan)
            });
        });
    }
    group.finish();
}

fn more(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1,000 more");
    for (pool, count) in POOLS.iter().flat_map(|pool| SIZES.map(|count| (pool, count))) {
        let bench = Bench::new(pool, count, DEFAULT_SEED);
        let full = || {
            let mut builder = bench.filled();
            bench.plan_block(&mut builder);
            builder
        };
        group.bench_function(BenchmarkId::new(*pool, count), |bencher| {
            let grown = |mut builder| {
                bench.grow(&mut builder);
                let plan = bench.plan_block(&mut builder);
                (builder, plan)
            };
            bencher.iter_batched(full, grown, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group! {
    name = batching;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = cold, more
}
criterion_main!(batching);
