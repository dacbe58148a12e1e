//! Updates in memory on top of stored nodes: for several updates in a row before one is stored.

use super::{Nibbles, TrieId, TrieNodes, TrieUpdate, state_root};
use crate::error::StateError;
use crate::primitives::B256;

/// No nodes: the state before genesis.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyTrie;

impl TrieNodes for EmptyTrie {
    fn node(&self, _: TrieId, _: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
}

/// The nodes of `base` after the updates applied since.
#[derive(Debug, Clone)]
pub struct TrieOverlay<B> {
    base: B,
    update: TrieUpdate,
}

impl<B: TrieNodes> TrieOverlay<B> {
    /// No updates yet.
    pub fn new(base: B) -> Result<Self, StateError> {
        let update = TrieUpdate { root: state_root(&base)?, ..TrieUpdate::default() };
        Ok(Self { base, update })
    }

    /// Applies an update that was computed on this overlay.
    pub fn apply(&mut self, update: TrieUpdate) {
        self.update.append(update);
    }

    /// The state root.
    pub fn root(&self) -> B256 {
        self.update.root
    }

    /// All updates as one, to be applied to the base.
    pub fn into_update(self) -> TrieUpdate {
        self.update
    }
}

impl<B: TrieNodes> TrieNodes for TrieOverlay<B> {
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        if let Some(entry) = self.update.nodes.get(&(trie, *path)) {
            return Ok(entry.clone());
        }
        match trie {
            TrieId::Storage(hashed) if self.update.cleared.binary_search(&hashed).is_ok() => Ok(None),
            _ => self.base.node(trie, path),
        }
    }
}

impl TrieUpdate {
    /// Makes `self` the update that does what `self` and then `later` do.
    ///
    /// The result may delete entries that the base never had: those that `self` made and `later`
    /// took away.
    pub fn append(&mut self, later: TrieUpdate) {
        for hashed in later.cleared {
            let whole = (TrieId::Storage(hashed), Nibbles::new())
                ..=(TrieId::Storage(hashed), Nibbles::unpack_array(&[0xff; 32]));
            self.nodes.extract_if(whole, |_, _| true).for_each(drop);
            if let Err(at) = self.cleared.binary_search(&hashed) {
                self.cleared.insert(at, hashed);
            }
        }
        self.root = later.root;
        self.nodes.extend(later.nodes);
        self.storage_roots.extend(later.storage_roots);
    }
}
