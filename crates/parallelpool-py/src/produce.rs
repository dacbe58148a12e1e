//! Making blocks: what the producer chooses, and what comes of it.

use std::sync::Arc;

use parallelpool_core::block::{InvalidTransaction, Withdrawal};
use parallelpool_core::chain::{BlockAttributes, BuiltBlock};
use parallelpool_core::execution::{ExecuteOptions, LeftOut, Mode, Techniques};
use parallelpool_core::primitives::B256;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::blocks::{PyBlock, PyExecutionStatistics, receipts};
use crate::convert::{self, Once};
use crate::error::invalid;

/// `serial`, `parallel` or `auto`, on so many threads. Whoever asks for `serial` wants an oracle, which
/// takes no short cuts.
pub fn execute_options(mode: &str, threads: usize) -> PyResult<ExecuteOptions> {
    let mode = match mode {
        "serial" => Mode::Serial,
        "parallel" => Mode::Parallel,
        "auto" => Mode::Auto,
        other => return Err(invalid(format!("mode must be serial, parallel or auto, not {other:?}"))),
    };
    let techniques = if mode == Mode::Serial { Techniques::NONE } else { Techniques::default() };
    Ok(ExecuteOptions {
        mode,
        threads,
        techniques,
        #[cfg(feature = "faults")]
        fault: fault()?,
        ..ExecuteOptions::default()
    })
}

/// What the environment asks to be done wrong.
#[cfg(feature = "faults")]
fn fault() -> PyResult<Option<parallelpool_core::faults::Fault>> {
    let Ok(name) = std::env::var("ENGINE_FAULT") else { return Ok(None) };
    match parallelpool_core::faults::Fault::named(&name) {
        Some(fault) => Ok(Some(fault)),
        None => Err(invalid(format!("ENGINE_FAULT: no fault {name:?}"))),
    }
}

/// Index, validator index, address, gwei.
pub type WithdrawalRow = (u64, u64, Vec<u8>, u64);

/// EIP-4895 withdrawals.
pub fn withdrawals(rows: Vec<WithdrawalRow>) -> PyResult<Vec<Withdrawal>> {
    let withdrawal = |(index, validator_index, address, amount): WithdrawalRow| {
        Ok(Withdrawal { index, validator_index, address: convert::address(&address)?, amount })
    };
    rows.into_iter().map(withdrawal).collect()
}

/// What the producer chooses for the next block.
#[pyclass(frozen, name = "BlockAttributes", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBlockAttributes {
    pub inner: BlockAttributes,
}

#[pymethods]
impl PyBlockAttributes {
    #[new]
    #[pyo3(signature = (*, timestamp, beneficiary, prev_randao, gas_limit, extra_data = Vec::new(),
                        parent_beacon_block_root = None, withdrawals = None))]
    fn new(
        timestamp: u64,
        beneficiary: &[u8],
        prev_randao: &[u8],
        gas_limit: u64,
        extra_data: Vec<u8>,
        parent_beacon_block_root: Option<&[u8]>,
        withdrawals: Option<Vec<WithdrawalRow>>,
    ) -> PyResult<Self> {
        let inner = BlockAttributes {
            timestamp,
            beneficiary: convert::address(beneficiary)?,
            prev_randao: convert::hash(prev_randao)?,
            gas_limit,
            extra_data: extra_data.into(),
            parent_beacon_block_root: parent_beacon_block_root.map(convert::hash).transpose()?,
            withdrawals: withdrawals.map(self::withdrawals).transpose()?,
            slot_number: None,
        };
        Ok(Self { inner })
    }
}

/// A candidate that is not in the built block.
#[pyclass(frozen, name = "LeftOut", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyLeftOut {
    hash: B256,
    inner: LeftOut,
}

#[pymethods]
impl PyLeftOut {
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, self.hash)
    }
    #[getter]
    fn kind(&self) -> &'static str {
        match self.inner.reason {
            InvalidTransaction::NonceTooLow { .. } => "nonce_too_low",
            InvalidTransaction::NonceTooHigh { .. } => "nonce_too_high",
            InvalidTransaction::InsufficientFunds { .. } => "insufficient_funds",
            InvalidTransaction::FeeCapTooLow { .. } | InvalidTransaction::BlobFeeCapTooLow { .. } => {
                "fee_cap_too_low"
            }
            InvalidTransaction::BlockGasLimit { .. }
            | InvalidTransaction::BlobGasLimit
            | InvalidTransaction::BlockSizeLimit => "block_full",
            _ => "invalid",
        }
    }
    #[getter]
    fn message(&self) -> String {
        self.inner.reason.to_string()
    }
}

/// A block that was executed and is not stored yet.
#[pyclass(frozen, name = "BuiltBlock", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyBuiltBlock {
    pub inner: Arc<BuiltBlock>,
    candidates: Vec<B256>,
    block: Once<PyBlock>,
    receipts: Once<PyTuple>,
}

impl PyBuiltBlock {
    /// `candidates`: hashes of all that were offered, in order.
    pub fn new(inner: BuiltBlock, candidates: Vec<B256>) -> Self {
        Self { inner: Arc::new(inner), candidates, block: Once::new(), receipts: Once::new() }
    }
}

#[pymethods]
impl PyBuiltBlock {
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyBlock>> {
        self.block.get(py, || Bound::new(py, PyBlock::from(self.inner.block.clone())))
    }
    #[getter]
    fn receipts<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        self.receipts.get(py, || receipts(py, self.inner.receipts.clone()))
    }
    #[getter]
    fn left_out<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let rows = self.inner.left_out.iter();
        PyTuple::new(
            py,
            rows.map(|left| PyLeftOut { hash: self.candidates[left.candidate], inner: left.clone() }),
        )
    }
    #[getter]
    fn statistics(&self) -> PyExecutionStatistics {
        self.inner.statistics.clone().into()
    }
}
