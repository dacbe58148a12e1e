//! A look at the transactions that come next.
//!
//! In: a stretch of a block. Out: what the state says of their senders and recipients, asked for
//! together. One after another, each transaction waits for its own bytes, then for its sender, then for
//! its recipient; looked at together, all of them wait at the same time. Nothing is decided here: what
//! is not asked for, or could not be answered, is asked again when it is wanted.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::primitives::Address;
use crate::state::{Account, StateView};
use crate::tx::{RecoveredTransaction, SharedTransaction, Transaction};

/// Transactions that are looked at together.
pub(crate) const STRETCH: usize = 32;

/// Stretches that are shorter have nothing to wait for together.
const SHORTEST: usize = 8;

/// Places of the index, several for each account.
const PLACES: usize = 1 << u8::BITS;

/// Accounts of the next transactions. A view never changes its mind, so what it once said stays true.
#[derive(Debug)]
pub(super) struct Ahead {
    accounts: Vec<(Address, Option<Option<Account>>)>,
    /// One more than the place in `accounts`, by the end of the address; zero: none.
    index: [u8; PLACES],
}

impl Default for Ahead {
    fn default() -> Self {
        Self { accounts: Vec::new(), index: [0; PLACES] }
    }
}

impl Ahead {
    /// Asks `view` for the accounts that these transactions name, apart from those that are `known`.
    pub(super) fn look(
        &mut self,
        view: &impl StateView,
        transactions: &[SharedTransaction],
        is_known: impl Fn(&Address) -> bool,
    ) {
        self.accounts.clear();
        if transactions.len() < SHORTEST {
            return;
        }
        self.index = [0; PLACES];
        let mut addresses = SmallVec::<[Address; 2 * STRETCH]>::new();
        let mut seen = 0;
        for tx in &transactions[..transactions.len().min(STRETCH)] {
            let RecoveredTransaction { tx, sender } = &**tx;
            seen ^= glance(tx);
            for address in [Some(*sender), tx.to].into_iter().flatten() {
                let place = &mut self.index[place_of(&address)];
                // Whoever shares its place is asked for alone.
                if *place == 0 {
                    addresses.push(address);
                    *place = addresses.len() as u8;
                }
            }
        }
        black_box(seen);
        let Self { accounts, index } = self;
        for address in &addresses {
            match is_known(address) {
                true => index[place_of(address)] = 0,
                false => {
                    accounts.push((*address, None));
                    index[place_of(address)] = accounts.len() as u8;
                }
            }
        }
        let addresses: SmallVec<[Address; 2 * STRETCH]> =
            accounts.iter().map(|(address, _)| *address).collect();
        view.accounts(&addresses, &mut |place, answer| accounts[place].1 = answer.ok());
    }

    /// What the view said of this account, if it was asked.
    #[inline]
    pub(super) fn answer(&self, address: &Address) -> Option<Option<Account>> {
        let place = usize::from(self.index[place_of(address)]).checked_sub(1)?;
        let (known, answer) = self.accounts.get(place)?;
        if known == address { *answer } else { None }
    }
}

#[inline]
fn place_of(address: &Address) -> usize {
    usize::from(address[19])
}

/// Reads a little of each part that execution will read, so that it is at hand by then.
#[inline]
pub(crate) fn glance(tx: &Transaction) -> u64 {
    let lists = tx.access_list.len() ^ tx.blob_versioned_hashes.len() ^ tx.authorization_list.len();
    let data = tx.data.first().copied().unwrap_or_default();
    let amounts = [tx.value, tx.max_fee_per_gas, tx.max_priority_fee_per_gas, tx.max_fee_per_blob_gas];
    let amounts = amounts.iter().fold(0, |all, amount| all ^ amount.as_limbs()[0]);
    tx.nonce ^ tx.gas_limit ^ lists as u64 ^ u64::from(data) ^ amounts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::error::StateError;
    use crate::primitives::{B256, Bytecode, U256};
    use crate::state::AccountAnswer;

    /// Notes what it is asked, and has no answer for one account.
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<Address>>);

    const UNANSWERED: Address = Address::with_last_byte(3);
    const ABSENT: Address = Address::with_last_byte(4);

    impl StateView for Asked {
        fn account(&self, address: &Address) -> AccountAnswer {
            self.0.lock().push(*address);
            match *address {
                UNANSWERED => Err(StateError::Backend("gone".into())),
                ABSENT => Ok(None),
                _ => Ok(Some(found(address))),
            }
        }

        fn storage(&self, _: &Address, _: &U256) -> Result<U256, StateError> {
            unreachable!("only accounts are asked for")
        }

        fn has_storage(&self, _: &Address) -> Result<bool, StateError> {
            unreachable!("only accounts are asked for")
        }

        fn code(&self, _: &B256) -> Result<Bytecode, StateError> {
            unreachable!("only accounts are asked for")
        }

        fn block_hash(&self, _: u64) -> Result<B256, StateError> {
            unreachable!("only accounts are asked for")
        }
    }

    fn found(address: &Address) -> Account {
        Account { nonce: address[19].into(), ..Account::default() }
    }

    fn call(sender: Address, to: Option<Address>) -> SharedTransaction {
        let tx = Transaction { to, ..Transaction::default() };
        Arc::new(RecoveredTransaction { tx, sender })
    }

    fn address(number: usize) -> Address {
        Address::left_padding_from(&number.to_be_bytes())
    }

    #[test]
    fn accounts_of_a_stretch_are_asked_for_once() {
        let (view, mut ahead) = (Asked::default(), Ahead::default());
        let transactions: Vec<_> =
            (10..10 + 2 * STRETCH).map(|sender| call(address(sender), Some(address(9)))).collect();
        ahead.look(&view, &transactions, |_| false);

        let asked: Vec<_> = [10, 9].into_iter().chain(11..10 + STRETCH).map(address).collect();
        assert_eq!(*view.0.lock(), asked);
        for address in &asked {
            assert_eq!(ahead.answer(address), Some(Some(found(address))));
        }
        assert_eq!(ahead.answer(&address(10 + STRETCH)), None);
    }

    #[test]
    fn what_is_known_is_not_asked_for() {
        let (view, mut ahead) = (Asked::default(), Ahead::default());
        let transactions: Vec<_> = (10..20).map(|sender| call(address(sender), Some(address(9)))).collect();
        ahead.look(&view, &transactions, |known| *known == address(9) || *known == address(12));

        assert_eq!(*view.0.lock(), [10, 11, 13, 14, 15, 16, 17, 18, 19].map(address));
        assert_eq!([9, 12].map(|known| ahead.answer(&address(known))), [None, None]);
        assert_eq!(ahead.answer(&address(13)), Some(Some(found(&address(13)))));
    }

    #[test]
    fn absence_is_an_answer_and_failure_is_none() {
        let (view, mut ahead) = (Asked::default(), Ahead::default());
        let mut transactions: Vec<_> = (10..20).map(|sender| call(address(sender), None)).collect();
        transactions.extend([call(UNANSWERED, Some(ABSENT)), call(ABSENT, Some(UNANSWERED))]);
        ahead.look(&view, &transactions, |_| false);

        assert_eq!((ahead.answer(&UNANSWERED), ahead.answer(&ABSENT)), (None, Some(None)));
    }

    #[test]
    fn who_shares_a_place_is_not_mixed_up_with_its_owner() {
        let (view, mut ahead) = (Asked::default(), Ahead::default());
        let (one, other) = (address(7), address(7 + (1 << 8)));
        let transactions: Vec<_> = (0..8).map(|_| call(one, Some(other))).collect();
        ahead.look(&view, &transactions, |_| false);

        assert_eq!((ahead.answer(&one), ahead.answer(&other)), (Some(Some(found(&one))), None));
    }

    #[test]
    fn short_stretches_and_what_comes_after_have_no_answers() {
        let (view, mut ahead) = (Asked::default(), Ahead::default());
        let transactions: Vec<_> = (10..20).map(|sender| call(address(sender), None)).collect();
        ahead.look(&view, &transactions, |_| false);
        ahead.look(&view, &transactions[..SHORTEST - 1], |_| false);

        assert_eq!(view.0.lock().len(), 10);
        assert_eq!(ahead.answer(&address(10)), None);
    }
}
