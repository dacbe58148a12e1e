//! For tests: directories that clean up after themselves, made-up blocks, and a model of the
//! store that is too simple to be wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::StdRng;

use super::{FirstBlock, NewBlock, Signed, Snapshot, Store, StoreHead, StoreOptions};
use crate::block::Receipt;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256, keccak256};
use crate::state::{Account, AccountChange, StateChanges};
use crate::trie::{TrieUpdate, update_state};
use crate::workers::Workers;

/// A directory that is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("parallelpool-{name}-{}-{unique}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory can be made");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Left behind at worst; the test has its verdict by now.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Hash of the made-up block with this number on this branch.
pub(crate) fn block_hash(branch: u8, number: u64) -> B256 {
    keccak256([&[branch][..], &number.to_be_bytes()].concat())
}

/// A made-up block: two transactions, each with a receipt.
#[derive(Debug)]
pub(crate) struct MadeUpBlock {
    pub(crate) head: StoreHead,
    pub(crate) parent: B256,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) signed: Vec<Signed>,
    pub(crate) receipts: Vec<Receipt>,
}

impl MadeUpBlock {
    pub(crate) fn new(number: u64, branch: u8, parent: B256) -> Self {
        let hash = block_hash(branch, number);
        let signed = (0..2u8)
            .map(|index| Signed {
                hash: keccak256([hash.as_slice(), &[index]].concat()),
                sender: Address::repeat_byte(index),
            })
            .collect();
        let receipt = |index: u64| Receipt {
            tx_type: 2,
            success: index == 0,
            state_root: None,
            cumulative_gas_used: 21_000 * (index + 1),
            gas_used: 21_000,
            logs: Vec::new(),
            bloom: Default::default(),
            contract_address: None,
            effective_gas_price: u128::from(number),
            blob_gas_used: 0,
        };
        Self {
            head: StoreHead { number, hash },
            parent,
            header: format!("header {number} of {branch}").into_bytes(),
            body: format!("body {number} of {branch}").into_bytes(),
            signed,
            receipts: vec![receipt(0), receipt(1)],
        }
    }

    pub(crate) fn after(head: StoreHead, branch: u8) -> Self {
        Self::new(head.number + 1, branch, head.hash)
    }

    pub(crate) fn as_new(&self) -> NewBlock<'_> {
        NewBlock {
            head: self.head,
            parent: self.parent,
            header: &self.header,
            body: &self.body,
            signed: &self.signed,
            receipts: &self.receipts,
        }
    }
}

/// Opens (or makes) a store whose genesis is block 0 of branch 0 with an empty state.
pub(crate) fn open_store(directory: Option<&Path>) -> Result<Store, CoreError> {
    let options = StoreOptions { directory: directory.map(Path::to_owned), ..Default::default() };
    let genesis = MadeUpBlock::new(0, 0, B256::ZERO);
    let first =
        FirstBlock { block: genesis.as_new(), state: &StateChanges::default(), document: b"document" };
    Store::open(&options, &first, || Ok(TrieUpdate::default()))
}

/// Appends a made-up block with real trie nodes.
pub(crate) fn append(store: &Store, branch: u8, changes: &StateChanges) -> Arc<Snapshot> {
    let snapshot = store.snapshot();
    let workers = Workers::new(1).expect("one worker needs no thread");
    let trie = update_state(&*snapshot, changes, &workers).expect("the stored nodes fit together");
    let block = MadeUpBlock::after(snapshot.head(), branch);
    store.append(&block.as_new(), changes, &trie).expect("the block follows the head")
}

/// Takes blocks off, with the trie computed on the stored nodes.
pub(crate) fn revert(store: &Store, number: u64) -> Arc<Snapshot> {
    let workers = Workers::new(1).expect("one worker needs no thread");
    store
        .revert_to(number, |snapshot, changes| Ok(update_state(snapshot, changes, &workers)?))
        .expect("the block is below the head")
}

/// A state as plain maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) accounts: BTreeMap<Address, Account>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
}

impl Model {
    pub(crate) fn apply(&mut self, changes: &StateChanges) {
        for (address, change) in &changes.accounts {
            match change.after {
                Some(account) => drop(self.accounts.insert(*address, account)),
                None => drop(self.accounts.remove(address)),
            }
            if change.storage_cleared {
                self.storage.retain(|(owner, _), _| owner != address);
            }
            for (slot, value) in &change.storage {
                match value.is_zero() {
                    true => drop(self.storage.remove(&(*address, *slot))),
                    false => drop(self.storage.insert((*address, *slot), *value)),
                }
            }
        }
    }

    /// The model in the shape that [`Snapshot::whole_state`] has.
    pub(crate) fn whole(&self) -> StateChanges {
        let mut whole = StateChanges::default();
        for (address, account) in &self.accounts {
            let storage = self
                .storage
                .range((*address, U256::ZERO)..=(*address, U256::MAX))
                .map(|((_, slot), value)| (*slot, *value))
                .collect();
            let change = AccountChange { after: Some(*account), storage_cleared: false, storage };
            whole.accounts.insert(*address, change);
        }
        whole
    }

    /// Changes in canonical form: among few accounts and slots, so that everything that can
    /// happen to them does: creation, deletion, re-creation, clearing with and without new
    /// slots, values back to zero, accounts that change in storage only.
    pub(crate) fn random_changes(&self, random: &mut StdRng) -> StateChanges {
        let mut changes = StateChanges::default();
        let mut accounts = BTreeMap::new();
        for _ in 0..random.random_range(0..8) {
            let address = Address::repeat_byte(random.random_range(1..=24));
            let change = self.random_change(random, &address, &mut changes.codes);
            if change.after.as_ref() != self.accounts.get(&address)
                || change.storage_cleared
                || !change.storage.is_empty()
            {
                accounts.insert(address, change);
            }
        }
        changes.accounts = accounts.into();
        changes
    }

    fn random_change(
        &self,
        random: &mut StdRng,
        address: &Address,
        codes: &mut BTreeMap<B256, Bytes>,
    ) -> AccountChange {
        let has_storage = self.storage.range((*address, U256::ZERO)..=(*address, U256::MAX)).next().is_some();
        if random.random_ratio(1, 5) {
            return AccountChange { after: None, storage_cleared: has_storage, storage: Default::default() };
        }
        let after = match self.accounts.get(address) {
            Some(account) if random.random_ratio(1, 3) => *account,
            before => self.random_account(random, before, codes),
        };
        let storage_cleared = has_storage && random.random_ratio(1, 6);
        let mut storage = BTreeMap::new();
        for _ in 0..random.random_range(0..5) {
            let slot = U256::from(random.random_range(0..12u64));
            let value = match random.random_range(0..4u8) {
                0 => U256::ZERO,
                1 => U256::from(random.random_range(1..300u64)),
                _ => U256::from_be_bytes(random.random::<[u8; 32]>()),
            };
            let before = match storage_cleared {
                true => U256::ZERO,
                false => self.storage.get(&(*address, slot)).copied().unwrap_or_default(),
            };
            if value != before {
                storage.insert(slot, value);
            } else {
                storage.remove(&slot);
            }
        }
        AccountChange { after: Some(after), storage_cleared, storage: storage.into() }
    }

    fn random_account(
        &self,
        random: &mut StdRng,
        before: Option<&Account>,
        codes: &mut BTreeMap<B256, Bytes>,
    ) -> Account {
        let code_hash = match random.random_range(0..3u8) {
            0 => KECCAK_EMPTY,
            1 => before.map_or(KECCAK_EMPTY, |account| account.code_hash),
            _ => {
                let code = Bytes::from(random.random::<[u8; 8]>().to_vec());
                let hash = keccak256(&code);
                codes.insert(hash, code);
                hash
            }
        };
        let balance = U256::from(random.random::<u64>()) << random.random_range(0..100usize);
        Account { nonce: random.random_range(0..1000), balance, code_hash }
    }
}
