//! What a sequencer with so many lanes makes of a grouping: a model, with predicted gas for time.
//!
//! Every way gets the same transactions in the same order, and the same conflicts. None of them
//! pays for its own scheduling, so the figures are upper bounds for all alike.

use std::collections::BTreeMap;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::Plan;

/// Transactions of one window, best first, by index.
pub(super) struct Window<'a> {
    pub(super) sets: &'a [&'a AccessSet],
    /// For each one the earlier ones that it conflicts with, its sender's included.
    pub(super) conflicts: Vec<Vec<usize>>,
}

impl Window<'_> {
    fn gas(&self, index: usize) -> u64 {
        self.sets[index].gas_used.max(1)
    }

    /// Gas of all, one after another.
    pub(super) fn serial(&self) -> u64 {
        (0..self.sets.len()).map(|index| self.gas(index)).sum()
    }

    /// How long our batches take: each begins when those it follows are done; inside, the longest
    /// first; a sequential one has one lane.
    pub(super) fn by_batches(&self, plan: &Plan, lanes: usize) -> u64 {
        let mut free = vec![0; lanes];
        let mut done: Vec<u64> = Vec::new();
        for batch in &plan.batches {
            let ready = batch.after.iter().map(|&earlier| done[earlier as usize]).max().unwrap_or(0);
            let mut gas: Vec<u64> = batch.members.iter().map(|&member| self.gas(member as usize)).collect();
            let end = if batch.kind == parallelpool_core::batching::BatchKind::Parallel {
                gas.sort_unstable_by(|a, b| b.cmp(a));
                gas.into_iter().map(|gas| run(&mut free, ready, gas)).max()
            } else {
                Some(run(&mut free, ready, gas.into_iter().sum()))
            };
            done.push(end.unwrap_or(ready));
        }
        done.into_iter().max().unwrap_or(0)
    }

    /// The same batches' dependencies without barriers: whenever a lane is free it takes the next one
    /// in the plan's order that waits for nobody.
    pub(super) fn by_dependencies(&self, plan: &Plan, lanes: usize) -> u64 {
        let order = plan.execution_order().map(|index| index as usize).collect();
        let dependencies = plan.dependencies();
        self.in_turn(order, lanes, |index, done| {
            dependencies[index].iter().all(|&earlier| done[earlier as usize])
        })
    }

    /// As Firedancer's pack: whenever a lane is free it takes the best one that conflicts with
    /// nothing that runs, nor with a better one that waits.
    pub(super) fn greedily(&self, lanes: usize) -> u64 {
        let order = (0..self.sets.len()).collect();
        self.in_turn(order, lanes, |index, done| self.conflicts[index].iter().all(|&earlier| done[earlier]))
    }

    /// Whenever a lane is free it takes the first one in `order` that is ready.
    fn in_turn(&self, mut order: Vec<usize>, lanes: usize, is_ready: impl Fn(usize, &[bool]) -> bool) -> u64 {
        let mut running: Vec<(u64, usize)> = Vec::new();
        let (mut now, mut done) = (0, vec![false; self.sets.len()]);
        while !order.is_empty() || !running.is_empty() {
            while running.len() < lanes {
                let ready = order.iter().position(|&index| is_ready(index, &done));
                let Some(place) = ready else { break };
                let index = order.remove(place);
                running.push((now + self.gas(index), index));
            }
            let first = (0..running.len()).min_by_key(|&place| running[place]).expect("something runs");
            let (end, index) = running.swap_remove(first);
            (now, done[index]) = (end, true);
        }
        now
    }

    /// Connected components, each on one lane, the largest first. What may touch anything runs when
    /// all others are done.
    pub(super) fn by_components(&self, plan: &Plan, lanes: usize) -> u64 {
        let is_known = |&index: &u32| self.sets[index as usize].is_known();
        let groups = plan.groups();
        let (known, unknown): (Vec<_>, Vec<_>) = groups.iter().partition(|group| group.iter().all(is_known));
        let sum = |group: &Vec<u32>| group.iter().map(|&index| self.gas(index as usize)).sum::<u64>();
        let mut groups: Vec<u64> = known.into_iter().map(sum).collect();
        groups.sort_unstable_by(|a, b| b.cmp(a));
        let mut free = vec![0; lanes];
        let side_by_side = groups.into_iter().map(|gas| run(&mut free, 0, gas)).max().unwrap_or(0);
        side_by_side + unknown.into_iter().map(sum).sum::<u64>()
    }

    /// As the original: whatever came is one batch, nothing is compared. What conflicts with an
    /// earlier one had the wrong result and runs again afterwards, one by one.
    pub(super) fn by_tag(&self, lanes: usize) -> u64 {
        let mut free = vec![0; lanes];
        let all = (0..self.sets.len()).map(|index| run(&mut free, 0, self.gas(index))).max().unwrap_or(0);
        all + conflicting(&self.conflicts).into_iter().map(|index| self.gas(index)).sum::<u64>()
    }

    /// What nobody can beat who keeps conflicts in order: what may touch anything runs alone; the
    /// rest takes an even share of its gas, or the longest way through its conflicts.
    pub(super) fn bound(&self, lanes: usize) -> u64 {
        let mut ends: Vec<u64> = Vec::with_capacity(self.sets.len());
        let (mut alone, mut shared) = (0, 0);
        for (index, earlier) in self.conflicts.iter().enumerate() {
            if !self.sets[index].is_known() {
                alone += self.gas(index);
                ends.push(0);
                continue;
            }
            shared += self.gas(index);
            let begin = earlier.iter().map(|&earlier| ends[earlier]).max().unwrap_or(0);
            ends.push(begin + self.gas(index));
        }
        let longest = ends.into_iter().max().unwrap_or(0);
        alone + longest.max(shared.div_ceil(lanes as u64))
    }
}

/// Those that conflict with an earlier one.
pub(super) fn conflicting(conflicts: &[Vec<usize>]) -> Vec<usize> {
    (0..conflicts.len()).filter(|&index| !conflicts[index].is_empty()).collect()
}

/// Puts work on the lane that can begin it first; returns when it is done.
fn run(free: &mut [u64], ready: u64, gas: u64) -> u64 {
    let lane = (0..free.len()).min_by_key(|&lane| free[lane].max(ready)).expect("at least one lane");
    free[lane] = free[lane].max(ready) + gas;
    free[lane]
}

/// Earlier conflicting ones of each, by all pairs that meet somewhere. What one of unknown access
/// touches nobody knows, so it is taken to conflict with everything.
pub(super) fn conflicts(sets: &[&AccessSet]) -> Vec<Vec<usize>> {
    let mut users: BTreeMap<_, Vec<(usize, parallelpool_core::access::Access)>> = BTreeMap::new();
    let mut found: Vec<Vec<usize>> = vec![Vec::new(); sets.len()];
    for (index, set) in sets.iter().enumerate() {
        for (location, access) in &set.accesses {
            let before = users.entry(*location).or_default();
            let earlier = before.iter().filter(|(_, theirs)| theirs.conflicts_with(*access));
            found[index].extend(earlier.map(|(other, _)| other));
            before.push((index, *access));
        }
        let meets_all = |&other: &usize| !set.is_known() || !sets[other].is_known();
        found[index].extend((0..index).filter(meets_all));
        found[index].sort_unstable();
        found[index].dedup();
    }
    found
}
