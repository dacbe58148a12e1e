//! Header rules: a header and its parent in, a verdict out.
//!
//! Everything that a header promises and that does not need the block's execution. Seals of
//! proof-of-work are not checked. Texts are geth's where geth has one.

mod difficulty;
pub mod fees;
mod ommers;
#[cfg(test)]
mod tests;

pub use difficulty::next_difficulty;
use fees::ELASTICITY;
pub use fees::{GAS_PER_BLOB, INITIAL_BASE_FEE, blob_base_fee, next_base_fee, next_excess_blob_gas};
pub use ommers::validate_ommers;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};

use crate::block_access_list::WrongAccessList;
use crate::block_codec::{Block, check_body_roots, header_hash};
use crate::chainspec::{ChainSpec, Fork};
use crate::execution::BlockOutcome;
use crate::primitives::{B64, B256, U256};
use crate::roots::{receipts_root, requests_hash};

/// Bytes of extra data at most.
pub const MAX_EXTRA_DATA: usize = 32;
/// Least gas limit of a block.
pub const MIN_GAS_LIMIT: u64 = 5_000;
/// Greatest gas limit of a block.
pub const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// Bytes of an RLP block at most, from Osaka on (EIP-7934).
pub const MAX_BLOCK_BYTES: usize = 8_388_608;

/// A gas limit must differ from its parent's by less than a 1024th of it.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1024;
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
const DAO_EXTRA_DATA_BLOCKS: u64 = 10;

/// Why a block is not a valid child of its parent, apart from its execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Each variant's text says what it is.
pub enum InvalidHeader {
    #[error("unknown ancestor: parent hash {have}, want {want}")]
    ParentHash { have: B256, want: B256 },
    #[error("invalid block number: have {have}, want {want}")]
    Number { have: u64, want: u64 },
    #[error("timestamp older than parent: have {have}, parent {parent}")]
    Timestamp { have: u64, parent: u64 },
    #[error("extra-data too long: {have} > 32")]
    ExtraData { have: usize },
    #[error("bad DAO pro-fork extra-data")]
    DaoExtraData,
    #[error("invalid gasLimit: have {have}, max {MAX_GAS_LIMIT}")]
    GasLimitTooHigh { have: u64 },
    #[error("invalid gas limit below {MIN_GAS_LIMIT}")]
    GasLimitTooLow { have: u64 },
    #[error("invalid gas limit: have {have}, want {parent} +/- {bound}")]
    GasLimitStep { have: u64, parent: u64, bound: u64 },
    #[error("invalid gasUsed: have {have}, gasLimit {limit}")]
    GasUsed { have: u64, limit: u64 },
    #[error("invalid difficulty: have {have}, want {want}")]
    Difficulty { have: U256, want: U256 },
    #[error("invalid nonce")]
    Nonce,
    #[error("invalid uncle hash")]
    OmmersAfterMerge,
    #[error("invalid baseFee: have {have}, want {want}")]
    BaseFee { have: u64, want: u64 },
    #[error("blob gas used {have} exceeds maximum allowance {max}")]
    BlobGasUsed { have: u64, max: u64 },
    #[error("blob gas used {have} not a multiple of blob gas per blob {GAS_PER_BLOB}")]
    BlobGasMultiple { have: u64 },
    #[error("invalid excessBlobGas: have {have}, want {want}")]
    ExcessBlobGas { have: u64, want: u64 },
    #[error("no blob schedule for this block")]
    NoBlobSchedule,
    #[error("header is missing {field}")]
    Missing { field: &'static str },
    #[error("invalid {field} before fork: expected nil")]
    Unexpected { field: &'static str },
    #[error("block RLP-encoded size exceeds maximum: have {have}, max {MAX_BLOCK_BYTES}")]
    BlockSize { have: usize },
    #[error("too many uncles")]
    TooManyOmmers,
    #[error("duplicate uncle")]
    DuplicateOmmer,
    #[error("uncle is ancestor")]
    OmmerIsAncestor,
    #[error("uncle's parent is not ancestor")]
    DanglingOmmer,
    #[error("invalid uncle: {0}")]
    Ommer(Box<InvalidHeader>),
    #[error("{0}")]
    Body(String),
    #[error("{0}")]
    Outcome(String),
}

/// Checks `header` as a child of `parent`.
///
/// Not checked: seals, the mix hash before the merge, that the terminal total difficulty was
/// reached (a header without difficulty is taken as merged, as geth does), and whether the
/// timestamp lies in the future.
pub fn validate_header(spec: &ChainSpec, parent: &Header, header: &Header) -> Result<(), InvalidHeader> {
    let want = header_hash(parent);
    require(header.parent_hash == want, || InvalidHeader::ParentHash { have: header.parent_hash, want })?;
    validate_fields(spec, parent, header)
}

/// Checks a block as a child of `parent`: header, size, lists and ommers.
///
/// `ancestor(hash, number)` gives an earlier block's header and ommers, `None` where it is not
/// known; it is asked only where there are ommers.
pub fn validate_block(
    spec: &ChainSpec,
    parent: &Header,
    block: &Block,
    ancestor: impl FnMut(B256, u64) -> Option<(Header, Vec<Header>)>,
) -> Result<(), InvalidHeader> {
    validate_header(spec, parent, &block.header)?;
    let size = block.encoded_length();
    require(spec.fork_of(&block.header) < Fork::Osaka || size <= MAX_BLOCK_BYTES, || {
        InvalidHeader::BlockSize { have: size }
    })?;
    check_body_roots(block).map_err(InvalidHeader::Body)?;
    validate_ommers(spec, block, ancestor)
}

/// Checks what a header promises about its block's execution, in geth's order.
///
/// Before Byzantium the receipts must carry their state roots by now, from Amsterdam on the outcome
/// must have its block access list.
pub fn validate_outcome(
    header: &Header,
    outcome: &BlockOutcome,
    state_root: B256,
) -> Result<(), InvalidHeader> {
    let differs = |what: &str, remote: String, local: String| {
        Err(InvalidHeader::Outcome(format!("invalid {what} (remote: {remote} local: {local})")))
    };
    if header.gas_used != outcome.gas_used {
        return differs("gas used", header.gas_used.to_string(), outcome.gas_used.to_string());
    }
    if header.logs_bloom != outcome.bloom {
        return differs("bloom", format!("{:x}", header.logs_bloom), format!("{:x}", outcome.bloom));
    }
    let root = receipts_root(&outcome.receipts);
    if header.receipts_root != root {
        return differs("receipt root hash", format!("{:x}", header.receipts_root), format!("{root:x}"));
    }
    match (header.requests_hash, &outcome.requests) {
        (Some(remote), requests) => {
            let local = requests_hash(requests.as_deref().unwrap_or_default());
            if remote != local {
                return differs("requests hash", format!("{remote:x}"), format!("{local:x}"));
            }
        }
        (None, Some(_)) => {
            return Err(InvalidHeader::Outcome("block has requests before prague fork".into()));
        }
        (None, None) => {}
    }
    match header.blob_gas_used {
        Some(remote) if remote != outcome.blob_gas_used => {
            return differs("blob gas used", remote.to_string(), outcome.blob_gas_used.to_string());
        }
        None if outcome.blob_gas_used > 0 => {
            return Err(InvalidHeader::Outcome("data blobs present in block body".into()));
        }
        _ => {}
    }
    check_access_list(header, outcome).map_err(|wrong| InvalidHeader::Outcome(wrong.to_string()))?;
    if header.state_root != state_root {
        return differs("merkle root", format!("{:x}", header.state_root), format!("{state_root:x}"));
    }
    Ok(())
}

/// From Amsterdam on the header commits to the block access list, and the gas limit bounds it.
fn check_access_list(header: &Header, outcome: &BlockOutcome) -> Result<(), WrongAccessList> {
    let Some(remote) = header.block_access_list_hash else { return Ok(()) };
    let list = outcome.access_list.as_ref().expect("executions of such blocks are asked for it");
    list.check_bound(header.gas_limit)?;
    let local = list.hash();
    if remote == local { Ok(()) } else { Err(WrongAccessList::Hash { header: remote, list: local }) }
}

/// All but the parent's hash: ommers name theirs by other means.
fn validate_fields(spec: &ChainSpec, parent: &Header, header: &Header) -> Result<(), InvalidHeader> {
    let number = parent.number.saturating_add(1);
    require(header.number == number, || InvalidHeader::Number { have: header.number, want: number })?;
    require(header.timestamp > parent.timestamp, || InvalidHeader::Timestamp {
        have: header.timestamp,
        parent: parent.timestamp,
    })?;
    let extra = header.extra_data.len();
    require(extra <= MAX_EXTRA_DATA, || InvalidHeader::ExtraData { have: extra })?;
    require(dao_extra_data_holds(spec, header), || InvalidHeader::DaoExtraData)?;
    let fork = spec.fork_of(header);
    validate_seal_fields(spec, fork, parent, header)?;
    validate_gas(spec, fork, parent, header)?;
    validate_presence(fork, header)?;
    if fork >= Fork::Cancun {
        validate_blob_gas(spec, parent, header)?;
    }
    Ok(())
}

fn dao_extra_data_holds(spec: &ChainSpec, header: &Header) -> bool {
    let Some(at) = spec.activation_block(Fork::Dao) else { return true };
    let inside = header.number >= at && header.number - at < DAO_EXTRA_DATA_BLOCKS;
    !inside || *header.extra_data == *DAO_EXTRA_DATA
}

/// Difficulty, and what the merge made constant.
fn validate_seal_fields(
    spec: &ChainSpec,
    fork: Fork,
    parent: &Header,
    header: &Header,
) -> Result<(), InvalidHeader> {
    // A chain that has merged stays merged, whatever the schedule says.
    let merged = fork >= Fork::Paris || (parent.number > 0 && parent.difficulty.is_zero());
    let want = match merged {
        true => U256::ZERO,
        false => next_difficulty(spec, parent, header.timestamp),
    };
    require(header.difficulty == want, || InvalidHeader::Difficulty { have: header.difficulty, want })?;
    require(!merged || header.nonce == B64::ZERO, || InvalidHeader::Nonce)?;
    require(!merged || header.ommers_hash == EMPTY_OMMER_ROOT_HASH, || InvalidHeader::OmmersAfterMerge)
}

/// The gas limit of a child of `parent` at `timestamp` that comes nearest to the wanted one.
pub fn next_gas_limit(spec: &ChainSpec, parent: &Header, timestamp: u64, wanted: u64) -> u64 {
    let fork = spec.fork_at(parent.number.saturating_add(1), timestamp);
    let (base, bound) = gas_limit_bounds(spec, fork, parent);
    let step = bound.saturating_sub(1);
    let most = base.saturating_add(step).min(MAX_GAS_LIMIT);
    wanted.clamp(base.saturating_sub(step).max(MIN_GAS_LIMIT).min(most), most)
}

/// What the gas limit of a child is near to, and by less than how much it may differ: the first block
/// of London has twice the gas limit for the same target.
fn gas_limit_bounds(spec: &ChainSpec, fork: Fork, parent: &Header) -> (u64, u64) {
    let london_begins = fork >= Fork::London && spec.fork_of(parent) < Fork::London;
    let base = if london_begins { parent.gas_limit.saturating_mul(ELASTICITY) } else { parent.gas_limit };
    (base, base / GAS_LIMIT_BOUND_DIVISOR)
}

fn validate_gas(spec: &ChainSpec, fork: Fork, parent: &Header, header: &Header) -> Result<(), InvalidHeader> {
    let have = header.gas_limit;
    require(have <= MAX_GAS_LIMIT, || InvalidHeader::GasLimitTooHigh { have })?;
    require(header.gas_used <= have, || InvalidHeader::GasUsed { have: header.gas_used, limit: have })?;
    let (base, bound) = gas_limit_bounds(spec, fork, parent);
    require(base.abs_diff(have) < bound, || InvalidHeader::GasLimitStep {
        have,
        parent: base,
        bound: bound.saturating_sub(1),
    })?;
    require(have >= MIN_GAS_LIMIT, || InvalidHeader::GasLimitTooLow { have })?;
    match (next_base_fee(spec, parent, header.timestamp), header.base_fee_per_gas) {
        (Some(want), Some(have)) => require(have == want, || InvalidHeader::BaseFee { have, want }),
        (Some(_), None) => Err(InvalidHeader::Missing { field: "baseFee" }),
        (None, Some(_)) => Err(InvalidHeader::Unexpected { field: "baseFee" }),
        (None, None) => Ok(()),
    }
}

/// Every optional field is there exactly from its fork on.
fn validate_presence(fork: Fork, header: &Header) -> Result<(), InvalidHeader> {
    let fields = [
        ("withdrawalsHash", Fork::Shanghai, header.withdrawals_root.is_some()),
        ("excessBlobGas", Fork::Cancun, header.excess_blob_gas.is_some()),
        ("blobGasUsed", Fork::Cancun, header.blob_gas_used.is_some()),
        ("beaconRoot", Fork::Cancun, header.parent_beacon_block_root.is_some()),
        ("requestsHash", Fork::Prague, header.requests_hash.is_some()),
        ("block access list hash", Fork::Amsterdam, header.block_access_list_hash.is_some()),
        ("slotNumber", Fork::Amsterdam, header.slot_number.is_some()),
    ];
    for (field, from, present) in fields {
        match (fork >= from, present) {
            (true, false) => return Err(InvalidHeader::Missing { field }),
            (false, true) => return Err(InvalidHeader::Unexpected { field }),
            _ => {}
        }
    }
    Ok(())
}

fn validate_blob_gas(spec: &ChainSpec, parent: &Header, header: &Header) -> Result<(), InvalidHeader> {
    let Some(blobs) = spec.blob_parameters_at(header.timestamp) else {
        return Err(InvalidHeader::NoBlobSchedule);
    };
    let have = header.blob_gas_used.unwrap_or_default();
    let max = blobs.max.saturating_mul(GAS_PER_BLOB);
    require(have <= max, || InvalidHeader::BlobGasUsed { have, max })?;
    require(have.is_multiple_of(GAS_PER_BLOB), || InvalidHeader::BlobGasMultiple { have })?;
    let want = next_excess_blob_gas(spec, parent, header.timestamp).unwrap_or_default();
    let have = header.excess_blob_gas.unwrap_or_default();
    require(have == want, || InvalidHeader::ExcessBlobGas { have, want })
}

fn require(holds: bool, otherwise: impl FnOnce() -> InvalidHeader) -> Result<(), InvalidHeader> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
