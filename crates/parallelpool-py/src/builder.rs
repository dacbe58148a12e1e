//! The batch builder as Python sees it.

use std::sync::Arc;

use hashbrown::HashSet;
use parallelpool_core::access::{AccessSet, Field, Location};
use parallelpool_core::batching::{AdaptiveSize, Builder, Delta, HotSpot, Pooled, Ran, Selection, Strategy};
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::tx::Tag;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::analysis::field_parts;
use crate::chain::PyChain;
use crate::convert;
use crate::detach::detached;
use crate::error::invalid;
use crate::hints::{ConflictRow, PyAccessSet, PyBatchPlan, balance_in, conflict_row, planned};
use crate::produce::PyBuiltBlock;
use crate::transaction::PyTransaction;

/// EIP-4844.
const GAS_PER_BLOB: u64 = 131_072;

/// The pool's executable transactions by what they touch.
#[pyclass(frozen, name = "BatchBuilder", module = "parallelpool._core")]
#[derive(Debug, Default)]
pub struct PyBatchBuilder {
    inner: Mutex<Builder>,
}

/// (transaction, arrival, access set; `None` while nothing is known)
type Addition<'py> = (PyRef<'py, PyTransaction>, u64, Option<PyRef<'py, PyAccessSet>>);

/// (address, field, slot, readers, changers, writers, queue, waiting gas)
type SpotRow<'py> =
    (Bound<'py, PyBytes>, Option<&'static str>, Option<Bound<'py, PyBytes>>, usize, usize, usize, usize, u64);

#[pymethods]
impl PyBatchBuilder {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.inner.lock().len())
    }

    fn __contains__(&self, py: Python<'_>, tx_hash: &[u8]) -> PyResult<bool> {
        let hash = convert::hash(tx_hash)?;
        Ok(py.detach(|| self.inner.lock().contains(&hash)))
    }

    #[getter]
    fn sequence(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.inner.lock().sequence())
    }

    #[pyo3(signature = (sequence, /, *, removed = Vec::new(), added = Vec::new(), access_sets = Vec::new()))]
    fn apply(
        &self,
        py: Python<'_>,
        sequence: u64,
        removed: Vec<Vec<u8>>,
        added: Vec<Addition<'_>>,
        access_sets: Vec<PyRef<'_, PyAccessSet>>,
    ) -> PyResult<usize> {
        let delta = Delta {
            removed: removed.iter().map(|hash| convert::hash(hash)).collect::<PyResult<_>>()?,
            added: added
                .iter()
                .map(|(tx, arrival, access)| {
                    let pooled = pooled(tx, *arrival)?;
                    let unknown = || Arc::new(AccessSet::unknown(pooled.hash, pooled.gas_limit));
                    Ok((pooled, access.as_ref().map_or_else(unknown, |access| Arc::clone(&access.inner))))
                })
                .collect::<PyResult<_>>()?,
            accesses: access_sets.iter().map(|access| Arc::clone(&access.inner)).collect(),
        };
        detached(py, || {
            let mut builder = self.inner.lock();
            builder.apply(sequence, &delta).map_err(|error| CoreError::InvalidArgument(error.to_string()))
        })
    }

    #[pyo3(signature = (sequence, /, *, base_fee, balances = None))]
    fn change_head(
        &self,
        py: Python<'_>,
        sequence: u64,
        base_fee: Option<u128>,
        balances: Option<Vec<Vec<u8>>>,
    ) -> PyResult<()> {
        let changed: Option<Vec<Address>> = match balances {
            Some(balances) => {
                Some(balances.iter().map(|one| convert::address(one)).collect::<PyResult<_>>()?)
            }
            None => None,
        };
        detached(py, || {
            let mut builder = self.inner.lock();
            let taken = builder.change_head(sequence, base_fee, changed.as_deref());
            taken.map_err(|error| CoreError::InvalidArgument(error.to_string()))
        })
    }

    // One Python keyword each; a struct would only repeat them.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (
        chain, parent_hash, beneficiary, /, *, batch_size, min_batch_size = 2, strategy = "tip",
        at_base_fee = None, max_gas = None, max_blob_gas = None, max_bytes = None,
        max_transactions = None, min_tip = 0, senders = Vec::new(), exclude_transactions = Vec::new(),
        exclude_addresses = Vec::new(), exclude_locations = Vec::new(),
    ))]
    fn build(
        &self,
        py: Python<'_>,
        chain: &PyChain,
        parent_hash: &[u8],
        beneficiary: &[u8],
        batch_size: usize,
        min_batch_size: usize,
        strategy: &str,
        at_base_fee: Option<u128>,
        max_gas: Option<u64>,
        max_blob_gas: Option<u64>,
        max_bytes: Option<u64>,
        max_transactions: Option<usize>,
        min_tip: u128,
        senders: Vec<Vec<u8>>,
        exclude_transactions: Vec<Vec<u8>>,
        exclude_addresses: Vec<Vec<u8>>,
        exclude_locations: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> PyResult<PyBatchPlan> {
        if batch_size == 0 {
            return Err(invalid("build: a batch has at least one member"));
        }
        let strategy =
            Strategy::named(strategy).ok_or_else(|| invalid(format!("build: no strategy {strategy:?}")))?;
        let selection = Selection {
            strategy,
            base_fee: at_base_fee.map(Some),
            max_gas: max_gas.unwrap_or(u64::MAX),
            max_blob_gas: max_blob_gas.unwrap_or(u64::MAX),
            max_bytes: max_bytes.unwrap_or(u64::MAX),
            max_transactions: max_transactions.unwrap_or(usize::MAX),
            min_tip,
            batch_size,
            min_batch_size,
            beneficiary: convert::address(beneficiary)?,
            senders: set_of(&senders, |one| convert::address(one))?,
            exclude_transactions: set_of(&exclude_transactions, |one| convert::hash(one))?,
            exclude_addresses: set_of(&exclude_addresses, |one| convert::address(one))?,
            exclude_locations: set_of(&exclude_locations, |(address, slot)| {
                let field = Field::Storage(convert::slot(slot)?);
                Ok(Location { address: convert::address(address)?, field })
            })?,
            ..Selection::default()
        };
        let (parent_hash, chain) = (convert::hash(parent_hash)?, chain.get()?);
        let (plan, batches) = detached(py, || {
            let view = chain.at_head().snapshot;
            let plan = self.inner.lock().build(&selection, balance_in(&*view));
            planned(chain.spec().chain_id, parent_hash, plan)
        })?;
        PyBatchPlan::new(py, plan, batches)
    }

    #[pyo3(signature = (limit, /, *, by))]
    fn hottest<'py>(&self, py: Python<'py>, limit: usize, by: &str) -> PyResult<Vec<SpotRow<'py>>> {
        let find: fn(&Builder, usize) -> Vec<HotSpot> = match by {
            "slot" => Builder::hottest_locations,
            "address" => Builder::hottest_accounts,
            _ => return Err(invalid(format!("hottest: by \"address\" or \"slot\", not {by:?}"))),
        };
        let spots = py.detach(|| find(&self.inner.lock(), limit));
        Ok(spots.iter().map(|spot| spot_row(py, spot)).collect())
    }

    #[pyo3(signature = (tx_hash, limit, /))]
    fn dependencies<'py>(
        &self,
        py: Python<'py>,
        tx_hash: &[u8],
        limit: usize,
    ) -> PyResult<Option<Vec<ConflictRow<'py>>>> {
        let hash = convert::hash(tx_hash)?;
        let found = py.detach(|| self.inner.lock().dependencies_of(&hash, limit));
        Ok(found.map(|found| {
            found.iter().map(|edge| conflict_row(py, edge.dependency, &edge.conflict)).collect()
        }))
    }

    #[pyo3(signature = (access_set, sender, limit, /))]
    fn conflicts<'py>(
        &self,
        py: Python<'py>,
        access_set: &PyAccessSet,
        sender: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<(Vec<ConflictRow<'py>>, usize)> {
        let (sender, access) = (sender.map(convert::address).transpose()?, Arc::clone(&access_set.inner));
        let found = py.detach(|| self.inner.lock().conflicts_with(&access, sender, limit));
        let rows = found.conflicts.iter().map(|(hash, conflict)| conflict_row(py, *hash, conflict));
        Ok((rows.collect(), found.transactions))
    }
}

/// A batch size that follows what execution observed.
#[pyclass(frozen, name = "AdaptiveSize", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyAdaptiveSize {
    inner: Mutex<AdaptiveSize>,
}

#[pymethods]
impl PyAdaptiveSize {
    #[new]
    #[pyo3(signature = (size, /))]
    fn new(size: usize) -> Self {
        Self { inner: Mutex::new(AdaptiveSize::new(size)) }
    }

    #[getter]
    fn size(&self) -> usize {
        self.inner.lock().size()
    }

    #[pyo3(signature = (plan, built, /))]
    fn observe(&self, py: Python<'_>, plan: &PyBatchPlan, built: &PyBuiltBlock) -> usize {
        let (plan, built) = (plan.plan(), Arc::clone(&built.inner));
        py.detach(|| {
            let rows = built.block.transactions.iter().zip(&built.receipts);
            let executions = &built.statistics.executions_per_transaction;
            let ran = rows.zip(executions).map(|((tx, receipt), &executions)| Ran {
                hash: tx.tx.hash,
                executions: u64::from(executions),
                gas_used: receipt.gas_used,
            });
            let observed = plan.observed(ran);
            let mut size = self.inner.lock();
            size.observe(observed);
            size.size()
        })
    }
}

fn pooled(tx: &PyTransaction, arrival: u64) -> PyResult<Pooled> {
    let recovered = tx.recovered()?;
    let tx = &recovered.tx;
    let capped = |wei: U256| u128::try_from(wei).unwrap_or(u128::MAX);
    Ok(Pooled {
        hash: tx.hash,
        sender: recovered.sender,
        nonce: tx.nonce,
        arrival,
        gas_limit: tx.gas_limit,
        blob_gas: GAS_PER_BLOB.saturating_mul(tx.blob_versioned_hashes.len() as u64),
        size: tx.raw.len() as u64,
        max_fee_per_gas: capped(tx.max_fee_per_gas),
        max_priority_fee_per_gas: capped(tx.max_priority_fee_per_gas),
        asks_sequential: tx.tag() == Some(Tag::Sequential),
    })
}

fn set_of<T, R, S>(items: &[T], convert: impl Fn(&T) -> PyResult<R>) -> PyResult<HashSet<R, S>>
where
    R: Eq + std::hash::Hash,
    S: std::hash::BuildHasher + Default,
{
    items.iter().map(convert).collect()
}

fn spot_row<'py>(py: Python<'py>, spot: &HotSpot) -> SpotRow<'py> {
    let (field, slot) = match spot.field {
        Some(field) => {
            let (name, slot) = field_parts(py, field);
            (Some(name), slot)
        }
        None => (None, None),
    };
    let address = convert::bytes(py, spot.address);
    (address, field, slot, spot.readers, spot.changers, spot.writers, spot.queue, spot.waiting_gas)
}
