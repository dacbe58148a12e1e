//! The fields of one account while a block runs: what is committed, and what is only expected.
//!
//! Most changes to a balance are additions that nobody looks at, so an execution does not publish the
//! balance it computed but by how much it moved it. At the frontier the movement is applied to whatever
//! the balance is by then. Fields that an execution did look at are compared before (see
//! `super::reads`), and then movement and value are the same thing.

use std::sync::OnceLock;

use super::sync::{AtomicBool, Ordering, RwLock};
use super::versions::Versions;
use crate::error::StateError;
use crate::evm::credit;
use crate::primitives::{SpecId, U256};
use crate::state::Account;

/// What a transaction that is not committed does to an account's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// Replaces them.
    Set(Option<Account>),
    /// Moves them. Only from Spurious Dragon on, where an account that ends up empty is gone.
    Shift {
        /// Difference of the balance, modulo 2^256.
        balance: U256,
        /// The nonce afterwards, where it changes.
        nonce: Option<u64>,
    },
}

impl Pending {
    /// The difference between the fields that an execution began with and those it left.
    #[inline]
    pub(super) fn between(seen: Option<Account>, after: Account) -> Self {
        let seen = seen.unwrap_or_default();
        Self::Shift {
            balance: after.balance.wrapping_sub(seen.balance),
            nonce: (after.nonce != seen.nonce).then_some(after.nonce),
        }
    }

    #[inline]
    fn applied_to(self, before: Option<Account>) -> Option<Account> {
        match self {
            Self::Set(after) => after,
            Self::Shift { balance, nonce } => {
                let mut account = before.unwrap_or_default();
                account.balance = account.balance.wrapping_add(balance);
                account.nonce = nonce.unwrap_or(account.nonce);
                (!account.is_empty()).then_some(account)
            }
        }
    }
}

/// One account of the block.
#[derive(Debug, Default)]
pub(super) struct AccountCell {
    base: OnceLock<Option<Account>>,
    /// Whether `fields` hold anything; spares readers of unchanged accounts the lock.
    is_written: AtomicBool,
    fields: RwLock<Fields>,
    storage: OnceLock<Box<StorageCell>>,
}

#[derive(Debug, Default)]
struct Fields {
    /// As the last committed transaction left them; `None` where none changed them.
    committed: Option<Option<Account>>,
    /// Who changed them last among the committed.
    last_writer: u32,
    /// By transaction, ascending, all at the frontier or ahead of it.
    pending: Vec<(u32, Pending)>,
}

/// What few accounts need: those that are destroyed or created where something was.
#[derive(Debug, Default)]
pub(super) struct StorageCell {
    pub(super) base_has_storage: OnceLock<bool>,
    /// All slots at once were cleared by these transactions.
    pub(super) clearings: Versions<()>,
}

impl AccountCell {
    /// The fields before the block. Two threads may both ask the view at first, which gives the same
    /// answer; failures are not kept.
    #[inline]
    pub(super) fn base(
        &self,
        read: impl FnOnce() -> Result<Option<Account>, StateError>,
    ) -> Result<Option<Account>, StateError> {
        match self.base.get() {
            Some(base) => Ok(*base),
            None => {
                let base = read()?;
                Ok(*self.base.get_or_init(|| base))
            }
        }
    }

    /// Whether the view was asked for the fields before the block.
    #[inline]
    pub(super) fn has_base(&self) -> bool {
        self.base.get().is_some()
    }

    /// Keeps the view's answer.
    #[inline]
    pub(super) fn keep_base(&self, base: Option<Account>) {
        // Another thread may have kept it already: the same.
        let _ = self.base.set(base);
    }

    /// The fields as transaction `at`, at the frontier or ahead of it, is expected to find them.
    #[inline]
    pub(super) fn before(&self, at: u32, base: Option<Account>) -> Option<Account> {
        if !self.is_written.load(Ordering::Acquire) {
            return base;
        }
        let fields = self.fields.read();
        let earlier = fields.pending.iter().take_while(|(writer, _)| *writer < at);
        earlier.fold(fields.committed.unwrap_or(base), |before, (_, pending)| pending.applied_to(before))
    }

    /// The fields after the last committed transaction, where any changed them.
    #[inline]
    pub(super) fn committed(&self) -> Option<Option<Account>> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        self.fields.read().committed
    }

    /// The last transaction before `at` that changes the fields or is expected to.
    pub(super) fn last_writer(&self, at: u32) -> Option<u32> {
        let fields = self.fields.read();
        let expected = fields.pending.iter().rfind(|(writer, _)| *writer < at);
        expected.map(|(writer, _)| *writer).or(fields.committed.map(|_| fields.last_writer))
    }

    /// Lets readers behind transaction `at` expect this.
    pub(super) fn expect(&self, at: u32, pending: Pending) {
        let mut fields = self.fields.write();
        let place = fields.pending.partition_point(|(writer, _)| *writer < at);
        match fields.pending.get_mut(place) {
            Some((writer, old)) if *writer == at => *old = pending,
            _ => fields.pending.insert(place, (at, pending)),
        }
        self.is_written.store(true, Ordering::Release);
    }

    /// Takes back what transaction `at` was expected to do.
    pub(super) fn retract(&self, at: u32) {
        self.fields.write().pending.retain(|(writer, _)| *writer != at);
    }

    /// What transaction `at` was expected to do is done.
    pub(super) fn commit(&self, at: u32, base: Option<Account>) {
        let mut fields = self.fields.write();
        let Some(place) = fields.pending.iter().position(|(writer, _)| *writer == at) else { return };
        let (_, pending) = fields.pending.remove(place);
        fields.committed = Some(pending.applied_to(fields.committed.unwrap_or(base)));
        fields.last_writer = at;
    }

    /// Transaction `at`, at the frontier, leaves these fields.
    #[inline]
    pub(super) fn set(&self, at: u32, after: Option<Account>) {
        let mut fields = self.fields.write();
        fields.committed = Some(after);
        fields.last_writer = at;
        drop(fields);
        self.is_written.store(true, Ordering::Release);
    }

    /// Credits wei at the frontier by the rules of touching, see [`credit`]. Returns the fields
    /// before and after.
    #[inline]
    pub(super) fn credit(
        &self,
        at: u32,
        base: Option<Account>,
        amount: U256,
        spec: SpecId,
    ) -> (Option<Account>, Option<Account>) {
        let mut fields = self.fields.write();
        let before = fields.committed.unwrap_or(base);
        let after = credit(before, amount, spec);
        if before != after {
            fields.committed = Some(after);
            fields.last_writer = at;
            self.is_written.store(true, Ordering::Release);
        }
        (before, after)
    }

    /// Storage and lifecycle, if anybody asked for them yet.
    #[inline]
    pub(super) fn storage(&self) -> Option<&StorageCell> {
        self.storage.get().map(Box::as_ref)
    }

    /// Storage and lifecycle.
    pub(super) fn storage_or_new(&self) -> &StorageCell {
        self.storage.get_or_init(Box::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(nonce: u64, balance: u64) -> Account {
        Account { nonce, balance: U256::from(balance), ..Account::default() }
    }

    #[test]
    fn movements_add_up_in_any_order_of_arrival() {
        let cell = AccountCell::default();
        let base = Some(account(0, 100));
        cell.expect(5, Pending::between(Some(account(0, 50)), account(0, 20)));
        cell.expect(2, Pending::between(None, account(0, 7)));
        cell.expect(3, Pending::Set(None));

        let seen: Vec<_> = [2, 3, 4].map(|at| cell.before(at, base)).into();
        assert_eq!(seen, [base, Some(account(0, 107)), None]);
    }

    #[test]
    fn a_commit_applies_the_movement_to_what_is_there_by_then() {
        let cell = AccountCell::default();
        let base = Some(account(3, 100));
        cell.expect(1, Pending::between(Some(account(7, 10)), account(8, 4)));
        cell.set(0, Some(account(7, 1_000)));
        cell.commit(1, base);

        assert_eq!(cell.committed(), Some(Some(account(8, 994))));
        assert_eq!(cell.last_writer(2), Some(1));
    }

    #[test]
    fn an_account_that_is_left_empty_is_gone() {
        let cell = AccountCell::default();
        cell.expect(1, Pending::between(Some(account(0, 5)), account(0, 0)));
        cell.commit(1, Some(account(0, 5)));

        assert_eq!(cell.committed(), Some(None));
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let cell = AccountCell::default();
        cell.expect(4, Pending::Set(Some(account(1, 1))));
        cell.retract(4);
        cell.commit(4, None);

        assert_eq!((cell.before(9, None), cell.committed(), cell.last_writer(9)), (None, None, None));
    }
}
