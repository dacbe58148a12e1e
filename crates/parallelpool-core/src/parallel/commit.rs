//! The committer: takes executions in block order, keeps those whose reads still hold, repeats the
//! others, applies transfers, and makes the block of them.
//!
//! Whatever it decides rests on committed state only, so its verdicts are those of serial execution.

mod in_order;

use std::time::{Duration, Instant};

use super::memory::known::NewSlots;
use super::memory::{AccountId, Place};
use super::recheck::{Shadow, compare_with_evm};
use super::reuse::Tally;
use super::window::Window;
use super::{Executed, Forecast, Memory, Speculation, Transfer, Worker, wants_each};
use crate::block::{InvalidTransaction, LogsBloom, Remains};
use crate::cpu::CpuMeter;
use crate::error::{CoreError, StateError};
use crate::evm::{TouchedAccount, TxExecution, TxResult};
use crate::execution::{Abort, ExecuteError, ExecutionStatistics, LeftOut, MOST_ABORTS};
use crate::ledger::Ledger;
use crate::primitives::{Address, SpecId, U256};
use crate::serial::{Caller, Course, Job, JobOutcome};
use crate::state::overlay::Overlay;
use crate::state::{Account, AccountWrite, StateChanges, StateView};
use crate::transfers::{Outcome, Plain};
use crate::tx::RecoveredTransaction;

/// The block so far.
pub(super) struct Committer<'a> {
    job: &'a Job<'a>,
    beneficiary: AccountId,
    purse: Option<Purse>,
    spec: SpecId,
    ledger: Ledger,
    included: Vec<usize>,
    left_out: Vec<LeftOut>,
    transaction_changes: Vec<StateChanges>,
    transaction_touched: Vec<Vec<TouchedAccount>>,
    statistics: ExecutionStatistics,
    window: Window,
    /// Whether transactions may share a journal while the window is one.
    shares_journal: bool,
    /// Whether records are at hand, which are cheaper still as long as they hold.
    reuses: bool,
    tally: Tally,
    /// What those did that ended the block on one, apart from accounts that earlier ones used.
    last_changes: StateChanges,
    /// And slots that nobody used before of those accounts.
    new_slots: NewSlots,
    /// Journals that are done with.
    remains: Vec<Remains>,
    shadow: Option<Shadow<'a>>,
    failure: Option<ExecuteError>,
    ended_early: bool,
}

/// The beneficiary's account as the transfers committed last leave it. Nobody asks for it between two
/// plain transfers of others.
#[derive(Debug, Clone, Copy)]
struct Purse {
    account: Plain,
    last_writer: u32,
}

/// Where the writes of an execution stand when it is committed.
enum Written<'p> {
    /// Later transactions expect them already, at these places. The bloom of its logs is made too.
    Ahead(&'p [Place], Option<LogsBloom>),
    /// Nowhere yet: it ran at the frontier.
    Nowhere,
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        job: &'a Job<'a>,
        memory: &Memory<'a>,
        state: &'a dyn StateView,
        workers: usize,
        forecast: &Forecast,
    ) -> Self {
        let count = job.transactions.len();
        let options = job.options;
        // What each did by itself does not show on a shared journal.
        let reuses = options.techniques.reuse && !options.records.is_empty();
        let shares_journal = options.techniques.adaptive_window && !wants_each(job);
        let statistics = ExecutionStatistics {
            parallel: true,
            executions_per_transaction: Vec::with_capacity(count),
            ..ExecutionStatistics::default()
        };
        Self {
            job,
            beneficiary: memory.account_id(job.block.beneficiary),
            purse: None,
            spec: job.rules.spec_id,
            ledger: job.ledger(),
            included: Vec::with_capacity(count),
            left_out: Vec::new(),
            transaction_changes: Vec::new(),
            transaction_touched: Vec::new(),
            statistics,
            window: match (shares_journal && !reuses, workers) {
                // A lonely worker has the short cuts of transfers to gain from not running all on one journal.
                (true, 1) if !forecast.is_mostly_transfers() => Window::closed(),
                _ => Window::new(workers, options.techniques.adaptive_window),
            },
            shares_journal,
            reuses,
            tally: Tally::default(),
            last_changes: StateChanges::default(),
            new_slots: NewSlots::new(),
            remains: Vec::new(),
            shadow: job.options.recheck.then(|| Shadow::new(job, state)),
            failure: None,
            ended_early: false,
        }
    }

    /// Goes on from what a block's first transactions came to in order. Returns since when they ran.
    pub(super) fn take_over(&mut self, begun: Course<'a>, remains: Remains) -> (Instant, CpuMeter) {
        let statistics = &mut self.statistics;
        statistics.executions += begun.end as u64;
        statistics.executions_per_transaction.resize(begun.included.len(), 1);
        statistics.transfers += begun.transfers;
        statistics.checked_transfers += begun.checked_transfers;
        (self.ledger, self.included, self.left_out) = (begun.ledger, begun.included, begun.left_out);
        self.remains.push(remains);
        (begun.started, begun.cpu)
    }

    /// How far ahead of the frontier workers may go.
    pub(super) fn window(&self) -> u32 {
        self.window.size()
    }

    /// The window is one at first, for so many transactions.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn rest_first(&mut self, transactions: u32) {
        self.window = Window::resting(transactions);
    }

    /// The block ends with this error.
    pub(super) fn fail(&mut self, error: ExecuteError) {
        self.failure = Some(error);
    }

    /// The seat was taken for that long, and so many transactions were committed.
    pub(super) fn was_seated(&mut self, time: Duration, count: u32) {
        self.statistics.seat_ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.statistics.seat_commits += u64::from(count);
    }

    /// Whether no further transaction may be committed. A given block has failed then; one that is
    /// being built is what it is.
    pub(super) fn is_interrupted(&mut self) -> bool {
        let is_due = self.job.options.interrupt.is_due();
        match self.job.caller {
            Caller::Import if is_due => self.fail(StateError::Interrupted.into()),
            _ => self.ended_early |= is_due,
        }
        is_due
    }

    /// Whether a block under construction ended before its candidates did.
    pub(super) fn has_ended_early(&self) -> bool {
        self.ended_early
    }

    /// Commits an execution of the transaction at the frontier that was published, or leaves the
    /// transaction out.
    pub(super) fn commit<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        mut executed: Box<Executed>,
    ) -> Result<(), ExecuteError> {
        let memory = &speculation.memory;
        if let Err(reason) = self.room_while_building(index) {
            self.statistics.executions += 1;
            memory.retract(index, &executed.places);
            return self.refuse(index, reason);
        }
        let abort = first_changed(memory, index, &executed)?;
        let Executed { run, places, bloom, is_reused, .. } = &mut *executed;
        let runs = if *is_reused { 1 } else { 2 };
        self.window.observe(abort.is_some() && !*is_reused);
        self.note_record(speculation, index, *is_reused && abort.is_none());
        let Some(abort) = abort else {
            self.statistics.reused += u64::from(*is_reused);
            let done = self.settle(speculation, index, run, Written::Ahead(places, bloom.take()), 1);
            worker.keep(executed);
            return done;
        };
        memory.retract(index, places);
        if !*is_reused {
            self.statistics.conflicts += 1;
            if let Ok(TxExecution { outcome: Ok(result), .. }) = run {
                self.statistics.wasted_gas += result.gas_used;
            }
            if self.statistics.aborts.len() < MOST_ABORTS {
                self.statistics.aborts.push(abort);
            }
        }
        worker.keep(executed);
        let mut again = speculation.run_at_frontier(worker, index);
        let done = self.settle(speculation, index, &mut again, Written::Nowhere, runs);
        take_back(worker, again);
        done
    }

    /// Executes the transaction at the frontier and commits it.
    pub(super) fn execute<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        index: u32,
    ) -> Result<(), ExecuteError> {
        if let Err(reason) = self.room_while_building(index) {
            return self.refuse(index, reason);
        }
        self.window.observe_in_order(1);
        self.note_record(speculation, index, false);
        let mut run = speculation.run_at_frontier(worker, index);
        let done = self.settle(speculation, index, &mut run, Written::Nowhere, 1);
        take_back(worker, run);
        done
    }

    fn note_record(&mut self, speculation: &Speculation<'a>, index: u32, held: bool) {
        if self.reuses && speculation.record(index).is_some() {
            self.tally.observe(&speculation.reuse, index, held);
        }
    }

    /// Commits the transfers from the frontier on.
    pub(super) fn transfers<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        first: u32,
        stretch: &[Transfer],
    ) -> Result<(), ExecuteError> {
        for (index, transfer) in (first..).zip(stretch) {
            self.transfer(speculation, worker, index, transfer)?;
        }
        self.pay_out(&speculation.memory);
        Ok(())
    }

    /// Commits the transfer at the frontier; by the EVM if it is not that simple after all.
    fn transfer<'s>(
        &mut self,
        speculation: &'s Speculation<'a>,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        transfer: &Transfer,
    ) -> Result<(), ExecuteError> {
        let memory = &speculation.memory;
        let tx = &*self.job.transactions[index as usize];
        if transfer.sender == self.beneficiary || transfer.recipient == self.beneficiary {
            self.pay_out(memory);
        }
        let sender = memory.committed_plain(transfer.sender)?;
        let recipient = memory.committed_plain(transfer.recipient)?;
        let outcome = match (self.ledger.room_for(tx), sender, recipient) {
            (Ok(()), Some(sender), Some(recipient)) => transfer.outcome(sender, recipient),
            _ => None,
        };
        let Some(outcome) = outcome else {
            self.pay_out(memory);
            return self.execute(speculation, worker, index);
        };
        let fee = U256::from(transfer.fee);
        #[cfg(any(test, feature = "faults"))]
        let fee = crate::faults::transfer_fee(self.job.options.fault, fee);
        let is_checked = self.job.checks_transfer(tx);
        if is_checked || self.is_watched() {
            self.pay_out(memory);
            let execution = execution_of(tx, transfer, &outcome, fee);
            if is_checked {
                compare_with_evm(self.job, &memory.at(index), index as usize, &execution)?;
                self.statistics.checked_transfers += 1;
            }
            self.watch(memory, index, execution)?;
        }
        memory.set_plain(index, transfer.sender, &outcome.sender);
        if let Some(recipient) = &outcome.recipient {
            memory.set_plain(index, transfer.recipient, recipient);
        }
        self.earn(memory, index, fee)?;
        self.statistics.transfers += 1;
        self.statistics.executions += 1;
        self.ledger.push_transfer(tx, transfer.gas_used, transfer.price.into());
        self.note_included(index, 1);
        Ok(())
    }

    /// Credits the fee of the transfer at the frontier, for the time being to the purse.
    fn earn(&mut self, memory: &Memory<'a>, index: u32, fee: U256) -> Result<(), StateError> {
        let before = match self.purse {
            Some(purse) => Some(purse.account),
            None => memory.committed_plain(self.beneficiary)?,
        };
        // As `credit` has it: what would overflow is lost.
        let after = before.map(|account| Plain {
            exists: true,
            balance: account.balance.checked_add(fee).unwrap_or(account.balance),
            ..account
        });
        match after.filter(|account| !account.is_empty()) {
            Some(account) => {
                if after != before {
                    self.purse = Some(Purse { account, last_writer: index });
                }
                Ok(())
            }
            // It has code, or is left empty and goes with its storage.
            None => {
                self.pay_out(memory);
                memory.credit(index, self.beneficiary, fee, self.spec)
            }
        }
    }

    /// Lets everybody see the fees that are in the purse.
    fn pay_out(&mut self, memory: &Memory<'a>) {
        if let Some(purse) = self.purse.take() {
            memory.set_plain(purse.last_writer, self.beneficiary, &purse.account);
        }
    }

    /// The block's outcome, or what ended it. `end`: the first transaction that is not committed.
    /// `share` as in [`Memory::changes`].
    pub(super) fn finish(
        self,
        memory: &Memory<'a>,
        end: u32,
        share: impl FnOnce(&(dyn Fn() + Sync)),
    ) -> Result<JobOutcome, ExecuteError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let mut changes = memory.changes(end, share)?;
        memory.add_new_slots(&mut changes, self.new_slots, end)?;
        let changes = joined(changes, self.last_changes);
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
            remains: Remains::of(self.remains),
            statistics: self.statistics,
        })
    }

    /// Takes a run in whose reads hold, or leaves its transaction out. `runs`: how many it took. Its result,
    /// or its error, is taken away.
    fn settle(
        &mut self,
        speculation: &Speculation<'a>,
        index: u32,
        run: &mut Result<TxExecution, StateError>,
        written: Written<'_>,
        runs: u8,
    ) -> Result<(), ExecuteError> {
        let memory = &speculation.memory;
        let tx = &*self.job.transactions[index as usize];
        self.statistics.executions += u64::from(runs);
        let execution = match run {
            Ok(execution) => execution,
            Err(error) => {
                let error = std::mem::replace(error, StateError::Speculation);
                return Err(with_missing(speculation, error).into());
            }
        };
        let verdict = execution.outcome.as_ref().map(drop).map_err(Clone::clone);
        let verdict = match self.ledger.room_for(tx) {
            Ok(()) => verdict,
            Err(_) => self.ledger.verdict(tx, verdict),
        };
        if self.is_watched() && (verdict.is_ok() || execution.outcome.is_err()) {
            let mut final_form = execution.clone();
            if let Written::Ahead(..) = written {
                final_form.writes = memory.final_writes(index, &execution.writes)?;
            }
            self.watch(memory, index, final_form)?;
        }
        if let Err(reason) = verdict {
            if let Written::Ahead(places, _) = written {
                memory.retract(index, places);
            }
            return self.refuse(index, reason);
        }
        let bloom = match written {
            Written::Ahead(places, bloom) => {
                memory.commit(index, places)?;
                bloom
            }
            Written::Nowhere => {
                memory.apply(index, execution);
                None
            }
        };
        let outcome = std::mem::replace(&mut execution.outcome, Ok(TxResult::default()));
        let result = outcome.expect("its verdict is good");
        if !result.beneficiary_destroyed {
            memory.credit(index, self.beneficiary, result.fee, self.spec)?;
        }
        match bloom {
            Some(bloom) => self.ledger.push_with_bloom(tx, result, bloom),
            None => self.ledger.push(tx, result),
        }
        self.note_included(index, runs);
        Ok(())
    }

    /// Whether anybody wants to know what each transaction did by itself.
    fn is_watched(&self) -> bool {
        wants_each(self.job)
    }

    /// Compares and keeps what the transaction at the frontier is about to do, as was asked for.
    fn watch(&mut self, memory: &Memory<'a>, index: u32, execution: TxExecution) -> Result<(), ExecuteError> {
        if let Some(shadow) = &self.shadow {
            shadow.compare(index as usize, &execution)?;
        }
        let Ok(result) = &execution.outcome else { return Ok(()) };
        if self.job.options.keep_transaction_changes {
            let before = memory.at(index);
            let mut own = Overlay::new(&before);
            own.write(&execution.writes, execution.codes.iter().cloned())?;
            if !result.beneficiary_destroyed {
                own.credit(self.job.block.beneficiary, result.fee, self.spec)?;
            }
            self.transaction_changes.push(own.into_changes()?);
        }
        if let Some(shadow) = &mut self.shadow {
            shadow.apply(&execution, result)?;
        }
        if self.job.options.keep_touched {
            self.transaction_touched.push(execution.touched);
        }
        Ok(())
    }

    fn include(&mut self, index: u32, tx: &RecoveredTransaction, result: TxResult, runs: u8) {
        self.ledger.push(tx, result);
        self.note_included(index, runs);
    }

    fn note_included(&mut self, index: u32, runs: u8) {
        self.included.push(index as usize);
        self.statistics.executions_per_transaction.push(runs);
    }

    /// What has no room in a block under construction need not run.
    fn room_while_building(&self, index: u32) -> Result<(), InvalidTransaction> {
        match self.job.caller {
            Caller::Import => Ok(()),
            Caller::Build(_) => self.ledger.room_for(&self.job.transactions[index as usize]),
        }
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

/// Lets the worker use the room of an execution's lists again.
fn take_back(worker: &mut Worker<'_, '_>, run: Result<TxExecution, StateError>) {
    if let Ok(execution) = run {
        worker.evm.take_back(execution.writes);
    }
}

/// Why the execution cannot stand, if it cannot.
fn first_changed(memory: &Memory<'_>, index: u32, executed: &Executed) -> Result<Option<Abort>, StateError> {
    match &executed.reads {
        // What could not be read may lie where only a wrong guess leads.
        _ if executed.run.is_err() => Ok(Some(Abort { transaction: index, writer: None, location: None })),
        Some(reads) => reads.first_changed(memory, index),
        None => Ok(None),
    }
}

/// Two sets of changes that have no account in common.
fn joined(mut one: StateChanges, mut other: StateChanges) -> StateChanges {
    if one.accounts.len() < other.accounts.len() {
        std::mem::swap(&mut one, &mut other);
    }
    one.accounts.extend(other.accounts);
    one.codes.extend(other.codes);
    one
}

/// A transfer in the form of an execution.
pub(super) fn execution_of<P>(
    tx: &RecoveredTransaction,
    transfer: &crate::transfers::Transfer<P>,
    outcome: &Outcome,
    fee: U256,
) -> TxExecution {
    let mut writes = vec![fields_written(tx.sender, outcome.sender.account())];
    if let (Some(to), Some(after)) = (tx.tx.to, outcome.recipient) {
        writes.push(fields_written(to, after.account()));
    }
    let touched = [Some(tx.sender), tx.tx.to.filter(|to| *to != tx.sender)].into_iter().flatten();
    TxExecution {
        outcome: Ok(TxResult { fee, ..transfer.result() }),
        writes,
        codes: Vec::new(),
        observed: Default::default(),
        touched: touched.map(|address| TouchedAccount { address, slots: Vec::new() }).collect(),
    }
}

fn fields_written(address: Address, after: Account) -> AccountWrite {
    AccountWrite { address, account: Some(Some(after)), storage_cleared: false, storage: Vec::new() }
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
