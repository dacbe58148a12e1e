//! The fields of one account while a block runs: what is committed, and what is only expected.
//!
//! Most changes to a balance are additions that nobody looks at, so an execution does not publish the
//! balance it computed but by how much it moved it. At the frontier the movement is applied to whatever
//! the balance is by then. Fields that an execution did look at are compared before (see
//! `super::reads`), and then movement and value are the same thing.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use super::interner::{Cell, Interner};
use super::sync::{AtomicBool, Ordering, RwLock, Word32, Word64};
use super::versions::Versions;
use crate::error::StateError;
use crate::primitives::{Address, B256, KECCAK_EMPTY, U256};
use crate::state::Account;
use crate::transfers::Plain;

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

/// Code hashes of this block by number: most accounts have none, and a number takes less room.
pub(super) type CodeHashes = Interner<CodeHash>;

/// One of them.
#[derive(Debug, Default)]
pub(super) struct CodeHash {
    stamp: Word32,
    words: [Word64; 4],
}

impl Cell for CodeHash {
    type Key = B256;

    #[inline]
    fn key(&self) -> B256 {
        B256::new(load(&self.words).to_le_bytes())
    }

    fn renew(&self, key: B256) {
        store(&self.words, U256::from_le_bytes(key.0));
    }

    fn stamp(&self) -> &Word32 {
        &self.stamp
    }
}

/// What stands for an account's code, and for its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct CodeNumber(u32);

impl CodeNumber {
    /// Nobody said anything about the account.
    const UNSET: Self = Self(0);
    /// There is no account.
    const ABSENT: Self = Self(1);
    /// An account without code.
    const NONE: Self = Self(2);
    /// The first of those that stand in [`CodeHashes`].
    const FIRST: u32 = 3;

    #[inline]
    fn of(account: Option<Account>, codes: &CodeHashes) -> Self {
        match account {
            None => Self::ABSENT,
            Some(account) if account.code_hash == KECCAK_EMPTY => Self::NONE,
            Some(account) => Self(Self::FIRST + codes.intern(account.code_hash)),
        }
    }

    #[inline]
    fn account(self, nonce: u64, balance: U256, codes: &CodeHashes) -> Option<Account> {
        let code_hash = match self {
            Self::UNSET | Self::ABSENT => return None,
            Self::NONE => KECCAK_EMPTY,
            Self(number) => codes.key(number - Self::FIRST),
        };
        Some(Account { nonce, balance, code_hash })
    }

    #[inline]
    fn plain(self, nonce: u64, balance: U256) -> Option<Plain> {
        match self {
            Self::ABSENT => Some(Plain { exists: false, nonce: 0, balance: U256::ZERO }),
            Self::NONE => Some(Plain { exists: true, nonce, balance }),
            _ => None,
        }
    }
}

/// One account of the block. What a plain transfer needs lies in the first two lines of the cache.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct AccountCell {
    stamp: Word32,
    address: [Word32; 5],
    base_nonce: Word64,
    base_balance: [Word64; 4],
    /// A [`CodeNumber`]. Written after the other words of the base.
    base_code: Word32,
    /// Whether `fields` hold anything; spares readers of unchanged accounts the lock.
    is_written: AtomicBool,
    /// Whether anybody asked for `storage` in this block.
    has_storage: AtomicBool,
    fields: RwLock<Fields>,
    storage: OnceLock<Box<StorageCell>>,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Fields {
    /// As the last committed transaction left them; unset where none changed them.
    balance: U256,
    nonce: u64,
    code: CodeNumber,
    /// Who changed them last among the committed.
    last_writer: u32,
    /// By transaction, ascending, all at the frontier or ahead of it.
    pending: Vec<(u32, Pending)>,
}

impl Fields {
    #[inline]
    fn committed(&self, codes: &CodeHashes) -> Option<Option<Account>> {
        (self.code != CodeNumber::UNSET).then(|| self.code.account(self.nonce, self.balance, codes))
    }

    #[inline]
    fn commit(&mut self, at: u32, after: Option<Account>, codes: &CodeHashes) {
        self.code = CodeNumber::of(after, codes);
        let Account { nonce, balance, .. } = after.unwrap_or_default();
        (self.nonce, self.balance, self.last_writer) = (nonce, balance, at);
    }
}

/// What few accounts need: those that are destroyed or created where something was.
#[derive(Debug, Default)]
pub(super) struct StorageCell {
    pub(super) base_has_storage: Answer,
    /// All slots at once were cleared by these transactions.
    pub(super) clearings: Versions<()>,
}

/// The view's answer to a question, once it was asked.
#[derive(Debug, Default)]
pub(super) struct Answer(Word32);

impl Answer {
    const UNKNOWN: u32 = 0;

    /// The answer. Two threads may both ask the view at first, which gives the same answer; failures
    /// are not kept.
    pub(super) fn get(&self, ask: impl FnOnce() -> Result<bool, StateError>) -> Result<bool, StateError> {
        match self.0.load(Ordering::Relaxed) {
            Self::UNKNOWN => {
                let answer = ask()?;
                self.0.store(1 + u32::from(answer), Ordering::Relaxed);
                Ok(answer)
            }
            known => Ok(known > 1),
        }
    }

    fn forget(&self) {
        self.0.store(Self::UNKNOWN, Ordering::Relaxed);
    }
}

impl Cell for AccountCell {
    type Key = AccountKey;

    #[inline]
    fn key(&self) -> AccountKey {
        let word = |place: usize| self.address[place].load(Ordering::Relaxed);
        AccountKey([word(0), word(1), word(2), word(3), word(4)])
    }

    #[inline]
    fn renew(&self, key: AccountKey) {
        self.address.iter().zip(key.0).for_each(|(word, part)| word.store(part, Ordering::Relaxed));
        self.base_code.store(CodeNumber::UNSET.0, Ordering::Relaxed);
        if self.is_written.load(Ordering::Relaxed) {
            let mut fields = self.fields.write();
            fields.code = CodeNumber::UNSET;
            fields.pending.clear();
            self.is_written.store(false, Ordering::Relaxed);
        }
        if self.has_storage.load(Ordering::Relaxed) {
            let storage = self.storage_or_new();
            storage.base_has_storage.forget();
            storage.clearings.forget();
            self.has_storage.store(false, Ordering::Relaxed);
        }
    }

    #[inline]
    fn stamp(&self) -> &Word32 {
        &self.stamp
    }
}

/// An address in words: hashed and compared in fewer steps than bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccountKey([u32; 5]);

impl From<Address> for AccountKey {
    #[inline]
    fn from(address: Address) -> Self {
        let bytes = address.into_array();
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self([word(0), word(4), word(8), word(12), word(16)])
    }
}

impl From<AccountKey> for Address {
    #[inline]
    fn from(key: AccountKey) -> Self {
        let mut address = Self::ZERO;
        address.chunks_exact_mut(4).zip(key.0).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
        address
    }
}

impl Hash for AccountKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e] = self.0;
        state.write_u64(u64::from(a) << 32 | u64::from(b));
        state.write_u64(u64::from(c) << 32 | u64::from(d));
        state.write_u32(e);
    }
}

/// A number that was stored in words.
#[inline]
pub(super) fn load([a, b, c, d]: &[Word64; 4]) -> U256 {
    let limb = |word: &Word64| word.load(Ordering::Relaxed);
    U256::from_limbs([limb(a), limb(b), limb(c), limb(d)])
}

/// Stores a number in words. Whoever is to see all of them is told so by something else.
#[inline]
pub(super) fn store(words: &[Word64; 4], value: U256) {
    words.iter().zip(value.as_limbs()).for_each(|(word, limb)| word.store(*limb, Ordering::Relaxed));
}

impl AccountCell {
    /// The fields before the block. Two threads may both ask the view at first, which gives the same
    /// answer; failures are not kept.
    #[inline]
    pub(super) fn base(
        &self,
        codes: &CodeHashes,
        read: impl FnOnce() -> Result<Option<Account>, StateError>,
    ) -> Result<Option<Account>, StateError> {
        // Acquire: whoever sees the number sees the other words.
        match CodeNumber(self.base_code.load(Ordering::Acquire)) {
            CodeNumber::UNSET => {
                let base = read()?;
                self.keep_base(base, codes);
                Ok(base)
            }
            code => {
                let nonce = self.base_nonce.load(Ordering::Relaxed);
                Ok(code.account(nonce, load(&self.base_balance), codes))
            }
        }
    }

    /// Whether the view was asked for the fields before the block.
    #[inline]
    pub(super) fn has_base(&self) -> bool {
        self.base_code.load(Ordering::Acquire) != CodeNumber::UNSET.0
    }

    /// Whether it had no code before the block and nobody wrote to it. `false` says nothing.
    #[inline]
    pub(super) fn has_surely_no_code(&self) -> bool {
        let base = CodeNumber(self.base_code.load(Ordering::Acquire));
        (base == CodeNumber::NONE || base == CodeNumber::ABSENT) && !self.is_written.load(Ordering::Acquire)
    }

    /// Keeps the view's answer. Another thread may be keeping it too: the same words.
    #[inline]
    pub(super) fn keep_base(&self, base: Option<Account>, codes: &CodeHashes) {
        let Account { nonce, balance, .. } = base.unwrap_or_default();
        self.base_nonce.store(nonce, Ordering::Relaxed);
        store(&self.base_balance, balance);
        self.base_code.store(CodeNumber::of(base, codes).0, Ordering::Release);
    }

    /// The fields as transaction `at`, at the frontier or ahead of it, is expected to find them.
    #[inline]
    pub(super) fn before(&self, at: u32, base: Option<Account>, codes: &CodeHashes) -> Option<Account> {
        if !self.is_written.load(Ordering::Acquire) {
            return base;
        }
        let fields = self.fields.read();
        let earlier = fields.pending.iter().take_while(|(writer, _)| *writer < at);
        let committed = fields.committed(codes).unwrap_or(base);
        earlier.fold(committed, |before, (_, pending)| pending.applied_to(before))
    }

    /// The fields after the last committed transaction, where any changed them.
    #[inline]
    pub(super) fn committed(&self, codes: &CodeHashes) -> Option<Option<Account>> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        self.fields.read().committed(codes)
    }

    /// The same with those of the base, where both are known and there is no code.
    #[inline]
    pub(super) fn committed_plain(&self) -> Option<Plain> {
        if self.is_written.load(Ordering::Acquire) {
            let fields = self.fields.read();
            if fields.code != CodeNumber::UNSET {
                return fields.code.plain(fields.nonce, fields.balance);
            }
        }
        // Acquire: whoever sees the number sees the other words.
        let base = CodeNumber(self.base_code.load(Ordering::Acquire));
        base.plain(self.base_nonce.load(Ordering::Relaxed), load(&self.base_balance))
    }

    /// Transaction `at`, at the frontier, leaves an account without code with these fields.
    #[inline]
    pub(super) fn set_plain(&self, at: u32, nonce: u64, balance: U256) {
        let mut fields = self.fields.write();
        (fields.code, fields.nonce) = (CodeNumber::NONE, nonce);
        (fields.balance, fields.last_writer) = (balance, at);
        drop(fields);
        self.is_written.store(true, Ordering::Release);
    }

    /// Transaction `at`, at the frontier, adds this to the balance as [`crate::state::credit`] does. False,
    /// and nothing is done, unless an earlier one left an account that has no code and is not empty.
    #[inline]
    pub(super) fn credit_plain(&self, at: u32, amount: U256) -> bool {
        if !self.is_written.load(Ordering::Acquire) {
            return false;
        }
        let mut fields = self.fields.write();
        if fields.code != CodeNumber::NONE || (fields.nonce == 0 && fields.balance.is_zero()) {
            return false;
        }
        if let Some(after) = fields.balance.checked_add(amount).filter(|_| !amount.is_zero()) {
            (fields.balance, fields.last_writer) = (after, at);
        }
        true
    }

    /// The last transaction before `at` that changes the fields or is expected to.
    pub(super) fn last_writer(&self, at: u32) -> Option<u32> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        let fields = self.fields.read();
        let expected = fields.pending.iter().rfind(|(writer, _)| *writer < at);
        let committed = (fields.code != CodeNumber::UNSET).then_some(fields.last_writer);
        expected.map(|(writer, _)| *writer).or(committed)
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
    pub(super) fn commit(&self, at: u32, base: Option<Account>, codes: &CodeHashes) {
        let mut fields = self.fields.write();
        let Some(place) = fields.pending.iter().position(|(writer, _)| *writer == at) else { return };
        let (_, pending) = fields.pending.remove(place);
        let after = pending.applied_to(fields.committed(codes).unwrap_or(base));
        fields.commit(at, after, codes);
    }

    /// Transaction `at`, at the frontier, leaves these fields.
    #[inline]
    pub(super) fn set(&self, at: u32, after: Option<Account>, codes: &CodeHashes) {
        self.fields.write().commit(at, after, codes);
        self.is_written.store(true, Ordering::Release);
    }

    /// Storage and lifecycle, if anybody asked for them yet.
    #[inline]
    pub(super) fn storage(&self) -> Option<&StorageCell> {
        if !self.has_storage.load(Ordering::Acquire) {
            return None;
        }
        self.storage.get().map(Box::as_ref)
    }

    /// Storage and lifecycle.
    pub(super) fn storage_or_new(&self) -> &StorageCell {
        let storage = self.storage.get_or_init(Box::default);
        self.has_storage.store(true, Ordering::Release);
        storage
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
        let (cell, codes) = (AccountCell::default(), CodeHashes::new(0));
        let base = Some(account(0, 100));
        cell.expect(5, Pending::between(Some(account(0, 50)), account(0, 20)));
        cell.expect(2, Pending::between(None, account(0, 7)));
        cell.expect(3, Pending::Set(None));

        let seen: Vec<_> = [2, 3, 4].map(|at| cell.before(at, base, &codes)).into();
        assert_eq!(seen, [base, Some(account(0, 107)), None]);
    }

    #[test]
    fn a_commit_applies_the_movement_to_what_is_there_by_then() {
        let (cell, codes) = (AccountCell::default(), CodeHashes::new(0));
        let base = Some(account(3, 100));
        cell.expect(1, Pending::between(Some(account(7, 10)), account(8, 4)));
        cell.set(0, Some(account(7, 1_000)), &codes);
        cell.commit(1, base, &codes);

        assert_eq!(cell.committed(&codes), Some(Some(account(8, 994))));
        assert_eq!(cell.last_writer(2), Some(1));
    }

    #[test]
    fn an_account_that_is_left_empty_is_gone() {
        let (cell, codes) = (AccountCell::default(), CodeHashes::new(0));
        cell.expect(1, Pending::between(Some(account(0, 5)), account(0, 0)));
        cell.commit(1, Some(account(0, 5)), &codes);

        assert_eq!(cell.committed(&codes), Some(None));
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let (cell, codes) = (AccountCell::default(), CodeHashes::new(0));
        cell.expect(4, Pending::Set(Some(account(1, 1))));
        cell.retract(4);
        cell.commit(4, None, &codes);

        assert_eq!(
            (cell.before(9, None, &codes), cell.committed(&codes), cell.last_writer(9)),
            (None, None, None)
        );
    }
}
