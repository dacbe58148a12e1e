//! The other views of a plan: connected components, and direct dependencies.
//!
//! Both come from what the candidates touch and are worked out when they are asked for. No pair is
//! looked at, so a popular location costs no more than its accesses.

use smallvec::SmallVec;

use super::Plan;
use super::users::Class;

/// Conflicts listed per candidate as its dependencies, the latest: an observer behind a thousand
/// credits would else name them all. `after` is whole.
pub const MAX_DEPENDENCIES: usize = 256;

/// What a candidate's footprint does not show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    /// Runs behind the parallel batches.
    pub(super) is_sequential: bool,
    pub(super) is_known: bool,
    /// Its first use is its sender's nonce, which others of the pool use too.
    pub(super) has_nonce: bool,
}

/// What each candidate touches that others of the pool touch too, by number in the plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Footprints {
    uses: Vec<(u32, Class)>,
    ends: Vec<u32>,
    pub(super) flags: Vec<Flags>,
    /// One more than the greatest number of a location.
    pub(super) locations: usize,
}

impl Footprints {
    pub(super) fn with_capacity(candidates: usize) -> Self {
        Self {
            uses: Vec::with_capacity(candidates * 2),
            ends: Vec::with_capacity(candidates),
            flags: Vec::with_capacity(candidates),
            locations: 0,
        }
    }

    pub(super) fn push(&mut self, place: u32, class: Class) {
        self.uses.push((place, class));
    }

    /// Ends a candidate's footprint.
    pub(super) fn close(&mut self) {
        self.ends.push(self.uses.len() as u32);
    }

    /// A candidate's uses.
    pub(super) fn of(&self, candidate: usize) -> &[(u32, Class)] {
        let start = candidate.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.uses[start as usize..self.ends[candidate] as usize]
    }

    /// Of a candidate's uses the one of its sender's nonce, if others use that too.
    pub(super) fn nonce_of(&self, candidate: usize) -> &[(u32, Class)] {
        &self.of(candidate)[..usize::from(self.flags[candidate].has_nonce)]
    }

    /// Makes a candidate's use of a location one that commutes with nothing.
    pub(super) fn raise(&mut self, candidate: usize, place: u32) {
        let start = candidate.checked_sub(1).map_or(0, |before| self.ends[before]);
        let uses = &mut self.uses[start as usize..self.ends[candidate] as usize];
        if let Some(used) = uses.iter_mut().find(|(used, _)| *used == place) {
            used.1 = Class::Write;
        }
    }

    pub(super) fn is_sequential(&self, candidate: usize) -> bool {
        self.flags[candidate].is_sequential
    }

    pub(super) fn is_known(&self, candidate: usize) -> bool {
        self.flags[candidate].is_known
    }

    fn len(&self) -> usize {
        self.ends.len()
    }
}

/// What happens to each location of a plan, by number.
pub(super) fn table<T: Clone + Default>(footprints: &Footprints) -> Vec<T> {
    vec![T::default(); footprints.locations]
}

/// The last two runs of a location: accesses that commute with one another, and before them such
/// that conflict with all of these.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    class: Class,
    current: SmallVec<[u32; 2]>,
    previous: SmallVec<[u32; 2]>,
}

impl Runs {
    /// Whom an access of `class` follows directly.
    pub(super) fn before(&self, class: Class) -> &[u32] {
        if class.conflicts_with(self.class) { &self.current } else { &self.previous }
    }

    /// Notes an access by `who`, each of whom comes in one piece.
    pub(super) fn enter(&mut self, class: Class, who: u32) {
        if class.conflicts_with(self.class) && !self.current.is_empty() {
            self.previous = std::mem::take(&mut self.current);
        }
        self.class = class;
        if self.current.last() != Some(&who) {
            self.current.push(who);
        }
    }
}

impl Plan {
    /// Connected components of the conflict graph: independent of each other, serial inside. Each
    /// ascending, ordered by their first member. Unknown accesses are one component.
    pub fn groups(&self) -> Vec<Vec<u32>> {
        let footprints = &self.footprints;
        let mut sets = DisjointSets::new(footprints.len());
        // Where a location is replaced, or changed and observed, all who touch it are connected.
        let mut locations: Vec<(Option<Class>, Vec<u32>)> = table(footprints);
        let mut unknown = None;
        for index in 0..footprints.len() {
            for &(place, class) in footprints.of(index) {
                let (all, members) = &mut locations[place as usize];
                *all = Some(all.map_or(class, |all| all.with(class)));
                members.push(index as u32);
            }
            if !footprints.is_known(index) {
                sets.join(index as u32, *unknown.get_or_insert(index as u32));
            }
        }
        for (all, members) in &locations {
            if *all == Some(Class::Write) {
                members.windows(2).for_each(|pair| sets.join(pair[0], pair[1]));
            }
        }
        sets.into_components()
    }

    /// For each candidate the ones that it follows directly, ascending: those that run before it,
    /// conflict with it, and of which no other one between them says the same. At most
    /// [`MAX_DEPENDENCIES`] of these, the latest to run.
    ///
    /// One of unknown access follows all that run before it and is followed by all behind it. It
    /// names those that nobody has followed yet, so all such ones together name each candidate once.
    pub fn dependencies(&self) -> Vec<Vec<u32>> {
        let mut dependencies = vec![Vec::new(); self.candidates.len()];
        let mut table: Vec<Runs> = table(&self.footprints);
        let mut place_of = vec![0_u32; self.candidates.len()];
        let mut is_followed = vec![false; self.candidates.len()];
        let mut since_barrier: Vec<u32> = Vec::new();
        let mut barrier: Option<u32> = None;
        for (place, index) in self.execution_order().enumerate() {
            place_of[index as usize] = place as u32;
            let found = &mut dependencies[index as usize];
            for &(location, class) in self.footprints.of(index as usize) {
                let runs = &mut table[location as usize];
                let before = runs.before(class);
                found.extend_from_slice(&before[before.len().saturating_sub(MAX_DEPENDENCIES)..]);
                runs.enter(class, index);
            }
            keep_latest(found, &place_of);
            let is_known = self.footprints.is_known(index as usize);
            if !is_known {
                found.extend(since_barrier.drain(..).filter(|&earlier| !is_followed[earlier as usize]));
            } else if let Some(barrier) = barrier {
                // Whatever ran before the barrier is followed through it.
                let at = place_of[barrier as usize];
                found.retain(|&earlier| place_of[earlier as usize] >= at);
                if found.is_empty() {
                    found.push(barrier);
                }
            }
            found.sort_unstable();
            found.dedup();
            found.iter().for_each(|&earlier| is_followed[earlier as usize] = true);
            since_barrier.push(index);
            barrier = if is_known { barrier } else { Some(index) };
        }
        dependencies
    }
}

/// Leaves each once, and of too many the latest to run.
fn keep_latest(found: &mut Vec<u32>, place_of: &[u32]) {
    found.sort_unstable();
    found.dedup();
    if found.len() > MAX_DEPENDENCIES {
        found.sort_unstable_by_key(|&earlier| std::cmp::Reverse(place_of[earlier as usize]));
        found.truncate(MAX_DEPENDENCIES);
    }
}

/// Union-find with path halving.
struct DisjointSets {
    parent: Vec<u32>,
}

impl DisjointSets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count as u32).collect() }
    }

    fn root(&mut self, mut node: u32) -> u32 {
        while self.parent[node as usize] != node {
            let above = self.parent[self.parent[node as usize] as usize];
            self.parent[node as usize] = above;
            node = above;
        }
        node
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller index stays root, so components come out ordered by their first member.
        self.parent[a.max(b) as usize] = a.min(b);
    }

    fn into_components(mut self) -> Vec<Vec<u32>> {
        let mut place = vec![u32::MAX; self.parent.len()];
        let mut components: Vec<Vec<u32>> = Vec::new();
        for node in 0..self.parent.len() as u32 {
            let root = self.root(node) as usize;
            if place[root] == u32::MAX {
                place[root] = components.len() as u32;
                components.push(Vec::new());
            }
            components[place[root] as usize].push(node);
        }
        components
    }
}
