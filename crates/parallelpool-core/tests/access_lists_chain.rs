//! Block access lists along a chain: committed to from Amsterdam on, checked on import, used where
//! they are given, and made again for blocks of the past.

mod devchain;
mod support;

use std::sync::Arc;

use parallelpool_core::block_access_list::{BlockAccessList, Change};
use parallelpool_core::block_codec::{Block, blocks};
use parallelpool_core::chain::{BlockAttributes, BuiltBlock, Chain};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::genesis::dev_genesis_json;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::tx::SharedTransaction;
use serde_json::{Value, json};

const OTHER: Address = Address::repeat_byte(0x11);

/// The dev chain with Amsterdam from a time on.
fn amsterdam_from(time: u64) -> Chain {
    let mut genesis: Value = serde_json::from_str(dev_genesis_json()).expect("JSON");
    genesis["config"]["amsterdamTime"] = json!(time);
    devchain::open(genesis.to_string().as_bytes(), None)
}

/// Stores the second word of its calldata under the first.
fn storing() -> Vec<u8> {
    // PUSH1 32, CALLDATALOAD, PUSH0, CALLDATALOAD, SSTORE.
    devchain::deploying(&[0x60, 32, 0x35, 0x5f, 0x35, 0x55])
}

fn words(slot: u64, value: u64) -> Vec<u8> {
    [B256::from(U256::from(slot)).0, B256::from(U256::from(value)).0].concat()
}

/// Three blocks: a creation; writes to one slot; payments.
fn grow(chain: &Chain) -> Vec<BuiltBlock> {
    let contract = devchain::SENDER.create(0);
    let write = |nonce, slot, value| devchain::transaction(nonce, Some(contract), 0, &words(slot, value));
    let block = |transactions: &[SharedTransaction]| devchain::seal(chain, transactions);
    vec![
        block(&[devchain::creation(0, &storing())]),
        block(&[write(1, 5, 1), write(2, 5, 1), write(3, 5, 2), write(4, 6, 0)]),
        block(&[
            devchain::transaction(5, Some(OTHER), 3, &[]),
            devchain::transaction(6, Some(OTHER), 0, &[]),
        ]),
    ]
}

fn refusal(imported: Result<parallelpool_core::chain::ImportedBlock, CoreError>) -> String {
    match imported {
        Err(CoreError::BlockRefused { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn given(list: BlockAccessList) -> ExecuteOptions {
    ExecuteOptions { access_list: Some(Arc::new(list)), mode: Mode::Parallel, ..Default::default() }
}

#[test]
fn blocks_commit_to_their_lists_from_the_fork_on() {
    let start = devchain::open(dev_genesis_json().as_bytes(), None).head().header.timestamp;
    let chain = amsterdam_from(start + 2);
    let built = grow(&chain);
    let before = &built[0].block.block.header;
    assert_eq!((before.block_access_list_hash, before.slot_number), (None, None));
    for (number, slot) in [(2_u64, 1), (3, 2)] {
        let header = &built[number as usize - 1].block.block.header;
        let list = chain.block_access_list(number).expect("kept").expect("there");

        assert_eq!(header.block_access_list_hash, Some(list.hash()));
        assert_eq!(header.slot_number, Some(slot), "one more than the parent's");
    }
    let contract = devchain::SENDER.create(0);
    let second = chain.block_access_list(2).expect("kept").expect("there");
    let accesses = second.account(&contract).expect("it was called");

    assert_eq!(accesses.storage_changes.len(), 1);
    assert_eq!(accesses.storage_changes[0].slot, U256::from(5));
    let changes = [Change { index: 1, value: U256::from(1) }, Change { index: 3, value: U256::from(2) }];
    assert_eq!(accesses.storage_changes[0].changes, changes, "a write of what is there is none");
    assert_eq!(accesses.storage_reads, [U256::from(6)], "nor is zero where there was nothing");
    let sender = second.account(&devchain::SENDER).expect("it sent");
    let nonces: Vec<_> = sender.nonce_changes.iter().map(|change| (change.index, change.value)).collect();
    assert_eq!(nonces, [(1, 2), (2, 3), (3, 4), (4, 5)]);
}

#[test]
fn another_chain_imports_them_with_and_without_their_lists() {
    let (source, plain, by_list) = (amsterdam_from(0), amsterdam_from(0), amsterdam_from(0));
    for built in grow(&source) {
        let number = built.block.block.header.number;
        let list = source.block_access_list(number).expect("kept").expect("there");
        let imported = plain.import_block(&built.block.raw, &Default::default()).expect("a good block");
        assert!(!imported.statistics.by_access_list);
        let imported = by_list.import_block(&built.block.raw, &given((*list).clone())).expect("a good block");
        assert!(imported.statistics.by_access_list);
        assert_eq!(imported.receipts, built.receipts);
    }
    assert_eq!(plain.head(), source.head());
    assert_eq!(by_list.head(), source.head());
}

#[test]
fn a_wrong_list_or_commitment_is_refused_and_leaves_no_trace() {
    let (source, chain) = (amsterdam_from(0), amsterdam_from(0));
    let built = grow(&source);
    let raw = &built[0].block.raw;
    let list = source.block_access_list(1).expect("kept").expect("there");
    let head = chain.head();

    let mut wrong = (*list).clone();
    let sender = wrong.accounts.iter_mut().find(|account| account.address == devchain::SENDER);
    sender.expect("it sent").nonce_changes[0].value += 1;
    let words =
        format!("block access list is wrong at index 1: nonce of {}: listed 2, executed 1", devchain::SENDER);
    assert_eq!(refusal(chain.import_block(raw, &given(wrong))), words);

    let mut longer = (*list).clone();
    longer.accounts.push(Default::default());
    longer.accounts.last_mut().expect("pushed").address = Address::repeat_byte(0xff);
    let words = format!(
        "block access list is wrong: account {} is listed and never accessed",
        Address::repeat_byte(0xff)
    );
    assert_eq!(refusal(chain.import_block(raw, &given(longer))), words);

    let mut block = built[0].block.block.clone();
    block.header.block_access_list_hash = Some(B256::repeat_byte(1));
    let block = Block::new(block.header, block.transactions, block.ommers, block.withdrawals);
    let words = format!(
        "invalid block access list hash (remote: {:x} local: {:x})",
        B256::repeat_byte(1),
        list.hash()
    );
    assert_eq!(refusal(chain.import_block(&block.encode(), &Default::default())), words);
    assert_eq!(refusal(chain.import_block(&block.encode(), &given((*list).clone()))), words);

    assert_eq!(chain.head(), head);
    chain.import_block(raw, &Default::default()).expect("the block itself is good");
}

#[test]
fn a_gas_limit_too_small_for_the_system_calls_is_no_attribute() {
    let mut genesis: Value = serde_json::from_str(dev_genesis_json()).expect("JSON");
    genesis["config"]["amsterdamTime"] = json!(0);
    genesis["gasLimit"] = json!("0x7148");
    let chain = devchain::open(genesis.to_string().as_bytes(), None);
    let head = chain.head();
    let attributes = BlockAttributes {
        timestamp: head.header.timestamp + 1,
        gas_limit: 29_000,
        ..BlockAttributes::default()
    };
    let built = chain.build(&attributes, &[], &Default::default());

    let words = "block attributes: block access list exceeds gas limit: more than 14 items";
    assert_eq!(built.map(drop), Err(CoreError::InvalidArgument(words.into())));
}

#[test]
fn a_block_under_construction_takes_no_list() {
    let chain = amsterdam_from(0);
    let attributes = BlockAttributes {
        timestamp: chain.head().header.timestamp + 1,
        gas_limit: chain.head().header.gas_limit,
        ..BlockAttributes::default()
    };
    let built = chain.build(&attributes, &[], &given(BlockAccessList::default()));

    let words = "a block under construction has no access list yet";
    assert_eq!(built.map(drop), Err(CoreError::InvalidArgument(words.into())));
}

#[test]
fn every_block_of_the_past_has_a_list_and_can_be_imported_by_it() {
    let Some(folder) = support::fixtures("rpc-compat") else { return };
    let genesis = std::fs::read(folder.join("genesis.json")).expect("a genesis");
    let file = std::fs::read(folder.join("chain.rlp")).expect("a chain");
    let (source, copy) = (devchain::open(&genesis, None), devchain::open(&genesis, None));
    let raw: Vec<_> = blocks(&file).map(|block| block.expect("a good block").encode()).collect();
    for raw in &raw {
        source.import_block(raw, &Default::default()).expect("a good block");
    }
    let mut by_list = 0;
    for (number, raw) in (1..).zip(&raw) {
        let list = source.block_access_list(number).expect("kept").expect("there");
        let imported = copy.import_block(raw, &given((*list).clone()));
        by_list += usize::from(imported.expect("a good block").statistics.by_access_list);
    }

    assert_eq!(copy.head(), source.head());
    assert_eq!(source.block_access_list(0).expect("known").as_deref(), Some(&BlockAccessList::default()));
    assert_eq!(source.block_access_list(55).expect("known"), None);
    assert!(by_list >= 40, "{by_list} of {} blocks ran by their lists", raw.len());
}
