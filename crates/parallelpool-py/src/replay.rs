//! Replay of real blocks.

use std::sync::Arc;

use parallelpool_core::execution::{BlockOutcome, ExecuteOptions};
use parallelpool_core::executor::Executor;
use parallelpool_core::replay::{self, ReplayBlock, ReplayVerdict};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::blocks::PyExecutionStatistics;
use crate::convert;
use crate::detach::detached;
use crate::produce::execute_options;
use crate::workers::PyWorkers;

/// A block with the part of the state that it touches.
#[pyclass(frozen, name = "ReplayBlock", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyReplayBlock {
    pub inner: Arc<ReplayBlock>,
}

#[pymethods]
impl PyReplayBlock {
    #[staticmethod]
    #[pyo3(signature = (document, /))]
    fn parse(py: Python<'_>, document: Vec<u8>) -> PyResult<Self> {
        detached(py, || Ok(Self { inner: Arc::new(replay::parse(&document)?) }))
    }
    #[getter]
    fn number(&self) -> u64 {
        self.inner.block.number
    }
    #[getter]
    fn transactions(&self) -> usize {
        self.inner.transactions.len()
    }
    #[getter]
    fn fork(&self) -> &'static str {
        self.inner.rules.fork.name()
    }
    #[getter]
    fn beneficiary<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.block.beneficiary)
    }
    #[getter]
    fn senders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.transactions.iter().map(|tx| convert::bytes(py, tx.sender)))
    }
    #[getter]
    fn hashes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.transactions.iter().map(|tx| convert::bytes(py, tx.tx.hash)))
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.expected.gas_used
    }
}

/// One execution of a replay block held against its header.
#[pyclass(frozen, name = "ReplayVerdict", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyReplayVerdict {
    verdict: ReplayVerdict,
    outcome: Option<BlockOutcome>,
}

#[pymethods]
impl PyReplayVerdict {
    #[getter]
    fn elapsed_ns(&self) -> u64 {
        self.verdict.elapsed_ns
    }
    #[getter]
    fn statistics(&self) -> PyExecutionStatistics {
        let statistics = self.outcome.as_ref().map(|outcome| outcome.statistics.clone());
        statistics.unwrap_or_default().into()
    }
    #[getter]
    fn differences<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.verdict.differences)
    }
}

/// Executes a replay block.
#[pyfunction(name = "replay")]
#[pyo3(signature = (workers, block, mode, /, *, threads = 0, recheck = false, dependencies = Vec::new()))]
pub fn replay_block(
    py: Python<'_>,
    workers: &PyWorkers,
    block: &PyReplayBlock,
    mode: &str,
    threads: usize,
    recheck: bool,
    dependencies: Vec<Vec<u32>>,
) -> PyResult<PyReplayVerdict> {
    let options = ExecuteOptions { recheck, dependencies, ..execute_options(mode, threads)? };
    let (workers, block) = (Arc::clone(&workers.inner), Arc::clone(&block.inner));
    let (verdict, outcome) = detached(py, move || replay::replay(&Executor::new(workers), &block, &options))?;
    Ok(PyReplayVerdict { verdict, outcome })
}

/// Differences between two executions of one block.
#[pyfunction]
#[pyo3(signature = (first, second, /))]
pub fn replay_compare<'py>(
    py: Python<'py>,
    first: &PyReplayVerdict,
    second: &PyReplayVerdict,
) -> PyResult<Bound<'py, PyTuple>> {
    let differences = match (&first.outcome, &second.outcome) {
        (Some(one), Some(other)) => detached(py, || Ok(replay::compare(one, other)))?,
        (None, None) => Vec::new(),
        _ => vec!["only one of the two executions came to an end".to_owned()],
    };
    PyTuple::new(py, differences)
}
