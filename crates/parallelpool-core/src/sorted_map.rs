//! A map of few entries as one sorted row in memory.
//!
//! Access sets are made once, kept by the ten thousand and read from end to end. A tree has room
//! for eleven entries in each of its nodes; a row has what it needs, and reading it follows no
//! pointer.

use std::ops::Index;

/// Entries in ascending order of their keys, each of which occurs once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Without entries.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(&self.entries[self.place(key).ok()?].1)
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// The value of a key, put there if it was not. Costs the entries behind it, so many are better
    /// collected.
    pub fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        let place = match self.entries.last() {
            Some((last, _)) if *last < key => Err(self.entries.len()),
            _ => self.place(&key),
        };
        let place = match place {
            Ok(place) => place,
            Err(place) => {
                self.entries.insert(place, (key, value));
                place
            }
        };
        &mut self.entries[place].1
    }

    /// Sets the value of a key; returns what it was.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => Some(std::mem::replace(&mut self.entries[place].1, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    /// Takes entries in any order; values of a key that is there already go through `combine`, in
    /// the order in which they come.
    pub fn merge(&mut self, more: impl IntoIterator<Item = (K, V)>, mut combine: impl FnMut(&mut V, V))
    where
        V: Copy,
    {
        self.entries.extend(more);
        // Stable, and quick where much is in order already.
        self.entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.entries.dedup_by(|(key, value), (held_key, held)| {
            let is_same = key == held_key;
            if is_same {
                combine(held, *value);
            }
            is_same
        });
        self.entries.shrink_to_fit();
    }

    /// Keys and values, ascending.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.into_iter()
    }

    /// The keys, ascending.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.entries.iter().map(|(_, value)| value)
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }
}

impl<K: Ord, V> Index<&K> for SortedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is in the map")
    }
}

/// Of entries with the same key the last counts.
impl<K: Ord, V: Copy> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.merge(entries, |held, later| *held = later);
        map
    }
}

/// Pairs of references to a key and its value.
pub type Iter<'a, K, V> = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_however_they_went_in() {
        let mut map = SortedMap::new();
        for key in [5, 1, 9, 3] {
            *map.get_or_insert(key, 0) += key * 10;
        }
        *map.get_or_insert(1, 0) += 1;
        assert_eq!(map.insert(9, 7), Some(90));
        assert_eq!(map.insert(4, 40), None);

        assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &11), (&3, &30), (&4, &40), (&5, &50), (&9, &7)]);
        assert_eq!((map.get(&4), map.get(&2), map[&9], map.len()), (Some(&40), None, 7, 5));
        assert!(map.contains_key(&5) && !map.contains_key(&6));
    }

    #[test]
    fn what_is_merged_meets_what_is_there_in_the_order_in_which_it_comes() {
        let mut map: SortedMap<u8, u32> = [(7, 1), (2, 5), (7, 2)].into_iter().collect();
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&2, &5), (&7, &2)], "of one key the last counts");

        map.merge([(9, 9), (2, 6), (1, 1), (2, 7)], |held, more| *held = *held * 10 + more);

        assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &1), (&2, &567), (&7, &2), (&9, &9)]);
    }
}
