//! Chains of dependent transactions, and how many of them can run at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Dependency;
use crate::access::Location;

/// Numbers of workers that limits are given for.
pub const WORKERS: [usize; 3] = [2, 8, 32];

/// Transactions each of which depends on the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// In the order of the block.
    pub links: Vec<Link>,
    /// Sum of their weights.
    pub weight: u64,
}

/// A transaction of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub transaction: u32,
    /// By which it depends on the link before; `None` for the first. One of them where there are
    /// several.
    pub location: Option<Location>,
}

/// How well a block's work can be spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Parallelism {
    /// Weight of all transactions.
    pub total: u64,
    /// The heaviest chain: the block takes as long, however many workers there are.
    pub critical_path: Chain,
    /// For each of [`WORKERS`].
    pub limits: [Limit; WORKERS.len()],
}

/// What so many workers can gain over one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// How many.
    pub workers: usize,
    /// No schedule whatever is faster.
    pub bound: f64,
    /// What a worker that always takes the lowest transaction whose dependencies are done gets.
    pub schedule: f64,
}

impl Chain {
    /// The chain of the greatest weight.
    pub(super) fn heaviest(dependencies: &[Vec<Dependency>], weights: &[u64]) -> Self {
        let mut through = Vec::<u64>::with_capacity(weights.len());
        let mut came_from = Vec::<Option<Dependency>>::with_capacity(weights.len());
        for (own, weight) in dependencies.iter().zip(weights) {
            let from = own.iter().copied().max_by_key(|dependency| through[dependency.on as usize]);
            through.push(weight + from.map_or(0, |dependency| through[dependency.on as usize]));
            came_from.push(from);
        }
        let Some(weight) = through.iter().copied().max() else { return Self::default() };
        let mut at = through.iter().position(|sum| *sum == weight);
        let mut links = Vec::new();
        while let Some(index) = at {
            let from = came_from[index];
            let transaction = u32::try_from(index).expect("dependencies name transactions in 32 bits");
            links.push(Link { transaction, location: from.map(|dependency| dependency.location) });
            at = from.map(|dependency| dependency.on as usize);
        }
        links.reverse();
        Self { links, weight }
    }
}

impl Parallelism {
    pub(super) fn of(dependencies: &[Vec<Dependency>], weights: &[u64]) -> Self {
        let total: u64 = weights.iter().sum();
        let critical_path = Chain::heaviest(dependencies, weights);
        let limits = WORKERS.map(|workers| Limit {
            workers,
            bound: ratio(total, critical_path.weight).min(workers as f64),
            schedule: ratio(total, makespan(dependencies, weights, workers)),
        });
        Self { total, critical_path, limits }
    }

    /// Total weight over the critical path: what endlessly many workers could gain.
    pub fn available(&self) -> f64 {
        ratio(self.total, self.critical_path.weight)
    }
}

/// One where there is nothing to do.
fn ratio(total: u64, part: u64) -> f64 {
    if part == 0 { 1.0 } else { total as f64 / part as f64 }
}

/// When the last transaction ends if workers always take the lowest that is ready.
pub(super) fn makespan(dependencies: &[Vec<Dependency>], weights: &[u64], workers: usize) -> u64 {
    let count = weights.len();
    let mut waits_for: Vec<usize> = vec![0; count];
    let mut successors: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, own) in dependencies.iter().enumerate() {
        let mut earlier: Vec<u32> = own.iter().map(|dependency| dependency.on).collect();
        earlier.dedup();
        waits_for[index] = earlier.len();
        earlier.into_iter().for_each(|on| successors[on as usize].push(index));
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..count).filter(|index| waits_for[*index] == 0).map(Reverse).collect();
    let mut running = BinaryHeap::<Reverse<(u64, usize)>>::new();
    let mut now = 0;
    loop {
        while running.len() < workers
            && let Some(Reverse(index)) = ready.pop()
        {
            running.push(Reverse((now + weights[index], index)));
        }
        let Some(Reverse((end, index))) = running.pop() else { return now };
        now = end;
        for &next in &successors[index] {
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Field;
    use crate::primitives::Address;

    /// Each transaction's dependencies by index.
    fn graph(earlier: &[&[u32]]) -> Vec<Vec<Dependency>> {
        let location =
            |on: u32| Location { address: Address::left_padding_from(&on.to_be_bytes()), field: Field::Code };
        earlier
            .iter()
            .map(|own| own.iter().map(|&on| Dependency { on, location: location(on) }).collect())
            .collect()
    }

    #[test]
    fn the_heaviest_chain_goes_by_weight_and_names_its_links() {
        let dependencies = graph(&[&[], &[0], &[1], &[], &[2, 3]]);
        let transactions =
            |chain: &Chain| -> Vec<u32> { chain.links.iter().map(|link| link.transaction).collect() };
        let by_count = Chain::heaviest(&dependencies, &[1; 5]);
        let by_weight = Chain::heaviest(&dependencies, &[1, 1, 1, 50, 1]);

        assert_eq!((transactions(&by_count), by_count.weight), (vec![0, 1, 2, 4], 4));
        assert_eq!((transactions(&by_weight), by_weight.weight), (vec![3, 4], 51));
        assert_eq!(by_weight.links[0].location, None);
        assert_eq!(by_weight.links[1].location, Some(dependencies[4][1].location));
    }

    #[test]
    fn workers_take_the_lowest_that_is_ready() {
        // 0 ─▶ 2, the others alone: two workers do 0 and 1, then 2 and 3, then 4.
        let dependencies = graph(&[&[], &[], &[0], &[], &[]]);
        let ends = [1, 2, 3, 8].map(|workers| makespan(&dependencies, &[4, 1, 2, 7, 1], workers));

        // Two: 0 until 4, 1 until 1, 3 until 8, 2 until 6, 4 until 7.
        assert_eq!(ends, [15, 8, 7, 7]);
    }

    #[test]
    fn a_schedule_is_within_its_bounds() {
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let count = 1 + next(60);
            let weights: Vec<u64> = (0..count).map(|_| 1 + next(100)).collect();
            let earlier: Vec<Vec<u32>> = (0..count)
                .map(|index| {
                    let mut own: Vec<u32> = (0..next(4))
                        .filter(|_| index > 0)
                        .map(|_| u32::try_from(next(index)).expect("small"))
                        .collect();
                    own.sort_unstable();
                    own.dedup();
                    own
                })
                .collect();
            let dependencies = graph(&earlier.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let found = Parallelism::of(&dependencies, &weights);
            for limit in found.limits {
                // Graham: a list schedule takes at most 2 - 1/p of the best.
                let worst = 2.0 - 1.0 / limit.workers as f64;
                assert!(limit.schedule <= limit.bound + 1e-9 && limit.bound <= limit.workers as f64);
                assert!(limit.schedule * worst >= limit.bound - 1e-9);
            }
            assert!(found.available() >= 1.0 && found.critical_path.weight <= found.total);
        }
    }
}
