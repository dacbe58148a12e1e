//! Transactions of recorded blocks offered as a pool: what batches are worth on them.
//!
//! Each block's transactions become a pool in front of the state before the block, their access
//! sets come from runs on that state, and windows of 64 are taken best tips first. Compared are
//! our batches, with barriers and by their dependencies, and three other ways of grouping. Then
//! the window is executed, batch after batch, which shows what really conflicts.

use std::collections::BTreeMap;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{Batch, BatchKind, Builder, Delta, Plan, Pooled, Selection};
use parallelpool_core::error::CoreError;
use parallelpool_core::preexecute::PreExecution;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::StateView;
use parallelpool_core::tx::{SharedTransaction, Tag};
use parallelpool_core::workers::Workers;
use serde::Serialize;

use super::executed::{Course, ExecutedRow, Timing};
use super::schedule::{Window, conflicting, conflicts};
use super::tips::Tips;
use crate::workload::BenchBlock;
use crate::workloads::{self, Making};

const WINDOW: usize = 64;
const LANES: [usize; 3] = [2, 8, 32];
/// Above it a run ahead of need is not made: as in the daemon.
const MOST_GAS: u64 = 5_000_000;

/// One way of grouping on the blocks of one era.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EraRow {
    /// Years.
    pub era: &'static str,
    /// `batches` and `deps` (ours), `greedy`, `components`, `by-tag`, or `bound`, which nobody beats.
    pub way: &'static str,
    /// Windows of 64.
    pub windows: usize,
    /// Mean share of a window that the way lets begin at once, in percent: ours the first batch,
    /// `greedy` what conflicts with nothing better, `components` what meets nobody, `by-tag` all.
    pub first_percent: Option<f64>,
    /// Share of the transactions that stand in parallel batches, in percent.
    pub parallel_percent: Option<f64>,
    /// Mean members of a parallel batch.
    pub width: Option<f64>,
    /// Tips of half a block's gas against the serial fee-greedy block of the same gas, in percent.
    pub tips_percent: Option<f64>,
    /// Serial gas over the way's, on 2, 8 and 32 lanes.
    pub speed_up: [f64; 3],
    /// Transactions that, on the state their batch finds, conflict with an earlier one beside which
    /// they would run.
    pub conflicts: Option<usize>,
}

/// What the recorded blocks showed.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// By era and way.
    pub eras: Vec<EraRow>,
    /// By era.
    pub executed: Vec<ExecutedRow>,
}

const ERAS: [(&str, u64); 5] = [
    ("2015-20", 0),
    ("2021", 11_565_019),
    ("2022", 13_916_166),
    ("2023-24", 16_308_190),
    ("later", 21_525_891),
];

const WAYS: [&str; 6] = ["batches", "deps", "greedy", "components", "by-tag", "bound"];

/// Sums of one era.
#[derive(Default)]
struct Sums {
    windows: usize,
    first: [f64; 5],
    parallel: usize,
    parallel_batches: usize,
    serial: u64,
    elapsed: [[u64; 3]; 6],
    batch_conflicts: usize,
    tag_conflicts: usize,
    tips: Tips,
    timing: Timing,
}

/// Measures every recorded block; executing its batches is timed in so many rounds.
pub fn measure_recorded(making: &Making<'_>, rounds: usize) -> Result<Recorded, CoreError> {
    let mut eras: BTreeMap<usize, Sums> = BTreeMap::new();
    for block in workloads::make("mainnet", making)?.blocks {
        let era = ERAS.iter().rposition(|(_, first)| block.block.number >= *first).unwrap_or(0);
        measure(&block, making.workers, rounds, eras.entry(era).or_default())?;
    }
    let mut recorded = Recorded::default();
    for (era, sums) in eras {
        recorded.eras.extend((0..WAYS.len()).map(|way| row(ERAS[era].0, way, &sums)));
        recorded.executed.push(sums.timing.row(ERAS[era].0));
    }
    Ok(recorded)
}

fn row(era: &'static str, way: usize, sums: &Sums) -> EraRow {
    let transactions = (sums.windows * WINDOW).max(1) as f64;
    let (is_ours, is_batches) = (way < 2, way == 0);
    let tips = || {
        let Tips { ours, serial } = sums.tips;
        if serial.is_zero() { 100.0 } else { f64::from(ours) / f64::from(serial) * 100.0 }
    };
    let percent = |share: f64| share * 100.0;
    EraRow {
        era,
        way: WAYS[way],
        windows: sums.windows,
        first_percent: sums.first.get(way).map(|first| percent(first / sums.windows.max(1) as f64)),
        parallel_percent: is_ours.then(|| percent(sums.parallel as f64 / transactions)),
        width: is_batches.then(|| sums.parallel as f64 / sums.parallel_batches.max(1) as f64),
        tips_percent: is_ours.then(tips),
        speed_up: [0, 1, 2].map(|lanes| sums.serial as f64 / sums.elapsed[way][lanes].max(1) as f64),
        conflicts: match WAYS[way] {
            "batches" => Some(sums.batch_conflicts),
            "by-tag" => Some(sums.tag_conflicts),
            _ => None,
        },
    }
}

/// A block's transactions as a pool, and what goes with it.
struct Offered<'a> {
    block: &'a BenchBlock,
    workers: &'a Workers,
    by_hash: BTreeMap<B256, (&'a SharedTransaction, &'a AccessSet)>,
}

impl Offered<'_> {
    fn transactions(&self, plan: &Plan, members: &[u32]) -> Vec<SharedTransaction> {
        let hashes = members.iter().map(|&member| plan.candidates[member as usize]);
        hashes.map(|hash| SharedTransaction::clone(self.by_hash[&hash].0)).collect()
    }

    /// Those that conflict with an earlier one on this state.
    fn real_conflicts(
        &self,
        view: &dyn StateView,
        transactions: &[SharedTransaction],
    ) -> Result<usize, CoreError> {
        let BenchBlock { rules, block, .. } = self.block;
        let alone = PreExecution { rules, block, view, gas_limit: u64::MAX };
        let sets = alone.run_all(self.workers, transactions)?;
        Ok(conflicting(&conflicts(&sets.iter().collect::<Vec<_>>())).len())
    }
}

fn measure(block: &BenchBlock, workers: &Workers, rounds: usize, sums: &mut Sums) -> Result<(), CoreError> {
    let BenchBlock { rules, block: environment, state, transactions, .. } = block;
    let alone = PreExecution { rules, block: environment, view: state, gas_limit: MOST_GAS };
    let sets = alone.run_all(workers, transactions)?;
    let base_fee = environment.base_fee.map(u128::from);
    let pooled: Vec<Pooled> = transactions.iter().zip(0..).map(|(tx, place)| pooled(tx, place)).collect();
    let mut builder = Builder::new();
    builder.change_head(1, base_fee, None).map_err(out_of_sequence)?;
    builder.add_all(pooled.iter().copied().zip(&sets));
    let rows = transactions.iter().zip(&sets);
    let by_hash = rows.map(|(tx, set)| (set.hash, (tx, set))).collect();
    let offered = Offered { block, workers, by_hash };
    let selection = Selection { beneficiary: environment.beneficiary, ..Selection::default() };
    let balance = |address: &Address| -> Result<U256, CoreError> {
        Ok(state.account(address)?.unwrap_or_default().balance)
    };
    let by_set: BTreeMap<B256, &AccessSet> = sets.iter().map(|set| (set.hash, set)).collect();
    let tips = Tips::of(&mut builder, &pooled, &by_set, base_fee, &selection, balance)?;
    sums.tips.ours += tips.ours;
    sums.tips.serial += tips.serial;
    let whole = builder.build(&selection, balance)?;
    sums.timing.add(block, &whole, |members| offered.transactions(&whole, members), rounds)?;
    // Window after window: what was taken is gone, as if a sequencer had leased it. Plans see the
    // state before the block throughout, execution what is left of the windows before.
    let mut course = Course::new(block);
    loop {
        let window = Selection { max_transactions: WINDOW, ..selection.clone() };
        let plan = builder.build(&window, balance)?;
        if plan.candidates.len() < WINDOW {
            return Ok(());
        }
        add_window(&plan, &offered, sums);
        add_execution(&plan, &offered, &mut course, sums)?;
        let delta = Delta { removed: plan.candidates, ..Delta::default() };
        builder.apply(builder.sequence() + 1, &delta).map_err(out_of_sequence)?;
    }
}

fn pooled(tx: &SharedTransaction, arrival: u64) -> Pooled {
    let capped = |wei: U256| u128::try_from(wei).unwrap_or(u128::MAX);
    Pooled {
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
    }
}

fn out_of_sequence(error: parallelpool_core::batching::OutOfSequence) -> CoreError {
    CoreError::InvalidArgument(error.to_string())
}

fn add_window(plan: &Plan, offered: &Offered<'_>, sums: &mut Sums) {
    let sets: Vec<&AccessSet> = plan.candidates.iter().map(|hash| offered.by_hash[hash].1).collect();
    let window = Window { conflicts: conflicts(&sets), sets: &sets };
    sums.windows += 1;
    sums.serial += window.serial();
    let share = |count: usize| count as f64 / WINDOW as f64;
    let parallel = || plan.batches.iter().filter(|batch| batch.kind == BatchKind::Parallel);
    let members = |batch: &Batch| batch.members.len();
    sums.parallel += parallel().map(members).sum::<usize>();
    sums.parallel_batches += parallel().count();
    let first = share(parallel().next().map_or(0, members));
    let free = share(WINDOW - conflicting(&window.conflicts).len());
    let singles = share(plan.groups().iter().filter(|group| group.len() == 1).count());
    for (sum, share) in sums.first.iter_mut().zip([first, first, free, singles, 1.0]) {
        *sum += share;
    }
    for (nth, lanes) in LANES.into_iter().enumerate() {
        let elapsed = [
            window.by_batches(plan, lanes),
            window.by_dependencies(plan, lanes),
            window.greedily(lanes),
            window.by_components(plan, lanes),
            window.by_tag(lanes),
            window.bound(lanes),
        ];
        for (way, gas) in elapsed.into_iter().enumerate() {
            sums.elapsed[way][nth] += gas;
        }
    }
}

/// Executes the window's batches in turn; before each, its members are run alone on what it finds.
fn add_execution(
    plan: &Plan,
    offered: &Offered<'_>,
    course: &mut Course<'_>,
    sums: &mut Sums,
) -> Result<(), CoreError> {
    let everything: Vec<u32> = (0..plan.candidates.len() as u32).collect();
    let all = offered.transactions(plan, &everything);
    sums.tag_conflicts += offered.real_conflicts(course.state(), &all)?;
    for batch in &plan.batches {
        let members = offered.transactions(plan, &batch.members);
        if batch.kind == BatchKind::Parallel {
            sums.batch_conflicts += offered.real_conflicts(course.state(), &members)?;
        }
        course.execute(members)?;
    }
    Ok(())
}
