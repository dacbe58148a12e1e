//! Merkle-Patricia tries whose nodes are stored by path.
//!
//! In: the stored nodes ([`TrieNodes`]) and what a block changed. Out: the new root and the
//! nodes to write and delete ([`TrieUpdate`]). A path has at most one node, so an update
//! overwrites what it replaces and nothing becomes garbage. Only nodes on the way to a change
//! are read.
//!
//! A node has an entry of its own when its RLP has 32 bytes or more, or when it is the root of
//! a trie that is not empty. Shorter nodes exist only inside their parent, as the hash demands.

mod editor;
mod overlay;
mod proof;
mod scratch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

pub use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

pub use overlay::{EmptyTrie, TrieOverlay};
pub use proof::{AccountProof, StorageProof, account_proof};
pub use scratch::{state_root_of, storage_root_of};

use crate::error::StateError;
use crate::primitives::{Address, B256, keccak256};
use crate::state::{AccountChange, StateChanges};
use crate::workers::Workers;
use editor::{Edit, LeafEdit, edit_trie};

/// Which trie a node belongs to. Keys of both kinds are hashed, 64 nibbles long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrieId {
    /// Accounts by keccak of their address.
    Accounts,
    /// Slots, by keccak of the 32-byte slot, of the account with this keccak of its address.
    Storage(B256),
}

impl TrieId {
    /// The storage trie of an account.
    pub fn storage_of(address: &Address) -> Self {
        Self::Storage(keccak256(address))
    }
}

/// Stored trie nodes of one state.
pub trait TrieNodes: Send + Sync + Debug {
    /// RLP of the node that starts at `path`, `None` where no node has an entry of its own.
    ///
    /// Answers must belong to one state for as long as the caller holds `self`.
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError>;
}

impl<T: TrieNodes + ?Sized> TrieNodes for &T {
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        (**self).node(trie, path)
    }
}

impl<T: TrieNodes + ?Sized> TrieNodes for Arc<T> {
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        (**self).node(trie, path)
    }
}

/// What one set of changes does to the stored nodes.
///
/// To apply: drop every node of the storage tries in `cleared`, then write or delete `nodes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrieUpdate {
    /// The state root afterwards.
    pub root: B256,
    /// Entries afterwards; `None` deletes. Never a deletion of an entry that was not there, and
    /// none at all in a cleared trie.
    pub nodes: BTreeMap<(TrieId, Nibbles), Option<Vec<u8>>>,
    /// Keccak of the addresses whose storage trie existed and is dropped whole; ascending.
    pub cleared: Vec<B256>,
    /// Storage roots of accounts whose storage changed; [`EMPTY_ROOT_HASH`] for one that is gone.
    pub storage_roots: BTreeMap<Address, B256>,
}

impl Default for TrieUpdate {
    fn default() -> Self {
        Self {
            root: EMPTY_ROOT_HASH,
            nodes: BTreeMap::new(),
            cleared: Vec::new(),
            storage_roots: BTreeMap::new(),
        }
    }
}

/// The state root as stored: [`EMPTY_ROOT_HASH`] without accounts.
pub fn state_root(nodes: &dyn TrieNodes) -> Result<B256, StateError> {
    Ok(nodes.node(TrieId::Accounts, &Nibbles::new())?.map_or(EMPTY_ROOT_HASH, keccak256))
}

/// Applies `changes` to the tries under `nodes`.
///
/// Reads only nodes on the way to a change; storage tries are worked on side by side, and so
/// are the sixteen parts of the accounts trie where many accounts change. An account that is
/// gone loses its storage trie whether or not its change says `storage_cleared`.
///
/// Errors: those of `nodes`, and [`StateError::Backend`] where a node is missing or is not the
/// one its parent names.
pub fn update_state(
    nodes: &dyn TrieNodes,
    changes: &StateChanges,
    workers: &Workers,
) -> Result<TrieUpdate, StateError> {
    let mut update = TrieUpdate::default();
    let mut accounts = Vec::with_capacity(changes.accounts.len());
    for (address, change, hashed, edited) in edit_storage_tries(nodes, changes, workers)? {
        let storage_root = edited.as_ref().map(|edited| edited.root);
        accounts
            .push(Edit { key: Nibbles::unpack_array(&hashed.0), leaf: account_leaf(change, storage_root) });
        if let Some(edited) = edited {
            update.cleared.extend(edited.cleared.then_some(hashed));
            update
                .nodes
                .extend(edited.nodes.into_iter().map(|(path, node)| ((TrieId::Storage(hashed), path), node)));
            update.storage_roots.insert(address, edited.root);
        }
    }
    update.cleared.sort_unstable();
    accounts.sort_unstable_by_key(|edit| edit.key);
    let edited = edit_trie(nodes, TrieId::Accounts, &accounts, workers)?;
    update.root = edited.root;
    update.nodes.extend(edited.nodes.into_iter().map(|(path, node)| ((TrieId::Accounts, path), node)));
    Ok(update)
}

/// What happened to one account's storage trie.
struct EditedStorage {
    /// Root afterwards.
    root: B256,
    /// A trie was there and is dropped.
    cleared: bool,
    nodes: BTreeMap<Nibbles, Option<Vec<u8>>>,
}

/// A changed account, keccak of its address, and its storage edit where there is one.
type EditedAccount<'a> = (Address, &'a AccountChange, B256, Option<EditedStorage>);

/// Every changed account with its hashed address, and its storage edit where there is one.
fn edit_storage_tries<'a>(
    nodes: &dyn TrieNodes,
    changes: &'a StateChanges,
    workers: &Workers,
) -> Result<Vec<EditedAccount<'a>>, StateError> {
    let accounts: Vec<_> = changes.accounts.iter().collect();
    workers
        .map(&accounts, |(address, change)| {
            let hashed = keccak256(address);
            Ok((**address, *change, hashed, edit_storage(nodes, hashed, change, workers)?))
        })
        .into_iter()
        .collect()
}

fn edit_storage(
    nodes: &dyn TrieNodes,
    hashed: B256,
    change: &AccountChange,
    workers: &Workers,
) -> Result<Option<EditedStorage>, StateError> {
    let trie = TrieId::Storage(hashed);
    let dropped = change.after.is_none() || change.storage_cleared;
    let cleared = dropped && nodes.node(trie, &Nibbles::new())?.is_some();
    if change.after.is_none() {
        return Ok(cleared.then(|| EditedStorage { root: EMPTY_ROOT_HASH, cleared, nodes: BTreeMap::new() }));
    }
    if !dropped && change.storage.is_empty() {
        return Ok(None);
    }
    let mut edits: Vec<Edit> = change
        .storage
        .iter()
        .map(|(slot, value)| Edit {
            key: Nibbles::unpack_array(&keccak256(slot.to_be_bytes::<32>()).0),
            leaf: match value.is_zero() {
                true => LeafEdit::Delete,
                false => LeafEdit::Put(alloy_rlp::encode_fixed_size(value).to_vec()),
            },
        })
        .collect();
    edits.sort_unstable_by_key(|edit| edit.key);
    let base: &dyn TrieNodes = if dropped { &EmptyTrie } else { nodes };
    let edited = edit_trie(base, trie, &edits, workers)?;
    Ok(Some(EditedStorage { root: edited.root, cleared, nodes: edited.nodes }))
}

fn account_leaf(change: &AccountChange, storage_root: Option<B256>) -> LeafEdit {
    match change.after {
        None => LeafEdit::Delete,
        Some(account) => LeafEdit::Account { account, storage_root },
    }
}
