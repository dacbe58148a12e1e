//! What an execution read, and whether it would read the same at the frontier.
//!
//! Slots and answers about storage are compared by value. An account's fields are compared as far as
//! they entered the computation: the code always; nonce and balance exactly where the EVM recorded
//! that they were looked at; emptiness where it was; and the balances that money left from must still
//! suffice. What remains may differ: the execution would have come out the same.

use super::memory::{AccountId, SlotId, VersionedState};
use crate::access::{Field, Location};
use crate::error::StateError;
use crate::evm::Observations;
use crate::execution::Abort;
use crate::primitives::{Address, KECCAK_EMPTY, U256};
use crate::state::{Account, StateView};
use crate::transfers::HUGE;
use crate::tx::RecoveredTransaction;

/// Up to this many accounts a search from the start is fast enough; more are sorted.
const SEARCHED: usize = 32;

/// What is compared of an account: a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Checks(u8);

impl Checks {
    /// All fields.
    const WHOLE: Self = Self(1);
    /// The balance.
    const BALANCE: Self = Self(1 << 1);
    /// Whether the account is empty.
    const EMPTINESS: Self = Self(1 << 2);
    /// The nonce, which was not read but predicted.
    const NONCE: Self = Self(1 << 3);

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn without_nonce(self) -> Self {
        Self(self.0 & !Self::NONCE.0)
    }
}

#[derive(Debug, Clone, Copy)]
struct AccountRead {
    id: AccountId,
    seen: Option<Account>,
    checks: Checks,
}

/// The reads of one execution. Absence is a value.
#[derive(Debug, Default)]
pub(super) struct ReadLog {
    accounts: Vec<AccountRead>,
    slots: Vec<(SlotId, U256)>,
    has_storage: Vec<(AccountId, bool)>,
    /// Balances that must suffice.
    needs: Vec<(AccountId, U256)>,
}

impl ReadLog {
    #[inline]
    pub(super) fn account(&mut self, id: AccountId, seen: Option<Account>) {
        self.accounts.push(AccountRead { id, seen, checks: Checks::default() });
    }

    #[inline]
    pub(super) fn slot(&mut self, id: SlotId, seen: U256) {
        self.slots.push((id, seen));
    }

    pub(super) fn storage(&mut self, id: AccountId, seen: bool) {
        self.has_storage.push((id, seen));
    }

    /// The fields with which the execution began, where not all of them must be the same again.
    /// Asked after the log was closed by one of the two `compare_` methods.
    #[inline]
    pub(super) fn seen_in_part(&self, id: AccountId) -> Option<Option<Account>> {
        let read = &self.accounts[self.place(id)?];
        (!read.checks.has(Checks::WHOLE)).then_some(read.seen)
    }

    /// The id of an account that is among the first ones read.
    #[inline]
    pub(super) fn id_of<V: StateView>(
        &self,
        memory: &VersionedState<V>,
        address: Address,
    ) -> Option<AccountId> {
        const FIRST: usize = 4;
        let key = address.into();
        self.accounts.iter().take(FIRST).map(|read| read.id).find(|id| memory.has_key(*id, key))
    }

    /// Everything that was read must be the same: what a refusal rests on, and all before EIP-161.
    pub(super) fn compare_whole(&mut self) {
        self.sort();
        self.accounts.iter_mut().for_each(|read| read.checks.add(Checks::WHOLE));
    }

    /// Compares no more than what entered the computation of a valid transaction.
    pub(super) fn compare_observed(
        &mut self,
        tx: &RecoveredTransaction,
        observed: &Observations,
        mut id_of: impl FnMut(&Address) -> AccountId,
    ) {
        self.sort();
        let mut mark = |id: AccountId, checks: Checks| {
            if let Some(place) = self.place(id) {
                self.accounts[place].checks.add(checks);
            }
        };
        observed.whole.iter().for_each(|address| mark(id_of(address), Checks::WHOLE));
        observed.balances.iter().for_each(|address| mark(id_of(address), Checks::BALANCE));
        observed.emptiness.iter().for_each(|address| mark(id_of(address), Checks::EMPTINESS));
        let sender = id_of(&tx.sender);
        mark(sender, Checks::NONCE);
        let mut cost = tx.tx.cost().unwrap_or(U256::MAX);
        for (address, outflow) in &observed.outflow {
            if *address == tx.sender {
                cost = cost.saturating_add(*outflow);
            } else {
                self.needs.push((id_of(address), *outflow));
            }
        }
        self.needs.push((sender, cost));
        // Whoever moves such sums may overflow those who receive them.
        if self.accounts.iter().any(|read| read.seen.is_some_and(|account| account.balance >= HUGE)) {
            self.accounts.iter_mut().for_each(|read| read.checks.add(Checks::BALANCE));
        }
    }

    fn sort(&mut self) {
        if self.accounts.len() > SEARCHED {
            self.accounts.sort_unstable_by_key(|read| read.id);
        }
    }

    #[inline]
    fn place(&self, id: AccountId) -> Option<usize> {
        if self.accounts.len() > SEARCHED {
            self.accounts.binary_search_by_key(&id, |read| read.id).ok()
        } else {
            self.accounts.iter().position(|read| read.id == id)
        }
    }

    /// The first read that would decide otherwise for transaction `at`, which is at the frontier, and
    /// who wrote there.
    pub(super) fn first_changed<V: StateView>(
        &self,
        memory: &VersionedState<V>,
        at: u32,
    ) -> Result<Option<Abort>, StateError> {
        self.changed(memory, at, self.accounts.iter().copied(), &self.needs)
    }

    /// The same ahead of the frontier, where nonce and funds of the sender are still to come.
    pub(super) fn is_expected_to_hold<V: StateView>(
        &self,
        memory: &VersionedState<V>,
        at: u32,
    ) -> Result<bool, StateError> {
        let unpredicted = |read: &AccountRead| AccountRead { checks: read.checks.without_nonce(), ..*read };
        Ok(self.changed(memory, at, self.accounts.iter().map(unpredicted), &[])?.is_none())
    }

    fn changed<V: StateView>(
        &self,
        memory: &VersionedState<V>,
        at: u32,
        accounts: impl Iterator<Item = AccountRead>,
        needs: &[(AccountId, U256)],
    ) -> Result<Option<Abort>, StateError> {
        for read in accounts {
            let now = memory.account(read.id, at)?;
            if now == read.seen {
                continue;
            }
            let need = || needs.iter().find(|(id, _)| *id == read.id).map(|(_, need)| *need);
            if let Some(field) = differing_field(&read, now, need) {
                let address = memory.address(read.id);
                let location = Some(Location { address, field });
                return Ok(Some(Abort {
                    transaction: at,
                    writer: memory.last_writer(read.id, at),
                    location,
                }));
            }
        }
        for (id, seen) in &self.slots {
            if memory.slot(*id, at)? != *seen {
                let (address, slot) = memory.slot_key(*id);
                let location = Some(Location { address, field: Field::Storage(slot) });
                return Ok(Some(Abort {
                    transaction: at,
                    writer: memory.last_slot_writer(*id, at),
                    location,
                }));
            }
        }
        for (id, seen) in &self.has_storage {
            if memory.has_storage(*id, at)? != *seen {
                let location = Some(Location { address: memory.address(*id), field: Field::Code });
                return Ok(Some(Abort { transaction: at, writer: memory.last_writer(*id, at), location }));
            }
        }
        Ok(None)
    }

    /// Empties the log and keeps its room.
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.has_storage.clear();
        self.needs.clear();
    }
}

/// The field because of which an account that is not as it was seen makes a difference.
fn differing_field(
    read: &AccountRead,
    now: Option<Account>,
    need: impl FnOnce() -> Option<U256>,
) -> Option<Field> {
    let AccountRead { seen, checks, .. } = *read;
    let (new, old) = (now.unwrap_or_default(), seen.unwrap_or_default());
    if new.code_hash != old.code_hash {
        return Some(Field::Code);
    }
    let exact_nonce = checks.has(Checks::WHOLE) || checks.has(Checks::NONCE);
    if exact_nonce && new.nonce != old.nonce {
        return Some(Field::Nonce);
    }
    // One that exists and is empty vanishes when it is touched.
    let lingers = |account: Option<Account>| account.is_some_and(|account| account.is_empty());
    if lingers(now) != lingers(seen) {
        return Some(Field::Balance);
    }
    if checks.has(Checks::WHOLE) && now.is_some() != seen.is_some() {
        return Some(Field::Code);
    }
    if checks.has(Checks::EMPTINESS) && new.is_empty() != old.is_empty() {
        return Some(if new.nonce == old.nonce { Field::Balance } else { Field::Nonce });
    }
    if new.balance != old.balance {
        let exact = checks.has(Checks::WHOLE)
            || checks.has(Checks::BALANCE)
            || new.balance >= HUGE
            || old.balance >= HUGE;
        if exact || need().is_some_and(|need| new.balance < need) {
            return Some(Field::Balance);
        }
    }
    None
}

/// Whether an account without code looks the same to a transaction that only passes it money.
#[inline]
pub(super) fn has_no_code(account: Option<Account>) -> bool {
    account.is_none_or(|account| account.code_hash == KECCAK_EMPTY)
}
