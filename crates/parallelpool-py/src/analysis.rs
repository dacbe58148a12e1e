//! How much of a block can run at the same time, as Python sees it.

use parallelpool_core::access::{Field, Location};
use parallelpool_core::analysis::{Analysis, Chain, ModelAnalysis, Parallelism};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::ExecuteError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::sync::Arc;

use crate::convert;
use crate::detach::detached;
use crate::replay::PyReplayBlock;

/// Address, field, slot.
pub type LocationRow<'py> = (Bound<'py, PyBytes>, &'static str, Option<Bound<'py, PyBytes>>);

/// A location as Python has it.
pub fn location_row(py: Python<'_>, location: Location) -> LocationRow<'_> {
    let (field, slot) = field_parts(py, location.field);
    (convert::bytes(py, location.address), field, slot)
}

/// Field name, and the slot where it is one.
pub fn field_parts<'py>(py: Python<'py>, field: Field) -> (&'static str, Option<Bound<'py, PyBytes>>) {
    match field {
        Field::Nonce => ("nonce", None),
        Field::Balance => ("balance", None),
        Field::Code => ("code", None),
        Field::Storage(slot) => ("storage", Some(convert::bytes(py, slot.to_be_bytes::<32>()))),
    }
}

/// A block, taken apart.
#[pyclass(frozen, name = "Analysis", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyAnalysis {
    inner: Arc<Analysis>,
}

#[pymethods]
impl PyAnalysis {
    #[getter]
    fn costs(&self) -> Vec<(u64, u64)> {
        self.inner.costs.iter().map(|cost| (cost.gas, cost.ns)).collect()
    }
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let models = 0..self.inner.models.len();
        PyTuple::new(py, models.map(|model| PyModelAnalysis { analysis: Arc::clone(&self.inner), model }))
    }
}

/// A block under one model of conflict.
#[pyclass(frozen, name = "ModelAnalysis", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyModelAnalysis {
    analysis: Arc<Analysis>,
    model: usize,
}

impl PyModelAnalysis {
    fn get(&self) -> &ModelAnalysis {
        &self.analysis.models[self.model]
    }
}

#[pymethods]
impl PyModelAnalysis {
    #[getter]
    fn name(&self) -> &'static str {
        self.get().model.name()
    }
    #[getter]
    fn independent(&self) -> usize {
        self.get().independent
    }
    #[getter]
    fn dependencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows: PyResult<Vec<_>> =
            self.get().hints().into_iter().map(|own| PyTuple::new(py, own)).collect();
        PyTuple::new(py, rows?)
    }
    #[getter]
    fn longest_chain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        links(py, &self.get().longest_chain)
    }
    #[getter]
    fn by_gas(&self) -> PyParallelism {
        PyParallelism { inner: self.get().by_gas.clone() }
    }
    #[getter]
    fn by_time(&self) -> PyParallelism {
        PyParallelism { inner: self.get().by_time.clone() }
    }
    #[getter]
    fn contended<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows = self
            .get()
            .contended
            .iter()
            .map(|at| (location_row(py, at.location), at.readers, at.writers, at.dependencies, at.gas));
        PyTuple::new(py, rows.collect::<Vec<_>>())
    }
}

/// How well a block's work can be spread.
#[pyclass(frozen, name = "Parallelism", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyParallelism {
    inner: Parallelism,
}

#[pymethods]
impl PyParallelism {
    #[getter]
    fn total(&self) -> u64 {
        self.inner.total
    }
    #[getter]
    fn critical_weight(&self) -> u64 {
        self.inner.critical_path.weight
    }
    #[getter]
    fn critical_path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        links(py, &self.inner.critical_path)
    }
    #[getter]
    fn available(&self) -> f64 {
        self.inner.available()
    }
    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.limits.map(|limit| (limit.workers, limit.bound, limit.schedule)))
    }
}

fn links<'py>(py: Python<'py>, chain: &Chain) -> PyResult<Bound<'py, PyTuple>> {
    let rows = chain
        .links
        .iter()
        .map(|link| (link.transaction, link.location.map(|location| location_row(py, location))));
    PyTuple::new(py, rows.collect::<Vec<_>>())
}

/// Takes a block apart.
#[pyfunction]
#[pyo3(signature = (block, /))]
pub fn analyse(py: Python<'_>, block: &PyReplayBlock) -> PyResult<PyAnalysis> {
    let block = Arc::clone(&block.inner);
    let analysis = detached(py, move || {
        Analysis::of_replay(&block).map_err(|error| match error {
            ExecuteError::Core(error) => error,
            refused => CoreError::InvalidArgument(refused.to_string()),
        })
    })?;
    Ok(PyAnalysis { inner: Arc::new(analysis) })
}
