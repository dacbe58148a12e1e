//! Transactions in order on one journal, while the window is one.
//!
//! In: committed state at the frontier. Out: the receipts of a range of transactions in the ledger, and
//! their changes in the memory of the block; a range that ends the block leaves there only what concerns
//! accounts and slots that others used, and the rest goes straight to the outcome. This is serial execution, down
//! to the code that does it: nothing is logged, published or compared.

use std::ops::Range;

use super::{Committer, with_missing};
use crate::error::CoreError;
use crate::execution::ExecuteError;
use crate::parallel::Speculation;
use crate::parallel::memory::known::{InOrderView, Known};
use crate::parallel::opening::{FORESIGHT, LOOKED_AT, Neighbours};
use crate::serial::{self, BlockRun, Done};
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

impl<'a> Committer<'a> {
    /// Executes transactions from the frontier on as serial execution does, on one journal, and commits
    /// them, as long as nothing is to be gained from others. Returns which: none where others have the
    /// next one, or the window is open.
    pub(in crate::parallel) fn execute_in_order(
        &mut self,
        speculation: &Speculation<'a>,
    ) -> Result<Range<u32>, ExecuteError> {
        let (memory, schedule) = (&speculation.memory, &speculation.schedule);
        let first = schedule.frontier();
        let Some(range) = self.claim_in_order(speculation, first) else { return Ok(first..first) };
        let transactions = &self.job.transactions;
        let known = Known::new(memory);
        let view = InOrderView { known: &known, at: first };
        let mut run = BlockRun::new(self.job, view, &transactions[range.start as usize..range.end as usize]);
        let mut end = self.run_in_order(speculation, &mut run, range.clone())?;
        let (mut claimed, mut has_room_until) = (range.end, range.end);
        while end == claimed
            && let Some(range) = self.claim_in_order(speculation, end)
        {
            claimed = range.end;
            if claimed > has_room_until {
                let ahead = (end - first).saturating_mul(FORESIGHT as u32).max(claimed - end);
                has_room_until = end.saturating_add(ahead).min(transactions.len() as u32);
                run.make_room(&transactions[end as usize..has_room_until as usize]);
            }
            end = self.run_in_order(speculation, &mut run, range)?;
        }
        let ends_block = end as usize == transactions.len();
        // What earlier ones changed is added in the end, and many changes are dear to move.
        let room = if ends_block { memory.account_count() } else { 0 };
        let (mut changes, remains) = run.into_changes(room)?;
        self.remains.push(remains);
        if ends_block {
            let (others, new_slots) = known.split_off(&mut changes, end)?;
            self.last_changes = std::mem::replace(&mut changes, others);
            self.new_slots = new_slots;
        }
        memory.take_in(end.max(1) - 1, changes);
        Ok(first..end)
    }

    fn take_in(&mut self, index: u32, tx: &RecoveredTransaction, done: Done) {
        match done {
            Done::Transfer { gas_used, price } => {
                self.statistics.transfers += 1;
                self.ledger.push_transfer(tx, gas_used, price);
                self.note_included(index, 1);
            }
            Done::CheckedTransfer(result) => {
                self.statistics.transfers += 1;
                self.statistics.checked_transfers += 1;
                self.include(index, tx, result, 1);
            }
            Done::Run(result) => self.include(index, tx, result, 1),
        }
    }

    fn claim_in_order(&self, speculation: &Speculation<'a>, first: u32) -> Option<Range<u32>> {
        let by_window = if self.shares_journal { self.window.rest() } else { 0 };
        let by_records = if self.reuses { speculation.reuse.rest(first) } else { u32::MAX };
        let rest = by_window.min(by_records);
        if rest == 0 { None } else { speculation.schedule.claim_in_order(first, rest) }
    }

    /// A rest of the window, or what of it is free. Returns where it ended: early if the execution is to
    /// end.
    fn run_in_order(
        &mut self,
        speculation: &Speculation<'a>,
        run: &mut BlockRun<'a, InOrderView<'_, '_, &'a dyn StateView>>,
        range: Range<u32>,
    ) -> Result<u32, ExecuteError> {
        let is_whole_rest = self.window.rest() == range.end - range.start;
        let mut last = Neighbours::new(speculation.threads);
        for index in range.clone() {
            if (index - range.start).is_multiple_of(serial::STRETCH as u32) {
                run.look_ahead(&self.job.transactions[index as usize..range.end as usize]);
            }
            if self.is_interrupted() {
                speculation.schedule.stop();
            }
            if speculation.schedule.is_stopped() {
                return Ok(index);
            }
            let tx = &self.job.transactions[index as usize];
            run.trace_slots(is_whole_rest && range.end - index <= LOOKED_AT);
            self.statistics.executions += 1;
            let verdict = serial::next(self.job, &self.ledger, run, tx);
            last.follow(run.take_slots());
            let verdict = verdict.map_err(|error| match error {
                CoreError::State(error) => with_missing(speculation, error),
                other => other,
            });
            match verdict? {
                Ok(done) => self.take_in(index, tx, done),
                Err(reason) => self.refuse(index, reason)?,
            }
        }
        if is_whole_rest && 2 * last.dependent >= LOOKED_AT {
            self.window.stay();
        } else {
            self.window.observe_in_order(range.end - range.start);
        }
        Ok(range.end)
    }
}
