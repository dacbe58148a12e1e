//! What is expected of pooled transactions, found ahead of need and kept until a head changes it.
//!
//! In: transactions in the order of their worth, the head. Out: access sets at once for those that
//! are known, runs within [`Bounds`] for the others, and records of those runs for the executor.
//! Whatever a sender does here costs time within the bounds and never state.

mod book;
mod budget;
mod learning;
mod readers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::book::{Book, Held};
use self::budget::Budget;
use self::learning::Landed;
use crate::access::{AccessSet, AccessSource};
use crate::error::StateError;
use crate::evm::{Limit, Preimage};
use crate::preexecute::{PreExecution, Prediction, Trial};
use crate::primitives::{Address, B256};
use crate::record::AccessRecord;
use crate::state::{Account, StateChanges};
use crate::templates::{Probes, Templates};
use crate::tx::{RecoveredTransaction, SharedTransaction};
use crate::workers::{Outranked, Priority, Workers};

/// How much is done ahead of need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Gas above which a run gives up; the accesses then stay unknown.
    pub gas: u64,
    /// Time above which a run gives up.
    pub time: Duration,
    /// Runs of one transaction on one head.
    pub runs: u32,
    /// Gas of all runs for one sender on one head. What was stopped by the clock counts in full.
    pub sender_gas: u64,
    /// Locations that are kept in all: access sets, what they rest on, and records.
    pub locations: usize,
    /// Gas of runs that do nothing but teach what a block's calls access, for one block.
    pub lesson_gas: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            gas: 5_000_000,
            time: Duration::from_millis(50),
            runs: 2,
            sender_gas: 20_000_000,
            locations: 2_000_000,
            lesson_gas: 30_000_000,
        }
    }
}

/// Sums since the start, and what is held now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PredictionStatistics {
    /// Predictions that hold on the head.
    pub held: u64,
    /// Those of them with a record for the executor.
    pub records: u64,
    /// Runs that came to an end.
    pub runs: u64,
    /// Runs that hit the cap of gas.
    pub capped: u64,
    /// Runs stopped because execution wanted the thread.
    pub cancelled: u64,
    /// Runs stopped by the clock.
    pub timed_out: u64,
    /// Runs refused because the sender or the transaction had had its share on this head.
    pub refused: u64,
    /// Predictions dropped because a head changed what they read.
    pub stale: u64,
    /// Time of all runs in nanoseconds, probes included.
    pub busy_ns: u64,
    /// Gas of all runs but probes.
    pub gas: u64,
    /// Answers that a template gave.
    pub by_template: u64,
    /// Templates there are.
    pub templates: u64,
    /// Calls that templates were learned from, by earlier daemons too.
    pub lessons: u64,
}

#[derive(Debug, Default)]
struct Sums {
    runs: AtomicU64,
    capped: AtomicU64,
    cancelled: AtomicU64,
    timed_out: AtomicU64,
    refused: AtomicU64,
    stale: AtomicU64,
    busy_ns: AtomicU64,
    gas: AtomicU64,
    by_template: AtomicU64,
}

/// What is known of one transaction now.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its accesses, from the best source there is.
    pub set: Arc<AccessSet>,
    /// Whether this is the last word on this head. Otherwise a run may find more.
    pub is_settled: bool,
}

/// See the head of the module. Shared by reference.
#[derive(Debug)]
pub struct Predictions {
    bounds: Mutex<Bounds>,
    inner: Mutex<Inner>,
    templates: Templates,
    probes: Probes,
    sums: Sums,
}

#[derive(Debug)]
struct Inner {
    /// Counts heads: a run that spans a change of head is not kept.
    epoch: u64,
    book: Book,
    budget: Budget,
    /// Runs ahead of need of the newest block's transactions, until they are learned from.
    landed: Landed,
}

impl Default for Predictions {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

/// The head that predictions are made on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// [`Predictions::epoch`], taken before the state was.
    pub epoch: u64,
    /// Rules, block and state. Its gas limit is not read: the bounds have one.
    pub at: PreExecution<'a>,
}

impl Predictions {
    /// Nothing known yet.
    pub fn new(bounds: Bounds) -> Self {
        let book = Book::new(bounds.locations);
        let inner = Inner { epoch: 0, book, budget: Budget::default(), landed: Landed::default() };
        Self {
            bounds: Mutex::new(bounds),
            inner: Mutex::new(inner),
            templates: Templates::default(),
            probes: Probes::default(),
            sums: Sums::default(),
        }
    }

    /// Other bounds from now on; what is held goes.
    pub fn set_bounds(&self, bounds: Bounds) {
        *self.bounds.lock() = bounds;
        let mut inner = self.inner.lock();
        inner.book = Book::new(bounds.locations);
        inner.budget = Budget::default();
    }

    /// The bounds in force.
    pub fn bounds(&self) -> Bounds {
        *self.bounds.lock()
    }

    /// What runs have taught about calls.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// To be taken before the head's state is, for [`Ground`].
    pub fn epoch(&self) -> u64 {
        self.inner.lock().epoch
    }

    /// What is known of each transaction without running any, in order.
    pub fn known(
        &self,
        ground: &Ground<'_>,
        transactions: &[SharedTransaction],
    ) -> Result<Vec<Expected>, StateError> {
        transactions.iter().map(|tx| self.known_of(ground, tx)).collect()
    }

    /// The same after running those that are not settled, the first first, by idle workers.
    ///
    /// What the bounds or work of higher priority leave no room for has the answer of [`Self::known`],
    /// and so has what has not begun after `patience`.
    pub fn predict(
        &self,
        ground: &Ground<'_>,
        workers: &Workers,
        transactions: &[SharedTransaction],
        patience: Duration,
    ) -> Result<Vec<Expected>, StateError> {
        let outranked = workers.outranked_by(Priority::Execution);
        let end = Instant::now() + patience;
        let one = |tx: &SharedTransaction| self.predict_one(ground, tx, &outranked, end);
        workers.map_at(Priority::PreExecution, transactions, one).into_iter().collect()
    }

    /// Records for the executor, one place for each transaction; empty where there is none at all.
    pub fn records(&self, transactions: &[SharedTransaction]) -> Vec<Option<Arc<AccessRecord>>> {
        let inner = self.inner.lock();
        let record_of = |tx: &SharedTransaction| inner.book.get(&tx.tx.hash)?.record.clone();
        let records: Vec<_> = transactions.iter().map(record_of).collect();
        if records.iter().all(Option::is_none) { Vec::new() } else { records }
    }

    /// To be called after the head has changed, with the new block's transactions, what it changed and
    /// the accounts as they were before it.
    pub fn head_moved(
        &self,
        transactions: &[SharedTransaction],
        changes: &StateChanges,
        before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
    ) {
        let mut inner = self.inner.lock();
        inner.epoch += 1;
        inner.budget = Budget::default();
        inner.landed = learning::landed(&mut inner.book, transactions);
        self.probes.head_moved();
        let dropped = inner.book.drop_stale(changes, before).unwrap_or_else(|_| {
            // The block is stored whatever can be read of its parent; hints can be found anew.
            let held = inner.book.len();
            inner.book.clear();
            held
        });
        count(&self.sums.stale, dropped);
    }

    /// To be called after blocks were taken off the chain: nothing is known any more.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.epoch += 1;
        inner.book.clear();
        inner.budget = Budget::default();
        inner.landed.clear();
        self.probes.head_moved();
    }

    /// Forgets transactions that left the pool.
    pub fn forget<'a>(&self, hashes: impl IntoIterator<Item = &'a B256>) {
        let mut inner = self.inner.lock();
        for hash in hashes {
            inner.book.remove(hash);
        }
    }

    /// Transactions that something is held of, in no order.
    pub fn hashes(&self) -> Vec<B256> {
        self.inner.lock().book.hashes().copied().collect()
    }

    /// Figures for people and metrics.
    pub fn statistics(&self) -> PredictionStatistics {
        let (held, records) = {
            let inner = self.inner.lock();
            (inner.book.len() as u64, inner.book.records() as u64)
        };
        let sums = &self.sums;
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        PredictionStatistics {
            held,
            records,
            runs: read(&sums.runs),
            capped: read(&sums.capped),
            cancelled: read(&sums.cancelled),
            timed_out: read(&sums.timed_out),
            refused: read(&sums.refused),
            stale: read(&sums.stale),
            busy_ns: read(&sums.busy_ns),
            gas: read(&sums.gas),
            by_template: read(&sums.by_template),
            templates: self.templates.len() as u64,
            lessons: self.templates.lessons(),
        }
    }

    fn known_of(&self, ground: &Ground<'_>, tx: &RecoveredTransaction) -> Result<Expected, StateError> {
        if let Some(set) = self.held(&tx.tx.hash) {
            return Ok(Expected { set, is_settled: true });
        }
        if let Some(set) = ground.at.transfer(tx)? {
            return Ok(Expected { set: Arc::new(set), is_settled: true });
        }
        let mut learned = self.templates.predict(tx, ground.at.view)?;
        if learned.is_none() {
            learned = self.probes.predict(tx, ground.at.view)?;
        }
        let set = learned.unwrap_or_else(|| AccessSet::of_envelope(tx));
        count(&self.sums.by_template, usize::from(set.source == AccessSource::Template));
        Ok(Expected { set: Arc::new(set), is_settled: false })
    }

    fn predict_one(
        &self,
        ground: &Ground<'_>,
        tx: &RecoveredTransaction,
        outranked: &Outranked,
        end: Instant,
    ) -> Result<Expected, StateError> {
        let mut known = self.known_of(ground, tx)?;
        let bounds = self.bounds();
        if known.is_settled || outranked.is_now() || Instant::now() >= end {
            return Ok(known);
        }
        if known.set.source < AccessSource::History && self.probe(ground, tx, outranked)? {
            known = self.known_of(ground, tx)?;
        }
        let most = tx.tx.gas_limit.min(bounds.gas);
        if !self.inner.lock().budget.take(tx, most, &bounds) {
            count(&self.sums.refused, 1);
            return Ok(known);
        }
        let began = Instant::now();
        let limit = Limit {
            deadline: Some(began + bounds.time),
            outranked: Some(outranked.clone()),
            ..Limit::default()
        };
        let at = PreExecution { gas_limit: bounds.gas, ..ground.at };
        let run = at.predict(tx, limit);
        let elapsed = began.elapsed();
        count(&self.sums.busy_ns, usize::try_from(elapsed.as_nanos()).unwrap_or(usize::MAX));
        match run {
            Ok(prediction) => Ok(self.keep(ground.epoch, tx, prediction, most)),
            Err(StateError::Interrupted) => {
                let is_over = elapsed >= bounds.time;
                count(if is_over { &self.sums.timed_out } else { &self.sums.cancelled }, 1);
                Ok(known)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs code that no block has called yet on a made-up state, for this call and the next ones like
    /// it. Whether there was a run.
    fn probe(
        &self,
        ground: &Ground<'_>,
        tx: &RecoveredTransaction,
        outranked: &Outranked,
    ) -> Result<bool, StateError> {
        let began = Instant::now();
        let deadline = Some(began + self.bounds().time);
        let limit = Limit { deadline, outranked: Some(outranked.clone()), ..Limit::default() };
        let probed = self.probes.probe(tx, ground.at, &limit);
        count(&self.sums.busy_ns, usize::try_from(began.elapsed().as_nanos()).unwrap_or(usize::MAX));
        match probed {
            Err(StateError::Interrupted) => Ok(false),
            has_run => has_run,
        }
    }

    fn keep(&self, epoch: u64, tx: &RecoveredTransaction, prediction: Prediction, most: u64) -> Expected {
        let Prediction { set, reads, environment, trial } = prediction;
        let set = Arc::new(set);
        // Why it cannot run may be a matter of fees, which are not among what it read.
        let cannot_run = !set.is_known() && trial.as_ref().is_none_or(|trial| trial.is_complete);
        let (record, preimages) = match trial {
            Some(trial) => self.count_trial(tx, trial, most),
            None => (None, Vec::new()),
        };
        let (reads, preimages) = (reads.into_iter().collect(), preimages.into());
        let held = Held { set: Arc::clone(&set), record, reads, environment, preimages };
        let mut inner = self.inner.lock();
        if inner.epoch == epoch && !cannot_run {
            inner.book.put(tx.tx.hash, held);
        }
        Expected { set, is_settled: true }
    }

    /// Gives back what the run has not taken of the gas that was set aside for it.
    fn count_trial(
        &self,
        tx: &RecoveredTransaction,
        trial: Trial,
        most: u64,
    ) -> (Option<Arc<AccessRecord>>, Vec<Preimage>) {
        count(&self.sums.runs, 1);
        count(&self.sums.capped, usize::from(!trial.is_complete));
        self.sums.gas.fetch_add(trial.gas, Ordering::Relaxed);
        self.inner.lock().budget.give_back(&tx.sender, most.saturating_sub(trial.gas));
        (trial.record.map(Arc::new), trial.preimages)
    }

    fn held(&self, hash: &B256) -> Option<Arc<AccessSet>> {
        self.inner.lock().book.get(hash).map(|held| Arc::clone(&held.set))
    }
}

fn count(sum: &AtomicU64, by: usize) {
    sum.fetch_add(by as u64, Ordering::Relaxed);
}
