//! What blocks teach: templates are learned from transactions that made it into one.
//!
//! In: a block's transactions and the state before it. Out: templates that know more. A run ahead of
//! need whose transaction landed is learned from as it is; others run alone on that state, within
//! [`super::Bounds::lesson_gas`]. Transactions that nobody includes, and so nobody pays for, teach
//! nothing: templates cannot be turned or flushed for free.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::book::Book;
use super::{Predictions, count};
use crate::access::{AccessSet, AccessSource};
use crate::error::StateError;
use crate::evm::{Limit, Preimage};
use crate::preexecute::PreExecution;
use crate::primitives::B256;
use crate::tx::{RecoveredTransaction, SharedTransaction};
use crate::workers::{Outranked, Priority, Workers};

/// A run to learn from.
#[derive(Debug, Clone)]
pub(super) struct Lesson {
    set: Arc<AccessSet>,
    preimages: Arc<[Preimage]>,
}

/// Runs ahead of need of transactions in a block, by hash.
pub(super) type Landed = HashMap<B256, Lesson, RandomState>;

/// Takes a block's transactions out of the book.
pub(super) fn landed(book: &mut Book, transactions: &[SharedTransaction]) -> Landed {
    let mut landed = Landed::default();
    for tx in transactions {
        let Some(held) = book.get(&tx.tx.hash) else { continue };
        if held.set.source == AccessSource::Trace {
            let lesson = Lesson { set: Arc::clone(&held.set), preimages: Arc::clone(&held.preimages) };
            landed.insert(tx.tx.hash, lesson);
        }
        book.remove(&tx.tx.hash);
    }
    landed
}

/// Within which what has not run yet may run.
struct Course<'a> {
    at: PreExecution<'a>,
    landed: Landed,
    gas_left: AtomicU64,
    outranked: Outranked,
    time: Duration,
    end: Instant,
}

impl Predictions {
    /// Learns from a block's calls; `at` is the block and the state before it. Runs that are needed
    /// for that take at most `gas`, are done by idle workers, and none begins after `patience`.
    /// Returns how many calls were learned from.
    pub fn learn(
        &self,
        at: PreExecution<'_>,
        workers: &Workers,
        transactions: &[SharedTransaction],
        gas: u64,
        patience: Duration,
    ) -> Result<usize, StateError> {
        let bounds = self.bounds();
        let course = Course {
            at: PreExecution { gas_limit: bounds.gas, ..at },
            landed: self.landed_of(transactions),
            gas_left: AtomicU64::new(gas.min(bounds.lesson_gas)),
            outranked: workers.outranked_by(Priority::Execution),
            time: bounds.time,
            end: Instant::now() + patience,
        };
        let one = |tx: &SharedTransaction| self.lesson(&course, tx);
        let lessons = workers.map_at(Priority::PreExecution, transactions, one);
        let mut learned = 0;
        // In the order of the block, so that a chain teaches the same whoever ran what first.
        for (tx, lesson) in transactions.iter().zip(lessons) {
            let Some(Lesson { set, preimages }) = lesson? else { continue };
            learned += usize::from(self.templates.learn(tx, &set, &preimages, at.view)?);
        }
        Ok(learned)
    }

    fn landed_of(&self, transactions: &[SharedTransaction]) -> Landed {
        let landed = &mut self.inner.lock().landed;
        transactions.iter().filter_map(|tx| landed.remove_entry(&tx.tx.hash)).collect()
    }

    fn lesson(&self, course: &Course<'_>, tx: &RecoveredTransaction) -> Result<Option<Lesson>, StateError> {
        if let Some(lesson) = course.landed.get(&tx.tx.hash) {
            return Ok(Some(lesson.clone()));
        }
        if course.outranked.is_now()
            || Instant::now() >= course.end
            || !self.templates.can_learn_from(tx, course.at.view)?
        {
            return Ok(None);
        }
        let most = tx.tx.gas_limit.min(course.at.gas_limit);
        let take = |left: u64| left.checked_sub(most);
        if course.gas_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Ok(None);
        }
        let began = Instant::now();
        let limit = Limit {
            deadline: Some(began + course.time),
            outranked: Some(course.outranked.clone()),
            ..Limit::default()
        };
        let run = course.at.trace(tx, limit);
        let elapsed = began.elapsed();
        count(&self.sums.busy_ns, usize::try_from(elapsed.as_nanos()).unwrap_or(usize::MAX));
        let prediction = match run {
            Ok(prediction) => prediction,
            Err(StateError::Interrupted) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(trial) = prediction.trial else { return Ok(None) };
        self.sums.gas.fetch_add(trial.gas, Ordering::Relaxed);
        course.gas_left.fetch_add(most.saturating_sub(trial.gas), Ordering::Relaxed);
        Ok(Some(Lesson { set: Arc::new(prediction.set), preimages: trial.preimages.into() }))
    }
}
