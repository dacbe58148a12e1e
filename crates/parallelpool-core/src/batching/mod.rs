//! Arranges candidates into batches: antichains of the conflict order, and what must stay in line.
//!
//! In: candidates in execution order (best tips first, nonce order per sender) with their access
//! sets. Out: batches in commit order, the conflict components, and each candidate's direct
//! dependencies. Inside a parallel batch no two members conflict, no sender occurs twice, and
//! escrow holds for the set, so any order gives the same state. Hints decide only this order.

mod escrow;
mod groups;
mod levels;

use alloy_rlp::{Encodable, Header as RlpHeader};

use crate::access::AccessSet;
use crate::primitives::{Address, B256, U256, keccak256};

pub use groups::components;

/// One candidate as the planner sees it.
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

/// How batches are cut.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Members that close a batch.
    pub batch_size: usize,
    /// Fewest members of a parallel batch; what is left over goes sequential.
    pub min_batch_size: usize,
    /// Who earns the fees of the block; to observe its balance is to observe every fee.
    pub beneficiary: Address,
}

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

/// Some candidates, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whether order matters inside.
    pub kind: BatchKind,
    /// Indices of candidates.
    pub members: Vec<usize>,
    /// Indices of earlier batches that hold a predecessor of a member.
    pub after: Vec<usize>,
    /// Sum of the members' declared gas.
    pub gas_limit: u64,
    /// Sum of the members' predicted gas.
    pub predicted_gas: u64,
    /// Predicted gas on the longest chain inside.
    pub critical_path_gas: u64,
}

/// All candidates, arranged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In commit order.
    pub batches: Vec<Batch>,
    /// Connected components of the conflict graph, each ascending. Candidates of unknown access
    /// may conflict with anything: they share one component.
    pub groups: Vec<Vec<usize>>,
    /// For each candidate, earlier ones that it conflicts with directly: the latest per location.
    pub dependencies: Vec<Vec<usize>>,
}

/// Arranges `candidates`; `balance` tells an account's wei on the state that the plan starts from.
///
/// Time is linear in the number of accesses, but for sorting.
pub fn plan<E>(
    candidates: &[Candidate<'_>],
    options: PlanOptions,
    balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Plan, E> {
    let placement = levels::assign(candidates, options.beneficiary, balance)?;
    let mut batches = cut(candidates, &placement, options);
    let dependencies = placement.dependencies;
    link(&mut batches, &dependencies, candidates.len());
    Ok(Plan { batches, groups: groups::components(candidates, options.beneficiary), dependencies })
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

/// Levels into batches: full ones, a smaller rest, and single leftovers one after another.
fn cut(candidates: &[Candidate<'_>], placement: &levels::Placement, options: PlanOptions) -> Vec<Batch> {
    let batch_size = options.batch_size.max(1);
    let mut batches: Vec<Batch> = Vec::new();
    for level in &placement.levels {
        for chunk in level.chunks(batch_size) {
            if chunk.len() >= options.min_batch_size.max(1) {
                batches.push(batch(candidates, BatchKind::Parallel, chunk));
            } else {
                append_sequential(candidates, &mut batches, chunk, batch_size);
            }
        }
    }
    append_sequential(candidates, &mut batches, &placement.sequential, batch_size);
    batches
}

/// Puts `members` behind what is there, filling up a sequential batch that stands last.
fn append_sequential(
    candidates: &[Candidate<'_>],
    batches: &mut Vec<Batch>,
    members: &[usize],
    batch_size: usize,
) {
    let mut rest = members;
    if let Some(last) = batches.last_mut().filter(|last| last.kind == BatchKind::Sequential) {
        let (fill, after) = rest.split_at(rest.len().min(batch_size.saturating_sub(last.members.len())));
        let joined = [last.members.as_slice(), fill].concat();
        *last = batch(candidates, BatchKind::Sequential, &joined);
        rest = after;
    }
    batches.extend(rest.chunks(batch_size).map(|chunk| batch(candidates, BatchKind::Sequential, chunk)));
}

fn batch(candidates: &[Candidate<'_>], kind: BatchKind, members: &[usize]) -> Batch {
    let gas = || members.iter().map(|&index| candidates[index].access.gas_used);
    let predicted_gas = gas().fold(0, u64::saturating_add);
    Batch {
        kind,
        members: members.to_vec(),
        after: Vec::new(),
        gas_limit: members.iter().map(|&index| candidates[index].gas_limit).fold(0, u64::saturating_add),
        predicted_gas,
        critical_path_gas: match kind {
            BatchKind::Parallel => gas().max().unwrap_or(0),
            BatchKind::Sequential => predicted_gas,
        },
    }
}

/// Fills in `after`. A sequential batch may hold members of unknown access, so it follows all
/// earlier batches and all later ones follow it.
fn link(batches: &mut [Batch], dependencies: &[Vec<usize>], candidates: usize) {
    let mut home = vec![usize::MAX; candidates];
    for (index, batch) in batches.iter().enumerate() {
        for &member in &batch.members {
            home[member] = index;
        }
    }
    for index in 0..batches.len() {
        let mut after: Vec<usize> = if batches[index].kind == BatchKind::Sequential {
            (0..index).collect()
        } else {
            let predecessors = batches[index].members.iter().flat_map(|&member| &dependencies[member]);
            let sequential = (0..index).filter(|&earlier| batches[earlier].kind == BatchKind::Sequential);
            predecessors
                .map(|&member| home[member])
                .filter(|&batch| batch < index)
                .chain(sequential)
                .collect()
        };
        after.sort_unstable();
        after.dedup();
        batches[index].after = after;
    }
}

#[cfg(test)]
mod tests;
