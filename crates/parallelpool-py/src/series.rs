//! Series of simulated blocks, and what came of them.

use parallelpool_core::chain::ChainBlock;
use parallelpool_core::chain::simulation::{Series, SeriesBlock, SimulatedBlock, SimulatedCall};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::blocks::{PyBlock, PyLog};
use crate::convert;
use crate::produce::{WithdrawalRow, withdrawals};
use crate::simulation::{OverrideRow, PyCallOutcome, PyCallRequest, all, block_override, state_override};

/// Block overrides, beacon root, withdrawals, state overrides, messages.
pub type SeriesRow<'py> = (
    Option<Bound<'py, PyDict>>,
    Option<Vec<u8>>,
    Option<Vec<WithdrawalRow>>,
    Vec<OverrideRow<'py>>,
    Vec<PyRef<'py, PyCallRequest>>,
);

/// Why there is nothing, as code and words, or the blocks.
pub type SeriesOutcome = (Option<(i64, String)>, Vec<PySimulatedBlock>);

/// Blocks to simulate.
pub fn series(rows: Vec<SeriesRow<'_>>, validate: bool, tells_moves: bool) -> PyResult<Series> {
    let blocks = rows.into_iter().map(block).collect::<PyResult<_>>()?;
    Ok(Series { blocks, validate, tells_moves })
}

fn block((overrides, beacon_root, paid, state, calls): SeriesRow<'_>) -> PyResult<SeriesBlock> {
    Ok(SeriesBlock {
        overrides: overrides.as_ref().map(block_override).transpose()?.unwrap_or_default(),
        parent_beacon_block_root: beacon_root.as_deref().map(convert::hash).transpose()?,
        withdrawals: paid.map(withdrawals).transpose()?,
        state_overrides: all(&state, state_override)?,
        calls: calls.iter().map(|call| call.inner.clone()).collect(),
    })
}

/// A simulated block and what its messages did.
#[pyclass(frozen, name = "SimulatedBlock", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PySimulatedBlock {
    block: ChainBlock,
    calls: Vec<SimulatedCall>,
}

impl From<SimulatedBlock> for PySimulatedBlock {
    fn from(SimulatedBlock { block, calls }: SimulatedBlock) -> Self {
        Self { block, calls }
    }
}

#[pymethods]
impl PySimulatedBlock {
    #[getter]
    fn block(&self) -> PyBlock {
        self.block.clone().into()
    }
    #[getter]
    fn calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.calls.iter().map(|call| PySimulatedCall { inner: call.clone() }))
    }
}

/// What a message of a series did.
#[pyclass(frozen, name = "SimulatedCall", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PySimulatedCall {
    inner: SimulatedCall,
}

#[pymethods]
impl PySimulatedCall {
    #[getter]
    fn outcome(&self) -> PyCallOutcome {
        self.inner.outcome.clone().into()
    }
    #[getter]
    fn peak_gas(&self) -> u64 {
        self.inner.peak_gas
    }
    #[getter]
    fn logs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let row = |(number, log): &(u64, parallelpool_core::primitives::Log)| {
            Ok::<_, PyErr>((*number, Bound::new(py, PyLog::from(log.clone()))?))
        };
        PyTuple::new(py, all(&self.inner.logs, row)?)
    }
}
