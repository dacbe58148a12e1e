//! What can go wrong in the engine, apart from a refused transaction or block: those are data.

use crate::primitives::{Address, B256, U256};

/// A failure of the whole call. `kind` is the stable name that crosses to Python.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The genesis document cannot be used; every problem found is listed.
    #[error("invalid genesis: {}", .0.join("; "))]
    Genesis(Vec<String>),
    /// The store could not be opened, read or written.
    #[error("storage: {0}")]
    Storage(String),
    /// The data directory belongs to another genesis, another schema or another process.
    #[error("{0}")]
    StoreRefused(String),
    /// A state read failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A block was refused.
    #[error("block {number} refused: {reason}")]
    BlockRefused {
        /// Number in the refused block's header.
        number: u64,
        /// What does not hold, with both values where there are two.
        reason: String,
    },
    /// An argument of the call makes no sense; the caller has a bug or passed on bad input.
    #[error("{0}")]
    InvalidArgument(String),
    /// The work was cancelled or ran past its deadline.
    #[error("execution aborted ({0})")]
    Aborted(String),
    /// Parallel execution and serial execution disagreed. Always a bug of ours.
    #[error("parallel execution differs from serial: {0}")]
    Divergence(String),
}

impl CoreError {
    /// Stable names, in declaration order; the binding proves that Python has a class for each.
    pub const KINDS: [&'static str; 8] = [
        "genesis",
        "storage",
        "store_refused",
        "state",
        "block_refused",
        "invalid_argument",
        "aborted",
        "divergence",
    ];

    /// The stable name of this error, one of [`Self::KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genesis(_) => Self::KINDS[0],
            Self::Storage(_) => Self::KINDS[1],
            Self::StoreRefused(_) => Self::KINDS[2],
            Self::State(_) => Self::KINDS[3],
            Self::BlockRefused { .. } => Self::KINDS[4],
            Self::InvalidArgument(_) => Self::KINDS[5],
            Self::Aborted(_) => Self::KINDS[6],
            Self::Divergence(_) => Self::KINDS[7],
        }
    }
}

/// Why a state view could not answer. Cheap to clone: workers carry it out of the EVM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The view does not hold these keys yet; fetch them and execute again.
    #[error("state is missing {} keys", .0.len())]
    Missing(Vec<StateKey>),
    /// The view's backing store failed.
    #[error("state read failed: {0}")]
    Backend(String),
    /// The state of that block is not available (pruned, or the block is unknown).
    #[error("state of block {0} is not available")]
    Unavailable(u64),
    /// The execution ran past its deadline.
    #[error("execution interrupted")]
    Interrupted,
    /// The block access list that answers reads does not name this key, so it is wrong; never leaves
    /// the executor.
    #[error("{0:?} is not in the block access list")]
    NotListed(StateKey),
    /// Speculative execution was called off; never leaves the executor.
    #[error("speculation aborted")]
    Speculation,
}

impl revm::database_interface::DBErrorMarker for StateError {}

/// One thing a view can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateKey {
    /// Nonce, balance and code hash of an account.
    Account(Address),
    /// One storage slot.
    Storage(Address, U256),
    /// The code with this hash.
    Code(B256),
    /// The hash of the block with this number.
    BlockHash(u64),
}
