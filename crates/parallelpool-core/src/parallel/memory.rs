//! The state of a block while its transactions run in any order.
//!
//! Above the view lie, for each account and slot, what committed transactions left there and what
//! those ahead of the frontier are expected to do. A reader at index i sees both up to i; what it saw
//! is only a guess until i is the frontier, because then all before it is committed. Base values are
//! asked for once and kept.
//!
//! A slot's value may come from three places: its own newest writer, the account's newest clearing
//! (destroyed or created anew) if that is not older, or the view.

pub(super) mod known;

use std::hash::{Hash, Hasher};
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use revm::state::AccountId as AccountHint;
use smallvec::SmallVec;

use super::accounts::{AccountCell, AccountKey, CodeHashes, Pending, load, store};
use super::interner::{Cell, Interner};
use super::reads::{ReadLog, has_no_code};
use super::sync::{AtomicU32, Mutex, Ordering, RwLock, Word32, Word64};
use super::versions::Versions;
use crate::error::StateError;
use crate::evm::TxExecution;
use crate::primitives::{Address, B256, Bytecode, Bytes, KECCAK_EMPTY, SpecId, U256};
use crate::state::overlay::new_code_hash;
use crate::state::{
    Account, AccountChange, AccountWrite, ChangeSet, StateChanges, StateView, analyse, credit,
};
use crate::transfers::Plain;

/// An account of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct AccountId(u32);

impl AccountId {
    /// As revm carries it along with a loaded account.
    #[inline]
    pub(super) fn as_hint(self) -> Option<AccountHint> {
        AccountHint::new(self.0 as usize)
    }

    /// The id behind what [`Self::as_hint`] gave.
    #[inline]
    pub(super) fn from_hint(hint: AccountHint) -> Self {
        Self(u32::try_from(hint.get()).expect("hints are made of 32-bit ids"))
    }
}

/// A slot of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SlotId(u32);

/// A slot of an account of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SlotKey {
    account: AccountId,
    slot: U256,
}

impl Hash for SlotKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Word by word: as bytes it would take the hasher's way for long inputs.
        state.write_u32(self.account.0);
        self.slot.as_limbs().iter().for_each(|limb| state.write_u64(*limb));
    }
}

/// Where a transaction is expected to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nonce, balance, code hash, existence.
    Fields(AccountId),
    /// All slots at once.
    Clearing(AccountId),
    /// One slot.
    Slot(SlotId),
}

#[derive(Debug, Default)]
struct SlotCell {
    stamp: Word32,
    account: Word32,
    slot: [Word64; 4],
    base: [Word64; 4],
    /// Whether the view was asked for the base. Written after it.
    has_base: Word32,
    values: Versions<U256>,
}

impl Cell for SlotCell {
    type Key = SlotKey;

    #[inline]
    fn key(&self) -> SlotKey {
        SlotKey { account: self.account(), slot: load(&self.slot) }
    }

    #[inline]
    fn renew(&self, key: SlotKey) {
        self.account.store(key.account.0, Ordering::Relaxed);
        store(&self.slot, key.slot);
        self.has_base.store(0, Ordering::Relaxed);
        self.values.forget();
    }

    #[inline]
    fn stamp(&self) -> &Word32 {
        &self.stamp
    }
}

impl SlotCell {
    #[inline]
    fn account(&self) -> AccountId {
        AccountId(self.account.load(Ordering::Relaxed))
    }

    /// The value before the block. Two threads may both ask the view at first, which gives the same
    /// answer; failures are not kept.
    #[inline]
    fn base(&self, read: impl FnOnce() -> Result<U256, StateError>) -> Result<U256, StateError> {
        // Acquire: whoever sees the flag sees the value.
        if self.has_base.load(Ordering::Acquire) != 0 {
            return Ok(load(&self.base));
        }
        let value = read()?;
        store(&self.base, value);
        self.has_base.store(1, Ordering::Release);
        Ok(value)
    }
}

/// What a block keeps of accounts and slots. The memory serves one block after another.
#[derive(Debug)]
pub(crate) struct Tables {
    accounts: Interner<AccountCell>,
    slots: Interner<SlotCell>,
    code_hashes: CodeHashes,
}

impl Default for Tables {
    fn default() -> Self {
        Self { accounts: Interner::new(0), slots: Interner::new(0), code_hashes: CodeHashes::new(0) }
    }
}

/// A view with the writes of a block's transactions on top.
#[derive(Debug)]
pub(super) struct VersionedState<V> {
    base: V,
    tables: Box<Tables>,
    /// Code that came into being. Content-addressed, so what an aborted execution left is harmless.
    codes: RwLock<HashMap<B256, Bytecode, RandomState>>,
}

impl<V: StateView> VersionedState<V> {
    /// The state of a block with so many transactions, nothing written yet.
    pub(super) fn new(base: V, mut tables: Box<Tables>, transactions: usize) -> Self {
        tables.accounts.renew(2 * transactions);
        tables.slots.renew(0);
        tables.code_hashes.renew(0);
        Self { base, tables, codes: RwLock::default() }
    }

    /// The memory, for another block.
    pub(super) fn into_tables(self) -> Box<Tables> {
        self.tables
    }

    #[inline]
    pub(super) fn account_id(&self, address: Address) -> AccountId {
        AccountId(self.tables.accounts.intern(address.into()))
    }

    /// The ids of several accounts, in their order.
    pub(super) fn account_ids(&self, addresses: &[Address], mut put: impl FnMut(AccountId)) {
        let keys: SmallVec<[AccountKey; 128]> = addresses.iter().map(|address| (*address).into()).collect();
        self.tables.accounts.intern_all(&keys, |id| put(AccountId(id)));
    }

    /// Asks the view for several accounts one right after the other, before anything of it is kept:
    /// what a view in memory waits for, it then waits for at once. Failures come again when asked singly.
    pub(super) fn ask_for_accounts(&self, ids: &[AccountId], addresses: &[Address]) {
        let both = ids.iter().zip(addresses);
        let unknown = both.filter(|(id, _)| !self.cell(**id).has_base()).map(|(id, address)| (*id, *address));
        let (ids, addresses): (SmallVec<[_; 128]>, SmallVec<[_; 128]>) = unknown.unzip();
        self.base.accounts(&addresses, &mut |place, answer| {
            if let Ok(account) = answer {
                self.cell(ids[place]).keep_base(account, &self.tables.code_hashes);
            }
        });
    }

    #[inline]
    fn cell(&self, id: AccountId) -> &AccountCell {
        self.tables.accounts.cell(id.0)
    }

    #[inline]
    fn slot_cell(&self, id: SlotId) -> &SlotCell {
        self.tables.slots.cell(id.0)
    }

    /// Accounts that were used so far.
    pub(super) fn account_count(&self) -> usize {
        self.tables.accounts.len() as usize
    }

    #[inline]
    pub(super) fn slot_id(&self, account: AccountId, slot: U256) -> SlotId {
        SlotId(self.tables.slots.intern(SlotKey { account, slot }))
    }

    #[inline]
    pub(super) fn address(&self, id: AccountId) -> Address {
        self.cell(id).key().into()
    }

    /// Whether it is that account's id: cheaper to ask than its address.
    #[inline]
    pub(super) fn has_key(&self, id: AccountId, key: AccountKey) -> bool {
        self.cell(id).key() == key
    }

    pub(super) fn slot_key(&self, id: SlotId) -> (Address, U256) {
        let SlotKey { account, slot } = self.slot_cell(id).key();
        (self.address(account), slot)
    }

    /// The account as transaction `at` is expected to find it.
    #[inline]
    pub(super) fn account(&self, id: AccountId, at: u32) -> Result<Option<Account>, StateError> {
        let base = self.base_account(id)?;
        Ok(self.cell(id).before(at, base, &self.tables.code_hashes))
    }

    /// Whether transaction `at` is expected to find no code at the account.
    #[inline]
    pub(super) fn has_no_code(&self, id: AccountId, at: u32) -> Result<bool, StateError> {
        match self.cell(id).has_surely_no_code() {
            true => Ok(true),
            false => Ok(has_no_code(self.account(id, at)?)),
        }
    }

    /// The account after the last committed transaction.
    #[inline]
    pub(super) fn committed(&self, id: AccountId) -> Result<Option<Account>, StateError> {
        match self.cell(id).committed(&self.tables.code_hashes) {
            Some(fields) => Ok(fields),
            None => self.base_account(id),
        }
    }

    /// The same, if it has no code.
    #[inline]
    pub(super) fn committed_plain(&self, id: AccountId) -> Result<Option<Plain>, StateError> {
        if let Some(plain) = self.cell(id).committed_plain() {
            return Ok(Some(plain));
        }
        self.committed(id)?;
        Ok(self.cell(id).committed_plain())
    }

    /// The slot as transaction `at` is expected to find it.
    #[inline]
    pub(super) fn slot(&self, id: SlotId, at: u32) -> Result<U256, StateError> {
        let cleared = self.last_clearing(self.slot_cell(id).account(), at);
        match self.written_slot(id, at, cleared) {
            Some(value) => Ok(value),
            None if cleared.is_some() => Ok(U256::ZERO),
            None => self.base_slot(id),
        }
    }

    /// Whether any slot of the account is not zero for transaction `at`, as far as the writes of
    /// this block tell; see [`crate::state::overlay::Overlay`] for the case that nobody asks for.
    pub(super) fn has_storage(&self, id: AccountId, at: u32) -> Result<bool, StateError> {
        let cleared = self.last_clearing(id, at);
        // Asked so rarely that going through all slots of the block is cheaper than keeping lists. What
        // others are adding meanwhile was written by nobody who is committed.
        let own = self.tables.slots.keys().filter(|(_, key)| key.account == id).map(|(slot, _)| SlotId(slot));
        let mut written = own.filter_map(|slot| self.written_slot(slot, at, cleared));
        if written.any(|value| !value.is_zero()) {
            return Ok(true);
        }
        if cleared.is_some() {
            return Ok(false);
        }
        self.base_has_storage(id)
    }

    pub(super) fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.codes.read().get(code_hash) {
            return Ok(code.clone());
        }
        self.base.code(code_hash)
    }

    pub(super) fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.base.block_hash(number)
    }

    /// The last transaction before `at` that writes the account's fields.
    pub(super) fn last_writer(&self, id: AccountId, at: u32) -> Option<u32> {
        self.cell(id).last_writer(at)
    }

    /// The last transaction before `at` that writes the slot or clears it.
    pub(super) fn last_slot_writer(&self, id: SlotId, at: u32) -> Option<u32> {
        let account = self.slot_cell(id).account();
        let writer = self.slot_cell(id).values.newest_before(at).map(|(writer, _)| writer);
        writer.max(self.last_clearing(account, at))
    }

    /// [`Self::publish_to`] a new list.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn publish(&self, at: u32, execution: &TxExecution, reads: Option<&ReadLog>) -> Vec<Place> {
        let mut places = Vec::new();
        self.publish_to(at, execution, reads, &mut places);
        places
    }

    /// Lets later transactions expect the writes of transaction `at`, which read what `reads` says
    /// (all is committed where there is no log). Adds where they went to `places`.
    pub(super) fn publish_to(
        &self,
        at: u32,
        execution: &TxExecution,
        reads: Option<&ReadLog>,
        places: &mut Vec<Place>,
    ) {
        self.publish_codes(execution);
        for write in &execution.writes {
            let read = reads.and_then(|reads| reads.id_of(self, write.address));
            let id = read.unwrap_or_else(|| self.account_id(write.address));
            self.write_storage(at, id, write, false, |place| places.push(place));
            if let Some(after) = write.account {
                let pending = match (after, reads.and_then(|reads| reads.seen_in_part(id))) {
                    (Some(after), Some(seen)) if code_hash(seen) == after.code_hash => {
                        Pending::between(seen, after)
                    }
                    _ => Pending::Set(after),
                };
                self.cell(id).expect(at, pending);
                places.push(Place::Fields(id));
            }
        }
    }

    /// Takes back all that transaction `at` was expected to write.
    pub(super) fn retract(&self, at: u32, places: &[Place]) {
        for place in places {
            match place {
                Place::Fields(id) => self.cell(*id).retract(at),
                Place::Clearing(id) => {
                    self.cell(*id).storage_or_new().clearings.retract(at);
                }
                Place::Slot(id) => self.slot_cell(*id).values.retract(at),
            }
        }
    }

    /// What transaction `at`, at the frontier, was expected to write at `places` is written.
    pub(super) fn commit(&self, at: u32, places: &[Place]) -> Result<(), StateError> {
        for place in places {
            match place {
                Place::Fields(id) => {
                    let base = self.base_account(*id)?;
                    self.cell(*id).commit(at, base, &self.tables.code_hashes);
                }
                Place::Clearing(id) => self.cell(*id).storage_or_new().clearings.settle(at),
                Place::Slot(id) => self.slot_cell(*id).values.settle(at),
            }
        }
        Ok(())
    }

    /// Transaction `at`, at the frontier, ran on committed state and wrote this.
    pub(super) fn apply(&self, at: u32, execution: &TxExecution) {
        self.publish_codes(execution);
        for write in &execution.writes {
            let id = self.account_id(write.address);
            self.write_storage(at, id, write, true, |_| ());
            if let Some(after) = write.account {
                self.cell(id).set(at, after, &self.tables.code_hashes);
            }
        }
    }

    /// Transactions up to `at`, all at the frontier, ran on committed state and changed this.
    pub(super) fn take_in(&self, at: u32, changes: StateChanges) {
        if !changes.codes.is_empty() {
            let code = |(hash, code): (_, Bytes)| (hash, analyse(code));
            // Before the accounts that carry their hashes.
            self.codes.write().extend(changes.codes.into_iter().map(code));
        }
        for (address, change) in changes.accounts {
            let id = self.account_id(address);
            let AccountChange { after, storage_cleared, storage } = change;
            let storage = storage.into_iter().collect();
            let write = AccountWrite { address, account: Some(after), storage_cleared, storage };
            self.write_storage(at, id, &write, true, |_| ());
            self.cell(id).set(at, after, &self.tables.code_hashes);
        }
    }

    /// Sets the fields of an account at the frontier.
    #[inline]
    pub(super) fn set_account(&self, at: u32, id: AccountId, after: Option<Account>) {
        self.cell(id).set(at, after, &self.tables.code_hashes);
    }

    /// Sets the fields of an account without code at the frontier.
    #[inline]
    pub(super) fn set_plain(&self, at: u32, id: AccountId, after: &Plain) {
        self.cell(id).set_plain(at, after.nonce, after.balance);
    }

    /// Credits a fee to an account at the frontier, as the last thing transaction `at` does.
    #[inline]
    pub(super) fn credit(
        &self,
        at: u32,
        id: AccountId,
        amount: U256,
        spec: SpecId,
    ) -> Result<(), StateError> {
        if self.cell(id).credit_plain(at, amount) {
            return Ok(());
        }
        let before = self.committed(id)?;
        let after = credit(before, amount, spec);
        if before != after {
            self.set_account(at, id, after);
        }
        if before.is_some() && after.is_none() {
            // An account goes with its storage.
            let clearings = &self.cell(id).storage_or_new().clearings;
            clearings.put(at, ());
            clearings.settle(at);
        }
        Ok(())
    }

    /// The writes of transaction `at`, which are published but not committed, as they will be: the
    /// true differences to what is committed.
    pub(super) fn final_writes(
        &self,
        at: u32,
        writes: &[AccountWrite],
    ) -> Result<Vec<AccountWrite>, StateError> {
        let mut all = Vec::with_capacity(writes.len());
        for write in writes {
            let mut write = write.clone();
            if write.account.is_some() {
                let id = self.account_id(write.address);
                let after = self.account(id, at + 1)?;
                write.account = (after != self.account(id, at)?).then_some(after);
            }
            if write.account.is_some() || write.storage_cleared || !write.storage.is_empty() {
                all.push(write);
            }
        }
        Ok(all)
    }

    /// The state that transaction `at`, at the frontier or ahead of it, is expected to begin with.
    pub(super) fn at(&self, at: u32) -> StateAt<'_, V> {
        StateAt { memory: self, at }
    }

    /// True differences between the view and the state after all committed transactions, the last of
    /// which comes before `end`. `share` runs what it is given on the caller and whoever else is free.
    pub(super) fn changes(
        &self,
        end: u32,
        share: impl FnOnce(&(dyn Fn() + Sync)),
    ) -> Result<StateChanges, StateError> {
        let slots = self.written_slots(end);
        let count = self.tables.accounts.len();
        let (next, parts) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let work = || {
            let accounts = ChangeSet::with_capacity(count as usize);
            let mut part = StateChanges { accounts, codes: Default::default() };
            let mut piece = || {
                let first = next.fetch_add(PIECE, Ordering::Relaxed);
                let ids = first..first.saturating_add(PIECE).min(count);
                (first < count).then(|| self.add_changes(ids, end, &slots, &mut part))
            };
            let done: Result<(), StateError> = std::iter::from_fn(&mut piece).collect();
            parts.lock().push(done.map(|()| part));
        };
        if count > PIECE {
            share(&work);
        } else {
            work();
        }
        let mut parts = parts.into_inner().into_iter();
        let mut all = parts.next().expect("the caller has worked")?;
        for part in parts {
            let StateChanges { accounts, codes } = part?;
            all.accounts.extend(accounts);
            all.codes.extend(codes);
        }
        Ok(all)
    }

    /// The same for accounts with these ids.
    fn add_changes(
        &self,
        ids: Range<u32>,
        end: u32,
        slots: &SlotLists,
        changes: &mut StateChanges,
    ) -> Result<(), StateError> {
        for id in ids {
            let Some(cell) = self.tables.accounts.owned(id) else { continue };
            let id = AccountId(id);
            let fields = cell.committed(&self.tables.code_hashes);
            if fields.is_none() && cell.storage().is_none() && slots.is_empty(id) {
                continue;
            }
            let before = self.base_account(id)?;
            let after = fields.unwrap_or(before);
            let Some(change) = self.change_of(id, before, after, slots.of(id), end)? else { continue };
            if let Some(hash) = new_code_hash(before, after)
                && let Some(code) = self.codes.read().get(&hash)
            {
                changes.codes.insert(hash, code.original_bytes());
            }
            changes.accounts.insert(cell.key().into(), change);
        }
        Ok(())
    }

    /// The change of one account in canonical form, see [`crate::state::AccountChange`].
    #[inline]
    fn change_of(
        &self,
        id: AccountId,
        before: Option<Account>,
        after: Option<Account>,
        slots: impl Iterator<Item = SlotId> + Clone,
        end: u32,
    ) -> Result<Option<AccountChange>, StateError> {
        let cleared = self.last_clearing(id, end);
        let loses_storage = (cleared.is_some() || after.is_none()) && before.is_some();
        let storage_cleared = loses_storage && self.base_has_storage(id)?;
        let mut change = AccountChange { after, storage_cleared, storage: Default::default() };
        if after.is_some() {
            // Most of them changed, and a list that grows is copied again and again.
            change.storage = ChangeSet::with_capacity(slots.clone().count());
            for slot in slots {
                let Some(value) = self.written_slot(slot, end, cleared) else { continue };
                let old = if cleared.is_some() { U256::ZERO } else { self.base_slot(slot)? };
                if value != old {
                    change.storage.insert(self.slot_cell(slot).key().slot, value);
                }
            }
        }
        let is_unchanged = before == after && !storage_cleared && change.storage.is_empty();
        Ok((!is_unchanged).then_some(change))
    }

    /// The slots written before `end`, account by account.
    fn written_slots(&self, end: u32) -> SlotLists {
        let slots = &self.tables.slots;
        if slots.len() == 0 {
            return SlotLists::default();
        }
        let mut lists = SlotLists {
            first: vec![NO_SLOT; self.tables.accounts.len() as usize],
            next: vec![NO_SLOT; slots.len() as usize],
        };
        for slot in (0..slots.len()).rev() {
            let Some(cell) = slots.owned(slot) else { continue };
            if cell.values.newest_before(end).is_some() {
                let first = &mut lists.first[cell.account().0 as usize];
                lists.next[slot as usize] = *first;
                *first = slot;
            }
        }
        lists
    }

    #[inline]
    fn base_slot(&self, id: SlotId) -> Result<U256, StateError> {
        let cell = self.slot_cell(id);
        cell.base(|| self.base.storage(&self.address(cell.account()), &cell.key().slot))
    }

    fn base_has_storage(&self, id: AccountId) -> Result<bool, StateError> {
        let cell = self.cell(id).storage_or_new();
        cell.base_has_storage.get(|| self.base.has_storage(&self.address(id)))
    }

    #[inline]
    fn base_account(&self, id: AccountId) -> Result<Option<Account>, StateError> {
        self.cell(id).base(&self.tables.code_hashes, || self.base.account(&self.address(id)))
    }

    #[inline]
    fn last_clearing(&self, account: AccountId, at: u32) -> Option<u32> {
        let storage = self.cell(account).storage()?;
        storage.clearings.newest_before(at).map(|(writer, ())| writer)
    }

    /// The slot's own value where it has a writer before `at` that no clearing came after.
    #[inline]
    fn written_slot(&self, id: SlotId, at: u32, cleared: Option<u32>) -> Option<U256> {
        let (writer, value) = self.slot_cell(id).values.newest_before(at)?;
        cleared.is_none_or(|clearer| clearer <= writer).then_some(value)
    }

    fn publish_codes(&self, execution: &TxExecution) {
        if !execution.codes.is_empty() {
            // Before the accounts that carry their hashes.
            self.codes.write().extend(execution.codes.iter().cloned());
        }
    }

    /// Writes what happens to an account's storage. `is_final`: nobody asks for older values any more.
    fn write_storage(
        &self,
        at: u32,
        id: AccountId,
        write: &AccountWrite,
        is_final: bool,
        mut went_to: impl FnMut(Place),
    ) {
        // An account goes with its storage.
        let is_cleared = write.storage_cleared || write.account == Some(None);
        if !is_cleared && write.storage.is_empty() {
            return;
        }
        if is_cleared {
            let clearings = &self.cell(id).storage_or_new().clearings;
            clearings.put(at, ());
            if is_final {
                clearings.settle(at);
            }
            went_to(Place::Clearing(id));
        }
        for (slot, value) in &write.storage {
            let slot = self.slot_id(id, *slot);
            let values = &self.slot_cell(slot).values;
            if is_final {
                values.put_and_settle(at, *value);
            } else {
                values.put(at, *value);
            }
            went_to(Place::Slot(slot));
        }
    }
}

const NO_SLOT: u32 = u32::MAX;

/// Accounts whose changes one worker puts together before it asks for more.
const PIECE: u32 = 4_096;

/// For each account its slots, as lists through two tables. Both are empty where there are no slots.
#[derive(Default)]
struct SlotLists {
    /// By account: its first slot.
    first: Vec<u32>,
    /// By slot: the next one of the same account.
    next: Vec<u32>,
}

impl SlotLists {
    fn is_empty(&self, account: AccountId) -> bool {
        self.first_of(account).is_none()
    }

    fn of(&self, account: AccountId) -> impl Iterator<Item = SlotId> + Clone {
        let after = |slot: &u32| Some(self.next[*slot as usize]).filter(|next| *next != NO_SLOT);
        std::iter::successors(self.first_of(account), after).map(SlotId)
    }

    fn first_of(&self, account: AccountId) -> Option<u32> {
        self.first.get(account.0 as usize).copied().filter(|slot| *slot != NO_SLOT)
    }
}

#[inline]
fn code_hash(account: Option<Account>) -> B256 {
    account.map_or(KECCAK_EMPTY, |account| account.code_hash)
}

/// The state before one transaction of the block, as a view.
#[derive(Debug)]
pub(super) struct StateAt<'a, V> {
    memory: &'a VersionedState<V>,
    at: u32,
}

impl<V: StateView> StateView for StateAt<'_, V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.memory.account(self.memory.account_id(*address), self.at)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let account = self.memory.account_id(*address);
        self.memory.slot(self.memory.slot_id(account, *slot), self.at)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.memory.has_storage(self.memory.account_id(*address), self.at)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.memory.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.memory.block_hash(number)
    }
}
