//! The state as it is in the middle of a transaction: the journal, and the database below it.

use super::LiveState;
use crate::error::StateError;
use crate::evm::{Context, ExecutionDatabase};
use crate::primitives::{Address, Bytes, KECCAK_EMPTY, U256};
use crate::state::Account;

/// Reads without loading: an account that is looked at here stays as cold as it was.
pub(super) struct Live<'a, D: ExecutionDatabase>(pub(super) &'a mut Context<D>);

impl<D: ExecutionDatabase> Live<'_, D> {
    /// Whether the access of an account would cost the price of a cold one.
    pub(super) fn is_account_cold(&self, address: &Address) -> bool {
        let journal = &self.0.journaled_state.inner;
        let is_loaded = journal.state.get(address);
        is_loaded.is_none_or(|account| account.is_cold_transaction_id(journal.transaction_id))
            && journal.warm_addresses.is_cold(address)
    }

    /// The same for a slot.
    pub(super) fn is_slot_cold(&self, address: &Address, slot: &U256) -> bool {
        let journal = &self.0.journaled_state.inner;
        let loaded = journal.state.get(address).and_then(|account| account.storage.get(slot));
        loaded.is_none_or(|slot| slot.is_cold_transaction_id(journal.transaction_id))
            && !journal.warm_addresses.is_storage_warm(address, slot)
    }

    /// A slot's value before the transaction and now.
    pub(super) fn slot_values(&mut self, address: Address, slot: U256) -> Result<(U256, U256), StateError> {
        let journal = &self.0.journaled_state;
        let loaded = journal.inner.state.get(&address).and_then(|account| account.storage.get(&slot));
        if let Some(loaded) = loaded {
            return Ok((loaded.original_value(), loaded.present_value));
        }
        let value = self.storage(address, slot)?;
        Ok((value, value))
    }
}

impl<D: ExecutionDatabase> LiveState for Live<'_, D> {
    fn account(&mut self, address: Address) -> Result<Option<Account>, StateError> {
        let journal = &mut self.0.journaled_state;
        let info = match journal.inner.state.get(&address) {
            Some(account) if account.is_loaded_as_not_existing_not_touched() => None,
            Some(account) => Some(account.info.clone()),
            None => journal.database.basic(address)?,
        };
        Ok(info.map(|info| Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }))
    }

    fn code(&mut self, address: Address) -> Result<Bytes, StateError> {
        let journal = &mut self.0.journaled_state;
        let loaded = journal.inner.state.get(&address);
        if let Some(code) = loaded.and_then(|account| account.info.code.as_ref()) {
            return Ok(code.original_bytes());
        }
        match self.account(address)? {
            Some(account) if account.code_hash != KECCAK_EMPTY => {
                Ok(self.0.journaled_state.database.code_by_hash(account.code_hash)?.original_bytes())
            }
            _ => Ok(Bytes::new()),
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let journal = &mut self.0.journaled_state;
        if let Some(account) = journal.inner.state.get(&address) {
            if let Some(loaded) = account.storage.get(&slot) {
                return Ok(loaded.present_value);
            }
            if account.is_created() {
                return Ok(U256::ZERO);
            }
        }
        journal.database.storage(address, slot)
    }
}
