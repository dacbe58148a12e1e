//! A block's beginning that may be one long chain.
//!
//! In: a long block that begins with short calls of one contract. They may all wait for each other, and to
//! run a few of them in order is the way to know: as long as they do, the block goes on that way, and
//! nothing of what workers share is made. Out: the whole outcome where the chain ends the block, else what
//! the first transactions did, for the workers to go on from.

use std::collections::VecDeque;

use super::window::MOST_REST;
use crate::evm::SlotTrace;
use crate::execution::ExecuteError;
use crate::primitives::{Address, KECCAK_EMPTY};
use crate::serial::{BlockRun, Course, Job, JobOutcome, STRETCH};
use crate::state::StateView;
use crate::tx::SharedTransaction;

/// Transactions whose slots are compared.
pub(super) const LOOKED_AT: u32 = 16;
/// The block is so many times as long as one look at least, that the look is a small part of it.
const FAR_LONGER: u32 = 64;
/// Calls of more gas take too long to run a few of them in order for nothing.
const SHORT_CALL_GAS: u64 = 200_000;
/// A journal that goes on gets room for so many times the transactions that it has run: then few are
/// copied when it grows, and one that ends soon takes little memory.
pub(super) const FORESIGHT: usize = 16;

/// The transactions from the first on that had their turns in order.
pub(crate) struct Opening<'a> {
    job: &'a Job<'a>,
    course: Course<'a>,
    run: BlockRun<'a, &'a dyn StateView>,
    threads: usize,
    /// It has come to its end, or the execution is to end.
    is_done: bool,
}

impl<'a> Opening<'a> {
    /// Runs what a block begins with, if it looks like a chain that is worth it.
    pub(crate) fn of(
        job: &'a Job<'a>,
        state: &'a dyn StateView,
        threads: usize,
    ) -> Result<Option<Self>, ExecuteError> {
        let Some(called) = code_called_first(job, state) else { return Ok(None) };
        let course = Course::new(job);
        let run = BlockRun::new(job, state, &job.transactions[..LOOKED_AT as usize]);
        let mut opening = Self { job, course, run, threads, is_done: false };
        opening.go_on(called)?;
        Ok(Some(opening))
    }

    /// Whether nothing is left to be executed.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// How many transactions had their turns.
    pub(crate) fn end(&self) -> usize {
        self.course.end
    }

    /// The outcome, as the parallel executor's where it is done. Else all that are left have their turns in
    /// order too.
    pub(crate) fn finish(mut self) -> Result<JobOutcome, ExecuteError> {
        if self.is_done {
            let mut outcome = self.course.into_outcome(self.run)?;
            (outcome.statistics.parallel, outcome.statistics.threads) = (true, self.threads);
            return Ok(outcome);
        }
        self.run.make_room(&self.job.transactions[self.course.end..]);
        self.course.finish(self.run)
    }

    /// What they did, and their journal.
    pub(super) fn into_parts(self) -> (Course<'a>, BlockRun<'a, &'a dyn StateView>) {
        (self.course, self.run)
    }

    /// Goes on as long as calls of that contract follow each other and wait for each other.
    fn go_on(&mut self, called: Address) -> Result<(), ExecuteError> {
        let count = self.job.transactions.len();
        let mut rest = LOOKED_AT;
        let mut has_room_until = rest as usize;
        loop {
            let next = &self.job.transactions[self.course.end..];
            let alike = next.iter().take(rest as usize).take_while(|tx| is_short_call(tx, called)).count();
            let end = self.course.end + alike;
            if end > has_room_until {
                has_room_until = (end + FORESIGHT * self.course.end).min(count);
                self.run.make_room(&self.job.transactions[self.course.end..has_room_until]);
            }
            let Some(neighbours) = self.run_until(end)? else {
                self.is_done = true;
                return Ok(());
            };
            self.is_done = end == count;
            // Alone there is nobody for others to wait for.
            let goes_on = self.threads == 1 || 2 * neighbours.dependent >= LOOKED_AT;
            if self.is_done || alike < rest as usize || !goes_on {
                return Ok(());
            }
            rest = (2 * rest).min(MOST_REST);
        }
    }

    /// Runs the transactions before `end` and looks at the last of them. `None` if the execution is to end.
    fn run_until(&mut self, end: usize) -> Result<Option<Neighbours>, ExecuteError> {
        let mut last = Neighbours::new(self.threads);
        let first = self.course.end;
        while self.course.end < end {
            let at = self.course.end;
            if (at - first).is_multiple_of(STRETCH) {
                self.run.look_ahead(&self.job.transactions[at..end]);
            }
            self.run.trace_slots(end - at <= LOOKED_AT as usize);
            if !self.course.step(&mut self.run)? {
                return Ok(None);
            }
            last.follow(self.run.take_slots());
        }
        self.run.trace_slots(false);
        Ok(Some(last))
    }
}

/// The contract that a long block's first transactions all call, if what each of them did by itself need
/// not be known.
fn code_called_first(job: &Job<'_>, state: &dyn StateView) -> Option<Address> {
    let Job { transactions, options, .. } = job;
    let wants_each = options.recheck || options.keep_transaction_changes || options.keep_touched;
    let reuses = options.techniques.reuse && !options.records.is_empty();
    if wants_each || reuses || !options.techniques.adaptive_window {
        return None;
    }
    if transactions.len() < (FAR_LONGER * LOOKED_AT) as usize {
        return None;
    }
    let called = transactions[0].tx.to?;
    if !transactions[..LOOKED_AT as usize].iter().all(|tx| is_short_call(tx, called)) {
        return None;
    }
    // What the view fails to tell it is asked again, where failures are reported.
    let account = state.account(&called).ok().flatten()?;
    (account.code_hash != KECCAK_EMPTY).then_some(called)
}

fn is_short_call(tx: &SharedTransaction, called: Address) -> bool {
    tx.tx.to == Some(called) && tx.tx.gas_limit <= SHORT_CALL_GAS
}

/// Looks at transactions one after another, and counts those that would not go well with the others
/// that as many workers would run at the same time.
pub(super) struct Neighbours {
    /// The slots of the last transactions, the newest last.
    slots: VecDeque<SlotTrace>,
    others: usize,
    pub(super) dependent: u32,
}

impl Neighbours {
    pub(super) fn new(threads: usize) -> Self {
        Self { slots: VecDeque::new(), others: threads - 1, dependent: 0 }
    }

    pub(super) fn follow(&mut self, slots: Option<SlotTrace>) {
        let Some(slots) = slots else { return };
        self.dependent += u32::from(self.slots.iter().any(|earlier| slots.depends_on(earlier)));
        self.slots.push_back(slots);
        if self.slots.len() > self.others {
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::block::BlockContext;
    use crate::execution::ExecuteOptions;
    use crate::parallel::tests::{account, block, dependent_chain, job, rules, state, transaction};
    use crate::tx::RecoveredTransaction;

    fn changed(
        calls: &[SharedTransaction],
        index: usize,
        change: fn(&mut RecoveredTransaction),
    ) -> Vec<SharedTransaction> {
        let mut calls = calls.to_vec();
        change(Arc::make_mut(&mut calls[index]));
        calls
    }

    #[test]
    fn a_long_block_of_short_calls_of_one_contract_is_told_by_its_beginning() {
        let looks_like_one = |calls: &[SharedTransaction], options: ExecuteOptions| {
            let (rules, block) = (rules(), block());
            code_called_first(&job(&rules, &block, calls, &options), &state()).is_some()
        };
        let is_one = |calls: &[SharedTransaction]| looks_like_one(calls, ExecuteOptions::default());
        let calls = dependent_chain(1_024);

        assert!(is_one(&calls));
        assert!(!is_one(&calls[1..]));
        for index in [0, 1, 15] {
            assert!(!is_one(&changed(&calls, index, |tx| tx.tx.to = Some(account(9)))));
            assert!(!is_one(&changed(&calls, index, |tx| tx.tx.gas_limit = 1_000_000)));
        }
        assert!(is_one(&changed(&calls, 16, |tx| tx.tx.to = None)));
        let transfers: Vec<_> = (0..1_024).map(|at| transaction(account(at), 0, account(2_000), 1)).collect();
        assert!(!is_one(&transfers), "no code is called");
        assert!(!looks_like_one(&calls, ExecuteOptions { recheck: true, ..ExecuteOptions::default() }));
        assert!(!looks_like_one(&calls, ExecuteOptions { records: vec![None], ..ExecuteOptions::default() }));
    }

    #[test]
    fn it_goes_on_as_long_as_calls_of_one_contract_wait_for_each_other() {
        let (rules, options) = (rules(), ExecuteOptions::default());
        let block = BlockContext { gas_limit: 1_000_000_000, ..block() };
        let end = |calls: &[SharedTransaction]| {
            let state = state();
            let job = job(&rules, &block, calls, &options);
            let opening = Opening::of(&job, &state, 2).expect("valid").expect("it looks like a chain");
            (opening.end(), opening.is_done())
        };
        let calls = dependent_chain(2_000);

        assert_eq!(end(&calls), (2_000, true));
        assert_eq!(end(&changed(&calls, 700, |tx| tx.tx.to = Some(account(9)))), (700, false));
        assert_eq!(end(&changed(&calls, 30, |tx| tx.tx.gas_limit = 300_000)), (30, false));
    }
}
