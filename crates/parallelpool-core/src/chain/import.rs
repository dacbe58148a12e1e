//! A given block: checked, executed, held against its header, stored.

use std::time::Instant;

use super::blocks::{ChainBlock, block_at};
use super::commitments::{commit_to_state, keeps_intermediate_roots};
use super::{Chain, ChainHead};
use crate::block::Receipt;
use crate::block_codec::Block;
use crate::chainspec::Fork;
use crate::error::CoreError;
use crate::execution::{ExecuteError, ExecuteOptions, ExecutionStatistics};
use crate::header::{validate_block, validate_outcome};
use crate::primitives::Bytes;

/// A block that was imported.
#[derive(Debug, Clone)]
pub struct ImportedBlock {
    /// The block, with its transactions' senders.
    pub block: ChainBlock,
    /// Its receipts.
    pub receipts: Vec<Receipt>,
    /// Figures of its execution.
    pub statistics: ExecutionStatistics,
    /// Wall time of the whole import in nanoseconds, recovery, roots and commit included.
    pub elapsed_ns: u64,
}

impl Chain {
    /// Checks, executes and stores an RLP block on the head.
    ///
    /// [`CoreError::BlockRefused`] with the first thing that does not hold; then nothing is
    /// stored. [`CoreError::InvalidArgument`] if `raw` is no block at all.
    pub fn import_block(&self, raw: &[u8], options: &ExecuteOptions) -> Result<ImportedBlock, CoreError> {
        let started = Instant::now();
        let block = Block::decode(raw)?;
        let number = block.header.number;
        let refuse = |reason: String| CoreError::BlockRefused { number, reason };
        self.recover_store()?;
        let _writing = self.writing.lock();
        let head = self.at_head();
        // Lengths and integers with more than one encoding would give one block two byte forms.
        if block.encode() != raw {
            return Err(refuse("not canonically encoded".into()));
        }
        self.check_against_parent(&head, &block, refuse)?;
        let rules = self.spec.rules_of(&block.header);
        let transactions =
            block.recover_transactions(&rules, &self.workers).map_err(|error| refuse(error.to_string()))?;
        let options = ExecuteOptions {
            keep_transaction_changes: options.keep_transaction_changes || keeps_intermediate_roots(&rules),
            produce_access_list: options.produce_access_list || rules.fork >= Fork::Amsterdam,
            records: self.records_for(&transactions, options),
            ..options.clone()
        };
        if let Some(list) = options.access_list.as_ref().filter(|_| rules.fork >= Fork::Amsterdam) {
            list.check_bound(block.header.gas_limit).map_err(|error| refuse(error.to_string()))?;
        }
        let mut outcome = self
            .executor
            .execute(&self.spec, &block.context(), &transactions, &*head.snapshot, &options)
            .map_err(|error| match error {
                ExecuteError::Transaction { .. } | ExecuteError::AccessList(_) => refuse(error.to_string()),
                ExecuteError::Core(error) => error,
            })?;
        let trie = commit_to_state(&rules, &mut outcome, &*head.snapshot, &self.workers)?;
        validate_outcome(&block.header, &outcome, trie.root).map_err(|error| refuse(error.to_string()))?;
        let block = ChainBlock { block, transactions, raw: Bytes::copy_from_slice(raw) };
        self.store_block(&block, &outcome.receipts, &outcome.changes, &trie)?;
        Ok(ImportedBlock {
            block,
            receipts: outcome.receipts,
            statistics: outcome.statistics,
            elapsed_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        })
    }

    fn check_against_parent(
        &self,
        head: &ChainHead,
        block: &Block,
        refuse: impl Fn(String) -> CoreError,
    ) -> Result<(), CoreError> {
        let mut unreadable = None;
        let checked = validate_block(&self.spec, &head.header.header, block, |hash, number| {
            let (stored, _) = block_at(&head.snapshot, number).unwrap_or_else(|error| {
                unreadable = Some(error);
                None
            })?;
            (stored.hash == hash).then_some((stored.header, stored.ommers))
        });
        match unreadable {
            Some(error) => Err(error),
            None => checked.map_err(|error| refuse(error.to_string())),
        }
    }
}
