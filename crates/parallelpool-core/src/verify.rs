//! Whether transactions may run in any order: the one answer for callers, tests and validators.
//!
//! In: a state, a block around it, and the transactions of a batch. Out: everything that speaks
//! against it. Each transaction runs alone on the state, which shows what it touches; what two of
//! them touch is compared under `commutative-balance-v1`, what they may need from one account is
//! summed up, and then all of them run in several orders, which must not differ. A pure function:
//! the same arguments give the same answer, on every machine.

mod compare;
mod orders;

use std::collections::BTreeMap;

use crate::access::{AccessSet, Conflict};
use crate::block::BlockContext;
use crate::chainspec::Rules;
use crate::error::{CoreError, StateError};
use crate::preexecute::PreExecution;
use crate::primitives::{Address, B256, U256};
use crate::state::StateView;
use crate::tx::SharedTransaction;

pub use orders::state_digest;

/// Where a batch is held against.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Rules of `block`.
    pub rules: &'a Rules,
    /// The block that the batch would be part of.
    pub block: &'a BlockContext,
    /// The state that it would find.
    pub view: &'a dyn StateView,
}

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Orders to run: the given one, its reverse, then shuffles.
    pub orders: usize,
    /// Source of the shuffles.
    pub seed: u64,
    /// Greatest declared gas of the batch. At most `orders + 1` times as much is executed.
    pub gas_cap: u64,
    /// Conflicts to list; all are counted.
    pub max_conflicts: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { orders: 4, seed: 0, gas_cap: 60_000_000, max_conflicts: usize::MAX }
    }
}

/// Two members that may not share a batch, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchConflict {
    /// The earlier of the two in the given order.
    pub a: B256,
    /// The other.
    pub b: B256,
    /// Where they meet; the first access is that of `a`.
    pub conflict: Conflict,
}

/// An account that cannot pay for all members together: escrow does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The account.
    pub address: Address,
    /// Wei that it has.
    pub balance: U256,
    /// Wei that all members together may need from it.
    pub required: U256,
    /// The members that may need some, in the given order.
    pub members: Vec<B256>,
}

/// An order that gave something else than the given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The order, as indices into the given one.
    pub order: Vec<u32>,
    /// The first transaction of the given order that fared differently; `None` if only the state
    /// did.
    pub transaction: Option<B256>,
    /// `validity`, `status`, `gas`, `logs` or `state`.
    pub what: &'static str,
}

/// What was found out about a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Pairs that conflict, by their places in the given order.
    pub conflicts: Vec<BatchConflict>,
    /// How many there are, listed or not.
    pub conflict_count: usize,
    /// Accounts for which escrow does not hold, ascending.
    pub shortfalls: Vec<Shortfall>,
    /// Members that could not be executed in the given order, with geth's reason.
    pub invalid: Vec<(B256, String)>,
    /// Members of which a run alone could not tell what they touch.
    pub unknown: Vec<B256>,
    /// Orders executed.
    pub orders: usize,
    /// The first order that differed.
    pub divergence: Option<Divergence>,
    /// Gas used in the given order.
    pub gas_used: u64,
    /// [`state_digest`] of what the given order changed.
    pub post_state: B256,
}

impl Verification {
    /// Whether the members may run in any order, all of them.
    pub fn is_valid(&self) -> bool {
        self.conflict_count == 0
            && self.shortfalls.is_empty()
            && self.invalid.is_empty()
            && self.unknown.is_empty()
            && self.divergence.is_none()
    }
}

/// Holds a batch against its promise.
///
/// [`CoreError::InvalidArgument`] if it declares more gas than the options allow, or names a
/// transaction twice.
pub fn verify_batch(
    setting: &Setting<'_>,
    transactions: &[SharedTransaction],
    options: &VerifyOptions,
) -> Result<Verification, CoreError> {
    let declared = transactions.iter().fold(0_u64, |sum, tx| sum.saturating_add(tx.tx.gas_limit));
    if declared > options.gas_cap {
        let reason = format!("batch declares {declared} gas, more than {}", options.gas_cap);
        return Err(CoreError::InvalidArgument(reason));
    }
    let mut hashes: Vec<B256> = transactions.iter().map(|tx| tx.tx.hash).collect();
    hashes.sort_unstable();
    if let Some(twice) = hashes.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(CoreError::InvalidArgument(format!("transaction {} is there twice", twice[0])));
    }
    let sets = access_sets(setting, transactions)?;
    let mut verification = Verification {
        unknown: sets.iter().filter(|set| !set.is_known()).map(|set| set.hash).collect(),
        shortfalls: shortfalls(setting.view, &sets)?,
        ..Verification::default()
    };
    compare::name_conflicts(&sets, setting.block.beneficiary, options.max_conflicts, &mut verification);
    orders::run(setting, transactions, options, &mut verification)?;
    Ok(verification)
}

/// What each touches when it runs alone, with all the gas that it declares.
fn access_sets(
    setting: &Setting<'_>,
    transactions: &[SharedTransaction],
) -> Result<Vec<AccessSet>, StateError> {
    let Setting { rules, block, view } = *setting;
    let alone = PreExecution { rules, block, view, gas_limit: u64::MAX };
    transactions.iter().map(|tx| alone.run(tx)).collect()
}

/// Accounts that have less than all members together may need. No credit is counted: who is paid
/// may run before who pays.
fn shortfalls(view: &dyn StateView, sets: &[AccessSet]) -> Result<Vec<Shortfall>, StateError> {
    let mut purses: BTreeMap<Address, (U256, Vec<B256>)> = BTreeMap::new();
    for set in sets {
        for (address, wei) in &set.debits {
            let (required, members) = purses.entry(*address).or_default();
            *required = required.saturating_add(*wei);
            members.push(set.hash);
        }
    }
    let mut shortfalls = Vec::new();
    for (address, (required, members)) in purses {
        let balance = view.account(&address)?.map_or(U256::ZERO, |account| account.balance);
        if required > balance {
            shortfalls.push(Shortfall { address, balance, required, members });
        }
    }
    Ok(shortfalls)
}
