//! Errors that the parallel executor makes on request, to see that they are found.
//!
//! Compiled into this crate's own tests and, by the feature `faults`, into the engine of one test of
//! the daemon's self-check. No other build has anything of it, the field of the options included.

use crate::error::StateError;
use crate::evm::TxExecution;
use crate::primitives::U256;

/// What an execution does wrong. A serial one that takes no short cuts never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A transaction that runs in an EVM leaves a wei too much in an account that it writes.
    Balance,
    /// It leaves one too much in the first slot that it writes.
    Storage,
    /// Its receipt says the opposite of what became of it.
    Receipt,
    /// A transfer that takes no EVM pays a wei too much to the beneficiary.
    TransferFee,
}

impl Fault {
    /// All of them, by name.
    pub const ALL: [(&str, Self); 4] = [
        ("balance", Self::Balance),
        ("storage", Self::Storage),
        ("receipt", Self::Receipt),
        ("transfer-fee", Self::TransferFee),
    ];

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault)
    }
}

/// What became of an execution in an EVM, now or when a record of it was made.
pub(crate) fn executed(
    fault: Option<Fault>,
    run: Result<TxExecution, StateError>,
) -> Result<TxExecution, StateError> {
    let mut execution = run?;
    let Ok(result) = &mut execution.outcome else { return Ok(execution) };
    match fault {
        Some(Fault::Balance) => {
            let written = execution.writes.iter_mut().find_map(|write| write.account.as_mut()?.as_mut());
            written.into_iter().for_each(|account| account.balance += U256::ONE);
        }
        Some(Fault::Storage) => {
            let written = execution.writes.iter_mut().find_map(|write| write.storage.first_mut());
            written.into_iter().for_each(|(_, value)| *value = value.wrapping_add(U256::ONE));
        }
        Some(Fault::Receipt) => result.success = !result.success,
        Some(Fault::TransferFee) | None => {}
    }
    Ok(execution)
}

/// The fee that a transfer without an EVM pays.
pub(crate) fn transfer_fee(fault: Option<Fault>, fee: U256) -> U256 {
    if fault == Some(Fault::TransferFee) { fee + U256::ONE } else { fee }
}
