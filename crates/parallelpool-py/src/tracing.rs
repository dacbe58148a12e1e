//! What a caller wants to be told of a transaction, and the text that tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parallelpool_core::chain::tracing::{
    CallOptions, FlatCallOptions, Pieces, PrestateOptions, StructLogOptions, TraceOrder, TracerChoice,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::invalid;

/// Ends traces that nobody waits for.
#[pyclass(frozen, name = "Cancellation", module = "parallelpool._core")]
#[derive(Debug, Default)]
pub struct PyCancellation {
    flag: Arc<AtomicBool>,
}

#[pymethods]
impl PyCancellation {
    #[new]
    fn new() -> Self {
        Self::default()
    }
    fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

/// Name, what is on, a bound, members under their names.
#[derive(Debug, FromPyObject)]
pub struct TracerRow(String, Vec<String>, i64, Vec<(String, TracerRow)>);

/// Tracer, milliseconds, bytes of text, and who may call it off.
pub type OrderRow<'py> = (TracerRow, u64, usize, PyRef<'py, PyCancellation>);

/// Why there is nothing, or the text.
pub type TraceOutcome<'py> = (Option<String>, Bound<'py, PyList>);

/// What to trace with.
pub fn order((tracer, timeout_ms, text_limit, cancellation): OrderRow<'_>) -> PyResult<TraceOrder> {
    Ok(TraceOrder {
        tracer: choice(tracer)?,
        timeout: Duration::from_millis(timeout_ms),
        text_limit,
        cancelled: cancellation.flag.clone(),
    })
}

/// The answer as Python takes it.
pub fn outcome(py: Python<'_>, traced: Result<Pieces, String>) -> PyResult<TraceOutcome<'_>> {
    let (refusal, pieces) = match traced {
        Ok(pieces) => (None, pieces),
        Err(words) => (Some(words), Vec::new()),
    };
    let list = PyList::empty(py);
    for piece in pieces {
        list.append(PyBytes::new(py, &piece))?;
    }
    Ok((refusal, list))
}

fn choice(TracerRow(name, on, limit, members): TracerRow) -> PyResult<TracerChoice> {
    let mut on = on;
    let mut take = |option: &str| {
        let before = on.len();
        on.retain(|given| given != option);
        on.len() < before
    };
    let choice = match name.as_str() {
        "structLogger" => TracerChoice::StructLogs(StructLogOptions {
            memory: take("memory"),
            stack: take("stack"),
            storage: take("storage"),
            return_data: take("return_data"),
            limit,
        }),
        "callTracer" => TracerChoice::Calls(CallOptions {
            only_top_call: take("only_top_call"),
            with_log: take("with_log"),
        }),
        "flatCallTracer" => TracerChoice::FlatCalls(FlatCallOptions {
            convert_parity_errors: take("convert_parity_errors"),
            include_precompiles: take("include_precompiles"),
        }),
        "prestateTracer" => TracerChoice::Prestate(PrestateOptions {
            diff_mode: take("diff_mode"),
            disable_code: take("disable_code"),
            disable_storage: take("disable_storage"),
            include_empty: take("include_empty"),
        }),
        "4byteTracer" => TracerChoice::FourBytes,
        "noopTracer" => TracerChoice::Nothing,
        "muxTracer" => TracerChoice::Several(
            members.into_iter().map(|(name, member)| Ok((name, choice(member)?))).collect::<PyResult<_>>()?,
        ),
        other => return Err(invalid(format!("unknown tracer {other:?}"))),
    };
    if let Some(unknown) = on.first() {
        return Err(invalid(format!("{name} has no option {unknown:?}")));
    }
    Ok(choice)
}
