//! What one sender and one transaction may cost on one head.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Bounds;
use crate::primitives::{Address, B256};
use crate::tx::RecoveredTransaction;

/// Gas that senders have used up, and runs that transactions have had, on the present head. A
/// sender without an entry has used nothing.
#[derive(Debug, Default)]
pub(super) struct Budget {
    gas: HashMap<Address, u64, RandomState>,
    runs: HashMap<B256, u32, RandomState>,
}

impl Budget {
    /// Sets gas aside for a run, if sender and transaction have any left.
    pub(super) fn take(&mut self, tx: &RecoveredTransaction, gas: u64, bounds: &Bounds) -> bool {
        let used = self.gas.get(&tx.sender).copied().unwrap_or_default();
        let runs = self.runs.get(&tx.tx.hash).copied().unwrap_or_default();
        let has_room = runs < bounds.runs && used.saturating_add(gas) <= bounds.sender_gas;
        if has_room {
            self.gas.insert(tx.sender, used + gas);
            self.runs.insert(tx.tx.hash, runs + 1);
        }
        has_room
    }

    /// Gives back what was set aside and not used.
    pub(super) fn give_back(&mut self, sender: &Address, gas: u64) {
        if let Some(used) = self.gas.get_mut(sender) {
            *used = used.saturating_sub(gas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tx::Transaction;

    fn transaction(sender: u8, hash: u8) -> RecoveredTransaction {
        let tx = Transaction { hash: B256::repeat_byte(hash), ..Transaction::default() };
        RecoveredTransaction { tx, sender: Address::repeat_byte(sender) }
    }

    #[test]
    fn a_sender_uses_up_its_gas_and_nobody_elses() {
        let bounds = Bounds { sender_gas: 10, ..Bounds::default() };
        let mut budget = Budget::default();

        assert!(budget.take(&transaction(1, 1), 6, &bounds));
        assert!(!budget.take(&transaction(1, 2), 6, &bounds));
        assert!(budget.take(&transaction(2, 3), 6, &bounds));
        budget.give_back(&Address::repeat_byte(1), 2);
        assert!(budget.take(&transaction(1, 2), 6, &bounds));
        assert!(!budget.take(&transaction(1, 4), 1, &bounds));
    }

    #[test]
    fn a_transaction_runs_so_often_and_no_more() {
        let bounds = Bounds { runs: 2, ..Bounds::default() };
        let mut budget = Budget::default();
        let taken = [(); 3].map(|()| budget.take(&transaction(1, 1), 0, &bounds));

        assert_eq!(taken, [true, true, false]);
        assert!(budget.take(&transaction(1, 2), 0, &bounds));
    }
}
