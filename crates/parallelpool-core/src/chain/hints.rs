//! Access sets of transactions on the head state, and what earlier runs left for the executor.

use std::sync::Arc;
use std::time::Duration;

use super::simulation::CallRequest;
use super::{Chain, ChainHead};
use crate::access::AccessSet;
use crate::block::BlockContext;
use crate::chainspec::Rules;
use crate::error::CoreError;
use crate::execution::{ExecuteOptions, Mode};
use crate::predictions::{Expected, Ground, Predictions};
use crate::preexecute::PreExecution;
use crate::primitives::Address;
use crate::record::AccessRecord;
use crate::state::StateView;
use crate::tx::SharedTransaction;
use crate::verify::{Setting, Verification, VerifyOptions, verify_batch};

impl Chain {
    /// What is expected of pooled transactions, and the runs that it comes from.
    pub fn predictions(&self) -> &Predictions {
        &self.predictions
    }

    /// What is known of each transaction on the head without running any.
    pub fn known_accesses(&self, transactions: &[SharedTransaction]) -> Result<Vec<Expected>, CoreError> {
        self.on_head(|ground| Ok(self.predictions.known(ground, transactions)?))
    }

    /// The same after running those of which too little is known, as if each were the first of the
    /// next block: within the bounds, the first first, by workers with nothing better to do. No run
    /// begins after `patience`.
    pub fn predict_accesses(
        &self,
        transactions: &[SharedTransaction],
        patience: Duration,
    ) -> Result<Vec<Expected>, CoreError> {
        self.on_head(|ground| Ok(self.predictions.predict(ground, &self.workers, transactions, patience)?))
    }

    /// Learns what the calls of a stored block access, on its parent's state; 0 where there is no such
    /// block. See [`Predictions::learn`].
    ///
    /// [`CoreError::State`] with `Unavailable` where the parent's state is not kept.
    pub fn learn_from(&self, number: u64, gas: u64, patience: Duration) -> Result<usize, CoreError> {
        let snapshot = self.at_head().snapshot;
        let Some(parent) = number.checked_sub(1) else { return Ok(0) };
        let Some(block) = self.read_block(&snapshot, number)? else { return Ok(0) };
        let (view, context) = (snapshot.state_after(parent)?, block.block.context());
        let rules = self.spec.rules_in(&context);
        let at = PreExecution { rules: &rules, block: &context, view: &*view, gas_limit: gas };
        Ok(self.predictions.learn(at, &self.workers, &block.transactions, gas, patience)?)
    }

    /// The access set of a message that nobody signed: it runs at its sender's next nonce, unless it
    /// names another.
    pub fn pre_execute_call(&self, request: &CallRequest, gas_limit: u64) -> Result<AccessSet, CoreError> {
        let (head, block, rules) = self.next_block()?;
        let account = head.snapshot.account(&request.sender)?.unwrap_or_default();
        let (nonce, gas) = (request.nonce.unwrap_or(account.nonce), request.gas.unwrap_or(gas_limit));
        let message = request.as_transaction(&rules, self.spec.parallel_tx_type, nonce, gas);
        let found = PreExecution { rules: &rules, block: &block, view: &*head.snapshot, gas_limit };
        Ok(found.run(&message)?)
    }

    /// Records for an execution that brings none itself. Only the parallel executor has use for them.
    pub(super) fn records_for(
        &self,
        transactions: &[SharedTransaction],
        options: &ExecuteOptions,
    ) -> Vec<Option<Arc<AccessRecord>>> {
        if !options.records.is_empty() || options.mode == Mode::Serial || !options.techniques.reuse {
            return options.records.clone();
        }
        self.predictions.records(transactions)
    }

    fn on_head<R>(&self, ask: impl FnOnce(&Ground<'_>) -> Result<R, CoreError>) -> Result<R, CoreError> {
        let epoch = self.predictions.epoch();
        let (head, block, rules) = self.next_block()?;
        let gas_limit = self.predictions.bounds().gas;
        let at = PreExecution { rules: &rules, block: &block, view: &*head.snapshot, gas_limit };
        ask(&Ground { epoch, at })
    }

    fn next_block(&self) -> Result<(ChainHead, BlockContext, Rules), CoreError> {
        let head = self.at_head();
        let block = self.pending_environment(&head.header)?;
        let rules = self.spec.rules_in(&block);
        Ok((head, block, rules))
    }

    /// Holds a batch against its promise, as part of the next block with this beneficiary.
    pub fn verify_batch(
        &self,
        transactions: &[SharedTransaction],
        beneficiary: Address,
        options: &VerifyOptions,
    ) -> Result<Verification, CoreError> {
        let (head, block, rules) = self.next_block()?;
        let block = BlockContext { beneficiary, ..block };
        verify_batch(&Setting { rules: &rules, block: &block, view: &*head.snapshot }, transactions, options)
    }
}
