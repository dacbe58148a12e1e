//! A view whose answers take now no time and now a while, so that executions on several threads
//! overlap in ever other ways, in the middle of transactions too. One account can be so slow that
//! others run ahead of whoever asks for it: blocks of a few transactions are over before a second
//! worker has woken, and nothing that ran ahead would ever be compared.

use std::time::Duration;

use parallelpool_core::error::StateError;
use parallelpool_core::primitives::{Address, B256, Bytecode, U256};
use parallelpool_core::state::{Account, StateView};

/// The longest of the pauses, in rounds of a busy loop.
const LONGEST: u64 = 400;
/// Time in which a sleeping worker wakes and executes a few transactions.
const STALL: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(crate) struct Unsteady<'a> {
    state: &'a dyn StateView,
    seed: u64,
    slow: Option<Address>,
}

impl<'a> Unsteady<'a> {
    /// A state as it is, or with pauses that follow from the seed.
    pub(crate) fn new(state: &'a dyn StateView, seed: Option<u64>) -> Self {
        Self { state, seed: seed.map_or(0, |seed| seed | 1), slow: None }
    }

    /// The same where it takes long to find this account.
    pub(crate) fn slow_to_find(self, account: Option<Address>) -> Self {
        Self { slow: account, ..self }
    }

    fn pause(&self, key: u64) {
        let chance = (key ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        match chance % 4 {
            _ if self.seed == 0 => {}
            0 => std::thread::yield_now(),
            1 => (0..chance % LONGEST).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
    }
}

impl StateView for Unsteady<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        if self.slow == Some(*address) {
            std::thread::sleep(STALL);
        }
        self.pause(u64::from(address[19]) << 8 | u64::from(address[0]));
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.pause(slot.as_limbs()[0] << 8 | u64::from(address[19]));
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.pause(u64::from(address[19]) << 9);
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.pause(u64::from(code_hash[0]) << 10);
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}
