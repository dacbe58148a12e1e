//! Why a run of the EVM ended without a result.

use revm::context_interface::context::ContextError;
use revm::context_interface::result::{FromStringError, InvalidHeader, InvalidTransaction as StockInvalid};

use crate::block::InvalidTransaction;
use crate::error::StateError;

/// The handler's error.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The transaction cannot be executed here.
    Invalid(InvalidTransaction),
    /// A state read failed.
    State(StateError),
}

impl From<InvalidTransaction> for Failure {
    fn from(reason: InvalidTransaction) -> Self {
        Self::Invalid(reason)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<ContextError<StateError>> for Failure {
    fn from(error: ContextError<StateError>) -> Self {
        match error {
            ContextError::Db(error) => Self::State(error),
            ContextError::Custom(words) => Self::from_string(words),
        }
    }
}

// Our own validation comes first, so revm has nothing left to object to. Should it do so after
// all, its words are better than a panic.
impl From<StockInvalid> for Failure {
    fn from(reason: StockInvalid) -> Self {
        Self::Invalid(InvalidTransaction::Other(reason.to_string()))
    }
}

impl From<InvalidHeader> for Failure {
    fn from(reason: InvalidHeader) -> Self {
        Self::State(StateError::Backend(format!("block environment: {reason}")))
    }
}

impl FromStringError for Failure {
    fn from_string(words: String) -> Self {
        Self::State(StateError::Backend(words))
    }
}
