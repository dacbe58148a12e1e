//! How good predictions are, as Python sees it.

use std::sync::Arc;

use parallelpool_core::analysis::{Accuracy, BatchTally, BlockAccuracy, Tally};
use parallelpool_core::executor::Executor;
use pyo3::prelude::*;

use crate::detach::detached;
use crate::replay::PyReplayBlock;
use crate::workers::PyWorkers;

/// Predicted, exact, exact slots, supersets, slots right, missed, extra, missed conflicts, nanoseconds.
type TallyRow = (u64, u64, u64, u64, u64, u64, u64, u64, u64);
/// Untouched batches, their transactions, their conflicts; the same of later ones; sequential
/// transactions; blocks with equal results and with unequal ones; transactions left out.
type BatchRow = (u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

/// Replays blocks, predicts and learns.
#[pyclass(frozen, name = "Accuracy", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyAccuracy {
    inner: Arc<Accuracy>,
}

#[pymethods]
impl PyAccuracy {
    #[new]
    #[pyo3(signature = (gas, /))]
    fn new(gas: u64) -> Self {
        Self { inner: Arc::new(Accuracy::new(gas)) }
    }
    #[getter]
    fn templates(&self) -> usize {
        self.inner.templates()
    }
    #[pyo3(signature = (workers, block, /))]
    fn take(&self, py: Python<'_>, workers: &PyWorkers, block: &PyReplayBlock) -> PyResult<PyBlockAccuracy> {
        let (accuracy, workers) = (Arc::clone(&self.inner), Arc::clone(&workers.inner));
        let block = Arc::clone(&block.inner);
        let inner = detached(py, move || accuracy.take(&Executor::new(workers), &block))?;
        Ok(PyBlockAccuracy { inner })
    }
}

/// One block's tallies.
#[pyclass(frozen, name = "BlockAccuracy", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBlockAccuracy {
    inner: BlockAccuracy,
}

#[pymethods]
impl PyBlockAccuracy {
    #[getter]
    fn transactions(&self) -> u64 {
        self.inner.transactions
    }
    #[getter]
    fn sources(&self) -> Vec<(&'static str, TallyRow)> {
        self.inner.sources.iter().map(|(source, tally)| (source.name(), row(tally))).collect()
    }
    #[getter]
    fn ahead(&self) -> TallyRow {
        row(&self.inner.ahead)
    }
    #[getter]
    fn token_calls(&self) -> u64 {
        self.inner.token_calls
    }
    #[getter]
    fn token_templates(&self) -> TallyRow {
        row(&self.inner.token_templates)
    }
    #[getter]
    fn token_probes(&self) -> TallyRow {
        row(&self.inner.token_probes)
    }
    #[getter]
    fn batches(&self) -> BatchRow {
        let BatchTally {
            untouched,
            untouched_transactions,
            untouched_conflicts,
            later,
            later_transactions,
            later_conflicts,
            sequential,
            equal,
            unequal,
            left_out,
        } = self.inner.batches;
        (
            untouched,
            untouched_transactions,
            untouched_conflicts,
            later,
            later_transactions,
            later_conflicts,
            sequential,
            equal,
            unequal,
            left_out,
        )
    }
}

fn row(tally: &Tally) -> TallyRow {
    let Tally {
        predicted,
        exact,
        exact_slots,
        supersets,
        slots_right,
        slots_missed,
        slots_extra,
        missed_conflicts,
        ns,
    } = *tally;
    (predicted, exact, exact_slots, supersets, slots_right, slots_missed, slots_extra, missed_conflicts, ns)
}
