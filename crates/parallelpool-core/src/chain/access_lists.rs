//! Block access lists of stored blocks.
//!
//! They are not stored but made again, by executing the block on its parent's state: that needs no
//! room, works for blocks of every fork as long as that state is kept, and what it gives is checked
//! against the header where the header commits to it.

use std::sync::Arc;

use super::Chain;
use crate::block_access_list::{BlockAccessList, WrongAccessList};
use crate::error::CoreError;
use crate::execution::{ExecuteError, ExecuteOptions};

impl Chain {
    /// The list of the canonical block at a height; `None` where there is none. The first block
    /// executes nothing, so its list is empty.
    ///
    /// [`CoreError::State`] with `Unavailable` where the parent's state is not kept. Takes as long
    /// as importing the block, without roots.
    pub fn block_access_list(&self, number: u64) -> Result<Option<Arc<BlockAccessList>>, CoreError> {
        let head = self.at_head();
        let Some(parent) = number.checked_sub(1) else { return Ok(Some(Arc::default())) };
        let Some(block) = self.read_block(&head.snapshot, number)? else { return Ok(None) };
        let state = head.snapshot.state_after(parent)?;
        let options = ExecuteOptions { produce_access_list: true, ..ExecuteOptions::default() };
        let context = block.block.context();
        let executed = self.executor.execute(&self.spec, &context, &block.transactions, &*state, &options);
        let differs = |what: String| CoreError::Storage(format!("stored block {number}: {what}"));
        let outcome = executed.map_err(|error| match error {
            ExecuteError::Core(error) => error,
            refused => differs(refused.to_string()),
        })?;
        let list = outcome.access_list.expect("it was asked for");
        match block.block.header.block_access_list_hash {
            Some(header) if header != list.hash() => {
                Err(differs(WrongAccessList::Hash { header, list: list.hash() }.to_string()))
            }
            _ => Ok(Some(list)),
        }
    }
}
