//! Times a block by every way of executing it, in interleaved rounds.
//!
//! In: a workload and a plan. Out: raw samples of each way. Inputs are ready before the clock runs
//! and outcomes are dropped after it has stopped (the drop is a sample of its own). Every outcome of
//! every round is compared with the plain loop's first one; a difference ends the measurement.
//!
//! The calibration runs as many copies of our serial engine at the same time as there are threads,
//! and takes the time until the last has finished: what the machine gives them is what full scaling
//! means on it, then and there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parallelpool_core::batching::{self, Candidate, PlanOptions};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{BlockOutcome, ExecuteOptions, Mode, Techniques};
use parallelpool_core::executor::Executor;
use parallelpool_core::preexecute::PreExecution;
use parallelpool_core::record::AccessRecord;
use parallelpool_core::state::StateView;
use parallelpool_core::tx::Tag;
use parallelpool_core::workers::Workers;

use crate::baseline::{PlainBlock, PlainOutcome};
use crate::equality::Reference;
use crate::lists;
use crate::sample::{Sample, nanoseconds, process_ns, timed};
use crate::workload::{BenchBlock, Workload};

/// How to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Thread counts of the parallel engine.
    pub threads: Vec<usize>,
    /// Samples of each way.
    pub rounds: usize,
    /// Time decoding, recovery and roots too.
    pub lists: bool,
    /// Names of the only ways to time, as in [`Way::name`]; empty for all. For profilers.
    pub only: Vec<String>,
}

impl Plan {
    /// [`CoreError::InvalidArgument`] for numbers that make no sense.
    pub fn check(&self) -> Result<(), CoreError> {
        const MOST_THREADS: usize = 1_024;
        const MOST_ROUNDS: usize = 100_000;
        let refuse = |what: String| Err(CoreError::InvalidArgument(what));
        if self.threads.is_empty() || self.threads.iter().any(|count| !(1..=MOST_THREADS).contains(count)) {
            return refuse(format!("threads must be from 1 to {MOST_THREADS}, not {:?}", self.threads));
        }
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return refuse(format!("rounds must be from 1 to {MOST_ROUNDS}, not {}", self.rounds));
        }
        Ok(())
    }

    /// The greatest thread count; at least one.
    pub fn most_threads(&self) -> usize {
        self.threads.iter().copied().max().unwrap_or(1).max(1)
    }
}

/// A way of executing a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The plain revm loop.
    Plain,
    /// Our serial engine.
    Serial,
    /// The same without short cuts: every transaction takes the EVM.
    SerialByEvm,
    /// Our parallel engine by this many threads.
    Parallel(usize),
    /// The same, told what depends on what. Finding that out is not in the time.
    Hinted(usize),
    /// The same with a record of each transaction's run alone on the parent's state.
    Reused(usize),
    /// The engine's own choice with this many threads at hand.
    Auto(usize),
    /// So many copies of our serial engine at the same time.
    Calibration(usize),
}

impl Way {
    /// Stable name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain revm",
            Self::Serial => "serial",
            Self::SerialByEvm => "serial by EVM",
            Self::Parallel(_) => "parallel",
            Self::Hinted(_) => "parallel, hinted",
            Self::Reused(_) => "parallel, reused",
            Self::Auto(_) => "auto",
            Self::Calibration(_) => "calibration",
        }
    }

    /// Threads that it may use.
    pub fn threads(self) -> usize {
        match self {
            Self::Plain | Self::Serial | Self::SerialByEvm => 1,
            Self::Parallel(threads)
            | Self::Hinted(threads)
            | Self::Reused(threads)
            | Self::Auto(threads)
            | Self::Calibration(threads) => threads,
        }
    }

    /// All ways of a plan, in the order of its rows.
    pub fn of(plan: &Plan) -> Vec<Self> {
        let mut ways = vec![Self::Plain, Self::Serial, Self::SerialByEvm];
        ways.extend(plan.threads.iter().map(|threads| Self::Parallel(*threads)));
        if plan.most_threads() > 1 {
            let most = plan.most_threads();
            ways.extend([Self::Hinted(most), Self::Reused(most)]);
        }
        ways.extend(plan.threads.iter().map(|threads| Self::Auto(*threads)));
        let several = plan.threads.iter().filter(|threads| **threads > 1);
        ways.extend(several.map(|threads| Self::Calibration(*threads)));
        ways.retain(|way| plan.only.is_empty() || plan.only.iter().any(|name| name == way.name()));
        ways
    }
}

/// The samples of one way, in order of rounds.
#[derive(Debug, Clone)]
pub struct Row {
    /// The way.
    pub way: Way,
    /// One per round.
    pub samples: Vec<Sample>,
}

/// All of one block.
#[derive(Debug, Clone)]
pub struct MeasuredBlock {
    /// Which block of its workload.
    pub label: String,
    /// Its transactions.
    pub transactions: usize,
    /// Gas they used.
    pub gas: u64,
    /// One per way.
    pub rows: Vec<Row>,
    /// Times of work on its lists, when asked for.
    pub lists: Vec<lists::ListRow>,
}

/// A workload with its samples.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The workload's name.
    pub name: String,
    /// What is in it.
    pub description: String,
    /// Block by block.
    pub blocks: Vec<MeasuredBlock>,
}

impl Measured {
    /// Transactions of all blocks.
    pub fn transactions(&self) -> usize {
        self.blocks.iter().map(|block| block.transactions).sum()
    }

    /// Gas of all blocks.
    pub fn gas(&self) -> u64 {
        self.blocks.iter().map(|block| block.gas).sum()
    }

    /// For each way the sums over all blocks, round by round.
    pub fn rows(&self) -> Vec<Row> {
        let Some((first, others)) = self.blocks.split_first() else { return Vec::new() };
        let mut rows = first.rows.clone();
        for block in others {
            for (sum, row) in rows.iter_mut().zip(&block.rows) {
                sum.samples.iter_mut().zip(&row.samples).for_each(|(sum, sample)| sum.add(sample));
            }
        }
        rows
    }

    /// For each work on lists the sums over all blocks.
    pub fn lists(&self) -> Vec<lists::ListRow> {
        let Some((first, others)) = self.blocks.split_first() else { return Vec::new() };
        let mut rows = first.lists.clone();
        for block in others {
            rows.iter_mut().zip(&block.lists).for_each(|(sum, row)| sum.add(row));
        }
        rows
    }
}

/// Measures a workload.
///
/// [`CoreError::InvalidArgument`] if one of its blocks is not valid, [`CoreError::Divergence`] if
/// two ways of executing it differ.
pub fn measure(workload: &Workload, plan: &Plan) -> Result<Measured, CoreError> {
    plan.check()?;
    let workers = Arc::new(Workers::new(plan.most_threads())?);
    let blocks = workload.blocks.iter().map(|block| measure_block(block, plan, &workers));
    Ok(Measured {
        name: workload.name.clone(),
        description: workload.description.clone(),
        blocks: blocks.collect::<Result<_, _>>()?,
    })
}

fn measure_block(
    block: &BenchBlock,
    plan: &Plan,
    workers: &Arc<Workers>,
) -> Result<MeasuredBlock, CoreError> {
    let bench = Bench::new(block, workers)?;
    let mut rows: Vec<Row> = Way::of(plan).into_iter().map(|way| Row { way, samples: Vec::new() }).collect();
    // Round zero warms up: caches, the allocator's pages, sleeping threads. It counts for nothing.
    for round in 0..=plan.rounds {
        let count = rows.len();
        for turn in 0..count {
            let row = &mut rows[(turn + round) % count];
            let sample = bench.sample(row.way)?;
            if round > 0 {
                row.samples.push(sample);
            }
        }
    }
    let lists = if plan.lists { bench.lists(plan)? } else { Vec::new() };
    Ok(MeasuredBlock {
        label: block.label.clone(),
        transactions: block.transactions.len(),
        gas: bench.reference.gas_used(),
        rows,
        lists,
    })
}

/// A block, ready to be executed by any way.
struct Bench<'a> {
    block: &'a BenchBlock,
    plain: PlainBlock<'a>,
    reference: Reference<'a>,
    dependencies: Vec<Vec<u32>>,
    records: Vec<Option<Arc<AccessRecord>>>,
    workers: &'a Arc<Workers>,
    executor: Executor,
}

impl<'a> Bench<'a> {
    fn new(block: &'a BenchBlock, workers: &'a Arc<Workers>) -> Result<Self, CoreError> {
        let plain = PlainBlock::new(block);
        let outcome = plain.execute().map_err(|reason| refused(block, &reason))?;
        let reference = Reference::new(block, outcome)?;
        let dependencies = dependencies(block, workers)?;
        let records = lists::records(block, workers)?;
        let executor = Executor::new(Arc::clone(workers));
        Ok(Self { block, plain, reference, dependencies, records, workers, executor })
    }

    fn sample(&self, way: Way) -> Result<Sample, CoreError> {
        let options = |mode, threads| ExecuteOptions { mode, threads, ..ExecuteOptions::default() };
        match way {
            Way::Plain => self.sample_plain(),
            Way::Serial => self.sample_ours(way, &options(Mode::Serial, 1)),
            Way::SerialByEvm => {
                let techniques = Techniques::NONE;
                self.sample_ours(way, &ExecuteOptions { techniques, ..options(Mode::Serial, 1) })
            }
            Way::Parallel(threads) => self.sample_ours(way, &options(Mode::Parallel, threads)),
            Way::Auto(threads) => self.sample_ours(way, &options(Mode::Auto, threads)),
            Way::Hinted(threads) => {
                let dependencies = self.dependencies.clone();
                self.sample_ours(way, &ExecuteOptions { dependencies, ..options(Mode::Parallel, threads) })
            }
            Way::Reused(threads) => {
                let records = self.records.clone();
                self.sample_ours(way, &ExecuteOptions { records, ..options(Mode::Parallel, threads) })
            }
            Way::Calibration(threads) => self.calibrate(threads),
        }
    }

    fn sample_plain(&self) -> Result<Sample, CoreError> {
        let (outcome, mut sample) = timed(|| self.plain.execute());
        let outcome: PlainOutcome = outcome.map_err(|reason| refused(self.block, &reason))?;
        sample.executions = self.block.transactions.len() as u64;
        self.judge(Way::Plain, self.reference.plain_differences(&outcome)?)?;
        sample.drop_ns = time_of_drop(outcome);
        Ok(sample)
    }

    fn sample_ours(&self, way: Way, options: &ExecuteOptions) -> Result<Sample, CoreError> {
        let (outcome, mut sample) = timed(|| self.execute(options));
        let outcome = outcome?;
        count(&mut sample, &outcome);
        self.judge(way, self.reference.differences(&outcome))?;
        sample.drop_ns = time_of_drop(outcome);
        Ok(sample)
    }

    fn execute(&self, options: &ExecuteOptions) -> Result<BlockOutcome, CoreError> {
        let BenchBlock { rules, block, transactions, state, .. } = self.block;
        self.executor
            .execute_transactions(rules, block, transactions, state, options)
            .map_err(|error| refused(self.block, &error.to_string()))
    }

    /// Copies of the serial engine, one per thread, let go at the same moment.
    fn calibrate(&self, threads: usize) -> Result<Sample, CoreError> {
        let options = ExecuteOptions { mode: Mode::Serial, threads: 1, ..ExecuteOptions::default() };
        let ready = AtomicUsize::new(0);
        let done = parking_lot::Mutex::new(Vec::with_capacity(threads));
        let cpu = process_ns();
        self.workers.run(threads, |_| {
            ready.fetch_add(1, Ordering::AcqRel);
            while ready.load(Ordering::Acquire) < threads {
                std::hint::spin_loop();
            }
            let started = Instant::now();
            let outcome = self.execute(&options);
            let ended = Instant::now();
            let differences = outcome.map(|outcome| self.reference.differences(&outcome));
            done.lock().push((started, ended, differences));
        });
        let mut sample = Sample { cpu_ns: process_ns() - cpu, ..Sample::default() };
        let done = done.into_inner();
        let first = done.iter().map(|(started, ..)| *started).min();
        let last = done.iter().map(|(_, ended, _)| *ended).max();
        if let (Some(first), Some(last)) = (first, last) {
            sample.wall_ns = nanoseconds(last.duration_since(first));
        }
        for (_, _, differences) in done {
            self.judge(Way::Calibration(threads), differences?)?;
        }
        sample.executions = (threads * self.block.transactions.len()) as u64;
        Ok(sample)
    }

    fn judge(&self, way: Way, differences: Vec<String>) -> Result<(), CoreError> {
        match differences.first() {
            None => Ok(()),
            Some(first) => Err(CoreError::Divergence(format!(
                "block {}, {} by {} threads against the plain loop: {first} ({} differences)",
                self.block.label,
                way.name(),
                way.threads(),
                differences.len()
            ))),
        }
    }

    fn lists(&self, plan: &Plan) -> Result<Vec<lists::ListRow>, CoreError> {
        let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let outcome = self.execute(&options)?;
        lists::measure(self.block, &outcome.receipts, self.workers, &plan.threads)
    }
}

/// What each transaction depends on, as the node would find out from the parent's state.
fn dependencies(block: &BenchBlock, workers: &Workers) -> Result<Vec<Vec<u32>>, CoreError> {
    const MOST_GAS: u64 = 30_000_000;
    let BenchBlock { rules, block, state, transactions, .. } = block;
    let sets =
        PreExecution { rules, block, view: state, gas_limit: MOST_GAS }.run_all(workers, transactions)?;
    let candidates: Vec<_> = transactions
        .iter()
        .zip(&sets)
        .map(|(tx, access)| Candidate {
            hash: tx.tx.hash,
            sender: tx.sender,
            gas_limit: tx.tx.gas_limit,
            asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
            access,
        })
        .collect();
    let options = PlanOptions { batch_size: 256, min_batch_size: 2, beneficiary: block.beneficiary };
    let plan = batching::plan(&candidates, options, |address| {
        state.account(address).map(|account| account.unwrap_or_default().balance)
    })?;
    // A plan runs some behind the others; this block does not.
    let mut dependencies = plan.dependencies();
    for (index, earlier) in dependencies.iter_mut().enumerate() {
        earlier.retain(|&other| (other as usize) < index);
    }
    Ok(dependencies)
}

fn refused(block: &BenchBlock, reason: &str) -> CoreError {
    CoreError::InvalidArgument(format!("block {} is not valid: {reason}", block.label))
}

fn count(sample: &mut Sample, outcome: &BlockOutcome) {
    let statistics = &outcome.statistics;
    sample.executions = statistics.executions;
    sample.conflicts = statistics.conflicts;
    sample.transfers = statistics.transfers;
}

fn time_of_drop<T>(value: T) -> u64 {
    let started = Instant::now();
    drop(value);
    nanoseconds(started.elapsed())
}

#[cfg(test)]
mod tests;
