//! Whether executions of a block came to the same: gas, receipts, bloom, every account and slot.

use parallelpool_core::block::Receipt;
use parallelpool_core::chainspec::Fork;
use parallelpool_core::error::StateError;
use parallelpool_core::execution::BlockOutcome;
use parallelpool_core::primitives::Bloom;
use parallelpool_core::replay::compare_changes;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, AccountChange, StateChanges, StateView};
use revm::state::{Account as JournalAccount, EvmState};

use crate::baseline::{PlainOutcome, PlainReceipt};
use crate::workload::BenchBlock;

/// What a block comes to by the plain loop.
#[derive(Debug)]
pub struct Reference<'a> {
    block: &'a BenchBlock,
    receipts: Vec<PlainReceipt>,
    gas_used: u64,
    bloom: Bloom,
    changes: StateChanges,
}

impl<'a> Reference<'a> {
    /// Takes an outcome of the plain loop as the measure for others.
    pub fn new(block: &'a BenchBlock, plain: PlainOutcome) -> Result<Self, StateError> {
        let changes = changes_of(&plain.state, &block.state, block.rules.fork)?;
        let PlainOutcome { receipts, gas_used, bloom, state: _ } = plain;
        Ok(Self { block, receipts, gas_used, bloom, changes })
    }

    /// Gas of the whole block.
    pub fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Where our execution of the block differs. Empty: nowhere.
    pub fn differences(&self, ours: &BlockOutcome) -> Vec<String> {
        let mut found = self.header_differences(ours.gas_used, ours.bloom, ours.receipts.len());
        for (index, (plain, ours)) in self.receipts.iter().zip(&ours.receipts).enumerate() {
            if !is_same_receipt(plain, ours) {
                found.push(format!("receipt {index}: {plain:?} against {ours:?}"));
            }
        }
        found.extend(self.change_differences(&ours.changes));
        found
    }

    /// Where another execution by the plain loop differs.
    pub fn plain_differences(&self, other: &PlainOutcome) -> Result<Vec<String>, StateError> {
        let mut found = self.header_differences(other.gas_used, other.bloom, other.receipts.len());
        if self.receipts != other.receipts {
            found.push("receipts".into());
        }
        let changes = changes_of(&other.state, &self.block.state, self.block.rules.fork)?;
        found.extend(self.change_differences(&changes));
        Ok(found)
    }

    fn header_differences(&self, gas_used: u64, bloom: Bloom, receipts: usize) -> Vec<String> {
        let mut found = Vec::new();
        if self.gas_used != gas_used {
            found.push(format!("gas used: {} against {gas_used}", self.gas_used));
        }
        if self.bloom != bloom {
            found.push("bloom".into());
        }
        if self.receipts.len() != receipts {
            found.push(format!("{} receipts against {receipts}", self.receipts.len()));
        }
        found
    }

    /// New code is not compared byte by byte: its hash is in the account.
    fn change_differences(&self, changes: &StateChanges) -> Vec<String> {
        if self.changes.accounts == changes.accounts {
            return Vec::new();
        }
        let others = StateChanges { accounts: changes.accounts.clone(), codes: Default::default() };
        compare_changes(&self.changes, &others)
    }
}

fn is_same_receipt(plain: &PlainReceipt, ours: &Receipt) -> bool {
    plain.success == ours.success
        && plain.cumulative_gas_used == ours.cumulative_gas_used
        && plain.bloom == ours.bloom
        && plain.logs == ours.logs
}

/// The true changes that a journal amounts to, found by asking the state before for every account
/// and slot in it.
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
