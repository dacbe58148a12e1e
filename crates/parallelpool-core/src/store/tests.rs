//! The store against a model, through restarts, reverts and moving heads.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::ReadableTable;

use super::test_support::{MadeUpBlock, Model, TemporaryDirectory, append, block_hash, open_store, revert};
use super::*;
use crate::primitives::{KECCAK_EMPTY, U256};
use crate::state::{Account, AccountChange, StateView};
use crate::trie::{state_root, state_root_of};

/// Every entry of every table but the codes, which a revert leaves, as text.
fn content(snapshot: &Snapshot) -> Vec<String> {
    let tables = &snapshot.tables;
    let mut lines = Vec::new();
    macro_rules! list {
        ($($table:ident),*) => {$(
            for entry in tables.$table.iter().expect("the table is readable") {
                let (key, value) = entry.expect("the table is readable");
                lines.push(format!("{} {:?} {:?}", stringify!($table), key.value(), value.value()));
            }
        )*};
    }
    list!(accounts, storage, account_trie, storage_trie, account_history, storage_history, changed_keys);
    list!(headers, bodies, signed, receipts, block_numbers, transactions);
    lines
}

/// Every account and slot that the random model uses, asked of a view.
fn assert_view_is(view: &dyn StateView, model: &Model, what: &str) {
    for byte in 1..=24 {
        let address = Address::repeat_byte(byte);
        let account = view.account(&address).expect("readable");
        assert_eq!(account.as_ref(), model.accounts.get(&address), "{what}: account {address}");
        if let Some(account) = account.filter(|account| account.code_hash != KECCAK_EMPTY) {
            let code = view.code(&account.code_hash).expect("the code is kept");
            assert_eq!(code.hash_slow(), account.code_hash, "{what}: code of {address}");
        }
        let stored = model.storage.range((address, U256::ZERO)..=(address, U256::MAX)).next().is_some();
        assert_eq!(view.has_storage(&address), Ok(stored), "{what}: storage of {address}");
        for slot in (0..12).map(U256::from) {
            let expected = model.storage.get(&(address, slot)).copied().unwrap_or_default();
            let value = view.storage(&address, &slot).expect("readable");
            assert_eq!(value, expected, "{what}: slot {slot} of {address}");
        }
    }
}

fn account(nonce: u64) -> Option<Account> {
    Some(Account { nonce, balance: U256::from(nonce), code_hash: KECCAK_EMPTY })
}

fn change(address: u8, after: Option<Account>, storage: &[(u64, u64)]) -> StateChanges {
    let storage = storage.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).collect();
    let mut changes = StateChanges::default();
    changes
        .accounts
        .insert(Address::repeat_byte(address), AccountChange { after, storage_cleared: false, storage });
    changes
}

#[test]
fn a_thousand_random_commits_equal_the_model() {
    let mut random = StdRng::seed_from_u64(1);
    let directory = TemporaryDirectory::new("model");
    let mut store = open_store(Some(directory.path())).expect("a new directory");
    let mut models = vec![Model::default()];
    let (mut cleared, mut deleted) = (0, 0);
    for round in 0..1000 {
        let mut model = models.last().expect("there is genesis").clone();
        let changes = model.random_changes(&mut random);
        cleared += changes.accounts.values().filter(|change| change.storage_cleared).count();
        deleted += changes.accounts.values().filter(|change| change.after.is_none()).count();
        model.apply(&changes);
        let snapshot = append(&store, 0, &changes);
        models.push(model);
        let model = models.last().expect("just pushed");
        assert_view_is(&*snapshot, model, &format!("round {round}"));
        if round % 10 == 0 {
            assert_eq!(snapshot.whole_state().expect("readable"), model.whole());
            assert_eq!(state_root(&*snapshot), Ok(state_root_of(&model.whole())), "root of round {round}");
            let number = random.random_range(0..models.len() as u64);
            let past = snapshot.state_after(number).expect("a past block");
            assert_view_is(&*past, &models[number as usize], &format!("block {number} at round {round}"));
        }
        if round % 100 == 50 {
            let back = snapshot.head().number - random.random_range(1..20);
            models.truncate(back as usize + 1);
            let snapshot = revert(&store, back);
            let model = models.last().expect("back is not negative");
            assert_view_is(&*snapshot, model, &format!("reverted to {back}"));
            assert_eq!(state_root(&*snapshot), Ok(state_root_of(&model.whole())), "root of block {back}");
        }
        if round % 250 == 125 {
            drop(store);
            store = open_store(Some(directory.path())).expect("it was closed");
            let model = models.last().expect("there is genesis");
            assert_view_is(&*store.snapshot(), model, &format!("reopened at round {round}"));
        }
    }

    let snapshot = store.snapshot();
    for (number, model) in models.iter().enumerate() {
        let view = snapshot.state_after(number as u64).expect("up to the head");
        assert_view_is(&*view, model, &format!("block {number} in the end"));
    }
    assert!(cleared > 100 && deleted > 100, "cleared {cleared}, deleted {deleted}");
}

#[test]
fn a_revert_leaves_no_trace() {
    let mut random = StdRng::seed_from_u64(2);
    let store = open_store(None).expect("in memory");
    let mut model = Model::default();
    let mut contents = vec![content(&store.snapshot())];
    let mut grow = |model: &mut Model, branch: u8| {
        let changes = model.random_changes(&mut random);
        model.apply(&changes);
        content(&append(&store, branch, &changes))
    };
    for _ in 0..40 {
        contents.push(grow(&mut model, 0));
    }
    for (number, expected) in contents.iter().enumerate().rev().step_by(7) {
        let snapshot = revert(&store, number as u64);
        assert_eq!(&content(&snapshot), expected, "reverted to block {number}");
        assert_eq!(snapshot.head().number, number as u64);
    }
}

#[test]
fn another_branch_after_a_revert_replaces_the_first() {
    let store = open_store(None).expect("in memory");
    append(&store, 0, &change(1, account(1), &[(1, 5)]));
    append(&store, 0, &change(1, account(2), &[(1, 6), (2, 7)]));
    let old_branch = store.snapshot();
    revert(&store, 1);
    append(&store, 1, &change(1, account(9), &[(1, 8)]));

    let snapshot = store.snapshot();
    assert_eq!(snapshot.head().hash, block_hash(1, 2));
    assert_eq!(snapshot.number_of(&block_hash(0, 2)), Ok(None));
    assert_eq!(snapshot.number_of(&block_hash(1, 2)), Ok(Some(2)));
    let address = Address::repeat_byte(1);
    let slots = |view: &dyn StateView| {
        [1, 2].map(|slot| view.storage(&address, &U256::from(slot)).expect("readable").to::<u64>())
    };
    assert_eq!(slots(&*snapshot), [8, 0]);
    assert_eq!(slots(&*old_branch), [6, 7], "a view stays on its branch");
    assert_eq!(slots(&*snapshot.state_after(1).expect("past")), [5, 0]);
    assert_eq!(old_branch.account(&address), Ok(account(2)));
    assert_eq!(snapshot.account(&address), Ok(account(9)));
}

#[test]
fn blocks_receipts_and_indexes_are_read_back_after_a_restart() {
    let directory = TemporaryDirectory::new("restart");
    let store = open_store(Some(directory.path())).expect("a new directory");
    append(&store, 0, &change(1, account(1), &[]));
    append(&store, 0, &change(2, account(1), &[(3, 4)]));
    let before = content(&store.snapshot());
    drop(store);

    let store = open_store(Some(directory.path())).expect("it was closed");
    let snapshot = store.snapshot();
    assert_eq!(content(&snapshot), before);
    let block = MadeUpBlock::new(2, 0, block_hash(0, 1));
    assert_eq!(snapshot.head(), block.head);
    let header = snapshot.header(2).expect("readable").expect("it is there");
    assert_eq!((header.hash, &header.rlp[..]), (block.head.hash, &block.header[..]));
    assert_eq!(snapshot.body(2), Ok(Some(Bytes::from(block.body.clone()))));
    assert_eq!(snapshot.signed(2), Ok(Some(block.signed.clone())));
    assert_eq!(snapshot.transaction_location(&block.signed[1].hash), Ok(Some((2, 1))));
    assert_eq!(snapshot.transaction_location(&B256::ZERO), Ok(None));
    let receipts = snapshot.receipts(2).expect("readable").expect("they are there");
    assert_eq!(receipts.into_iter().map(|(receipt, _)| receipt).collect::<Vec<_>>(), block.receipts);
    assert_eq!(snapshot.block_hash(1), Ok(block_hash(0, 1)));
    assert_eq!(snapshot.state_after(1).expect("past").block_hash(2), Ok(B256::ZERO), "later than the view");
    assert_eq!(snapshot.header(3), Ok(None));
    assert!(snapshot.state_after(3).is_err());
    assert_eq!(store.document(), Ok(Bytes::from_static(b"document")));
    store.replace_document(b"another").expect("writable");
    assert_eq!(store.document(), Ok(Bytes::from_static(b"another")));
}

#[test]
fn a_block_that_does_not_follow_the_head_is_stale_and_changes_nothing() {
    let store = open_store(None).expect("in memory");
    let genesis = store.snapshot().head();
    let stale = MadeUpBlock::after(genesis, 1);
    append(&store, 0, &change(1, account(1), &[]));
    let before = content(&store.snapshot());

    let refused = store.append(&stale.as_new(), &change(1, account(7), &[]), &TrieUpdate::default());
    let error = refused.expect_err("another block took its place");
    assert_eq!(error.kind(), "block_refused");
    assert!(error.to_string().starts_with("block 1 refused: stale"), "{error}");
    assert_eq!(content(&store.snapshot()), before);
}

#[test]
fn another_genesis_and_another_schema_are_refused() {
    let directory = TemporaryDirectory::new("refused");
    drop(open_store(Some(directory.path())).expect("a new directory"));
    let options = StoreOptions { directory: Some(directory.path().to_owned()), ..Default::default() };
    let other = MadeUpBlock::new(0, 1, B256::ZERO);
    let first = FirstBlock { block: other.as_new(), state: &StateChanges::default(), document: b"" };
    let error = Store::open(&options, &first, || Ok(TrieUpdate::default())).expect_err("other genesis");
    let expected = format!(
        "database contains incompatible genesis (have {}, new {})",
        block_hash(0, 0),
        block_hash(1, 0)
    );
    assert_eq!((error.kind(), error.to_string()), ("store_refused", expected));

    let store = open_store(Some(directory.path())).expect("its own genesis");
    let transaction = store.database.read().as_ref().expect("it is open").begin_write().expect("writable");
    write::put_meta(&transaction, write::SCHEMA, &77u32.to_be_bytes()).expect("writable");
    transaction.commit().expect("writable");
    drop(store);
    let error = open_store(Some(directory.path())).expect_err("other schema");
    assert_eq!(error.kind(), "store_refused");
    assert!(error.to_string().contains("schema version 77, this build reads version 1"), "{error}");
}

#[test]
fn an_open_store_is_refused_to_a_second_owner() {
    let directory = TemporaryDirectory::new("second");
    let _store = open_store(Some(directory.path())).expect("a new directory");
    let error = open_store(Some(directory.path())).expect_err("the first is open");
    let expected = format!(
        "{} is in use by another parallelpool (pid {})",
        directory.path().display(),
        std::process::id()
    );
    assert_eq!((error.kind(), error.to_string()), ("store_refused", expected));
}

#[test]
fn views_keep_answering_for_their_block_while_the_head_moves() {
    let store = open_store(None).expect("in memory");
    let slot = U256::from(1);
    let addresses: Vec<_> = (1..=8).map(Address::repeat_byte).collect();
    let step = |value: u64| {
        let mut changes = StateChanges::default();
        for byte in 1..=8 {
            changes.accounts.extend(change(byte, account(value), &[(1, value)]).accounts);
        }
        append(&store, 0, &changes)
    };
    step(1);
    let stop = AtomicBool::new(false);
    let checked = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (store, stop, addresses) = (&store, &stop, &addresses);
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(reader);
                    let mut held = vec![store.snapshot()];
                    let mut checked = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        held.push(store.snapshot());
                        let snapshot = &held[random.random_range(0..held.len())];
                        let number = snapshot.head().number;
                        let view = snapshot.state_after(random.random_range(1..=number)).expect("past");
                        for address in addresses {
                            assert_eq!(snapshot.account(address), Ok(account(number)));
                            assert_eq!(snapshot.storage(address, &slot), Ok(U256::from(number)));
                            let past = view.account(address).expect("readable").expect("from block 1 on");
                            assert_eq!(view.storage(address, &slot), Ok(U256::from(past.nonce)));
                            checked += 1;
                        }
                        held.truncate(16);
                    }
                    checked
                })
            })
            .collect();
        (2..150).for_each(|value| drop(step(value)));
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("no reader failed")).sum::<u64>()
    });
    assert!(checked > 1000, "checked {checked}");
}

#[test]
fn eventual_commits_are_durable_after_an_orderly_close() {
    let directory = TemporaryDirectory::new("eventual");
    let genesis = MadeUpBlock::new(0, 0, B256::ZERO);
    let options =
        StoreOptions { directory: Some(directory.path().to_owned()), durability: Durability::Eventual };
    let first =
        FirstBlock { block: genesis.as_new(), state: &StateChanges::default(), document: b"document" };
    let store = Store::open(&options, &first, || Ok(TrieUpdate::default())).expect("a new directory");
    (1..=5).for_each(|nonce| drop(append(&store, 0, &change(1, account(nonce), &[]))));
    drop(store);

    let store = open_store(Some(directory.path())).expect("it was closed");
    assert_eq!(store.snapshot().head().number, 5);
    assert_eq!(store.snapshot().account(&Address::repeat_byte(1)), Ok(account(5)));
}
