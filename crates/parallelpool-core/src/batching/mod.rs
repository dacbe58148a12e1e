//! Pending transactions into batches: antichains of the conflict order, and what must stay in line.
//!
//! In: the pool's executable transactions with their access sets, as sequenced deltas. Out: a
//! [`Plan`]: the transactions chosen under the caller's budgets, in batches in commit order. The set
//! is chosen first and batching only arranges it. Inside a parallel batch no two members conflict,
//! no sender occurs twice, and escrow holds for the set, so any order gives the same state.
//!
//! The way through this module:
//!
//! ```text
//! builder      deltas in; kept as
//!   entries      the transactions' columns
//!   chains       each sender's nonces
//!   locations    who touches what      (users), who may need what (purses)
//!   order        who is wanted first   (sorted)
//!   index        numbers of hashes and names, for all of them
//! select       which ones, under budgets and exclusions
//! arrange      the level of each one; escrow by running sums
//! cut          levels into batches, and which follow which
//! graph        the other views of a plan: groups, dependencies
//! contention   what the pool meets at: hot locations, who waits for whom
//! adaptive     a batch size from what execution observed
//! ```

mod adaptive;
mod arrange;
mod builder;
mod chains;
mod contention;
mod cut;
mod entries;
mod graph;
mod index;
mod locations;
mod order;
mod purses;
mod select;
mod sorted;
mod users;

use std::convert::Infallible;
use std::sync::Arc;

use alloy_rlp::{Encodable, Header as RlpHeader};

use crate::access::AccessSet;
use crate::primitives::{Address, B256, U256, keccak256};

pub use adaptive::{AdaptiveSize, Observed, Ran};
pub use builder::{Builder, Delta, OutOfSequence, Pooled};
pub use contention::{Contention, Dependency, HotSpot};
pub use graph::MAX_DEPENDENCIES;
pub use order::Strategy;
pub use select::Selection;

use graph::Footprints;

/// Fewest and most transactions that may close a batch.
pub const BATCH_SIZES: std::ops::RangeInclusive<usize> = 64..=256;

/// Whether members may run in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// Any order, or at the same time.
    Parallel,
    /// One by one, in the given order.
    Sequential,
}

impl BatchKind {
    /// Stable name, also part of batch ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
        }
    }
}

/// Some candidates of a plan, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whether order matters inside.
    pub kind: BatchKind,
    /// Indices of candidates.
    pub members: Vec<u32>,
    /// Indices of earlier batches that hold a predecessor of a member.
    pub after: Vec<u32>,
    /// Sum of the members' declared gas.
    pub gas_limit: u64,
    /// Sum of the members' predicted gas.
    pub predicted_gas: u64,
    /// The batch's predicted gas when nothing waits for a core: the longest member's if parallel.
    pub critical_path_gas: u64,
}

/// A chosen set and its arrangement, of one state of pool, head and fees.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The chosen transactions, best first; everything else points here.
    pub candidates: Vec<B256>,
    /// In commit order; each candidate stands in exactly one.
    pub batches: Vec<Batch>,
    /// More exists, but budgets, fees or exclusions kept it back.
    pub withheld: bool,
    /// What the candidates touch.
    footprints: Footprints,
}

impl Plan {
    /// Candidates, batch after batch.
    pub fn execution_order(&self) -> impl Iterator<Item = u32> + '_ {
        self.batches.iter().flat_map(|batch| batch.members.iter().copied())
    }

    /// Predicted gas of the longest way through the batches, each taking its own critical path and
    /// beginning when those it follows are done.
    pub fn critical_path_gas(&self) -> u64 {
        let mut done: Vec<u64> = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let begin = batch.after.iter().map(|&earlier| done[earlier as usize]).max().unwrap_or(0);
            done.push(begin.saturating_add(batch.critical_path_gas));
        }
        done.into_iter().max().unwrap_or(0)
    }

    /// The id of one of the batches; see [`batch_id`].
    pub fn batch_id(&self, batch: &Batch, chain_id: u64, parent_hash: B256) -> B256 {
        let hashes: Vec<B256> = batch.members.iter().map(|&at| self.candidates[at as usize]).collect();
        batch_id(chain_id, parent_hash, batch.kind, &hashes)
    }
}

/// The id that anyone can compute: `keccak256(rlp([version, chainId, parentHash, kind, [hash...]]))`.
pub fn batch_id(chain_id: u64, parent_hash: B256, kind: BatchKind, members: &[B256]) -> B256 {
    const VERSION: u8 = 1;
    let kind = kind.name().as_bytes();
    let mut hashes = Vec::with_capacity(members.len() * 33 + 4);
    alloy_rlp::encode_list::<B256, B256>(members, &mut hashes);
    let payload_length =
        VERSION.length() + chain_id.length() + parent_hash.length() + kind.length() + hashes.len();
    let mut out = Vec::with_capacity(payload_length + 4);
    RlpHeader { list: true, payload_length }.encode(&mut out);
    VERSION.encode(&mut out);
    chain_id.encode(&mut out);
    parent_hash.encode(&mut out);
    kind.encode(&mut out);
    out.extend_from_slice(&hashes);
    keccak256(out)
}

/// One candidate of [`plan`].
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Transaction hash.
    pub hash: B256,
    /// Sender.
    pub sender: Address,
    /// Declared gas.
    pub gas_limit: u64,
    /// Tagged SEQUENTIAL by its sender.
    pub asks_sequential: bool,
    /// What it is expected to touch.
    pub access: &'a AccessSet,
}

/// How [`plan`] cuts batches.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Members that close a batch.
    pub batch_size: usize,
    /// Fewest members of a parallel batch; what is left over goes sequential.
    pub min_batch_size: usize,
    /// Who earns the fees of the block; to observe its balance is to observe every fee.
    pub beneficiary: Address,
}

/// Arranges all of `candidates`, which come in execution order (nonce order per sender).
///
/// For a list that somebody else chose: the pool's own is kept by a [`Builder`], of which this is
/// a first and only build. `balance` gives what accounts have at the start, for escrow.
pub fn plan<E>(
    candidates: &[Candidate<'_>],
    options: PlanOptions,
    balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Plan, E> {
    let mut builder = Builder::new();
    let added = candidates.iter().enumerate().map(|(place, candidate)| {
        let pooled = Pooled {
            hash: candidate.hash,
            sender: candidate.sender,
            // The order of the list is the order of the nonces.
            nonce: place as u64,
            arrival: place as u64,
            gas_limit: candidate.gas_limit,
            asks_sequential: candidate.asks_sequential,
            ..Pooled::default()
        };
        (pooled, candidate.access)
    });
    builder.add_all(added);
    let selection = Selection {
        strategy: Strategy::Fifo,
        batch_size: options.batch_size,
        min_batch_size: options.min_batch_size,
        beneficiary: options.beneficiary,
        ..Selection::default()
    };
    builder.build(&selection, balance)
}

/// As [`plan`], where every account can pay for whatever its transactions may need.
pub fn plan_without_escrow(candidates: &[Candidate<'_>], options: PlanOptions) -> Plan {
    match plan(candidates, options, |_| Ok::<_, Infallible>(U256::MAX)) {
        Ok(plan) => plan,
        Err(never) => match never {},
    }
}

/// An access set as the builder keeps and shares it.
pub type SharedAccess = Arc<AccessSet>;

#[cfg(test)]
mod tests;
