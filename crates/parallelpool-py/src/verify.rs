//! Verification of batches as Python sees it.

use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::verify::{Verification, VerifyOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::analysis::field_parts;
use crate::chain::PyChain;
use crate::convert;
use crate::detach::detached;
use crate::transaction::PyTransaction;

/// (order, transaction, what)
type DivergenceRow<'py> = (Vec<u32>, Option<Bound<'py, PyBytes>>, &'static str);

/// What was found out about a batch.
#[pyclass(frozen, name = "BatchVerification", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBatchVerification {
    inner: Verification,
}

#[pymethods]
impl PyBatchVerification {
    #[getter]
    fn is_valid(&self) -> bool {
        self.inner.is_valid()
    }
    #[getter]
    fn conflicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows = self.inner.conflicts.iter().map(|found| {
            let conflict = &found.conflict;
            let (field, slot) = field_parts(py, conflict.location.field);
            let address = convert::bytes(py, conflict.location.address);
            let (a, b) = (convert::bytes(py, found.a), convert::bytes(py, found.b));
            (a, b, address, field, slot, conflict.first.name(), conflict.second.name())
        });
        PyTuple::new(py, rows.collect::<Vec<_>>())
    }
    #[getter]
    fn conflict_count(&self) -> usize {
        self.inner.conflict_count
    }
    #[getter]
    fn shortfalls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows: PyResult<Vec<_>> = self
            .inner
            .shortfalls
            .iter()
            .map(|short| {
                let members = PyTuple::new(py, short.members.iter().map(|hash| convert::bytes(py, hash)))?;
                let (balance, required) =
                    (convert::int(py, short.balance)?, convert::int(py, short.required)?);
                Ok((convert::bytes(py, short.address), balance, required, members))
            })
            .collect();
        PyTuple::new(py, rows?)
    }
    #[getter]
    fn invalid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows = self.inner.invalid.iter().map(|(hash, reason)| (convert::bytes(py, hash), reason));
        PyTuple::new(py, rows.collect::<Vec<_>>())
    }
    #[getter]
    fn unknown<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.unknown.iter().map(|hash| convert::bytes(py, hash)))
    }
    #[getter]
    fn orders(&self) -> usize {
        self.inner.orders
    }
    #[getter]
    fn divergence<'py>(&self, py: Python<'py>) -> Option<DivergenceRow<'py>> {
        let found = self.inner.divergence.as_ref()?;
        Some((found.order.clone(), found.transaction.map(|hash| convert::bytes(py, hash)), found.what))
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }
    #[getter]
    fn post_state_digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.post_state)
    }
}

/// Holds a batch against its promise.
// One Python keyword each; a struct would only repeat them.
#[allow(clippy::too_many_arguments)]
#[pyfunction]
#[pyo3(signature = (chain, beneficiary, transactions, /, *, orders = 4, seed = 0, gas_cap = 60_000_000, max_conflicts = 4096))]
pub fn verify_batch(
    py: Python<'_>,
    chain: &PyChain,
    beneficiary: &[u8],
    transactions: Vec<PyRef<'_, PyTransaction>>,
    orders: usize,
    seed: u64,
    gas_cap: u64,
    max_conflicts: usize,
) -> PyResult<PyBatchVerification> {
    let (chain, beneficiary) = (chain.get()?, convert::address(beneficiary)?);
    let transactions: PyResult<Vec<SharedTransaction>> =
        transactions.iter().map(|tx| tx.recovered()).collect();
    let transactions = transactions?;
    let options = VerifyOptions { orders, seed, gas_cap, max_conflicts };
    let inner = detached(py, || chain.verify_batch(&transactions, beneficiary, &options))?;
    Ok(PyBatchVerification { inner })
}
