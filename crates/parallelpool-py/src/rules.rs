//! The rules of one block, and what they say about a transaction alone.

use parallelpool_core::chainspec::{ChainSpec, Fork, Rules};
use parallelpool_core::tx::charges::charges;
use parallelpool_core::tx::validity::{check_static, sender_under};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::error::invalid;
use crate::transaction::PyTransaction;

/// The rules of one block.
#[pyclass(frozen, name = "Rules", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyRules {
    pub inner: Rules,
}

#[pymethods]
impl PyRules {
    #[staticmethod]
    #[pyo3(signature = (network, /, *, chain_id = 1, parallel_tx_type = None))]
    fn of_network(network: &str, chain_id: u64, parallel_tx_type: Option<u8>) -> PyResult<Self> {
        let spec = ChainSpec::for_network(network)
            .ok_or_else(|| invalid(format!("no network is named {network:?}")))?;
        Ok(Self { inner: ChainSpec { chain_id, parallel_tx_type, ..spec }.rules_at(0, 0) })
    }

    #[getter]
    fn fork(&self) -> &'static str {
        self.inner.fork.name()
    }
    #[getter]
    fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }
    #[getter]
    fn parallel_tx_type(&self) -> Option<u8> {
        self.inner.parallel_tx_type
    }
    #[getter]
    fn max_init_code_size(&self) -> Option<usize> {
        self.inner.max_init_code_size()
    }
    #[getter]
    fn max_transaction_gas(&self) -> Option<u64> {
        self.inner.max_transaction_gas()
    }
    #[getter]
    fn blob_schedule(&self) -> Option<(u64, u64, u64)> {
        self.inner.blobs.map(|blobs| (blobs.target, blobs.max, blobs.base_fee_update_fraction))
    }

    #[pyo3(signature = (fork, /))]
    fn is_active(&self, fork: &str) -> PyResult<bool> {
        let fork = Fork::named(fork).ok_or_else(|| invalid(format!("no fork is named {fork:?}")))?;
        Ok(self.inner.fork >= fork)
    }

    #[pyo3(signature = (transaction, /))]
    fn sender<'py>(&self, py: Python<'py>, transaction: &PyTransaction) -> Option<Bound<'py, PyBytes>> {
        let sender = sender_under(transaction.tx(), &transaction.recovered_sender(), &self.inner);
        sender.ok().map(|sender| convert::bytes(py, sender))
    }

    #[pyo3(signature = (transaction, /))]
    fn charges(&self, transaction: &PyTransaction) -> (u64, u64) {
        // Without a sender nobody sends to himself, and the transaction is invalid anyway.
        let sender = sender_under(transaction.tx(), &transaction.recovered_sender(), &self.inner);
        let due = charges(transaction.tx(), sender.ok().as_ref(), &self.inner);
        (due.intrinsic, due.floor)
    }

    #[pyo3(signature = (transaction, /))]
    fn static_error(&self, transaction: &PyTransaction) -> Option<(&'static str, String)> {
        let sender = sender_under(transaction.tx(), &transaction.recovered_sender(), &self.inner);
        check_static(transaction.tx(), &sender, &self.inner)
            .err()
            .map(|error| (error.name(), error.to_string()))
    }
}
