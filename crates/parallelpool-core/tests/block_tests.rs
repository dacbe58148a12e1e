//! Public block tests of every fork, executed: each valid block reaches its roots, each invalid
//! one is refused, and the chain ends where it should.

mod support;

use std::sync::Arc;

use parallelpool_core::block::{ExecuteOptions, Mode};
use parallelpool_core::block_codec::Block;
use parallelpool_core::executor::Executor;
use parallelpool_core::workers::Workers;
use support::block_tests::{self, BlockTest};
use support::chain_run::ChainRun;
use support::exceptions::explains;

/// Tests of forks whose rules still move: their fixtures and our EVM are of different days.
fn is_unsettled(network: &str) -> bool {
    network.contains("Amsterdam")
}

/// What one test showed.
#[derive(Default)]
struct Verdict {
    executed: usize,
    refused: usize,
    failures: Vec<String>,
}

fn run(test: &BlockTest, executor: &Executor, mode: Mode) -> Verdict {
    let mut verdict = Verdict::default();
    let alloc = support::as_changes(&test.pre);
    let options = ExecuteOptions { mode, recheck: true, ..Default::default() };
    let mut chain = ChainRun::new(test.spec.clone(), &test.genesis.header, &alloc, executor.clone(), options);
    for (index, block) in test.blocks.iter().enumerate() {
        let outcome = Block::decode(&block.rlp)
            .map_err(|error| error.to_string())
            .and_then(|block| chain.import(&block));
        match (outcome, &block.exception) {
            (Ok(_), None) => verdict.executed += 1,
            (Err(reason), Some(exception)) if explains(&reason, exception) => verdict.refused += 1,
            (Err(reason), Some(exception)) => {
                verdict.failures.push(format!("block {index} is {exception}, refused as: {reason}"));
            }
            (Err(reason), None) => verdict.failures.push(format!("block {index}: {reason}")),
            (Ok(_), Some(exception)) => {
                verdict.failures.push(format!("block {index} was taken: {exception}"));
            }
        }
    }
    if chain.head.hash_slow() != test.last_block_hash {
        verdict.failures.push(format!("the chain ends at {}", chain.head.hash_slow()));
    }
    if let Some(post) = &test.post
        && support::as_changes(post) != support::as_changes(&chain.state)
    {
        verdict.failures.push("the state differs".into());
    }
    verdict
}

/// Runs every test below a folder, of the files that are slow or of those that are not, and returns
/// how many blocks were executed and refused.
fn run_folder(name: &str, mode: Mode, slow: bool) -> Option<Verdict> {
    let folder = support::fixtures(name)?;
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    let mut total = Verdict::default();
    let mut unsettled = 0;
    for path in support::json_files(&folder).iter().filter(|path| support::is_slow(path) == slow) {
        for test in block_tests::read(&support::read(path)) {
            if is_unsettled(&test.network) {
                unsettled += 1;
                continue;
            }
            let verdict = run(&test, &executor, mode);
            total.executed += verdict.executed;
            total.refused += verdict.refused;
            let failures = verdict.failures.into_iter();
            total.failures.extend(failures.map(|failure| format!("{}: {failure}", test.name)));
        }
    }
    let Verdict { executed, refused, failures } = &total;
    println!(
        "{name}, {mode:?}: {executed} blocks executed, {refused} refused, {unsettled} unsettled tests skipped"
    );
    let shown = &failures[..failures.len().min(40)];
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), shown.join("\n"));
    assert!(*executed > 0, "some blocks were executed");
    Some(total)
}

#[test]
fn execution_spec_blocks_reach_their_roots_or_are_refused_serially() {
    run_folder("eest/blockchain_tests", Mode::Serial, false);
}

#[test]
fn execution_spec_blocks_reach_their_roots_or_are_refused_in_parallel() {
    run_folder("eest/blockchain_tests", Mode::Parallel, false);
}

#[test]
fn older_valid_blocks_reach_their_roots_serially_and_in_parallel() {
    for mode in [Mode::Serial, Mode::Parallel] {
        let total = run_folder("blockchain_tests/ValidBlocks", mode, false);
        assert!(total.is_none_or(|total| total.refused == 0));
    }
}

#[test]
#[ignore = "one file burns gas for half a minute in each mode; run with --include-ignored"]
fn slow_blocks_reach_their_roots_serially_and_in_parallel() {
    for mode in [Mode::Serial, Mode::Parallel] {
        run_folder("eest/blockchain_tests", mode, true);
    }
}
