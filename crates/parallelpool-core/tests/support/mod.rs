//! Public fixtures: where they lie, and how their JSON becomes our types.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod agreement;
pub(crate) mod block_tests;
pub(crate) mod chain_run;
pub(crate) mod exceptions;
#[allow(clippy::duplicate_mod, reason = "random worlds have it too, and are used without this folder")]
#[path = "../random_blocks/world/hints.rs"]
pub(crate) mod hints;
pub(crate) mod merge;
pub(crate) mod records;
pub(crate) mod shards;
pub(crate) mod state_tests;
pub(crate) mod suite;
pub(crate) mod tally;
pub(crate) mod tiny;
pub(crate) mod unsteady;
pub(crate) mod ways;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, AccountChange, StateChanges, StateView};
use serde_json::Value;

/// Each takes half a minute or more; together they take longer than the thousand others.
const SLOW_FILES: [&str; 2] = ["loopMul.json", "test_run_until_out_of_gas.json.gz"];

/// The folder `name` of the fixtures, or `None` with a word to the reader where it is absent.
/// Under CI an absent folder is a failure.
pub(crate) fn fixtures(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PARALLELPOOL_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "fixtures are missing: {}", folder.display());
    eprintln!("skipped: no fixtures at {}", folder.display());
    None
}

/// All JSON files below a folder, compressed or not, in order.
pub(crate) fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".json")
                || path.to_string_lossy().ends_with(".json.gz")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Whether a file's transactions burn gas for so long that only an ignored test runs it.
pub(crate) fn is_slow(file: &Path) -> bool {
    SLOW_FILES.iter().any(|name| file.ends_with(name))
}

/// The bytes of a file, decompressed where its name says so.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a readable file");
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("whole gzip data");
        return plain;
    }
    bytes
}

/// The rules of a network that a test names.
pub(crate) fn known_network(name: &str) -> Result<ChainSpec, String> {
    ChainSpec::for_network(name).ok_or_else(|| format!("unknown fork or network {name:?}"))
}

/// A number in hex; `None` beyond 256 bits (some fixtures say `0x:bigint 0x…`).
pub(crate) fn number(value: &Value) -> Option<U256> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x:bigint 0x").or_else(|| text.strip_prefix("0x"))?;
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

pub(crate) fn bytes(value: &Value) -> Bytes {
    let text = value.as_str().expect("hex text");
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).expect("hex").into()
}

pub(crate) fn hash(value: &Value) -> B256 {
    B256::from(number(value).expect("a hash"))
}

pub(crate) fn address(value: &Value) -> Address {
    Address::from_slice(&bytes(value))
}

/// The state that `pre` or `alloc` objects describe.
pub(crate) fn state(accounts: &Value) -> MemoryState {
    let mut state = MemoryState::new();
    for (key, fields) in accounts.as_object().expect("accounts by address") {
        let address = address(&Value::String(key.clone()));
        // What is not given is nothing.
        let amount = |name: &str| fields.get(name).and_then(number).unwrap_or_default();
        let account =
            Account { nonce: amount("nonce").to(), balance: amount("balance"), ..Account::default() };
        state.insert_account(address, account, fields.get("code").map(bytes));
        for (slot, value) in fields.get("storage").and_then(Value::as_object).into_iter().flatten() {
            let slot = number(&Value::String(slot.clone())).expect("a slot");
            state.insert_storage(address, slot, number(value).expect("a slot's value"));
        }
    }
    state
}

/// The whole state as changes against nothing.
pub(crate) fn as_changes(state: &MemoryState) -> StateChanges {
    let mut changes = StateChanges::default();
    for (address, account, storage) in state.iter() {
        let change =
            AccountChange { after: Some(account), storage_cleared: false, storage: storage.collect() };
        changes.accounts.insert(address, change);
        let code = state.code(&account.code_hash);
        if let Some(code) = code.ok().filter(|code| !code.is_empty()) {
            changes.codes.insert(account.code_hash, code.original_bytes());
        }
    }
    changes
}

/// The block around a state test.
pub(crate) fn environment(env: &Value) -> BlockContext {
    let optional = |key: &str| env.get(key).and_then(number);
    BlockContext {
        number: optional("currentNumber").expect("a number").to(),
        timestamp: optional("currentTimestamp").expect("a time").to(),
        beneficiary: address(&env["currentCoinbase"]),
        gas_limit: optional("currentGasLimit").expect("a gas limit").saturating_to(),
        base_fee: optional("currentBaseFee").map(|fee| fee.to()),
        difficulty: optional("currentDifficulty").unwrap_or_default(),
        prev_randao: env.get("currentRandom").map(hash),
        excess_blob_gas: optional("currentExcessBlobGas").map(|gas| gas.to()),
        slot_number: optional("slotNumber").map(|slot| slot.to()),
        ..BlockContext::default()
    }
}

/// State tests take the keccak of a number's decimal text for the hash of that block.
pub(crate) fn insert_test_block_hashes(state: &mut MemoryState, block: &BlockContext) {
    for number in block.number.saturating_sub(256)..block.number {
        state.insert_block_hash(number, keccak256(number.to_string()));
    }
}
