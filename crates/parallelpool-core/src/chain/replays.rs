//! Blocks of this chain in a form that can be executed again without it.

use std::collections::BTreeMap;

use super::produce::build_limits;
use super::{BuiltBlock, Chain};
use crate::error::CoreError;
use crate::execution::{ExecuteError, ExecuteOptions, Mode, Techniques};
use crate::primitives::B256;
use crate::replay::{Expected, Frame, ReplayBlock, Reproducer};
use crate::state::memory::MemoryState;
use crate::state::recording::Recording;
use crate::tx::SharedTransaction;

impl Chain {
    /// A stored block with the part of its parent's state that it asks for; `None` where there is
    /// none at this height. It is executed for this, and nothing is stored.
    ///
    /// [`CoreError::InvalidArgument`] for the genesis.
    pub fn replay_block(&self, number: u64) -> Result<Option<ReplayBlock>, CoreError> {
        let parent = number.checked_sub(1);
        let parent = parent.ok_or(CoreError::InvalidArgument("the genesis block was not executed".into()))?;
        let Some(stored) = self.block_by_number(number)? else { return Ok(None) };
        let state = Recording::new(self.state(Some(parent))?);
        let (block, header) = (stored.block.context(), &stored.block.header);
        let refused = |error: ExecuteError| match error {
            ExecuteError::Core(error) => error,
            invalid => CoreError::Storage(format!("stored block {number} is invalid: {invalid}")),
        };
        self.executor
            .execute(&self.spec, &block, &stored.transactions, &state, &serial())
            .map_err(refused)?;
        Ok(Some(ReplayBlock {
            rules: self.spec.rules_of(header),
            block,
            state: state.into_state()?.0,
            expected: Expected {
                gas_used: header.gas_used,
                logs_bloom: header.logs_bloom,
                receipts_root: header.receipts_root,
            },
            transactions: stored.transactions,
            frame: Some(Frame { spec: self.spec.clone(), candidates: None }),
        }))
    }

    /// A document from which the block can be made again out of the candidates that it was built
    /// from, with `difference` to say what went wrong: see [`crate::replay::parse`].
    ///
    /// [`CoreError::InvalidArgument`] if the head is no longer the block's parent.
    pub fn reproducer(
        &self,
        built: &BuiltBlock,
        candidates: &[SharedTransaction],
        difference: &str,
    ) -> Result<Vec<u8>, CoreError> {
        let block = &built.block.block;
        let (state, block_hashes) = self.asked_for(built, candidates)?;
        Reproducer {
            difference,
            genesis: &self.store.document()?,
            block: &block.encode(),
            candidates: Some(candidates),
            state: &state,
            block_hashes: &block_hashes,
        }
        .to_json()
    }

    fn asked_for(
        &self,
        built: &BuiltBlock,
        candidates: &[SharedTransaction],
    ) -> Result<(MemoryState, BTreeMap<u64, B256>), CoreError> {
        let (block, head) = (&built.block.block, self.at_head());
        if head.header.hash != block.header.parent_hash {
            return Err(CoreError::InvalidArgument("the block's parent is not the head any more".into()));
        }
        let state = Recording::new(&*head.snapshot);
        let limits = build_limits(&self.spec.rules_of(&block.header), block);
        self.executor.build(&self.spec, &block.context(), &limits, candidates, &state, &serial())?;
        Ok(state.into_state()?)
    }
}

fn serial() -> ExecuteOptions {
    ExecuteOptions { mode: Mode::Serial, techniques: Techniques::NONE, ..ExecuteOptions::default() }
}
