//! Dense ids for the keys that a block touches.
//!
//! In: full keys, from any thread. Out: ids from 0 on, the same for equal keys, and one cell of
//! state per id. Hashes are keyed with a seed of this interner and only narrow the search: keys
//! are compared in full, so no two ever share a cell. Cells stay where they are until the interner goes.

use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;

use hashbrown::HashTable;

use super::sync::{AtomicU32, KeyedHash, Ordering, RwLock};

/// Locks by which lookups are spread; a power of two.
const SHARDS: usize = 32;
/// Cells of the first segment; each further one holds twice as many.
const FIRST_SEGMENT: u32 = 32;
/// Enough segments for every 32-bit id.
const SEGMENTS: usize = 28;

/// Keys, their ids and a cell for each.
#[derive(Debug)]
pub(super) struct Interner<K, C> {
    hasher: KeyedHash,
    shards: Box<[RwLock<HashTable<u32>>]>,
    next: AtomicU32,
    segments: [OnceLock<Segment<K, C>>; SEGMENTS],
}

type Segment<K, C> = Box<[OnceLock<(K, C)>]>;

impl<K: Hash + Eq + Copy, C: Default> Interner<K, C> {
    pub(super) fn new() -> Self {
        Self {
            hasher: KeyedHash::default(),
            shards: (0..SHARDS).map(|_| RwLock::new(HashTable::new())).collect(),
            next: AtomicU32::new(0),
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    /// The key's id; a new one with an empty cell if the key was never seen.
    pub(super) fn intern(&self, key: K) -> u32 {
        let hash = self.hasher.hash_one(key);
        // The table takes its own bits from both ends of the hash.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        let is_same = |id: &u32| *self.key(*id) == key;
        if let Some(id) = shard.read().find(hash, is_same) {
            return *id;
        }
        let mut table = shard.write();
        if let Some(id) = table.find(hash, is_same) {
            return *id;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (segment, offset) = position(id);
        let segment = self.segments[segment].get_or_init(|| new_segment(segment));
        assert!(segment[offset].set((key, C::default())).is_ok(), "an id is handed out once");
        table.insert_unique(hash, id, |id| self.hasher.hash_one(self.key(*id)));
        id
    }

    /// The key behind an id.
    pub(super) fn key(&self, id: u32) -> &K {
        &self.entry(id).0
    }

    /// The cell behind an id.
    pub(super) fn cell(&self, id: u32) -> &C {
        &self.entry(id).1
    }

    /// Ids handed out so far. Complete once all threads that intern are done.
    pub(super) fn len(&self) -> u32 {
        self.next.load(Ordering::Acquire)
    }

    fn entry(&self, id: u32) -> &(K, C) {
        let (segment, offset) = position(id);
        let cell = self.segments[segment].get().and_then(|segment| segment[offset].get());
        cell.expect("ids come from this interner")
    }
}

fn position(id: u32) -> (usize, usize) {
    let place = u64::from(id) + u64::from(FIRST_SEGMENT);
    let segment = place.ilog2() - FIRST_SEGMENT.ilog2();
    (segment as usize, (place - (u64::from(FIRST_SEGMENT) << segment)) as usize)
}

fn new_segment<K, C>(segment: usize) -> Segment<K, C> {
    (0..(FIRST_SEGMENT as usize) << segment).map(|_| OnceLock::new()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_dense_and_without_overlap() {
        let places: Vec<_> = (0..3_000).map(position).collect();
        let mut expected = Vec::new();
        for segment in 0..7 {
            expected.extend((0..(FIRST_SEGMENT as usize) << segment).map(|offset| (segment, offset)));
        }

        assert_eq!(places, expected[..3_000]);
        assert_eq!(position(u32::MAX).0, SEGMENTS - 1);
    }

    #[test]
    fn equal_keys_share_an_id_and_others_do_not() {
        let interner = Interner::<u64, ()>::new();
        let ids: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();
        let again: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();

        assert_eq!(ids, again);
        assert_eq!(ids, (0..1_000).collect::<Vec<u32>>());
        assert!((0..1_000).all(|key| *interner.key(ids[key as usize]) == key));
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
        let interner = Interner::<Colliding, ()>::new();
        let ids: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();
        let again: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();

        assert_eq!(ids, again);
        assert_eq!(interner.len(), 200);
    }

    #[test]
    fn threads_that_intern_the_same_keys_agree() {
        let interner = Interner::<u64, ()>::new();
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
