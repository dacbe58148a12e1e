//! Executing batches of recorded blocks: for what they find on their way, and for time.

use std::sync::Arc;

use parallelpool_core::batching::Plan;
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{BlockOutcome, ExecuteError, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::state::StateView;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::workers::Workers;
use serde::Serialize;

use crate::sample::timed;
use crate::workload::BenchBlock;

/// Threads that batches are executed by.
const THREADS: usize = 2;

/// Whole recorded blocks in the order of their batches, executed by one thread and by two.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutedRow {
    /// Years.
    pub era: &'static str,
    /// Transactions executed.
    pub transactions: usize,
    /// Those that are invalid in the order of the batches, tips first: paid for by one that comes later.
    pub left_out: usize,
    /// Median milliseconds of all blocks by the serial engine.
    pub serial_ms: f64,
    /// The same by two threads that are told the plan's dependencies.
    pub parallel_ms: f64,
    /// Executions for each transaction.
    pub executions: f64,
    /// Wall times in nanoseconds, by round: serial, parallel.
    pub samples: Vec<[u64; 2]>,
}

/// Sums of one era.
#[derive(Default)]
pub(super) struct Timing {
    transactions: usize,
    left_out: usize,
    executions: u64,
    samples: Vec<[u64; 2]>,
}

impl Timing {
    /// Executes all that `plan` holds, in so many rounds.
    pub(super) fn add(
        &mut self,
        block: &BenchBlock,
        plan: &Plan,
        transactions: impl Fn(&[u32]) -> Vec<SharedTransaction>,
        rounds: usize,
    ) -> Result<(), CoreError> {
        let order: Vec<u32> = plan.execution_order().collect();
        let kept = Course::new(block).execute(transactions(&order))?;
        self.transactions += kept.len();
        self.left_out += order.len() - kept.len();
        let order: Vec<u32> = kept.iter().map(|&place| order[place]).collect();
        let members = transactions(&order);
        let executor = executor(THREADS)?;
        let serial = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let dependencies = by_place(&plan.dependencies(), &order, plan.candidates.len());
        let parallel = ExecuteOptions { mode: Mode::Parallel, dependencies, ..ExecuteOptions::default() };
        self.samples.resize(rounds.max(1), [0; 2]);
        for (round, sums) in self.samples.iter_mut().enumerate() {
            for way in [round % 2, 1 - round % 2] {
                let options = [&serial, &parallel][way];
                let (outcome, sample) = timed(|| run(&executor, block, &members, &block.state, options));
                sums[way] += sample.wall_ns;
                let statistics = outcome.map_err(failed)?.statistics;
                self.executions += if round == 0 && way == 1 { statistics.executions } else { 0 };
            }
        }
        Ok(())
    }

    pub(super) fn row(self, era: &'static str) -> ExecutedRow {
        let median = |way: usize| {
            let mut samples: Vec<u64> = self.samples.iter().map(|sums| sums[way]).collect();
            samples.sort_unstable();
            samples[samples.len() / 2] as f64 / 1e6
        };
        ExecutedRow {
            era,
            transactions: self.transactions,
            left_out: self.left_out,
            serial_ms: median(0),
            parallel_ms: median(1),
            executions: self.executions as f64 / self.transactions.max(1) as f64,
            samples: self.samples,
        }
    }
}

/// Dependencies by place in `order` instead of by candidate; what is not in it is nobody's.
fn by_place(dependencies: &[Vec<u32>], order: &[u32], candidates: usize) -> Vec<Vec<u32>> {
    let mut places = vec![None; candidates];
    for (place, &candidate) in order.iter().enumerate() {
        places[candidate as usize] = Some(place as u32);
    }
    let place = |candidate: &u32| places[*candidate as usize];
    order.iter().map(|&one| dependencies[one as usize].iter().filter_map(place).collect()).collect()
}

/// A state that batches lead on from.
pub(super) struct Course<'a> {
    block: &'a BenchBlock,
    state: MemoryState,
}

impl<'a> Course<'a> {
    /// In front of the block.
    pub(super) fn new(block: &'a BenchBlock) -> Self {
        Self { block, state: block.state.clone() }
    }

    /// What the next batch finds.
    pub(super) fn state(&self) -> &dyn StateView {
        &self.state
    }

    /// Executes transactions serially and leaves out what is invalid at its turn; returns the places
    /// of the others.
    pub(super) fn execute(&mut self, mut members: Vec<SharedTransaction>) -> Result<Vec<usize>, CoreError> {
        let executor = executor(1)?;
        let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let mut places: Vec<usize> = (0..members.len()).collect();
        loop {
            match run(&executor, self.block, &members, &self.state, &options) {
                Ok(outcome) => {
                    self.state.apply(&outcome.changes);
                    return Ok(places);
                }
                Err(ExecuteError::Transaction { index, .. }) => {
                    members.remove(index);
                    places.remove(index);
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn executor(threads: usize) -> Result<Executor, CoreError> {
    Ok(Executor::new(Arc::new(Workers::new(threads)?)))
}

fn run(
    executor: &Executor,
    block: &BenchBlock,
    members: &[SharedTransaction],
    state: &MemoryState,
    options: &ExecuteOptions,
) -> Result<BlockOutcome, ExecuteError> {
    executor.execute_transactions(&block.rules, &block.block, members, state, options)
}

fn failed(error: ExecuteError) -> CoreError {
    match error {
        ExecuteError::Core(error) => error,
        refused => CoreError::InvalidArgument(refused.to_string()),
    }
}
