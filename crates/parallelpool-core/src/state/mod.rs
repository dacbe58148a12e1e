//! State as the executors see it: read-only views, and the changes a block makes to one.

mod changes;
pub(crate) mod joined;
pub mod memory;
pub mod overlay;
pub mod recording;
mod write;

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

pub use self::changes::{AccountChange, ChangeSet, Entries, StateChanges};
pub use self::write::{AccountWrite, credit};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, Bytes, KECCAK_EMPTY, U256};

/// The hash by which tables find an account: of words, which takes less time than bytes one by one.
#[inline]
pub(crate) fn hash_of(hasher: &impl BuildHasher, address: &Address) -> u64 {
    let word = |at: usize| u64::from_ne_bytes(address[at..at + 8].try_into().expect("eight bytes"));
    let mut hasher = hasher.build_hasher();
    [word(0), word(8), word(12)].into_iter().for_each(|word| hasher.write_u64(word));
    hasher.finish()
}

/// Nonce, balance and code hash of an existing account. Absence is `None` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Keccak of the code, [`KECCAK_EMPTY`] without code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY }
    }
}

impl Account {
    /// Empty in the sense of EIP-161: no nonce, no balance, no code.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK_EMPTY
    }
}

/// What a view says of an account.
pub type AccountAnswer = Result<Option<Account>, StateError>;

/// An immutable state: the same question has the same answer for as long as the view lives.
///
/// Shared by all workers, so it must be cheap to ask from many threads.
pub trait StateView: Send + Sync + Debug {
    /// The account, or `None` where there is none.
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError>;
    /// The same for several accounts: calls `put` once for each, in any order, with its place and the
    /// answer. For views that are faster when asked for many.
    fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
        addresses.iter().enumerate().for_each(|(place, address)| put(place, self.account(address)));
    }
    /// The slot's value; zero where nothing is stored.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError>;
    /// Whether any slot of the account is not zero. Asked rarely: when a creation meets an account
    /// that exists without nonce and code (EIP-7610), and for accounts that were destroyed.
    fn has_storage(&self, address: &Address) -> Result<bool, StateError>;
    /// The code with this hash. Asked only for hashes that an account of this view carries.
    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError>;
    /// The hash of an ancestor block; zero where the number is not known.
    fn block_hash(&self, number: u64) -> Result<B256, StateError>;
}

/// Code as the EVM runs it: jump destinations marked, a delegation (EIP-7702) recognized. Bytes
/// that only begin like a delegation are ordinary code.
pub fn analyse(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

macro_rules! view_by_pointer {
    ($pointer:ty) => {
        impl<V: StateView + ?Sized> StateView for $pointer {
            fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
                (**self).account(address)
            }

            fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
                (**self).accounts(addresses, put)
            }

            fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
                (**self).storage(address, slot)
            }

            fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
                (**self).has_storage(address)
            }

            fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
                (**self).code(code_hash)
            }

            fn block_hash(&self, number: u64) -> Result<B256, StateError> {
                (**self).block_hash(number)
            }
        }
    };
}

view_by_pointer!(&V);
view_by_pointer!(Arc<V>);
