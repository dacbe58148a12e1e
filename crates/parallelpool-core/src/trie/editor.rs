//! Editing one trie: sorted leaf edits in, its new root and changed entries out.
//!
//! Works on the part of the tree that the edits touch. Every node read from the store is either
//! written again at its path or deleted; a node that is never read stays a reference.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_rlp::{Decodable, Encodable};
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount, TrieMask};
use parking_lot::Mutex;

use super::{TrieId, TrieNodes};
use crate::error::StateError;
use crate::primitives::{B256, keccak256};
use crate::state::Account;
use crate::workers::Workers;

/// From so many edits on, the sixteen parts of a trie are edited side by side.
const PARALLEL_EDITS: usize = 128;

/// One leaf's edit; `key` has 64 nibbles.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) key: Nibbles,
    pub(super) leaf: LeafEdit,
}

/// What a leaf becomes.
#[derive(Debug, Clone)]
pub(super) enum LeafEdit {
    Delete,
    /// The leaf's value, already encoded.
    Put(Vec<u8>),
    /// An account; without a storage root it keeps the one that its leaf has.
    Account {
        account: Account,
        storage_root: Option<B256>,
    },
}

impl LeafEdit {
    fn deletes(&self) -> bool {
        matches!(self, Self::Delete)
    }

    /// The value afterwards, given the value before.
    fn value(&self, before: Option<&[u8]>) -> Result<Option<Vec<u8>>, StateError> {
        Ok(match self {
            Self::Delete => None,
            Self::Put(value) => Some(value.clone()),
            Self::Account { account, storage_root } => {
                let storage_root = match (storage_root, before) {
                    (Some(root), _) => *root,
                    (None, Some(leaf)) => decode_account(leaf)?.storage_root,
                    (None, None) => EMPTY_ROOT_HASH,
                };
                Some(encode_account(account, storage_root))
            }
        })
    }
}

/// RLP of an account leaf.
pub(super) fn encode_account(account: &Account, storage_root: B256) -> Vec<u8> {
    alloy_rlp::encode(TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root,
        code_hash: account.code_hash,
    })
}

/// Reads an account leaf.
pub(super) fn decode_account(leaf: &[u8]) -> Result<TrieAccount, StateError> {
    TrieAccount::decode(&mut &*leaf)
        .map_err(|error| StateError::Backend(format!("account leaf is not an account: {error}")))
}

/// A trie after its edits.
#[derive(Debug)]
pub(super) struct EditedTrie {
    pub(super) root: B256,
    pub(super) nodes: BTreeMap<Nibbles, Option<Vec<u8>>>,
}

/// A node as far as it was read.
#[derive(Debug)]
enum Node {
    Empty,
    /// What the parent holds of a node that was not read, or is finished: its hash or its RLP.
    Reference(RlpNode),
    Leaf {
        key: Nibbles,
        value: Vec<u8>,
    },
    /// The child is always a branch.
    Extension {
        key: Nibbles,
        child: Box<Node>,
    },
    Branch(Box<[Node; 16]>),
}

/// Applies `edits` (ascending, distinct keys) to one trie.
pub(super) fn edit_trie(
    nodes: &dyn TrieNodes,
    trie: TrieId,
    edits: &[Edit],
    workers: &Workers,
) -> Result<EditedTrie, StateError> {
    debug_assert!(edits.is_sorted_by(|one, next| one.key < next.key), "edits are sorted and distinct");
    let mut editor = Editor { nodes, trie, entries: BTreeMap::new() };
    let path = Nibbles::new();
    let root = match nodes.node(trie, &path)? {
        None => Node::Empty,
        Some(rlp) => {
            editor.entries.insert(path, None);
            decode(&rlp, trie, &path)?
        }
    };
    let root = match root {
        Node::Branch(children) if edits.len() >= PARALLEL_EDITS && workers.threads() > 1 => {
            editor.edit_side_by_side(children, edits, workers)?
        }
        root => editor.edit(root, &path, edits)?,
    };
    let root = editor.finish_root(root);
    Ok(EditedTrie { root, nodes: editor.entries })
}

/// One trie, or one part of it, under edit.
struct Editor<'a> {
    nodes: &'a dyn TrieNodes,
    trie: TrieId,
    /// Entries read so far are `None` until a node is written at their path.
    entries: BTreeMap<Nibbles, Option<Vec<u8>>>,
}

impl Editor<'_> {
    fn edit(&mut self, node: Node, path: &Nibbles, edits: &[Edit]) -> Result<Node, StateError> {
        if edits.is_empty() {
            return Ok(node);
        }
        match node {
            Node::Empty => self.edit_leaves(None, path, edits),
            Node::Leaf { key, value } => self.edit_leaves(Some((path.join(&key), value)), path, edits),
            Node::Reference(reference) => {
                let node = self.load(&reference, path)?;
                self.edit(node, path, edits)
            }
            Node::Extension { key, child } => self.edit_extension(key, child, path, edits),
            Node::Branch(children) => self.edit_branch(children, path, edits),
        }
    }

    /// At most one leaf is here: the new subtree is made from it and the edits.
    fn edit_leaves(
        &mut self,
        old: Option<(Nibbles, Vec<u8>)>,
        path: &Nibbles,
        edits: &[Edit],
    ) -> Result<Node, StateError> {
        let mut leaves = Vec::with_capacity(edits.len() + 1);
        for edit in edits {
            let before = old.as_ref().filter(|(key, _)| *key == edit.key).map(|(_, value)| &**value);
            if let Some(value) = edit.leaf.value(before)? {
                leaves.push((edit.key, value));
            }
        }
        if let Some((key, value)) = old
            && edits.binary_search_by_key(&key, |edit| edit.key).is_err()
        {
            let at = leaves.partition_point(|(other, _)| *other < key);
            leaves.insert(at, (key, value));
        }
        Ok(grow(path.len(), leaves))
    }

    fn edit_extension(
        &mut self,
        key: Nibbles,
        child: Box<Node>,
        path: &Nibbles,
        edits: &[Edit],
    ) -> Result<Node, StateError> {
        let below = path.join(&key);
        // Deleting what is not under the extension deletes nothing, and must not split it.
        let common = edits
            .iter()
            .map(|edit| (edit, edit.key.common_prefix_length(&below)))
            .filter(|(edit, common)| *common == below.len() || !edit.leaf.deletes())
            .map(|(_, common)| common)
            .min();
        let Some(common) = common else {
            return Ok(Node::Extension { key, child });
        };
        if common == below.len() {
            let start = edits.partition_point(|edit| edit.key < below);
            let inside = edits[start..].partition_point(|edit| edit.key.starts_with(&below));
            let child = self.edit(*child, &below, &edits[start..start + inside])?;
            return Ok(prepend(key, child));
        }
        let shared = key.slice(..common - path.len());
        let rest = key.slice(shared.len() + 1..);
        let mut children = empty_children();
        children[usize::from(key.get_unchecked(shared.len()))] = prepend(rest, *child);
        let at = path.join(&shared);
        let start = edits.partition_point(|edit| edit.key < at);
        let inside = edits[start..].partition_point(|edit| edit.key.starts_with(&at));
        let branch = self.edit_branch(children, &at, &edits[start..start + inside])?;
        Ok(prepend(shared, branch))
    }

    fn edit_branch(
        &mut self,
        mut children: Box<[Node; 16]>,
        path: &Nibbles,
        edits: &[Edit],
    ) -> Result<Node, StateError> {
        for (nibble, edits) in split(edits, path.len()) {
            let child = std::mem::replace(&mut children[usize::from(nibble)], Node::Empty);
            children[usize::from(nibble)] = self.edit(child, &child_path(path, nibble), edits)?;
        }
        self.close_branch(children, path)
    }

    /// A branch needs two children: with fewer it gives way to what is left.
    fn close_branch(&mut self, mut children: Box<[Node; 16]>, path: &Nibbles) -> Result<Node, StateError> {
        let mut present = (0..16u8).filter(|nibble| !matches!(children[usize::from(*nibble)], Node::Empty));
        let (first, second) = (present.next(), present.next());
        let nibble = match (first, second) {
            (None, _) => return Ok(Node::Empty),
            (Some(only), None) => only,
            (Some(_), Some(_)) => return Ok(Node::Branch(children)),
        };
        let only = std::mem::replace(&mut children[usize::from(nibble)], Node::Empty);
        let step = Nibbles::from_nibbles([nibble]);
        let Node::Reference(reference) = only else {
            return Ok(prepend(step, only));
        };
        // A branch below keeps its path and its entry; leaf and extension move up.
        let below = child_path(path, nibble);
        match self.read(&reference, &below)? {
            Node::Branch(_) => Ok(prepend(step, Node::Reference(reference))),
            moved => {
                if reference.is_hash() {
                    self.entries.insert(below, None);
                }
                Ok(prepend(step, moved))
            }
        }
    }

    /// Reads a node that will be written anew.
    fn load(&mut self, reference: &RlpNode, path: &Nibbles) -> Result<Node, StateError> {
        if reference.is_hash() {
            self.entries.insert(*path, None);
        }
        self.read(reference, path)
    }

    fn read(&self, reference: &RlpNode, path: &Nibbles) -> Result<Node, StateError> {
        match read_reference(self.nodes, self.trie, reference, path)? {
            Some(rlp) => decode(&rlp, self.trie, path),
            None => decode(reference, self.trie, path),
        }
    }

    /// The sixteen parts of a root branch, each by whichever worker is free.
    fn edit_side_by_side(
        &mut self,
        children: Box<[Node; 16]>,
        edits: &[Edit],
        workers: &Workers,
    ) -> Result<Node, StateError> {
        let mut children = children;
        let parts: Vec<_> = split(edits, 0)
            .map(|(nibble, edits)| {
                let child = std::mem::replace(&mut children[usize::from(nibble)], Node::Empty);
                (nibble, edits, Mutex::new(Some(child)), Mutex::new(None))
            })
            .collect();
        each(workers, parts.len(), |index| {
            let (nibble, edits, child, edited) = &parts[index];
            let child = child.lock().take().expect("each part is taken once");
            let mut part = Editor { nodes: self.nodes, trie: self.trie, entries: BTreeMap::new() };
            let path = Nibbles::from_nibbles([*nibble]);
            let node = part.edit(child, &path, edits);
            *edited.lock() = Some(node.map(|node| (node, part.entries)));
        });
        let mut finish = Vec::with_capacity(parts.len());
        for (nibble, _, _, edited) in parts {
            let (node, entries) = edited.into_inner().expect("every part was worked on")?;
            self.entries.extend(entries);
            children[usize::from(nibble)] = node;
            finish.push(nibble);
        }
        let mut root = self.close_branch(children, &Nibbles::new())?;
        if let Node::Branch(children) = &mut root {
            self.finish_side_by_side(children, &finish, workers);
        }
        Ok(root)
    }

    /// Encodes and hashes the edited children of a root branch, leaving references.
    fn finish_side_by_side(&mut self, children: &mut [Node; 16], edited: &[u8], workers: &Workers) {
        let parts: Vec<_> = edited
            .iter()
            .map(|nibble| {
                let child = std::mem::replace(&mut children[usize::from(*nibble)], Node::Empty);
                (*nibble, Mutex::new(Some(child)), Mutex::new(None))
            })
            .collect();
        each(workers, parts.len(), |index| {
            let (nibble, child, finished) = &parts[index];
            let child = child.lock().take().expect("each part is taken once");
            let mut part = Editor { nodes: self.nodes, trie: self.trie, entries: BTreeMap::new() };
            let reference = part.finish(child, &Nibbles::from_nibbles([*nibble]));
            *finished.lock() = Some((reference, part.entries));
        });
        for (nibble, _, finished) in parts {
            let (reference, entries) = finished.into_inner().expect("every part was worked on");
            self.entries.extend(entries);
            children[usize::from(nibble)] = reference.map_or(Node::Empty, Node::Reference);
        }
    }

    fn finish_root(&mut self, root: Node) -> B256 {
        match root {
            Node::Empty => EMPTY_ROOT_HASH,
            root => {
                let rlp = self.encode(root, &Nibbles::new());
                let hash = keccak256(&rlp);
                self.entries.insert(Nibbles::new(), Some(rlp));
                hash
            }
        }
    }

    /// Encodes a subtree and notes its entries; `None` for an empty one.
    fn finish(&mut self, node: Node, path: &Nibbles) -> Option<RlpNode> {
        match node {
            Node::Empty => None,
            Node::Reference(reference) => Some(reference),
            node => {
                let rlp = self.encode(node, path);
                let reference = RlpNode::from_rlp(&rlp);
                if reference.is_hash() {
                    self.entries.insert(*path, Some(rlp));
                }
                Some(reference)
            }
        }
    }

    fn encode(&mut self, node: Node, path: &Nibbles) -> Vec<u8> {
        let mut rlp = Vec::new();
        match node {
            Node::Empty | Node::Reference(_) => unreachable!("only nodes that were read are encoded"),
            Node::Leaf { key, value } => LeafNodeRef::new(&key, &value).encode(&mut rlp),
            Node::Extension { key, child } => {
                let child = self.finish(*child, &path.join(&key)).expect("an extension has a child");
                ExtensionNodeRef::new(&key, &child).encode(&mut rlp);
            }
            Node::Branch(children) => {
                let mut stack = Vec::with_capacity(16);
                let mut mask = TrieMask::default();
                for (nibble, child) in (0..16u8).zip(*children) {
                    if let Some(child) = self.finish(child, &child_path(path, nibble)) {
                        stack.push(child);
                        mask.set_bit(nibble);
                    }
                }
                BranchNodeRef::new(&stack, mask).encode(&mut rlp);
            }
        }
        rlp
    }
}

/// The entry that a hash reference names, checked against the hash; `None` for an embedded node.
pub(super) fn read_reference(
    nodes: &dyn TrieNodes,
    trie: TrieId,
    reference: &RlpNode,
    path: &Nibbles,
) -> Result<Option<Vec<u8>>, StateError> {
    let Some(hash) = reference.as_hash() else { return Ok(None) };
    let rlp = nodes
        .node(trie, path)?
        .ok_or_else(|| StateError::Backend(format!("trie node {hash} is missing at {trie:?} {path:?}")))?;
    if keccak256(&rlp) != hash {
        return Err(StateError::Backend(format!("trie node at {trie:?} {path:?} is not {hash}")));
    }
    Ok(Some(rlp))
}

fn decode(rlp: &[u8], trie: TrieId, path: &Nibbles) -> Result<Node, StateError> {
    let node = TrieNode::decode(&mut &*rlp)
        .map_err(|error| StateError::Backend(format!("bad trie node at {trie:?} {path:?}: {error}")))?;
    Ok(match node {
        TrieNode::EmptyRoot => Node::Empty,
        TrieNode::Leaf(leaf) => Node::Leaf { key: leaf.key, value: leaf.value },
        TrieNode::Extension(extension) => {
            Node::Extension { key: extension.key, child: Box::new(Node::Reference(extension.child)) }
        }
        TrieNode::Branch(branch) => {
            let mut children = empty_children();
            for (nibble, child) in branch.as_ref().children() {
                if let Some(child) = child {
                    children[usize::from(nibble)] = Node::Reference(child.clone());
                }
            }
            Node::Branch(children)
        }
    })
}

/// A new subtree whose root is `depth` nibbles deep; `leaves` ascend and share those nibbles.
fn grow(depth: usize, leaves: Vec<(Nibbles, Vec<u8>)>) -> Node {
    let (Some((first, _)), Some((last, _))) = (leaves.first(), leaves.last()) else {
        return Node::Empty;
    };
    if leaves.len() == 1 {
        let (key, value) = leaves.into_iter().next().expect("one leaf");
        return Node::Leaf { key: key.slice(depth..), value };
    }
    let common = first.common_prefix_length(last);
    let shared = first.slice(depth..common);
    let mut groups: [Vec<(Nibbles, Vec<u8>)>; 16] = Default::default();
    for (key, value) in leaves {
        groups[usize::from(key.get_unchecked(common))].push((key, value));
    }
    let mut children = empty_children();
    for (child, group) in children.iter_mut().zip(groups) {
        *child = grow(common + 1, group);
    }
    prepend(shared, Node::Branch(children))
}

/// The node with `key` in front of it. A reference given here names a branch.
fn prepend(key: Nibbles, node: Node) -> Node {
    match node {
        node if key.is_empty() => node,
        Node::Empty => Node::Empty,
        Node::Leaf { key: rest, value } => Node::Leaf { key: key.join(&rest), value },
        Node::Extension { key: rest, child } => Node::Extension { key: key.join(&rest), child },
        branch @ (Node::Branch(_) | Node::Reference(_)) => Node::Extension { key, child: Box::new(branch) },
    }
}

fn empty_children() -> Box<[Node; 16]> {
    Box::new(std::array::from_fn(|_| Node::Empty))
}

fn child_path(path: &Nibbles, nibble: u8) -> Nibbles {
    let mut path = *path;
    path.push(nibble);
    path
}

/// Sorted edits by their nibble at `depth`.
fn split(edits: &[Edit], depth: usize) -> impl Iterator<Item = (u8, &[Edit])> {
    let nibble = move |edit: &Edit| edit.key.get_unchecked(depth);
    edits.chunk_by(move |one, next| nibble(one) == nibble(next)).map(move |run| (nibble(&run[0]), run))
}

/// Runs `work(index)` for every index below `count`, one at a time by whichever worker is free.
fn each(workers: &Workers, count: usize, work: impl Fn(usize) + Send + Sync) {
    let next = AtomicUsize::new(0);
    workers.run(count, |_| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            work(index);
        }
    });
}
