//! From what each index of a block touched and changed to the list of the block.
//!
//! In: per index the changes against the state before it, in canonical form, and everything that was
//! loaded. Out: the list in canonical order. A write of the value that was there is no change, so
//! its slot is a read, and so is a slot of an account that came and went within one transaction.

use std::collections::{BTreeMap, HashMap};

use super::{AccountAccesses, BlockAccessIndex, BlockAccessList, Change, SlotChanges};
use crate::error::StateError;
use crate::evm::TouchedAccount;
use crate::primitives::{Address, Bytes, KECCAK_EMPTY, U256};
use crate::state::{Account, AccountChange, StateChanges, StateView};

/// What one index left in one account: only true changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AccountDifference {
    pub(super) balance: Option<U256>,
    pub(super) nonce: Option<u64>,
    pub(super) code: Option<Bytes>,
}

/// The fields in which an account differs from before. An account that is gone has none left.
pub(super) fn difference(
    before: Option<Account>,
    change: &AccountChange,
    changes: &StateChanges,
) -> AccountDifference {
    let before = before.unwrap_or_default();
    let after = change.after.unwrap_or_default();
    AccountDifference {
        balance: (after.balance != before.balance).then_some(after.balance),
        nonce: (after.nonce != before.nonce).then_some(after.nonce),
        code: (after.code_hash != before.code_hash).then(|| match after.code_hash {
            KECCAK_EMPTY => Bytes::new(),
            hash => changes.codes.get(&hash).cloned().expect("new code comes with the change"),
        }),
    }
}

/// The accounts as they stand between two indices of a block, which changes are told apart against.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    base: &'a dyn StateView,
    changed: HashMap<Address, Option<Account>, foldhash::fast::RandomState>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(base: &'a dyn StateView) -> Self {
        Self { base, changed: HashMap::default() }
    }

    pub(super) fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.changed.get(address) {
            Some(account) => Ok(*account),
            None => self.base.account(address),
        }
    }

    pub(super) fn apply(&mut self, changes: &StateChanges) {
        self.changed.extend(changes.accounts.iter().map(|(address, change)| (*address, change.after)));
    }
}

/// A list in the making.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    accounts: BTreeMap<Address, Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    /// Without changes: a read.
    slots: BTreeMap<U256, Vec<Change<U256>>>,
    balances: Vec<Change<U256>>,
    nonces: Vec<Change<u64>>,
    codes: Vec<Change<Bytes>>,
}

impl Builder {
    /// Adds one index; indices come in order. `before` is the state that `changes` are against.
    pub(super) fn add(
        &mut self,
        index: BlockAccessIndex,
        before: &Standing<'_>,
        changes: &StateChanges,
        touched: &[TouchedAccount],
    ) -> Result<(), StateError> {
        for TouchedAccount { address, slots } in touched {
            let account = self.accounts.entry(*address).or_default();
            for slot in slots {
                account.slots.entry(*slot).or_default();
            }
        }
        for (address, change) in &changes.accounts {
            let AccountDifference { balance, nonce, code } =
                difference(before.account(address)?, change, changes);
            let account = self.accounts.entry(*address).or_default();
            account.balances.extend(balance.map(|value| Change { index, value }));
            account.nonces.extend(nonce.map(|value| Change { index, value }));
            account.codes.extend(code.map(|value| Change { index, value }));
            for (slot, value) in &change.storage {
                account.slots.entry(*slot).or_default().push(Change { index, value: *value });
            }
        }
        Ok(())
    }

    /// The list.
    pub(super) fn finish(self) -> BlockAccessList {
        BlockAccessList { accounts: self.accounts.into_iter().map(Gathered::into_accesses).collect() }
    }
}

impl Gathered {
    fn into_accesses((address, gathered): (Address, Self)) -> AccountAccesses {
        let mut accesses = AccountAccesses {
            address,
            balance_changes: gathered.balances,
            nonce_changes: gathered.nonces,
            code_changes: gathered.codes,
            ..AccountAccesses::default()
        };
        for (slot, changes) in gathered.slots {
            match changes.is_empty() {
                true => accesses.storage_reads.push(slot),
                false => accesses.storage_changes.push(SlotChanges { slot, changes }),
            }
        }
        accesses
    }
}
