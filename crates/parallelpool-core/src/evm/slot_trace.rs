//! Which slots a transaction used and which it changed, as its journal says when it ends.
//!
//! Enough to tell whether transactions that run in order wait for each other. What reverted frames
//! used is not in it: nothing but time is decided by it.

use revm::context_interface::journaled_state::entry::JournalEntry;

use crate::primitives::{Address, U256};

/// The slots of one transaction.
#[derive(Debug, Default)]
pub(crate) struct SlotTrace {
    used: Vec<(Address, U256)>,
    changed: Vec<(Address, U256)>,
}

impl SlotTrace {
    /// Takes down what the entries of a transaction that succeeded tell.
    pub(super) fn note(&mut self, entries: &[JournalEntry]) {
        for entry in entries {
            match entry {
                JournalEntry::StorageWarmed { address, key } => self.used.push((*address, *key)),
                JournalEntry::StorageChanged { address, key, .. } => self.changed.push((*address, *key)),
                _ => (),
            }
        }
    }

    /// Whether it used a slot that an earlier transaction changed.
    pub(crate) fn depends_on(&self, earlier: &Self) -> bool {
        self.used.iter().any(|slot| earlier.changed.contains(slot))
    }
}
