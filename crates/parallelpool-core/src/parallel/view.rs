//! The database of one worker's EVM: the block's state at one index, with a log of what was read.
//!
//! The EVM asks for each key once per execution, so a log holds each key once. Whoever reads values
//! that were written by different executions at different times gets an inconsistent picture; that
//! is allowed here and found out when the log is compared at the frontier.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use revm::Database;
use revm::state::{AccountId as AccountHint, AccountInfo};

use super::memory::{AccountId, SlotId, VersionedState};
use super::sync::{AtomicBool, Ordering};
use crate::error::{StateError, StateKey};
use crate::evm::ExecutionDatabase;
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::database::account_info;
use crate::state::{Account, StateView};

/// What an execution read, with the values it got. Absence is a value.
#[derive(Debug, Default)]
pub(super) struct ReadLog {
    accounts: Vec<(AccountId, Option<Account>)>,
    slots: Vec<(SlotId, U256)>,
    has_storage: Vec<(AccountId, bool)>,
}

impl ReadLog {
    /// The first read that has another value for transaction `at` now.
    pub(super) fn first_changed<V: StateView>(
        &self,
        memory: &VersionedState<V>,
        at: u32,
    ) -> Result<Option<StateKey>, StateError> {
        for (id, value) in &self.accounts {
            if memory.account(*id, at)? != *value {
                return Ok(Some(StateKey::Account(memory.address(*id))));
            }
        }
        for (id, value) in &self.slots {
            if memory.slot(*id, at)? != *value {
                let (address, slot) = memory.slot_key(*id);
                return Ok(Some(StateKey::Storage(address, slot)));
            }
        }
        for (id, value) in &self.has_storage {
            if memory.has_storage(*id, at)? != *value {
                return Ok(Some(StateKey::Account(memory.address(*id))));
            }
        }
        Ok(None)
    }

    /// Empties the log and keeps its room.
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.has_storage.clear();
    }
}

/// The block's state as one transaction sees it.
#[derive(Debug)]
pub(super) struct TransactionView<'a, V> {
    memory: &'a VersionedState<V>,
    /// Set when the block is over, whatever still runs.
    stopped: &'a AtomicBool,
    at: u32,
    log: Option<ReadLog>,
    // What this worker has looked up before; spares the shared tables' locks.
    accounts: HashMap<Address, AccountId, RandomState>,
    slots: HashMap<(AccountId, U256), SlotId, RandomState>,
    codes: HashMap<B256, Bytecode, RandomState>,
}

impl<'a, V: StateView> TransactionView<'a, V> {
    pub(super) fn new(memory: &'a VersionedState<V>, stopped: &'a AtomicBool) -> Self {
        Self {
            memory,
            stopped,
            at: 0,
            log: None,
            accounts: HashMap::default(),
            slots: HashMap::default(),
            codes: HashMap::default(),
        }
    }

    /// The next reads are those of transaction `at`, written to `log` if there is one.
    pub(super) fn begin(&mut self, at: u32, log: Option<ReadLog>) {
        self.at = at;
        self.log = log;
    }

    /// The reads since [`Self::begin`], if they were logged.
    pub(super) fn take_log(&mut self) -> Option<ReadLog> {
        self.log.take()
    }

    fn account_id(&mut self, address: Address) -> AccountId {
        *self.accounts.entry(address).or_insert_with(|| self.memory.account_id(address))
    }

    fn slot(&mut self, account: AccountId, slot: U256) -> Result<U256, StateError> {
        self.go_on()?;
        let key = (account, slot);
        let id = *self.slots.entry(key).or_insert_with(|| self.memory.slot_id(account, slot));
        let value = self.memory.slot(id, self.at)?;
        if let Some(log) = &mut self.log {
            log.slots.push((id, value));
        }
        Ok(value)
    }

    fn go_on(&self) -> Result<(), StateError> {
        if self.stopped.load(Ordering::Relaxed) { Err(StateError::Speculation) } else { Ok(()) }
    }
}

impl<V: StateView> Database for TransactionView<'_, V> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.go_on()?;
        let id = self.account_id(address);
        let account = self.memory.account(id, self.at)?;
        if let Some(log) = &mut self.log {
            log.accounts.push((id, account));
        }
        Ok(account.map(|account| AccountInfo { account_id: id.as_hint(), ..account_info(&account) }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = self.memory.code(&code_hash)?;
        self.codes.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let account = self.account_id(address);
        self.slot(account, slot)
    }

    fn storage_by_account_id(
        &mut self,
        _address: Address,
        account: AccountHint,
        slot: U256,
    ) -> Result<U256, StateError> {
        self.slot(AccountId::from_hint(account), slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        // An ancestor's hash is the same for all transactions: no read to compare.
        self.memory.block_hash(number)
    }
}

impl<V: StateView> ExecutionDatabase for TransactionView<'_, V> {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        let id = self.account_id(address);
        let value = self.memory.has_storage(id, self.at)?;
        if let Some(log) = &mut self.log {
            log.has_storage.push((id, value));
        }
        Ok(value)
    }
}
