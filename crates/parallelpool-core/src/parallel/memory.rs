//! The state of a block while its transactions run in any order.
//!
//! Above the view lie, for each account and slot, what committed transactions left there and what
//! those ahead of the frontier are expected to do. A reader at index i sees both up to i; what it saw
//! is only a guess until i is the frontier, because then all before it is committed. Base values are
//! asked for once and kept.
//!
//! A slot's value may come from three places: its own newest writer, the account's newest clearing
//! (destroyed or created anew) if that is not older, or the view.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use revm::state::AccountId as AccountHint;
use smallvec::SmallVec;

use super::accounts::{AccountCell, Pending};
use super::interner::Interner;
use super::reads::ReadLog;
use super::sync::RwLock;
use super::versions::Versions;
use crate::error::StateError;
use crate::evm::{AccountWrite, TxExecution};
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, SpecId, U256};
use crate::state::overlay::new_code_hash;
use crate::state::{Account, AccountChange, ChangeSet, StateChanges, StateView};

/// An account of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    base: OnceLock<U256>,
    values: Versions<U256>,
}

/// A view with the writes of a block's transactions on top.
#[derive(Debug)]
pub(super) struct VersionedState<V> {
    base: V,
    accounts: Interner<Address, AccountCell>,
    slots: Interner<SlotKey, SlotCell>,
    /// Code that came into being. Content-addressed, so what an aborted execution left is harmless.
    codes: RwLock<HashMap<B256, Bytecode, RandomState>>,
}

impl<V: StateView> VersionedState<V> {
    /// The state of a block with so many transactions, nothing written yet.
    pub(super) fn new(base: V, transactions: usize) -> Self {
        Self {
            base,
            accounts: Interner::new(2 * transactions),
            slots: Interner::new(2 * transactions),
            codes: RwLock::default(),
        }
    }

    #[inline]
    pub(super) fn account_id(&self, address: Address) -> AccountId {
        AccountId(self.accounts.intern(address))
    }

    /// The ids of several accounts, in their order.
    pub(super) fn account_ids(&self, addresses: &[Address]) -> Vec<AccountId> {
        let mut ids = Vec::with_capacity(addresses.len());
        self.accounts.intern_all(addresses, |id| ids.push(AccountId(id)));
        ids
    }

    /// Asks the view for several accounts one right after the other, before anything of it is kept:
    /// what a view in memory waits for, it then waits for at once. Failures come again when asked singly.
    pub(super) fn ask_for_accounts(&self, ids: &[AccountId]) {
        let unknown = ids.iter().filter(|id| !self.accounts.cell(id.0).has_base());
        let ask = |id: &AccountId| Some((*id, self.base.account(self.accounts.key(id.0)).ok()?));
        let found: SmallVec<[_; 32]> = unknown.filter_map(ask).collect();
        for (id, account) in found {
            self.accounts.cell(id.0).keep_base(account);
        }
    }

    #[inline]
    pub(super) fn slot_id(&self, account: AccountId, slot: U256) -> SlotId {
        SlotId(self.slots.intern(SlotKey { account, slot }))
    }

    #[inline]
    pub(super) fn address(&self, id: AccountId) -> Address {
        *self.accounts.key(id.0)
    }

    pub(super) fn slot_key(&self, id: SlotId) -> (Address, U256) {
        let SlotKey { account, slot } = *self.slots.key(id.0);
        (self.address(account), slot)
    }

    /// The account as transaction `at` is expected to find it.
    #[inline]
    pub(super) fn account(&self, id: AccountId, at: u32) -> Result<Option<Account>, StateError> {
        let base = self.base_account(id)?;
        Ok(self.accounts.cell(id.0).before(at, base))
    }

    /// The account after the last committed transaction.
    #[inline]
    pub(super) fn committed(&self, id: AccountId) -> Result<Option<Account>, StateError> {
        match self.accounts.cell(id.0).committed() {
            Some(fields) => Ok(fields),
            None => self.base_account(id),
        }
    }

    /// The slot as transaction `at` is expected to find it.
    #[inline]
    pub(super) fn slot(&self, id: SlotId, at: u32) -> Result<U256, StateError> {
        let SlotKey { account, .. } = self.slots.key(id.0);
        let cleared = self.last_clearing(*account, at);
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
        let own = self.slots.keys().filter(|(_, key)| key.account == id).map(|(slot, _)| SlotId(slot));
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
        self.accounts.cell(id.0).last_writer(at)
    }

    /// The last transaction before `at` that writes the slot or clears it.
    pub(super) fn last_slot_writer(&self, id: SlotId, at: u32) -> Option<u32> {
        let SlotKey { account, .. } = self.slots.key(id.0);
        let writer = self.slots.cell(id.0).values.newest_before(at).map(|(writer, _)| writer);
        writer.max(self.last_clearing(*account, at))
    }

    /// Lets later transactions expect the writes of transaction `at`, which read what `reads` says
    /// (all is committed where there is no log). Returns where they went.
    pub(super) fn publish(&self, at: u32, execution: &TxExecution, reads: Option<&ReadLog>) -> Vec<Place> {
        self.publish_codes(execution);
        let mut places = Vec::with_capacity(2 * execution.writes.len());
        for write in &execution.writes {
            let id = self.account_id(write.address);
            self.write_storage(at, id, write, false, |place| places.push(place));
            if let Some(after) = write.account {
                let pending = match (after, reads.and_then(|reads| reads.seen_in_part(id))) {
                    (Some(after), Some(seen)) if code_hash(seen) == after.code_hash => {
                        Pending::between(seen, after)
                    }
                    _ => Pending::Set(after),
                };
                self.accounts.cell(id.0).expect(at, pending);
                places.push(Place::Fields(id));
            }
        }
        places
    }

    /// Takes back all that transaction `at` was expected to write.
    pub(super) fn retract(&self, at: u32, places: &[Place]) {
        for place in places {
            match place {
                Place::Fields(id) => self.accounts.cell(id.0).retract(at),
                Place::Clearing(id) => {
                    self.accounts.cell(id.0).storage_or_new().clearings.retract(at);
                }
                Place::Slot(id) => self.slots.cell(id.0).values.retract(at),
            }
        }
    }

    /// What transaction `at`, at the frontier, was expected to write at `places` is written.
    pub(super) fn commit(&self, at: u32, places: &[Place]) -> Result<(), StateError> {
        for place in places {
            match place {
                Place::Fields(id) => {
                    let base = self.base_account(*id)?;
                    self.accounts.cell(id.0).commit(at, base);
                }
                Place::Clearing(id) => self.accounts.cell(id.0).storage_or_new().clearings.settle(at),
                Place::Slot(id) => self.slots.cell(id.0).values.settle(at),
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
                self.accounts.cell(id.0).set(at, after);
            }
        }
    }

    /// Sets the fields of an account at the frontier.
    #[inline]
    pub(super) fn set_account(&self, at: u32, id: AccountId, after: Option<Account>) {
        self.accounts.cell(id.0).set(at, after);
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
        let base = self.base_account(id)?;
        let (before, after) = self.accounts.cell(id.0).credit(at, base, amount, spec);
        if before.is_some() && after.is_none() {
            // An account goes with its storage.
            let clearings = &self.accounts.cell(id.0).storage_or_new().clearings;
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
    /// which comes before `end`.
    pub(super) fn changes(&self, end: u32) -> Result<StateChanges, StateError> {
        let slots = self.written_slots(end);
        let accounts = ChangeSet::with_capacity(self.accounts.len() as usize);
        let mut changes = StateChanges { accounts, codes: Default::default() };
        for id in (0..self.accounts.len()).map(AccountId) {
            let cell = self.accounts.cell(id.0);
            let fields = cell.committed();
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
            changes.accounts.insert(*self.accounts.key(id.0), change);
        }
        Ok(changes)
    }

    /// The change of one account in canonical form, see [`crate::state::AccountChange`].
    #[inline]
    fn change_of(
        &self,
        id: AccountId,
        before: Option<Account>,
        after: Option<Account>,
        slots: impl Iterator<Item = SlotId>,
        end: u32,
    ) -> Result<Option<AccountChange>, StateError> {
        let cleared = self.last_clearing(id, end);
        let loses_storage = (cleared.is_some() || after.is_none()) && before.is_some();
        let storage_cleared = loses_storage && self.base_has_storage(id)?;
        let mut change = AccountChange { after, storage_cleared, storage: Default::default() };
        if after.is_some() {
            for slot in slots {
                let Some(value) = self.written_slot(slot, end, cleared) else { continue };
                let old = if cleared.is_some() { U256::ZERO } else { self.base_slot(slot)? };
                if value != old {
                    change.storage.insert(self.slots.key(slot.0).slot, value);
                }
            }
        }
        let is_unchanged = before == after && !storage_cleared && change.storage.is_empty();
        Ok((!is_unchanged).then_some(change))
    }

    /// The slots written before `end`, account by account.
    fn written_slots(&self, end: u32) -> SlotLists {
        let mut lists = SlotLists {
            first: vec![NO_SLOT; self.accounts.len() as usize],
            next: vec![NO_SLOT; self.slots.len() as usize],
        };
        for slot in (0..self.slots.len()).rev() {
            if self.slots.cell(slot).values.newest_before(end).is_some() {
                let first = &mut lists.first[self.slots.key(slot).account.0 as usize];
                lists.next[slot as usize] = *first;
                *first = slot;
            }
        }
        lists
    }

    #[inline]
    fn base_slot(&self, id: SlotId) -> Result<U256, StateError> {
        let SlotKey { account, slot } = self.slots.key(id.0);
        once(&self.slots.cell(id.0).base, || self.base.storage(self.accounts.key(account.0), slot))
    }

    fn base_has_storage(&self, id: AccountId) -> Result<bool, StateError> {
        let cell = self.accounts.cell(id.0).storage_or_new();
        once(&cell.base_has_storage, || self.base.has_storage(self.accounts.key(id.0)))
    }

    #[inline]
    fn base_account(&self, id: AccountId) -> Result<Option<Account>, StateError> {
        self.accounts.cell(id.0).base(|| self.base.account(self.accounts.key(id.0)))
    }

    #[inline]
    fn last_clearing(&self, account: AccountId, at: u32) -> Option<u32> {
        let storage = self.accounts.cell(account.0).storage()?;
        storage.clearings.newest_before(at).map(|(writer, ())| writer)
    }

    /// The slot's own value where it has a writer before `at` that no clearing came after.
    #[inline]
    fn written_slot(&self, id: SlotId, at: u32, cleared: Option<u32>) -> Option<U256> {
        let (writer, value) = self.slots.cell(id.0).values.newest_before(at)?;
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
            let clearings = &self.accounts.cell(id.0).storage_or_new().clearings;
            clearings.put(at, ());
            if is_final {
                clearings.settle(at);
            }
            went_to(Place::Clearing(id));
        }
        for (slot, value) in &write.storage {
            let slot = self.slot_id(id, *slot);
            let values = &self.slots.cell(slot.0).values;
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

/// For each account its slots, as lists through two tables.
struct SlotLists {
    /// By account: its first slot.
    first: Vec<u32>,
    /// By slot: the next one of the same account.
    next: Vec<u32>,
}

impl SlotLists {
    fn is_empty(&self, account: AccountId) -> bool {
        self.first[account.0 as usize] == NO_SLOT
    }

    fn of(&self, account: AccountId) -> impl Iterator<Item = SlotId> {
        let known = |slot: u32| (slot != NO_SLOT).then_some(slot);
        let first = known(self.first[account.0 as usize]);
        std::iter::successors(first, move |slot| known(self.next[*slot as usize])).map(SlotId)
    }
}

#[inline]
fn code_hash(account: Option<Account>) -> B256 {
    account.map_or(KECCAK_EMPTY, |account| account.code_hash)
}

/// The value of a base read. Two threads may both ask the view at first, which always gives the
/// same answer; failures are not kept.
#[inline]
fn once<T: Copy>(cell: &OnceLock<T>, read: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
    match cell.get() {
        Some(value) => Ok(*value),
        None => {
            let value = read()?;
            Ok(*cell.get_or_init(|| value))
        }
    }
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
