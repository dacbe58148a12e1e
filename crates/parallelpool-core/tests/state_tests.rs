//! GeneralStateTests and execution-spec state tests: post-state root and logs of one transaction.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{ChainSpec, Rules};
use parallelpool_core::evm::Evm;
use parallelpool_core::ledger::Ledger;
use parallelpool_core::primitives::{Address, B256, Log, U256, keccak256};
use parallelpool_core::state::StateChanges;
use parallelpool_core::state::database::ViewDatabase;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::overlay::Overlay;
use parallelpool_core::trie::state_root_of;
use parallelpool_core::tx::{AccessListItem, Authorization, RecoveredTransaction, Transaction};
use serde_json::Value;
use support::exceptions::{explains, is_listed};
use support::{address, bytes, hash, number};

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: BTreeMap<String, Vec<String>>,
}

/// Runs the files of a folder, those that are slow or those that are not.
fn run_folder(folder: &str, slow: bool) -> Option<Tally> {
    let folder = support::fixtures(folder)?;
    let mut tally = Tally::default();
    for file in support::json_files(&folder).iter().filter(|file| support::is_slow(file) == slow) {
        run_file(&folder, file, &mut tally);
    }
    Some(tally)
}

fn run_file(folder: &Path, file: &Path, tally: &mut Tally) {
    let document: Value = serde_json::from_slice(&support::read(file)).expect("JSON");
    let file = file.strip_prefix(folder).expect("a file of the folder").display().to_string();
    for (name, test) in document.as_object().expect("tests by name") {
        for (fork, posts) in test["post"].as_object().expect("posts by fork") {
            for (index, post) in posts.as_array().expect("posts").iter().enumerate() {
                match run_case(test, fork, post) {
                    Ok(()) => tally.passed += 1,
                    Err(words) => {
                        let case = format!("{name}/{fork}/{index}: {words}");
                        tally.failed.entry(file.clone()).or_default().push(case);
                    }
                }
            }
        }
    }
}

fn run_case(test: &Value, fork: &str, post: &Value) -> Result<(), String> {
    let mut spec = ChainSpec::for_network(fork).ok_or("unknown fork")?;
    if let Some(id) = test["config"].get("chainid").and_then(number) {
        spec.chain_id = id.to();
    }
    let block = support::environment(&test["env"]);
    let rules = spec.rules_in(&block);
    let mut state = support::state(&test["pre"]);
    support::insert_test_block_hashes(&mut state, &block);
    let exception = post.get("expectException").and_then(Value::as_str);
    let tx = transaction(&test["transaction"], &post["indexes"]).ok_or("a number beyond 256 bits".to_owned());
    let outcome = tx.and_then(|tx| execute(&rules, &block, &state, &tx));
    let (changes, logs) = match (outcome, exception) {
        (Ok(outcome), None) => outcome,
        (Err(reason), Some(exception)) if is_listed(exception) && explains(&reason, exception) => {
            Default::default()
        }
        (Ok(_), Some(exception)) => return Err(format!("should be {exception}")),
        (Err(reason), exception) => return Err(format!("{reason}, expected {exception:?}")),
    };
    state.apply(&changes);
    let (root, logs) = (state_root_of(&support::as_changes(&state)), logs_hash(&logs));
    if logs != hash(&post["logs"]) {
        return Err(format!("logs {logs}, expected {}", post["logs"]));
    }
    if root != hash(&post["hash"]) {
        return Err(format!("state root {root}, expected {}", post["hash"]));
    }
    Ok(())
}

/// Changes and logs of the transaction, its fee credited, or why it cannot be executed.
fn execute(
    rules: &Rules,
    block: &BlockContext,
    state: &MemoryState,
    tx: &RecoveredTransaction,
) -> Result<(StateChanges, Vec<Log>), String> {
    let execution = Evm::new(rules, block, ViewDatabase(state)).execute(tx).map_err(|e| e.to_string())?;
    let ledger = Ledger::new(rules, block, None);
    let result = ledger.verdict(tx, execution.outcome).map_err(|reason| reason.to_string())?;
    let mut overlay = Overlay::new(state);
    overlay.write(&execution.writes, execution.codes).map_err(|e| e.to_string())?;
    if !result.beneficiary_destroyed {
        overlay.credit(block.beneficiary, result.fee, rules.spec_id).map_err(|e| e.to_string())?;
    }
    Ok((overlay.into_changes().map_err(|e| e.to_string())?, result.logs))
}

fn logs_hash(logs: &[Log]) -> B256 {
    let mut encoded = Vec::new();
    alloy_rlp::encode_list::<_, Log>(logs, &mut encoded);
    keccak256(encoded)
}

/// The transaction of one post state; `None` where a number does not fit.
fn transaction(fields: &Value, indexes: &Value) -> Option<RecoveredTransaction> {
    let pick = |key: &str, index: &str| {
        let index = indexes[index].as_u64().expect("an index");
        &fields[key][usize::try_from(index).expect("a small index")]
    };
    let optional = |key: &str| fields.get(key).map(|value| number(value).ok_or(()));
    let data = bytes(pick("data", "data"));
    let access_list = fields.get("accessLists").map(|_| pick("accessLists", "data"));
    let blob_hashes = fields.get("blobVersionedHashes").and_then(Value::as_array);
    let authorizations = fields.get("authorizationList").and_then(Value::as_array);
    let tx_type = match () {
        () if authorizations.is_some() => 4,
        () if blob_hashes.is_some() || fields.get("maxFeePerBlobGas").is_some() => 3,
        () if fields.get("maxFeePerGas").is_some() => 2,
        () if access_list.is_some() => 1,
        () => 0,
    };
    let price = optional("gasPrice").transpose().ok()?;
    let cap = optional("maxFeePerGas").transpose().ok()?.or(price)?;
    let to = &fields["to"];
    let tx = Transaction {
        tx_type,
        nonce: number(&fields["nonce"])?.try_into().ok()?,
        gas_limit: number(pick("gasLimit", "gas"))?.try_into().ok()?,
        max_fee_per_gas: cap,
        max_priority_fee_per_gas: optional("maxPriorityFeePerGas").transpose().ok()?.unwrap_or(cap),
        to: (to.as_str() != Some("")).then(|| address(to)),
        value: number(pick("value", "value"))?,
        data,
        access_list: access_list.and_then(Value::as_array).into_iter().flatten().map(access_item).collect(),
        blob_versioned_hashes: blob_hashes.into_iter().flatten().map(hash).collect(),
        max_fee_per_blob_gas: optional("maxFeePerBlobGas").transpose().ok()?.unwrap_or_default(),
        authorization_list: authorizations.into_iter().flatten().map(authorization).collect::<Option<_>>()?,
        r: U256::ONE,
        s: U256::ONE,
        ..Transaction::default()
    };
    Some(RecoveredTransaction { tx, sender: sender(fields) })
}

fn sender(fields: &Value) -> Address {
    address(&fields["sender"])
}

fn access_item(item: &Value) -> AccessListItem {
    let keys = item["storageKeys"].as_array().expect("storage keys");
    AccessListItem { address: address(&item["address"]), storage_keys: keys.iter().map(hash).collect() }
}

fn authorization(fields: &Value) -> Option<Authorization> {
    Some(Authorization {
        chain_id: number(&fields["chainId"])?,
        address: address(&fields["address"]),
        nonce: number(&fields["nonce"])?.try_into().ok()?,
        y_parity: number(fields.get("yParity").unwrap_or(&fields["v"]))?.try_into().ok()?,
        r: number(&fields["r"])?,
        s: number(&fields["s"])?,
    })
}

fn report(tally: &Tally) -> String {
    let mut words = String::new();
    let failures: usize = tally.failed.values().map(Vec::len).sum();
    words.push_str(&format!("{} passed, {failures} failed in {} files", tally.passed, tally.failed.len()));
    for (file, cases) in tally.failed.iter().take(40) {
        words.push_str(&format!("\n{file} ({}): {}", cases.len(), cases[0]));
    }
    words
}

fn assert_post_states(folder: &str, slow: bool) {
    let Some(tally) = run_folder(folder, slow) else { return };

    eprintln!("{}", report(&tally));
    assert!(tally.failed.is_empty(), "{}", report(&tally));
    assert!(tally.passed > 0, "the folder holds no case");
}

#[test]
fn general_state_tests_reach_their_post_states() {
    assert_post_states("state_tests", false);
}

#[test]
fn execution_spec_state_tests_reach_their_post_states() {
    assert_post_states("eest/state_tests", false);
}

#[test]
#[ignore = "two files burn gas for more than a minute; run with --include-ignored"]
fn slow_state_tests_reach_their_post_states() {
    assert_post_states("state_tests", true);
    assert_post_states("eest/state_tests", true);
}
