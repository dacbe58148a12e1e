//! Blocks, headers, receipts and logs as Python sees them: frozen views of the engine's values.

use std::sync::Arc;

use parallelpool_core::block::{Receipt, Withdrawal};
use parallelpool_core::block_codec::{Block, header_hash};
use parallelpool_core::chain::{ChainBlock, SealedHeader};
use parallelpool_core::execution::ExecutionStatistics;
use parallelpool_core::primitives::Log;
use parallelpool_core::roots::encode_receipt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::analysis::location_row;
use crate::convert::{self, Once};
use crate::transaction::PyTransaction;

/// A header and its hash. Cheap to clone: the header itself is shared.
#[pyclass(frozen, name = "Header", module = "parallelpool._core")]
#[derive(Debug, Clone)]
pub struct PyHeader {
    inner: Arc<SealedHeader>,
}

impl From<Arc<SealedHeader>> for PyHeader {
    fn from(inner: Arc<SealedHeader>) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl PyHeader {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.hash)
    }
    #[getter]
    fn parent_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.parent_hash)
    }
    #[getter]
    fn ommers_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.ommers_hash)
    }
    #[getter]
    fn beneficiary<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.beneficiary)
    }
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.state_root)
    }
    #[getter]
    fn transactions_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.transactions_root)
    }
    #[getter]
    fn receipts_root<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.receipts_root)
    }
    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.logs_bloom)
    }
    #[getter]
    fn difficulty<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.inner.header.difficulty)
    }
    #[getter]
    fn number(&self) -> u64 {
        self.inner.header.number
    }
    #[getter]
    fn gas_limit(&self) -> u64 {
        self.inner.header.gas_limit
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.header.gas_used
    }
    #[getter]
    fn timestamp(&self) -> u64 {
        self.inner.header.timestamp
    }
    #[getter]
    fn extra_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.inner.header.extra_data)
    }
    #[getter]
    fn mix_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.mix_hash)
    }
    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.header.nonce)
    }
    #[getter]
    fn base_fee_per_gas(&self) -> Option<u64> {
        self.inner.header.base_fee_per_gas
    }
    #[getter]
    fn withdrawals_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.header.withdrawals_root.map(|root| convert::bytes(py, root))
    }
    #[getter]
    fn blob_gas_used(&self) -> Option<u64> {
        self.inner.header.blob_gas_used
    }
    #[getter]
    fn excess_blob_gas(&self) -> Option<u64> {
        self.inner.header.excess_blob_gas
    }
    #[getter]
    fn parent_beacon_block_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.header.parent_beacon_block_root.map(|root| convert::bytes(py, root))
    }
    #[getter]
    fn requests_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.header.requests_hash.map(|hash| convert::bytes(py, hash))
    }
    #[getter]
    fn block_access_list_hash<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.header.block_access_list_hash.map(|hash| convert::bytes(py, hash))
    }
    #[getter]
    fn slot_number(&self) -> Option<u64> {
        self.inner.header.slot_number
    }
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, alloy_rlp::encode(&self.inner.header))
    }
}

/// The header of an uncle.
#[pyclass(frozen, name = "Ommer", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyOmmer {
    header: PyHeader,
}

#[pymethods]
impl PyOmmer {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.header.hash(py)
    }
    #[getter]
    fn header(&self) -> PyHeader {
        self.header.clone()
    }
}

/// An EIP-4895 withdrawal.
#[pyclass(frozen, name = "Withdrawal", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyWithdrawal {
    inner: Withdrawal,
}

#[pymethods]
impl PyWithdrawal {
    #[getter]
    fn index(&self) -> u64 {
        self.inner.index
    }
    #[getter]
    fn validator_index(&self) -> u64 {
        self.inner.validator_index
    }
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.address)
    }
    #[getter]
    fn amount(&self) -> u64 {
        self.inner.amount
    }
}

/// A sealed block with its decoded transactions. What is asked for again and again is made once: who looks up each
/// transaction of a block would else pay for all of them each time.
#[pyclass(frozen, name = "Block", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBlock {
    inner: ChainBlock,
    header: PyHeader,
    transactions: Once<PyTuple>,
}

impl From<ChainBlock> for PyBlock {
    fn from(inner: ChainBlock) -> Self {
        let Block { header, hash, .. } = &inner.block;
        let header = Arc::new(SealedHeader { hash: *hash, header: header.clone() }).into();
        Self { inner, header, transactions: Once::new() }
    }
}

#[pymethods]
impl PyBlock {
    #[getter]
    fn header(&self) -> PyHeader {
        self.header.clone()
    }
    #[getter]
    fn transactions<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let transactions = self.inner.transactions.iter();
        self.transactions
            .get(py, || PyTuple::new(py, transactions.map(|tx| PyTransaction::from_shared(Arc::clone(tx)))))
    }
    #[getter]
    fn ommers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let ommers = self.inner.block.ommers.iter().map(|header| {
            let sealed = SealedHeader { hash: header_hash(header), header: header.clone() };
            PyOmmer { header: Arc::new(sealed).into() }
        });
        PyTuple::new(py, ommers)
    }
    #[getter]
    fn withdrawals<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let withdrawals = self.inner.block.withdrawals.as_ref();
        withdrawals.map(|list| PyTuple::new(py, list.iter().map(|&inner| PyWithdrawal { inner }))).transpose()
    }
    #[getter]
    fn size(&self) -> usize {
        self.inner.raw.len()
    }
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.inner.raw)
    }
}

/// One event of a contract.
#[pyclass(frozen, name = "Log", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyLog {
    inner: Log,
}

impl From<Log> for PyLog {
    fn from(inner: Log) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl PyLog {
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.address)
    }
    #[getter]
    fn topics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.topics().iter().map(|topic| convert::bytes(py, topic)))
    }
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.inner.data.data)
    }
}

/// What a transaction left behind.
#[pyclass(frozen, name = "Receipt", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyReceipt {
    inner: Receipt,
}

impl From<Receipt> for PyReceipt {
    fn from(inner: Receipt) -> Self {
        Self { inner }
    }
}

/// Receipts as a tuple.
pub fn receipts(py: Python<'_>, receipts: Vec<Receipt>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, receipts.into_iter().map(PyReceipt::from))
}

#[pymethods]
impl PyReceipt {
    #[getter]
    fn r#type(&self) -> u8 {
        self.inner.tx_type
    }
    #[getter]
    fn success(&self) -> bool {
        self.inner.success
    }
    #[getter]
    fn state_root<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.state_root.map(|root| convert::bytes(py, root))
    }
    #[getter]
    fn cumulative_gas_used(&self) -> u64 {
        self.inner.cumulative_gas_used
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }
    #[getter]
    fn logs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.logs.iter().cloned().map(PyLog::from))
    }
    #[getter]
    fn logs_bloom<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, *self.inner.bloom)
    }
    #[getter]
    fn contract_address<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.contract_address.map(|address| convert::bytes(py, address))
    }
    #[getter]
    fn effective_gas_price(&self) -> u128 {
        self.inner.effective_gas_price
    }
    #[getter]
    fn blob_gas_used(&self) -> u64 {
        self.inner.blob_gas_used
    }
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, encode_receipt(&self.inner))
    }
}

/// Figures of one execution.
#[pyclass(frozen, name = "ExecutionStatistics", module = "parallelpool._core")]
#[derive(Debug, Clone)]
pub struct PyExecutionStatistics {
    inner: ExecutionStatistics,
}

impl From<ExecutionStatistics> for PyExecutionStatistics {
    fn from(inner: ExecutionStatistics) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl PyExecutionStatistics {
    #[getter]
    fn parallel(&self) -> bool {
        self.inner.parallel
    }
    #[getter]
    fn threads(&self) -> usize {
        self.inner.threads
    }
    #[getter]
    fn active_workers(&self) -> usize {
        self.inner.active_workers
    }
    #[getter]
    fn executions(&self) -> u64 {
        self.inner.executions
    }
    #[getter]
    fn conflicts(&self) -> u64 {
        self.inner.conflicts
    }
    #[getter]
    fn executions_per_transaction<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.inner.executions_per_transaction)
    }
    #[getter]
    fn wasted_gas(&self) -> u64 {
        self.inner.wasted_gas
    }
    #[getter]
    fn aborts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows = self.inner.aborts.iter().map(|abort| {
            (abort.transaction, abort.writer, abort.location.map(|location| location_row(py, location)))
        });
        PyTuple::new(py, rows.collect::<Vec<_>>())
    }
    #[getter]
    fn transfers(&self) -> u64 {
        self.inner.transfers
    }
    #[getter]
    fn checked_transfers(&self) -> u64 {
        self.inner.checked_transfers
    }
    #[getter]
    fn reused(&self) -> u64 {
        self.inner.reused
    }
    #[getter]
    fn busy_ns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.inner.busy_ns)
    }
    #[getter]
    fn cpu_ns(&self) -> u64 {
        self.inner.cpu_ns
    }
    #[getter]
    fn elapsed_ns(&self) -> u64 {
        self.inner.elapsed_ns
    }
}
