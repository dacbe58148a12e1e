//! Real mainnet blocks against their headers.

mod support;

use std::sync::Arc;

use parallelpool_core::block::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::replay::{ReplayBlock, compare, parse, replay};
use parallelpool_core::workers::Workers;

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

#[test]
fn one_kept_journal_and_one_journal_per_transaction_agree_on_real_blocks() {
    let Some(blocks) = blocks() else { return };
    let executor = executor();
    let separately = ExecuteOptions { keep_transaction_changes: true, ..serial() };
    for block in &blocks {
        let (_, kept) = replay(&executor, block, &serial()).expect("memory state");
        let (_, separate) = replay(&executor, block, &separately).expect("memory state");
        let mut separate = separate.expect("a valid block");
        separate.transaction_changes.clear();

        assert_eq!(compare(&kept.expect("a valid block"), &separate), Vec::<String>::new());
    }
}

#[test]
fn parallel_execution_agrees_with_serial_on_real_blocks_at_any_thread_count() {
    let Some(blocks) = blocks() else { return };
    let executor = executor();
    for block in &blocks {
        let (_, serial) = replay(&executor, block, &serial()).expect("memory state");
        let serial = serial.expect("a valid block");
        for threads in [1, 2, 8] {
            let options =
                ExecuteOptions { mode: Mode::Parallel, threads, recheck: true, ..Default::default() };
            let (verdict, parallel) = replay(&executor, block, &options).expect("memory state");
            let number = verdict.number;
            let differences = compare(&serial, &parallel.expect("a valid block"));

            assert!(verdict.parallel, "block {number} took the serial path");
            assert!(verdict.differences.is_empty(), "block {number}: {:?}", verdict.differences);
            assert!(differences.is_empty(), "block {number} on {threads} threads: {differences:?}");
        }
    }
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
