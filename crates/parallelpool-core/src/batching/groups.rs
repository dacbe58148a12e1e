//! Connected components of the conflict graph: independent of each other, serial inside.

use hashbrown::HashMap;

use super::Candidate;
use super::levels::accesses_of;
use crate::access::{Access, Location};
use crate::primitives::Address;

/// Components, each ascending, ordered by their first member.
///
/// Where a location is replaced, or changed and observed, all who touch it are connected; so no
/// pair has to be looked at, and a popular location costs no more than its accesses.
pub fn components(candidates: &[Candidate<'_>], beneficiary: Address) -> Vec<Vec<usize>> {
    let mut sets = DisjointSets::new(candidates.len());
    let mut locations: HashMap<Location, (Access, Vec<usize>), foldhash::fast::RandomState> =
        HashMap::default();
    let mut unknown: Option<usize> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        for (location, access) in accesses_of(candidate, beneficiary) {
            let (all, members) = locations.entry(location).or_default();
            *all = all.with(access);
            members.push(index);
        }
        if !candidate.access.is_known() {
            sets.join(index, *unknown.get_or_insert(index));
        }
    }
    for (all, members) in locations.values() {
        // Some two accesses of this location conflict exactly if the union conflicts with itself
        // and it was touched more than once.
        if all.conflicts_with(*all) {
            for pair in members.windows(2) {
                sets.join(pair[0], pair[1]);
            }
        }
    }
    sets.into_components()
}

/// Union-find with path halving.
struct DisjointSets {
    parent: Vec<usize>,
}

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parent[node] != node {
            self.parent[node] = self.parent[self.parent[node]];
            node = self.parent[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller index stays root, so components come out ordered by their first member.
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high] = low;
    }

    fn into_components(mut self) -> Vec<Vec<usize>> {
        let mut place: HashMap<usize, usize, foldhash::fast::RandomState> = HashMap::default();
        let mut components: Vec<Vec<usize>> = Vec::new();
        for node in 0..self.parent.len() {
            let root = self.root(node);
            let slot = *place.entry(root).or_insert_with(|| {
                components.push(Vec::new());
                components.len() - 1
            });
            components[slot].push(node);
        }
        components
    }
}
