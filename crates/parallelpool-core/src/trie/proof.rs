//! Merkle proofs of accounts and slots (EIP-1186), of presence and of absence.

use alloy_rlp::Decodable;
use alloy_trie::nodes::{RlpNode, TrieNode};

use super::editor::{decode_account, read_reference};
use super::{EMPTY_ROOT_HASH, Nibbles, TrieId, TrieNodes};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytes, U256, keccak256};
use crate::state::Account;

/// An account, some of its slots, and the nodes that prove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// The account asked for.
    pub address: Address,
    /// What the trie says of it; `None`: proven absent.
    pub account: Option<Account>,
    /// Root of its storage trie, [`EMPTY_ROOT_HASH`] for an absent account.
    pub storage_root: B256,
    /// RLP nodes from the root down, embedded ones inside their parents; none in an empty trie.
    pub proof: Vec<Bytes>,
    /// In the order asked for.
    pub storage: Vec<StorageProof>,
}

/// A slot and the nodes that prove it against the account's storage root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot asked for.
    pub slot: U256,
    /// Its value; zero: proven absent.
    pub value: U256,
    /// As [`AccountProof::proof`].
    pub proof: Vec<Bytes>,
}

impl AccountProof {
    /// The code hash as JSON-RPC shows it: zero for an absent account, as geth answers.
    pub fn code_hash(&self) -> B256 {
        self.account.map_or(B256::ZERO, |account| account.code_hash)
    }

    /// The storage root as JSON-RPC shows it: zero for an absent account, as geth answers.
    pub fn storage_hash(&self) -> B256 {
        self.account.map_or(B256::ZERO, |_| self.storage_root)
    }
}

/// Proves one account and some of its slots against the root that `nodes` has.
///
/// Errors: those of `nodes`, and [`StateError::Backend`] where stored nodes do not fit together.
pub fn account_proof(
    nodes: &dyn TrieNodes,
    address: Address,
    slots: &[U256],
) -> Result<AccountProof, StateError> {
    let hashed = keccak256(address);
    let (leaf, proof) = walk(nodes, TrieId::Accounts, hashed)?;
    let leaf = leaf.map(|leaf| decode_account(&leaf)).transpose()?;
    let storage = slots
        .iter()
        .map(|slot| {
            let key = keccak256(slot.to_be_bytes::<32>());
            let (leaf, proof) = match leaf {
                Some(_) => walk(nodes, TrieId::Storage(hashed), key)?,
                None => (None, Vec::new()),
            };
            let value = leaf
                .map(|leaf| U256::decode(&mut &*leaf))
                .transpose()
                .map_err(|error| StateError::Backend(format!("storage leaf is not a number: {error}")))?;
            Ok(StorageProof { slot: *slot, value: value.unwrap_or_default(), proof })
        })
        .collect::<Result<_, StateError>>()?;
    Ok(AccountProof {
        address,
        account: leaf.map(|leaf| Account {
            nonce: leaf.nonce,
            balance: leaf.balance,
            code_hash: leaf.code_hash,
        }),
        storage_root: leaf.map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage_root),
        proof,
        storage,
    })
}

/// The leaf value under `key`, and the entries on the way.
fn walk(nodes: &dyn TrieNodes, trie: TrieId, key: B256) -> Result<(Option<Vec<u8>>, Vec<Bytes>), StateError> {
    let key = Nibbles::unpack_array(&key.0);
    let mut path = Nibbles::new();
    let mut proof = Vec::new();
    let Some(root) = nodes.node(trie, &path)? else { return Ok((None, proof)) };
    proof.push(Bytes::from(root.clone()));
    let mut rlp = root;
    loop {
        let node = TrieNode::decode(&mut &*rlp)
            .map_err(|error| StateError::Backend(format!("bad trie node at {trie:?} {path:?}: {error}")))?;
        let reference: RlpNode = match node {
            TrieNode::EmptyRoot => return Ok((None, proof)),
            TrieNode::Leaf(leaf) => {
                let found = path.join(&leaf.key) == key;
                return Ok((found.then_some(leaf.value), proof));
            }
            TrieNode::Extension(extension) => {
                path = path.join(&extension.key);
                if !key.starts_with(&path) {
                    return Ok((None, proof));
                }
                extension.child
            }
            TrieNode::Branch(branch) => {
                let nibble = key.get_unchecked(path.len());
                path.push(nibble);
                match branch.as_ref().children().find(|(index, _)| *index == nibble) {
                    Some((_, Some(child))) => child.clone(),
                    _ => return Ok((None, proof)),
                }
            }
        };
        rlp = match read_reference(nodes, trie, &reference, &path)? {
            Some(entry) => {
                proof.push(Bytes::from(entry.clone()));
                entry
            }
            None => reference.to_vec(),
        };
    }
}
