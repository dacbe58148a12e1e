//! The transactions of a block, in order, on one thread: the oracle.
//!
//! A given block and one being built go through the same loop; they differ in what an invalid
//! transaction means. Plain transfers take no EVM if [`Techniques::transfers`] allows it; as an oracle
//! it does without.
//!
//! [`Techniques::transfers`]: crate::execution::Techniques::transfers

mod ahead;
mod block_run;

use std::time::Instant;

pub(crate) use self::ahead::{STRETCH, glance};
pub(crate) use self::block_run::{BlockRun, Done};
use crate::block::{BlockContext, InvalidTransaction, Remains};
use crate::chainspec::Rules;
use crate::cpu::CpuMeter;
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, TouchedAccount};
use crate::execution::{BuildLimits, ExecuteError, ExecuteOptions, ExecutionStatistics, LeftOut};
use crate::ledger::Ledger;
use crate::state::overlay::Overlay;
use crate::state::{StateChanges, StateView};
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// Whose transactions these are.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// A given block: one invalid transaction makes all of it invalid.
    Import,
    /// Candidates: those that are invalid or find no room at their turn are left out.
    Build(&'a BuildLimits),
}

/// What executors are given.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Rules of the block.
    pub rules: &'a Rules,
    /// The block around the transactions.
    pub block: &'a BlockContext,
    /// The transactions, or candidates, in order.
    pub transactions: &'a [SharedTransaction],
    /// What an invalid one means.
    pub caller: Caller<'a>,
    /// Settings.
    pub options: &'a ExecuteOptions,
}

impl Job<'_> {
    /// An empty ledger for this job.
    pub fn ledger(&self) -> Ledger {
        let limits = match self.caller {
            Caller::Import => None,
            Caller::Build(limits) => Some(limits),
        };
        let mut ledger = Ledger::new(self.rules, self.block, limits);
        ledger.reserve(self.transactions.len());
        ledger
    }

    /// The production self-check looks at one transfer in so many, whatever block they are in.
    pub(crate) fn checks_transfer(&self, tx: &RecoveredTransaction) -> bool {
        let one_in = u64::from(self.options.check_transfers);
        let number = u64::from_be_bytes(tx.tx.hash[24..].try_into().expect("eight bytes"));
        one_in > 0 && number.is_multiple_of(one_in)
    }
}

/// What executors return: a job's result, the same for all of them but for `statistics`.
#[derive(Debug)]
pub struct JobOutcome {
    /// Receipts and sums.
    pub ledger: Ledger,
    /// Indices of the transactions taken in, in order. All of them for an import.
    pub included: Vec<usize>,
    /// The others, in order.
    pub left_out: Vec<LeftOut>,
    /// True changes of all transactions, fees included.
    pub changes: StateChanges,
    /// Changes of each included transaction against the state before it, when asked for.
    pub transaction_changes: Vec<StateChanges>,
    /// What each included transaction loaded, when asked for.
    pub transaction_touched: Vec<Vec<TouchedAccount>>,
    /// Figures.
    pub statistics: ExecutionStatistics,
    /// Memory to be given back.
    pub remains: Remains,
}

/// Executes a job on `state`.
pub fn run(job: &Job<'_>, state: &dyn StateView) -> Result<JobOutcome, ExecuteError> {
    let course = Course::new(job);
    if job.options.keep_transaction_changes || job.options.keep_touched {
        course.finish(Separately::new(job, state))
    } else {
        course.finish(BlockRun::new(job, state, job.transactions))
    }
}

/// A state that moves on by one transaction at a time.
pub(crate) trait Succession {
    /// Executes the next transaction; an invalid one changes nothing.
    fn execute(&mut self, tx: &RecoveredTransaction) -> Result<Result<Done, InvalidTransaction>, CoreError>;
    /// Whether it could be executed next.
    fn check(&mut self, tx: &RecoveredTransaction) -> Result<Result<(), InvalidTransaction>, StateError>;
    /// These come next: a chance to have at hand what they will ask for. Called once in each [`STRETCH`].
    fn look_ahead(&mut self, _next: &[SharedTransaction]) {}
    /// What all of them changed.
    fn into_changes(self) -> Result<Changes, StateError>;
}

#[derive(Default)]
pub(crate) struct Changes {
    total: StateChanges,
    by_transaction: Vec<StateChanges>,
    touched: Vec<Vec<TouchedAccount>>,
    remains: Remains,
}

/// Takes transactions in or leaves them out, one after another.
pub(crate) struct Course<'a> {
    job: &'a Job<'a>,
    pub(crate) started: Instant,
    pub(crate) cpu: CpuMeter,
    /// The first transaction that has not had its turn.
    pub(crate) end: usize,
    pub(crate) ledger: Ledger,
    pub(crate) included: Vec<usize>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) transfers: u64,
    pub(crate) checked_transfers: u64,
}

impl<'a> Course<'a> {
    pub(crate) fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            started: Instant::now(),
            cpu: CpuMeter::start(),
            end: 0,
            ledger: job.ledger(),
            included: Vec::with_capacity(job.transactions.len()),
            left_out: Vec::new(),
            transfers: 0,
            checked_transfers: 0,
        }
    }

    /// The next transaction has its turn. False if the execution is to end instead.
    pub(crate) fn step(&mut self, state: &mut impl Succession) -> Result<bool, ExecuteError> {
        let (index, tx) = (self.end, &self.job.transactions[self.end]);
        if self.job.options.interrupt.is_due() {
            return match self.job.caller {
                Caller::Import => Err(StateError::Interrupted.into()),
                Caller::Build(_) => Ok(false),
            };
        }
        match next(self.job, &self.ledger, state, tx)? {
            Ok(done) => {
                self.take_in(tx, done);
                self.included.push(index);
            }
            Err(reason) => self.refuse(index, tx, reason)?,
        }
        self.end += 1;
        Ok(true)
    }

    /// All that are left have their turns.
    pub(crate) fn finish(mut self, mut state: impl Succession) -> Result<JobOutcome, ExecuteError> {
        let first = self.end;
        while let Some(next) = self.job.transactions.get(self.end..).filter(|next| !next.is_empty()) {
            if (self.end - first).is_multiple_of(STRETCH) {
                state.look_ahead(next);
            }
            if !self.step(&mut state)? {
                break;
            }
        }
        self.into_outcome(state)
    }

    /// What came of those that have had their turns, as the whole outcome.
    pub(crate) fn into_outcome(self, state: impl Succession) -> Result<JobOutcome, ExecuteError> {
        let changes = state.into_changes()?;
        let count = self.included.len();
        let elapsed_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(JobOutcome {
            ledger: self.ledger,
            included: self.included,
            left_out: self.left_out,
            changes: changes.total,
            transaction_changes: changes.by_transaction,
            transaction_touched: changes.touched,
            statistics: ExecutionStatistics {
                parallel: false,
                threads: 1,
                active_workers: usize::from(count > 0),
                executions: count as u64,
                executions_per_transaction: vec![1; count],
                transfers: self.transfers,
                checked_transfers: self.checked_transfers,
                elapsed_ns,
                busy_ns: vec![elapsed_ns],
                cpu_ns: self.cpu.total_ns(),
                ..ExecutionStatistics::default()
            },
            remains: changes.remains,
        })
    }

    #[inline]
    fn take_in(&mut self, tx: &RecoveredTransaction, done: Done) {
        match done {
            Done::Transfer { gas_used, price } => {
                self.transfers += 1;
                self.ledger.push_transfer(tx, gas_used, price);
            }
            Done::CheckedTransfer(result) => {
                self.transfers += 1;
                self.checked_transfers += 1;
                self.ledger.push(tx, result);
            }
            Done::Run(result) => self.ledger.push(tx, result),
        }
    }

    fn refuse(
        &mut self,
        index: usize,
        tx: &RecoveredTransaction,
        reason: InvalidTransaction,
    ) -> Result<(), ExecuteError> {
        match self.job.caller {
            Caller::Import => {
                Err(ExecuteError::Transaction { index, hash: tx.tx.hash, reason: reason.into() })
            }
            Caller::Build(_) => {
                self.left_out.push(LeftOut { candidate: index, reason });
                Ok(())
            }
        }
    }
}

/// Executes the transaction that follows what `ledger` has taken in, or says why it cannot be.
pub(crate) fn next(
    job: &Job<'_>,
    ledger: &Ledger,
    state: &mut impl Succession,
    tx: &RecoveredTransaction,
) -> Result<Result<Done, InvalidTransaction>, CoreError> {
    let Err(no_room) = ledger.room_for(tx) else { return state.execute(tx) };
    match job.caller {
        Caller::Build(_) => Ok(Err(no_room)),
        Caller::Import => {
            let verdict = ledger.verdict(tx, state.check(tx)?);
            Ok(Err(verdict.err().unwrap_or(no_room)))
        }
    }
}

impl<V: StateView> Succession for BlockRun<'_, V> {
    fn execute(&mut self, tx: &RecoveredTransaction) -> Result<Result<Done, InvalidTransaction>, CoreError> {
        self.execute(tx)
    }

    fn check(&mut self, tx: &RecoveredTransaction) -> Result<Result<(), InvalidTransaction>, StateError> {
        self.check(tx)
    }

    fn look_ahead(&mut self, next: &[SharedTransaction]) {
        self.look_ahead(next);
    }

    fn into_changes(self) -> Result<Changes, StateError> {
        let (total, remains) = self.into_changes(0)?;
        Ok(Changes { total, remains, ..Changes::default() })
    }
}

/// Each transaction on an empty journal, its changes written to an overlay before the next.
struct Separately<'a> {
    job: &'a Job<'a>,
    evm: Evm<ViewDatabase<Overlay<&'a dyn StateView>>>,
    kept: Changes,
}

impl<'a> Separately<'a> {
    fn new(job: &'a Job<'a>, state: &'a dyn StateView) -> Self {
        let mut evm = Evm::new(job.rules, job.block, ViewDatabase(Overlay::new(state)));
        evm.record_touched(job.options.keep_touched);
        Self { job, evm, kept: Changes::default() }
    }
}

impl Succession for Separately<'_> {
    fn execute(&mut self, tx: &RecoveredTransaction) -> Result<Result<Done, InvalidTransaction>, CoreError> {
        let execution = self.evm.execute(tx)?;
        let result = match execution.outcome {
            Ok(result) => result,
            Err(reason) => return Ok(Err(reason)),
        };
        let state = &mut self.evm.db_mut().0;
        let mut own = Overlay::new(&*state);
        own.write(&execution.writes, execution.codes)?;
        if !result.beneficiary_destroyed {
            own.credit(self.job.block.beneficiary, result.fee, self.job.rules.spec_id)?;
        }
        let changes = own.into_changes()?;
        state.apply(&changes);
        if self.job.options.keep_transaction_changes {
            self.kept.by_transaction.push(changes);
        }
        if self.job.options.keep_touched {
            self.kept.touched.push(execution.touched);
        }
        Ok(Ok(Done::Run(result)))
    }

    fn check(&mut self, tx: &RecoveredTransaction) -> Result<Result<(), InvalidTransaction>, StateError> {
        Ok(self.evm.execute(tx)?.outcome.map(drop))
    }

    fn into_changes(self) -> Result<Changes, StateError> {
        let total = self.evm.into_db().0.into_changes()?;
        Ok(Changes { total, ..self.kept })
    }
}
