//! Messages to simulate, and what they did.

use std::time::Duration;

use parallelpool_core::chain::simulation::{
    BlockOverrides, CallOutcome, CallRequest, SimulationLimits, StateOverride,
};
use parallelpool_core::primitives::U256;
use parallelpool_core::tx::{AccessListItem, Authorization};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::convert;
use crate::error::invalid;

/// A message to simulate.
#[pyclass(frozen, name = "CallRequest", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyCallRequest {
    pub inner: CallRequest,
}

type Quantity<'py> = Option<Bound<'py, PyAny>>;
type AccessListRow = (Vec<u8>, Vec<Vec<u8>>);
type Slots = Vec<(Vec<u8>, Vec<u8>)>;
type AuthorizationRow<'py> = (Bound<'py, PyAny>, Vec<u8>, u64, u8, Bound<'py, PyAny>, Bound<'py, PyAny>);
pub type OverrideRow<'py> =
    (Vec<u8>, Option<u64>, Quantity<'py>, Option<Vec<u8>>, Option<Slots>, Option<Slots>, Option<Vec<u8>>);

#[pymethods]
impl PyCallRequest {
    #[new]
    #[pyo3(signature = (*, sender = None, to = None, data = Vec::new(), value = None, gas = None, gas_price = None,
                        max_fee_per_gas = None, max_priority_fee_per_gas = None, max_fee_per_blob_gas = None,
                        nonce = None, access_list = None, blob_versioned_hashes = Vec::new(),
                        authorization_list = Vec::new(), tx_type = None, contradiction = None,
                        state_overrides = Vec::new(), block_overrides = None))]
    // One keyword per field of the JSON object; a struct on the Python side would only repeat them.
    #[allow(clippy::too_many_arguments)]
    fn new(
        sender: Option<&[u8]>,
        to: Option<&[u8]>,
        data: Vec<u8>,
        value: Quantity<'_>,
        gas: Option<u64>,
        gas_price: Quantity<'_>,
        max_fee_per_gas: Quantity<'_>,
        max_priority_fee_per_gas: Quantity<'_>,
        max_fee_per_blob_gas: Quantity<'_>,
        nonce: Option<u64>,
        access_list: Option<Vec<AccessListRow>>,
        blob_versioned_hashes: Vec<Vec<u8>>,
        authorization_list: Vec<AuthorizationRow<'_>>,
        tx_type: Option<u8>,
        contradiction: Option<String>,
        state_overrides: Vec<OverrideRow<'_>>,
        block_overrides: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let inner = CallRequest {
            sender: sender.map(convert::address).transpose()?.unwrap_or_default(),
            to: to.map(convert::address).transpose()?,
            data: data.into(),
            value: quantity(&value)?.unwrap_or_default(),
            gas,
            gas_price: quantity(&gas_price)?,
            max_fee_per_gas: quantity(&max_fee_per_gas)?,
            max_priority_fee_per_gas: quantity(&max_priority_fee_per_gas)?,
            max_fee_per_blob_gas: quantity(&max_fee_per_blob_gas)?,
            nonce,
            access_list: access_list
                .map(|list| list.into_iter().map(access_list_item).collect())
                .transpose()?,
            blob_versioned_hashes: all(&blob_versioned_hashes, |hash| convert::hash(hash))?,
            authorization_list: all(&authorization_list, authorization)?,
            tx_type,
            contradiction,
            state_overrides: all(&state_overrides, state_override)?,
            block_overrides: block_overrides.map(block_override).transpose()?.unwrap_or_default(),
        };
        Ok(Self { inner })
    }
}

pub fn all<T, R>(items: &[T], convert: impl Fn(&T) -> PyResult<R>) -> PyResult<Vec<R>> {
    items.iter().map(convert).collect()
}

fn quantity(value: &Quantity<'_>) -> PyResult<Option<U256>> {
    value.as_ref().map(convert::number).transpose()
}

fn access_list_item((address, keys): AccessListRow) -> PyResult<AccessListItem> {
    let storage_keys = all(&keys, |key| convert::hash(key))?;
    Ok(AccessListItem { address: convert::address(&address)?, storage_keys })
}

fn authorization(row: &AuthorizationRow<'_>) -> PyResult<Authorization> {
    let (chain_id, address, nonce, y_parity, r, s) = row;
    Ok(Authorization {
        chain_id: convert::number(chain_id)?,
        address: convert::address(address)?,
        nonce: *nonce,
        y_parity: *y_parity,
        r: convert::number(r)?,
        s: convert::number(s)?,
    })
}

pub fn state_override(row: &OverrideRow<'_>) -> PyResult<StateOverride> {
    let (address, nonce, balance, code, state, difference, move_precompile_to) = row;
    let slots = |slots: &Option<Slots>| -> PyResult<Option<Vec<(U256, U256)>>> {
        let pair = |(slot, value): &(Vec<u8>, Vec<u8>)| Ok((convert::slot(slot)?, convert::slot(value)?));
        slots.as_ref().map(|list| all(list, pair)).transpose()
    };
    Ok(StateOverride {
        address: convert::address(address)?,
        nonce: *nonce,
        balance: quantity(balance)?,
        code: code.clone().map(Into::into),
        state: slots(state)?,
        state_diff: slots(difference)?,
        move_precompile_to: move_precompile_to.as_deref().map(convert::address).transpose()?,
    })
}

pub fn block_override(fields: &Bound<'_, PyDict>) -> PyResult<BlockOverrides> {
    let mut overrides = BlockOverrides::default();
    for (name, value) in fields {
        let name: String = name.extract()?;
        match name.as_str() {
            "number" => overrides.number = Some(value.extract()?),
            "time" => overrides.time = Some(value.extract()?),
            "gas_limit" => overrides.gas_limit = Some(value.extract()?),
            "difficulty" => overrides.difficulty = Some(convert::number(&value)?),
            "fee_recipient" => overrides.fee_recipient = Some(convert::address(value.extract::<&[u8]>()?)?),
            "prev_randao" => overrides.prev_randao = Some(convert::hash(value.extract::<&[u8]>()?)?),
            "base_fee" => overrides.base_fee = Some(value.extract()?),
            "blob_base_fee" => overrides.blob_base_fee = Some(value.extract()?),
            other => return Err(invalid(format!("unknown block override {other:?}"))),
        }
    }
    Ok(overrides)
}

/// How far a simulation may go.
pub fn limits(gas_cap: u64, timeout_ms: u64) -> SimulationLimits {
    SimulationLimits { gas_cap, timeout: Duration::from_millis(timeout_ms) }
}

/// What a simulated message did.
#[pyclass(frozen, name = "CallOutcome", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyCallOutcome {
    inner: CallOutcome,
}

impl From<CallOutcome> for PyCallOutcome {
    fn from(inner: CallOutcome) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl PyCallOutcome {
    #[getter]
    fn success(&self) -> bool {
        self.inner.success
    }
    #[getter]
    fn reverted(&self) -> bool {
        self.inner.reverted
    }
    #[getter]
    fn output<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        convert::bytes(py, &self.inner.output)
    }
    #[getter]
    fn gas_used(&self) -> u64 {
        self.inner.gas_used
    }
    #[getter]
    fn error(&self) -> Option<&str> {
        self.inner.error.as_deref()
    }
    #[getter]
    fn message_error(&self) -> Option<&str> {
        self.inner.message_error.as_deref()
    }
    #[getter]
    fn access_list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let row = |item: &AccessListItem| -> PyResult<_> {
            let keys = PyTuple::new(py, item.storage_keys.iter().map(|key| convert::bytes(py, key)))?;
            Ok((convert::bytes(py, item.address), keys))
        };
        PyTuple::new(py, all(&self.inner.access_list, row)?)
    }
}
