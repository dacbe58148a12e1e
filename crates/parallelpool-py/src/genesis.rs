//! Documents and streams that chains are made from.

use parallelpool_core::block_codec::{Block, blocks};
use parallelpool_core::genesis::dev_genesis_json;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::detach::detached;

/// The genesis document of the embedded dev chain.
#[pyfunction]
pub fn dev_genesis(py: Python<'_>) -> Bound<'_, PyBytes> {
    convert::bytes(py, dev_genesis_json())
}

/// Splits a stream of RLP blocks.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub fn split_blocks(py: Python<'_>, data: Vec<u8>) -> PyResult<Vec<Bound<'_, PyBytes>>> {
    let encoded =
        detached(py, || blocks(&data).map(|block| Ok(block?.encode())).collect::<Result<Vec<_>, _>>())?;
    Ok(encoded.iter().map(|block| convert::bytes(py, block)).collect())
}

/// Hash of an RLP block.
#[pyfunction]
#[pyo3(signature = (raw, /))]
pub fn block_hash<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let block = detached(py, || Block::decode(raw))?;
    Ok(convert::bytes(py, block.hash))
}
