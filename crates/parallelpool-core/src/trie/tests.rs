//! Incremental tries against alloy-trie's builder from scratch, on seeded random histories.

use std::collections::{BTreeMap, HashMap};

use alloy_trie::proof::verify_proof;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::primitives::{KECCAK_EMPTY, U256};
use crate::state::Account;

/// Nodes as a store keeps them, applying updates strictly: a deletion must find its entry.
#[derive(Debug, Default)]
struct StoredNodes {
    entries: BTreeMap<(TrieId, Nibbles), Vec<u8>>,
}

impl StoredNodes {
    fn apply(&mut self, update: TrieUpdate) {
        for hashed in update.cleared {
            let before = self.entries.len();
            self.entries.retain(|(trie, _), _| *trie != TrieId::Storage(hashed));
            assert!(self.entries.len() < before, "a cleared trie was there");
        }
        for (key, entry) in update.nodes {
            match entry {
                Some(rlp) => {
                    assert!(rlp.len() >= 32 || key.1.is_empty(), "short nodes have no entry");
                    self.entries.insert(key, rlp);
                }
                None => assert!(self.entries.remove(&key).is_some(), "a deleted entry was there: {key:?}"),
            }
        }
    }
}

impl TrieNodes for StoredNodes {
    fn node(&self, trie: TrieId, path: &Nibbles) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(&(trie, *path)).cloned())
    }
}

/// The whole state, changed along with the tries.
#[derive(Debug, Default, Clone)]
struct Whole {
    accounts: BTreeMap<Address, (Account, BTreeMap<U256, U256>)>,
}

impl Whole {
    fn as_changes(&self) -> StateChanges {
        let accounts = self.accounts.iter().map(|(address, (account, storage))| {
            let change = AccountChange {
                after: Some(*account),
                storage_cleared: false,
                storage: storage.clone().into(),
            };
            (*address, change)
        });
        StateChanges { accounts: accounts.collect(), ..StateChanges::default() }
    }

    /// Random true changes, applied here and returned.
    fn change(&mut self, rng: &mut StdRng, count: usize, addresses: u64, slots: u64) -> StateChanges {
        let mut changes = StateChanges::default();
        for _ in 0..count {
            let address = address_of(rng.random_range(0..addresses));
            if changes.accounts.contains_key(&address) {
                continue;
            }
            let exists = self.accounts.contains_key(&address);
            if exists && rng.random_ratio(1, 4) {
                self.accounts.remove(&address);
                let change =
                    AccountChange { after: None, storage_cleared: true, storage: Default::default() };
                changes.accounts.insert(address, change);
                continue;
            }
            let (account, storage) = self.accounts.entry(address).or_default();
            account.nonce += 1;
            account.balance = U256::from(rng.random::<u128>() >> rng.random_range(0..128u32));
            let storage_cleared = exists && rng.random_ratio(1, 8);
            if storage_cleared {
                storage.clear();
            }
            let mut written = BTreeMap::new();
            for _ in 0..rng.random_range(0..6) {
                let slot = U256::from(rng.random_range(0..slots));
                let value = match rng.random_range(0..3) {
                    0 => U256::ZERO,
                    1 => U256::from(rng.random_range(1..100u64)),
                    _ => U256::from_be_bytes(rng.random::<[u8; 32]>()),
                };
                let before = storage.get(&slot).copied().unwrap_or_default();
                if value == before || written.contains_key(&slot) {
                    continue;
                }
                match value.is_zero() {
                    true => storage.remove(&slot),
                    false => storage.insert(slot, value),
                };
                written.insert(slot, value);
            }
            let change = AccountChange { after: Some(*account), storage_cleared, storage: written.into() };
            changes.accounts.insert(address, change);
        }
        changes
    }
}

fn address_of(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn workers(threads: usize) -> Workers {
    Workers::new(threads).expect("threads start")
}

fn update(nodes: &dyn TrieNodes, changes: &StateChanges) -> TrieUpdate {
    update_state(nodes, changes, &workers(1)).expect("the nodes are whole")
}

/// What a store holds must be what it would hold had the state been written at once.
fn assert_same_nodes(stored: &StoredNodes, whole: &Whole) {
    let mut at_once = StoredNodes::default();
    at_once.apply(update(&EmptyTrie, &whole.as_changes()));
    assert_eq!(stored.entries, at_once.entries);
}

#[test]
fn random_histories_match_the_builder_and_leave_no_garbage() {
    for (seed, addresses, slots, count) in
        [(1, 4, 3, 3), (2, 40, 4, 10), (3, 300, 40, 60), (4, 5_000, 400, 400), (5, 16, 100, 8)]
    {
        let mut rng = StdRng::seed_from_u64(seed);
        let (one, two) = (workers(1), workers(2));
        let mut stored = StoredNodes::default();
        let mut whole = Whole::default();
        for round in 0..40 {
            let changes = whole.change(&mut rng, count, addresses, slots);
            let update = update_state(&stored, &changes, &one).expect("the nodes are whole");
            assert_eq!(update, update_state(&stored, &changes, &two).expect("the nodes are whole"));
            assert_eq!(update.root, state_root_of(&whole.as_changes()), "seed {seed}, round {round}");
            for (address, root) in &update.storage_roots {
                let storage = whole.accounts.get(address).map(|(_, storage)| storage.clone());
                assert_eq!(*root, storage_root_of(storage.unwrap_or_default()));
            }
            stored.apply(update);
            assert_eq!(state_root(&stored).expect("the nodes are whole"), state_root_of(&whole.as_changes()));
        }
        assert_same_nodes(&stored, &whole);
        assert!(!whole.accounts.is_empty(), "seed {seed} ended with accounts");

        for address in std::mem::take(&mut whole.accounts).into_keys() {
            let gone = AccountChange { after: None, storage_cleared: false, storage: Default::default() };
            let changes = StateChanges { accounts: [(address, gone)].into(), ..StateChanges::default() };
            stored.apply(update(&stored, &changes));
        }
        assert_eq!(state_root(&stored).expect("the nodes are whole"), EMPTY_ROOT_HASH);
        assert!(stored.entries.is_empty(), "an empty state has no nodes");
    }
}

#[test]
fn an_overlay_gives_the_roots_in_between_and_one_update_for_all() {
    let mut rng = StdRng::seed_from_u64(77);
    let mut stored = StoredNodes::default();
    let mut whole = Whole::default();
    for _ in 0..10 {
        let mut overlay = TrieOverlay::new(&stored).expect("the nodes are whole");
        for _ in 0..6 {
            let changes = whole.change(&mut rng, 25, 60, 12);
            let step = update(&overlay, &changes);
            overlay.apply(step);
            assert_eq!(overlay.root(), state_root_of(&whole.as_changes()));
        }
        let update = overlay.into_update();
        assert_eq!(update.root, state_root_of(&whole.as_changes()));
        for hashed in &update.cleared {
            stored.entries.retain(|(trie, _), _| trie != &TrieId::Storage(*hashed));
        }
        for (key, entry) in update.nodes {
            match entry {
                Some(rlp) => stored.entries.insert(key, rlp),
                None => stored.entries.remove(&key),
            };
        }
        assert_same_nodes(&stored, &whole);
    }
}

#[test]
fn an_unchanged_storage_root_survives_a_change_of_balance() {
    let mut stored = StoredNodes::default();
    let mut whole = Whole::default();
    let storage: BTreeMap<_, _> = (1..50u64).map(|slot| (U256::from(slot), U256::from(slot))).collect();
    whole.accounts.insert(address_of(1), (Account::default(), storage));
    stored.apply(update(&stored, &whole.as_changes()));
    let account = Account { nonce: 7, balance: U256::from(9), code_hash: KECCAK_EMPTY };
    whole.accounts.get_mut(&address_of(1)).expect("just inserted").0 = account;
    let change = AccountChange { after: Some(account), storage_cleared: false, storage: Default::default() };
    let changes = StateChanges { accounts: [(address_of(1), change)].into(), ..StateChanges::default() };

    let update = update(&stored, &changes);

    assert_eq!(update.root, state_root_of(&whole.as_changes()));
    assert!(update.nodes.keys().all(|(trie, _)| *trie == TrieId::Accounts));
}

#[test]
fn the_root_of_one_tiny_slot_is_stored_although_it_is_short() {
    let mut stored = StoredNodes::default();
    let mut whole = Whole::default();
    // A 33-byte key makes every lone leaf long; two leaves that share a long prefix cannot be had
    // from keccak, so embedded nodes are tried on the editor below.
    whole.accounts.insert(address_of(1), (Account::default(), [(U256::from(1), U256::from(1))].into()));
    stored.apply(update(&stored, &whole.as_changes()));
    assert_eq!(state_root(&stored).expect("the nodes are whole"), state_root_of(&whole.as_changes()));
    assert!(stored.entries.contains_key(&(TrieId::storage_of(&address_of(1)), Nibbles::new())));
}

#[test]
fn embedded_nodes_stay_inside_their_parent() {
    // Keys that differ only near their end have leaves short enough to be embedded.
    let mut rng = StdRng::seed_from_u64(5);
    let mut stored = StoredNodes::default();
    let mut whole: BTreeMap<[u8; 32], Vec<u8>> = BTreeMap::new();
    let trie = TrieId::Accounts;
    let mut embedded = false;
    for _ in 0..400 {
        let mut edits = BTreeMap::new();
        for _ in 0..rng.random_range(1..5) {
            let mut key = [0x11; 32];
            key[rng.random_range(0..3)] = rng.random_range(0..2u8) * 0x10;
            key[30] = rng.random_range(0..2u8) * 0x21;
            key[31] = rng.random_range(0..24u8);
            let value =
                rng.random_bool(0.6).then(|| vec![rng.random_range(1..100u8); rng.random_range(1..4)]);
            match &value {
                Some(value) => whole.insert(key, value.clone()),
                None => whole.remove(&key),
            };
            edits.insert(key, value);
        }
        let edits: Vec<_> = edits
            .into_iter()
            .map(|(key, value)| Edit {
                key: Nibbles::unpack_array(&key),
                leaf: value.map_or(LeafEdit::Delete, LeafEdit::Put),
            })
            .collect();
        let edited = edit_trie(&stored, trie, &edits, &workers(1)).expect("the nodes are whole");
        let mut builder = alloy_trie::HashBuilder::default();
        for (key, value) in &whole {
            builder.add_leaf(Nibbles::unpack_array(key), value);
        }
        assert_eq!(edited.root, builder.root());
        let nodes = edited.nodes.into_iter().map(|(path, node)| ((trie, path), node)).collect();
        stored.apply(TrieUpdate { nodes, ..TrieUpdate::default() });
        embedded |= whole.len() > 4 && stored.entries.len() < whole.len();
    }
    assert!(embedded, "some nodes had no entry of their own");
}

#[test]
fn proofs_verify_for_what_is_there_and_what_is_not() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut stored = StoredNodes::default();
    let mut whole = Whole::default();
    for _ in 0..10 {
        let changes = whole.change(&mut rng, 60, 100, 20);
        stored.apply(update(&stored, &changes));
    }
    let root = state_root_of(&whole.as_changes());
    let slots: Vec<U256> = (0..20u64).map(U256::from).collect();
    let mut present = 0;
    for number in 0..120 {
        let address = address_of(number);
        let proof = account_proof(&stored, address, &slots).expect("the nodes are whole");
        let expected = whole.accounts.get(&address);
        assert_eq!(proof.account, expected.map(|(account, _)| *account));
        present += usize::from(expected.is_some());
        let leaf = proof.account.map(|account| editor::encode_account(&account, proof.storage_root));
        verify_proof(root, Nibbles::unpack(keccak256(address)), leaf, &proof.proof).expect("account proof");
        for slot in &proof.storage {
            let expected = expected.and_then(|(_, storage)| storage.get(&slot.slot)).copied();
            assert_eq!(slot.value, expected.unwrap_or_default());
            let leaf = expected.map(|value| alloy_rlp::encode_fixed_size(&value).to_vec());
            let key = Nibbles::unpack(keccak256(slot.slot.to_be_bytes::<32>()));
            verify_proof(proof.storage_root, key, leaf, &slot.proof).expect("storage proof");
        }
    }
    assert!(present > 20, "{present} accounts were present");
    let empty = account_proof(&EmptyTrie, address_of(1), &slots).expect("no nodes");
    assert!(empty.proof.is_empty() && empty.account.is_none() && empty.storage_root == EMPTY_ROOT_HASH);
}

#[test]
fn a_missing_or_foreign_node_is_an_error_not_a_wrong_root() {
    let mut rng = StdRng::seed_from_u64(11);
    let mut whole = Whole::default();
    let mut stored = StoredNodes::default();
    let changes = whole.change(&mut rng, 400, 1_000, 5);
    stored.apply(update(&stored, &changes));
    let below: Vec<_> = stored
        .entries
        .keys()
        .filter(|(trie, path)| *trie == TrieId::Accounts && path.len() == 1)
        .copied()
        .collect();
    let all = whole.as_changes();
    let swapped: HashMap<_, _> = [(below[0], stored.entries[&below[1]].clone())].into_iter().collect();
    let removed = stored.entries.remove(&below[0]).expect("listed above");
    let missing = update_state(&stored, &all, &workers(1)).expect_err("a node is missing");
    stored.entries.extend(swapped);
    let foreign = update_state(&stored, &all, &workers(1)).expect_err("a node is not the one named");
    stored.entries.insert(below[0], removed);

    assert!(matches!(missing, StateError::Backend(text) if text.contains("missing")));
    assert!(matches!(foreign, StateError::Backend(text) if text.contains("is not")));
    update_state(&stored, &all, &workers(1)).expect("whole again");
}

/// Prints what an update costs; figures belong to the machine they were made on.
#[test]
fn ten_thousand_accounts_timed() {
    let mut rng = StdRng::seed_from_u64(13);
    let mut stored = StoredNodes::default();
    let mut whole = Whole::default();
    for number in 0..10_000 {
        let account = Account { nonce: 1, balance: U256::from(rng.random::<u64>()), ..Account::default() };
        whole.accounts.insert(address_of(number), (account, BTreeMap::new()));
    }
    let (one, two) = (workers(1), workers(2));
    let all = whole.as_changes();
    for (name, workers) in [("one worker", &one), ("two workers", &two)] {
        let start = std::time::Instant::now();
        let update = update_state(&stored, &all, workers).expect("no nodes");
        println!("10,000 new accounts, {name}: {:?}", start.elapsed());
        assert_eq!(update.root, state_root_of(&all));
    }
    stored.apply(update(&stored, &all));
    let some = Whole { accounts: whole.accounts.iter().step_by(50).map(|(a, b)| (*a, b.clone())).collect() };
    let mut changes = some.as_changes();
    for change in changes.accounts.values_mut() {
        change.after.as_mut().expect("present").nonce = 2;
    }
    for (name, workers) in [("one worker", &one), ("two workers", &two)] {
        let start = std::time::Instant::now();
        let update = update_state(&stored, &changes, workers).expect("the nodes are whole");
        println!("200 of 10,000 accounts, {name}: {:?}, {} nodes", start.elapsed(), update.nodes.len());
    }
}
