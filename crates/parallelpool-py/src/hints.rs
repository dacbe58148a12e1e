//! Access sets and batches as Python sees them.

use std::sync::Arc;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{BatchKind, Candidate, Plan, PlanOptions, batch_id, plan};
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::StateView;
use parallelpool_core::tx::{SharedTransaction, Tag};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::analysis::field_parts;
use crate::chain::PyChain;
use crate::convert;
use crate::detach::detached;
use crate::error::invalid;
use crate::transaction::PyTransaction;

/// What a transaction is expected to read and write.
#[pyclass(frozen, name = "AccessSet", module = "parallelpool._core")]
#[derive(Debug, Clone)]
pub struct PyAccessSet {
    pub inner: Arc<AccessSet>,
}

impl From<AccessSet> for PyAccessSet {
    fn from(inner: AccessSet) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

#[pymethods]
impl PyAccessSet {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.hash)
    }
    #[getter]
    fn source(&self) -> &'static str {
        self.inner.source.name()
    }
    #[getter]
    fn confidence(&self) -> f64 {
        f64::from(self.inner.confidence) / 1_000.0
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }
    #[getter]
    fn succeeded(&self) -> Option<bool> {
        self.inner.succeeded
    }
    #[getter]
    fn is_known(&self) -> bool {
        self.inner.is_known()
    }
    #[getter]
    fn accesses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut rows = Vec::with_capacity(self.inner.accesses.len());
        for (location, access) in &self.inner.accesses {
            for kind in access.kinds() {
                let (field, slot) = field_parts(py, location.field);
                rows.push((convert::bytes(py, location.address), field, slot, kind.name()));
            }
        }
        PyTuple::new(py, rows)
    }
    #[getter]
    fn debits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows: PyResult<Vec<_>> = self
            .inner
            .debits
            .iter()
            .map(|(address, wei)| Ok((convert::bytes(py, address), convert::int(py, *wei)?)))
            .collect();
        PyTuple::new(py, rows?)
    }
}

/// Some candidates of a plan.
#[pyclass(frozen, name = "Batch", module = "parallelpool._core")]
#[derive(Debug, Clone)]
pub struct PyBatch {
    batch_id: B256,
    inner: parallelpool_core::batching::Batch,
}

#[pymethods]
impl PyBatch {
    #[getter]
    fn batch_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.batch_id)
    }
    #[getter]
    fn kind(&self) -> &'static str {
        self.inner.kind.name()
    }
    #[getter]
    fn members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.inner.members)
    }
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.inner.after)
    }
    #[getter]
    fn gas_limit(&self) -> u64 {
        self.inner.gas_limit
    }
    #[getter]
    fn predicted_gas(&self) -> u64 {
        self.inner.predicted_gas
    }
    #[getter]
    fn critical_path_gas(&self) -> u64 {
        self.inner.critical_path_gas
    }
}

/// Candidates, arranged. Held in Python form: a plan is read many times and never changed.
#[pyclass(frozen, name = "BatchPlan", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBatchPlan {
    batches: Py<PyTuple>,
    groups: Py<PyTuple>,
    dependencies: Py<PyTuple>,
}

#[pymethods]
impl PyBatchPlan {
    #[getter]
    fn batches(&self, py: Python<'_>) -> Py<PyTuple> {
        self.batches.clone_ref(py)
    }
    #[getter]
    fn groups(&self, py: Python<'_>) -> Py<PyTuple> {
        self.groups.clone_ref(py)
    }
    #[getter]
    fn dependencies(&self, py: Python<'_>) -> Py<PyTuple> {
        self.dependencies.clone_ref(py)
    }
}

impl PyBatchPlan {
    fn new(py: Python<'_>, plan: Plan, ids: Vec<B256>) -> PyResult<Self> {
        let tuples = |lists: Vec<Vec<usize>>| -> PyResult<Py<PyTuple>> {
            let rows: PyResult<Vec<_>> = lists.iter().map(|list| PyTuple::new(py, list)).collect();
            Ok(PyTuple::new(py, rows?)?.unbind())
        };
        let batches = plan.batches.into_iter().zip(ids);
        let batches: Vec<_> = batches.map(|(inner, batch_id)| PyBatch { batch_id, inner }).collect();
        Ok(Self {
            batches: PyTuple::new(py, batches)?.unbind(),
            groups: tuples(plan.groups)?,
            dependencies: tuples(plan.dependencies)?,
        })
    }
}

/// Arranges candidates into batches.
// One Python keyword each; a struct would only repeat them.
#[allow(clippy::too_many_arguments)]
#[pyfunction]
#[pyo3(signature = (chain, parent_hash, beneficiary, transactions, access_sets, /, *, batch_size, min_batch_size = 2))]
pub fn plan_batches(
    py: Python<'_>,
    chain: &PyChain,
    parent_hash: &[u8],
    beneficiary: &[u8],
    transactions: Vec<PyRef<'_, PyTransaction>>,
    access_sets: Vec<PyRef<'_, PyAccessSet>>,
    batch_size: usize,
    min_batch_size: usize,
) -> PyResult<PyBatchPlan> {
    if transactions.len() != access_sets.len() {
        return Err(invalid("plan_batches: one access set per transaction"));
    }
    if batch_size == 0 {
        return Err(invalid("plan_batches: a batch has at least one member"));
    }
    let parent_hash = convert::hash(parent_hash)?;
    let options = PlanOptions { batch_size, min_batch_size, beneficiary: convert::address(beneficiary)? };
    let transactions: PyResult<Vec<SharedTransaction>> =
        transactions.iter().map(|tx| tx.recovered()).collect();
    let transactions = transactions?;
    let sets: Vec<Arc<AccessSet>> = access_sets.iter().map(|set| Arc::clone(&set.inner)).collect();
    let chain = chain.get()?;
    let (plan, ids) = detached(py, move || {
        let view = chain.at_head().snapshot;
        let candidates: Vec<Candidate<'_>> = transactions.iter().zip(&sets).map(candidate).collect();
        let plan = plan(&candidates, options, |address: &Address| {
            Ok::<U256, parallelpool_core::error::CoreError>(
                view.account(address)?.map_or(U256::ZERO, |account| account.balance),
            )
        })?;
        let chain_id = chain.spec().chain_id;
        let ids = plan
            .batches
            .iter()
            .map(|batch| id_of(chain_id, parent_hash, batch.kind, &batch.members, &candidates));
        let ids = ids.collect();
        Ok((plan, ids))
    })?;
    PyBatchPlan::new(py, plan, ids)
}

fn candidate<'a>((tx, access): (&'a SharedTransaction, &'a Arc<AccessSet>)) -> Candidate<'a> {
    Candidate {
        hash: tx.tx.hash,
        sender: tx.sender,
        gas_limit: tx.tx.gas_limit,
        asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
        access,
    }
}

fn id_of(
    chain_id: u64,
    parent: B256,
    kind: BatchKind,
    members: &[usize],
    candidates: &[Candidate<'_>],
) -> B256 {
    let hashes: Vec<B256> = members.iter().map(|&index| candidates[index].hash).collect();
    batch_id(chain_id, parent, kind, &hashes)
}

type ConflictRow<'py> = (
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    &'static str,
    Option<Bound<'py, PyBytes>>,
    &'static str,
    &'static str,
);

/// Every location over which `second` conflicts with one of `first`.
#[pyfunction]
#[pyo3(signature = (first, second, /))]
pub fn find_conflicts<'py>(
    py: Python<'py>,
    first: Vec<PyRef<'py, PyAccessSet>>,
    second: &PyAccessSet,
) -> Vec<ConflictRow<'py>> {
    let mut rows = Vec::new();
    for other in &first {
        for conflict in other.inner.conflicts(&second.inner) {
            let (field, slot) = field_parts(py, conflict.location.field);
            rows.push((
                convert::bytes(py, other.inner.hash),
                convert::bytes(py, conflict.location.address),
                field,
                slot,
                conflict.first.name(),
                conflict.second.name(),
            ));
        }
    }
    rows
}
