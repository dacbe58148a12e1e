//! A map by address that can be asked for many addresses at once.
//!
//! A look-up in a large map waits for memory twice, for the tags of its group and for the entry. Asked
//! one after another, each waits for itself; in rounds over many, all of a round wait together.

use std::hint::black_box;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::primitives::Address;
use crate::state::hash_of;

/// Look-ups of one round.
const AT_ONCE: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct AddressMap<T> {
    entries: HashTable<(Address, T)>,
    hasher: RandomState,
}

impl<T> Default for AddressMap<T> {
    fn default() -> Self {
        Self { entries: HashTable::new(), hasher: RandomState::default() }
    }
}

impl<T> AddressMap<T> {
    #[inline]
    pub(super) fn get(&self, address: &Address) -> Option<&T> {
        self.find(hash_of(&self.hasher, address), address)
    }

    /// Calls `put` with the place of each address and what `part` takes from its value, in order.
    /// `touch` reads where that lies.
    pub(super) fn get_all<R>(
        &self,
        addresses: &[Address],
        touch: impl Fn(&T) -> u8,
        part: impl Fn(&T) -> R,
        mut put: impl FnMut(usize, Option<R>),
    ) {
        for (chunk, first) in addresses.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let hashes: SmallVec<[u64; AT_ONCE]> =
                chunk.iter().map(|address| hash_of(&self.hasher, address)).collect();
            // The first entry whose tag fits is nearly always the one, and the entry is not yet looked at.
            let fitting: SmallVec<[_; AT_ONCE]> =
                hashes.iter().map(|hash| self.entries.find(*hash, |_| true)).collect();
            // Nothing but loads: whatever else happened here would keep the next entry waiting.
            let look = |(key, value): &(Address, T)| key[0] ^ key[19] ^ touch(value);
            black_box(fitting.iter().flatten().fold(0, |all, entry| all ^ look(entry)));
            for (offset, (entry, address)) in fitting.into_iter().zip(chunk).enumerate() {
                let value = match entry {
                    Some((key, value)) if key == address => Some(value),
                    Some(_) => self.find(hashes[offset], address),
                    None => None,
                };
                put(first + offset, value.map(&part));
            }
        }
    }

    pub(super) fn get_or_default(&mut self, address: Address) -> &mut T
    where
        T: Default,
    {
        let hasher = &self.hasher;
        let is_it = |(key, _): &(Address, T)| *key == address;
        let entry = self.entries.entry(hash_of(hasher, &address), is_it, |(key, _)| hash_of(hasher, key));
        &mut entry.or_insert_with(|| (address, T::default())).into_mut().1
    }

    pub(super) fn remove(&mut self, address: &Address) {
        let hash = hash_of(&self.hasher, address);
        if let Ok(entry) = self.entries.find_entry(hash, |(key, _)| key == address) {
            entry.remove();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Address, &T)> {
        self.entries.iter().map(|(address, value)| (address, value))
    }

    #[inline]
    fn find(&self, hash: u64, address: &Address) -> Option<&T> {
        self.entries.find(hash, |(key, _)| key == address).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_many_gives_what_asking_for_each_gives() {
        let mut map = AddressMap::default();
        let address = |number: u32| Address::left_padding_from(&number.to_be_bytes());
        for number in (0..100_000).step_by(3) {
            *map.get_or_default(address(number)) = number;
        }
        // Among so many some share a tag with one that is there.
        let asked: Vec<_> = (0..100_000).map(address).collect();
        let mut answers = Vec::new();
        map.get_all(&asked, |_| 0, |value| *value, |place, found| answers.push((place, found)));

        assert_eq!(answers.len(), asked.len());
        for (number, answer) in (0..).zip(answers) {
            let expected = (number % 3 == 0).then_some(number);
            assert_eq!((answer, map.get(&address(number)).copied()), ((number as usize, expected), expected));
        }
    }

    #[test]
    fn entries_come_and_go() {
        let mut map = AddressMap::default();
        let address = Address::repeat_byte(7);
        *map.get_or_default(address) = 1;
        *map.get_or_default(address) += 1;
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&address, &2)]);
        map.remove(&address);
        map.remove(&address);
        assert_eq!((map.get(&address), map.iter().count()), (None, 0));
    }
}
