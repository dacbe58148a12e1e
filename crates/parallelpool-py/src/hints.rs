//! Access sets and batches as Python sees them.

use std::fmt::{self, Debug};
use std::sync::Arc;

use parallelpool_core::access::{AccessSet, Conflict};
use parallelpool_core::batching::{Candidate, Plan, PlanOptions, plan};
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::StateView;
use parallelpool_core::tx::{SharedTransaction, Tag};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
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

impl PyBatch {
    fn all(plan: &Plan, chain_id: u64, parent_hash: B256) -> Vec<Self> {
        let named = |batch: &parallelpool_core::batching::Batch| Self {
            batch_id: plan.batch_id(batch, chain_id, parent_hash),
            inner: batch.clone(),
        };
        plan.batches.iter().map(named).collect()
    }
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

/// Candidates, arranged. What is asked for is held in Python form: a plan is read many times and
/// never changed.
#[pyclass(frozen, name = "BatchPlan", module = "parallelpool._core")]
pub struct PyBatchPlan {
    plan: Arc<Plan>,
    batches: Py<PyTuple>,
    groups: PyOnceLock<Py<PyTuple>>,
    dependencies: PyOnceLock<Py<PyTuple>>,
}

impl Debug for PyBatchPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(formatter)
    }
}

#[pymethods]
impl PyBatchPlan {
    #[getter]
    fn candidates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.plan.candidates.iter().map(|hash| convert::bytes(py, hash)))
    }
    #[getter]
    fn batches(&self, py: Python<'_>) -> Py<PyTuple> {
        self.batches.clone_ref(py)
    }
    #[getter]
    fn withheld(&self) -> bool {
        self.plan.withheld
    }
    #[getter]
    fn critical_path_gas(&self) -> u64 {
        self.plan.critical_path_gas()
    }
    #[getter]
    fn groups(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        self.lists(py, &self.groups, Plan::groups)
    }
    #[getter]
    fn dependencies(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        self.lists(py, &self.dependencies, Plan::dependencies)
    }
}

impl PyBatchPlan {
    /// `plan` with the ids of its batches, which are worked out off the GIL with it.
    pub fn new(py: Python<'_>, plan: Plan, batches: Vec<PyBatch>) -> PyResult<Self> {
        Ok(Self {
            plan: Arc::new(plan),
            batches: PyTuple::new(py, batches)?.unbind(),
            groups: PyOnceLock::new(),
            dependencies: PyOnceLock::new(),
        })
    }

    /// The plan itself.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    fn lists(
        &self,
        py: Python<'_>,
        held: &PyOnceLock<Py<PyTuple>>,
        make: impl FnOnce(&Plan) -> Vec<Vec<u32>> + Send,
    ) -> PyResult<Py<PyTuple>> {
        let made = held.get_or_try_init(py, || {
            let lists = detached(py, || Ok(make(&self.plan)))?;
            let rows: PyResult<Vec<_>> = lists.iter().map(|list| PyTuple::new(py, list)).collect();
            PyResult::Ok(PyTuple::new(py, rows?)?.unbind())
        })?;
        Ok(made.clone_ref(py))
    }
}

/// Plans, and names the batches.
pub fn planned(
    chain_id: u64,
    parent_hash: B256,
    plan: Result<Plan, CoreError>,
) -> Result<(Plan, Vec<PyBatch>), CoreError> {
    let plan = plan?;
    let batches = PyBatch::all(&plan, chain_id, parent_hash);
    Ok((plan, batches))
}

/// What the head's accounts have.
pub fn balance_in(view: &dyn StateView) -> impl FnMut(&Address) -> Result<U256, CoreError> {
    move |address| Ok(view.account(address)?.map_or(U256::ZERO, |account| account.balance))
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
    let (plan, batches) = detached(py, move || {
        let view = chain.at_head().snapshot;
        let candidates: Vec<Candidate<'_>> = transactions.iter().zip(&sets).map(candidate).collect();
        planned(chain.spec().chain_id, parent_hash, plan(&candidates, options, balance_in(&*view)))
    })?;
    PyBatchPlan::new(py, plan, batches)
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

/// (hash of another, address, field, slot, kind there, kind here)
pub type ConflictRow<'py> = (
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
    let conflicts = first
        .iter()
        .flat_map(|other| other.inner.conflicts(&second.inner).map(|conflict| (other.inner.hash, conflict)));
    conflicts.map(|(hash, conflict)| conflict_row(py, hash, &conflict)).collect()
}

/// A conflict with the transaction `hash`, whose access is the first.
pub fn conflict_row<'py>(py: Python<'py>, hash: B256, conflict: &Conflict) -> ConflictRow<'py> {
    let (field, slot) = field_parts(py, conflict.location.field);
    let address = convert::bytes(py, conflict.location.address);
    (convert::bytes(py, hash), address, field, slot, conflict.first.name(), conflict.second.name())
}
