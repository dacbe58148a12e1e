//! Block access lists (EIP-7928): every account and slot a block touches, and every value it leaves.
//!
//! In: an execution, or the bytes of a list that came with a block. Out: the list of the execution,
//! or an execution that took its reads from the list and proved every entry of it.
//!
//! A list is a statement to be checked, never a source to be trusted: whatever is wrong with it is
//! named by [`WrongAccessList`], by the first index and entry that do not hold. Two lists are equal
//! exactly when their bytes are, since the canonical order is the only one that is accepted.

mod build;
mod codec;
mod course;
mod execute;
mod verify;
mod view;
mod wrong;

pub use codec::{GAS_PER_ITEM, most_items};
pub(crate) use course::ListCourse;
pub use wrong::{Entry, WrongAccessList};

use crate::primitives::{Address, Bytes, U256};

/// Where in a block a change belongs: 0 are the system calls before the transactions, 1 to n the
/// transactions, n + 1 is what follows them (requests, withdrawals, rewards).
pub type BlockAccessIndex = u32;

/// Everything a block touches, in canonical order: addresses ascending, slots ascending, indices
/// ascending, nothing twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct BlockAccessList {
    /// One entry per touched account.
    pub accounts: Vec<AccountAccesses>,
}

/// What a block does with one account. Without any change and any slot it was touched all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AccountAccesses {
    /// Whose.
    pub address: Address,
    /// Slots that change, with every value they are left with.
    pub storage_changes: Vec<SlotChanges>,
    /// Slots that were read, or written with the value they had, and never change.
    pub storage_reads: Vec<U256>,
    /// Wei after each index that changed it.
    pub balance_changes: Vec<Change<U256>>,
    /// Nonce after each index that changed it.
    pub nonce_changes: Vec<Change<u64>>,
    /// Code after each index that changed it.
    pub code_changes: Vec<Change<Bytes>>,
}

/// The values that a block leaves in one slot; at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SlotChanges {
    /// Which.
    pub slot: U256,
    /// The value after each index that changed it.
    pub changes: Vec<Change<U256>>,
}

/// A value and the index that left it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Change<T> {
    /// Who changed it.
    pub index: BlockAccessIndex,
    /// What it is afterwards.
    pub value: T,
}

impl BlockAccessList {
    /// Addresses and storage keys, which a block's gas limit bounds, see [`most_items`].
    pub fn items(&self) -> usize {
        self.accounts
            .iter()
            .map(|account| 1 + account.storage_changes.len() + account.storage_reads.len())
            .sum()
    }

    /// The entry of an account.
    pub fn account(&self, address: &Address) -> Option<&AccountAccesses> {
        let at = self.accounts.binary_search_by_key(address, |account| account.address).ok()?;
        Some(&self.accounts[at])
    }
}
