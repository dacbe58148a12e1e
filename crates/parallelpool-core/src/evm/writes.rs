//! From revm's journal to the true changes of one transaction.

use revm::primitives::hardfork::SpecId;
use revm::state::{Account as JournalAccount, EvmState};

use super::TouchedAccount;
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, U256};
use crate::state::{Account, AccountWrite};

/// Lists of writes that are done with: their room serves the next ones.
#[derive(Debug, Default)]
pub(super) struct SpareLists {
    writes: Vec<AccountWrite>,
    slots: Vec<Vec<(U256, U256)>>,
}

/// Lists of slots that are kept at most, and their room.
const MOST_SPARE: usize = 16;
const MOST_ROOM: usize = 64;

impl SpareLists {
    /// Keeps the room of these.
    pub(super) fn keep(&mut self, mut writes: Vec<AccountWrite>) {
        for AccountWrite { mut storage, .. } in writes.drain(..) {
            if (1..=MOST_ROOM).contains(&storage.capacity()) && self.slots.len() < MOST_SPARE {
                storage.clear();
                self.slots.push(storage);
            }
        }
        if writes.capacity() <= MOST_ROOM {
            self.writes = writes;
        }
    }
}

/// Changes and new code of a transaction that ran on an empty journal. Empty accounts are gone
/// afterwards (EIP-161), but for the one that is still to be `paid`.
pub(super) fn collect(
    state: &EvmState,
    spec: SpecId,
    paid: Option<Address>,
    spare: &mut SpareLists,
) -> (Vec<AccountWrite>, Vec<(B256, Bytecode)>) {
    let mut writes = std::mem::take(&mut spare.writes);
    let mut codes = Vec::new();
    for (address, account) in state {
        let clears_empty = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && paid != Some(*address);
        if let Some(write) = account_write(*address, account, clears_empty, &mut spare.slots) {
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

fn account_write(
    address: Address,
    account: &JournalAccount,
    clears_empty: bool,
    spare: &mut Vec<Vec<(U256, U256)>>,
) -> Option<AccountWrite> {
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
    let mut changed =
        account.changed_storage_slots().map(|(slot, value)| (*slot, value.present_value)).peekable();
    let mut storage = Vec::new();
    if changed.peek().is_some() {
        storage = spare.pop().unwrap_or_default();
        storage.extend(changed);
    }
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
