//! Times what follows execution on a chain with many accounts: the state root, and the durable commit.
//!
//! A store of its own in a temporary folder is filled with accounts once; then blocks change some of
//! them at random (balance and nonce, as transfers do) and are appended one after another.

use std::collections::BTreeMap;
use std::time::Instant;

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, U256, keccak256};
use parallelpool_core::state::{Account, AccountChange, StateChanges};
use parallelpool_core::store::{Durability, FirstBlock, NewBlock, Store, StoreHead, StoreOptions};
use parallelpool_core::trie::{EmptyTrie, update_state};
use parallelpool_core::workers::Workers;
use serde::Serialize;

use crate::sample::median;
use crate::workloads::Numbers;

/// Accounts of the published figure.
pub const ACCOUNTS: usize = 1_000_000;
/// Accounts that a block changes, one row each.
const CHANGED: [usize; 3] = [100, 1_000, 10_000];

/// Blocks that change the same number of accounts.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateRootRow {
    /// Accounts in the state.
    pub accounts: usize,
    /// Accounts that each block changes.
    pub changed: usize,
    /// Threads that work on the tries.
    pub threads: usize,
    /// Median, milliseconds.
    pub root_ms: f64,
    /// Median, milliseconds; until the block is on the disk.
    pub commit_ms: f64,
    /// Raw samples.
    pub root_ns: Vec<u64>,
    /// Raw samples.
    pub commit_ns: Vec<u64>,
}

/// Measures `rounds` blocks of each size on a state of `accounts` accounts.
pub fn measure(
    accounts: usize,
    rounds: usize,
    seed: u64,
    workers: &Workers,
) -> Result<Vec<StateRootRow>, CoreError> {
    let storage = |error: std::io::Error| CoreError::Storage(format!("a temporary folder: {error}"));
    let folder = tempfile::tempdir().map_err(storage)?;
    let mut ledger = Ledger::open(folder.path(), accounts, workers)?;
    let mut numbers = Numbers::new(seed, "state-root");
    let mut rows = Vec::new();
    for changed in CHANGED.into_iter().filter(|changed| *changed <= accounts) {
        let mut row = StateRootRow {
            accounts,
            changed,
            threads: workers.threads(),
            root_ms: 0.0,
            commit_ms: 0.0,
            root_ns: Vec::new(),
            commit_ns: Vec::new(),
        };
        // The first one warms up.
        for round in 0..=rounds {
            let changes = transfers(accounts, changed, &mut numbers);
            let (root_ns, commit_ns) = ledger.append(&changes, workers)?;
            if round > 0 {
                row.root_ns.push(root_ns);
                row.commit_ns.push(commit_ns);
            }
        }
        row.root_ms = median(row.root_ns.iter().copied()) / 1e6;
        row.commit_ms = median(row.commit_ns.iter().copied()) / 1e6;
        rows.push(row);
    }
    Ok(rows)
}

/// A store and its head.
struct Ledger {
    store: Store,
    head: StoreHead,
}

impl Ledger {
    fn open(folder: &std::path::Path, accounts: usize, workers: &Workers) -> Result<Self, CoreError> {
        let state = StateChanges {
            accounts: (0..accounts as u64).map(|index| (address(index), change(1, index))).collect(),
            codes: BTreeMap::new(),
        };
        let head = StoreHead { number: 0, hash: keccak256(b"genesis") };
        let block = NewBlock { head, parent: B256::ZERO, header: &[], body: &[], signed: &[], receipts: &[] };
        let options = StoreOptions { directory: Some(folder.into()), durability: Durability::Immediate };
        let first = FirstBlock { block, state: &state, document: &[] };
        let store = Store::open(&options, &first, || Ok(update_state(&EmptyTrie, &state, workers)?))?;
        Ok(Self { store, head })
    }

    /// Nanoseconds of the root and of the commit.
    fn append(&mut self, changes: &StateChanges, workers: &Workers) -> Result<(u64, u64), CoreError> {
        let snapshot = self.store.snapshot();
        let (parent, number) = (self.head.hash, self.head.number + 1);
        let head = StoreHead { number, hash: keccak256(number.to_be_bytes()) };
        let block = NewBlock { head, parent, header: &[], body: &[], signed: &[], receipts: &[] };
        let started = Instant::now();
        let trie = update_state(&snapshot, changes, workers)?;
        let rooted = Instant::now();
        self.store.append(&block, changes, &trie)?;
        let committed = Instant::now();
        self.head = head;
        let between = |from: Instant, to: Instant| to.duration_since(from).as_nanos() as u64;
        Ok((between(started, rooted), between(rooted, committed)))
    }
}

fn transfers(accounts: usize, changed: usize, numbers: &mut Numbers) -> StateChanges {
    let mut changes = BTreeMap::new();
    while changes.len() < changed {
        let index = numbers.below(accounts as u64);
        changes.insert(address(index), change(2 + numbers.below(1_000), index));
    }
    StateChanges { accounts: changes.into(), codes: BTreeMap::new() }
}

fn address(index: u64) -> Address {
    Address::from_slice(&keccak256(index.to_be_bytes())[12..])
}

fn change(nonce: u64, balance: u64) -> AccountChange {
    let balance = U256::from(1_000_000_000_000_000_000u64) + U256::from(balance);
    let after = Account { nonce, balance, ..Account::default() };
    AccountChange { after: Some(after), storage_cleared: false, storage: Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_its_row_and_sizes_beyond_the_state_have_none() {
        let workers = Workers::new(2).expect("two threads");
        let rows = measure(1_500, 2, 1, &workers).expect("a temporary folder");
        let sizes: Vec<_> = rows.iter().map(|row| (row.accounts, row.changed, row.root_ns.len())).collect();
        assert_eq!(sizes, [(1_500, 100, 2), (1_500, 1_000, 2)]);
        assert!(rows.iter().all(|row| row.root_ms > 0.0 && row.commit_ms > 0.0));
    }

    #[test]
    fn a_block_changes_as_many_accounts_as_it_says() {
        let changes = transfers(1_000, 100, &mut Numbers::new(1, "test"));
        assert_eq!(changes.accounts.len(), 100);
    }
}
