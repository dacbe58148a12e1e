//! Recently read and recently written state, shared by all views of the store.
//!
//! Every entry says since which commit its value has held; it holds up to the newest commit,
//! because a commit replaces what it changes. So a view of an older commit may use an entry that
//! is old enough, and must read its own snapshot otherwise. A wrong hit is impossible; a miss
//! costs a read.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::RwLock;

/// Shards of one cache; more than twice the cores of any machine that runs this.
const SHARDS: usize = 128;

/// Values by key, each valid from a known commit to the newest one.
#[derive(Debug)]
pub(super) struct VersionedCache<K, V> {
    shards: Box<[RwLock<Shard<K, V>>]>,
    hasher: RandomState,
    newest: AtomicU64,
    entries_per_shard: usize,
}

/// Two generations: when the young one is full it becomes the old one and the old one is
/// dropped, which approximates least-recently-used at the price of one map.
#[derive(Debug)]
struct Shard<K, V> {
    young: HashMap<K, Entry<V>, RandomState>,
    old: HashMap<K, Entry<V>, RandomState>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<V> {
    since: u64,
    value: V,
}

impl<K: Hash + Eq + Copy, V: Clone> VersionedCache<K, V> {
    /// A cache that holds between `entries` and twice as many.
    pub(super) fn new(entries: usize, newest: u64) -> Self {
        let shard = || RwLock::new(Shard { young: HashMap::default(), old: HashMap::default() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::default(),
            newest: AtomicU64::new(newest),
            entries_per_shard: entries.div_ceil(SHARDS).max(1),
        }
    }

    /// The key's value as of `commit`, if the cache knows it.
    pub(super) fn get(&self, key: &K, commit: u64) -> Option<V> {
        let shard = self.shard(key);
        let entry = {
            let shard = shard.read();
            if let Some(entry) = shard.young.get(key) {
                return (entry.since <= commit).then(|| entry.value.clone());
            }
            shard.old.get(key)?.clone()
        };
        // Used again: carry it over to the young generation, unless a commit has meanwhile
        // put a newer value there.
        let mut shard = shard.write();
        if shard.old.remove(key).is_some() {
            self.insert(&mut shard, *key, entry.clone());
        }
        (entry.since <= commit).then_some(entry.value)
    }

    /// Keeps what a view of `commit` has read from its snapshot. Ignored when that is not the
    /// newest commit: the value may be outdated.
    pub(super) fn keep(&self, key: K, value: V, commit: u64) {
        let mut shard = self.shard(&key).write();
        // Under the shard's lock: either `advance` has been seen, and the value is dropped, or
        // the commit's own `replace` comes after this and wins.
        if self.newest.load(Ordering::Acquire) == commit && !shard.young.contains_key(&key) {
            self.insert(&mut shard, key, Entry { since: commit, value });
        }
    }

    /// Announces a commit. From here on `keep` refuses reads of earlier ones; call it before
    /// the first `replace`, and hand out views of the new commit after the last.
    pub(super) fn advance(&self, commit: u64) {
        self.newest.store(commit, Ordering::Release);
    }

    /// Records a value that `commit` wrote.
    pub(super) fn replace(&self, key: K, value: V, commit: u64) {
        let mut shard = self.shard(&key).write();
        shard.old.remove(&key);
        self.insert(&mut shard, key, Entry { since: commit, value });
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.young.clear();
            shard.old.clear();
        }
    }

    fn insert(&self, shard: &mut Shard<K, V>, key: K, entry: Entry<V>) {
        if shard.young.len() >= self.entries_per_shard && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, entry);
    }

    fn shard(&self, key: &K) -> &RwLock<Shard<K, V>> {
        // The maps within use other bits of other hashes, each with a seed of its own.
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_only_values_that_held_at_its_commit() {
        let cache = VersionedCache::new(1000, 7);
        cache.keep(1u64, "seven", 7);
        cache.advance(8);
        cache.replace(1, "eight", 8);

        assert_eq!(cache.get(&1, 7), None);
        assert_eq!(cache.get(&1, 8), Some("eight"));
    }

    #[test]
    fn an_unchanged_value_serves_old_and_new_views() {
        let cache = VersionedCache::new(1000, 7);
        cache.keep(1u64, "seven", 7);
        cache.advance(8);

        assert_eq!(cache.get(&1, 7), Some("seven"));
        assert_eq!(cache.get(&1, 8), Some("seven"));
        assert_eq!(cache.get(&1, 6), None);
    }

    #[test]
    fn a_read_of_an_old_view_is_not_kept() {
        let cache = VersionedCache::new(1000, 7);
        cache.advance(8);
        cache.keep(1u64, "seven", 7);

        assert_eq!(cache.get(&1, 8), None);
    }

    #[test]
    fn it_forgets_instead_of_growing_and_keeps_what_is_used() {
        let cache = VersionedCache::new(SHARDS * 4, 0);
        for key in 0..100_000u64 {
            cache.keep(key, key, 0);
            assert!(cache.get(&0, 0).is_some() || key == 0, "the key in constant use stays");
        }

        let held = (0..100_000u64).filter(|key| cache.get(key, 0).is_some()).count();
        assert!(held <= SHARDS * 8, "held {held}");
    }
}
