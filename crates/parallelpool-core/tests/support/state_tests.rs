//! State tests, one case for each fork and each choice of data, gas and value.

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{ChainSpec, Rules};
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{AccessListItem, Authorization, RecoveredTransaction, Transaction};
use serde_json::Value;

use super::{address, bytes, hash, known_network, number};

/// One transaction on one state, and what should come of it.
#[derive(Debug)]
pub(crate) struct StateCase {
    pub(crate) name: String,
    pub(crate) fork: String,
    pub(crate) spec: ChainSpec,
    pub(crate) rules: Rules,
    pub(crate) block: BlockContext,
    pub(crate) state: MemoryState,
    /// `None` where a number of it is beyond 256 bits.
    pub(crate) transaction: Option<RecoveredTransaction>,
    /// Why the transaction is invalid, where it is.
    pub(crate) exception: Option<String>,
    /// Expected state root.
    pub(crate) root: B256,
    /// Expected hash of the logs.
    pub(crate) logs: B256,
}

/// The cases of one file, each read or with its name and what is wrong about it. Unknown fields are
/// passed over, and so are notes about the file.
pub(crate) fn read(json: &[u8]) -> Vec<Result<StateCase, (String, String)>> {
    let tests: serde_json::Map<String, Value> = serde_json::from_slice(json).expect("an object of tests");
    let mut cases = Vec::new();
    for (name, test) in tests.iter().filter(|(name, _)| !name.starts_with('_')) {
        let Some(forks) = test["post"].as_object() else {
            cases.push(Err((name.clone(), "a state test has post states by fork".into())));
            continue;
        };
        for (fork, posts) in forks {
            for (index, post) in posts.as_array().into_iter().flatten().enumerate() {
                let name = format!("{name}/{fork}/{index}");
                cases.push(read_case(name.clone(), test, fork, post).map_err(|fault| (name, fault)));
            }
        }
    }
    cases
}

fn read_case(name: String, test: &Value, fork: &str, post: &Value) -> Result<StateCase, String> {
    let mut spec = known_network(fork)?;
    if let Some(id) = test["config"].get("chainid").and_then(number) {
        spec.chain_id = id.to();
    }
    let block = super::environment(&test["env"]);
    let mut state = super::state(&test["pre"]);
    super::insert_test_block_hashes(&mut state, &block);
    Ok(StateCase {
        name,
        fork: fork.to_owned(),
        rules: spec.rules_in(&block),
        spec,
        block,
        state,
        transaction: transaction(&test["transaction"], &post["indexes"]),
        exception: post.get("expectException").and_then(Value::as_str).map(str::to_owned),
        root: hash(&post["hash"]),
        logs: hash(&post["logs"]),
    })
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
