//! From revm's journal to the true changes of one transaction.

use revm::primitives::hardfork::SpecId;
use revm::state::{Account as JournalAccount, EvmState};

use super::TouchedAccount;
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, U256};
use crate::state::{Account, AccountWrite};

/// Changes and new code of a transaction that ran on an empty journal. Empty accounts are gone
/// afterwards (EIP-161), but for the one that is still to be `paid`.
pub(super) fn collect(
    state: &EvmState,
    spec: SpecId,
    paid: Option<Address>,
) -> (Vec<AccountWrite>, Vec<(B256, Bytecode)>) {
    let mut writes = Vec::new();
    let mut codes = Vec::new();
    for (address, account) in state {
        let clears_empty = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && paid != Some(*address);
        if let Some(write) = account_write(*address, account, clears_empty) {
            codes.extend(new_code(account, &write));
            writes.push(write);
        }
    }
    (writes, codes)
}

/// Every account and slot that was loaded.
pub(super) fn touched(state: &EvmState) -> Vec<TouchedAccount> {
    state
        .iter()
        .map(|(address, account)| TouchedAccount {
            address: *address,
            slots: account.storage.keys().copied().collect(),
        })
        .collect()
}

fn account_write(address: Address, account: &JournalAccount, clears_empty: bool) -> Option<AccountWrite> {
    if !account.is_touched() && !account.is_selfdestructed_locally() {
        return None;
    }
    let existed = !account.is_loaded_as_not_existing();
    let vanishes = account.is_selfdestructed_locally() || (account.is_empty() && clears_empty);
    if vanishes {
        return existed.then(|| AccountWrite {
            address,
            account: Some(None),
            storage_cleared: true,
            storage: Vec::new(),
        });
    }
    let fields_changed = !existed || account.is_changed();
    let storage_cleared = existed && account.is_created();
    let storage: Vec<(U256, U256)> =
        account.changed_storage_slots().map(|(slot, value)| (*slot, value.present_value)).collect();
    if !fields_changed && !storage_cleared && storage.is_empty() {
        return None;
    }
    let after = fields_changed.then(|| Some(fields(account)));
    Some(AccountWrite { address, account: after, storage_cleared, storage })
}

/// Nonce, balance and code hash of a journal's account.
pub(crate) fn fields(account: &JournalAccount) -> Account {
    let info = &account.info;
    Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
}

fn new_code(account: &JournalAccount, write: &AccountWrite) -> Option<(B256, Bytecode)> {
    let after = write.account??;
    let code = account.info.code.as_ref()?;
    let can_be_new = account.is_created() || code.is_eip7702();
    if after.code_hash == KECCAK_EMPTY || !can_be_new {
        return None;
    }
    (account.original_info().code_hash != after.code_hash).then(|| (after.code_hash, code.clone()))
}
