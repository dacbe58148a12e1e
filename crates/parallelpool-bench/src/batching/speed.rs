//! How long the builder takes: on one core, from given access sets, all preparations outside.

use std::convert::Infallible;
use std::time::Instant;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{Builder, Delta, Plan, Pooled, Selection};
use parallelpool_core::primitives::{Address, U256};
use serde::Serialize;

use super::pools::{self, POOLS};

/// Transactions that come into a full pool.
const MORE: u64 = 1_000;
/// Gas of a block.
const BLOCK_GAS: u64 = 60_000_000;

/// Medians of one pool.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeedRow {
    /// Its name.
    pub pool: &'static str,
    /// Transactions in it.
    pub transactions: u64,
    /// Nanoseconds for each to enter the empty builder.
    pub fill_ns: f64,
    /// Nanoseconds for each to be chosen and arranged, all of the pool.
    pub plan_ns: f64,
    /// Million transactions a second, entering and being arranged.
    pub million_per_second: f64,
    /// Milliseconds from an empty builder to a plan of all.
    pub cold_ms: f64,
    /// Milliseconds from 1,000 new ones to a plan of all.
    pub more_ms: f64,
    /// Milliseconds from 1,000 new ones to a plan of a block of 60 million gas.
    pub block_ms: f64,
}

/// Measures every pool at both sizes.
pub fn measure_speed(rounds: usize, scale: f64, seed: u64) -> Vec<SpeedRow> {
    let sizes = [16_384, 100_000].map(|count| ((count as f64 * scale) as u64).max(64));
    let rows = POOLS.iter().flat_map(|pool| sizes.map(|count| measure(pool, count, rounds, seed)));
    rows.collect()
}

fn measure(pool: &'static str, count: u64, rounds: usize, seed: u64) -> SpeedRow {
    let entries = pools::make(pool, 0, count, seed);
    let more = pools::make(pool, count, MORE, seed);
    let whole = Selection::default();
    let block = Selection { max_gas: BLOCK_GAS, ..Selection::default() };
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds.max(1) {
        let (mut builder, fill) = timed(|| filled(&entries));
        let (plan, arrange) = timed(|| build(&mut builder, &whole));
        assert_eq!(plan.candidates.len() as u64, count, "all are in the plan");
        let (mut same, delta) = (filled(&entries), delta_of(&more));
        build(&mut same, &block);
        let ((), grow) = timed(|| apply(&mut builder, &delta));
        let (_, plan_all) = timed(|| build(&mut builder, &whole));
        let ((), grow_again) = timed(|| apply(&mut same, &delta));
        let (_, plan_block) = timed(|| build(&mut same, &block));
        let values = [fill, arrange, grow + plan_all, grow_again + plan_block];
        samples.iter_mut().zip(values).for_each(|(samples, value)| samples.push(value));
    }
    let [fill, arrange, more, block] = samples.map(median);
    SpeedRow {
        pool,
        transactions: count,
        fill_ns: fill * 1e9 / count as f64,
        plan_ns: arrange * 1e9 / count as f64,
        million_per_second: count as f64 / (fill + arrange) / 1e6,
        cold_ms: (fill + arrange) * 1e3,
        more_ms: more * 1e3,
        block_ms: block * 1e3,
    }
}

fn filled(entries: &[(Pooled, AccessSet)]) -> Builder {
    let mut builder = Builder::new();
    builder.add_all(entries.iter().map(|(pooled, access)| (*pooled, access)));
    builder
}

fn delta_of(entries: &[(Pooled, AccessSet)]) -> Delta {
    let added = entries.iter().map(|(pooled, access)| (*pooled, access.clone().into())).collect();
    Delta { added, ..Delta::default() }
}

fn apply(builder: &mut Builder, delta: &Delta) {
    builder.apply(builder.sequence() + 1, delta).expect("numbers follow");
}

fn build(builder: &mut Builder, selection: &Selection) -> Plan {
    let Ok(plan) = builder.build(selection, |_: &Address| Ok::<_, Infallible>(U256::MAX));
    plan
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
