//! A state view as the EVM's database.

use revm::Database;
use revm::state::AccountInfo;

use super::ExecutionDatabase;
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::{Account, StateView};

/// Passes every question on to a view.
#[derive(Debug, Clone, Copy)]
pub struct ViewDatabase<V>(pub V);

/// An account as revm wants it. The code stays where it is until the EVM asks for it by hash.
#[inline]
pub fn account_info(account: &Account) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        account_id: None,
        code: None,
    }
}

impl<V: StateView> Database for ViewDatabase<V> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.0.account(&address)?.as_ref().map(account_info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.0.code(&code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.0.storage(&address, &slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash(number)
    }
}

impl<V: StateView> ExecutionDatabase for ViewDatabase<V> {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        self.0.has_storage(&address)
    }
}
