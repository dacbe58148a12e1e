//! Roots from the whole state at once, without stored nodes: genesis, and the second opinion on
//! the incremental tries.

use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};

use super::editor::encode_account;
use crate::primitives::{B256, U256, keccak256};
use crate::state::StateChanges;

/// The state root of a state that consists of exactly these accounts and slots.
///
/// `whole` holds every account; accounts that are `None` and slots that are zero count as absent.
pub fn state_root_of(whole: &StateChanges) -> B256 {
    let mut leaves: Vec<_> = whole
        .accounts
        .iter()
        .filter_map(|(address, change)| {
            let account = change.after.as_ref()?;
            let storage_root = storage_root_of(change.storage.iter().map(|(slot, value)| (*slot, *value)));
            Some((keccak256(address), encode_account(account, storage_root)))
        })
        .collect();
    root_of(&mut leaves)
}

/// The root of a storage trie with exactly these slots; zero values count as absent.
pub fn storage_root_of(slots: impl IntoIterator<Item = (U256, U256)>) -> B256 {
    let mut leaves: Vec<_> = slots
        .into_iter()
        .filter(|(_, value)| !value.is_zero())
        .map(|(slot, value)| {
            (keccak256(slot.to_be_bytes::<32>()), alloy_rlp::encode_fixed_size(&value).to_vec())
        })
        .collect();
    root_of(&mut leaves)
}

fn root_of(leaves: &mut [(B256, Vec<u8>)]) -> B256 {
    if leaves.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    leaves.sort_unstable_by_key(|(key, _)| *key);
    let mut builder = HashBuilder::default();
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack_array(&key.0), value);
    }
    builder.root()
}
