//! The committer: takes executions in block order, keeps those whose reads still hold, repeats the
//! others, and makes the block of them.
//!
//! Whatever it decides rests on committed state only, so its verdicts are those of serial execution.

use super::memory::{AccountId, Place, VersionedState};
use super::recheck::Shadow;
use super::window::Window;
use super::{Executed, Speculation, Worker};
use crate::block::{ExecutionStatistics, InvalidTransaction, LeftOut};
use crate::error::{CoreError, StateError};
use crate::evm::{TouchedAccount, TxExecution};
use crate::executor::ExecuteError;
use crate::ledger::Ledger;
use crate::serial::{Caller, Job, JobOutcome};
use crate::state::overlay::Overlay;
use crate::state::{StateChanges, StateView};

/// The block so far.
pub(super) struct Committer<'a> {
    job: &'a Job<'a>,
    beneficiary: AccountId,
    ledger: Ledger,
    included: Vec<usize>,
    left_out: Vec<LeftOut>,
    transaction_changes: Vec<StateChanges>,
    transaction_touched: Vec<Vec<TouchedAccount>>,
    statistics: ExecutionStatistics,
    window: Window,
    shadow: Option<Shadow<'a>>,
    failure: Option<ExecuteError>,
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        job: &'a Job<'a>,
        memory: &VersionedState<&'a dyn StateView>,
        state: &'a dyn StateView,
        workers: usize,
    ) -> Self {
        let count = job.transactions.len();
        let statistics = ExecutionStatistics {
            parallel: true,
            executions_per_transaction: Vec::with_capacity(count),
            ..ExecutionStatistics::default()
        };
        Self {
            job,
            beneficiary: memory.account_id(job.block.beneficiary),
            ledger: job.ledger(),
            included: Vec::with_capacity(count),
            left_out: Vec::new(),
            transaction_changes: Vec::new(),
            transaction_touched: Vec::new(),
            statistics,
            window: Window::new(workers),
            shadow: job.options.recheck.then(|| Shadow::new(job, state)),
            failure: None,
        }
    }

    /// How far ahead of the frontier workers may go.
    pub(super) fn window(&self) -> u32 {
        self.window.size()
    }

    /// The block ends with this error.
    pub(super) fn fail(&mut self, error: ExecuteError) {
        self.failure = Some(error);
    }

    /// Commits the transaction at the frontier, or leaves it out.
    pub(super) fn commit<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        executed: Box<Executed>,
    ) -> Result<(), ExecuteError> {
        let memory = &speculation.memory;
        let tx = &*self.job.transactions[index as usize];
        self.statistics.executions += 1;
        let room = self.ledger.room_for(tx);
        if let (Caller::Build(_), Err(reason)) = (self.job.caller, &room) {
            memory.retract(index, &executed.places);
            return self.refuse(index, reason.clone());
        }
        let (executed, runs) = self.settle_reads(speculation, worker, index, executed)?;
        let Executed { run, mut places, .. } = *executed;
        let execution = run.map_err(|error| with_missing(speculation, error))?;
        if let Some(shadow) = &self.shadow {
            shadow.compare(index as usize, &execution)?;
        }
        let verdict = execution.outcome.as_ref().map(drop).map_err(Clone::clone);
        let verdict = if room.is_ok() { verdict } else { self.ledger.verdict(tx, verdict) };
        if let Err(reason) = verdict {
            memory.retract(index, &places);
            return self.refuse(index, reason);
        }
        self.include(memory, index, &execution, &mut places)?;
        if self.job.options.keep_touched {
            self.transaction_touched.push(execution.touched);
        }
        let result = execution.outcome.expect("its verdict is good");
        self.ledger.push(tx, result);
        self.included.push(index as usize);
        self.statistics.executions_per_transaction.push(runs);
        Ok(())
    }

    /// The block's outcome, or what ended it.
    pub(super) fn finish(
        self,
        memory: &VersionedState<&'a dyn StateView>,
    ) -> Result<JobOutcome, ExecuteError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let end = u32::try_from(self.job.transactions.len()).expect("checked before the run");
        let changes = memory.changes(end)?;
        if let Some(shadow) = self.shadow {
            shadow.compare_changes(&changes)?;
        }
        Ok(JobOutcome {
            ledger: self.ledger,
            included: self.included,
            left_out: self.left_out,
            changes,
            transaction_changes: self.transaction_changes,
            transaction_touched: self.transaction_touched,
            statistics: self.statistics,
        })
    }

    /// The execution itself if it read what it would read now, else a second one. The number tells
    /// how many there were.
    fn settle_reads<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        mut executed: Box<Executed>,
    ) -> Result<(Box<Executed>, u8), ExecuteError> {
        let memory = &speculation.memory;
        let changed = match &executed.reads {
            // What could not be read may lie where only a wrong guess leads.
            Some(_) if executed.run.is_err() => true,
            Some(reads) => reads.first_changed(memory, index)?.is_some(),
            None => false,
        };
        if let Some(mut log) = executed.reads.take() {
            log.clear();
            worker.spare_logs.push(log);
        }
        self.window.observe(changed);
        if !changed {
            return Ok((executed, 1));
        }
        self.statistics.executions += 1;
        self.statistics.conflicts += 1;
        if let Ok(TxExecution { outcome: Ok(result), .. }) = &executed.run {
            self.statistics.wasted_gas += result.gas_used;
        }
        let mut again = speculation.run_once(worker, index, None);
        if let Ok(execution) = &again.run {
            again.places = memory.publish_again(index, &executed.places, execution);
        }
        Ok((again, 2))
    }

    fn include(
        &mut self,
        memory: &VersionedState<&'a dyn StateView>,
        index: u32,
        execution: &TxExecution,
        places: &mut Vec<Place>,
    ) -> Result<(), StateError> {
        let Ok(result) = &execution.outcome else { return Ok(()) };
        let spec = self.job.rules.spec_id;
        if self.job.options.keep_transaction_changes {
            let before = memory.at(index);
            let mut own = Overlay::new(&before);
            own.write(&execution.writes, execution.codes.iter().cloned())?;
            if !result.beneficiary_destroyed {
                own.credit(self.job.block.beneficiary, result.fee, spec)?;
            }
            self.transaction_changes.push(own.into_changes()?);
        }
        if !result.beneficiary_destroyed {
            memory.credit(index, self.beneficiary, result.fee, spec, places)?;
        }
        memory.settle(index, places);
        if let Some(shadow) = &mut self.shadow {
            shadow.apply(execution, result)?;
        }
        Ok(())
    }

    fn refuse(&mut self, index: u32, reason: InvalidTransaction) -> Result<(), ExecuteError> {
        let index = index as usize;
        match self.job.caller {
            Caller::Import => {
                let hash = self.job.transactions[index].tx.hash;
                Err(ExecuteError::Transaction { index, hash, reason: reason.into() })
            }
            Caller::Build(_) => {
                self.left_out.push(LeftOut { candidate: index, reason });
                Ok(())
            }
        }
    }
}

/// A view that lacks keys is told of all that speculation ran into, not only of the first.
fn with_missing(speculation: &Speculation<'_>, error: StateError) -> CoreError {
    match error {
        StateError::Missing(keys) => {
            let mut all = speculation.missing.lock();
            all.extend(keys);
            StateError::Missing(all.iter().copied().collect()).into()
        }
        other => other.into(),
    }
}
