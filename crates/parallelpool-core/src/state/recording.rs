//! A view that remembers what was asked of it, so that the same execution can be repeated without
//! the state behind it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::memory::MemoryState;
use super::{Account, StateView};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, U256};

/// Passes every question on and keeps the answers.
#[derive(Debug)]
pub struct Recording<V> {
    view: V,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    accounts: BTreeMap<Address, Option<Account>>,
    slots: BTreeMap<(Address, U256), U256>,
    has_storage: BTreeMap<Address, bool>,
    block_hashes: BTreeMap<u64, B256>,
}

/// The slot that stands for storage of which it was only asked whether there is any.
const SOME_SLOT: U256 = U256::MAX;

impl<V: StateView> Recording<V> {
    /// Nothing asked yet.
    pub fn new(view: V) -> Self {
        Self { view, seen: Mutex::default() }
    }

    /// What was seen, as a state of its own, and the ancestors' hashes. Accounts come with their
    /// code, asked for or not: its hash decides things by itself.
    pub fn into_state(self) -> Result<(MemoryState, BTreeMap<u64, B256>), StateError> {
        let Seen { mut accounts, slots, has_storage, block_hashes } = self.seen.into_inner();
        for (address, _) in slots.keys() {
            if !accounts.contains_key(address) {
                accounts.insert(*address, self.view.account(address)?);
            }
        }
        let mut state = MemoryState::new();
        for (address, account) in accounts {
            let Some(account) = account else { continue };
            let code = match account.code_hash {
                KECCAK_EMPTY => None,
                hash => Some(self.view.code(&hash)?.original_bytes()),
            };
            state.insert_account(address, account, code);
        }
        for ((address, slot), value) in slots {
            if !value.is_zero() {
                state.insert_storage(address, slot, value);
            }
        }
        for (address, _) in has_storage.into_iter().filter(|(_, has)| *has) {
            if !state.has_storage(&address)? {
                state.insert_storage(address, SOME_SLOT, U256::ONE);
            }
        }
        for (number, hash) in &block_hashes {
            state.insert_block_hash(*number, *hash);
        }
        Ok((state, block_hashes))
    }
}

impl<V: StateView> StateView for Recording<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        let account = self.view.account(address)?;
        self.seen.lock().accounts.insert(*address, account);
        Ok(account)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let value = self.view.storage(address, slot)?;
        self.seen.lock().slots.insert((*address, *slot), value);
        Ok(value)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        let has = self.view.has_storage(address)?;
        self.seen.lock().has_storage.insert(*address, has);
        Ok(has)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.view.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        let hash = self.view.block_hash(number)?;
        self.seen.lock().block_hashes.insert(number, hash);
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_kept_and_nothing_else() {
        let (seen, other, empty) =
            (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let mut base = MemoryState::new();
        for address in [seen, other] {
            let account = Account { nonce: 7, ..Account::default() };
            base.insert_account(address, account, Some(vec![0x5f, 0x00].into()));
            base.insert_storage(address, U256::ONE, U256::from(9));
            base.insert_storage(address, U256::from(2), U256::from(9));
        }
        base.insert_block_hash(5, B256::repeat_byte(5));
        let recording = Recording::new(&base);
        let asked = recording.storage(&seen, &U256::ONE).expect("memory");
        recording.block_hash(5).expect("memory");
        assert_eq!(recording.account(&empty).expect("memory"), None);
        assert!(recording.has_storage(&other).expect("memory"));
        let (kept, hashes) = recording.into_state().expect("memory");

        assert_eq!(asked, U256::from(9));
        assert_eq!(kept.account(&seen), base.account(&seen));
        let code_hash = kept.account(&seen).expect("memory").expect("an account").code_hash;
        assert_eq!(kept.code(&code_hash), base.code(&code_hash));
        assert_eq!(kept.storage(&seen, &U256::ONE), Ok(U256::from(9)));
        assert_eq!(kept.storage(&seen, &U256::from(2)), Ok(U256::ZERO));
        assert_eq!(kept.has_storage(&other), Ok(true));
        assert_eq!(kept.has_storage(&empty), Ok(false));
        assert_eq!(hashes, BTreeMap::from([(5, B256::repeat_byte(5))]));
        assert_eq!(kept.block_hash(5), Ok(B256::repeat_byte(5)));
    }
}
