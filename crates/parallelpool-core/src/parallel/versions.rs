//! What transactions of the block wrote to one location: for each writer its value.
//!
//! A list is short: once a transaction is committed, older writers are forgotten, since every later
//! reader stands behind it. What remains is the newest committed value and those of the window.

use smallvec::SmallVec;

use super::sync::{AtomicBool, Ordering, RwLock};

/// Values by the index of the transaction that wrote them, ascending.
#[derive(Debug)]
pub(super) struct Versions<T> {
    /// Whether anything was ever written; spares readers of untouched locations the lock.
    written: AtomicBool,
    list: RwLock<SmallVec<[(u32, T); 1]>>,
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self { written: AtomicBool::new(false), list: RwLock::new(SmallVec::new()) }
    }
}

impl<T: Copy> Versions<T> {
    /// The value of the last writer before transaction `at`, and who that was.
    #[inline]
    pub(super) fn newest_before(&self, at: u32) -> Option<(u32, T)> {
        if !self.written.load(Ordering::Acquire) {
            return None;
        }
        let list = self.list.read();
        let end = list.partition_point(|(writer, _)| *writer < at);
        end.checked_sub(1).map(|newest| list[newest])
    }

    /// Sets the value that transaction `at` writes.
    #[inline]
    pub(super) fn put(&self, at: u32, value: T) {
        let mut list = self.list.write();
        let place = list.partition_point(|(writer, _)| *writer < at);
        match list.get_mut(place) {
            Some((writer, old)) if *writer == at => *old = value,
            _ => list.insert(place, (at, value)),
        }
        self.written.store(true, Ordering::Release);
    }

    /// Sets the value that transaction `at`, at the frontier, writes for good.
    #[inline]
    pub(super) fn put_and_settle(&self, at: u32, value: T) {
        let mut list = self.list.write();
        let older = list.partition_point(|(writer, _)| *writer <= at);
        match older {
            0 => list.insert(0, (at, value)),
            _ => {
                list.drain(1..older);
                list[0] = (at, value);
            }
        }
        self.written.store(true, Ordering::Release);
    }

    /// Forgets everything. No other thread knows of the location.
    pub(super) fn forget(&self) {
        if self.written.load(Ordering::Relaxed) {
            self.list.write().clear();
            self.written.store(false, Ordering::Relaxed);
        }
    }

    /// Takes back what transaction `at` wrote.
    pub(super) fn retract(&self, at: u32) {
        self.list.write().retain(|(writer, _)| *writer != at);
    }

    /// Transaction `at`, which wrote here, is committed: nobody asks for older values any more.
    #[inline]
    pub(super) fn settle(&self, at: u32) {
        let mut list = self.list.write();
        let older = list.partition_point(|(writer, _)| *writer < at);
        list.drain(..older);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_last_writer_before_it() {
        let versions = Versions::default();
        for (writer, value) in [(4, 'd'), (1, 'a'), (9, 'i')] {
            versions.put(writer, value);
        }
        let seen: Vec<_> = [0, 1, 2, 4, 5, 9, 10].map(|at| versions.newest_before(at)).into();

        let (a, d, i) = (Some((1, 'a')), Some((4, 'd')), Some((9, 'i')));
        assert_eq!(seen, [None, None, a, a, d, d, i]);
    }

    #[test]
    fn a_final_value_replaces_all_older_ones() {
        let versions = Versions::default();
        for writer in [1, 2, 5] {
            versions.put(writer, 'o');
        }

        versions.put_and_settle(2, 'n');
        assert_eq!([2, 3, 6].map(|at| versions.newest_before(at)), [None, Some((2, 'n')), Some((5, 'o'))]);
        let fresh = Versions::default();
        fresh.put_and_settle(7, 'n');
        assert_eq!(fresh.newest_before(8), Some((7, 'n')));
    }

    #[test]
    fn settling_forgets_older_writers_and_keeps_later_ones() {
        let versions = Versions::default();
        for writer in [1, 2, 5] {
            versions.put(writer, ());
        }
        versions.settle(2);

        assert_eq!(versions.newest_before(2), None);
        assert_eq!(versions.newest_before(5), Some((2, ())));
        assert_eq!(versions.newest_before(6), Some((5, ())));
    }
}
