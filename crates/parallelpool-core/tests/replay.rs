//! Real mainnet blocks against their headers.

mod support;

use std::sync::Arc;

use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::replay::{ReplayBlock, parse, replay};
use parallelpool_core::workers::Workers;
use support::agreement::{Case, Task};
use support::shards::share;
use support::tally::Tally;
use support::ways::Ways;

fn blocks() -> Option<Vec<ReplayBlock>> {
    let files = support::json_files(&support::fixtures("mainnet")?);
    assert!(!files.is_empty(), "the folder holds no block");
    let read = |file: &std::path::PathBuf| {
        parse(&support::read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    Some(files.iter().map(read).collect())
}

fn serial() -> ExecuteOptions {
    ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() }
}

fn executor() -> Executor {
    Executor::new(Arc::new(Workers::new(1).expect("a worker")))
}

#[test]
fn serial_execution_matches_the_headers_of_real_blocks() {
    let Some(blocks) = blocks() else { return };
    let executor = executor();
    for block in &blocks {
        let (verdict, _) = replay(&executor, block, &serial()).expect("memory state");
        let milliseconds = verdict.elapsed_ns / 1_000_000;
        eprintln!("{} {} txs {} gas {milliseconds} ms", verdict.number, verdict.transactions, verdict.gas);

        assert!(verdict.differences.is_empty(), "block {}: {:?}", verdict.number, verdict.differences);
    }
}

fn compare_ways(ways: Ways) {
    let Some(blocks) = blocks() else { return };
    let begin = || (Executor::new(Arc::new(Workers::new(2).expect("threads start"))), Tally::default());
    let shares = share(&blocks, begin, |(executor, tally), block| {
        let case = Case {
            spec: &ChainSpec::mainnet(),
            block: &block.block,
            transactions: &block.transactions,
            state: &block.state,
            task: Task::Replay(&block.rules),
            seed: block.block.number,
            pauses: false,
        };
        tally.compare(executor, &case, ways).expect("a valid block");
        tally.blame(&format!("block {}", block.block.number));
        tally.executed += 1;
    });
    Tally::sum(shares.into_iter().map(|(_, tally)| tally)).conclude(&format!("mainnet, {ways:?}"));
}

#[test]
fn real_blocks_have_one_result_in_sampled_ways() {
    compare_ways(Ways::Sample(12));
}

#[test]
#[ignore = "executes each block in 243 ways; run with --include-ignored"]
fn slow_real_blocks_have_one_result_in_all_ways() {
    compare_ways(Ways::All);
}

#[test]
fn a_header_that_promises_something_else_is_told_apart() {
    let Some(mut blocks) = blocks() else { return };
    let block = blocks.last_mut().expect("a block");
    block.expected.gas_used += 1;
    block.expected.logs_bloom.0[7] ^= 1;
    block.expected.receipts_root.0[0] ^= 1;
    let (verdict, _) = replay(&executor(), block, &serial()).expect("memory state");
    let subjects: Vec<_> =
        verdict.differences.iter().map(|words| words.split(" 0x").next().unwrap_or_default()).collect();

    assert_eq!(
        subjects.len(),
        if block.rules.fork >= parallelpool_core::chainspec::Fork::Byzantium { 3 } else { 2 }
    );
}

#[test]
fn a_block_whose_transaction_is_invalid_is_a_verdict_with_its_index() {
    let Some(mut blocks) = blocks() else { return };
    let block = blocks.last_mut().expect("a block");
    let first = block.transactions[0].clone();
    block.transactions.push(first);
    let (verdict, outcome) = replay(&executor(), block, &serial()).expect("memory state");
    let index = block.transactions.len() - 1;

    assert!(outcome.is_none());
    assert!(verdict.differences[0].starts_with(&format!("could not apply tx {index} [0x")));
    assert!(verdict.differences[0].contains("nonce too low"));
}
