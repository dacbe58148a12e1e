//! The state that a block begins with, made by executing what led to it.
//!
//! In: contract creations and calls, in order. Out: the state after them. They run by the serial
//! executor, free of charge and unsigned, some time before the block; one that fails fails the
//! whole stage. No storage layout is known here: all state is put in place by the contracts' code.

use std::collections::HashMap;
use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{ChainSpec, Rules};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{Address, B256, Bytes, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction, Transaction};
use parallelpool_core::workers::Workers;

/// Executed at once: bounds the memory for changes and receipts.
const RUN: usize = 4_096;

/// A state under construction.
#[derive(Debug)]
pub struct Stage {
    state: MemoryState,
    nonces: HashMap<Address, u64>,
    waiting: Vec<SharedTransaction>,
    executor: Executor,
    rules: Rules,
    block: BlockContext,
}

impl Stage {
    /// A stage on the state before it, in which no account but new ones may have a nonce.
    pub fn new(state: MemoryState) -> Result<Self, CoreError> {
        let block = BlockContext {
            number: 23_999_000,
            timestamp: 1_769_988_000,
            gas_limit: u64::MAX,
            base_fee: Some(0),
            prev_randao: Some(B256::ZERO),
            excess_blob_gas: Some(0),
            ..BlockContext::default()
        };
        Ok(Self {
            state,
            nonces: HashMap::new(),
            waiting: Vec::new(),
            executor: Executor::new(Arc::new(Workers::new(1)?)),
            rules: ChainSpec::mainnet().rules_in(&block),
            block,
        })
    }

    /// Lets `sender` create a contract; where it comes to live.
    pub fn create(&mut self, sender: Address, creation_code: Bytes) -> Result<Address, CoreError> {
        let nonce = self.nonce(&sender);
        self.add(sender, None, U256::ZERO, creation_code)?;
        Ok(sender.create(nonce))
    }

    /// Lets `sender` make a call.
    pub fn call(&mut self, sender: Address, to: Address, data: Bytes) -> Result<(), CoreError> {
        self.add(sender, Some(to), U256::ZERO, data)
    }

    /// Lets `sender` make a call that carries `value` wei, which it must own.
    pub fn pay(&mut self, sender: Address, to: Address, value: U256, data: Bytes) -> Result<(), CoreError> {
        self.add(sender, Some(to), value, data)
    }

    /// The nonce that the account's next transaction has.
    pub fn nonce(&self, account: &Address) -> u64 {
        self.nonces.get(account).copied().unwrap_or_default()
    }

    /// Makes a call after everything so far and says how it ended; its changes are dropped.
    #[cfg(test)]
    pub(crate) fn attempt(
        &mut self,
        sender: Address,
        to: Address,
        value: U256,
        data: Bytes,
    ) -> (parallelpool_core::block::Receipt, Bytes) {
        self.run().expect("what was called before succeeds");
        self.add(sender, Some(to), value, data).expect("one call fits");
        *self.nonces.get_mut(&sender).expect("it has just called") -= 1;
        let calls = std::mem::take(&mut self.waiting);
        let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let mut outcome = self
            .executor
            .execute_transactions(&self.rules, &self.block, &calls, &self.state, &options)
            .expect("a valid call");
        (outcome.receipts.remove(0), outcome.outputs.remove(0))
    }

    /// The state after everything.
    pub fn finish(mut self) -> Result<MemoryState, CoreError> {
        self.run()?;
        Ok(self.state)
    }

    fn add(
        &mut self,
        sender: Address,
        to: Option<Address>,
        value: U256,
        data: Bytes,
    ) -> Result<(), CoreError> {
        let nonce = self.nonces.entry(sender).or_default();
        let tx = Transaction {
            tx_type: 2,
            chain_id: Some(self.rules.chain_id),
            nonce: *nonce,
            // The most that a transaction may have from Osaka on.
            gas_limit: 1 << 24,
            to,
            value,
            data,
            ..Transaction::default()
        };
        *nonce += 1;
        self.waiting.push(Arc::new(RecoveredTransaction { tx, sender }));
        if self.waiting.len() < RUN { Ok(()) } else { self.run() }
    }

    fn run(&mut self) -> Result<(), CoreError> {
        let transactions = std::mem::take(&mut self.waiting);
        let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let outcome = self
            .executor
            .execute_transactions(&self.rules, &self.block, &transactions, &self.state, &options)
            .map_err(|error| CoreError::InvalidArgument(format!("making a workload's state: {error}")))?;
        for ((tx, receipt), output) in transactions.iter().zip(&outcome.receipts).zip(&outcome.outputs) {
            if !receipt.success {
                return Err(CoreError::InvalidArgument(format!(
                    "making a workload's state: call of {} to {:?} failed with {output}",
                    tx.sender, tx.tx.to
                )));
            }
        }
        self.state.apply(&outcome.changes);
        Ok(())
    }
}
