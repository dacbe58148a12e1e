//! Escrow's running sums: what the pool may need from each account that anything debits.
//!
//! In: debits that come and go, by number of account. Out: whether an account can pay for all of
//! them. What it has is asked for once per head, as long as somebody debits it.

use std::hint::black_box;

use super::locations::AccountId;
use crate::primitives::U256;

/// Whether an account can pay for all that the pool may need from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Solvency {
    /// Something changed since it was looked at.
    #[default]
    Unchecked,
    /// For all, so for any part of them.
    Solvent,
    /// Not for all.
    Short,
}

/// What is known of a debited account.
#[derive(Debug, Default)]
struct Purse {
    /// What all pooled transactions together may need from it, and how often that is to be cut at
    /// 256 bits.
    needed: U256,
    overflows: u32,
    /// How many debit it.
    debits: u32,
    /// What it has at the head, once asked for.
    balance: U256,
    is_asked: bool,
}

const NONE: u32 = u32::MAX;

/// The sums, by number of account.
#[derive(Debug, Default)]
pub(super) struct Purses {
    /// Looked at for every debit of a plan, so by account and apart from the rest.
    solvency: Vec<Solvency>,
    /// Where the purse of an account stands.
    places: Vec<u32>,
    purses: Vec<Purse>,
    free: Vec<u32>,
}

impl Purses {
    /// Reserves room for so many more accounts, of which half are debited.
    pub(super) fn reserve(&mut self, accounts: usize) {
        self.places.reserve(accounts);
        self.solvency.reserve(accounts);
        self.purses.reserve(accounts / 2);
    }

    /// Adds to what the pool may need from an account.
    pub(super) fn need(&mut self, account: AccountId, wei: U256) {
        if self.places.len() <= account as usize {
            self.places.resize(account as usize + 1, NONE);
            self.solvency.resize(account as usize + 1, Solvency::Unchecked);
        }
        self.solvency[account as usize] = Solvency::Unchecked;
        let place = self.places[account as usize];
        if place == NONE {
            let purse = Purse { needed: wei, debits: 1, ..Purse::default() };
            self.places[account as usize] = self.put(purse);
            return;
        }
        let purse = &mut self.purses[place as usize];
        let (sum, overflow) = purse.needed.overflowing_add(wei);
        purse.needed = sum;
        purse.overflows += u32::from(overflow);
        purse.debits += 1;
    }

    fn put(&mut self, purse: Purse) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.purses[place as usize] = purse;
                place
            }
            None => {
                self.purses.push(purse);
                self.purses.len() as u32 - 1
            }
        }
    }

    /// Undoes one [`Self::need`].
    pub(super) fn give_back(&mut self, account: AccountId, wei: U256) {
        self.solvency[account as usize] = Solvency::Unchecked;
        let place = self.places[account as usize];
        let purse = &mut self.purses[place as usize];
        let (sum, overflow) = purse.needed.overflowing_sub(wei);
        purse.needed = sum;
        purse.overflows -= u32::from(overflow);
        purse.debits -= 1;
        if purse.debits == 0 {
            self.places[account as usize] = NONE;
            self.free.push(place);
        }
    }

    /// Reads what [`Self::is_short`] will and does nothing with it.
    pub(super) fn foresee(&self, account: AccountId) {
        if self.solvency[account as usize] == Solvency::Unchecked {
            let purse = &self.purses[self.places[account as usize] as usize];
            black_box((purse.needed, purse.is_asked));
        }
    }

    /// Whether a debited account cannot pay for the whole pool; asks what it has once per head.
    pub(super) fn is_short<E>(
        &mut self,
        account: AccountId,
        ask: impl FnOnce() -> Result<U256, E>,
    ) -> Result<bool, E> {
        let known = &mut self.solvency[account as usize];
        if *known == Solvency::Unchecked {
            let purse = &mut self.purses[self.places[account as usize] as usize];
            if !purse.is_asked {
                purse.balance = ask()?;
                purse.is_asked = true;
            }
            let is_short = purse.overflows > 0 || purse.needed > purse.balance;
            *known = if is_short { Solvency::Short } else { Solvency::Solvent };
        }
        Ok(*known == Solvency::Short)
    }

    /// What an account has that [`Self::is_short`] was asked about.
    pub(super) fn balance(&self, account: AccountId) -> U256 {
        let place = self.places[account as usize];
        self.purses.get(place as usize).map_or(U256::ZERO, |purse| purse.balance)
    }

    /// An account's balance must be asked for again.
    pub(super) fn forget_balance(&mut self, account: AccountId) {
        let Some(&place) = self.places.get(account as usize) else { return };
        self.solvency[account as usize] = Solvency::Unchecked;
        if let Some(purse) = self.purses.get_mut(place as usize) {
            purse.is_asked = false;
        }
    }

    /// All balances must be asked for again.
    pub(super) fn forget_balances(&mut self) {
        self.solvency.fill(Solvency::Unchecked);
        self.purses.iter_mut().for_each(|purse| purse.is_asked = false);
    }

    /// How many accounts are debited.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.purses.len() - self.free.len()
    }
}
