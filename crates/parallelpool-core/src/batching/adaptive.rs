//! A batch size that follows what execution observed.
//!
//! In: what became of each executed block. Out: the members that close a batch. A batch that is
//! wide hides waiting time and costs fewer barriers, until wrong predictions make more of its
//! members run twice. So the size grows by steps while nearly nothing is aborted and the longest
//! member is a small part of its batch, and is halved as soon as aborts show; as windows of
//! congestion control do, with the same reason: the way down must be faster than the way up.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{BATCH_SIZES, BatchKind, Plan};
use crate::primitives::B256;

/// What became of one transaction of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// Its hash.
    pub hash: B256,
    /// How often it was executed, all but the last time in vain.
    pub executions: u64,
    /// Gas it used.
    pub gas_used: u64,
}

/// What became of a block that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Transactions of parallel batches.
    pub transactions: u64,
    /// Executions of them that were thrown away.
    pub aborted: u64,
    /// Gas that all transactions of the block used.
    pub gas_used: u64,
    /// Gas of the longest way through their dependencies.
    pub critical_path_gas: u64,
}

impl Plan {
    /// What became of this plan in a block that holds some of its candidates. Transactions that are
    /// none of them do not count.
    pub fn observed(&self, block: impl IntoIterator<Item = Ran>) -> Observed {
        let ran: HashMap<B256, Ran, RandomState> = block.into_iter().map(|ran| (ran.hash, ran)).collect();
        let dependencies = self.dependencies();
        let mut observed = Observed::default();
        // Where each candidate's way ends; what was left out takes no time.
        let mut ends = vec![0_u64; self.candidates.len()];
        for batch in &self.batches {
            for &member in &batch.members {
                let earlier = dependencies[member as usize].iter().map(|&other| ends[other as usize]);
                let begin = earlier.max().unwrap_or(0);
                let Some(ran) = ran.get(&self.candidates[member as usize]) else {
                    ends[member as usize] = begin;
                    continue;
                };
                ends[member as usize] = begin.saturating_add(ran.gas_used);
                observed.gas_used = observed.gas_used.saturating_add(ran.gas_used);
                if batch.kind == BatchKind::Parallel {
                    observed.transactions += 1;
                    observed.aborted += ran.executions.saturating_sub(1);
                }
            }
        }
        observed.critical_path_gas = ends.into_iter().max().unwrap_or(0);
        observed
    }
}

/// Aborts per thousand transactions above which the size is halved.
const TOO_MANY: u64 = 30;
/// Aborts per thousand transactions up to which it may grow.
const FEW: u64 = 10;
const STEP: usize = 16;

/// The rule and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveSize {
    size: usize,
}

impl Default for AdaptiveSize {
    fn default() -> Self {
        Self { size: *BATCH_SIZES.start() }
    }
}

impl AdaptiveSize {
    /// Begins at `size`, cut to what batches may have.
    pub fn new(size: usize) -> Self {
        Self { size: size.clamp(*BATCH_SIZES.start(), *BATCH_SIZES.end()) }
    }

    /// Members that close a batch now.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns from one block; a block with less than a batch of transactions says nothing.
    pub fn observe(&mut self, observed: Observed) {
        if observed.transactions < *BATCH_SIZES.start() as u64 {
            return;
        }
        let aborts = observed.aborted.saturating_mul(1_000) / observed.transactions;
        // While one chain of dependencies takes more than a quarter of the block, wider batches wait
        // for it all the same.
        let is_chained = observed.critical_path_gas.saturating_mul(4) > observed.gas_used;
        let size = if aborts > TOO_MANY {
            self.size / 2
        } else if aborts <= FEW && !is_chained {
            self.size + STEP
        } else {
            self.size
        };
        *self = Self::new(size);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Candidate, PlanOptions, plan_without_escrow};
    use super::*;
    use crate::access::{Access, AccessSet, AccessSource, Field};
    use crate::primitives::{Address, U256};

    const CALM: Observed = Observed { transactions: 500, aborted: 2, gas_used: 1_000, critical_path_gas: 50 };

    #[test]
    fn it_grows_by_steps_while_calm_and_halves_at_once_when_aborts_show() {
        let mut size = AdaptiveSize::default();
        let mut sizes = vec![size.size()];
        for _ in 0..14 {
            size.observe(CALM);
            sizes.push(size.size());
        }
        assert_eq!((sizes[0], sizes[1], sizes[12], sizes[14]), (64, 80, 256, 256));

        size.observe(Observed { aborted: 100, ..CALM });

        assert_eq!(size.size(), 128);
        size.observe(Observed { aborted: 100, ..CALM });
        size.observe(Observed { aborted: 100, ..CALM });
        assert_eq!(size.size(), 64, "never below what a batch has at least");
    }

    #[test]
    fn it_stays_when_a_chain_rules_the_block_or_too_little_was_seen() {
        for observed in [
            Observed { critical_path_gas: 400, ..CALM },
            Observed { aborted: 10, ..CALM },
            Observed { transactions: 20, aborted: 20, ..CALM },
        ] {
            let mut size = AdaptiveSize::new(128);
            size.observe(observed);
            assert_eq!(size.size(), 128, "{observed:?}");
        }
    }

    /// Four that write one slot, one after another, and six that meet nobody.
    fn chain_and_free() -> Plan {
        let sets: Vec<AccessSet> = (1..=10_u8)
            .map(|n| {
                let mut set = AccessSet::unknown(B256::repeat_byte(n), 50_000);
                set.source = AccessSource::Trace;
                if n <= 4 {
                    set.add(Address::repeat_byte(0xaa), Field::Storage(U256::ONE), Access::WRITE);
                }
                set
            })
            .collect();
        let candidates: Vec<_> = sets
            .iter()
            .map(|access| Candidate {
                hash: access.hash,
                sender: Address::repeat_byte(access.hash[0]),
                gas_limit: 50_000,
                asks_sequential: false,
                access,
            })
            .collect();
        let options = PlanOptions { batch_size: 64, min_batch_size: 2, beneficiary: Address::ZERO };
        plan_without_escrow(&candidates, options)
    }

    #[test]
    fn an_observation_counts_aborts_of_parallel_members_and_the_gas_of_the_longest_way() {
        let plan = chain_and_free();
        let ran = |n: u8, executions| Ran {
            hash: B256::repeat_byte(n),
            executions,
            gas_used: 1_000 * u64::from(n),
        };
        // The first writer shares a batch with the free ones; the others run one by one. The third
        // was left out, the eleventh is nobody's.
        let block = [ran(1, 3), ran(2, 5), ran(4, 1), ran(5, 2), ran(6, 1), ran(10, 1), ran(11, 9)];

        let observed = plan.observed(block);

        assert_eq!((observed.transactions, observed.aborted), (4, 3));
        assert_eq!(observed.gas_used, 28_000);
        assert_eq!(observed.critical_path_gas, 10_000, "of the free one that is longer than the chain");
        assert_eq!(plan.observed(block[..3].iter().copied()).critical_path_gas, 7_000, "of the chain");
    }
}
