//! The public Amsterdam tests, among them those of block access lists, with the list in the block.
//!
//! They were filled in April 2026, before the fork's prices moved on, so they run under the prices
//! of that month. Where the EVM's rules have changed in more than price, `disagreements` says how;
//! there the lists are still compared, but for the balances that gas decides. Under the newest rules
//! the same blocks have other headers; all ways of executing them must agree nevertheless.

mod disagreements;
mod lists;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parallelpool_core::block_access_list::{BlockAccessList, WrongAccessList, most_items};
use parallelpool_core::block_codec::Block;
use parallelpool_core::chainspec::{Amsterdam, ChainSpec, Fork};
use parallelpool_core::execution::{BlockOutcome, ExecuteError, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::workers::Workers;
use serde_json::Value;

use disagreements::{Disagreement, disagreement};
use support::block_tests::{self, BlockTest};
use support::chain_run::ChainRun;
use support::exceptions::{explains, is_listed};
use support::shards::share;
use support::tally::Tally;
use support::ways::Ways;

const SAMPLE: Ways = Ways::Sample(3);

/// What one thread has seen.
#[derive(Default)]
struct Share {
    tally: Tally,
    /// Tests by the reason why they may differ.
    differing: BTreeMap<&'static str, usize>,
    lists: usize,
    /// Lists that are equal but for balances that gas decides.
    lists_but_for_gas: usize,
    refused_lists: usize,
}

fn executor() -> Executor {
    Executor::new(Arc::new(Workers::new(2).expect("threads start")))
}

fn chain(test: &BlockTest, amsterdam: Amsterdam) -> ChainRun {
    let spec = ChainSpec { amsterdam, ..test.spec.clone() };
    let alloc = support::as_changes(&test.pre);
    ChainRun::new(spec, &test.genesis.header, &alloc, executor(), SAMPLE)
}

/// Executes the next block of a chain whatever its header says, serially.
fn execute(
    chain: &ChainRun,
    block: &Block,
    given: Option<Arc<BlockAccessList>>,
) -> Result<BlockOutcome, ExecuteError> {
    let executor = executor();
    let rules = chain.spec.rules_of(&block.header);
    let transactions = block.recover_transactions(&rules, executor.workers()).expect("signed by somebody");
    let options = ExecuteOptions {
        mode: Mode::Serial,
        produce_access_list: true,
        access_list: given,
        ..ExecuteOptions::default()
    };
    executor.execute(&chain.spec, &block.context(), &transactions, &chain.state, &options)
}

/// The list that the test has for a block: of a valid one the true list, of an invalid one perhaps
/// a wrong one.
fn list_of(block: &Value) -> Option<BlockAccessList> {
    let found = [&block["blockAccessList"], &block["rlp_decoded"]["blockAccessList"]];
    found.into_iter().find(|list| list.is_array()).map(lists::read)
}

/// Runs one test under the prices it was filled with. Returns the first block that differs.
fn run(test: &BlockTest, json: &Value, share: &mut Share) -> Option<String> {
    let mut chain = chain(test, Amsterdam::April2026);
    for (index, block) in test.blocks.iter().enumerate() {
        let given = list_of(&json["blocks"][index]);
        let decoded = Block::decode(&block.rlp).map_err(|error| error.to_string());
        let before = decoded.as_ref().ok().map(|decoded| (decoded, &chain));
        if let (Some((decoded, chain)), Some(given), Some(exception)) = (before, &given, &block.exception) {
            check_wrong_list(chain, decoded, given, exception, share);
        }
        let outcome = decoded.clone().and_then(|block| chain.import(&block, &mut share.tally));
        share.tally.blame(&format!("{}, block {index}", test.name));
        match (outcome, &block.exception) {
            (Ok(outcome), None) => {
                let is_amsterdam = chain.spec.fork_of(&chain.head) >= Fork::Amsterdam;
                assert_eq!(given.is_some(), is_amsterdam, "{}: blocks of Amsterdam have lists", test.name);
                if let Some(given) = given {
                    assert_eq!(outcome.access_list.as_deref(), Some(&given), "{}", test.name);
                    share.lists += 1;
                }
                share.tally.executed += 1;
            }
            (Err(reason), Some(exception)) => {
                assert!(is_listed(exception), "{}: {exception} is not known", test.name);
                if !explains(&reason, exception) {
                    return Some(format!("block {index} is {exception}, refused as: {reason}"));
                }
                share.tally.refused += 1;
            }
            (Err(reason), None) => {
                let list =
                    decoded.ok().zip(given).map(|(block, given)| differing_list(&chain, &block, &given));
                share.lists_but_for_gas += usize::from(list == Some(None));
                let list = list.flatten().map(|list| format!("; lists: {list}")).unwrap_or_default();
                return Some(format!("block {index}: {reason}{list}"));
            }
            (Ok(_), Some(exception)) => return Some(format!("block {index} was taken: {exception}")),
        }
    }
    (chain.head.hash_slow() != test.last_block_hash).then(|| "the chain ends elsewhere".into())
}

/// A list that came with an invalid block is refused by its class, as far as the list is what is
/// wrong with the block.
fn check_wrong_list(
    chain: &ChainRun,
    block: &Block,
    given: &BlockAccessList,
    exception: &str,
    share: &mut Share,
) {
    let wrong = match execute(chain, block, Some(Arc::new(given.clone()))) {
        Err(ExecuteError::AccessList(wrong)) => Some(*wrong),
        _ => None,
    };
    let bound = most_items(block.header.gas_limit);
    let is_right_class = match exception {
        "BlockException.INVALID_BLOCK_ACCESS_LIST" => {
            matches!(wrong, Some(WrongAccessList::Change { .. } | WrongAccessList::NotListed { .. }))
        }
        "BlockException.INCORRECT_BLOCK_FORMAT" => {
            matches!(BlockAccessList::decode(&given.encode(), bound), Err(WrongAccessList::Form { .. }))
        }
        "BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED" => {
            let decoded = BlockAccessList::decode(&given.encode(), bound);
            wrong.is_none() && matches!(decoded, Err(WrongAccessList::TooManyItems { .. }))
        }
        // The list is right, the header is not.
        "BlockException.INVALID_BAL_HASH|BlockException.INVALID_BLOCK_HASH" => wrong.is_none(),
        _ => return,
    };
    assert!(is_right_class, "{exception}: {wrong:?}");
    share.refused_lists += 1;
}

/// Where the lists differ apart from what gas decides; `None` where nowhere.
fn differing_list(chain: &ChainRun, block: &Block, given: &BlockAccessList) -> Option<String> {
    let outcome = match execute(chain, block, None) {
        Ok(outcome) => outcome,
        Err(error) => return Some(error.to_string()),
    };
    let rules = chain.spec.rules_of(&block.header);
    let transactions = block.recover_transactions(&rules, executor().workers()).expect("signed by somebody");
    let mut payers: Vec<_> = transactions.iter().map(|tx| tx.sender).collect();
    payers.push(block.header.beneficiary);
    let list = outcome.access_list.expect("it was asked for");
    lists::first_difference(
        &lists::without_balances(given, &payers),
        &lists::without_balances(&list, &payers),
    )
}

/// Under the newest rules the headers do not hold, but all ways must agree.
fn run_newest(test: &BlockTest, share: &mut Share) -> bool {
    let mut chain = chain(test, Amsterdam::Newest);
    let mut holds = true;
    for (index, block) in test.blocks.iter().enumerate() {
        let outcome = Block::decode(&block.rlp)
            .map_err(|error| error.to_string())
            .and_then(|block| chain.import(&block, &mut share.tally));
        share.tally.blame(&format!("{}, block {index}, newest rules", test.name));
        holds &= outcome.is_ok() == block.exception.is_none();
    }
    holds
}

fn run_file(path: &Path, share: &mut Share) {
    let bytes = support::read(path);
    let json: Value = serde_json::from_slice(&bytes).expect("an object of tests");
    for (name, test) in block_tests::read(&bytes) {
        let test = test.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        if !test.network.contains("Amsterdam") {
            continue;
        }
        let differs = run(&test, &json[&name], share);
        match (disagreement(&name), differs) {
            (None, None) => {}
            (None, Some(how)) => share.tally.fail(&name, how),
            (Some(Disagreement { reason, .. }), None) => {
                share.tally.fail(&name, format!("agrees, though it is said not to: {reason}"));
            }
            (Some(expected), Some(how)) => {
                *share.differing.entry(expected.reason).or_default() += 1;
                if how.contains("; lists: ") != expected.touches_lists {
                    share.tally.fail(&name, how);
                }
            }
        }
        if run_newest(&test, share) {
            *share.differing.entry("holds under the newest rules too").or_default() += 1;
        }
    }
}

#[test]
fn amsterdam_blocks_reach_their_roots_and_lists_or_differ_for_a_known_reason() {
    let Some(folder) = support::fixtures("eest/blockchain_tests") else { return };
    let files = support::json_files(&folder);
    let shares = share(&files, Share::default, |share, path| run_file(path, share));
    let (mut lists, mut lists_but_for_gas, mut refused_lists) = (0, 0, 0);
    let mut differing: BTreeMap<&str, usize> = BTreeMap::new();
    for share in &shares {
        lists += share.lists;
        lists_but_for_gas += share.lists_but_for_gas;
        refused_lists += share.refused_lists;
        for (reason, count) in &share.differing {
            *differing.entry(reason).or_default() += count;
        }
    }
    println!("{lists} lists equal, {lists_but_for_gas} but for gas, {refused_lists} wrong ones refused");
    println!("tests by reason: {differing:#?}");
    let tally = Tally::sum(shares.into_iter().map(|share| share.tally));
    tally.conclude("Amsterdam");
    assert!(tally.by_access_list > 700, "{} executions by a list", tally.by_access_list);
    assert_eq!(refused_lists, 7);
}
