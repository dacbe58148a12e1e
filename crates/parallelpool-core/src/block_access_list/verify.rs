//! Whether a list is the list of an execution: index by index, then as a whole.
//!
//! Three statements make the two equal. Each index changed exactly what the list says it changed
//! ([`Proof::check`]: every change is listed, and there are as many of them as were listed). Each
//! touched account and slot is listed (the same). Everything listed was touched by somebody
//! ([`Proof::finish`]). With the canonical order, which is checked first, nothing else can differ.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::build::{AccountDifference, difference};
use super::{BlockAccessIndex, BlockAccessList, Change, Entry, WrongAccessList};
use crate::error::StateError;
use crate::evm::TouchedAccount;
use crate::primitives::{Address, Bytes, U256, keccak256};
use crate::state::{Account, ChangeSet, StateChanges};

/// A list under proof. Indices may be checked in any order and by several threads.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    list: &'a BlockAccessList,
    /// How many changes the list has at each index up to the last one of the block.
    counts: Vec<u32>,
    /// Per account: whether it was touched, and each of the slots that are only read.
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    account: AtomicBool,
    reads: Vec<AtomicBool>,
}

/// Everything that one index changed, by what it is of.
type Changed = BTreeMap<(Address, Field), String>;

/// In the order in which the first difference is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Slot(U256),
    Balance,
    Nonce,
    Code,
}

impl<'a> Proof<'a> {
    /// A proof for a block whose last index is `last`; the list is in canonical order.
    pub(super) fn new(list: &'a BlockAccessList, last: BlockAccessIndex) -> Self {
        let mut counts = vec![0; last as usize + 1];
        for_each_change(list, |index| {
            // What lies behind the block is found by `finish`.
            if let Some(count) = counts.get_mut(index as usize) {
                *count += 1;
            }
        });
        let seen = list.accounts.iter().map(|entry| Seen {
            account: AtomicBool::new(false),
            reads: entry.storage_reads.iter().map(|_| AtomicBool::new(false)).collect(),
        });
        Self { counts, seen: seen.collect(), list }
    }

    /// Checks one index: its changes against the state `before` it, and what it touched.
    pub(super) fn check(
        &self,
        index: BlockAccessIndex,
        before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
        changes: &StateChanges,
        touched: &[TouchedAccount],
    ) -> Result<Result<(), WrongAccessList>, StateError> {
        let mut left = self.counts[index as usize];
        for (address, change) in &changes.accounts {
            let difference = difference(before(address)?, change, changes);
            match self.matching(index, address, &difference, &change.storage) {
                Some(count) if count <= left => left -= count,
                _ => return self.first_difference(index, before, changes).map(Err),
            }
        }
        if left > 0 {
            return self.first_difference(index, before, changes).map(Err);
        }
        Ok(self.check_touched(index, touched))
    }

    /// Checks what no single index can show: nothing is listed behind the block's end, and nothing
    /// that was never touched.
    pub(super) fn finish(&self) -> Result<(), WrongAccessList> {
        let mut beyond = BlockAccessIndex::MAX;
        let mut is_longer = false;
        for_each_change(self.list, |index| {
            if index as usize >= self.counts.len() {
                is_longer = true;
                beyond = beyond.min(index);
            }
        });
        if is_longer {
            let changed = self.listed(beyond);
            let ((address, field), value) =
                changed.into_iter().next().expect("the index is that of a change");
            return Err(WrongAccessList::Change {
                index: beyond,
                entry: field.entry(address),
                listed: Some(value),
                executed: None,
            });
        }
        for (entry, seen) in self.list.accounts.iter().zip(&self.seen) {
            if !seen.account.load(Ordering::Relaxed) {
                return Err(WrongAccessList::NotAccessed { entry: Entry::Account(entry.address) });
            }
            let unread = seen.reads.iter().position(|read| !read.load(Ordering::Relaxed));
            if let Some(at) = unread {
                let entry = Entry::Slot(entry.address, entry.storage_reads[at]);
                return Err(WrongAccessList::NotAccessed { entry });
            }
        }
        Ok(())
    }

    /// How many changes of one account there are, if the list has them all at this index.
    fn matching(
        &self,
        index: BlockAccessIndex,
        address: &Address,
        difference: &AccountDifference,
        storage: &ChangeSet<U256, U256>,
    ) -> Option<u32> {
        let AccountDifference { balance, nonce, code } = difference;
        let mut count = 0;
        if balance.is_none() && nonce.is_none() && code.is_none() && storage.is_empty() {
            return Some(count);
        }
        let entry = self.list.account(address)?;
        let mut confirm = |holds: bool| {
            count += 1;
            holds.then_some(())
        };
        if let Some(balance) = balance {
            confirm(at(&entry.balance_changes, index) == Some(balance))?;
        }
        if let Some(nonce) = nonce {
            confirm(at(&entry.nonce_changes, index) == Some(nonce))?;
        }
        if let Some(code) = code {
            confirm(at(&entry.code_changes, index) == Some(code))?;
        }
        for (slot, value) in storage {
            let slot = entry.storage_changes.binary_search_by_key(slot, |changed| changed.slot).ok()?;
            confirm(at(&entry.storage_changes[slot].changes, index) == Some(value))?;
        }
        Some(count)
    }

    fn check_touched(
        &self,
        index: BlockAccessIndex,
        touched: &[TouchedAccount],
    ) -> Result<(), WrongAccessList> {
        let mut first: Option<(Address, Option<U256>)> = None;
        let mut miss = |address: Address, slot: Option<U256>| {
            let missed = (address, slot);
            first = Some(first.map_or(missed, |first| first.min(missed)));
        };
        for TouchedAccount { address, slots } in touched {
            let position = self.list.accounts.binary_search_by_key(address, |entry| entry.address);
            let Ok(position) = position else {
                miss(*address, None);
                continue;
            };
            let (entry, seen) = (&self.list.accounts[position], &self.seen[position]);
            mark(&seen.account);
            for slot in slots {
                if let Ok(at) = entry.storage_reads.binary_search(slot) {
                    mark(&seen.reads[at]);
                } else if entry.storage_changes.binary_search_by_key(slot, |changed| changed.slot).is_err() {
                    miss(*address, Some(*slot));
                }
            }
        }
        let Some((address, slot)) = first else { return Ok(()) };
        let entry = slot.map_or(Entry::Account(address), |slot| Entry::Slot(address, slot));
        Err(WrongAccessList::NotListed { index, entry })
    }

    /// The first change, in the order of the list, in which list and execution differ at an index
    /// where it is known that they do.
    fn first_difference(
        &self,
        index: BlockAccessIndex,
        before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
        changes: &StateChanges,
    ) -> Result<WrongAccessList, StateError> {
        let listed = self.listed(index);
        let executed = executed(before, changes)?;
        let differing = listed.keys().chain(executed.keys());
        let first = differing.filter(|key| listed.get(key) != executed.get(key)).min();
        let key = *first.expect("the two were found to differ");
        Ok(WrongAccessList::Change {
            index,
            entry: key.1.entry(key.0),
            listed: listed.get(&key).cloned(),
            executed: executed.get(&key).cloned(),
        })
    }

    /// The list's changes at one index.
    fn listed(&self, index: BlockAccessIndex) -> Changed {
        let mut changed = Changed::new();
        for entry in &self.list.accounts {
            let mut add = |field, value| changed.insert((entry.address, field), value);
            for slot in &entry.storage_changes {
                if let Some(value) = at(&slot.changes, index) {
                    add(Field::Slot(slot.slot), words(value));
                }
            }
            if let Some(value) = at(&entry.balance_changes, index) {
                add(Field::Balance, value.to_string());
            }
            if let Some(value) = at(&entry.nonce_changes, index) {
                add(Field::Nonce, value.to_string());
            }
            if let Some(value) = at(&entry.code_changes, index) {
                add(Field::Code, code_words(value));
            }
        }
        changed
    }
}

impl Field {
    fn entry(self, address: Address) -> Entry {
        match self {
            Self::Slot(slot) => Entry::Slot(address, slot),
            Self::Balance => Entry::Balance(address),
            Self::Nonce => Entry::Nonce(address),
            Self::Code => Entry::Code(address),
        }
    }
}

fn executed(
    before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
    changes: &StateChanges,
) -> Result<Changed, StateError> {
    let mut changed = Changed::new();
    for (address, change) in &changes.accounts {
        let AccountDifference { balance, nonce, code } = difference(before(address)?, change, changes);
        let mut add = |field, value| changed.insert((*address, field), value);
        for (slot, value) in &change.storage {
            add(Field::Slot(*slot), words(value));
        }
        balance.into_iter().for_each(|value| drop(add(Field::Balance, value.to_string())));
        nonce.into_iter().for_each(|value| drop(add(Field::Nonce, value.to_string())));
        code.into_iter().for_each(|code| drop(add(Field::Code, code_words(&code))));
    }
    Ok(changed)
}

fn words(value: &U256) -> String {
    format!("{value:#x}")
}

/// Code may be long, so it is told by its hash.
fn code_words(code: &Bytes) -> String {
    format!("{} bytes with hash {:x}", code.len(), keccak256(code))
}

fn at<T>(changes: &[Change<T>], index: BlockAccessIndex) -> Option<&T> {
    let at = changes.binary_search_by_key(&index, |change| change.index).ok()?;
    Some(&changes[at].value)
}

/// Written once and read by many: looking first leaves the line where it is.
fn mark(seen: &AtomicBool) {
    if !seen.load(Ordering::Relaxed) {
        seen.store(true, Ordering::Relaxed);
    }
}

fn for_each_change(list: &BlockAccessList, mut visit: impl FnMut(BlockAccessIndex)) {
    for entry in &list.accounts {
        let slots = entry.storage_changes.iter().flat_map(|slot| &slot.changes);
        slots.for_each(|change| visit(change.index));
        entry.balance_changes.iter().for_each(|change| visit(change.index));
        entry.nonce_changes.iter().for_each(|change| visit(change.index));
        entry.code_changes.iter().for_each(|change| visit(change.index));
    }
}
