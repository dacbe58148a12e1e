//! The embedded chain as Python sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parallelpool_core::chain::{Chain, ChainOptions, LogFilter};
use parallelpool_core::chainspec::{Activation, ChainSpec};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::ExecuteOptions;
use parallelpool_core::header::{blob_base_fee, next_base_fee, next_excess_blob_gas, next_gas_limit};
use parallelpool_core::predictions::{Bounds, Expected};
use parallelpool_core::primitives::{Address, B256, KECCAK_EMPTY, U256};
use parallelpool_core::state;
use parallelpool_core::store::Durability;
use parallelpool_core::tx::SharedTransaction;
use parking_lot::RwLock;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::access_lists;
use crate::blocks::{PyBlock, PyExecutionStatistics, PyHeader, PyLog, receipts};
use crate::convert;
use crate::detach::detached;
use crate::error::invalid;
use crate::hints::PyAccessSet;
use crate::predictions::PyPredictionStatistics;
use crate::produce::{PyBlockAttributes, PyBuiltBlock, execute_options};
use crate::replay::PyReplayBlock;
use crate::rules::PyRules;
use crate::series::{SeriesOutcome, SeriesRow, series};
use crate::simulation::{PyCallOutcome, PyCallRequest, limits};
use crate::tracing::{self, OrderRow, TraceOutcome};
use crate::transaction::PyTransaction;
use crate::workers::PyWorkers;

/// An account, absent ones with neutral values.
#[pyclass(frozen, name = "Account", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyAccount {
    inner: Option<state::Account>,
}

impl From<Option<state::Account>> for PyAccount {
    fn from(inner: Option<state::Account>) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl PyAccount {
    #[getter]
    fn nonce(&self) -> u64 {
        self.inner.map_or(0, |account| account.nonce)
    }
    #[getter]
    fn balance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::int(py, self.inner.map_or(U256::ZERO, |account| account.balance))
    }
    #[getter]
    fn code_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.inner.map_or(KECCAK_EMPTY, |account| account.code_hash))
    }
    #[getter]
    fn exists(&self) -> bool {
        self.inner.is_some()
    }
}

/// Blocks, state, receipts, and their making. Empty once closed.
#[pyclass(frozen, name = "Chain", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyChain {
    inner: RwLock<Option<Arc<Chain>>>,
}

impl PyChain {
    /// The chain; refused once it is closed.
    pub fn get(&self) -> PyResult<Arc<Chain>> {
        let chain = self.inner.read().clone();
        chain.ok_or_else(|| {
            crate::error::BindingError::Core(CoreError::Storage("the chain is closed".to_owned())).into()
        })
    }
}

type LogRow = (u64, usize, usize, PyLog);
/// Account, storage root, account nodes, slots.
type Proof<'py> = (PyAccount, Bound<'py, PyBytes>, Bound<'py, PyTuple>, Bound<'py, PyTuple>);

#[pymethods]
impl PyChain {
    #[staticmethod]
    #[pyo3(signature = (genesis, datadir, workers, /, *, durability = "fsync"))]
    fn open(
        py: Python<'_>,
        genesis: Vec<u8>,
        datadir: Option<PathBuf>,
        workers: &PyWorkers,
        durability: &str,
    ) -> PyResult<Self> {
        let durability = match durability {
            "fsync" => Durability::Immediate,
            "buffered" => Durability::Eventual,
            other => return Err(invalid(format!("durability must be fsync or buffered, not {other:?}"))),
        };
        let workers = Arc::clone(&workers.inner);
        let chain = detached(py, move || {
            Chain::open(ChainOptions { genesis_json: &genesis, datadir, workers, durability })
        })?;
        Ok(Self { inner: RwLock::new(Some(Arc::new(chain))) })
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let chain = self.inner.write().take();
        detached(py, move || {
            drop(chain);
            Ok(())
        })
    }

    // ---- facts

    #[getter]
    fn chain_id(&self) -> PyResult<u64> {
        Ok(self.get()?.spec().chain_id)
    }
    #[getter]
    fn genesis_hash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(convert::bytes(py, self.get()?.genesis_hash()))
    }
    #[getter]
    fn parallel_tx_type(&self) -> PyResult<Option<u8>> {
        Ok(self.get()?.spec().parallel_tx_type)
    }
    #[pyo3(signature = (number, timestamp, /))]
    fn rules_at(&self, number: u64, timestamp: u64) -> PyResult<PyRules> {
        Ok(PyRules { inner: self.get()?.rules_at(number, timestamp) })
    }
    fn fork_schedule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        schedule(py, self.get()?.spec())
    }

    // ---- blocks

    fn head(&self) -> PyResult<PyHeader> {
        Ok(self.get()?.head().into())
    }
    #[pyo3(signature = (number, /))]
    fn header_by_number(&self, py: Python<'_>, number: u64) -> PyResult<Option<PyHeader>> {
        let chain = self.get()?;
        Ok(detached(py, || chain.header_by_number(number))?.map(PyHeader::from))
    }
    #[pyo3(signature = (block_hash, /))]
    fn header_by_hash(&self, py: Python<'_>, block_hash: &[u8]) -> PyResult<Option<PyHeader>> {
        let (chain, hash) = (self.get()?, convert::hash(block_hash)?);
        Ok(detached(py, || chain.header_by_hash(&hash))?.map(PyHeader::from))
    }
    #[pyo3(signature = (number, /))]
    fn block_by_number(&self, py: Python<'_>, number: u64) -> PyResult<Option<PyBlock>> {
        let chain = self.get()?;
        Ok(detached(py, || chain.block_by_number(number))?.map(PyBlock::from))
    }
    #[pyo3(signature = (block_hash, /))]
    fn block_by_hash(&self, py: Python<'_>, block_hash: &[u8]) -> PyResult<Option<PyBlock>> {
        let (chain, hash) = (self.get()?, convert::hash(block_hash)?);
        Ok(detached(py, || chain.block_by_hash(&hash))?.map(PyBlock::from))
    }
    #[pyo3(signature = (number, /))]
    fn receipts<'py>(&self, py: Python<'py>, number: u64) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let chain = self.get()?;
        detached(py, || chain.receipts(number))?.map(|found| receipts(py, found)).transpose()
    }
    #[pyo3(signature = (number, /))]
    fn block_access_list<'py>(
        &self,
        py: Python<'py>,
        number: u64,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyTuple>)>> {
        let chain = self.get()?;
        let list = detached(py, || chain.block_access_list(number))?;
        list.map(|list| access_lists::rows(py, &list)).transpose()
    }
    #[pyo3(signature = (tx_hash, /))]
    fn transaction_location(&self, py: Python<'_>, tx_hash: &[u8]) -> PyResult<Option<(u64, u32)>> {
        let (chain, hash) = (self.get()?, convert::hash(tx_hash)?);
        detached(py, || chain.transaction_location(&hash))
    }
    #[pyo3(signature = (hashes, /))]
    fn transaction_locations(
        &self,
        py: Python<'_>,
        hashes: Vec<Vec<u8>>,
    ) -> PyResult<Vec<Option<(u64, u32)>>> {
        let hashes: Vec<B256> = hashes.iter().map(|hash| convert::hash(hash)).collect::<PyResult<_>>()?;
        let chain = self.get()?;
        detached(py, || chain.transaction_locations(&hashes))
    }
    #[pyo3(signature = (number, block_hash, /))]
    fn accounts_changed_since<'py>(
        &self,
        py: Python<'py>,
        number: u64,
        block_hash: &[u8],
    ) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        let (chain, hash) = (self.get()?, convert::hash(block_hash)?);
        let changed = detached(py, || chain.accounts_changed_since(number, &hash))?;
        Ok(changed.map(|changed| changed.iter().map(|address| convert::bytes(py, address)).collect()))
    }
    #[pyo3(signature = (first, last, addresses, topics, limit, /))]
    fn logs(
        &self,
        py: Python<'_>,
        first: u64,
        last: u64,
        addresses: Vec<Vec<u8>>,
        topics: Vec<Option<Vec<Vec<u8>>>>,
        limit: usize,
    ) -> PyResult<Vec<LogRow>> {
        let chain = self.get()?;
        let addresses: PyResult<Vec<Address>> = addresses.iter().map(|one| convert::address(one)).collect();
        let position = |position: &Option<Vec<Vec<u8>>>| -> PyResult<Vec<B256>> {
            position.iter().flatten().map(|topic| convert::hash(topic)).collect()
        };
        let topics: PyResult<Vec<_>> = topics.iter().map(position).collect();
        let filter = LogFilter { first, last, addresses: addresses?, topics: topics?, limit };
        let found = detached(py, || chain.logs(&filter))?;
        let row = |one: parallelpool_core::chain::FoundLog| {
            (one.block_number, one.transaction_index, one.log_index, PyLog::from(one.log))
        };
        Ok(found.into_iter().map(row).collect())
    }

    /// Before the merge the fee does not depend on the next timestamp, afterwards the next
    /// second is taken: base fees change at forks by number only.
    #[pyo3(signature = (number = None, /))]
    fn next_base_fee(&self, py: Python<'_>, number: Option<u64>) -> PyResult<Option<u64>> {
        let chain = self.get()?;
        detached(py, || {
            let Some(parent) = header_or_head(&chain, number)? else { return Ok(None) };
            Ok(next_base_fee(chain.spec(), &parent.header, parent.header.timestamp + 1))
        })
    }
    #[pyo3(signature = (wanted, timestamp, /))]
    fn next_gas_limit(&self, wanted: u64, timestamp: u64) -> PyResult<u64> {
        let chain = self.get()?;
        Ok(next_gas_limit(chain.spec(), &chain.head().header, timestamp, wanted))
    }
    #[pyo3(signature = (number = None, /, *, following = false))]
    fn blob_base_fee(&self, py: Python<'_>, number: Option<u64>, following: bool) -> PyResult<Option<u128>> {
        let chain = self.get()?;
        detached(py, || {
            let Some(header) = header_or_head(&chain, number)? else { return Ok(None) };
            let header = &header.header;
            let (at, excess) = if following {
                let next = header.timestamp + 1;
                ((header.number + 1, next), next_excess_blob_gas(chain.spec(), header, next))
            } else {
                ((header.number, header.timestamp), header.excess_blob_gas)
            };
            let blobs = chain.rules_at(at.0, at.1).blobs;
            Ok(blobs.zip(excess).map(|(blobs, excess)| blob_base_fee(&blobs, excess)))
        })
    }

    // ---- state

    #[pyo3(signature = (address, number = None, /))]
    fn account(&self, py: Python<'_>, address: &[u8], number: Option<u64>) -> PyResult<PyAccount> {
        let (chain, address) = (self.get()?, convert::address(address)?);
        Ok(detached(py, || chain.account(&address, number))?.into())
    }
    #[pyo3(signature = (addresses, /))]
    fn accounts(&self, py: Python<'_>, addresses: Vec<Vec<u8>>) -> PyResult<Vec<PyAccount>> {
        let chain = self.get()?;
        let addresses: PyResult<Vec<Address>> = addresses.iter().map(|one| convert::address(one)).collect();
        let addresses = addresses?;
        Ok(detached(py, || chain.accounts(&addresses))?.into_iter().map(PyAccount::from).collect())
    }
    #[pyo3(signature = (address, number = None, /))]
    fn code<'py>(
        &self,
        py: Python<'py>,
        address: &[u8],
        number: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (chain, address) = (self.get()?, convert::address(address)?);
        Ok(convert::bytes(py, detached(py, || chain.code(&address, number))?.original_byte_slice()))
    }
    #[pyo3(signature = (address, slot, number = None, /))]
    fn storage<'py>(
        &self,
        py: Python<'py>,
        address: &[u8],
        slot: &[u8],
        number: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (chain, address, slot) = (self.get()?, convert::address(address)?, convert::slot(slot)?);
        let value = detached(py, || chain.storage(&address, &slot, number))?;
        Ok(convert::bytes(py, value.to_be_bytes::<32>()))
    }
    #[pyo3(signature = (address, slots, number = None, /))]
    fn proof<'py>(
        &self,
        py: Python<'py>,
        address: &[u8],
        slots: Vec<Vec<u8>>,
        number: Option<u64>,
    ) -> PyResult<Proof<'py>> {
        let (chain, address) = (self.get()?, convert::address(address)?);
        let slots: PyResult<Vec<U256>> = slots.iter().map(|slot| convert::slot(slot)).collect();
        let slots = slots?;
        let found = detached(py, || chain.proof(address, &slots, number))?;
        let nodes = |nodes: &[parallelpool_core::primitives::Bytes]| {
            PyTuple::new(py, nodes.iter().map(|node| convert::bytes(py, node)))
        };
        let slot_rows: PyResult<Vec<_>> = found
            .storage
            .iter()
            .map(|one| {
                let slot = convert::bytes(py, one.slot.to_be_bytes::<32>());
                Ok((slot, convert::bytes(py, one.value.to_be_bytes::<32>()), nodes(&one.proof)?))
            })
            .collect();
        let root = convert::bytes(py, found.storage_root);
        let account_nodes = nodes(&found.proof)?;
        Ok((found.account.into(), root, account_nodes, PyTuple::new(py, slot_rows?)?))
    }

    // ---- making blocks

    #[pyo3(signature = (attributes, candidates, mode, /, *, threads = 0, check_transfers = 0))]
    fn build(
        &self,
        py: Python<'_>,
        attributes: &PyBlockAttributes,
        candidates: Vec<PyRef<'_, PyTransaction>>,
        mode: &str,
        threads: usize,
        check_transfers: u32,
    ) -> PyResult<PyBuiltBlock> {
        let chain = self.get()?;
        let options = ExecuteOptions { check_transfers, ..execute_options(mode, threads)? };
        let candidates = shared(&candidates)?;
        let attributes = &attributes.inner;
        let hashes = candidates.iter().map(|tx| tx.tx.hash).collect();
        let built = detached(py, || chain.build(attributes, &candidates, &options))?;
        Ok(PyBuiltBlock::new(built, hashes))
    }
    #[pyo3(signature = (built, /))]
    fn commit(&self, py: Python<'_>, built: &PyBuiltBlock) -> PyResult<()> {
        let (chain, built) = (self.get()?, Arc::clone(&built.inner));
        detached(py, || chain.commit(&built).map(drop))
    }
    #[pyo3(signature = (raw, mode, /, *, threads = 0))]
    fn import_block(
        &self,
        py: Python<'_>,
        raw: Vec<u8>,
        mode: &str,
        threads: usize,
    ) -> PyResult<(PyBlock, PyExecutionStatistics)> {
        let (chain, options) = (self.get()?, execute_options(mode, threads)?);
        let imported = detached(py, || chain.import_block(&raw, &options))?;
        Ok((imported.block.into(), imported.statistics.into()))
    }
    #[pyo3(signature = (built, candidates, difference, /))]
    fn reproducer<'py>(
        &self,
        py: Python<'py>,
        built: &PyBuiltBlock,
        candidates: Vec<PyRef<'_, PyTransaction>>,
        difference: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (chain, built, candidates) = (self.get()?, Arc::clone(&built.inner), shared(&candidates)?);
        Ok(convert::bytes(py, detached(py, move || chain.reproducer(&built, &candidates, difference))?))
    }
    #[pyo3(signature = (number, /))]
    fn replay_block(&self, py: Python<'_>, number: u64) -> PyResult<Option<PyReplayBlock>> {
        let chain = self.get()?;
        let block = detached(py, move || chain.replay_block(number))?;
        Ok(block.map(|block| PyReplayBlock { inner: Arc::new(block) }))
    }
    #[pyo3(signature = (number, /))]
    fn revert_to(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        let chain = self.get()?;
        detached(py, || chain.revert_to(number).map(drop))
    }

    // ---- simulation

    #[pyo3(signature = (request, number, gas_cap, timeout_ms, /))]
    fn call(
        &self,
        py: Python<'_>,
        request: &PyCallRequest,
        number: Option<u64>,
        gas_cap: u64,
        timeout_ms: u64,
    ) -> PyResult<PyCallOutcome> {
        let (chain, request) = (self.get()?, &request.inner);
        Ok(detached(py, || chain.call(request, number, limits(gas_cap, timeout_ms)))?.into())
    }
    #[pyo3(signature = (request, number, gas_cap, timeout_ms, /))]
    fn estimate_gas(
        &self,
        py: Python<'_>,
        request: &PyCallRequest,
        number: Option<u64>,
        gas_cap: u64,
        timeout_ms: u64,
    ) -> PyResult<(u64, PyCallOutcome)> {
        let (chain, request) = (self.get()?, &request.inner);
        let (gas, outcome) =
            detached(py, || chain.estimate_gas(request, number, limits(gas_cap, timeout_ms)))?;
        Ok((gas, outcome.into()))
    }
    #[pyo3(signature = (request, number, gas_cap, timeout_ms, /))]
    fn create_access_list(
        &self,
        py: Python<'_>,
        request: &PyCallRequest,
        number: Option<u64>,
        gas_cap: u64,
        timeout_ms: u64,
    ) -> PyResult<PyCallOutcome> {
        let (chain, request) = (self.get()?, &request.inner);
        Ok(detached(py, || chain.create_access_list(request, number, limits(gas_cap, timeout_ms)))?.into())
    }
    #[pyo3(signature = (blocks, number, validate, tells_moves, gas_cap, timeout_ms, /))]
    // As many as the request has members, and the limits.
    #[allow(clippy::too_many_arguments)]
    fn simulate(
        &self,
        py: Python<'_>,
        blocks: Vec<SeriesRow<'_>>,
        number: u64,
        validate: bool,
        tells_moves: bool,
        gas_cap: u64,
        timeout_ms: u64,
    ) -> PyResult<SeriesOutcome> {
        let chain = self.get()?;
        let series = series(blocks, validate, tells_moves)?;
        Ok(match detached(py, || chain.simulate(&series, number, limits(gas_cap, timeout_ms)))? {
            Ok(blocks) => (None, blocks.into_iter().map(Into::into).collect()),
            Err(refusal) => (Some((refusal.code, refusal.message)), Vec::new()),
        })
    }

    // ---- traces

    #[pyo3(signature = (number, index, order, /))]
    fn trace_transaction<'py>(
        &self,
        py: Python<'py>,
        number: u64,
        index: usize,
        order: OrderRow<'py>,
    ) -> PyResult<TraceOutcome<'py>> {
        let (chain, order) = (self.get()?, tracing::order(order)?);
        tracing::outcome(py, detached(py, || chain.trace_transaction(number, index, &order))?)
    }
    #[pyo3(signature = (number, order, /))]
    fn trace_block<'py>(
        &self,
        py: Python<'py>,
        number: u64,
        order: OrderRow<'py>,
    ) -> PyResult<TraceOutcome<'py>> {
        let (chain, order) = (self.get()?, tracing::order(order)?);
        tracing::outcome(py, detached(py, || chain.trace_block(number, &order))?)
    }
    #[pyo3(signature = (raw, order, /))]
    fn trace_raw_block<'py>(
        &self,
        py: Python<'py>,
        raw: &[u8],
        order: OrderRow<'py>,
    ) -> PyResult<TraceOutcome<'py>> {
        let (chain, order) = (self.get()?, tracing::order(order)?);
        tracing::outcome(py, detached(py, || chain.trace_raw_block(raw, &order))?)
    }
    #[pyo3(signature = (request, number, index, gas_cap, order, /))]
    fn trace_call<'py>(
        &self,
        py: Python<'py>,
        request: &PyCallRequest,
        number: u64,
        index: Option<usize>,
        gas_cap: u64,
        order: OrderRow<'py>,
    ) -> PyResult<TraceOutcome<'py>> {
        let (chain, order, request) = (self.get()?, tracing::order(order)?, &request.inner);
        tracing::outcome(py, detached(py, || chain.trace_call(request, number, index, gas_cap, &order))?)
    }

    // ---- hints

    #[pyo3(signature = (transactions, /))]
    fn known_accesses(
        &self,
        py: Python<'_>,
        transactions: Vec<PyRef<'_, PyTransaction>>,
    ) -> PyResult<(Vec<PyAccessSet>, Vec<usize>)> {
        let (chain, transactions) = (self.get()?, shared(&transactions)?);
        Ok(expected(detached(py, || chain.known_accesses(&transactions))?))
    }
    #[pyo3(signature = (transactions, patience_ms, /))]
    fn predict_accesses(
        &self,
        py: Python<'_>,
        transactions: Vec<PyRef<'_, PyTransaction>>,
        patience_ms: u64,
    ) -> PyResult<(Vec<PyAccessSet>, Vec<usize>)> {
        let (chain, transactions) = (self.get()?, shared(&transactions)?);
        let patience = Duration::from_millis(patience_ms);
        Ok(expected(detached(py, || chain.predict_accesses(&transactions, patience))?))
    }
    #[pyo3(signature = (*, gas = None, time_ms = None, runs = None, sender_gas = None, locations = None))]
    fn set_prediction_bounds(
        &self,
        gas: Option<u64>,
        time_ms: Option<u64>,
        runs: Option<u32>,
        sender_gas: Option<u64>,
        locations: Option<usize>,
    ) -> PyResult<()> {
        let own = Bounds::default();
        self.get()?.predictions().set_bounds(Bounds {
            gas: gas.unwrap_or(own.gas),
            time: time_ms.map_or(own.time, Duration::from_millis),
            runs: runs.unwrap_or(own.runs),
            sender_gas: sender_gas.unwrap_or(own.sender_gas),
            locations: locations.unwrap_or(own.locations),
            ..own
        });
        Ok(())
    }
    fn predicted<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let hashes = self.get()?.predictions().hashes();
        Ok(hashes.into_iter().map(|hash| convert::bytes(py, hash)).collect())
    }
    #[pyo3(signature = (hashes, /))]
    fn forget_predictions(&self, hashes: Vec<Vec<u8>>) -> PyResult<()> {
        let hashes: PyResult<Vec<_>> = hashes.iter().map(|hash| convert::hash(hash)).collect();
        self.get()?.predictions().forget(&hashes?);
        Ok(())
    }
    #[pyo3(signature = (number, gas, patience_ms, /))]
    fn learn_from(&self, py: Python<'_>, number: u64, gas: u64, patience_ms: u64) -> PyResult<usize> {
        let chain = self.get()?;
        detached(py, || chain.learn_from(number, gas, Duration::from_millis(patience_ms)))
    }
    #[pyo3(signature = (path, /))]
    fn save_templates(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let chain = self.get()?;
        detached(py, || chain.predictions().templates().save(&path))
    }
    #[pyo3(signature = (path, /))]
    fn load_templates(&self, py: Python<'_>, path: PathBuf) -> PyResult<usize> {
        let chain = self.get()?;
        detached(py, || chain.predictions().templates().load(&path))
    }
    fn prediction_statistics(&self) -> PyResult<PyPredictionStatistics> {
        Ok(PyPredictionStatistics { inner: self.get()?.predictions().statistics() })
    }
    #[pyo3(signature = (request, gas_limit, /))]
    fn pre_execute_call(
        &self,
        py: Python<'_>,
        request: &PyCallRequest,
        gas_limit: u64,
    ) -> PyResult<PyAccessSet> {
        let (chain, request) = (self.get()?, &request.inner);
        Ok(detached(py, || chain.pre_execute_call(request, gas_limit))?.into())
    }
}

/// Access sets, and the places of those that a run may find more of.
fn expected(found: Vec<Expected>) -> (Vec<PyAccessSet>, Vec<usize>) {
    let unsettled = found.iter().enumerate().filter(|(_, one)| !one.is_settled).map(|(index, _)| index);
    let unsettled = unsettled.collect();
    (found.into_iter().map(|one| PyAccessSet { inner: one.set }).collect(), unsettled)
}

fn shared(transactions: &[PyRef<'_, PyTransaction>]) -> PyResult<Vec<SharedTransaction>> {
    transactions.iter().map(|tx| tx.recovered()).collect()
}

/// (fork, kind of activation, activation) in ascending order.
fn schedule<'py>(py: Python<'py>, spec: &ChainSpec) -> PyResult<Bound<'py, PyTuple>> {
    let rows = spec.forks.iter().map(|(fork, activation)| match activation {
        Activation::Block(number) => (fork.name(), "block", *number),
        Activation::Time(time) => (fork.name(), "time", *time),
    });
    PyTuple::new(py, rows.collect::<Vec<_>>())
}

fn header_or_head(
    chain: &Chain,
    number: Option<u64>,
) -> Result<Option<Arc<parallelpool_core::chain::SealedHeader>>, CoreError> {
    match number {
        None => Ok(Some(chain.head())),
        Some(number) => chain.header_by_number(number),
    }
}
