//! Transactions: EIP-2718 envelopes of types 0 to 4 and the chain's own parallel type.

pub mod charges;
pub mod decode;
pub mod encode;
pub mod recover;
mod rlp;
mod sidecar;
pub mod validity;

use std::sync::Arc;

use crate::primitives::{Address, B256, Bytes, U256};

/// One decoded transaction of any type, with the bytes it came from.
///
/// Fields that a type does not have hold their neutral value (`None`, empty, zero), which is the
/// default of every field. For types 0 and 1 both fee fields hold the gas price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// EIP-2718 type byte; 0 for legacy.
    pub tx_type: u8,
    /// Whether `tx_type` is the chain's parallel type (design: type 0x05).
    pub is_parallel: bool,
    /// Chain id; `None` for a legacy transaction without EIP-155 protection.
    pub chain_id: Option<u64>,
    /// Sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Greatest total price, wei per gas.
    pub max_fee_per_gas: U256,
    /// Greatest tip, wei per gas.
    pub max_priority_fee_per_gas: U256,
    /// Recipient; `None` creates a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// The whole data field: what all charges and limits count.
    pub data: Bytes,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessListItem>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Vec<B256>,
    /// EIP-4844 blob fee cap, wei per blob gas.
    pub max_fee_per_blob_gas: U256,
    /// EIP-7702 authorizations.
    pub authorization_list: Vec<Authorization>,
    /// Signature: `v` as the encoding carries it (parity for typed transactions).
    pub v: u64,
    /// Signature r.
    pub r: U256,
    /// Signature s.
    pub s: U256,
    /// Keccak of the canonical encoding.
    pub hash: B256,
    /// What was signed.
    pub signing_hash: B256,
    /// Canonical encoding (no blob sidecar).
    pub raw: Bytes,
    /// The network form's sidecar, where one came along.
    pub sidecar: Option<Arc<BlobSidecar>>,
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessListItem {
    /// Account.
    pub address: Address,
    /// Slots.
    pub storage_keys: Vec<B256>,
}

/// One EIP-7702 authorization tuple, as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Chain id; zero means any.
    pub chain_id: U256,
    /// Code to delegate to.
    pub address: Address,
    /// Nonce of the authority.
    pub nonce: u64,
    /// Signature parity.
    pub y_parity: u8,
    /// Signature r.
    pub r: U256,
    /// Signature s.
    pub s: U256,
}

/// Blobs and their proofs (network form).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSidecar {
    /// 0: one proof per blob (EIP-4844). 1: cell proofs (EIP-7594).
    pub version: u8,
    /// Blobs of 131,072 bytes.
    pub blobs: Vec<Bytes>,
    /// 48-byte commitments.
    pub commitments: Vec<Bytes>,
    /// 48-byte proofs.
    pub proofs: Vec<Bytes>,
}

/// The ASCII tag in front of a transaction's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `PARALLEL`
    Parallel,
    /// `SEQUENTIAL`
    Sequential,
}

/// A transaction whose sender was recovered from its signature, never claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredTransaction {
    /// The signed transaction.
    pub tx: Transaction,
    /// Its signer.
    pub sender: Address,
}

/// How transactions travel between the modules: immutable and shared.
pub type SharedTransaction = Arc<RecoveredTransaction>;

/// The tag that `data` begins with, and what follows it.
pub fn split_tag(data: &[u8]) -> (Option<Tag>, &[u8]) {
    if let Some(rest) = data.strip_prefix(b"PARALLEL") {
        (Some(Tag::Parallel), rest)
    } else if let Some(rest) = data.strip_prefix(b"SEQUENTIAL") {
        (Some(Tag::Sequential), rest)
    } else {
        (None, data)
    }
}

impl Transaction {
    /// The declared tag. In types other than the parallel one it is a hint for grouping only.
    pub fn tag(&self) -> Option<Tag> {
        split_tag(&self.data).0
    }

    /// What the EVM sees as calldata or init code: for the parallel type exactly one leading tag
    /// is removed, for all others the data as it is.
    pub fn evm_input(&self) -> Bytes {
        if !self.is_parallel {
            return self.data.clone();
        }
        let rest = split_tag(&self.data).1.len();
        self.data.slice(self.data.len() - rest..)
    }
}
