//! Transactions of recorded blocks offered as a pool: what batches are worth on them.
//!
//! Each block's transactions become a pool in front of the state before the block, their access
//! sets come from runs on that state, and windows of 64 are taken best tips first. Compared are
//! our batches, with barriers and by their dependencies, and three other ways of grouping.

use std::collections::BTreeMap;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{BatchKind, Builder, Plan, Pooled, Selection};
use parallelpool_core::error::CoreError;
use parallelpool_core::preexecute::PreExecution;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::StateView;
use parallelpool_core::tx::Tag;
use parallelpool_core::workers::Workers;
use serde::Serialize;

use super::schedule::{Window, conflicts};
use crate::workloads::{self, BenchBlock, Making};

const WINDOW: usize = 64;
const LANES: [usize; 3] = [2, 8, 32];
/// Above it a run is not made: as in the daemon.
const MOST_GAS: u64 = 5_000_000;

/// One way of grouping on the blocks of one era.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EraRow {
    /// Years.
    pub era: &'static str,
    /// `batches`, `deps` (ours), `greedy`, `components` or `by-tag`.
    pub way: &'static str,
    /// Windows of 64.
    pub windows: usize,
    /// Mean share of a window in its first batch, in percent; of the whole pool's first level for
    /// the ways without batches.
    pub first_batch_percent: f64,
    /// Tips of half a block's gas against the serial fee-greedy block of the same gas, in percent.
    pub tips_percent: f64,
    /// Serial gas over the way's, on 2, 8 and 32 lanes.
    pub speed_up: [f64; 3],
    /// Transactions that ran beside one they conflict with.
    pub conflicts: usize,
}

const ERAS: [(&str, u64); 5] = [
    ("2015-20", 0),
    ("2021", 11_565_019),
    ("2022", 13_916_166),
    ("2023-24", 16_308_190),
    ("later", 21_525_891),
];

/// Sums of one era.
#[derive(Default)]
struct Sums {
    windows: usize,
    first: [f64; 5],
    serial: u64,
    elapsed: [[u64; 3]; 5],
    conflicts: usize,
    tips: U256,
    serial_tips: U256,
}

const WAYS: [&str; 5] = ["batches", "deps", "greedy", "components", "by-tag"];

/// Measures every recorded block.
pub fn measure_recorded(making: &Making<'_>) -> Result<Vec<EraRow>, CoreError> {
    let mut eras: BTreeMap<usize, Sums> = BTreeMap::new();
    for block in workloads::make("mainnet", making)?.blocks {
        let era = ERAS.iter().rposition(|(_, first)| block.block.number >= *first).unwrap_or(0);
        measure(&block, making.workers, eras.entry(era).or_default())?;
    }
    let rows = eras.into_iter().flat_map(|(era, sums)| {
        (0..WAYS.len()).map(move |way| row(ERAS[era].0, way, &sums)).collect::<Vec<_>>()
    });
    Ok(rows.collect())
}

fn row(era: &'static str, way: usize, sums: &Sums) -> EraRow {
    let percent = |part: U256, all: U256| {
        if all.is_zero() { 100.0 } else { f64::from(part) / f64::from(all) * 100.0 }
    };
    EraRow {
        era,
        way: WAYS[way],
        windows: sums.windows,
        first_batch_percent: sums.first[way] / sums.windows.max(1) as f64 * 100.0,
        tips_percent: if way < 2 { percent(sums.tips, sums.serial_tips) } else { 100.0 },
        speed_up: [0, 1, 2].map(|lanes| sums.serial as f64 / sums.elapsed[way][lanes].max(1) as f64),
        conflicts: if WAYS[way] == "by-tag" { sums.conflicts } else { 0 },
    }
}

fn measure(block: &BenchBlock, workers: &Workers, sums: &mut Sums) -> Result<(), CoreError> {
    let BenchBlock { rules, block: environment, state, transactions, .. } = block;
    let alone = PreExecution { rules, block: environment, view: state, gas_limit: MOST_GAS };
    let sets = alone.run_all(workers, transactions)?;
    let base_fee = environment.base_fee.map(u128::from);
    let capped = |wei: U256| u128::try_from(wei).unwrap_or(u128::MAX);
    let mut builder = Builder::new();
    builder.change_head(1, base_fee, None).map_err(|error| CoreError::InvalidArgument(error.to_string()))?;
    let pooled: Vec<Pooled> = (0..)
        .zip(transactions)
        .map(|(arrival, tx)| Pooled {
            hash: tx.tx.hash,
            sender: tx.sender,
            nonce: tx.tx.nonce,
            arrival,
            gas_limit: tx.tx.gas_limit,
            size: tx.tx.raw.len() as u64,
            max_fee_per_gas: capped(tx.tx.max_fee_per_gas),
            max_priority_fee_per_gas: capped(tx.tx.max_priority_fee_per_gas),
            asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
            ..Pooled::default()
        })
        .collect();
    builder.add_all(pooled.iter().copied().zip(&sets));
    let by_hash: BTreeMap<B256, &AccessSet> = sets.iter().map(|set| (set.hash, set)).collect();
    let selection = Selection { beneficiary: environment.beneficiary, ..Selection::default() };
    let balance = |address: &Address| -> Result<U256, CoreError> {
        Ok(state.account(address)?.unwrap_or_default().balance)
    };
    tips(&mut builder, &pooled, &by_hash, base_fee, &selection, balance, sums)?;
    // Window after window: what was taken is gone, as if a sequencer had leased it.
    loop {
        let window = Selection { max_transactions: WINDOW, ..selection.clone() };
        let plan = builder.build(&window, balance)?;
        if plan.candidates.len() < WINDOW {
            return Ok(());
        }
        add_window(&plan, &by_hash, sums);
        let delta = parallelpool_core::batching::Delta { removed: plan.candidates, ..Default::default() };
        builder
            .apply(builder.sequence() + 1, &delta)
            .map_err(|error| CoreError::InvalidArgument(error.to_string()))?;
    }
}

fn add_window(plan: &Plan, by_hash: &BTreeMap<B256, &AccessSet>, sums: &mut Sums) {
    let sets: Vec<&AccessSet> = plan.candidates.iter().map(|hash| by_hash[hash]).collect();
    let window = Window { conflicts: conflicts(&sets), sets: &sets };
    sums.windows += 1;
    sums.serial += window.serial();
    sums.conflicts += window.conflicting().len();
    let first = plan.batches.iter().filter(|batch| batch.kind == BatchKind::Parallel).take(1);
    let ours = first.map(|batch| batch.members.len()).sum::<usize>() as f64 / WINDOW as f64;
    let free = 1.0 - window.conflicting().len() as f64 / WINDOW as f64;
    let groups = plan.groups();
    let singles = groups.iter().filter(|group| group.len() == 1).count() as f64 / WINDOW as f64;
    for (sum, share) in sums.first.iter_mut().zip([ours, ours, free, singles, 1.0]) {
        *sum += share;
    }
    for (nth, lanes) in LANES.into_iter().enumerate() {
        let elapsed = [
            window.by_batches(plan, lanes),
            window.by_dependencies(plan, lanes),
            window.greedily(lanes),
            window.by_components(plan, lanes),
            window.by_tag(lanes),
        ];
        for (way, gas) in elapsed.into_iter().enumerate() {
            sums.elapsed[way][nth] += gas;
        }
    }
}

/// What half a block's gas earns: as we choose, and as a serial builder does.
fn tips(
    builder: &mut Builder,
    pooled: &[Pooled],
    by_hash: &BTreeMap<B256, &AccessSet>,
    base_fee: Option<u128>,
    selection: &Selection,
    balance: impl FnMut(&Address) -> Result<U256, CoreError>,
    sums: &mut Sums,
) -> Result<(), CoreError> {
    let max_gas = pooled.iter().map(|one| one.gas_limit).sum::<u64>() / 2;
    let plan = builder.build(&Selection { max_gas, ..selection.clone() }, balance)?;
    let by_place: BTreeMap<B256, &Pooled> = pooled.iter().map(|one| (one.hash, one)).collect();
    let earns = |one: &Pooled| {
        let above = one.max_fee_per_gas.saturating_sub(base_fee.unwrap_or(0));
        let tip = if base_fee.is_some() {
            above.min(one.max_priority_fee_per_gas)
        } else {
            one.max_priority_fee_per_gas
        };
        U256::from(tip) * U256::from(by_hash[&one.hash].gas_used)
    };
    // Only what stands in some batch is earned.
    for index in plan.execution_order() {
        sums.tips += earns(by_place[&plan.candidates[index as usize]]);
    }
    sums.serial_tips += serial_greedy(pooled, base_fee, max_gas).map(earns).sum::<U256>();
    Ok(())
}

/// The serial block: the sender whose next transaction pays best goes next, until the gas is used;
/// one that does not fit ends its sender's turn. Written apart from the builder, to hold it against.
fn serial_greedy(pooled: &[Pooled], base_fee: Option<u128>, max_gas: u64) -> impl Iterator<Item = &Pooled> {
    let mut senders: BTreeMap<Address, Vec<&Pooled>> = BTreeMap::new();
    for one in pooled {
        senders.entry(one.sender).or_default().push(one);
    }
    senders.values_mut().for_each(|chain| chain.sort_by_key(|one| std::cmp::Reverse(one.nonce)));
    let mut left = max_gas;
    std::iter::from_fn(move || {
        loop {
            let tip = |one: &Pooled| match base_fee {
                None => Some(one.max_priority_fee_per_gas),
                Some(fee) => {
                    one.max_fee_per_gas.checked_sub(fee).map(|above| above.min(one.max_priority_fee_per_gas))
                }
            };
            let next = senders.iter().filter_map(|(sender, chain)| {
                let one = chain.last()?;
                Some((tip(one)?, std::cmp::Reverse(one.arrival), *sender))
            });
            let (_, _, sender) = next.max()?;
            let chain = senders.get_mut(&sender)?;
            let one = chain.pop()?;
            if one.gas_limit <= left {
                left -= one.gas_limit;
                return Some(one);
            }
            chain.clear();
        }
    })
}
