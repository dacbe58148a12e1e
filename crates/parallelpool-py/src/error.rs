//! The one door for errors: [`CoreError`] in, Python exceptions out.

use parallelpool_core::error::CoreError as Failure;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(parallelpool._core, CoreError, PyException, "Base of all engine errors.");
create_exception!(parallelpool._core, GenesisError, CoreError, "The genesis document cannot be used.");
create_exception!(parallelpool._core, StorageFailure, CoreError, "The store failed.");
create_exception!(parallelpool._core, StoreRefused, CoreError, "The data directory cannot be used.");
create_exception!(parallelpool._core, StateUnavailable, CoreError, "A state could not be read.");
create_exception!(parallelpool._core, BlockRefused, CoreError, "A block was refused.");
create_exception!(parallelpool._core, CoreInvalidArgument, CoreError, "An argument makes no sense.");
create_exception!(parallelpool._core, CoreAborted, CoreError, "Cancelled, or past its deadline.");
create_exception!(parallelpool._core, CoreDivergence, CoreError, "Parallel and serial execution disagreed.");
create_exception!(parallelpool._core, CoreInternalError, CoreError, "A panic in the engine.");

/// Kind of a caught panic, beside those of the core.
const INTERNAL: &str = "internal";

/// Names of all error kinds, the caught panic last.
#[pyfunction]
pub fn error_kinds() -> Vec<&'static str> {
    Failure::KINDS.iter().copied().chain([INTERNAL]).collect()
}

/// An engine error on its way out.
#[derive(Debug)]
pub enum BindingError {
    /// The engine said no.
    Core(Failure),
    /// The engine panicked with this message.
    Panic(String),
}

impl From<Failure> for BindingError {
    fn from(failure: Failure) -> Self {
        Self::Core(failure)
    }
}

impl From<BindingError> for PyErr {
    fn from(error: BindingError) -> Self {
        let (kind, raised) = match error {
            BindingError::Panic(message) => (INTERNAL, CoreInternalError::new_err(message)),
            BindingError::Core(failure) => {
                let text = failure.to_string();
                let raised = match &failure {
                    Failure::Genesis(_) => GenesisError::new_err(text),
                    Failure::Storage(_) => StorageFailure::new_err(text),
                    Failure::StoreRefused(_) => StoreRefused::new_err(text),
                    Failure::State(_) => StateUnavailable::new_err(text),
                    Failure::BlockRefused { .. } => BlockRefused::new_err(text),
                    Failure::InvalidArgument(_) => CoreInvalidArgument::new_err(text),
                    Failure::Aborted(_) => CoreAborted::new_err(text),
                    Failure::Divergence(_) => CoreDivergence::new_err(text),
                    other => CoreError::new_err(other.to_string()),
                };
                (failure.kind(), raised)
            }
        };
        Python::attach(|py| match raised.value(py).setattr("kind", kind) {
            Ok(()) => raised,
            Err(failed) => failed,
        })
    }
}

/// An argument that the boundary itself refuses.
pub fn invalid(message: impl Into<String>) -> PyErr {
    BindingError::Core(Failure::InvalidArgument(message.into())).into()
}
