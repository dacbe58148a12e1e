//! geth's `genesis.json` in, a chain's rules, first header and first state out.
//!
//! Every problem is reported at once, each with the path of its field. What geth reads, this
//! reads to the same genesis hash: keys in any case, numbers in decimal or hex, addresses with or
//! without `0x`, nulls as absent. Where geth would take a document and run other rules than it
//! says (a fork that is not known, a pair of forks that must go together), this refuses it.

mod alloc;
mod config;
mod fields;
#[cfg(test)]
mod tests;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_WITHDRAWALS;
use alloy_primitives::{B64, b256};

use crate::block_codec::header_hash;
use crate::chainspec::{ChainSpec, Fork, Genesis};
use crate::error::CoreError;
use crate::header::{INITIAL_BASE_FEE, MAX_GAS_LIMIT};
use crate::primitives::{B256, U256};
use crate::roots;
use crate::state::StateChanges;
use crate::trie::state_root_of;
use fields::{Object, Problems};

/// What geth takes for a gas limit of zero.
const DEFAULT_GAS_LIMIT: u64 = 4_712_388;
/// Keccak of the RLP of an empty list (EIP-7928).
const EMPTY_BLOCK_ACCESS_LIST: B256 =
    b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// The genesis of the embedded chain: chain id 31337, Osaka with mainnet's blob parameters, the
/// ten accounts of the test mnemonic.
pub fn dev_genesis_json() -> &'static str {
    include_str!("genesis/dev.json")
}

/// Reads a genesis document.
///
/// Errors: [`CoreError::Genesis`] with every problem found.
pub fn parse_genesis(json: &str) -> Result<Genesis, CoreError> {
    let mut problems = Problems::default();
    let genesis = read_document(json, &mut problems);
    match genesis {
        Some(genesis) if problems.is_empty() => Ok(genesis),
        _ => Err(CoreError::Genesis(problems.into_texts())),
    }
}

fn read_document(json: &str, problems: &mut Problems) -> Option<Genesis> {
    let mut document = Object::of_document(json, problems)?;
    let spec = match document.take("config") {
        Some(raw) => Object::new("config", raw, problems).and_then(|config| config::read(config, problems)),
        None => {
            problems.add("config", "missing");
            None
        }
    };
    let alloc = match document.take("alloc") {
        Some(raw) => Object::new("alloc", raw, problems).and_then(|alloc| alloc::read(alloc, problems)),
        None => {
            problems.add("alloc", "missing");
            None
        }
    };
    let header = read_header(&mut document, spec.as_ref(), alloc.as_ref(), problems);
    let (spec, alloc, header) = (spec?, alloc?, header?);
    Some(Genesis { hash: header_hash(&header), spec, header, alloc })
}

/// The header's own fields are checked even where rules or state could not be read.
fn read_header(
    document: &mut Object<'_>,
    spec: Option<&ChainSpec>,
    alloc: Option<&StateChanges>,
    problems: &mut Problems,
) -> Option<Header> {
    let gas_limit = document.required(problems, "gasLimit", fields::number);
    let difficulty = document.required(problems, "difficulty", fields::quantity);
    let header = Header {
        parent_hash: document.optional(problems, "parentHash", fields::hash).unwrap_or_default(),
        beneficiary: document.optional(problems, "coinbase", fields::address).unwrap_or_default(),
        number: document.optional(problems, "number", fields::number).unwrap_or_default(),
        gas_limit: gas_limit.filter(|limit| *limit != 0).unwrap_or(DEFAULT_GAS_LIMIT),
        gas_used: document.optional(problems, "gasUsed", fields::number).unwrap_or_default(),
        timestamp: document.optional(problems, "timestamp", fields::number).unwrap_or_default(),
        extra_data: document.optional(problems, "extraData", fields::bytes).unwrap_or_default(),
        mix_hash: document.optional(problems, "mixHash", fields::hash).unwrap_or_default(),
        nonce: B64::from(document.optional(problems, "nonce", fields::number).unwrap_or_default()),
        difficulty: difficulty.unwrap_or_default(),
        ..Header::default()
    };
    let by_fork = ForkFields::read(document, problems);
    if header.number != 0 {
        problems.add("number", "must be 0: the chain begins here");
    }
    if header.gas_limit > MAX_GAS_LIMIT {
        problems.add("gasLimit", &format!("{} is above {MAX_GAS_LIMIT}", header.gas_limit));
    }
    let (spec, alloc) = (spec?, alloc?);
    let header = Header { state_root: state_root_of(alloc), ..header };
    gas_limit.and(difficulty)?;
    Some(by_fork.complete(header, spec, problems))
}

/// Header fields that exist from some fork on.
struct ForkFields {
    base_fee_per_gas: Option<u64>,
    excess_blob_gas: Option<u64>,
    blob_gas_used: Option<u64>,
    parent_beacon_block_root: Option<B256>,
    slot_number: Option<u64>,
}

impl ForkFields {
    fn read(document: &mut Object<'_>, problems: &mut Problems) -> Self {
        Self {
            base_fee_per_gas: document.optional(problems, "baseFeePerGas", fields::number),
            excess_blob_gas: document.optional(problems, "excessBlobGas", fields::number),
            blob_gas_used: document.optional(problems, "blobGasUsed", fields::number),
            parent_beacon_block_root: document.optional(problems, "parentBeaconBlockRoot", fields::hash),
            slot_number: document.optional(problems, "slotNumber", fields::number),
        }
    }

    /// Sets what the fork of block 0 has; geth's defaults where the document says nothing.
    fn complete(self, mut header: Header, spec: &ChainSpec, problems: &mut Problems) -> Header {
        let fork = spec.fork_at(0, header.timestamp);
        let early = [
            ("baseFeePerGas", self.base_fee_per_gas.is_some(), Fork::London),
            ("excessBlobGas", self.excess_blob_gas.is_some(), Fork::Cancun),
            ("blobGasUsed", self.blob_gas_used.is_some(), Fork::Cancun),
            ("slotNumber", self.slot_number.is_some(), Fork::Amsterdam),
        ];
        for (field, _, from) in early.iter().filter(|(_, given, from)| *given && fork < *from) {
            problems.add(field, &format!("set, but block 0 is before {from:?}"));
        }
        if fork >= Fork::London {
            header.base_fee_per_gas = Some(self.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE));
        }
        if fork >= Fork::Shanghai {
            header.withdrawals_root = Some(EMPTY_WITHDRAWALS);
        }
        if fork >= Fork::Cancun {
            header.excess_blob_gas = Some(self.excess_blob_gas.unwrap_or_default());
            header.blob_gas_used = Some(self.blob_gas_used.unwrap_or_default());
            header.parent_beacon_block_root = Some(B256::ZERO);
        }
        if self.parent_beacon_block_root.is_some_and(|root| !root.is_zero()) {
            problems.add("parentBeaconBlockRoot", "must be zero: block 0 has no parent");
        }
        if fork >= Fork::Prague {
            header.requests_hash = Some(roots::requests_hash::<&[u8]>(&[]));
        }
        if fork >= Fork::Amsterdam {
            header.slot_number = Some(self.slot_number.unwrap_or_default());
            header.block_access_list_hash = Some(EMPTY_BLOCK_ACCESS_LIST);
        }
        if fork < Fork::Paris && header.difficulty == U256::ZERO {
            problems.add("difficulty", "must not be 0 before the merge");
        }
        header
    }
}
