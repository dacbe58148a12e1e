//! Transactions: bytes in, immutable objects shared with the engine out.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parallelpool_core::tx::decode::DecodeError;
use parallelpool_core::tx::recover::SenderError;
use parallelpool_core::tx::{Authorization, SharedTransaction, Tag, Transaction};
use parallelpool_core::workers::Priority;
use parallelpool_intake::Decoded;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};

use crate::convert;
use crate::detach::detached;
use crate::error::invalid;
use crate::workers::PyWorkers;

/// A decoded transaction, with its sender or the reason why it has none.
#[pyclass(frozen, name = "Transaction", module = "parallelpool._core")]
#[derive(Debug, Clone)]
pub struct PyTransaction {
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Recovered(SharedTransaction),
    Senderless(Arc<Transaction>, SenderError),
}

impl PyTransaction {
    /// A transaction whose sender is known.
    pub fn from_shared(shared: SharedTransaction) -> Self {
        Self { state: State::Recovered(shared) }
    }

    /// The transaction with its sender; refused where the signature yields none.
    pub fn recovered(&self) -> PyResult<SharedTransaction> {
        match &self.state {
            State::Recovered(shared) => Ok(Arc::clone(shared)),
            State::Senderless(_, cause) => Err(invalid(format!("invalid sender: {cause}"))),
        }
    }

    /// The transaction itself.
    pub fn tx(&self) -> &Transaction {
        match &self.state {
            State::Recovered(shared) => &shared.tx,
            State::Senderless(tx, _) => tx,
        }
    }

    /// The sender under today's rules.
    pub fn recovered_sender(&self) -> Result<parallelpool_core::primitives::Address, SenderError> {
        match &self.state {
            State::Recovered(shared) => Ok(shared.sender),
            State::Senderless(_, cause) => Err(cause.clone()),
        }
    }
}

#[pymethods]
impl PyTransaction {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.tx().hash)
    }
    #[getter]
    fn signing_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.tx().signing_hash)
    }
    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        match &self.state {
            State::Recovered(shared) => convert::bytes(py, shared.sender),
            State::Senderless(..) => PyBytes::new(py, b""),
        }
    }
    #[getter]
    fn sender_error(&self) -> Option<String> {
        match &self.state {
            State::Recovered(_) => None,
            State::Senderless(_, cause) => Some(cause.to_string()),
        }
    }
    #[getter(r#type)]
    fn tx_type(&self) -> u8 {
        self.tx().tx_type
    }
    #[getter]
    fn is_parallel(&self) -> bool {
        self.tx().is_parallel
    }
    #[getter]
    fn tag(&self) -> Option<&'static str> {
        self.tx().tag().map(|tag| match tag {
            Tag::Parallel => "PARALLEL",
            Tag::Sequential => "SEQUENTIAL",
        })
    }
    #[getter]
    fn chain_id(&self) -> Option<u64> {
        self.tx().chain_id
    }
    #[getter]
    fn nonce(&self) -> u64 {
        self.tx().nonce
    }
    #[getter]
    fn gas_limit(&self) -> u64 {
        self.tx().gas_limit
    }
    #[getter]
    fn max_fee_per_gas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().max_fee_per_gas)
    }
    #[getter]
    fn max_priority_fee_per_gas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().max_priority_fee_per_gas)
    }
    #[getter]
    fn max_fee_per_blob_gas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().max_fee_per_blob_gas)
    }
    #[getter]
    fn to<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.tx().to.map(|to| convert::bytes(py, to))
    }
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().value)
    }
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.tx().data)
    }
    #[getter]
    fn evm_input<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.tx().evm_input())
    }
    #[getter]
    fn access_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let items: PyResult<Vec<_>> = self
            .tx()
            .access_list
            .iter()
            .map(|item| {
                let keys = PyTuple::new(py, item.storage_keys.iter().map(|key| convert::bytes(py, key)))?;
                (convert::bytes(py, item.address), keys).into_pyobject(py)
            })
            .collect();
        PyTuple::new(py, items?)
    }
    #[getter]
    fn blob_versioned_hashes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.tx().blob_versioned_hashes.iter().map(|hash| convert::bytes(py, hash)))
    }
    #[getter]
    fn authorization_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let list = self.tx().authorization_list.iter();
        PyTuple::new(py, list.map(|inner| PyAuthorization { inner: inner.clone() }))
    }
    #[getter]
    fn v(&self) -> u64 {
        self.tx().v
    }
    #[getter]
    fn r<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().r)
    }
    #[getter]
    fn s<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.tx().s)
    }
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.tx().raw)
    }
    #[getter]
    fn network_raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.tx().encode_network())
    }
    #[getter]
    fn sidecar_version(&self) -> Option<u8> {
        self.tx().sidecar.as_ref().map(|sidecar| sidecar.version)
    }
    #[getter]
    fn size(&self) -> usize {
        self.tx().raw.len()
    }
    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tx = self.tx();
        if let Some(cost) = tx.cost() {
            return convert::int(py, cost);
        }
        // Beyond 256 bits Python's own integers go on.
        const GAS_PER_BLOB: u64 = 1 << 17;
        let gas = convert::int(py, tx.max_fee_per_gas)?.mul(tx.gas_limit)?;
        let blob_gas = GAS_PER_BLOB * tx.blob_versioned_hashes.len() as u64;
        let blobs = convert::int(py, tx.max_fee_per_blob_gas)?.mul(blob_gas)?;
        gas.add(blobs)?.add(convert::int(py, tx.value)?)
    }
    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.tx().hash.hash(&mut hasher);
        hasher.finish()
    }
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().tx().hash == self.tx().hash)
    }
    fn __repr__(&self) -> String {
        let tx = self.tx();
        format!("Transaction(type={}, nonce={}, hash={})", tx.tx_type, tx.nonce, tx.hash)
    }
}

/// One EIP-7702 authorization tuple.
#[pyclass(frozen, name = "Authorization", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyAuthorization {
    inner: Authorization,
}

#[pymethods]
impl PyAuthorization {
    #[getter]
    fn chain_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.inner.chain_id)
    }
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.address)
    }
    #[getter]
    fn nonce(&self) -> u64 {
        self.inner.nonce
    }
    #[getter]
    fn y_parity(&self) -> u8 {
        self.inner.y_parity
    }
    #[getter]
    fn r<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.inner.r)
    }
    #[getter]
    fn s<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.inner.s)
    }
    #[getter]
    fn authority<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.recover_authority().map(|authority| convert::bytes(py, authority))
    }
}

/// Bytes that are no transaction.
#[pyclass(frozen, name = "DecodeRejection", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyDecodeRejection {
    error: DecodeError,
}

#[pymethods]
impl PyDecodeRejection {
    #[getter]
    fn kind(&self) -> &'static str {
        self.error.kind.name()
    }
    #[getter]
    fn message(&self) -> String {
        self.error.to_string()
    }
    fn __repr__(&self) -> String {
        format!("DecodeRejection({}: {})", self.error.kind.name(), self.error)
    }
}

/// Decodes and recovers each item on all workers.
#[pyfunction]
#[pyo3(signature = (workers, raw, chain_id, parallel_tx_type, /))]
pub fn decode_transactions<'py>(
    py: Python<'py>,
    workers: &PyWorkers,
    raw: Vec<Bound<'py, PyBytes>>,
    chain_id: u64,
    parallel_tx_type: Option<u8>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let raw: Vec<PyBackedBytes> = raw.into_iter().map(PyBackedBytes::from).collect();
    let workers = Arc::clone(&workers.inner);
    let outcomes = detached(py, || {
        Ok(workers.map_at(Priority::Recovery, &raw, |bytes| Decoded::of(bytes, chain_id, parallel_tx_type)))
    })?;
    outcomes.into_iter().map(|decoded| decoded_object(py, decoded)).collect()
}

/// A `Transaction`, or a `DecodeRejection`.
pub fn decoded_object(py: Python<'_>, decoded: Decoded) -> PyResult<Bound<'_, PyAny>> {
    let state = match decoded {
        Decoded::Recovered(shared) => State::Recovered(shared),
        Decoded::Senderless(tx, cause) => State::Senderless(tx, cause),
        Decoded::Rejected(error) => return Ok(Bound::new(py, PyDecodeRejection { error })?.into_any()),
    };
    Ok(Bound::new(py, PyTransaction { state })?.into_any())
}
