//! GeneralStateTests and execution-spec state tests: post-state root and logs of one transaction,
//! executed in many ways.

mod support;

use std::path::Path;
use std::sync::Arc;

use parallelpool_core::execution::BuildOutcome;
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{B256, Log, keccak256};
use parallelpool_core::trie::state_root_of;
use support::agreement::{Case, Task};
use support::exceptions::{explains, is_listed};
use support::shards::Shard;
use support::state_tests::{self, StateCase};
use support::suite::{run_folder, run_shard};
use support::tally::Tally;
use support::ways::Ways;

/// Combinations that `make test` takes for each case.
const SAMPLE: Ways = Ways::Sample(3);

fn run(case: StateCase, executor: &Executor, ways: Ways, tally: &mut Tally) {
    let name = case.name.clone();
    let outcome = execute(&case, executor, ways, tally);
    tally.blame(&name);
    match (outcome, &case.exception) {
        (Err(reason), Some(exception)) if is_listed(exception) && explains(&reason, exception) => {
            tally.refused += 1;
            if state_root_of(&support::as_changes(&case.state)) != case.root {
                tally.fail(&name, "the state of a refused transaction's test is another");
            }
        }
        (Ok(built), None) => match check(case, &built) {
            Ok(()) => tally.executed += 1,
            Err(words) => tally.fail(&name, words),
        },
        (Ok(_), Some(exception)) => tally.fail(&name, format!("should be {exception}")),
        (Err(reason), exception) => tally.fail(&name, format!("{reason}, expected {exception:?}")),
    }
}

fn execute(
    case: &StateCase,
    executor: &Executor,
    ways: Ways,
    tally: &mut Tally,
) -> Result<BuildOutcome, String> {
    let transaction = case.transaction.clone().ok_or("a number beyond 256 bits")?;
    let case = Case {
        spec: &case.spec,
        block: &case.block,
        transactions: &[Arc::new(transaction)],
        state: &case.state,
        task: Task::Replay(&case.rules),
        seed: u64::from_be_bytes(*keccak256(&case.name).first_chunk().expect("32 bytes")),
        pauses: false,
    };
    tally.compare(executor, &case, ways).map_err(|error| error.to_string())
}

fn check(mut case: StateCase, built: &BuildOutcome) -> Result<(), String> {
    let logs = logs_hash(&built.outcome.receipts[0].logs);
    case.state.apply(&built.outcome.changes);
    let root = state_root_of(&support::as_changes(&case.state));
    if logs != case.logs {
        return Err(format!("logs {logs}, expected {}", case.logs));
    }
    if root != case.root {
        return Err(format!("state root {root}, expected {}", case.root));
    }
    Ok(())
}

fn logs_hash(logs: &[Log]) -> B256 {
    let mut encoded = Vec::new();
    alloy_rlp::encode_list::<_, Log>(logs, &mut encoded);
    keccak256(encoded)
}

fn run_file(executor: &Executor, path: &Path, ways: Ways, tally: &mut Tally) {
    for case in state_tests::read(&support::read(path)) {
        match case {
            Ok(case) => run(case, executor, ways, tally),
            Err((name, fault)) => tally.fail(&format!("{}: {name}", path.display()), fault),
        }
    }
}

#[test]
fn general_state_tests_reach_their_post_states_in_sampled_ways() {
    if let Some(tally) = run_folder("state_tests", SAMPLE, false, run_file) {
        tally.demand_all_ways();
    }
}

#[test]
fn execution_spec_state_tests_reach_their_post_states_in_sampled_ways() {
    if let Some(tally) = run_folder("eest/state_tests", SAMPLE, false, run_file) {
        tally.demand_all_ways();
        assert!(tally.refused > 0, "some transactions are invalid");
    }
}

#[test]
#[ignore = "executes each transaction in 242 ways; run with --include-ignored"]
fn slow_state_tests_of_all_suites_reach_their_post_states_in_all_ways() {
    let shard = Shard::from_environment();
    run_shard("state_tests", Ways::All, false, shard, run_file);
    run_shard("eest/state_tests", Ways::All, false, shard, run_file);
}

#[test]
#[ignore = "two files burn gas for more than a minute; run with --include-ignored"]
fn slow_state_tests_reach_their_post_states_in_sampled_ways() {
    run_folder("state_tests", Ways::Sample(1), true, run_file);
    run_folder("eest/state_tests", Ways::Sample(1), true, run_file);
}

#[test]
fn a_file_with_an_unknown_fork_and_unknown_fields_is_told_apart() {
    let file =
        br#"{"strange": {"post": {"Bogota": [{"x": 1}]}, "more": 1}, "_info": {"comment": "no test"}}"#;
    let read: Vec<_> = state_tests::read(file).into_iter().map(|case| case.map(drop)).collect();

    let expected = ("strange/Bogota/0".to_owned(), "unknown fork or network \"Bogota\"".to_owned());
    assert_eq!(read, [Err(expected)]);
}
