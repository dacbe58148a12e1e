//! How much of a block can run at the same time, and what stands in the way.
//!
//! In: a block and the state before it. Out: for three models of conflict the dependencies of each
//! transaction, the longest chains, how fast so many cores could be, and the locations that
//! transactions meet at. The block is executed in order, so all of it is exact: what was read and
//! written, not what might be. A dependency is a read of what an earlier transaction wrote last;
//! writes alone conflict with nothing, since every transaction's writes are kept apart.

mod accuracy;
mod dependencies;
mod paths;
#[cfg(test)]
mod tests;
mod trace;

use crate::block::BlockContext;
use crate::chainspec::{ChainSpec, Rules};
use crate::execution::ExecuteError;
use crate::replay::ReplayBlock;
use crate::state::StateView;
use crate::state::overlay::Overlay;
use crate::system;
use crate::tx::SharedTransaction;

pub use self::accuracy::{Accuracy, BatchTally, BlockAccuracy, Tally};
pub use self::dependencies::{Contention, Dependency};
pub use self::paths::{Chain, Limit, Link, Parallelism, WORKERS};

/// What counts as a conflict. Each model has at most the dependencies of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// All that is used is read and all that changes is written. Only fees are set apart: they
    /// wait for nobody, but whoever uses the beneficiary's balance waits for them.
    Plain,
    /// Credits and debits commute. A balance is read where it is observed, or where it covers a
    /// debit only thanks to earlier credits of the block.
    CommutativeBalances,
    /// Moreover the nonces of senders are known beforehand. The model of our executor.
    PredictedNonces,
}

impl Model {
    /// From the strictest to the most permissive.
    pub const ALL: [Self; 3] = [Self::Plain, Self::CommutativeBalances, Self::PredictedNonces];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::CommutativeBalances => "commutative-balances",
            Self::PredictedNonces => "predicted-nonces",
        }
    }
}

/// What one transaction took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Gas used.
    pub gas: u64,
    /// Wall time of its execution in nanoseconds, alone and in order; the shortest of three.
    pub ns: u64,
}

/// A block under one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnalysis {
    /// The model.
    pub model: Model,
    /// For each transaction all earlier ones it depends on, ascending; one entry for each location.
    pub dependencies: Vec<Vec<Dependency>>,
    /// Transactions without an earlier dependency.
    pub independent: usize,
    /// The chain of most transactions.
    pub longest_chain: Chain,
    /// By gas.
    pub by_gas: Parallelism,
    /// By measured time.
    pub by_time: Parallelism,
    /// Locations that cause dependencies, those with most gas behind them first.
    pub contended: Vec<Contention>,
}

impl ModelAnalysis {
    /// The dependencies in the form of [`crate::execution::ExecuteOptions::dependencies`].
    pub fn hints(&self) -> Vec<Vec<u32>> {
        let of_one = |own: &Vec<Dependency>| {
            let mut earlier: Vec<u32> = own.iter().map(|dependency| dependency.on).collect();
            earlier.dedup();
            earlier
        };
        self.dependencies.iter().map(of_one).collect()
    }
}

/// A block, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// By transaction.
    pub costs: Vec<Cost>,
    /// One for each of [`Model::ALL`].
    pub models: [ModelAnalysis; 3],
}

impl Analysis {
    /// Takes the transactions of a block apart, on the state right before them.
    ///
    /// Fails as an import does if one of them is invalid.
    pub fn of_transactions(
        rules: &Rules,
        block: &BlockContext,
        transactions: &[SharedTransaction],
        state: &dyn StateView,
    ) -> Result<Self, ExecuteError> {
        let traces = trace::record(rules, block, transactions, state)?;
        let costs: Vec<Cost> = traces.iter().map(|trace| trace.cost).collect();
        let models = Model::ALL.map(|model| {
            let (dependencies, contended) = dependencies::find(model, &traces);
            let gas: Vec<u64> = costs.iter().map(|cost| cost.gas).collect();
            let time: Vec<u64> = costs.iter().map(|cost| cost.ns).collect();
            ModelAnalysis {
                model,
                independent: dependencies.iter().filter(|own| own.is_empty()).count(),
                longest_chain: Chain::heaviest(&dependencies, &vec![1; costs.len()]),
                by_gas: Parallelism::of(&dependencies, &gas),
                by_time: Parallelism::of(&dependencies, &time),
                dependencies,
                contended,
            }
        });
        Ok(Self { costs, models })
    }

    /// The same for a whole block, on the state of its parent.
    pub fn of_block(
        spec: &ChainSpec,
        block: &BlockContext,
        transactions: &[SharedTransaction],
        state: &dyn StateView,
    ) -> Result<Self, ExecuteError> {
        let rules = spec.rules_in(block);
        let mut overlay = Overlay::new(state);
        system::before_transactions(spec, &rules, block, &mut overlay, &mut None)?;
        Self::of_transactions(&rules, block, transactions, &overlay)
    }

    /// The same for a block to replay.
    pub fn of_replay(block: &ReplayBlock) -> Result<Self, ExecuteError> {
        let ReplayBlock { rules, block, transactions, state, frame, .. } = block;
        match frame {
            None => Self::of_transactions(rules, block, transactions, state),
            Some(frame) => Self::of_block(&frame.spec, block, transactions, state),
        }
    }

    /// The block under one of the models.
    pub fn under(&self, model: Model) -> &ModelAnalysis {
        &self.models[model as usize]
    }

    /// Nanoseconds until so many workers are done, if each always takes the lowest transaction whose
    /// dependencies under the model are done.
    pub fn schedule_ns(&self, model: Model, workers: usize) -> u64 {
        let times: Vec<u64> = self.costs.iter().map(|cost| cost.ns).collect();
        paths::makespan(&self.under(model).dependencies, &times, workers)
    }

    /// Gas of all transactions.
    pub fn gas(&self) -> u64 {
        self.costs.iter().map(|cost| cost.gas).sum()
    }
}
