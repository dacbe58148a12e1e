//! What the executors are given and what they return.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::access::Location;
use crate::block::{InvalidTransaction, Receipt, Remains};
use crate::block_access_list::{BlockAccessList, WrongAccessList};
use crate::error::{CoreError, StateError};
use crate::evm::TouchedAccount;
use crate::primitives::{B256, Bloom, Bytes};
use crate::record::AccessRecord;
use crate::state::StateChanges;

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
    /// Whether it was not simply executed in order: the parallel executor had it, which may have found it
    /// to be one chain; or transfers had their way; or more threads than one went by a given access list.
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

/// Why a given block was not executed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecuteError {
    /// A transaction is invalid at its place.
    #[error("could not apply tx {index} [{hash}]: {reason}")]
    Transaction {
        /// Its index in the block.
        index: usize,
        /// Its hash.
        hash: B256,
        /// What is wrong with it.
        reason: Box<InvalidTransaction>,
    },
    /// The block access list that came with the block is not that of its execution.
    #[error(transparent)]
    AccessList(Box<WrongAccessList>),
    /// The execution itself failed, or a system call did.
    #[error(transparent)]
    Core(#[from] CoreError),
}

impl From<StateError> for ExecuteError {
    fn from(error: StateError) -> Self {
        Self::Core(error.into())
    }
}
