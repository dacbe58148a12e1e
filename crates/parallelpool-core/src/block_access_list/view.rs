//! The state that one transaction of a listed block sees, without running those before it.
//!
//! Under the list lies the state of the parent block, fetched key by key before the first
//! transaction runs. A read is answered by the last entry whose index is smaller than the reader's,
//! else by the parent. What the list does not name is not answered: it must be named, so the list is
//! wrong ([`StateError::NotListed`]).

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{AccountAccesses, BlockAccessIndex, BlockAccessList, Change, SlotChanges};
use crate::error::{StateError, StateKey};
use crate::primitives::{Address, B256, Bytecode, Bytes, U256, keccak256};
use crate::state::{Account, StateView, analyse};
use crate::workers::Workers;

/// A list on its parent state.
#[derive(Debug)]
pub(super) struct ListedState<'a> {
    pub(super) list: &'a BlockAccessList,
    parent: &'a dyn StateView,
    positions: HashMap<Address, u32, RandomState>,
    accounts: Vec<ListedAccount>,
    codes: HashMap<B256, Bytecode, RandomState>,
}

/// What the parent state holds of an entry, and what must be computed from it once.
#[derive(Debug)]
struct ListedAccount {
    before: Option<Account>,
    /// Of the changed slots, then of those that were read.
    slots: Vec<U256>,
    /// Hash and code of each code change.
    codes: Vec<(B256, Bytecode)>,
}

impl<'a> ListedState<'a> {
    /// Fetches everything that the list names, by all workers.
    pub(super) fn new(
        list: &'a BlockAccessList,
        parent: &'a dyn StateView,
        workers: &Workers,
    ) -> Result<Self, StateError> {
        let mut accounts = Vec::with_capacity(list.accounts.len());
        let mut missing = Vec::new();
        for fetched in workers.map(&list.accounts, |entry| ListedAccount::fetch(entry, parent)) {
            match fetched {
                Ok(account) => accounts.push(account),
                Err(StateError::Missing(keys)) => missing.extend(keys),
                Err(error) => return Err(error),
            }
        }
        if !missing.is_empty() {
            return Err(StateError::Missing(missing));
        }
        let addresses = list.accounts.iter().map(|entry| entry.address);
        Ok(Self {
            positions: addresses.zip(0..).collect(),
            codes: accounts.iter().flat_map(|account| account.codes.iter().cloned()).collect(),
            list,
            parent,
            accounts,
        })
    }

    /// Whether an entry stands on an account that exists and is empty. Touching it removes it, which
    /// no list can say.
    pub(super) fn has_empty_account(&self) -> bool {
        self.accounts.iter().any(|account| account.before.is_some_and(|before| before.is_empty()))
    }

    /// The place of an account in the list.
    pub(super) fn position(&self, address: &Address) -> Option<usize> {
        self.positions.get(address).map(|position| *position as usize)
    }

    fn account(&self, position: usize, index: BlockAccessIndex) -> Option<Account> {
        let (entry, listed) = (&self.list.accounts[position], &self.accounts[position]);
        let balance = last_before(&entry.balance_changes, index);
        let nonce = last_before(&entry.nonce_changes, index);
        let code = last_before(&entry.code_changes, index);
        if balance.is_none() && nonce.is_none() && code.is_none() {
            return listed.before;
        }
        let mut account = listed.before.unwrap_or_default();
        if let Some(at) = balance {
            account.balance = entry.balance_changes[at].value;
        }
        if let Some(at) = nonce {
            account.nonce = entry.nonce_changes[at].value;
        }
        if let Some(at) = code {
            account.code_hash = listed.codes[at].0;
        }
        (!account.is_empty()).then_some(account)
    }

    fn storage(&self, position: usize, slot: &U256, index: BlockAccessIndex) -> Option<U256> {
        let (entry, listed) = (&self.list.accounts[position], &self.accounts[position]);
        if let Ok(at) = entry.storage_changes.binary_search_by_key(slot, |changed| changed.slot) {
            let changes = &entry.storage_changes[at].changes;
            return Some(last_before(changes, index).map_or(listed.slots[at], |last| changes[last].value));
        }
        let at = entry.storage_reads.binary_search(slot).ok()?;
        Some(listed.slots[entry.storage_changes.len() + at])
    }
}

impl ListedAccount {
    fn fetch(entry: &AccountAccesses, parent: &dyn StateView) -> Result<Self, StateError> {
        let mut missing = Vec::new();
        let mut fetched = |answer: Result<U256, StateError>| match answer {
            Err(StateError::Missing(keys)) => {
                missing.extend(keys);
                Ok(U256::ZERO)
            }
            answer => answer,
        };
        let mut slots = Vec::with_capacity(entry.storage_changes.len() + entry.storage_reads.len());
        for SlotChanges { slot, .. } in &entry.storage_changes {
            slots.push(fetched(parent.storage(&entry.address, slot))?);
        }
        for slot in &entry.storage_reads {
            slots.push(fetched(parent.storage(&entry.address, slot))?);
        }
        let before = match parent.account(&entry.address) {
            Err(StateError::Missing(keys)) => {
                missing.extend(keys);
                None
            }
            answer => answer?,
        };
        if !missing.is_empty() {
            return Err(StateError::Missing(missing));
        }
        let code = |change: &Change<Bytes>| (keccak256(&change.value), analyse(change.value.clone()));
        Ok(Self { before, slots, codes: entry.code_changes.iter().map(code).collect() })
    }
}

fn last_before<T>(changes: &[Change<T>], index: BlockAccessIndex) -> Option<usize> {
    changes.partition_point(|change| change.index < index).checked_sub(1)
}

/// The state before one index.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateBefore<'a> {
    pub(super) listed: &'a ListedState<'a>,
    pub(super) index: BlockAccessIndex,
}

impl StateBefore<'_> {
    fn position(&self, address: &Address) -> Result<usize, StateError> {
        let missing = || StateError::NotListed(StateKey::Account(*address));
        self.listed.position(address).ok_or_else(missing)
    }
}

impl StateView for StateBefore<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.listed.account(self.position(address)?, self.index))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let missing = || StateError::NotListed(StateKey::Storage(*address, *slot));
        self.listed.storage(self.position(address)?, slot, self.index).ok_or_else(missing)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        let entry = &self.listed.list.accounts[self.position(address)?];
        let is_written = entry.storage_changes.iter().any(|slot| {
            last_before(&slot.changes, self.index).is_some_and(|last| !slot.changes[last].value.is_zero())
        });
        // Slots of the parent may have been zeroed one by one; an account that can do that has a
        // nonce or code, and then nobody asks.
        Ok(is_written || self.listed.parent.has_storage(address)?)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        match self.listed.codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.listed.parent.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.listed.parent.block_hash(number)
    }
}
