//! Dense ids for the keys that a block touches.
//!
//! In: full keys, from any thread. Out: ids from 0 on, the same for equal keys, and one cell of
//! state per id. Hashes are keyed with a seed of this block and only narrow the search: keys
//! are compared in full, so no two ever share a cell.
//!
//! Nothing takes a lock. A key lies in the first free one of its places, of which each table has a few,
//! and places never become free again within a block: two threads that add the same key meet at the
//! same place. A key that finds all its places of one table taken goes on to the next table.
//!
//! Memory stays for the next block. What a block left in it is told from what is there by a stamp, so
//! a new block clears nothing; cells are renewed when they are handed out.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;

use smallvec::SmallVec;

use super::sync::{AtomicU32, AtomicU64, KeyedHash, Ordering, Word32};

/// Tables, each twice as large as the one before.
const TABLES: usize = 24;
/// Places of the first table at least; a power of two.
const FEWEST_PLACES: usize = 512;
/// Places of one table where a key may lie.
const PLACES_OF_KEY: usize = 64;
/// Cells of the first segments. A power of two.
const FIRST_SEGMENT: u32 = 32;
/// Segments of one size; the next so many are twice as large. A power of two: few cells are made
/// in vain, and nobody's last segment is half of all.
const PER_SIZE: u32 = 4;
/// Enough segments for every 32-bit id.
const SEGMENTS: usize = 101;
/// Memory for so many keys is always kept.
const FEW_KEYS: u32 = 4_096;
/// Memory for more than so many times the keys that recent blocks had is given back.
const FAR_LARGER: u32 = 4;

/// What a key owns: its state, the key itself, and the stamp of the block that this is true in.
pub(super) trait Cell: Default + Debug {
    /// What it belongs to.
    type Key: Hash + Eq + Copy + Debug;

    /// The key, once [`Self::stamp`] was found to be that of the block.
    fn key(&self) -> Self::Key;
    /// Takes on a key, with nothing left of what the last one's block wrote. No other thread knows of
    /// the cell yet.
    fn renew(&self, key: Self::Key);
    /// Written after the rest.
    fn stamp(&self) -> &Word32;
}

/// Keys, their ids and a cell for each.
#[derive(Debug)]
pub(super) struct Interner<C> {
    hasher: KeyedHash,
    /// Of this block: above zero, at most [`LAST_STAMP`].
    stamp: u32,
    /// Places of the first table that this block uses; a power of two.
    first_places: usize,
    tables: [OnceLock<Table>; TABLES],
    next: AtomicU32,
    segments: [OnceLock<Box<[C]>>; SEGMENTS],
    /// Keys of recent blocks: the greatest number, slowly forgotten.
    recent: u32,
}

/// A place holds stamp (16 bits), a part of the hash (16 bits) and id. It is free if the stamp is not
/// the block's.
type Table = Box<[AtomicU64]>;

const LAST_STAMP: u32 = u16::MAX as u32;

impl<C: Cell> Interner<C> {
    /// An interner that holds about `expected` keys without growing.
    pub(super) fn new(expected: usize) -> Self {
        Self {
            hasher: KeyedHash::default(),
            stamp: 1,
            first_places: places_for(expected),
            tables: [const { OnceLock::new() }; TABLES],
            next: AtomicU32::new(0),
            segments: [const { OnceLock::new() }; SEGMENTS],
            recent: 0,
        }
    }

    /// Forgets all keys, for a block of about `expected` ones. Memory is kept as far as that many or the
    /// keys of recent blocks may need it.
    pub(super) fn renew(&mut self, expected: usize) {
        if self.stamp == LAST_STAMP {
            // Stamps begin anew, so nothing that carries one may stay.
            *self = Self::new(expected);
            return;
        }
        self.stamp += 1;
        // Who knows the seed could choose keys that meet.
        self.hasher = KeyedHash::default();
        let used = std::mem::take(self.next.get_mut());
        self.recent = used.max(self.recent - self.recent / 8);
        // Guesses from the number of transactions may be far too high; what was used tells more.
        let most = FAR_LARGER.saturating_mul(self.recent.max(FEW_KEYS));
        self.give_back(most);
        let wanted = places_for(expected.max(self.recent as usize));
        let kept = self.tables[0].get().map_or(0, |table| table.len());
        if kept < wanted || kept > places_for(most as usize) {
            self.tables[0] = OnceLock::new();
        }
        self.first_places = wanted;
        // They were too small, and the first one is larger now.
        self.tables[1..].iter_mut().for_each(|table| *table = OnceLock::new());
    }

    /// Lets go of cells behind the first `most`.
    fn give_back(&mut self, most: u32) {
        let (last, _) = position(most);
        for segment in &mut self.segments[last + 1..] {
            if segment.take().is_none() {
                break;
            }
        }
    }

    /// The key's id; a new one with an empty cell if the key was never seen.
    #[inline]
    pub(super) fn intern(&self, key: C::Key) -> u32 {
        let hash = self.hasher.hash_one(key);
        self.find(hash, key).unwrap_or_else(|| {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            self.add(hash, key, id)
        })
    }

    /// The key's id, if the key was ever seen.
    #[inline]
    pub(super) fn known(&self, key: C::Key) -> Option<u32> {
        self.find(self.hasher.hash_one(key), key)
    }

    /// The ids of several keys, in their order. All are looked for before any is added: that many
    /// far places in memory are waited for at once.
    pub(super) fn intern_all(&self, keys: &[C::Key], mut put: impl FnMut(u32)) {
        let hashes: SmallVec<[u64; 128]> = keys.iter().map(|key| self.hasher.hash_one(key)).collect();
        // Nothing but the loads, so that they do not wait for each other.
        let first: SmallVec<[u64; 128]> = match self.tables[0].get() {
            Some(table) => hashes.iter().map(|hash| self.first_place(table, *hash)).collect(),
            None => SmallVec::from_elem(0, keys.len()),
        };
        let is_taken = |place: u64| place >> 48 == u64::from(self.stamp);
        let look = |((key, hash), first): ((&C::Key, &u64), u64)| {
            if is_taken(first) { self.find(*hash, *key) } else { None }
        };
        let found: SmallVec<[Option<u32>; 128]> = keys.iter().zip(&hashes).zip(first).map(look).collect();
        let missing = found.iter().filter(|id| id.is_none()).count() as u32;
        if missing == 0 {
            return found.into_iter().flatten().for_each(put);
        }
        let mut fresh = self.next.fetch_add(missing, Ordering::Relaxed);
        for ((key, hash), id) in keys.iter().zip(hashes).zip(found) {
            put(id.unwrap_or_else(|| {
                let id = self.add(hash, *key, fresh);
                fresh += 1;
                id
            }));
        }
    }

    /// The key behind an id.
    #[inline]
    pub(super) fn key(&self, id: u32) -> C::Key {
        self.cell(id).key()
    }

    /// The cell behind an id.
    #[inline]
    pub(super) fn cell(&self, id: u32) -> &C {
        let (segment, offset) = position(id);
        &self.segments[segment].get().expect("ids come from this interner")[offset]
    }

    /// The cell behind an id below [`Self::len`], if it has its key yet.
    #[inline]
    pub(super) fn owned(&self, id: u32) -> Option<&C> {
        let (segment, offset) = position(id);
        let cell = &self.segments[segment].get()?[offset];
        // Acquire: whoever sees the stamp sees the key.
        (cell.stamp().load(Ordering::Acquire) == self.stamp).then_some(cell)
    }

    /// Cells and places that there is memory for.
    #[cfg(test)]
    pub(super) fn room(&self) -> (usize, usize) {
        let cells = self.segments.iter().filter_map(OnceLock::get).map(|segment| segment.len()).sum();
        (cells, self.tables.iter().filter_map(OnceLock::get).map(|table| table.len()).sum())
    }

    /// Ids and keys so far. Those that other threads are adding at this moment may be missing. A key that
    /// was added twice at once comes twice; one of its ids was never handed out.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, C::Key)> {
        (0..self.len()).filter_map(|id| Some((id, self.owned(id)?.key())))
    }

    /// Ids handed out so far. Complete once all threads that intern are done.
    pub(super) fn len(&self) -> u32 {
        self.next.load(Ordering::Acquire)
    }

    #[inline]
    fn find(&self, hash: u64, key: C::Key) -> Option<u32> {
        for (level, table) in self.tables.iter().enumerate() {
            match self.find_in(self.places(level, table.get()?, hash), hash, key) {
                Search::Found(id) => return Some(id),
                Search::Free => return None,
                Search::Full => {}
            }
        }
        None
    }

    #[inline]
    fn find_in<'p>(&self, places: impl Iterator<Item = &'p AtomicU64>, hash: u64, key: C::Key) -> Search {
        let tag = self.tag(hash);
        for place in places {
            // Acquire: whoever sees the id sees the cell.
            let found = place.load(Ordering::Acquire);
            if found >> 48 != u64::from(self.stamp) {
                return Search::Free;
            }
            if found >> 32 == tag && self.key(found as u32) == key {
                return Search::Found(found as u32);
            }
        }
        Search::Full
    }

    /// Adds a key that was not there a moment ago, under this id if nobody else is faster.
    #[inline]
    fn add(&self, hash: u64, key: C::Key, id: u32) -> u32 {
        let (segment, offset) = position(id);
        let segment = self.segments[segment].get_or_init(|| new_segment(segment));
        let cell = &segment[offset];
        cell.renew(key);
        cell.stamp().store(self.stamp, Ordering::Release);
        let entry = self.tag(hash) << 32 | u64::from(id);
        for (level, table) in self.tables.iter().enumerate() {
            let table = table.get_or_init(|| new_table(self.first_places << level));
            for place in self.places(level, table, hash) {
                if let Some(id) = self.settle(place, entry, key) {
                    return id;
                }
            }
        }
        unreachable!("the last table has room for more keys than there are ids")
    }

    /// Puts an entry at a place, or tells that its key is there. `None`: another key is.
    #[inline]
    fn settle(&self, place: &AtomicU64, entry: u64, key: C::Key) -> Option<u32> {
        let mut found = place.load(Ordering::Acquire);
        while found >> 48 != u64::from(self.stamp) {
            match place.compare_exchange(found, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(entry as u32),
                Err(now) => found = now,
            }
        }
        (found >> 32 == entry >> 32 && self.key(found as u32) == key).then_some(found as u32)
    }

    /// Stamp and a part of the hash, as they stand above the id.
    #[inline]
    fn tag(&self, hash: u64) -> u64 {
        u64::from(self.stamp) << 16 | hash >> 48
    }

    /// What the first of a key's places in the first table holds.
    #[inline]
    fn first_place(&self, table: &Table, hash: u64) -> u64 {
        table[hash as usize & (self.first_places - 1)].load(Ordering::Relaxed)
    }

    /// The places of a table where a key with this hash may lie, in order.
    #[inline]
    fn places<'t>(&self, level: usize, table: &'t Table, hash: u64) -> impl Iterator<Item = &'t AtomicU64> {
        // A small block uses only the beginning of a table that was kept from a large one: it stays
        // in the caches.
        let mask = (self.first_places << level) - 1;
        let start = hash as usize;
        (0..PLACES_OF_KEY).map(move |step| &table[(start + step) & mask])
    }
}

/// What a search in one table came to.
enum Search {
    Found(u32),
    /// The key is in no table.
    Free,
    /// The key may be in the next table.
    Full,
}

/// Places by which so many keys find theirs soon: at most half are taken.
fn places_for(keys: usize) -> usize {
    (2 * keys).next_power_of_two().max(FEWEST_PLACES)
}

#[inline]
fn position(id: u32) -> (usize, usize) {
    let place = u64::from(id) + u64::from(FIRST_SEGMENT * PER_SIZE);
    let doublings = place.ilog2() - (FIRST_SEGMENT * PER_SIZE).ilog2();
    // Sizes are powers of two, which the compiler does not see: it would divide.
    let size_bits = FIRST_SEGMENT.ilog2() + doublings;
    // From `PER_SIZE` up to twice that: one for each segment of this size.
    let nth = (place >> size_bits) - u64::from(PER_SIZE);
    ((u64::from(doublings * PER_SIZE) + nth) as usize, (place & ((1 << size_bits) - 1)) as usize)
}

fn new_segment<C: Cell>(segment: usize) -> Box<[C]> {
    (0..segment_size(segment)).map(|_| C::default()).collect()
}

fn segment_size(segment: usize) -> usize {
    (FIRST_SEGMENT as usize) << (segment / PER_SIZE as usize)
}

fn new_table(places: usize) -> Table {
    (0..places).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::sync::Word64;

    /// A cell with nothing but its key.
    #[derive(Debug, Default)]
    struct Bare {
        stamp: Word32,
        key: Word64,
    }

    impl Cell for Bare {
        type Key = u64;

        fn key(&self) -> u64 {
            self.key.load(Ordering::Relaxed)
        }

        fn renew(&self, key: u64) {
            self.key.store(key, Ordering::Relaxed);
        }

        fn stamp(&self) -> &Word32 {
            &self.stamp
        }
    }

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
        let interner = Interner::<Bare>::new(0);
        let ids: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();
        let again: Vec<u32> = (0..1_000).map(|key| interner.intern(key)).collect();

        assert_eq!(ids, again);
        assert_eq!(ids, (0..1_000).collect::<Vec<u32>>());
        assert!((0..1_000).all(|key| interner.key(ids[key as usize]) == key));
    }

    #[test]
    fn keys_are_found_when_tables_were_added_and_when_they_were_not() {
        for expected in [0, 100_000] {
            let interner = Interner::<Bare>::new(expected);
            let ids: Vec<u32> = (0..100_000).map(|key| interner.intern(key * key)).collect();
            let again: Vec<u32> = (0..100_000).rev().map(|key| interner.intern(key * key)).collect();

            assert!(ids.iter().eq(again.iter().rev()));
            assert_eq!(interner.len(), 100_000);
        }
    }

    #[test]
    fn many_keys_get_the_ids_of_single_ones() {
        let interner = Interner::<Bare>::new(0);
        let known: Vec<u32> = (0..100).map(|key| interner.intern(2 * key)).collect();
        let keys: Vec<u64> = (0..200).chain([199, 7]).collect();
        let mut ids = Vec::new();
        interner.intern_all(&keys, |id| ids.push(id));

        assert!(keys.iter().zip(&ids).all(|(key, id)| interner.key(*id) == *key));
        assert!((0..100).all(|key| ids[2 * key] == known[key]));
        assert_eq!((ids[199], ids[7]), (ids[200], ids[201]));
    }

    /// A key whose hash is the same for all of its kind.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Colliding(u32);

    impl Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u32(7);
        }
    }

    #[derive(Debug, Default)]
    struct CollidingCell(Bare);

    impl Cell for CollidingCell {
        type Key = Colliding;

        fn key(&self) -> Colliding {
            Colliding(self.0.key() as u32)
        }

        fn renew(&self, key: Colliding) {
            self.0.renew(key.0.into());
        }

        fn stamp(&self) -> &Word32 {
            &self.0.stamp
        }
    }

    #[test]
    fn keys_with_one_hash_stay_apart() {
        let interner = Interner::<CollidingCell>::new(0);
        let ids: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();
        let again: Vec<u32> = (0..200).map(|key| interner.intern(Colliding(key))).collect();

        assert_eq!(ids, again);
        assert_eq!(interner.len(), 200);
    }

    #[test]
    fn keys_can_be_gone_through_while_others_are_added() {
        for _ in 0..20 {
            let interner = Interner::<Bare>::new(0);
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
        let interner = Interner::<Bare>::new(0);
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
        assert!((0..2_000).all(|key| interner.key(all[0][key]) == key as u64));
    }

    #[test]
    fn a_new_block_knows_no_key_of_the_last_one() {
        let mut interner = Interner::<Bare>::new(0);
        for block in 0..20 {
            assert_eq!((interner.len(), interner.keys().count()), (0, 0));
            // Every other block finds the same keys, at other ids.
            let keys: Vec<u64> = (0..1_000).map(|key| key * (1 + block % 2) + block % 3).collect();
            assert!(keys.iter().all(|key| interner.find(interner.hasher.hash_one(key), *key).is_none()));
            let ids: Vec<u32> = keys.iter().map(|key| interner.intern(*key)).collect();
            assert_eq!(ids, (0..1_000).collect::<Vec<u32>>());
            assert!(keys.iter().zip(&ids).all(|(key, id)| interner.key(*id) == *key));
            assert!(interner.keys().map(|(_, key)| key).eq(keys));
            interner.renew(8);
        }
    }

    #[test]
    fn a_key_that_comes_twice_at_once_has_one_id() {
        let mut interner = Interner::<Bare>::new(0);
        let intern = |interner: &Interner<Bare>, keys: &[u64]| {
            let mut ids = Vec::new();
            interner.intern_all(keys, |id| ids.push(id));
            ids
        };
        assert_eq!(intern(&interner, &[7, 8, 9, 10]), [0, 1, 2, 3]);
        interner.renew(0);
        let ids = intern(&interner, &[5, 5, 6, 5]);

        assert_eq!((ids[0], ids[0], ids[0]), (ids[1], ids[3], interner.intern(5)));
        assert_eq!((interner.key(ids[0]), interner.key(ids[2])), (5, 6));
        // What was taken for the second and third is not the last block's either.
        assert!(interner.keys().all(|(_, key)| key == 5 || key == 6));
    }

    #[test]
    fn memory_stays_while_it_is_needed_and_goes_when_it_is_not() {
        let mut interner = Interner::<Bare>::new(0);
        let mut run = |keys: u64| {
            (0..keys).for_each(|key| _ = interner.intern(key));
            interner.renew(0);
            interner.room()
        };
        let large = run(100_000);
        assert_eq!(run(100_000).0, large.0, "what the first block had is enough for the second");
        let after_one_small = run(100);
        assert!(after_one_small.0 >= 100_000 && after_one_small.1 >= 200_000, "{after_one_small:?}");
        let after_many = (0..100).map(|_| run(100)).last().expect("a hundred");

        let few = FAR_LARGER as usize * FEW_KEYS as usize;
        assert!(after_many.0 <= 2 * few && after_many.1 <= 4 * few, "{after_many:?}");
        assert!(run(100_000).0 >= 100_000);
    }

    #[test]
    fn when_stamps_run_out_everything_begins_anew() {
        let mut interner = Interner::<Bare>::new(0);
        interner.intern(1);
        interner.stamp = LAST_STAMP - 1;
        for _ in 0..4 {
            interner.renew(0);
            assert!(interner.stamp > 0 && interner.stamp <= LAST_STAMP);
            assert_eq!((interner.intern(2), interner.intern(1), interner.keys().count()), (0, 1, 2));
        }
    }
}
