//! Escrow: what a set of transactions may need from one account together must be there.
//!
//! Pairwise tests prove nothing here: from a vault of 10, any two withdrawals of 4 can be paid and
//! three cannot. So required amounts are summed up over all candidates, and credits are not
//! counted, because a parallel member may run before the one that pays it.

use hashbrown::HashMap;

use crate::access::AccessSet;
use crate::primitives::{Address, U256};

/// Balances that are left when everything reserved so far was paid.
pub(super) struct Escrow<F> {
    balance: F,
    left: HashMap<Address, U256, foldhash::fast::RandomState>,
}

impl<E, F: FnMut(&Address) -> Result<U256, E>> Escrow<F> {
    /// `balance` is asked once per debited account.
    pub(super) fn new(balance: F) -> Self {
        Self { balance, left: HashMap::default() }
    }

    /// Sets the transaction's debits aside, or returns false and sets nothing aside.
    pub(super) fn reserve(&mut self, access: &AccessSet) -> Result<bool, E> {
        for (address, required) in &access.debits {
            if !self.left.contains_key(address) {
                let start = (self.balance)(address)?;
                self.left.insert(*address, start);
            }
            if self.left[address] < *required {
                return Ok(false);
            }
        }
        for (address, required) in &access.debits {
            if let Some(left) = self.left.get_mut(address) {
                *left -= *required;
            }
        }
        Ok(true)
    }
}
