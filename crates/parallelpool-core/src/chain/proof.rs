//! Merkle proofs (EIP-1186) at the head and after any earlier block.

use super::Chain;
use crate::error::{CoreError, StateError};
use crate::primitives::{Address, U256};
use crate::trie::{AccountProof, TrieOverlay, account_proof, update_state};

impl Chain {
    /// Proves an account and some of its slots after a block, `None` for the head.
    ///
    /// For an earlier block the tries are led back in memory: that costs time and memory in
    /// proportion to what changed since.
    pub fn proof(
        &self,
        address: Address,
        slots: &[U256],
        number: Option<u64>,
    ) -> Result<AccountProof, CoreError> {
        let head = self.at_head();
        let number = number.unwrap_or(head.header.header.number);
        if number > head.header.header.number {
            return Err(StateError::Unavailable(number).into());
        }
        if number == head.header.header.number {
            return Ok(account_proof(&*head.snapshot, address, slots)?);
        }
        let changes = head.snapshot.changes_back_to(number)?;
        let mut tries = TrieOverlay::new(head.snapshot)?;
        tries.apply(update_state(&tries, &changes, &self.workers)?);
        Ok(account_proof(&tries, address, slots)?)
    }
}
