//! Blocks of nothing but plain transfers, in order, on accounts that lie side by side.
//!
//! Such a block needs no journal and no versions. Any worker drafts windows of it ([`drafts`]): what follows
//! from each transaction alone, and what the state below says of its accounts. Whoever finds the seat
//! free applies what is drafted, in order ([`accounts`]); nothing is ever thrown away.
//!
//! In: a job. Out: its outcome, bit for bit the serial one, or `None` where something is not that plain:
//! then nothing has happened, and the block goes another way.

mod accounts;
mod drafts;

use std::time::Instant;

use self::accounts::Accounts;
use self::drafts::{Drafts, Found};
use super::commit::execution_of;
use super::recheck::compare_with_evm;
use super::sync::{AtomicBool, AtomicUsize, KeyedHash, Mutex, Ordering};
use crate::block::Remains;
use crate::cpu::CpuMeter;
use crate::error::StateError;
use crate::evm::Evm;
use crate::evm::database::ViewDatabase;
use crate::execution::{ExecuteError, ExecutionStatistics, LeftOut};
use crate::ledger::Ledger;
use crate::primitives::U256;
use crate::serial::{Caller, Job, JobOutcome};
use crate::state::{StateChanges, StateView};
use crate::transfers::TransferRules;
use crate::workers::Workers;

/// Shorter blocks are done before much could be gained.
const LEAST: usize = if cfg!(test) { 1 } else { 8 };
/// So many transactions, spread over the block, are looked at before anything else is.
const SAMPLES: usize = 64;
/// Transactions of a window: few enough for their drafts to stay in a core's own cache.
const WINDOW: usize = if cfg!(test) { 4 } else { 128 };
/// Shorter shares are done before another worker could be awake.
const LEAST_SHARE: usize = if cfg!(test) { 4 } else { 512 };

/// Executes a job that is nothing but plain transfers, by up to `threads` workers, the caller among them.
pub(crate) fn run(
    workers: &Workers,
    job: &Job<'_>,
    state: &dyn StateView,
    threads: usize,
) -> Result<Option<JobOutcome>, ExecuteError> {
    let Some(expected) = expected_accounts(job) else { return Ok(None) };
    let (started, cpu) = (Instant::now(), CpuMeter::start());
    let Some(run) = TransferRun::new(job, state, expected) else { return Ok(None) };
    let threads = threads.min(workers.threads()).min(job.transactions.len() / LEAST_SHARE).max(1);
    workers.run(threads, |worker| cpu.count(worker, || run.work()));
    let Some(mut outcome) = run.finish()? else { return Ok(None) };
    let statistics = &mut outcome.statistics;
    (statistics.threads, statistics.parallel) = (threads, true);
    statistics.elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    statistics.cpu_ns = cpu.total_ns();
    Ok(Some(outcome))
}

/// How many accounts the job's transactions name, by a sample; `None` where they are not all plain transfers by
/// their looks, or more is asked for than their outcome.
fn expected_accounts(job: &Job<'_>) -> Option<usize> {
    let Job { transactions, options, .. } = job;
    let count = transactions.len();
    let wants_more = options.keep_transaction_changes || options.keep_touched || options.recheck;
    if wants_more || !options.techniques.transfers || !(LEAST..1 << 24).contains(&count) {
        return None;
    }
    let step = count.div_ceil(SAMPLES);
    let (mut named, mut last) = (0, None);
    let mut samples = transactions.iter().step_by(step);
    let looks_plain = samples.all(|tx| {
        let other = tx.tx.to.filter(|to| *to != tx.sender && last != Some(*to));
        (named, last) = (named + 1 + usize::from(other.is_some()), tx.tx.to);
        TransferRules::may_be_one(&tx.tx)
    });
    looks_plain.then_some(named * step)
}

/// One block's execution, shared by its workers.
pub(super) struct TransferRun<'a> {
    job: &'a Job<'a>,
    state: &'a dyn StateView,
    rules: TransferRules,
    hasher: KeyedHash,
    /// The first window that nobody has begun to draft.
    next: AtomicUsize,
    /// Drafted and not applied, by window.
    drafted: Box<[Mutex<Option<Drafts>>]>,
    /// Drafts that were applied: their room is used again.
    spare: Mutex<Vec<Drafts>>,
    seat: Mutex<Seat<'a>>,
    /// Nothing more is to be drafted.
    is_over: AtomicBool,
    /// Workers that have drafted.
    active: AtomicUsize,
    /// Time that each worker took, in nanoseconds.
    busy_ns: Mutex<Vec<u64>>,
}

/// What whoever applies drafts has at hand.
struct Seat<'a> {
    job: &'a Job<'a>,
    accounts: Accounts<'a>,
    ledger: Ledger,
    included: Vec<usize>,
    left_out: Vec<LeftOut>,
    checked: u64,
    /// Windows applied.
    windows: usize,
    end: Option<End>,
}

/// Why not all of a block was applied.
enum End {
    /// Something is no plain transfer.
    NotPlain,
    /// A block under construction ends with what it has.
    Early,
    Failed(ExecuteError),
}

impl<'a> TransferRun<'a> {
    /// `None` where the rules or the beneficiary do not allow it.
    pub(super) fn new(job: &'a Job<'a>, state: &'a dyn StateView, expected: usize) -> Option<Self> {
        let Job { rules, block, transactions, .. } = job;
        let count = transactions.len();
        let rules = TransferRules::new(rules, block)?;
        let hasher = KeyedHash::default();
        let accounts = Accounts::new(state, block.beneficiary, &hasher, expected)?;
        let seat = Seat {
            job,
            accounts,
            ledger: job.ledger(),
            included: Vec::with_capacity(count),
            left_out: Vec::new(),
            checked: 0,
            windows: 0,
            end: None,
        };
        Some(Self {
            job,
            state,
            rules,
            hasher,
            next: AtomicUsize::new(0),
            drafted: (0..count.div_ceil(WINDOW)).map(|_| Mutex::default()).collect(),
            spare: Mutex::default(),
            seat: Mutex::new(seat),
            is_over: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            busy_ns: Mutex::default(),
        })
    }

    /// What one thread does until nothing is left for it.
    pub(super) fn work(&self) {
        let began = Instant::now();
        let mut is_active = false;
        while !self.is_over.load(Ordering::Relaxed) {
            let window = self.next.fetch_add(1, Ordering::Relaxed);
            if window >= self.drafted.len() {
                break;
            }
            if !std::mem::replace(&mut is_active, true) {
                self.active.fetch_add(1, Ordering::Relaxed);
            }
            self.draft(window);
            if let Some(mut seat) = self.seat.try_lock() {
                self.apply(&mut seat);
            }
        }
        // Whoever drafted last waits for the seat if it is taken, so nothing stays behind.
        self.apply(&mut self.seat.lock());
        self.busy_ns.lock().push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    fn draft(&self, window: usize) {
        let mut drafts = self.spare.lock().pop().unwrap_or_default();
        let transactions = self.job.transactions.chunks(WINDOW).nth(window).expect("a window of the block");
        match drafts.fill(transactions, &self.rules, self.state, &self.hasher) {
            Found::Transfers => *self.drafted[window].lock() = Some(drafts),
            Found::Others => {
                self.seat.lock().end.get_or_insert(End::NotPlain);
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Applies all windows that can be.
    fn apply(&self, seat: &mut Seat<'a>) {
        while seat.end.is_none() {
            let Some(next) = self.drafted.get(seat.windows) else { return };
            let Some(drafts) = next.lock().take() else { return };
            if let Err(end) = seat.apply(&drafts) {
                seat.end = Some(end);
                self.is_over.store(true, Ordering::Relaxed);
            }
            self.spare.lock().push(drafts);
        }
    }

    /// The block's outcome; `None` where not all of it are transfers.
    pub(super) fn finish(self) -> Result<Option<JobOutcome>, ExecuteError> {
        let is_whole = |seat: &Seat<'_>| seat.windows == self.drafted.len();
        let seat = self.seat.into_inner();
        match seat.end {
            Some(End::NotPlain) => return Ok(None),
            Some(End::Failed(error)) => return Err(error),
            Some(End::Early) => (),
            None => assert!(is_whole(&seat), "workers leave when all is applied or the block has ended"),
        }
        let count = seat.included.len();
        let busy_ns = self.busy_ns.into_inner();
        let (accounts, places) = seat.accounts.into_changes();
        Ok(Some(JobOutcome {
            ledger: seat.ledger,
            included: seat.included,
            left_out: seat.left_out,
            changes: StateChanges { accounts, ..StateChanges::default() },
            transaction_changes: Vec::new(),
            transaction_touched: Vec::new(),
            statistics: ExecutionStatistics {
                active_workers: self.active.into_inner(),
                executions: count as u64,
                executions_per_transaction: vec![1; count],
                transfers: count as u64,
                checked_transfers: seat.checked,
                busy_ns,
                ..ExecutionStatistics::default()
            },
            remains: Remains::of((places, self.spare)),
        }))
    }
}

impl Seat<'_> {
    /// Applies the next window.
    fn apply(&mut self, drafts: &Drafts) -> Result<(), End> {
        if self.job.options.interrupt.is_due() {
            return Err(match self.job.caller {
                Caller::Import => End::Failed(StateError::Interrupted.into()),
                Caller::Build(_) => End::Early,
            });
        }
        let first = self.windows * WINDOW;
        drafts.each(|offset, draft, parties| self.take_in(first + offset, draft, parties))?;
        self.windows += 1;
        Ok(())
    }

    /// Takes a transaction in or leaves it out.
    #[inline(always)]
    fn take_in(
        &mut self,
        index: usize,
        draft: &drafts::Draft,
        parties: [accounts::Party<'_>; 2],
    ) -> Result<(), End> {
        let tx = &*self.job.transactions[index];
        if let Err(reason) = self.ledger.room_for(tx) {
            return self.leave_out(LeftOut { candidate: index, reason });
        }
        let Some(transfer) = draft else { return self.refuse(index) };
        #[cfg(any(test, feature = "faults"))]
        let transfer =
            &transfer.with_fee(crate::faults::transfer_fee(self.job.options.fault, U256::from(transfer.fee)));
        let Some(applicable) = self.accounts.outcome(transfer, parties) else { return self.refuse(index) };
        if self.job.checks_transfer(tx) {
            let execution = execution_of(tx, transfer, &applicable.outcome, U256::from(transfer.fee));
            compare_with_evm(self.job, &self.accounts, index, &execution)
                .map_err(|error| End::Failed(error.into()))?;
            self.checked += 1;
        }
        self.accounts.apply(&applicable, parties, transfer.fee);
        self.ledger.push_transfer(tx, transfer.gas_used, transfer.price.into());
        self.included.push(index);
        Ok(())
    }

    /// What is not that simple may be a transaction that is invalid at its turn: the EVM has the words.
    #[cold]
    fn refuse(&mut self, index: usize) -> Result<(), End> {
        let Job { rules, block, transactions, .. } = self.job;
        let execution = Evm::new(rules, block, ViewDatabase(&self.accounts)).execute(&transactions[index]);
        match execution.map(|execution| execution.outcome) {
            Ok(Err(reason)) => self.leave_out(LeftOut { candidate: index, reason }),
            Ok(Ok(_)) | Err(_) => Err(End::NotPlain),
        }
    }

    /// A given block is refused where its other transactions are, too.
    #[cold]
    fn leave_out(&mut self, left_out: LeftOut) -> Result<(), End> {
        match self.job.caller {
            Caller::Build(_) => {
                self.left_out.push(left_out);
                Ok(())
            }
            Caller::Import => Err(End::NotPlain),
        }
    }
}
