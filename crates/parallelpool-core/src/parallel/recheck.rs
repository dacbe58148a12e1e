//! A serial execution that runs beside the committer and must agree with it on everything.
//!
//! It shares nothing with the speculation but the EVM: its state is the block's base under an overlay
//! to which committed transactions are applied one by one.

use std::collections::BTreeSet;

use crate::error::{CoreError, StateError};
use crate::evm::{AccountWrite, Evm, TxExecution, TxResult};
use crate::serial::Job;
use crate::state::database::ViewDatabase;
use crate::state::overlay::Overlay;
use crate::state::{StateChanges, StateView};

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
        let tx = &self.job.transactions[index];
        let mut evm = Evm::new(self.job.rules, self.job.block, ViewDatabase(&self.state));
        let serial = evm.execute(tx)?;
        match first_difference(parallel, &serial) {
            None => Ok(()),
            Some(what) => Err(CoreError::Divergence(format!("transaction {index} [{}]: {what}", tx.tx.hash))),
        }
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

fn first_difference(parallel: &TxExecution, serial: &TxExecution) -> Option<String> {
    if parallel.outcome != serial.outcome {
        return Some(format!("outcome: parallel {:?}, serial {:?}", parallel.outcome, serial.outcome));
    }
    let (ours, theirs) = (in_order(&parallel.writes), in_order(&serial.writes));
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

fn in_order(writes: &[AccountWrite]) -> Vec<AccountWrite> {
    let mut writes = writes.to_vec();
    writes.sort_unstable_by_key(|write| write.address);
    for write in &mut writes {
        write.storage.sort_unstable();
    }
    writes
}
