//! Lists that are wrong in one place, and the place that must be named.

use parallelpool_core::block_access_list::{
    AccountAccesses, BlockAccessList, Change, Entry, SlotChanges, WrongAccessList,
};
use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::scene::Scene;

/// How many kinds of mutation there are.
pub(crate) const KINDS: usize = 14;

pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) list: BlockAccessList,
    pub(crate) place: Place,
}

/// Where a list is wrong: what is compared of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A change at an index: whether the list has one, and whether execution has.
    Change(u32, Entry, bool, bool),
    NotListed(u32, Entry),
    NotAccessed(Entry),
    Form,
}

pub(crate) fn place(wrong: &WrongAccessList) -> Place {
    match wrong {
        WrongAccessList::Change { index, entry, listed, executed } => {
            assert_ne!(listed, executed, "a difference was told");
            Place::Change(*index, *entry, listed.is_some(), executed.is_some())
        }
        WrongAccessList::NotListed { index, entry } => Place::NotListed(*index, *entry),
        WrongAccessList::NotAccessed { entry } => Place::NotAccessed(*entry),
        WrongAccessList::Form { .. } => Place::Form,
        other => panic!("no wrong entry: {other}"),
    }
}

/// One random mutation, if the block has anything of the drawn kind.
pub(crate) fn any(scene: &Scene, random: &mut SmallRng) -> Option<Mutation> {
    let mut list = (*scene.list).clone();
    let (name, place) = match random.random_range(0..KINDS) {
        0 => ("value changed", change_value(&mut list, random)?),
        1 => ("change dropped", drop_change(&mut list, random)?),
        2 => ("change added", add_change(scene, &mut list, random)?),
        3 => ("index shifted", shift_index(scene, &mut list, random)?),
        4 => ("index behind the end", beyond_the_end(scene, &mut list, random)?),
        5 => ("account added", add_account(&mut list, random)),
        6 => ("read added", add_read(&mut list, random)?),
        7 => ("account dropped", drop_account(scene, &mut list, random)?),
        8 => ("read dropped", drop_read(scene, &mut list, random)?),
        9 => ("read made a change", read_to_change(scene, &mut list, random)?),
        10 => ("change made a read", change_to_read(&mut list, random)?),
        11 => ("accounts swapped", swap(&mut list.accounts, random)?),
        12 => ("slots swapped", swap_slots(&mut list, random)?),
        _ => ("entry repeated", repeat(&mut list, random)?),
    };
    Some(Mutation { name, list, place })
}

/// The changes of one item, whatever their values are.
struct Changes<'a> {
    entry: Entry,
    indices: Vec<u32>,
    values: Values<'a>,
}

enum Values<'a> {
    Words(&'a mut Vec<Change<U256>>),
    Nonces(&'a mut Vec<Change<u64>>),
    Codes(&'a mut Vec<Change<Bytes>>),
}

fn indices<T>(changes: &[Change<T>]) -> Vec<u32> {
    changes.iter().map(|change| change.index).collect()
}

impl Changes<'_> {
    fn remove(self, at: usize) {
        match self.values {
            Values::Words(changes) => drop(changes.remove(at)),
            Values::Nonces(changes) => drop(changes.remove(at)),
            Values::Codes(changes) => drop(changes.remove(at)),
        }
    }

    fn set_index(self, at: usize, index: u32) {
        match self.values {
            Values::Words(changes) => changes[at].index = index,
            Values::Nonces(changes) => changes[at].index = index,
            Values::Codes(changes) => changes[at].index = index,
        }
    }

    fn set_value(self, at: usize, random: &mut SmallRng) {
        match self.values {
            Values::Words(changes) => changes[at].value = any_other(changes[at].value, random),
            Values::Nonces(changes) => changes[at].value += random.random_range(1..3),
            Values::Codes(changes) => changes[at].value = [&changes[at].value[..], &[0]].concat().into(),
        }
    }

    fn insert(self, at: usize, index: u32, random: &mut SmallRng) {
        match self.values {
            Values::Words(changes) => {
                changes.insert(at, Change { index, value: U256::from(random.random_range(0..5_u64)) });
            }
            Values::Nonces(changes) => {
                changes.insert(at, Change { index, value: random.random_range(1..5) });
            }
            Values::Codes(changes) => changes.insert(at, Change { index, value: Bytes::from([0_u8]) }),
        }
    }
}

fn any_other(value: U256, random: &mut SmallRng) -> U256 {
    match random.random_range(0..3) {
        0 => value.wrapping_add(U256::ONE),
        1 => value.wrapping_sub(U256::ONE),
        _ => !value,
    }
}

/// Some item of the list, with its changes; perhaps it has none.
fn some_changes<'a>(list: &'a mut BlockAccessList, random: &mut SmallRng) -> Option<Changes<'a>> {
    let at = random.random_range(0..list.accounts.len().max(1));
    let account = list.accounts.get_mut(at)?;
    let address = account.address;
    let slots = account.storage_changes.len();
    let (entry, values) = match random.random_range(0..3 + slots) {
        0 => (Entry::Balance(address), Values::Words(&mut account.balance_changes)),
        1 => (Entry::Nonce(address), Values::Nonces(&mut account.nonce_changes)),
        2 => (Entry::Code(address), Values::Codes(&mut account.code_changes)),
        slot => {
            let SlotChanges { slot, changes } = &mut account.storage_changes[slot - 3];
            (Entry::Slot(address, *slot), Values::Words(changes))
        }
    };
    let indices = match &values {
        Values::Words(changes) => indices(changes),
        Values::Nonces(changes) => indices(changes),
        Values::Codes(changes) => indices(changes),
    };
    Some(Changes { entry, indices, values })
}

/// Some item that has changes.
fn changed<'a>(list: &'a mut BlockAccessList, random: &mut SmallRng) -> Option<Changes<'a>> {
    let total: usize = list.accounts.iter().map(|account| 3 + account.storage_changes.len()).sum();
    for _ in 0..4 * total {
        let mut probe = random.clone();
        if some_changes(list, &mut probe).is_some_and(|found| !found.indices.is_empty()) {
            return some_changes(list, random);
        }
        *random = probe;
    }
    None
}

fn change_value(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let found = changed(list, random)?;
    let at = random.random_range(0..found.indices.len());
    let (index, entry) = (found.indices[at], found.entry);
    found.set_value(at, random);
    Some(Place::Change(index, entry, true, true))
}

fn drop_change(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let found = changed(list, random)?;
    // A slot without changes would be no entry at all; that is another mutation.
    if matches!(found.entry, Entry::Slot(..)) && found.indices.len() < 2 {
        return None;
    }
    let at = random.random_range(0..found.indices.len());
    let (index, entry) = (found.indices[at], found.entry);
    found.remove(at);
    Some(Place::Change(index, entry, false, true))
}

fn add_change(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let found = some_changes(list, random)?;
    let index = random.random_range(0..=scene.last_index());
    let at = found.indices.binary_search(&index).err()?;
    let entry = found.entry;
    found.insert(at, index, random);
    Some(Place::Change(index, entry, true, false))
}

fn shift_index(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let found = changed(list, random)?;
    let at = random.random_range(0..found.indices.len());
    let from = if at == 0 { 0 } else { found.indices[at - 1] + 1 };
    let to = found.indices.get(at + 1).map_or(scene.last_index() + 1, |next| *next);
    let (old, new) = (found.indices[at], random.random_range(from..to));
    if old == new {
        return None;
    }
    let entry = found.entry;
    found.set_index(at, new);
    Some(match new < old {
        true => Place::Change(new, entry, true, false),
        false => Place::Change(old, entry, false, true),
    })
}

fn beyond_the_end(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let found = some_changes(list, random)?;
    let index = scene.last_index() + random.random_range(1..100);
    let (at, entry) = (found.indices.len(), found.entry);
    found.insert(at, index, random);
    Some(Place::Change(index, entry, true, false))
}

fn add_account(list: &mut BlockAccessList, random: &mut SmallRng) -> Place {
    let address = Address::from_word(keccak256(random.random::<[u8; 8]>()));
    let at = list.accounts.partition_point(|account| account.address < address);
    list.accounts.insert(at, AccountAccesses { address, ..AccountAccesses::default() });
    Place::NotAccessed(Entry::Account(address))
}

fn add_read(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let at = random.random_range(0..list.accounts.len().max(1));
    let account = list.accounts.get_mut(at)?;
    let slot = U256::from_be_bytes(B256::from(random.random::<[u8; 32]>()).0);
    let at = account.storage_reads.partition_point(|read| *read < slot);
    account.storage_reads.insert(at, slot);
    Some(Place::NotAccessed(Entry::Slot(account.address, slot)))
}

fn drop_account(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let bare = |account: &AccountAccesses| {
        *account == AccountAccesses { address: account.address, ..AccountAccesses::default() }
    };
    let candidates: Vec<usize> = (0..list.accounts.len()).filter(|at| bare(&list.accounts[*at])).collect();
    let gone = list.accounts.remove(*candidates.choose(random)?);
    let index = scene.first_touch(gone.address, None);
    Some(Place::NotListed(index, Entry::Account(gone.address)))
}

fn drop_read(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let (at, read) = some_read(list, random)?;
    let account = &mut list.accounts[at];
    let slot = account.storage_reads.remove(read);
    let index = scene.first_touch(account.address, Some(slot));
    Some(Place::NotListed(index, Entry::Slot(account.address, slot)))
}

fn read_to_change(scene: &Scene, list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let (at, read) = some_read(list, random)?;
    let account = &mut list.accounts[at];
    let slot = account.storage_reads.remove(read);
    let index = random.random_range(0..=scene.last_index());
    let at = account.storage_changes.partition_point(|changed| changed.slot < slot);
    let changes = vec![Change { index, value: U256::from(7) }];
    account.storage_changes.insert(at, SlotChanges { slot, changes });
    Some(Place::Change(index, Entry::Slot(account.address, slot), true, false))
}

fn change_to_read(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let candidates: Vec<usize> =
        (0..list.accounts.len()).filter(|at| !list.accounts[*at].storage_changes.is_empty()).collect();
    let account = &mut list.accounts[*candidates.choose(random)?];
    let at = random.random_range(0..account.storage_changes.len());
    let SlotChanges { slot, changes } = account.storage_changes.remove(at);
    let at = account.storage_reads.partition_point(|read| *read < slot);
    account.storage_reads.insert(at, slot);
    Some(Place::Change(changes[0].index, Entry::Slot(account.address, slot), false, true))
}

fn some_read(list: &BlockAccessList, random: &mut SmallRng) -> Option<(usize, usize)> {
    let candidates: Vec<usize> =
        (0..list.accounts.len()).filter(|at| !list.accounts[*at].storage_reads.is_empty()).collect();
    let at = *candidates.choose(random)?;
    Some((at, random.random_range(0..list.accounts[at].storage_reads.len())))
}

fn swap<T>(items: &mut [T], random: &mut SmallRng) -> Option<Place> {
    if items.len() < 2 {
        return None;
    }
    let at = random.random_range(0..items.len() - 1);
    items.swap(at, at + 1);
    Some(Place::Form)
}

fn swap_slots(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    let several =
        |account: &&mut AccountAccesses| account.storage_reads.len() > 1 || account.storage_changes.len() > 1;
    let account = list.accounts.iter_mut().find(several)?;
    match account.storage_reads.len() > 1 {
        true => swap(&mut account.storage_reads, random),
        false => swap(&mut account.storage_changes, random),
    }
}

fn repeat(list: &mut BlockAccessList, random: &mut SmallRng) -> Option<Place> {
    match random.random_range(0..3) {
        0 => {
            let at = random.random_range(0..list.accounts.len().max(1));
            let twin = list.accounts.get(at)?.clone();
            list.accounts.insert(at, twin);
        }
        1 => {
            let found = changed(list, random)?;
            let (index, at) = (found.indices[0], 0);
            found.insert(at, index, random);
        }
        _ => {
            let (at, read) = some_read(list, random)?;
            let slot = list.accounts[at].storage_reads[read];
            let account = &mut list.accounts[at];
            // Read and changed at once.
            let at = account.storage_changes.partition_point(|changed| changed.slot < slot);
            let changes = vec![Change { index: 1, value: U256::ONE }];
            account.storage_changes.insert(at, SlotChanges { slot, changes });
        }
    }
    Some(Place::Form)
}
