//! Block access lists as rows of plain values.

use parallelpool_core::block_access_list::{AccountAccesses, BlockAccessList, Change, SlotChanges};
use parallelpool_core::primitives::U256;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::convert;

/// (encoding, accounts in the list's order).
pub(crate) fn rows<'py>(
    py: Python<'py>,
    list: &BlockAccessList,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyTuple>)> {
    let accounts: PyResult<Vec<_>> = list.accounts.iter().map(|account| account_row(py, account)).collect();
    Ok((convert::bytes(py, list.encode()), PyTuple::new(py, accounts?)?))
}

/// (address, changed slots, read slots, balances, nonces, codes).
fn account_row<'py>(py: Python<'py>, account: &AccountAccesses) -> PyResult<Bound<'py, PyTuple>> {
    let word = |value: &U256| Ok(convert::bytes(py, value.to_be_bytes::<32>()).into_any());
    let slot = |slot: &SlotChanges| (word(&slot.slot)?, changes(py, &slot.changes, word)?).into_pyobject(py);
    let slots: PyResult<Vec<_>> = account.storage_changes.iter().map(slot).collect();
    let reads: PyResult<Vec<_>> = account.storage_reads.iter().map(word).collect();
    (
        convert::bytes(py, account.address),
        PyTuple::new(py, slots?)?,
        PyTuple::new(py, reads?)?,
        changes(py, &account.balance_changes, |balance| convert::int(py, *balance))?,
        changes(py, &account.nonce_changes, |nonce| Ok(nonce.into_pyobject(py)?.into_any()))?,
        changes(py, &account.code_changes, |code| Ok(convert::bytes(py, code).into_any()))?,
    )
        .into_pyobject(py)
}

/// (index, value) each.
fn changes<'py, T>(
    py: Python<'py>,
    changes: &[Change<T>],
    value: impl Fn(&T) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let row = |change: &Change<T>| (change.index, value(&change.value)?).into_pyobject(py);
    let rows: PyResult<Vec<_>> = changes.iter().map(row).collect();
    PyTuple::new(py, rows?)
}
