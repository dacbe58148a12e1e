//! Public block tests of every fork, executed in many ways: each valid block reaches its roots, each
//! invalid one is refused, and the chain ends where it should.

mod support;

use std::path::Path;

use parallelpool_core::block_codec::Block;
use parallelpool_core::executor::Executor;
use support::block_tests::{self, BlockTest};
use support::chain_run::ChainRun;
use support::exceptions::explains;
use support::shards::Shard;
use support::suite::{run_folder, run_shard};
use support::tally::Tally;
use support::ways::Ways;

/// Combinations that `make test` takes for each block.
const SAMPLE: Ways = Ways::Sample(4);

/// Tests of forks whose rules still move: their fixtures and our EVM are of different days.
fn is_unsettled(network: &str) -> bool {
    network.contains("Amsterdam")
}

fn run(test: &BlockTest, executor: &Executor, ways: Ways, tally: &mut Tally) {
    let name = &test.name;
    let alloc = support::as_changes(&test.pre);
    let mut chain = ChainRun::new(test.spec.clone(), &test.genesis.header, &alloc, executor.clone(), ways);
    for (index, block) in test.blocks.iter().enumerate() {
        let outcome = Block::decode(&block.rlp)
            .map_err(|error| error.to_string())
            .and_then(|block| chain.import(&block, tally));
        tally.blame(&format!("{name}, block {index}"));
        match (outcome, &block.exception) {
            (Ok(_), None) => tally.executed += 1,
            (Err(reason), Some(exception)) if explains(&reason, exception) => tally.refused += 1,
            (Err(reason), Some(exception)) => {
                tally.fail(name, format!("block {index} is {exception}, refused as: {reason}"));
            }
            (Err(reason), None) => tally.fail(name, format!("block {index}: {reason}")),
            (Ok(_), Some(exception)) => tally.fail(name, format!("block {index} was taken: {exception}")),
        }
    }
    if chain.head.hash_slow() != test.last_block_hash {
        tally.fail(name, format!("the chain ends at {}", chain.head.hash_slow()));
    }
    if let Some(post) = &test.post
        && support::as_changes(post) != support::as_changes(&chain.state)
    {
        tally.fail(name, "the state differs");
    }
}

fn run_file(executor: &Executor, path: &Path, ways: Ways, tally: &mut Tally) {
    for (name, test) in block_tests::read(&support::read(path)) {
        match test {
            Err(fault) => tally.fail(&format!("{}: {name}", path.display()), fault),
            Ok(test) if is_unsettled(&test.network) => tally.skip("rules not settled"),
            Ok(test) => run(&test, executor, ways, tally),
        }
    }
}

#[test]
fn execution_spec_blocks_reach_their_roots_or_are_refused_in_sampled_ways() {
    if let Some(tally) = run_folder("eest/blockchain_tests", SAMPLE, false, run_file) {
        tally.demand_all_ways();
        assert!(tally.refused > 0, "some blocks are invalid");
    }
}

#[test]
fn older_valid_blocks_reach_their_roots_in_sampled_ways() {
    if let Some(tally) = run_folder("blockchain_tests/ValidBlocks", SAMPLE, false, run_file) {
        assert_eq!(tally.refused, 0);
    }
}

#[test]
#[ignore = "executes each block in 243 ways; run with --include-ignored"]
fn slow_blocks_of_all_suites_reach_their_roots_in_all_ways() {
    let shard = Shard::from_environment();
    run_shard("eest/blockchain_tests", Ways::All, false, shard, run_file);
    run_shard("blockchain_tests/ValidBlocks", Ways::All, false, shard, run_file);
}

#[test]
#[ignore = "one file burns gas for half a minute in each way; run with --include-ignored"]
fn slow_blocks_reach_their_roots_in_sampled_ways() {
    run_folder("eest/blockchain_tests", Ways::Sample(2), true, run_file);
}

#[test]
fn a_file_with_an_unknown_network_and_unknown_fields_is_told_apart() {
    let file = br#"{"strange": {"network": "Bogota", "more": 1}, "_info": {"comment": "no test"}}"#;
    let read: Vec<_> =
        block_tests::read(file).into_iter().map(|(name, test)| (name, test.map(drop))).collect();

    assert_eq!(read, [("strange".to_owned(), Err("unknown fork or network \"Bogota\"".to_owned()))]);
}
