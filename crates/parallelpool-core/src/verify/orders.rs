//! The same transactions in several orders: what must come out the same, and whether it does.

use super::{Divergence, Setting, Verification, VerifyOptions};
use crate::block::Receipt;
use crate::error::CoreError;
use crate::execution::{BuildLimits, ExecuteError, ExecuteOptions, Mode};
use crate::primitives::{B256, keccak256};
use crate::serial::{self, Caller, Job};
use crate::state::StateChanges;
use crate::tx::SharedTransaction;

/// One order's result, by index of the given order.
struct Course {
    /// The receipt, or why there is none.
    fates: Vec<Result<Receipt, String>>,
    changes: StateChanges,
    gas_used: u64,
}

/// Runs the orders and notes what they show.
pub(super) fn run(
    setting: &Setting<'_>,
    transactions: &[SharedTransaction],
    options: &VerifyOptions,
    verification: &mut Verification,
) -> Result<(), CoreError> {
    let given: Vec<u32> = (0..transactions.len() as u32).collect();
    let first = execute(setting, transactions, &given)?;
    verification.orders = 1;
    verification.gas_used = first.gas_used;
    verification.post_state = state_digest(&first.changes);
    let refused = transactions.iter().zip(&first.fates);
    verification.invalid =
        refused.filter_map(|(tx, fate)| Some((tx.tx.hash, fate.as_ref().err()?.clone()))).collect();
    let mut random = options.seed;
    for nth in 1..options.orders {
        let mut order = given.clone();
        match nth {
            1 => order.reverse(),
            _ => shuffle(&mut order, &mut random),
        }
        let other = execute(setting, transactions, &order)?;
        verification.orders += 1;
        if let Some((transaction, what)) = difference(&first, &other) {
            let transaction = transaction.map(|index| transactions[index].tx.hash);
            verification.divergence = Some(Divergence { order, transaction, what });
            return Ok(());
        }
    }
    Ok(())
}

/// Executes in one order; what is invalid at its turn is left out.
fn execute(
    setting: &Setting<'_>,
    transactions: &[SharedTransaction],
    order: &[u32],
) -> Result<Course, CoreError> {
    let ordered: Vec<_> = order.iter().map(|&index| transactions[index as usize].clone()).collect();
    let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
    let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
    let job = Job {
        rules: setting.rules,
        block: setting.block,
        transactions: &ordered,
        caller: Caller::Build(&limits),
        options: &options,
    };
    let outcome = serial::run(&job, setting.view).map_err(|error| match error {
        ExecuteError::Core(error) => error,
        refused => unreachable!("building leaves invalid transactions out: {refused}"),
    })?;
    let mut fates: Vec<Result<Receipt, String>> = vec![Err(String::new()); transactions.len()];
    for left_out in outcome.left_out {
        fates[order[left_out.candidate] as usize] = Err(left_out.reason.to_string());
    }
    let receipts = outcome.ledger.receipts();
    let gas_used = receipts.iter().map(|receipt| receipt.gas_used).sum();
    for (place, receipt) in outcome.included.into_iter().zip(receipts) {
        fates[order[place] as usize] = Ok(receipt.clone());
    }
    Ok(Course { fates, changes: outcome.changes, gas_used })
}

/// What differs between two orders, and for which transaction.
fn difference(one: &Course, other: &Course) -> Option<(Option<usize>, &'static str)> {
    let fates = one.fates.iter().zip(&other.fates).enumerate();
    for (index, fates) in fates {
        let what = match fates {
            (Ok(a), Ok(b)) if a.success != b.success => "status",
            (Ok(a), Ok(b)) if a.gas_used != b.gas_used => "gas",
            (Ok(a), Ok(b)) if a.logs != b.logs => "logs",
            // The words of a refusal hold balances, which may differ.
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => "validity",
            _ => continue,
        };
        return Some((Some(index), what));
    }
    (one.changes != other.changes).then_some((None, "state"))
}

/// Keccak of the changes in ascending order: for each account its address, a byte (1: it exists
/// afterwards, 2: its storage was cleared), nonce (8 bytes), balance and code hash (32 each, zero
/// where it does not exist), the number of changed slots (4 bytes), and each slot with its value (32
/// each). Numbers are big-endian.
pub fn state_digest(changes: &StateChanges) -> B256 {
    let mut bytes = Vec::with_capacity(changes.accounts.len() * 128);
    for (address, change) in changes.accounts.sorted() {
        let after = change.after;
        bytes.extend_from_slice(address.as_slice());
        bytes.push(u8::from(after.is_some()) | u8::from(change.storage_cleared) << 1);
        bytes.extend_from_slice(&after.map_or(0, |account| account.nonce).to_be_bytes());
        let balance = after.map(|account| account.balance).unwrap_or_default();
        bytes.extend_from_slice(&balance.to_be_bytes::<32>());
        bytes.extend_from_slice(after.map(|account| account.code_hash).unwrap_or_default().as_slice());
        bytes.extend_from_slice(&(change.storage.len() as u32).to_be_bytes());
        for (slot, value) in change.storage.sorted() {
            bytes.extend_from_slice(&slot.to_be_bytes::<32>());
            bytes.extend_from_slice(&value.to_be_bytes::<32>());
        }
    }
    keccak256(bytes)
}

/// Fisher and Yates's shuffle on splitmix64: written down, so that others can repeat it.
fn shuffle(order: &mut [u32], state: &mut u64) {
    for last in (1..order.len()).rev() {
        let other = (next_random(state) % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
}

fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
