//! What the executors are given and what they return.

use std::any::Any;
use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use alloy_primitives::logs_bloom;

use crate::access::Location;
use crate::block_access_list::BlockAccessList;
use crate::evm::TouchedAccount;
use crate::primitives::{Address, B256, Bloom, Bytes, Log, U256};
use crate::record::AccessRecord;
use crate::state::StateChanges;
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

/// How to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One thread, in order: the oracle.
    Serial,
    /// Always the speculative path, with one thread too.
    Parallel,
    /// The engine chooses.
    #[default]
    Auto,
}

/// Settings of one execution.
#[derive(Debug, Clone, Default)]
pub struct ExecuteOptions {
    /// Which executor.
    pub mode: Mode,
    /// Threads to use, the caller among them; 0: as many as the executor has.
    pub threads: usize,
    /// Re-run every committed transaction on the committed state and compare (tests).
    pub recheck: bool,
    /// Also return the changes of each transaction (intermediate roots before Byzantium).
    pub keep_transaction_changes: bool,
    /// Also return what each transaction loaded (block access lists).
    pub keep_touched: bool,
    /// Also return the block access list.
    pub produce_access_list: bool,
    /// The list that came with a given block. Reads are taken from it, so every transaction runs
    /// once and without conflicts, and all of it is proved; a list that is wrong anywhere ends the
    /// execution. Not for blocks under construction.
    pub access_list: Option<Arc<BlockAccessList>>,
    /// For each transaction, indices of earlier ones it is expected to depend on. A hint: it
    /// may be wrong, short or absent.
    pub dependencies: Vec<Vec<u32>>,
    /// For each transaction, what it did when it ran alone (see [`crate::record`]). Hints too.
    pub records: Vec<Option<Arc<AccessRecord>>>,
    /// What the parallel executor may make use of. All of it changes time, never results.
    pub techniques: Techniques,
    /// One plain transfer in so many that is applied without an EVM is executed by the EVM too and
    /// compared (0: none); a difference is [`crate::error::CoreError::Divergence`].
    pub check_transfers: u32,
    /// Also time the committer of a parallel execution, by two readings of the clock each time
    /// somebody takes its seat.
    pub time_commits: bool,
    /// When to give up.
    pub interrupt: Interrupt,
    /// What the parallel executor is to do wrong (tests).
    #[cfg(any(test, feature = "faults"))]
    pub fault: Option<crate::faults::Fault>,
}

/// Parts of the executors that can be left out: for tests, for an oracle that takes no short cuts, and
/// for measuring what each is worth. All are on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Techniques {
    /// Plain transfers are applied without an EVM.
    pub transfers: bool,
    /// The window shrinks when executions are thrown away and opens again.
    pub adaptive_window: bool,
    /// Records of earlier runs are applied where their conditions hold.
    pub reuse: bool,
}

impl Techniques {
    /// Only what correctness needs.
    pub const NONE: Self = Self { transfers: false, adaptive_window: false, reuse: false };
}

impl Default for Techniques {
    fn default() -> Self {
        Self { transfers: true, adaptive_window: true, reuse: true }
    }
}

/// When an execution ends before its work is done. A given block then fails with
/// [`crate::error::StateError::Interrupted`]; a block under construction ends with what it has.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// Set by whoever wants the execution to end.
    pub cancelled: Option<Arc<AtomicBool>>,
    /// No transaction begins after this moment.
    pub deadline: Option<Instant>,
}

impl Interrupt {
    /// Whether the execution is to end now.
    pub fn is_due(&self) -> bool {
        self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
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

/// A block's execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlockOutcome {
    /// One per included transaction.
    pub receipts: Vec<Receipt>,
    /// Sum over the receipts.
    pub gas_used: u64,
    /// EIP-4844 gas of all transactions.
    pub blob_gas_used: u64,
    /// Union of the receipts' blooms.
    pub bloom: Bloom,
    /// EIP-7685 requests (type byte first, empty ones left out), from Prague on.
    pub requests: Option<Vec<Bytes>>,
    /// The whole block's changes: system calls, transactions, withdrawals, rewards.
    pub changes: StateChanges,
    /// Changes of each transaction (beneficiary's fee included), when asked for. The first
    /// entry's base already holds the system calls before the transactions, see
    /// `changes_before`.
    pub transaction_changes: Vec<StateChanges>,
    /// Changes of the system calls before the transactions, when transaction changes were asked
    /// for.
    pub changes_before: StateChanges,
    /// What each transaction loaded, when asked for.
    pub transaction_touched: Vec<Vec<TouchedAccount>>,
    /// Everything the block touched and every value it left (EIP-7928), when asked for.
    pub access_list: Option<Arc<BlockAccessList>>,
    /// Return data of each transaction.
    pub outputs: Vec<Bytes>,
    /// Figures of this execution; not part of its result.
    pub statistics: ExecutionStatistics,
    /// Memory to be given back.
    pub remains: Remains,
}

/// Figures of one execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecutionStatistics {
    /// Whether the speculative path ran, or by more threads than one a given access list.
    pub parallel: bool,
    /// Whether a given access list answered the reads.
    pub by_access_list: bool,
    /// Threads that were offered work.
    pub threads: usize,
    /// Threads that executed at least one transaction.
    pub active_workers: usize,
    /// Runs over all transactions, at least one each: runs of the EVM, and transfers and records that
    /// were applied in place of one count as one.
    pub executions: u64,
    /// Executions thrown away because a read had changed.
    pub conflicts: u64,
    /// The same per transaction, by index in the block.
    pub executions_per_transaction: Vec<u8>,
    /// Gas of the executions thrown away.
    pub wasted_gas: u64,
    /// The executions thrown away, in the order of the block; at most [`MOST_ABORTS`].
    pub aborts: Vec<Abort>,
    /// Plain transfers applied without an EVM.
    pub transfers: u64,
    /// Transactions that a record of an earlier run was applied for.
    pub reused: u64,
    /// Time in nanoseconds that each worker spent otherwise than waiting for work, by worker.
    pub busy_ns: Vec<u64>,
    /// Time in nanoseconds that the committer's seat was taken for what had run ahead, and how many
    /// transactions were committed meanwhile. Zero unless asked for by [`ExecuteOptions::time_commits`].
    pub seat_ns: u64,
    /// See [`Self::seat_ns`].
    pub seat_commits: u64,
    /// Wall time in nanoseconds.
    pub elapsed_ns: u64,
    /// CPU time in nanoseconds, of all threads that took part.
    pub cpu_ns: u64,
    /// Transfers without an EVM that were compared with the EVM's result and agreed.
    pub checked_transfers: u64,
}

/// Aborts that statistics list; all are counted.
pub const MOST_ABORTS: usize = 1_024;

/// An execution that was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Whose, by index among the given transactions.
    pub transaction: u32,
    /// The earlier transaction whose write it had not seen; `None` where no transaction of the
    /// block wrote there (it had seen one that was itself thrown away).
    pub writer: Option<u32>,
    /// The first location that had another value; `None` where it failed for another reason.
    pub location: Option<Location>,
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

/// A candidate that building left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Index in the list of candidates.
    pub candidate: usize,
    /// The reason at its turn.
    pub reason: InvalidTransaction,
}

/// A block made from candidates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildOutcome {
    /// Indices of the included candidates, in block order.
    pub included: Vec<usize>,
    /// The others that were reached, in their order. Candidates after the block was full of
    /// gas are left out with [`InvalidTransaction::BlockGasLimit`] like any other.
    pub left_out: Vec<LeftOut>,
    /// Execution of the included ones.
    pub outcome: BlockOutcome,
}

/// A block made from candidates is cut at these limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildLimits {
    /// Most bytes of the RLP block (EIP-7934), transactions counted with their canonical
    /// encoding; `None` before Osaka.
    pub max_block_bytes: Option<usize>,
    /// Bytes that header, withdrawals and list prefixes take of it.
    pub overhead_bytes: usize,
}

/// The transactions of a block or of a build, in order.
pub type Transactions = [SharedTransaction];
