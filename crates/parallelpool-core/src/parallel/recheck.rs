//! A serial execution that runs beside the committer and must agree with it on everything.
//!
//! It shares nothing with the speculation but the EVM: its state is the block's base under an overlay
//! to which committed transactions are applied one by one.

use std::collections::BTreeSet;

use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, TxExecution, TxResult};
use crate::primitives::Address;
use crate::serial::Job;
use crate::state::overlay::Overlay;
use crate::state::{AccountWrite, StateChanges, StateView};

/// The serial execution.
pub(super) struct Shadow<'a> {
    job: &'a Job<'a>,
    state: Overlay<&'a dyn StateView>,
}

impl<'a> Shadow<'a> {
    pub(super) fn new(job: &'a Job<'a>, state: &'a dyn StateView) -> Self {
        Self { job, state: Overlay::new(state) }
    }

    /// Executes the transaction on the committed state and compares with what is to be committed.
    pub(super) fn compare(&self, index: usize, parallel: &TxExecution) -> Result<(), CoreError> {
        compare_with_evm(self.job, &self.state, index, parallel)
    }

    /// The transaction compared last is committed.
    pub(super) fn apply(&mut self, execution: &TxExecution, result: &TxResult) -> Result<(), StateError> {
        self.state.write(&execution.writes, execution.codes.iter().cloned())?;
        if !result.beneficiary_destroyed {
            self.state.credit(self.job.block.beneficiary, result.fee, self.job.rules.spec_id)?;
        }
        Ok(())
    }

    /// Compares the changes of the whole run.
    pub(super) fn compare_changes(self, parallel: &StateChanges) -> Result<(), CoreError> {
        let serial = self.state.into_changes()?;
        if serial == *parallel {
            return Ok(());
        }
        let addresses: BTreeSet<_> = serial.accounts.keys().chain(parallel.accounts.keys()).collect();
        let differing = addresses
            .into_iter()
            .find(|address| serial.accounts.get(*address) != parallel.accounts.get(*address));
        Err(CoreError::Divergence(match differing {
            Some(address) => format!(
                "changes of account {address}: parallel {:?}, serial {:?}",
                parallel.accounts.get(address),
                serial.accounts.get(address)
            ),
            None => "codes that came into being".into(),
        }))
    }
}

/// Executes a transaction on `state` and compares with what the parallel executor made of it.
pub(super) fn compare_with_evm(
    job: &Job<'_>,
    state: &dyn StateView,
    index: usize,
    parallel: &TxExecution,
) -> Result<(), CoreError> {
    let tx = &job.transactions[index];
    let mut evm = Evm::new(job.rules, job.block, ViewDatabase(state));
    let serial = evm.execute(tx)?;
    match first_difference(parallel, &serial, job.block.beneficiary) {
        None => Ok(()),
        Some(what) => Err(CoreError::Divergence(format!("transaction {index} [{}]: {what}", tx.tx.hash))),
    }
}

fn first_difference(parallel: &TxExecution, serial: &TxExecution, beneficiary: Address) -> Option<String> {
    if parallel.outcome != serial.outcome {
        return Some(format!("outcome: parallel {:?}, serial {:?}", parallel.outcome, serial.outcome));
    }
    let (ours, theirs) = (in_order(&parallel.writes, beneficiary), in_order(&serial.writes, beneficiary));
    if ours != theirs {
        let differing = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        return Some(match differing {
            Some((ours, theirs)) => format!("write: parallel {ours:?}, serial {theirs:?}"),
            None => format!("writes: parallel {}, serial {}", ours.len(), theirs.len()),
        });
    }
    let hashes =
        |execution: &TxExecution| -> BTreeSet<_> { execution.codes.iter().map(|(hash, _)| *hash).collect() };
    (hashes(parallel) != hashes(serial)).then(|| "codes that came into being".into())
}

fn in_order(writes: &[AccountWrite], beneficiary: Address) -> Vec<AccountWrite> {
    let mut writes = writes.to_vec();
    // An empty account that is about to get the fee comes into being with the write or with the fee.
    let is_awaiting = |write: &AccountWrite| {
        write.address == beneficiary && write.account.flatten().is_some_and(|account| account.is_empty())
    };
    writes.retain(|write| !is_awaiting(write));
    writes.sort_unstable_by_key(|write| write.address);
    for write in &mut writes {
        write.storage.sort_unstable();
    }
    writes
}
