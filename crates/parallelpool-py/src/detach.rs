//! The single seam for long work: GIL released, panics caught, errors converted.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parallelpool_core::error::CoreError;
use pyo3::prelude::*;

use crate::error::BindingError;

/// Runs `work` without the GIL. No Python object may be touched inside.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, CoreError> + Send) -> PyResult<T> {
    let outcome = py.detach(|| {
        // A panic leaves no shared state half-written that a later call could see: stores commit
        // in transactions, and locks held by a panicking worker do not poison.
        catch_unwind(AssertUnwindSafe(work))
    });
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(BindingError::Core(error).into()),
        Err(payload) => Err(BindingError::Panic(panic_text(payload.as_ref())).into()),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("engine panicked: {text}")
}
