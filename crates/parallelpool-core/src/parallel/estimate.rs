//! What a block is expected to take, by the looks of it: whether it is done sooner here than in order, and
//! which calls should begin before their turn.
//!
//! In: transactions and threads. Out: guesses that cost some nanoseconds per transaction and decide
//! nothing but time. The figures were measured on cores of about 3 GHz.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::primitives::Address;
use crate::serial::Job;
use crate::transfers::TransferRules;
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// A plain transfer by the EVM.
const TRANSFER_SERIAL_NS: u64 = 1_500;
/// A plain transfer without it, on one thread.
const TRANSFER_NS: u64 = 800;
/// A call before its first instruction.
const CALL_NS: u64 = 3_000;
/// Gas in a nanosecond of contract code. Half of the gas limit is taken to be used; above a point limits say little.
const GAS_PER_NS: u64 = 5;
const TELLING_GAS: u64 = 1_000_000;
/// Speculation on top of an execution, in per cent of it: logs, publication, comparison.
const SPECULATION_PERCENT: u64 = 15;
/// Making and taking apart what the workers share.
const SETTING_UP_NS: u64 = 15_000;
/// Waking the helpers, and their first steps.
const WAKING_NS: u64 = 25_000;

/// Whether `threads` threads are expected to beat serial execution.
pub(crate) fn is_worth_it(job: &Job<'_>, threads: usize) -> bool {
    let takes_short_cuts =
        job.options.techniques.transfers && TransferRules::new(job.rules, job.block).is_some();
    let (mut transfers, mut calls_ns) = (0_u64, 0_u64);
    // Calls of one sender follow each other.
    let mut by_sender = HashMap::<Address, u64, RandomState>::default();
    for tx in job.transactions {
        if takes_short_cuts && TransferRules::may_be_one(&tx.tx) {
            transfers += 1;
        } else {
            let own = expected_ns(tx);
            calls_ns += own;
            *by_sender.entry(tx.sender).or_default() += own;
        }
    }
    let longest_ns = by_sender.into_values().max().unwrap_or(0);
    let serial = calls_ns + transfers * TRANSFER_SERIAL_NS;
    let share = |work: u64| work / threads.max(1) as u64;
    let calls = share(calls_ns).max(longest_ns);
    let waking = if threads > 1 { WAKING_NS } else { 0 };
    let parallel =
        calls + calls * SPECULATION_PERCENT / 100 + share(transfers * TRANSFER_NS) + SETTING_UP_NS + waking;
    parallel < serial
}

/// Gas limits above this say nothing more about how long a call takes.
const MOST_GAS: u64 = 10_000_000;
/// A transfer that takes the short cut, in gas of code that takes as long.
const TRANSFER_GAS: u64 = 3_000;
/// A call may take so many times as long as its gas limit says beside others: precompiles do.
const UNDERSTATED: u64 = 16;
/// An early call is at least this part of the block.
const LEAST_PART: u64 = 100;

/// The calls that should begin before their turn, the longest first.
///
/// A long call near the block's end would be run by one worker while the others have nothing left to
/// do. It is one if it may take longer than all that follows it takes the other workers. Whatever
/// begins early reads what is outdated at its turn more often than others, so there are few: a
/// hundred at most, each twice the average at least.
pub(super) fn early(transactions: &[SharedTransaction], is_transfer: &[bool], threads: usize) -> Vec<u32> {
    let others = threads.saturating_sub(1) as u64;
    if others == 0 {
        return Vec::new();
    }
    let weight = |index: usize| match is_transfer[index] {
        true => TRANSFER_GAS,
        false => transactions[index].tx.gas_limit.min(MOST_GAS),
    };
    let total: u64 = (0..transactions.len()).map(weight).sum();
    let mut left = 0;
    let mut early = Vec::new();
    for index in (0..transactions.len()).rev() {
        let own = weight(index);
        let is_long = own * LEAST_PART >= total && own * transactions.len() as u64 >= 2 * total;
        if is_long && !is_transfer[index] && own * UNDERSTATED * others > left {
            early.push((own, index as u32));
        }
        left += own;
    }
    early.sort_unstable_by_key(|(own, index)| (Reverse(*own), *index));
    early.into_iter().map(|(_, index)| index).collect()
}

fn expected_ns(tx: &RecoveredTransaction) -> u64 {
    CALL_NS + tx.tx.gas_limit.min(TELLING_GAS) / 2 / GAS_PER_NS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::parallel::tests::{account, transaction};

    fn calls(gas_limits: &[u64]) -> Vec<SharedTransaction> {
        let call = |gas_limit: &u64| {
            let tx = transaction(account(1), 0, account(2), 0);
            let mut tx = Arc::unwrap_or_clone(tx);
            tx.tx.gas_limit = *gas_limit;
            Arc::new(tx)
        };
        gas_limits.iter().map(call).collect()
    }

    fn early_of(gas_limits: &[u64], threads: usize) -> Vec<u32> {
        early(&calls(gas_limits), &vec![false; gas_limits.len()], threads)
    }

    #[test]
    fn long_calls_begin_early_where_little_follows_them() {
        let mut limits = vec![100_000; 200];
        (limits[0], limits[150], limits[190]) = (400_000, 500_000, 600_000);

        assert_eq!(early_of(&limits, 2), [190, 150]);
    }

    #[test]
    fn equal_calls_begin_in_order() {
        assert_eq!(early_of(&[100_000; 50], 2), [0; 0]);
    }

    #[test]
    fn one_worker_has_no_other_order() {
        assert_eq!(early_of(&[21_000, 21_000, 5_000_000], 1), [0; 0]);
        assert_eq!(early_of(&[21_000, 21_000, 5_000_000], 2), [2]);
    }

    #[test]
    fn transfers_do_not_count_as_long() {
        let calls = calls(&[21_000, 9_000_000, 21_000]);

        assert_eq!(early(&calls, &[true, true, true], 2), [0; 0]);
        assert_eq!(early(&calls, &[true, false, true], 2), [1]);
    }
}
