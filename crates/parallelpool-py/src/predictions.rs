//! What is expected of pooled transactions, as Python sees it.

use parallelpool_core::predictions::PredictionStatistics;
use pyo3::prelude::*;

/// Sums since the start, and what is held now.
#[pyclass(frozen, name = "PredictionStatistics", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyPredictionStatistics {
    pub inner: PredictionStatistics,
}

#[pymethods]
impl PyPredictionStatistics {
    #[getter]
    fn held(&self) -> u64 {
        self.inner.held
    }
    #[getter]
    fn records(&self) -> u64 {
        self.inner.records
    }
    #[getter]
    fn runs(&self) -> u64 {
        self.inner.runs
    }
    #[getter]
    fn capped(&self) -> u64 {
        self.inner.capped
    }
    #[getter]
    fn cancelled(&self) -> u64 {
        self.inner.cancelled
    }
    #[getter]
    fn timed_out(&self) -> u64 {
        self.inner.timed_out
    }
    #[getter]
    fn refused(&self) -> u64 {
        self.inner.refused
    }
    #[getter]
    fn stale(&self) -> u64 {
        self.inner.stale
    }
    #[getter]
    fn busy_ns(&self) -> u64 {
        self.inner.busy_ns
    }
    #[getter]
    fn gas(&self) -> u64 {
        self.inner.gas
    }
    #[getter]
    fn by_template(&self) -> u64 {
        self.inner.by_template
    }
    #[getter]
    fn templates(&self) -> u64 {
        self.inner.templates
    }
    #[getter]
    fn lessons(&self) -> u64 {
        self.inner.lessons
    }
}
