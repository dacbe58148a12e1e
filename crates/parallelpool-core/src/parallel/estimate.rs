//! Whether a block is expected to be done sooner here than in order, by the looks of it.
//!
//! In: transactions and threads. Out: a guess that costs some nanoseconds per transaction and decides
//! nothing but time. The figures were measured on cores of about 3 GHz.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::primitives::Address;
use crate::serial::Job;
use crate::transfers::TransferRules;
use crate::tx::RecoveredTransaction;

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

fn expected_ns(tx: &RecoveredTransaction) -> u64 {
    CALL_NS + tx.tx.gas_limit.min(TELLING_GAS) / 2 / GAS_PER_NS
}
