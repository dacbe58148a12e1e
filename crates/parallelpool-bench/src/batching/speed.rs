//! How long the builder takes: on one core, from given access sets, all preparations outside.

use std::convert::Infallible;
use std::time::Instant;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{Builder, Delta, Plan, Pooled, Selection};
use parallelpool_core::primitives::{Address, U256};
use serde::Serialize;

use super::pools::{self, POOLS};

/// Pool sizes.
pub const SIZES: [u64; 3] = [1_000, 10_000, 100_000];
/// Transactions that come into a pool, or leave it, at once.
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
    /// Milliseconds from 1,000 new ones to a plan of a block of 60 million gas.
    pub more_ms: f64,
    /// Milliseconds from 1,000 new ones to a plan of all.
    pub replan_ms: f64,
    /// Nanoseconds for each of 1,000 that come and 1,000 that leave, planning not counted.
    pub change_ns: f64,
    /// Milliseconds for a new base fee, under which every tip is another one.
    pub fee_ms: f64,
    /// What the medians are of, in nanoseconds.
    pub samples: Samples,
}

/// Wall times of each round, in nanoseconds.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// All enter the empty builder.
    pub fill: Vec<u64>,
    /// The first plan of all.
    pub plan: Vec<u64>,
    /// 1,000 new ones enter.
    pub grow: Vec<u64>,
    /// A plan of a block after that.
    pub plan_block: Vec<u64>,
    /// A plan of all after that.
    pub plan_all: Vec<u64>,
    /// 1,000 others enter and the 1,000 leave, in one delta.
    pub change: Vec<u64>,
    /// A new base fee.
    pub fee: Vec<u64>,
}

/// Measures every pool at every size.
pub fn measure_speed(rounds: usize, scale: f64, seed: u64) -> Vec<SpeedRow> {
    let sizes = SIZES.map(|count| ((count as f64 * scale) as u64).max(64));
    let rows = POOLS.iter().flat_map(|pool| sizes.map(|count| measure(pool, count, rounds, seed)));
    rows.collect()
}

fn measure(pool: &'static str, count: u64, rounds: usize, seed: u64) -> SpeedRow {
    let bench = Bench::new(pool, count, seed);
    let mut samples = Samples::default();
    for _ in 0..rounds.max(1) {
        bench.round(&mut samples);
    }
    let (fill, plan) = (median(&samples.fill), median(&samples.plan));
    let more = median(&sums(&samples.grow, &samples.plan_block));
    let replan = median(&sums(&samples.grow, &samples.plan_all));
    SpeedRow {
        pool,
        transactions: count,
        fill_ns: fill / count as f64,
        plan_ns: plan / count as f64,
        million_per_second: count as f64 / (fill + plan) * 1e3,
        cold_ms: (fill + plan) / 1e6,
        more_ms: more / 1e6,
        replan_ms: replan / 1e6,
        change_ns: median(&samples.change) / (2 * MORE) as f64,
        fee_ms: median(&samples.fee) / 1e6,
        samples,
    }
}

/// One pool and what comes into it.
#[derive(Debug)]
pub struct Bench {
    entries: Vec<pools::Entry>,
    more: Delta,
    /// Takes what [`Self::more`] brought out again, for as many others.
    change: Delta,
    all: Selection,
    block: Selection,
}

impl Bench {
    /// A made pool by name and size.
    pub fn new(pool: &str, count: u64, seed: u64) -> Self {
        let more = delta_of(&pools::make(pool, count, MORE, seed));
        let mut change = delta_of(&pools::make(pool, count + MORE, MORE, seed));
        change.removed = more.added.iter().map(|(pooled, _)| pooled.hash).collect();
        Self {
            entries: pools::make(pool, 0, count, seed),
            more,
            change,
            all: Selection::default(),
            block: Selection { max_gas: BLOCK_GAS, ..Selection::default() },
        }
    }

    /// An empty builder takes the whole pool.
    pub fn filled(&self) -> Builder {
        let mut builder = Builder::new();
        builder.add_all(self.entries.iter().map(|(pooled, access)| (*pooled, access)));
        builder
    }

    /// A plan of the whole pool.
    pub fn plan_all(&self, builder: &mut Builder) -> Plan {
        build(builder, &self.all)
    }

    /// 1,000 new ones enter.
    pub fn grow(&self, builder: &mut Builder) {
        apply(builder, &self.more);
    }

    /// A plan of a block of 60 million gas.
    pub fn plan_block(&self, builder: &mut Builder) -> Plan {
        build(builder, &self.block)
    }

    fn round(&self, samples: &mut Samples) {
        let mut builder = timed(&mut samples.fill, || self.filled());
        let plan = timed(&mut samples.plan, || self.plan_all(&mut builder));
        assert_eq!(plan.candidates.len(), self.entries.len(), "all are in the plan");
        drop(plan);
        timed(&mut samples.grow, || self.grow(&mut builder));
        drop(timed(&mut samples.plan_block, || self.plan_block(&mut builder)));
        let plan = timed(&mut samples.plan_all, || self.plan_all(&mut builder));
        assert_eq!(plan.candidates.len(), self.entries.len() + MORE as usize, "the new ones too");
        timed(&mut samples.change, || apply(&mut builder, &self.change));
        timed(&mut samples.fee, || {
            let taken = builder.change_head(builder.sequence() + 1, Some(7), None);
            taken.expect("numbers follow");
        });
    }
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

fn timed<R>(samples: &mut Vec<u64>, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    samples.push(started.elapsed().as_nanos() as u64);
    result
}

fn sums(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn median(samples: &[u64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[samples.len() / 2] as f64
}
