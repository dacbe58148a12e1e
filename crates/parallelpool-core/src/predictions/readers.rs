//! Who rests on a location: from a change of the state to the predictions it makes stale.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::access::Location;
use crate::primitives::Address;

/// Readers.
pub(super) type Ids = HashSet<u32, RandomState>;

/// Most locations have one reader; a few have thousands.
#[derive(Debug)]
enum Readers {
    One(u32),
    Many(Ids),
}

/// Readers by location, each a small number that its owner gives out.
#[derive(Debug, Default)]
pub(super) struct ReaderIndex {
    by_location: HashMap<Location, Readers, RandomState>,
}

impl ReaderIndex {
    pub(super) fn add(&mut self, id: u32, locations: &[Location]) {
        for location in locations {
            match self.by_location.entry(*location) {
                Entry::Vacant(entry) => {
                    entry.insert(Readers::One(id));
                }
                Entry::Occupied(mut entry) => match entry.get_mut() {
                    Readers::One(other) if *other == id => {}
                    Readers::One(other) => {
                        let both = Ids::from_iter([*other, id]);
                        entry.insert(Readers::Many(both));
                    }
                    Readers::Many(ids) => {
                        ids.insert(id);
                    }
                },
            }
        }
    }

    pub(super) fn remove(&mut self, id: u32, locations: &[Location]) {
        for location in locations {
            let is_left_empty = match self.by_location.get_mut(location) {
                None => false,
                Some(Readers::One(other)) => *other == id,
                Some(Readers::Many(ids)) => {
                    ids.remove(&id);
                    ids.is_empty()
                }
            };
            if is_left_empty {
                self.by_location.remove(location);
            }
        }
    }

    /// Calls `found` for everybody who rests on the location.
    pub(super) fn visit(&self, location: &Location, mut found: impl FnMut(u32)) {
        match self.by_location.get(location) {
            None => {}
            Some(Readers::One(id)) => found(*id),
            Some(Readers::Many(ids)) => ids.iter().copied().for_each(found),
        }
    }

    /// Whether anybody rests on it.
    pub(super) fn has(&self, location: &Location) -> bool {
        self.by_location.contains_key(location)
    }

    /// Everybody who rests on anything of the account: a walk over all.
    pub(super) fn visit_account(&self, address: &Address, mut found: impl FnMut(u32)) {
        for location in self.by_location.keys().filter(|location| location.address == *address) {
            self.visit(location, &mut found);
        }
    }

    /// Locations that somebody rests on.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_location.len()
    }
}
