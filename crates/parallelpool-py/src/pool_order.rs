//! The price order over a pool as Python sees it: eviction and best-first reading of one table.

use std::fmt::{self, Debug, Formatter};

use parallelpool_core::pool_order::best::{BestFirst, Changed, Wanted};
use parallelpool_core::pool_order::{Facts, PriceOrder};
use parallelpool_core::primitives::U256;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::error::invalid;
use crate::transaction::PyTransaction;

/// All transactions of a pool by what they pay.
#[pyclass(frozen, name = "PriceOrder", module = "parallelpool._core")]
#[derive(Default)]
pub struct PyPriceOrder {
    inner: Mutex<PriceOrder>,
}

impl Debug for PyPriceOrder {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "PriceOrder({} transactions)", self.inner.lock().len())
    }
}

#[pymethods]
impl PyPriceOrder {
    #[new]
    fn new() -> Self {
        Self::default()
    }
    fn __len__(&self) -> usize {
        self.inner.lock().len()
    }
    fn __contains__(&self, tx_hash: &[u8]) -> PyResult<bool> {
        Ok(self.inner.lock().contains(&convert::hash(tx_hash)?))
    }
    #[pyo3(signature = (base_fee, /))]
    fn reprice(&self, base_fee: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let base_fee = base_fee.map(convert::number).transpose()?;
        self.inner.lock().reprice(base_fee);
        Ok(())
    }
    #[pyo3(signature = (transaction, arrival, is_executable, /))]
    fn put(&self, transaction: &PyTransaction, arrival: u64, is_executable: bool) -> PyResult<()> {
        let facts = Facts::of(&*transaction.recovered()?, arrival);
        if self.inner.lock().put(facts, is_executable) {
            return Ok(());
        }
        Err(invalid("the transaction is in the order already"))
    }
    #[pyo3(signature = (tx_hash, is_executable, /))]
    fn set_executable(&self, tx_hash: &[u8], is_executable: bool) -> PyResult<()> {
        let hash = convert::hash(tx_hash)?;
        known(self.inner.lock().set_executable(&hash, is_executable))
    }
    #[pyo3(signature = (tx_hash, /))]
    fn remove(&self, tx_hash: &[u8]) -> PyResult<()> {
        let hash = convert::hash(tx_hash)?;
        known(self.inner.lock().remove(&hash))
    }
    #[pyo3(signature = (fee_cap, tip_cap, /))]
    fn is_underpriced(&self, fee_cap: &Bound<'_, PyAny>, tip_cap: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (fee_cap, tip_cap) = (convert::number(fee_cap)?, convert::number(tip_cap)?);
        Ok(self.inner.lock().is_underpriced(fee_cap, tip_cap))
    }
    #[pyo3(signature = (slots, /))]
    fn take_cheapest<'py>(&self, py: Python<'py>, slots: u64) -> Option<Vec<Bound<'py, PyBytes>>> {
        let taken = self.inner.lock().take_cheapest(slots)?;
        Some(taken.iter().map(|hash| convert::bytes(py, hash)).collect())
    }
    #[pyo3(signature = (tx_hash, /))]
    fn put_back(&self, tx_hash: &[u8]) -> PyResult<()> {
        let hash = convert::hash(tx_hash)?;
        known(self.inner.lock().put_back(&hash))
    }
    #[pyo3(signature = (gas_limit, /))]
    fn above_gas<'py>(&self, py: Python<'py>, gas_limit: u64) -> Vec<Bound<'py, PyBytes>> {
        let above = self.inner.lock().above_gas(gas_limit);
        above.iter().map(|hash| convert::bytes(py, hash)).collect()
    }
    #[pyo3(signature = (base_fee, /, *, min_tip, gas_cap, without))]
    fn best_first(
        slf: Bound<'_, Self>,
        base_fee: Option<&Bound<'_, PyAny>>,
        min_tip: &Bound<'_, PyAny>,
        gas_cap: Option<u64>,
        without: Vec<Vec<u8>>,
    ) -> PyResult<PyBestFirst> {
        let wanted = Wanted {
            base_fee: base_fee.map(convert::number).transpose()?,
            min_tip: convert::number(min_tip)?,
            gas_cap,
            without: without.iter().map(|sender| convert::address(sender)).collect::<PyResult<_>>()?,
        };
        let best = slf.get().inner.lock().best_first(wanted);
        Ok(PyBestFirst { order: slf.unbind(), best: Mutex::new(best) })
    }
    fn find_fault(&self) -> Option<String> {
        self.inner.lock().find_fault()
    }
    #[getter]
    fn base_fee<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let base_fee: Option<U256> = self.inner.lock().base_fee();
        base_fee.map(|base_fee| convert::int(py, base_fee)).transpose()
    }
}

/// A reading of the executable transactions, best first.
#[pyclass(frozen, name = "BestFirst", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBestFirst {
    order: Py<PyPriceOrder>,
    best: Mutex<BestFirst>,
}

#[pymethods]
impl PyBestFirst {
    #[pyo3(signature = (count, /))]
    fn take<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let (order, mut best) = (self.order.get().inner.lock(), self.best.lock());
        let mut taken = Vec::new();
        while taken.len() < count {
            match best.next(&order) {
                Ok(Some(hash)) => taken.push(convert::bytes(py, hash)),
                Ok(None) => break,
                Err(Changed) => return Err(invalid("the order changed while it was read")),
            }
        }
        Ok(taken)
    }
}

fn known(was_there: bool) -> PyResult<()> {
    if was_there { Ok(()) } else { Err(invalid("the transaction is not in the order")) }
}
