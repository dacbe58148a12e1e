//! Dense ids for the keys that a block touches.
//!
//! In: full keys, from any thread. Out: ids from 0 on, the same for equal keys, and one cell of
//! state per id. Hashes are keyed with a seed of this interner and only narrow the search: keys
//! are compared in full, so no two ever share a cell. Cells stay where they are until the interner goes.
//!
//! A key that is known is found without a lock. Tables never move: when one is full enough, the next
//! and larger one takes the new keys, and a search goes through all there are, newest first.

use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;

use super::sync::{AtomicU32, AtomicU64, KeyedHash, Mutex, Ordering};

/// Parts by which insertions are spread; a power of two.
const SHARDS: usize = 32;
/// Tables of one shard, each twice as large as the one before.
const TABLES: usize = 24;
/// Places of a shard's first table at least; a power of two.
const FEWEST_PLACES: usize = 32;
/// Cells of the first segments.
const FIRST_SEGMENT: u32 = 32;
/// Segments of one size; the next so many are twice as large. A power of two: few cells are made
/// in vain, and nobody's last segment is half of all.
const PER_SIZE: u32 = 4;
/// Enough segments for every 32-bit id.
const SEGMENTS: usize = 101;

/// Keys, their ids and a cell for each.
#[derive(Debug)]
pub(super) struct Interner<K, C> {
    hasher: KeyedHash,
    shards: Box<[Shard]>,
    /// Places of each shard's first table.
    first_places: usize,
    next: AtomicU32,
    segments: [OnceLock<Segment<K, C>>; SEGMENTS],
}

type Segment<K, C> = Box<[OnceLock<(K, C)>]>;

/// Neighbours must not share a cache line: each is locked by another thread.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    tables: [OnceLock<Table>; TABLES],
    /// Keys in the newest table. Held while one is added.
    newest: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    table: usize,
    keys: usize,
}

/// Places hold a part of the hash above the id, or [`FREE`].
type Table = Box<[AtomicU64]>;

const FREE: u64 = u64::MAX;

impl<K: Hash + Eq + Copy, C: Default> Interner<K, C> {
    /// An interner that holds about `expected` keys without growing.
    pub(super) fn new(expected: usize) -> Self {
        let shard = || Shard { tables: [const { OnceLock::new() }; TABLES], newest: Mutex::default() };
        Self {
            hasher: KeyedHash::default(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            first_places: (2 * expected / SHARDS).next_power_of_two().max(FEWEST_PLACES),
            next: AtomicU32::new(0),
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    /// The key's id; a new one with an empty cell if the key was never seen.
    #[inline]
    pub(super) fn intern(&self, key: K) -> u32 {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash);
        match self.find(shard, hash, key) {
            Some(id) => id,
            None => self.add(shard, hash, key),
        }
    }

    /// The ids of several keys, in their order. All are looked for before any is added: that many
    /// far places in memory are waited for at once.
    pub(super) fn intern_all(&self, keys: &[K], mut put: impl FnMut(u32)) {
        let look = |key: &K| {
            let hash = self.hasher.hash_one(key);
            (hash, self.find(self.shard(hash), hash, *key))
        };
        let found: smallvec::SmallVec<[(u64, Option<u32>); 128]> = keys.iter().map(look).collect();
        for (key, (hash, id)) in keys.iter().zip(found) {
            put(id.unwrap_or_else(|| self.add(self.shard(hash), hash, *key)));
        }
    }

    /// The key behind an id.
    #[inline]
    pub(super) fn key(&self, id: u32) -> &K {
        &self.entry(id).0
    }

    /// The cell behind an id.
    #[inline]
    pub(super) fn cell(&self, id: u32) -> &C {
        &self.entry(id).1
    }

    /// Ids and keys so far. Those that other threads are adding at this moment may be missing: an id
    /// is counted before its key can be read.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, &K)> {
        (0..self.len()).filter_map(|id| Some((id, &self.entry_if_there(id)?.0)))
    }

    /// Ids handed out so far. Complete once all threads that intern are done.
    pub(super) fn len(&self) -> u32 {
        self.next.load(Ordering::Acquire)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    #[inline]
    fn find(&self, shard: &Shard, hash: u64, key: K) -> Option<u32> {
        let mut tables = shard.tables.iter().map_while(OnceLock::get);
        let first = tables.next()?;
        // Newest first where there are several; mostly there is one.
        let mut later: smallvec::SmallVec<[&Table; 4]> = tables.collect();
        while let Some(table) = later.pop() {
            if let Some(id) = self.find_in(table, hash, key) {
                return Some(id);
            }
        }
        self.find_in(first, hash, key)
    }

    #[inline]
    fn find_in(&self, table: &Table, hash: u64, key: K) -> Option<u32> {
        for place in places(table, hash) {
            // Acquire: whoever sees the id sees the entry.
            let found = place.load(Ordering::Acquire);
            if found == FREE {
                return None;
            }
            let id = found as u32;
            if found >> 32 == tag(hash) && *self.key(id) == key {
                return Some(id);
            }
        }
        None
    }

    #[cold]
    fn add(&self, shard: &Shard, hash: u64, key: K) -> u32 {
        let mut newest = shard.newest.lock();
        // Another thread may have been here first.
        if let Some(id) = self.find(shard, hash, key) {
            return id;
        }
        let mut table = self.table(shard, newest.table);
        // Half full at most, so that searches end soon.
        if 2 * newest.keys >= table.len() {
            *newest = Newest { table: newest.table + 1, keys: 0 };
            table = self.table(shard, newest.table);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (segment, offset) = position(id);
        let segment = self.segments[segment].get_or_init(|| new_segment(segment));
        assert!(segment[offset].set((key, C::default())).is_ok(), "an id is handed out once");
        let place = places(table, hash).find(|place| place.load(Ordering::Relaxed) == FREE);
        let place = place.expect("tables are never full");
        place.store(tag(hash) << 32 | u64::from(id), Ordering::Release);
        newest.keys += 1;
        id
    }

    fn table<'s>(&self, shard: &'s Shard, index: usize) -> &'s Table {
        shard.tables[index]
            .get_or_init(|| (0..self.first_places << index).map(|_| AtomicU64::new(FREE)).collect())
    }

    #[inline]
    fn entry(&self, id: u32) -> &(K, C) {
        self.entry_if_there(id).expect("ids come from this interner")
    }

    #[inline]
    fn entry_if_there(&self, id: u32) -> Option<&(K, C)> {
        let (segment, offset) = position(id);
        self.segments[segment].get()?[offset].get()
    }
}

/// The upper half of the hash; the lower one chooses the place.
#[inline]
fn tag(hash: u64) -> u64 {
    // Never all ones together with an id of all ones, which would be a free place.
    (hash >> 32) & 0x7fff_ffff
}

/// The places where a key with this hash may lie, in order.
#[inline]
fn places(table: &Table, hash: u64) -> impl Iterator<Item = &AtomicU64> {
    let start = hash as usize & (table.len() - 1);
    table[start..].iter().chain(&table[..start])
}

#[inline]
fn position(id: u32) -> (usize, usize) {
    let place = u64::from(id) + u64::from(FIRST_SEGMENT * PER_SIZE);
    let doublings = place.ilog2() - (FIRST_SEGMENT * PER_SIZE).ilog2();
    let size = u64::from(FIRST_SEGMENT) << doublings;
    // From `PER_SIZE` up to twice that: one for each segment of this size.
    let nth = place / size - u64::from(PER_SIZE);
    ((u64::from(doublings * PER_SIZE) + nth) as usize, (place % size) as usize)
}

fn new_segment<K, C>(segment: usize) -> Segment<K, C> {
    (0..segment_size(segment)).map(|_| OnceLock::new()).collect()
}

fn segment_size(segment: usize) -> usize {
    (FIRST_SEGMENT as usize) << (segment / PER_SIZE as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_dense_and_without_overlap() {
        let places: Vec<_> = (0..3_000).map(position).collect();
        let mut expected = Vec::new();
        for segment in 0..24 {
            expected.extend((0..segment_size(segment)).map(|offset| (segment, offset)));
        }

        assert_eq!(places, expected[..3_000]);
        assert_eq!(position(u32::MAX).0, SEGMENTS - 1);
    }

    #[test]
    fn equal_keys_share_an_id_and_others_do_not() {
        let interner = Interner::<u64, ()>::new(0);
        let ids: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();
        let again: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();

        assert_eq!(ids, again);
        assert_eq!(ids, (0..1_000).collect::<Vec<u32>>());
        assert!((0..1_000).all(|key| *interner.key(ids[key as usize]) == key));
    }

    #[test]
    fn keys_are_found_when_tables_were_added_and_when_they_were_not() {
        for expected in [0, 100_000] {
            let interner = Interner::<u64, ()>::new(expected);
            let ids: Vec<u32> = (0..100_000).map(|key| interner.intern(key * key)).collect();
            let again: Vec<u32> = (0..100_000).rev().map(|key| interner.intern(key * key)).collect();

            assert!(ids.iter().eq(again.iter().rev()));
            assert_eq!(interner.len(), 100_000);
        }
    }

    #[test]
    fn many_keys_get_the_ids_of_single_ones() {
        let interner = Interner::<u64, ()>::new(0);
        let known: Vec<u32> = (0..100).map(|key| interner.intern(2 * key)).collect();
        let keys: Vec<u64> = (0..200).chain([199, 7]).collect();
        let mut ids = Vec::new();
        interner.intern_all(&keys, |id| ids.push(id));

        assert!(keys.iter().zip(&ids).all(|(key, id)| interner.key(*id) == key));
        assert!((0..100).all(|key| ids[2 * key] == known[key]));
        assert_eq!(interner.len(), 200);
    }

    /// A key whose hash is the same for all of its kind.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Colliding(u32);

    impl Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u32(7);
        }
    }

    #[test]
    fn keys_with_one_hash_stay_apart() {
        let interner = Interner::<Colliding, ()>::new(0);
        let ids: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();
        let again: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();

        assert_eq!(ids, again);
        assert_eq!(interner.len(), 200);
    }

    #[test]
    fn keys_can_be_gone_through_while_others_are_added() {
        for _ in 0..20 {
            let interner = Interner::<u64, ()>::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for key in 0..5_000 {
                        interner.intern(key);
                    }
                });
                while interner.len() < 5_000 {
                    assert!(interner.keys().all(|(id, key)| interner.key(id) == key));
                }
            });

            assert_eq!(interner.keys().count(), 5_000);
        }
    }

    #[test]
    fn threads_that_intern_the_same_keys_agree() {
        let interner = Interner::<u64, ()>::new(0);
        let all: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let interner = &interner;
                    scope.spawn(move || {
                        // Each thread begins elsewhere, so that all of them are first at times.
                        let mut ids = vec![0; 2_000];
                        for step in 0..2_000 {
                            let key = (step + thread * 500) % 2_000;
                            ids[key] = interner.intern(key as u64);
                        }
                        ids
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });

        assert!(all.iter().all(|ids| ids == &all[0]));
        assert_eq!(interner.len(), 2_000);
    }
}
