//! Checked conversions between Python values and the engine's types.

use std::fmt;

use parallelpool_core::primitives::{Address, B256, U256};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt};

use crate::error::invalid;

/// 20 bytes.
pub fn address(bytes: &[u8]) -> PyResult<Address> {
    Address::try_from(bytes).map_err(|_| invalid(format!("an address has 20 bytes, not {}", bytes.len())))
}

/// 32 bytes.
pub fn hash(bytes: &[u8]) -> PyResult<B256> {
    B256::try_from(bytes).map_err(|_| invalid(format!("a hash has 32 bytes, not {}", bytes.len())))
}

/// 32 bytes, read as a big-endian number.
pub fn slot(bytes: &[u8]) -> PyResult<U256> {
    Ok(hash(bytes)?.into())
}

/// `bytes` of a fixed-size or slice value.
pub fn bytes<'py>(py: Python<'py>, value: impl AsRef<[u8]>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, value.as_ref())
}

/// A 256-bit number as a Python int.
pub fn int<'py>(py: Python<'py>, value: U256) -> PyResult<Bound<'py, PyAny>> {
    match u128::try_from(value) {
        Ok(small) => Ok(small.into_pyobject(py)?.into_any()),
        Err(_) => {
            py.get_type::<PyInt>().call_method1("from_bytes", (bytes(py, value.to_be_bytes::<32>()), "big"))
        }
    }
}

/// A Python int as a 256-bit number. Negative and wider values are refused.
pub fn number(value: &Bound<'_, PyAny>) -> PyResult<U256> {
    if let Ok(small) = value.extract::<u128>() {
        return Ok(U256::from(small));
    }
    let refused = || invalid("a quantity must be an int from 0 to 2^256-1");
    if !value.is_instance_of::<PyInt>() {
        return Err(refused());
    }
    let wide = value.call_method1("to_bytes", (32, "big")).map_err(|_| refused())?;
    Ok(U256::from_be_slice(wide.extract::<&[u8]>()?))
}

/// A Python object that is made when it is first asked for and then is the same for all who ask.
pub struct Once<T>(PyOnceLock<Py<T>>);

impl<T> Once<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(PyOnceLock::new())
    }

    /// The object, made by `make` if it is not there.
    pub fn get<'a, 'py>(
        &'a self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Bound<'py, T>>,
    ) -> PyResult<&'a Bound<'py, T>> {
        Ok(self.0.get_or_try_init(py, || make().map(Bound::unbind))?.bind(py))
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Once(..)")
    }
}
