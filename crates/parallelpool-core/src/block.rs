//! What a block is made of, as far as execution depends on it or makes it.

use std::any::Any;
use std::fmt::{self, Debug};
use std::ops::Deref;

use alloy_primitives::logs_bloom;

use crate::primitives::{Address, B256, Bloom, Log, U256};
use crate::tx::SharedTransaction;

/// Everything about a block that execution depends on, apart from transactions and state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockContext {
    /// Height.
    pub number: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Who earns the fees.
    pub beneficiary: Address,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Wei per gas, from London on.
    pub base_fee: Option<u64>,
    /// Proof-of-work difficulty; zero after the merge.
    pub difficulty: U256,
    /// Randomness of the beacon chain, from Paris on.
    pub prev_randao: Option<B256>,
    /// Hash of the parent block (EIP-2935, BLOCKHASH of the parent).
    pub parent_hash: B256,
    /// EIP-4788.
    pub parent_beacon_block_root: Option<B256>,
    /// EIP-4844: the header's own excess, from Cancun on.
    pub excess_blob_gas: Option<u64>,
    /// EIP-4895, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Ommers that earn a reward, before the merge.
    pub ommers: Vec<Ommer>,
    /// EIP-7843 slot number, from Amsterdam on.
    pub slot_number: Option<u64>,
}

/// What an ommer's reward depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ommer {
    /// Who earns it.
    pub beneficiary: Address,
    /// Its height.
    pub number: u64,
}

/// EIP-4895 withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// Running index.
    pub index: u64,
    /// Validator.
    pub validator_index: u64,
    /// Recipient.
    pub address: Address,
    /// Gwei.
    pub amount: u64,
}

/// What a transaction left behind in its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// EIP-2718 type byte.
    pub tx_type: u8,
    /// EIP-658 status; true before Byzantium unless the transaction failed.
    pub success: bool,
    /// State root after the transaction, before Byzantium. Filled by the caller that owns the
    /// trie; `None` from Byzantium on.
    pub state_root: Option<B256>,
    /// Gas used in the block up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Gas used by this transaction, after refunds.
    pub gas_used: u64,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// Bloom of `logs`.
    pub bloom: LogsBloom,
    /// Address of the contract a creation made (set for failed creations too).
    pub contract_address: Option<Address>,
    /// Wei per gas that was paid.
    pub effective_gas_price: u128,
    /// EIP-4844 gas; zero for other types.
    pub blob_gas_used: u64,
}

/// A receipt's bloom. Most receipts of a block of transfers have no logs: theirs takes no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsBloom(Option<Box<Bloom>>);

impl LogsBloom {
    /// The bloom of these logs.
    pub fn of(logs: &[Log]) -> Self {
        match logs {
            [] => Self(None),
            logs => logs_bloom(logs).into(),
        }
    }

    /// Whether no bit is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl From<Bloom> for LogsBloom {
    fn from(bloom: Bloom) -> Self {
        Self((bloom != Bloom::ZERO).then(|| Box::new(bloom)))
    }
}

impl Deref for LogsBloom {
    type Target = Bloom;

    fn deref(&self) -> &Bloom {
        static NONE: Bloom = Bloom::ZERO;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

/// Memory that an execution is done with. To give it back takes as long as some transactions, so it
/// goes with the outcome, when nobody waits any more. Not part of the result: copies are empty.
#[derive(Default)]
pub struct Remains(Option<Box<dyn Any + Send + Sync>>);

impl Remains {
    /// Holds on to anything.
    pub fn of(remains: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(remains)))
    }
}

impl Debug for Remains {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Remains").field("is_some", &self.0.is_some()).finish()
    }
}

impl Clone for Remains {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Remains {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Why a transaction cannot be executed at its place. In a given block it makes the block
/// invalid; a block under construction leaves it out.
///
/// `Display` is geth's text. Amounts are wei.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTransaction {
    #[error("nonce too low: address {address}, tx: {tx} state: {state}")]
    NonceTooLow { address: Address, tx: u64, state: u64 },
    #[error("nonce too high: address {address}, tx: {tx} state: {state}")]
    NonceTooHigh { address: Address, tx: u64, state: u64 },
    #[error("nonce has max value: address {address}, nonce: {tx}")]
    NonceMax { address: Address, tx: u64 },
    #[error("insufficient funds for gas * price + value: address {address} have {have} want {want}")]
    InsufficientFunds { address: Address, have: U256, want: String },
    #[error(
        "insufficient funds for gas * price + value: address {address} required balance exceeds 256 bits"
    )]
    FundsOverflow { address: Address },
    #[error(
        "max fee per gas less than block base fee: address {address}, maxFeePerGas: {cap}, baseFee: {base_fee}"
    )]
    FeeCapTooLow { address: Address, cap: U256, base_fee: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: address {address}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap { address: Address, tip: U256, cap: U256 },
    #[error(
        "max fee per blob gas less than block blob gas fee: address {address} blobGasFeeCap: {cap}, blobBaseFee: {blob_base_fee}"
    )]
    BlobFeeCapTooLow { address: Address, cap: U256, blob_base_fee: u128 },
    #[error("sender not an eoa: address {address}, len(code): {code_length}")]
    SenderNotEoa { address: Address, code_length: usize },
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas { have: u64, want: u64 },
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorDataGas { have: u64, want: u64 },
    #[error("gas limit reached")]
    BlockGasLimit { limit: u64, left: u64 },
    #[error("max blob gas per block reached")]
    BlobGasLimit,
    #[error("block size limit reached")]
    BlockSizeLimit,
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeSize { size: usize, limit: usize },
    #[error("transaction gas limit too high (cap: {cap}, tx: {tx})")]
    GasLimitCap { cap: u64, tx: u64 },
    #[error("transaction type not supported")]
    TypeNotSupported { tx_type: u8 },
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },
    #[error("{0}")]
    Blob(String),
    #[error("{0}")]
    SetCode(String),
    #[error("{0}")]
    Other(String),
}

/// The transactions of a block or of a build, in order.
pub type Transactions = [SharedTransaction];
