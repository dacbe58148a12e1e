//! Blocks of our own chain, taken out of it and executed again elsewhere.

mod devchain;

use std::sync::Arc;

use parallelpool_core::chain::Chain;
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::genesis::dev_genesis_json;
use parallelpool_core::primitives::Address;
use parallelpool_core::replay::{ReplayBlock, compare, parse, replay};
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::workers::Workers;
use serde_json::Value;

/// Stores what the previous block's hash, the beneficiary's balance and slot 1 say:
/// BLOCKHASH(NUMBER - 1), BALANCE(COINBASE), SLOAD(1) + 1.
const CURIOUS: [u8; 21] = [
    0x60, 0x01, 0x43, 0x03, 0x40, 0x5f, 0x55, // PUSH1 1 NUMBER SUB BLOCKHASH PUSH0 SSTORE
    0x41, 0x31, 0x60, 0x02, 0x55, // COINBASE BALANCE PUSH1 2 SSTORE
    0x60, 0x01, 0x54, 0x60, 0x01, 0x01, 0x60, 0x01, 0x55, // PUSH1 1 SLOAD PUSH1 1 ADD PUSH1 1 SSTORE
];

fn chain() -> (Chain, Address) {
    let chain = devchain::open(dev_genesis_json().as_bytes(), None);
    devchain::seal(&chain, &[devchain::creation(0, &devchain::deploying(&CURIOUS))]);
    (chain, devchain::SENDER.create(0))
}

fn calls(first: u64, contract: Address) -> Vec<SharedTransaction> {
    (first..first + 3).map(|nonce| devchain::transaction(nonce, Some(contract), 0, &[])).collect()
}

/// Differences from the header by both executors, and between them.
fn differences(block: &ReplayBlock) -> Vec<String> {
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads")));
    let run = |mode| {
        let options = ExecuteOptions { mode, ..ExecuteOptions::default() };
        let (verdict, outcome) = replay(&executor, block, &options).expect("the state is there");
        (verdict.differences, outcome.expect("a valid block"))
    };
    let ((mut found, serial), (parallel, other)) = (run(Mode::Serial), run(Mode::Parallel));
    found.extend(parallel);
    found.extend(compare(&serial, &other));
    found
}

#[test]
fn stored_blocks_are_executed_again_without_their_chain() {
    let (chain, contract) = chain();
    for first in [1, 4, 7] {
        devchain::seal(&chain, &calls(first, contract));
    }
    let blocks: Vec<ReplayBlock> =
        (1..=4).map(|number| chain.replay_block(number).expect("readable").expect("stored")).collect();
    drop(chain);

    assert_eq!(blocks.iter().map(|block| block.transactions.len()).collect::<Vec<_>>(), [1, 3, 3, 3]);
    for block in &blocks {
        assert_eq!(differences(block), Vec::<String>::new());
    }
}

#[test]
fn the_genesis_and_blocks_to_come_are_not_replayed() {
    let (chain, _) = chain();

    assert!(matches!(chain.replay_block(0), Err(CoreError::InvalidArgument(_))));
    assert!(chain.replay_block(2).expect("readable").is_none());
}

#[test]
fn a_reproducer_builds_the_block_from_its_candidates_again() {
    let (chain, contract) = chain();
    devchain::seal(&chain, &calls(1, contract));
    // One that comes too early, and is left out.
    let mut candidates = calls(4, contract);
    candidates.insert(1, devchain::transaction(60, Some(contract), 0, &[]));
    let built = devchain::build(&chain, &candidates);
    let document = chain.reproducer(&built, &candidates, "a fuse was out").expect("on the head");
    drop(chain);
    let block = parse(&document).expect("readable");

    assert_eq!(block.transactions.len(), 3);
    assert_eq!(block.block.number, 3);
    assert_eq!(differences(&block), Vec::<String>::new());
    let mut broken: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!(broken["difference"], "a fuse was out");
    assert_eq!(broken["genesis"]["alloc"], serde_json::json!({}));
    let candidates = broken["candidates"].as_array_mut().expect("a list");
    candidates.remove(3);
    let broken = parse(broken.to_string().as_bytes()).expect("readable");
    let found = differences(&broken);
    assert!(found.iter().any(|words| words.starts_with("gas used")), "{found:?}");
    assert!(found.iter().any(|words| words.starts_with("transaction 2 is none, in the block it is 0x")));
}

#[test]
fn a_reproducer_is_made_on_the_parent_only() {
    let (chain, contract) = chain();
    let candidates = calls(1, contract);
    let built = devchain::build(&chain, &candidates);
    chain.commit(&built).expect("nothing came between");
    let late = chain.reproducer(&built, &candidates, "");

    assert!(matches!(late, Err(CoreError::InvalidArgument(_))), "{late:?}");
}
