//! Keys in order, for a pool of which a little changes at a time.
//!
//! Keys stand in few sorted runs, each at most half as long as the one before. What is new becomes a
//! run and is merged with those that are no longer twice as long, so a key is moved a logarithmic
//! number of times, side by side with others; a search tree would go to another place in memory for
//! each. A key that no longer holds stays where it is until a merge: who reads knows it by its
//! version. Of such keys there are never many more than an eighth, which bounds both memory and what
//! a reader passes over.

use super::order::Stamp;

/// A key of an entry.
pub(super) trait Key: Copy + Ord {
    /// Whose it is.
    fn stamp(&self) -> Stamp;

    /// A number that rises with the key, or stays.
    fn prefix(&self) -> u64;
}

/// Void keys that are always borne with.
const VOID: usize = 64;

#[derive(Debug)]
struct Run<K> {
    keys: Vec<K>,
    /// Everything before is void.
    first: usize,
}

impl<K: Key> Run<K> {
    fn rest(&self) -> &[K] {
        &self.keys[self.first..]
    }
}

/// The keys. Versions are those of all entries, by number; a key holds while its version is the
/// entry's.
#[derive(Debug)]
pub(super) struct Sorted<K> {
    runs: Vec<Run<K>>,
    /// In no order, until [`Self::settle`].
    fresh: Vec<K>,
    /// How many do not hold.
    void: usize,
}

impl<K> Default for Sorted<K> {
    fn default() -> Self {
        Self { runs: Vec::new(), fresh: Vec::new(), void: 0 }
    }
}

/// Many keys are sorted by what fits into a register and told apart by the rest where that is equal.
fn sorted_by_prefix<K: Key>(keys: &[K]) -> Vec<K> {
    let mut places: Vec<(u64, u32)> =
        keys.iter().enumerate().map(|(place, key)| (key.prefix(), place as u32)).collect();
    places.sort_unstable_by(|(prefix, place), (other_prefix, other)| {
        prefix.cmp(other_prefix).then_with(|| keys[*place as usize].cmp(&keys[*other as usize]))
    });
    places.iter().map(|&(_, place)| keys[place as usize]).collect()
}

fn holds(key: &impl Key, versions: &[u32]) -> bool {
    let Stamp { entry, version } = key.stamp();
    versions[entry as usize] == version
}

impl<K: Key> Sorted<K> {
    /// These and no others, in any order.
    pub(super) fn replace(&mut self, keys: Vec<K>) {
        let keys = if keys.is_sorted() { keys } else { sorted_by_prefix(&keys) };
        *self = Self { runs: vec![Run { keys, first: 0 }], ..Self::default() };
    }

    /// Read again after [`Self::settle`].
    pub(super) fn insert(&mut self, key: K) {
        self.fresh.push(key);
    }

    /// A key that was inserted holds no longer: its entry has another version.
    pub(super) fn forget(&mut self) {
        self.void += 1;
    }

    /// How many keys hold.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.held() + self.fresh.len() - self.void
    }

    /// How many keys there are, those that do not hold too, in how many runs.
    #[cfg(test)]
    pub(super) fn extent(&self) -> (usize, usize) {
        (self.held() + self.fresh.len(), self.runs.len())
    }

    fn held(&self) -> usize {
        self.runs.iter().map(|run| run.keys.len()).sum()
    }

    /// Puts what was inserted into order and lets go of much that is void.
    pub(super) fn settle(&mut self, versions: &[u32]) {
        if !self.fresh.is_empty() {
            self.fresh.sort_unstable();
            match self.runs.last_mut() {
                // What arrives last comes behind all others.
                Some(run) if run.keys.last() <= self.fresh.first() => run.keys.append(&mut self.fresh),
                _ => self.runs.push(Run { keys: std::mem::take(&mut self.fresh), first: 0 }),
            }
        }
        if self.void > VOID + self.held() / 8 {
            self.purge(versions);
        }
        self.merge(versions);
        for run in &mut self.runs {
            let void = run.rest().iter().take_while(|key| !holds(*key, versions)).count();
            run.first += void;
        }
    }

    fn purge(&mut self, versions: &[u32]) {
        let runs = std::mem::take(&mut self.runs);
        let rests = runs.iter().flat_map(|run| run.rest());
        let mut keys: Vec<K> = rests.filter(|key| holds(*key, versions)).copied().collect();
        // Finds the runs and merges them.
        keys.sort();
        self.runs.push(Run { keys, first: 0 });
        self.void = 0;
    }

    /// Restores that each run is at most half as long as the one before.
    fn merge(&mut self, versions: &[u32]) {
        while let [.., longer, shorter] = self.runs.as_slice()
            && 2 * shorter.rest().len() > longer.rest().len()
        {
            let held = longer.keys.len() + shorter.keys.len();
            let keys = merged(longer.rest(), shorter.rest(), versions);
            self.void -= held - keys.len();
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(Run { keys, first: 0 });
        }
    }

    /// Those that hold, ascending.
    pub(super) fn iter<'a>(&'a self, versions: &'a [u32]) -> Ascending<'a, K> {
        debug_assert!(self.fresh.is_empty(), "what was inserted is in order");
        let rests = self.runs.iter().map(Run::rest).filter(|rest| !rest.is_empty()).collect();
        Ascending { rests, versions, any_void: self.void > 0 }
    }
}

/// Those of both that hold.
fn merged<K: Key>(a: &[K], b: &[K], versions: &[u32]) -> Vec<K> {
    let mut keys = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(one), Some(other)) if one <= other => a.next(),
            (_, Some(_)) => b.next(),
            _ => a.next(),
        };
        match next {
            Some(key) if holds(key, versions) => keys.push(*key),
            Some(_) => {}
            None => return keys,
        }
    }
}

/// Keys of all runs in order.
#[derive(Debug)]
pub(super) struct Ascending<'a, K> {
    /// What is left of each; none is empty.
    rests: Vec<&'a [K]>,
    versions: &'a [u32],
    any_void: bool,
}

impl<K: Key> Iterator for Ascending<'_, K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        loop {
            let least = match self.rests.len() {
                0 => return None,
                1 => 0,
                count => (1..count)
                    .fold(0, |least, at| if self.rests[at][0] < self.rests[least][0] { at } else { least }),
            };
            let (key, rest) = self.rests[least].split_first()?;
            if rest.is_empty() {
                self.rests.swap_remove(least);
            } else {
                self.rests[least] = rest;
            }
            if !self.any_void || holds(key, self.versions) {
                return Some(*key);
            }
        }
    }
}
