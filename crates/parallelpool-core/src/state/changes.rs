//! What an execution changed, in canonical form: only true changes, each once, in no order.
//!
//! Executors put changes down one after another as they come across them; whoever needs an order
//! asks for it ([`ChangeSet::sorted`]). A block of plain transfers changes two accounts each, and
//! keeping a tree of them in order costs more than executing them.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::ops::Index;

use super::Account;
use crate::primitives::{Address, B256, Bytes, U256};

/// What a block (or one transaction) did to a state: two executions are equal exactly when their
/// changes are equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Changed accounts by address.
    pub accounts: ChangeSet<Address, AccountChange>,
    /// Code that came into being, by hash.
    pub codes: BTreeMap<B256, Bytes>,
}

/// The change of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// The account afterwards; `None`: it does not exist any more.
    pub after: Option<Account>,
    /// All slots from before are gone; then `storage` applies.
    pub storage_cleared: bool,
    /// Slot -> value afterwards; zero means deleted. Only slots whose value differs from before
    /// (or, after a clearing, that are not zero).
    pub storage: ChangeSet<U256, U256>,
}

impl StateChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

/// Values by key, each key once, in no order.
///
/// Equality does not depend on the order. Finding one key takes a search where the keys happened
/// to come in ascending order, and a walk over all where not.
///
/// Most accounts that a block changes have no changed slot, so a set without entries is one word.
#[derive(Clone)]
pub struct ChangeSet<K, V>(Option<Box<Filled<K, V>>>);

/// A set that may have entries.
#[derive(Clone)]
struct Filled<K, V> {
    entries: Vec<(K, V)>,
    is_ascending: bool,
}

impl<K, V> Filled<K, V> {
    fn with_capacity(capacity: usize) -> Box<Self> {
        Box::new(Self { entries: Vec::with_capacity(capacity), is_ascending: true })
    }
}

impl<K, V> Default for ChangeSet<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Ord, V> ChangeSet<K, V> {
    /// An empty set with room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self((capacity > 0).then(|| Filled::with_capacity(capacity)))
    }

    /// Puts down one more. The key must not be there yet; nothing checks that.
    // What is copied piece by piece is waited for: it is to be written once, where it belongs.
    #[inline(always)]
    pub fn insert(&mut self, key: K, value: V) {
        let Filled { entries, is_ascending } = &mut **self.0.get_or_insert_with(|| Filled::with_capacity(0));
        *is_ascending = *is_ascending && entries.last().is_none_or(|(last, _)| *last < key);
        entries.push((key, value));
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.position(key).map(|at| &self.entries()[at].1)
    }

    /// The value of a key.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.position(key).map(|at| &mut self.entries_mut()[at].1)
    }

    /// Whether the key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.position(key).is_some()
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.position(key)?;
        self.0.as_mut().map(|filled| filled.entries.remove(at).1)
    }

    /// All by ascending key.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        let mut entries: Vec<_> = self.iter().collect();
        if !self.is_ascending() {
            entries.sort_unstable_by(|one, other| one.0.cmp(other.0));
        }
        entries
    }

    fn position(&self, key: &K) -> Option<usize> {
        match self.is_ascending() {
            true => self.entries().binary_search_by(|(known, _)| known.cmp(key)).ok(),
            false => self.entries().iter().position(|(known, _)| known == key),
        }
    }
}

impl<K, V> ChangeSet<K, V> {
    /// Takes out those that `is_chosen` says, of which there are few.
    pub fn take_if(&mut self, is_chosen: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let mut taken = Vec::new();
        let mut place = 0;
        while place < self.len() {
            if is_chosen(&self.entries()[place].0) {
                taken.push(self.swap_remove(place));
            } else {
                place += 1;
            }
        }
        taken
    }

    #[inline]
    fn entries(&self) -> &[(K, V)] {
        self.0.as_ref().map_or(&[], |filled| &filled.entries)
    }

    #[inline]
    fn entries_mut(&mut self) -> &mut [(K, V)] {
        self.0.as_mut().map_or(&mut [], |filled| &mut filled.entries)
    }

    fn is_ascending(&self) -> bool {
        self.0.as_ref().is_none_or(|filled| filled.is_ascending)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// The entry that stands at a place of [`Self::iter`].
    #[inline]
    pub(crate) fn nth(&self, place: usize) -> (&K, &V) {
        let (key, value) = &self.entries()[place];
        (key, value)
    }

    /// The value that stands at a place of [`Self::iter`].
    #[inline]
    pub(crate) fn nth_mut(&mut self, place: usize) -> &mut V {
        &mut self.entries_mut()[place].1
    }

    /// Takes out the entry at a place; the last one moves there.
    pub(crate) fn swap_remove(&mut self, place: usize) -> (K, V) {
        let filled = self.0.as_mut().expect("there is an entry at the place");
        filled.is_ascending = filled.is_ascending && place + 1 == filled.entries.len();
        filled.entries.swap_remove(place)
    }

    /// All, in no order.
    pub fn iter(&self) -> Entries<'_, K, V> {
        self.entries().iter().map(|(key, value)| (key, value))
    }

    /// All, in no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries_mut().iter_mut().map(|(key, value)| (&*key, value))
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries().iter().map(|(key, _)| key)
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries().iter().map(|(_, value)| value)
    }

    /// All values, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries_mut().iter_mut().map(|(_, value)| value)
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        if let Some(filled) = &mut self.0 {
            filled.entries.clear();
            filled.is_ascending = true;
        }
    }
}

/// Iterates over the entries of a [`ChangeSet`].
pub type Entries<'a, K, V> = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<'a, K, V> IntoIterator for &'a ChangeSet<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Entries<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for ChangeSet<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, |filled| filled.entries).into_iter()
    }
}

impl<K: Ord, V> Extend<(K, V)> for ChangeSet<K, V> {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, entries: T) {
        let entries = entries.into_iter();
        let more = entries.size_hint().0;
        match &mut self.0 {
            Some(filled) => filled.entries.reserve(more),
            None => *self = Self::with_capacity(more),
        }
        entries.for_each(|(key, value)| self.insert(key, value));
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for ChangeSet<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut set = Self::default();
        set.extend(entries);
        set
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for ChangeSet<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord, V> From<BTreeMap<K, V>> for ChangeSet<K, V> {
    fn from(map: BTreeMap<K, V>) -> Self {
        let entries: Vec<_> = map.into_iter().collect();
        Self((!entries.is_empty()).then(|| Box::new(Filled { entries, is_ascending: true })))
    }
}

impl<K: Ord, V> Index<&K> for ChangeSet<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("no entry found for key")
    }
}

impl<K: Ord, V: PartialEq> PartialEq for ChangeSet<K, V> {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if self.is_ascending() && other.is_ascending() {
            return self.entries() == other.entries();
        }
        self.sorted() == other.sorted()
    }
}

impl<K: Ord, V: Eq> Eq for ChangeSet<K, V> {}

impl<K: Ord + Debug, V: Debug> Debug for ChangeSet<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.sorted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_arrival_does_not_matter() {
        let ascending: ChangeSet<u8, char> = [(1, 'a'), (2, 'b'), (3, 'c')].into();
        let mixed: ChangeSet<u8, char> = [(3, 'c'), (1, 'a'), (2, 'b')].into();

        assert_eq!(ascending, mixed);
        assert_eq!(mixed.sorted(), [(&1, &'a'), (&2, &'b'), (&3, &'c')]);
        assert_eq!(format!("{mixed:?}"), "{1: 'a', 2: 'b', 3: 'c'}");
        for set in [&ascending, &mixed] {
            assert_eq!([set.get(&1), set.get(&3), set.get(&4)], [Some(&'a'), Some(&'c'), None]);
            assert!(set.contains_key(&2) && !set.contains_key(&0));
        }
    }

    #[test]
    fn another_key_value_or_number_makes_a_difference() {
        let set: ChangeSet<u8, char> = [(3, 'c'), (1, 'a')].into();
        let others: [ChangeSet<u8, char>; 4] =
            [[(1, 'a'), (3, 'd')].into(), [(1, 'a'), (2, 'c')].into(), [(1, 'a')].into(), [].into()];
        assert!(others.iter().all(|other| *other != set));
    }

    #[test]
    fn entries_go_and_come() {
        let mut set: ChangeSet<u8, char> = [(3, 'c'), (1, 'a')].into();
        assert_eq!((set.remove(&3), set.remove(&3)), (Some('c'), None));
        set.extend([(2, 'b')]);
        *set.get_mut(&2).expect("just put down") = 'x';
        assert_eq!(set, [(1, 'a'), (2, 'x')].into());
        set.clear();
        assert_eq!(set, ChangeSet::default());
    }
}
