//! Access sets of transactions on the head state.

use super::Chain;
use super::simulation::CallRequest;
use crate::access::AccessSet;
use crate::error::CoreError;
use crate::preexecute::PreExecution;
use crate::state::StateView;
use crate::tx::SharedTransaction;

impl Chain {
    /// One access set per transaction, as if each were the first of the next block.
    ///
    /// A run above `gas_limit`, or one that cannot start, is of unknown access.
    pub fn pre_execute(
        &self,
        transactions: &[SharedTransaction],
        gas_limit: u64,
    ) -> Result<Vec<AccessSet>, CoreError> {
        let head = self.at_head();
        let block = self.pending_environment(&head.header)?;
        let rules = self.spec.rules_in(&block);
        let found = PreExecution { rules: &rules, block: &block, view: &*head.snapshot, gas_limit };
        Ok(found.run_all(&self.workers, transactions)?)
    }

    /// The same for a message that nobody signed: it runs at its sender's next nonce, unless it
    /// names another.
    pub fn pre_execute_call(&self, request: &CallRequest, gas_limit: u64) -> Result<AccessSet, CoreError> {
        let head = self.at_head();
        let block = self.pending_environment(&head.header)?;
        let rules = self.spec.rules_in(&block);
        let account = head.snapshot.account(&request.sender)?.unwrap_or_default();
        let (nonce, gas) = (request.nonce.unwrap_or(account.nonce), request.gas.unwrap_or(gas_limit));
        let message = request.as_transaction(&rules, self.spec.parallel_tx_type, nonce, gas);
        let found = PreExecution { rules: &rules, block: &block, view: &*head.snapshot, gas_limit };
        Ok(found.run(&message)?)
    }
}
