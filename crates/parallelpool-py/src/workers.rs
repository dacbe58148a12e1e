//! The engine's threads, and hooks that prove how the boundary behaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parallelpool_core::workers::Workers;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::detach::detached;

/// The engine's threads.
#[pyclass(frozen, name = "Workers", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyWorkers {
    pub inner: Arc<Workers>,
}

#[pymethods]
impl PyWorkers {
    #[new]
    #[pyo3(signature = (threads = 0, /))]
    fn new(py: Python<'_>, threads: usize) -> PyResult<Self> {
        detached(py, || Ok(Self { inner: Arc::new(Workers::new(threads)?) }))
    }

    #[getter]
    fn threads(&self) -> usize {
        self.inner.threads()
    }
}

/// Keccak-256.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    convert::bytes(py, parallelpool_core::primitives::keccak256(data))
}

/// Panics inside the engine.
#[pyfunction]
#[pyo3(name = "_panic", signature = (message, /))]
pub fn panic_inside(py: Python<'_>, message: String) -> PyResult<()> {
    detached(py, || panic!("{message}"))
}

/// Keeps all workers busy for a while.
#[pyfunction]
#[pyo3(name = "_spin", signature = (workers, milliseconds, /))]
pub fn spin(py: Python<'_>, workers: &PyWorkers, milliseconds: u64) -> PyResult<()> {
    let workers = Arc::clone(&workers.inner);
    detached(py, move || {
        let end = Instant::now() + Duration::from_millis(milliseconds);
        workers.run(workers.threads(), |_| {
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        });
        Ok(())
    })
}
