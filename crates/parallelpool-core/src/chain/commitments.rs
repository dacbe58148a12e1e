//! From an execution to the roots that its header commits to.

use alloy_consensus::Header;

use crate::chainspec::{Fork, Rules};
use crate::error::CoreError;
use crate::execution::BlockOutcome;
use crate::primitives::B256;
use crate::roots;
use crate::state::StateChanges;
use crate::trie::{TrieNodes, TrieOverlay, TrieUpdate, update_state};
use crate::workers::Workers;

/// Whether receipts hold the state root after their transaction (before EIP-658).
pub(super) fn keeps_intermediate_roots(rules: &Rules) -> bool {
    rules.fork < Fork::Byzantium
}

/// The update of the tries by a block's changes. Before Byzantium this also completes the
/// receipts by their state roots.
pub(super) fn commit_to_state(
    rules: &Rules,
    outcome: &mut BlockOutcome,
    parent: &dyn TrieNodes,
    workers: &Workers,
) -> Result<TrieUpdate, CoreError> {
    if keeps_intermediate_roots(rules) {
        set_intermediate_roots(outcome, parent, workers)?;
    }
    Ok(update_state(parent, &outcome.changes, workers)?)
}

/// Writes what followed from the execution into a header under construction.
pub(super) fn complete_header(header: &mut Header, outcome: &BlockOutcome, state_root: B256) {
    header.state_root = state_root;
    header.receipts_root = roots::receipts_root(&outcome.receipts);
    header.logs_bloom = outcome.bloom;
    header.gas_used = outcome.gas_used;
    header.blob_gas_used = header.blob_gas_used.map(|_| outcome.blob_gas_used);
    if header.block_access_list_hash.is_some() {
        let list = outcome.access_list.as_ref().expect("executions of such blocks are asked for it");
        header.block_access_list_hash = Some(list.hash());
    }
    header.requests_hash = outcome.requests.as_deref().map(roots::requests_hash);
}

fn set_intermediate_roots(
    outcome: &mut BlockOutcome,
    parent: &dyn TrieNodes,
    workers: &Workers,
) -> Result<(), CoreError> {
    let BlockOutcome { receipts, transaction_changes, changes_before, .. } = outcome;
    assert_eq!(receipts.len(), transaction_changes.len(), "the changes of each transaction were asked for");
    let mut tries = TrieOverlay::new(parent)?;
    let mut step = |changes: &StateChanges| -> Result<B256, CoreError> {
        let update = update_state(&tries, changes, workers)?;
        tries.apply(update);
        Ok(tries.root())
    };
    step(changes_before)?;
    for (receipt, changes) in receipts.iter_mut().zip(transaction_changes.iter()) {
        receipt.state_root = Some(step(changes)?);
    }
    Ok(())
}
