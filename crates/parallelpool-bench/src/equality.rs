//! Whether two executions of a block came to the same: gas, receipts, bloom, every account and slot.

use parallelpool_core::block::{BlockOutcome, Receipt};
use parallelpool_core::chainspec::Fork;
use parallelpool_core::error::{CoreError, StateError};
use parallelpool_core::replay::compare_changes;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, AccountChange, StateChanges, StateView};
use revm::state::{Account as JournalAccount, EvmState};

use crate::baseline::{PlainOutcome, PlainReceipt};
use crate::workloads::BenchBlock;

/// Where our execution of a block differs from the plain loop's. Empty: nowhere.
pub fn differences(
    block: &BenchBlock,
    plain: &PlainOutcome,
    ours: &BlockOutcome,
) -> Result<Vec<String>, CoreError> {
    let mut found = Vec::new();
    if plain.gas_used != ours.gas_used {
        found.push(format!("gas used: {} against {}", plain.gas_used, ours.gas_used));
    }
    if plain.bloom != ours.bloom {
        found.push("bloom".into());
    }
    if plain.receipts.len() != ours.receipts.len() {
        found.push(format!("{} receipts against {}", plain.receipts.len(), ours.receipts.len()));
    }
    for (index, (plain, ours)) in plain.receipts.iter().zip(&ours.receipts).enumerate() {
        if !is_same_receipt(plain, ours) {
            found.push(format!("receipt {index}: {plain:?} against {ours:?}"));
        }
    }
    let changes = changes_of(&plain.state, &block.state, block.rules.fork)?;
    found.extend(compare_changes(&changes, &ours.changes));
    Ok(found)
}

fn is_same_receipt(plain: &PlainReceipt, ours: &Receipt) -> bool {
    plain.success == ours.success
        && plain.cumulative_gas_used == ours.cumulative_gas_used
        && plain.bloom == ours.bloom
        && plain.logs == ours.logs
}

/// The true changes that a journal amounts to, found by asking the state before for every account
/// and slot in it. New code is not listed: its hash is in the account.
fn changes_of(journal: &EvmState, before: &MemoryState, fork: Fork) -> Result<StateChanges, StateError> {
    let mut changes = StateChanges::default();
    for (address, account) in journal {
        let old = before.account(address)?;
        let after = after_block(account, old, fork);
        let hidden = account.is_created() || account.is_selfdestructed();
        let storage_cleared = old.is_some() && (hidden || after.is_none()) && before.has_storage(address)?;
        let mut change = AccountChange { after, storage_cleared, storage: Default::default() };
        for (slot, value) in account.storage.iter().filter(|_| after.is_some()) {
            let old = if hidden { Default::default() } else { before.storage(address, slot)? };
            if value.present_value != old {
                change.storage.insert(*slot, value.present_value);
            }
        }
        if old != after || storage_cleared || !change.storage.is_empty() {
            changes.accounts.insert(*address, change);
        }
    }
    Ok(changes)
}

fn after_block(account: &JournalAccount, old: Option<Account>, fork: Fork) -> Option<Account> {
    if !account.is_touched() {
        return old;
    }
    let vanishes = account.is_selfdestructed() || (account.is_empty() && fork >= Fork::SpuriousDragon);
    let info = &account.info;
    (!vanishes).then_some(Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash })
}
