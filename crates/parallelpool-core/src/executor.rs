//! The front door: a block in, its execution out; by one thread or by all.
//!
//! Two callers. *Import* executes a given block and refuses it if any transaction is invalid.
//! *Build* makes a block from candidates and leaves the invalid ones out, each with its reason.
//! Whatever surrounds the transactions (system calls, withdrawals, rewards) happens here, once
//! for both executors.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::block::BlockContext;
use crate::block_access_list::{BlockAccessIndex, ListCourse};
use crate::chainspec::{ChainSpec, Rules};
use crate::error::CoreError;
use crate::execution::{
    BlockOutcome, BuildLimits, BuildOutcome, ExecuteError, ExecuteOptions, LeftOut, Mode,
};
use crate::parallel::{self, Forecast, Opening};
use crate::primitives::Bytes;
use crate::serial::{self, Caller, Job, JobOutcome};
use crate::state::joined::Changed;
use crate::state::overlay::Overlay;
use crate::state::{StateChanges, StateView};
use crate::system;
use crate::tx::SharedTransaction;
use crate::workers::Workers;

/// Most threads that an execution may ask for.
const MOST_THREADS: usize = 1024;

/// Executes blocks by a pool of workers.
#[derive(Debug, Clone)]
pub struct Executor {
    workers: Arc<Workers>,
    /// Made when an execution asks for more threads than there are, and kept for the next.
    wider: Arc<Mutex<Option<Arc<Workers>>>>,
}

impl Executor {
    /// An executor on these workers.
    pub fn new(workers: Arc<Workers>) -> Self {
        Self { workers, wider: Arc::default() }
    }

    /// The workers.
    pub fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    /// Executes a given block on the state of its parent.
    pub fn execute(
        &self,
        spec: &ChainSpec,
        block: &BlockContext,
        transactions: &[SharedTransaction],
        state: &dyn StateView,
        options: &ExecuteOptions,
    ) -> Result<BlockOutcome, ExecuteError> {
        let rules = spec.rules_in(block);
        let job = Job { rules: &rules, block, transactions, caller: Caller::Import, options };
        Ok(self.whole_block(spec, &job, state)?.outcome)
    }

    /// Makes a block from candidates, tried in order, on the state of its parent.
    pub fn build(
        &self,
        spec: &ChainSpec,
        block: &BlockContext,
        limits: &BuildLimits,
        candidates: &[SharedTransaction],
        state: &dyn StateView,
        options: &ExecuteOptions,
    ) -> Result<BuildOutcome, CoreError> {
        let rules = spec.rules_in(block);
        let job =
            Job { rules: &rules, block, transactions: candidates, caller: Caller::Build(limits), options };
        match self.whole_block(spec, &job, state) {
            Ok(built) => Ok(built),
            Err(ExecuteError::Core(error)) => Err(error),
            Err(refused @ (ExecuteError::Transaction { .. } | ExecuteError::AccessList(_))) => {
                unreachable!("building leaves invalid transactions out and takes no list: {refused}")
            }
        }
    }

    /// Executes transactions and nothing around them: replays, whose state is partial.
    pub fn execute_transactions(
        &self,
        rules: &Rules,
        block: &BlockContext,
        transactions: &[SharedTransaction],
        state: &dyn StateView,
        options: &ExecuteOptions,
    ) -> Result<BlockOutcome, ExecuteError> {
        let job = Job { rules, block, transactions, caller: Caller::Import, options };
        let mut list = ListCourse::new(&job, state, &self.workers)?;
        let mut done = self.transactions(&job, &list, state)?;
        list.transactions(state, &done.transaction_changes, &mut done.transaction_touched)?;
        let changes = std::mem::take(&mut done.changes);
        let (outcome, _, _) = assemble(done, options);
        Ok(BlockOutcome { changes, access_list: list.finish()?, ..outcome })
    }

    fn whole_block(
        &self,
        spec: &ChainSpec,
        job: &Job<'_>,
        state: &dyn StateView,
    ) -> Result<BuildOutcome, ExecuteError> {
        let (rules, block) = (job.rules, job.block);
        let mut list = ListCourse::new(job, state, &self.workers)?;
        let mut overlay = Overlay::new(state);
        let mut touched = list.is_on().then(Vec::new);
        system::before_transactions(spec, rules, block, &mut overlay, &mut touched)?;
        let mut changes_before = overlay.clone().into_changes()?;
        list.surroundings(0, state, &changes_before, &touched.unwrap_or_default())?;
        let mut done = self.transactions(job, &list, &overlay)?;
        list.transactions(&overlay, &done.transaction_changes, &mut done.transaction_touched)?;
        let changed = Changed::new(&overlay, std::mem::take(&mut done.changes));
        let (requests, changes_after) = self.after_transactions(spec, job, &done, &changed, &mut list)?;
        let changes = changed.join(state, &changes_before, &changes_after)?;
        let (outcome, included, left_out) = assemble(done, job.options);
        if !job.options.keep_transaction_changes {
            changes_before = StateChanges::default();
        }
        let access_list = list.finish()?;
        let outcome = BlockOutcome { requests, changes, changes_before, access_list, ..outcome };
        Ok(BuildOutcome { included, left_out, outcome })
    }

    /// What follows the transactions: the requests, and what it changed in `state`, which they left.
    fn after_transactions(
        &self,
        spec: &ChainSpec,
        job: &Job<'_>,
        done: &JobOutcome,
        state: &dyn StateView,
        list: &mut ListCourse<'_>,
    ) -> Result<(Option<Vec<Bytes>>, StateChanges), ExecuteError> {
        let (rules, block, receipts) = (job.rules, job.block, done.ledger.receipts());
        let mut touched = list.is_on().then(Vec::new);
        let mut after = Overlay::new(state);
        let requests = system::after_transactions(spec, rules, block, receipts, &mut after, &mut touched)?;
        let changes = after.into_changes()?;
        if let Some(touched) = touched {
            let last = BlockAccessIndex::try_from(done.included.len() + 1).expect("far fewer fit a block");
            list.surroundings(last, state, &changes, &touched)?;
        }
        Ok((requests, changes))
    }

    fn transactions(
        &self,
        job: &Job<'_>,
        list: &ListCourse<'_>,
        state: &dyn StateView,
    ) -> Result<JobOutcome, ExecuteError> {
        if list.answers_reads() {
            return list.run(&*self.workers_for(job.options.threads)?, job, state);
        }
        if list.is_on() && !(job.options.keep_transaction_changes && job.options.keep_touched) {
            let options =
                ExecuteOptions { keep_transaction_changes: true, keep_touched: true, ..job.options.clone() };
            return self.in_order(&Job { options: &options, ..*job }, state);
        }
        self.in_order(job, state)
    }

    /// The result of executing the transactions in order, by one thread or by all.
    fn in_order(&self, job: &Job<'_>, state: &dyn StateView) -> Result<JobOutcome, ExecuteError> {
        let threads = self.threads_for(job);
        let chooses = job.options.mode == Mode::Auto;
        if chooses && job.transactions.len() > 1 {
            let workers = self.workers_for(job.options.threads)?;
            if let Some(done) = parallel::transfers::run(&workers, job, state, threads)? {
                return Ok(done);
            }
        }
        if job.options.mode == Mode::Serial || (chooses && parallel::is_surely_short(job, threads)) {
            return serial::run(job, state);
        }
        let workers = self.workers_for(job.options.threads)?;
        let mut opening = Opening::of(job, state, threads)?;
        if let Some(opening) = opening.take_if(|opening| opening.is_done()) {
            return opening.finish();
        }
        let forecast = Forecast::of(opening.as_ref().map_or(0, Opening::end), job, state);
        if chooses && !parallel::is_worth_it(job, &forecast, threads) {
            return opening.map_or_else(|| serial::run(job, state), Opening::finish);
        }
        parallel::run_as_forecast(&workers, job, state, forecast, opening)
    }

    fn threads_for(&self, job: &Job<'_>) -> usize {
        match job.options.threads {
            0 => self.workers.threads(),
            asked => asked,
        }
    }

    fn workers_for(&self, threads: usize) -> Result<Arc<Workers>, CoreError> {
        if threads <= self.workers.threads() {
            return Ok(Arc::clone(&self.workers));
        }
        if threads > MOST_THREADS {
            return Err(CoreError::InvalidArgument(format!(
                "{threads} threads asked for, at most {MOST_THREADS}"
            )));
        }
        let mut wider = self.wider.lock();
        if let Some(workers) = wider.as_ref().filter(|workers| workers.threads() >= threads) {
            return Ok(Arc::clone(workers));
        }
        let workers = Arc::new(Workers::new(threads)?);
        *wider = Some(Arc::clone(&workers));
        Ok(workers)
    }
}

/// The outcome as it was asked for.
fn assemble(done: JobOutcome, options: &ExecuteOptions) -> (BlockOutcome, Vec<usize>, Vec<LeftOut>) {
    let JobOutcome {
        ledger,
        included,
        left_out,
        transaction_changes,
        transaction_touched,
        statistics,
        remains,
        ..
    } = done;
    let (gas_used, blob_gas_used, bloom) = (ledger.gas_used(), ledger.blob_gas_used(), ledger.bloom());
    let (receipts, outputs) = ledger.into_receipts();
    let outcome = BlockOutcome {
        receipts,
        gas_used,
        blob_gas_used,
        bloom,
        outputs,
        transaction_changes: if options.keep_transaction_changes { transaction_changes } else { Vec::new() },
        transaction_touched: if options.keep_touched { transaction_touched } else { Vec::new() },
        statistics,
        remains,
        ..BlockOutcome::default()
    };
    (outcome, included, left_out)
}
