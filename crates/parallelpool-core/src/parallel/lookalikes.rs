//! Which transactions look like plain transfers.
//!
//! A call without data may still find code. Recipients that come again are looked up, so a contract
//! that everybody pays into is not taken for an account each time; those that come once are not, since
//! they would be asked for twice. A wrong guess costs time: what is no transfer is handed back.

use crate::primitives::{Address, KECCAK_EMPTY};
use crate::state::StateView;
use crate::transfers::TransferRules;
use crate::tx::RecoveredTransaction;

/// Recipients that are remembered: few contracts are called without data in one block.
const PLACES: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Once,
    Account,
    Contract,
}

/// Tells transfers by their looks, one transaction after another.
pub(super) struct Lookalikes<'a> {
    state: &'a dyn StateView,
    recipients: [Option<(Address, Seen)>; PLACES],
}

impl<'a> Lookalikes<'a> {
    pub(super) fn new(state: &'a dyn StateView) -> Self {
        Self { state, recipients: [None; PLACES] }
    }

    /// Whether the block's next transaction looks like a transfer.
    #[inline]
    pub(super) fn is_transfer(&mut self, tx: &RecoveredTransaction) -> bool {
        TransferRules::may_be_one(&tx.tx) && tx.tx.to.is_some_and(|to| !self.is_contract(to))
    }

    fn is_contract(&mut self, to: Address) -> bool {
        // Addresses are hashes; whoever makes them alike only has recipients forgotten.
        let place = &mut self.recipients[to[19] as usize % PLACES];
        let seen = match *place {
            Some((address, Seen::Once)) if address == to => look_up(&to, self.state),
            Some((address, seen)) if address == to => seen,
            _ => Seen::Once,
        };
        *place = Some((to, seen));
        seen == Seen::Contract
    }
}

/// What the view fails to tell it is asked again, where failures are reported.
fn look_up(to: &Address, state: &dyn StateView) -> Seen {
    match state.account(to) {
        Ok(Some(account)) if account.code_hash != KECCAK_EMPTY => Seen::Contract,
        _ => Seen::Account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::tests::{account, transaction};
    use crate::primitives::U256;
    use crate::state::Account;
    use crate::state::memory::MemoryState;

    #[test]
    fn a_contract_that_is_paid_again_is_known_from_the_second_time_on() {
        let mut state = MemoryState::new();
        let recipient = Address::repeat_byte;
        state.insert_account(recipient(7), Account::default(), Some(vec![0].into()));
        let owner = Account { balance: U256::from(1), ..Account::default() };
        state.insert_account(recipient(8), owner, None);
        let call = |(sender, to): (u64, u8)| transaction(account(sender), 0, recipient(to), 1);
        let mut lookalikes = Lookalikes::new(&state);
        let calls = (20..).zip([7, 8, 7, 8, 7, 9, 9]).map(call);
        let looks: Vec<bool> = calls.map(|tx| lookalikes.is_transfer(&tx)).collect();

        assert_eq!(looks, [true, true, false, true, false, true, true]);
    }
}
