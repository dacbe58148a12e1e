//! The transactions of a block that came with its list: each once, on any thread, in any order.
//!
//! A transaction reads what the list says earlier ones left, so nothing waits for anything. On the
//! spot its own changes and accesses are held against the list. The first index that does not hold
//! has true reads only (all before it hold), hence it is the first wrong one and its difference is
//! the list's fault. Admission to the block goes in order, afterwards, as in any execution.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::verify::Proof;
use super::view::{ListedState, StateBefore};
use super::{BlockAccessIndex, Entry, WrongAccessList};
use crate::block::InvalidTransaction;
use crate::error::{CoreError, StateError, StateKey};
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, TouchedAccount, TxResult};
use crate::execution::{ExecuteError, ExecutionStatistics, Mode};
use crate::serial::{Job, JobOutcome};
use crate::state::overlay::Overlay;
use crate::state::{StateChanges, StateView};
use crate::tx::RecoveredTransaction;
use crate::workers::Workers;

/// A transaction that ran.
struct Ran {
    outcome: Result<TxResult, InvalidTransaction>,
    changes: StateChanges,
    touched: Vec<TouchedAccount>,
}

/// Why a block ends at one of its transactions.
enum Stop {
    List(WrongAccessList),
    State(StateError),
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// One block's transactions, shared by its workers.
struct Course<'a> {
    job: &'a Job<'a>,
    listed: &'a ListedState<'a>,
    proof: &'a Proof<'a>,
    next: AtomicUsize,
    /// The first transaction known to end the block; none after it matters.
    end: AtomicUsize,
    ran: Vec<Mutex<Option<Result<Ran, Stop>>>>,
    active: AtomicUsize,
    busy_ns: Mutex<Vec<u64>>,
}

/// Executes a job whose reads the list answers. `base` is the state before the first transaction.
pub(super) fn run(
    workers: &Workers,
    job: &Job<'_>,
    base: &dyn StateView,
    listed: &ListedState<'_>,
    proof: &Proof<'_>,
) -> Result<JobOutcome, ExecuteError> {
    let started = Instant::now();
    let threads = match (job.options.mode, job.options.threads) {
        (Mode::Serial, _) => 1,
        (_, 0) => workers.threads(),
        (_, asked) => asked.min(workers.threads()),
    };
    let count = job.transactions.len();
    let course = Course {
        job,
        listed,
        proof,
        next: AtomicUsize::new(0),
        end: AtomicUsize::new(usize::MAX),
        ran: job.transactions.iter().map(|_| Mutex::new(None)).collect(),
        active: AtomicUsize::new(0),
        busy_ns: Mutex::default(),
    };
    workers.run(threads.min(count), |_| course.work());
    let statistics = ExecutionStatistics {
        parallel: job.options.mode != Mode::Serial,
        by_access_list: true,
        threads,
        active_workers: course.active.load(Ordering::Relaxed),
        executions: count as u64,
        executions_per_transaction: vec![1; count],
        busy_ns: std::mem::take(&mut course.busy_ns.lock()),
        ..ExecutionStatistics::default()
    };
    let mut outcome = course.admit(base, statistics)?;
    outcome.statistics.elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// The index of a transaction in its block's list.
pub(super) fn index_of(transaction: usize) -> BlockAccessIndex {
    BlockAccessIndex::try_from(transaction + 1).expect("checked before the run")
}

impl Course<'_> {
    /// What one thread does. Transactions are claimed in order and none is left out before the end,
    /// so the first that ends the block is always among those that ran.
    fn work(&self) {
        let started = Instant::now();
        let view = StateBefore { listed: self.listed, index: 0 };
        let mut evm = Evm::new(self.job.rules, self.job.block, ViewDatabase(view));
        evm.record_touched(true);
        let mut is_active = false;
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.ran.len() || at > self.end.load(Ordering::Relaxed) {
                break;
            }
            is_active = true;
            let ran = self.execute(&mut evm, at);
            if !matches!(&ran, Ok(Ran { outcome: Ok(_), .. })) {
                self.end.fetch_min(at, Ordering::Relaxed);
            }
            *self.ran[at].lock() = Some(ran);
        }
        self.active.fetch_add(usize::from(is_active), Ordering::Relaxed);
        let busy = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.lock().push(busy);
    }

    fn execute(&self, evm: &mut Evm<ViewDatabase<StateBefore<'_>>>, at: usize) -> Result<Ran, Stop> {
        if self.job.options.interrupt.is_due() {
            return Err(StateError::Interrupted.into());
        }
        let index = index_of(at);
        evm.db_mut().0.index = index;
        let tx = &self.job.transactions[at];
        self.execute_once(evm, index, tx).map_err(|stop| match stop {
            Stop::State(StateError::NotListed(key)) => {
                Stop::List(WrongAccessList::NotListed { index, entry: entry_of(key) })
            }
            other => other,
        })
    }

    fn execute_once(
        &self,
        evm: &mut Evm<ViewDatabase<StateBefore<'_>>>,
        index: BlockAccessIndex,
        tx: &RecoveredTransaction,
    ) -> Result<Ran, Stop> {
        let execution = evm.execute(tx)?;
        let view = StateBefore { listed: self.listed, index };
        let result = match execution.outcome {
            Ok(result) => result,
            Err(reason) => {
                let changes = StateChanges::default();
                return Ok(Ran { outcome: Err(reason), changes, touched: Vec::new() });
            }
        };
        let beneficiary = self.job.block.beneficiary;
        let mut own = Overlay::new(view);
        own.write(&execution.writes, execution.codes)?;
        if !result.beneficiary_destroyed {
            own.credit(beneficiary, result.fee, self.job.rules.spec_id)?;
        }
        let changes = own.into_changes()?;
        let mut touched = execution.touched;
        touched.push(TouchedAccount { address: beneficiary, slots: Vec::new() });
        self.proof.check(index, |address| view.account(address), &changes, &touched)?.map_err(Stop::List)?;
        touched.pop();
        Ok(Ran { outcome: Ok(result), changes, touched })
    }

    /// Takes the transactions in, in order, as a serial execution would.
    fn admit(
        self,
        base: &dyn StateView,
        statistics: ExecutionStatistics,
    ) -> Result<JobOutcome, ExecuteError> {
        let job = self.job;
        let mut state = Overlay::new(base);
        let mut ledger = job.ledger();
        let (mut transaction_changes, mut transaction_touched) = (Vec::new(), Vec::new());
        for (index, (tx, ran)) in job.transactions.iter().zip(self.ran).enumerate() {
            let ran = ran.into_inner().expect("all transactions up to the end ran");
            let Ran { outcome, changes, touched } = ran.map_err(|stop| match stop {
                Stop::List(wrong) => ExecuteError::AccessList(Box::new(wrong)),
                Stop::State(error) => error.into(),
            })?;
            let verdict = match ledger.room_for(tx) {
                Ok(()) => outcome,
                Err(_) => ledger.verdict(tx, outcome),
            };
            let result = verdict.map_err(|reason| ExecuteError::Transaction {
                index,
                hash: tx.tx.hash,
                reason: reason.into(),
            })?;
            if job.options.recheck {
                recheck(job, &state, index, &result, &changes)?;
            }
            state.apply(&changes);
            ledger.push(tx, result);
            if job.options.keep_transaction_changes {
                transaction_changes.push(changes);
            }
            if job.options.keep_touched {
                transaction_touched.push(touched);
            }
        }
        Ok(JobOutcome {
            ledger,
            included: (0..job.transactions.len()).collect(),
            left_out: Vec::new(),
            changes: state.into_changes()?,
            transaction_changes,
            transaction_touched,
            remains: Default::default(),
            statistics,
        })
    }
}

fn entry_of(key: StateKey) -> Entry {
    match key {
        StateKey::Storage(address, slot) => Entry::Slot(address, slot),
        StateKey::Account(address) => Entry::Account(address),
        StateKey::Code(_) | StateKey::BlockHash(_) => unreachable!("lists name accounts and slots"),
    }
}

/// Executes a transaction a second time, on the state that those before it really left.
fn recheck(
    job: &Job<'_>,
    state: &Overlay<&dyn StateView>,
    index: usize,
    result: &TxResult,
    changes: &StateChanges,
) -> Result<(), CoreError> {
    let execution = Evm::new(job.rules, job.block, ViewDatabase(state)).execute(&job.transactions[index])?;
    let mut own = Overlay::new(state);
    own.write(&execution.writes, execution.codes)?;
    if !result.beneficiary_destroyed {
        own.credit(job.block.beneficiary, result.fee, job.rules.spec_id)?;
    }
    if execution.outcome.as_ref() != Ok(result) || own.into_changes()? != *changes {
        let hash = job.transactions[index].tx.hash;
        let what = format!("transaction {index} [{hash}] by its block access list");
        return Err(CoreError::Divergence(what));
    }
    Ok(())
}
