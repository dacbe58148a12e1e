//! The accounts of a block of transfers, side by side in the form that its changes have.
//!
//! An account is put down when a transfer first changes it, and changed in place from then on: what is there
//! when the block ends are its changes. A transfer changes whom it names and raises the sender's
//! nonce, so nobody is ever left as he was, but for a beneficiary who earns nothing.

use hashbrown::HashTable;

use crate::error::StateError;
use crate::parallel::sync::KeyedHash;
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, U256};
use crate::state::{Account, AccountChange, ChangeSet, StateView, hash_of};
use crate::transfers::{Outcome, Plain, Transfer};

/// Accounts without code on top of a view, and the beneficiary whatever it is.
#[derive(Debug)]
pub(super) struct Accounts<'a> {
    state: &'a dyn StateView,
    hasher: KeyedHash,
    changes: ChangeSet<Address, AccountChange>,
    /// Where an account stands among the changes.
    places: HashTable<u32>,
    /// The beneficiary as it was below the block; it stands first.
    beneficiary: Option<Account>,
}

/// Whom a transfer names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'d> {
    pub(super) address: &'d Address,
    pub(super) hash: u64,
    /// The account below the block.
    pub(super) before: &'d Plain,
}

/// A transfer that can be applied.
#[derive(Debug)]
pub(super) struct Applicable {
    pub(super) outcome: Outcome,
    sender: Option<u32>,
    recipient: Option<u32>,
}

const BENEFICIARY: u32 = 0;

impl<'a> Accounts<'a> {
    /// `None` where the beneficiary is not known, or is there and empty: then it would go when touched.
    pub(super) fn new(
        state: &'a dyn StateView,
        beneficiary: Address,
        hasher: &KeyedHash,
        expected: usize,
    ) -> Option<Self> {
        let before = state.account(&beneficiary).ok()?;
        if before.is_some_and(|account| account.is_empty()) {
            return None;
        }
        let mut accounts = Self {
            state,
            hasher: hasher.clone(),
            changes: ChangeSet::with_capacity(expected + 1),
            places: HashTable::with_capacity(expected + 1),
            beneficiary: before,
        };
        accounts.add(hash_of(hasher, &beneficiary), beneficiary, before);
        Some(accounts)
    }

    /// What a transfer makes of its sender and its recipient; `None` where it takes the EVM to say.
    #[inline(always)]
    pub(super) fn outcome(
        &self,
        transfer: &Transfer,
        [sender, recipient]: [Party<'_>; 2],
    ) -> Option<Applicable> {
        let place = self.place(sender.hash, sender.address);
        let payer = self.now(place, sender);
        if sender.address == recipient.address {
            let outcome = transfer.between(0, 0).outcome(payer, payer)?;
            return Some(Applicable { outcome, sender: place, recipient: None });
        }
        let other = self.place(recipient.hash, recipient.address);
        let outcome = transfer.between(0, 1).outcome(payer, self.now(other, recipient))?;
        Some(Applicable { outcome, sender: place, recipient: other })
    }

    /// Applies a transfer, and credits its fee.
    #[inline(always)]
    pub(super) fn apply(&mut self, transfer: &Applicable, [sender, recipient]: [Party<'_>; 2], fee: u128) {
        self.put(transfer.sender, sender, &transfer.outcome.sender);
        if let Some(after) = &transfer.outcome.recipient {
            self.put(transfer.recipient, recipient, after);
        }
        if fee > 0 {
            let earner = self.changes.nth_mut(BENEFICIARY as usize).after.get_or_insert_default();
            // As `credit` has it: what would overflow is lost.
            earner.balance = earner.balance.checked_add(U256::from(fee)).unwrap_or(earner.balance);
        }
    }

    /// What changed, and memory to be given back.
    pub(super) fn into_changes(mut self) -> (ChangeSet<Address, AccountChange>, HashTable<u32>) {
        if self.changes.nth(BENEFICIARY as usize).1.after == self.beneficiary {
            self.changes.swap_remove(BENEFICIARY as usize);
        }
        (self.changes, self.places)
    }

    #[inline(always)]
    fn place(&self, hash: u64, address: &Address) -> Option<u32> {
        self.places.find(hash, |place| self.changes.nth(*place as usize).0 == address).copied()
    }

    #[inline(always)]
    fn now(&self, place: Option<u32>, party: Party<'_>) -> Plain {
        let Some(place) = place else { return *party.before };
        match &self.changes.nth(place as usize).1.after {
            Some(Account { nonce, balance, .. }) => Plain { exists: true, nonce: *nonce, balance: *balance },
            None => Plain::NONE,
        }
    }

    #[inline(always)]
    fn put(&mut self, place: Option<u32>, party: Party<'_>, after: &Plain) {
        let Plain { nonce, balance, .. } = *after;
        let after = Some(Account { nonce, balance, code_hash: KECCAK_EMPTY });
        match place {
            Some(place) => self.changes.nth_mut(place as usize).after = after,
            None => self.add(party.hash, *party.address, after),
        }
    }

    #[inline(always)]
    fn add(&mut self, hash: u64, address: Address, after: Option<Account>) {
        let place = u32::try_from(self.changes.len()).expect("far fewer fit a block");
        let change = AccountChange { after, storage_cleared: false, storage: ChangeSet::default() };
        self.changes.insert(address, change);
        let Self { places, changes, hasher, .. } = self;
        places.insert_unique(hash, place, |place| hash_of(hasher, changes.nth(*place as usize).0));
    }
}

impl StateView for Accounts<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.place(hash_of(&self.hasher, address), address) {
            Some(place) => Ok(self.changes.nth(place as usize).1.after),
            None => self.state.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}
