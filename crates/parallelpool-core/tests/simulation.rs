//! Calls, gas estimates and access lists: public vectors, and contracts put in place by override.

mod devchain;
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parallelpool_core::chain::{
    BlockOverrides, CallOutcome, CallRequest, Chain, SimulationLimits, StateOverride,
};
use parallelpool_core::error::CoreError;
use parallelpool_core::genesis::dev_genesis_json;
use parallelpool_core::primitives::{Address, B256, Bytes, U256, address};
use parallelpool_core::tx::{AccessListItem, Authorization};
use serde_json::Value;

const LIMITS: SimulationLimits = SimulationLimits { gas_cap: 50_000_000, timeout: Duration::from_secs(60) };
/// The first account of the test mnemonic.
const RICH: Address = devchain::SENDER;
const POOR: Address = address!("aa00000000000000000000000000000000000000");
const CONTRACT: Address = address!("c000000000000000000000000000000000000001");
const OTHER: Address = address!("c000000000000000000000000000000000000002");

fn dev() -> Chain {
    devchain::open(dev_genesis_json().as_bytes(), None)
}

fn code(address: Address, code: &[u8]) -> StateOverride {
    StateOverride { address, code: Some(Bytes::copy_from_slice(code)), ..Default::default() }
}

/// A call of [`CONTRACT`] with this code.
fn calling(contract: &[u8]) -> CallRequest {
    CallRequest {
        sender: RICH,
        to: Some(CONTRACT),
        state_overrides: vec![code(CONTRACT, contract)],
        ..Default::default()
    }
}

fn call(chain: &Chain, request: &CallRequest) -> CallOutcome {
    chain.call(request, Some(0), LIMITS).expect("the state is there")
}

fn estimate(chain: &Chain, request: &CallRequest) -> (u64, CallOutcome) {
    chain.estimate_gas(request, Some(0), LIMITS).expect("the state is there")
}

/// Runtime code that returns the word which `push` leaves on the stack.
fn returning(push: &[u8]) -> Vec<u8> {
    [push, &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]].concat()
}

fn returned(chain: &Chain, request: &CallRequest) -> U256 {
    let outcome = call(chain, request);
    assert!(outcome.success, "{outcome:?}");
    U256::from_be_slice(&outcome.output)
}

// ------------------------------------------------------------------ public vectors

fn vectors(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|name| name == "io")).collect();
    paths.sort();
    paths
}

fn number(value: &Value) -> Option<U256> {
    value.as_str().map(|text| text.parse().expect("a quantity"))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> Option<T> {
    value.as_str().map(|text| text.parse().expect("hex"))
}

fn request_of(arguments: &Value) -> CallRequest {
    let small = |name: &str| number(&arguments[name]).map(|value| value.to::<u64>());
    let list = |name: &str| arguments[name].as_array().cloned().unwrap_or_default();
    CallRequest {
        sender: parsed(&arguments["from"]).unwrap_or_default(),
        to: parsed(&arguments["to"]),
        data: parsed(&arguments["input"]).or(parsed(&arguments["data"])).unwrap_or_default(),
        value: number(&arguments["value"]).unwrap_or_default(),
        gas: small("gas"),
        gas_price: number(&arguments["gasPrice"]),
        max_fee_per_gas: number(&arguments["maxFeePerGas"]),
        max_priority_fee_per_gas: number(&arguments["maxPriorityFeePerGas"]),
        nonce: small("nonce"),
        authorization_list: list("authorizationList")
            .iter()
            .map(|signed| Authorization {
                chain_id: number(&signed["chainId"]).expect("a chain id"),
                address: parsed(&signed["address"]).expect("an address"),
                nonce: number(&signed["nonce"]).expect("a nonce").to(),
                y_parity: number(&signed["yParity"]).expect("a parity").to(),
                r: number(&signed["r"]).expect("r"),
                s: number(&signed["s"]).expect("s"),
            })
            .collect(),
        ..Default::default()
    }
}

fn quantity(value: u64) -> Value {
    Value::String(format!("{value:#x}"))
}

/// What geth would answer, in the shape of its JSON.
fn answer(chain: &Chain, method: &str, request: &CallRequest) -> Value {
    let head = Some(chain.head().header.number);
    let (result, outcome) = match method {
        "eth_call" => {
            let outcome = chain.call(request, head, LIMITS).expect("it runs");
            (serde_json::json!(outcome.output.to_string()), outcome)
        }
        "eth_estimateGas" => {
            let (gas, outcome) = chain.estimate_gas(request, head, LIMITS).expect("it runs");
            (quantity(gas), outcome)
        }
        _ => {
            let outcome = chain.create_access_list(request, head, LIMITS).expect("it runs");
            let keys =
                |item: &AccessListItem| item.storage_keys.iter().map(B256::to_string).collect::<Vec<_>>();
            let entry = |item: &AccessListItem| {
                let address = item.address.to_string().to_lowercase();
                serde_json::json!({"address": address, "storageKeys": keys(item)})
            };
            let list: Vec<_> = outcome.access_list.iter().map(entry).collect();
            (serde_json::json!({"accessList": list, "gasUsed": quantity(outcome.gas_used)}), outcome)
        }
    };
    assert_eq!(outcome.message_error, None, "{method} of {request:?}");
    if outcome.reverted && method != "eth_createAccessList" {
        return serde_json::json!({"code": 3, "data": outcome.output.to_string()});
    }
    result
}

#[test]
fn the_public_vectors_are_answered_as_geth_answers_them() {
    let Some(folder) = support::fixtures("rpc-compat") else { return };
    let chain = devchain::open(&std::fs::read(folder.join("genesis.json")).expect("a genesis"), None);
    let file = std::fs::read(folder.join("chain.rlp")).expect("a chain");
    for block in parallelpool_core::block_codec::blocks(&file) {
        let raw = block.expect("a block").encode();
        chain.import_block(&raw, &Default::default()).expect("a good block");
    }
    let mut compared = 0;
    for method in ["eth_call", "eth_estimateGas", "eth_createAccessList"] {
        for path in vectors(&folder.join(method)) {
            let text = std::fs::read_to_string(&path).expect("text");
            let lines = |mark: &str| {
                let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
                lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
            };
            for (asked, expected) in lines(">> ").into_iter().zip(lines("<< ")) {
                let answer = answer(&chain, method, &request_of(&asked["params"][0]));
                let expected = match expected.get("error") {
                    Some(error) => serde_json::json!({"code": error["code"], "data": error["data"]}),
                    None => expected["result"].clone(),
                };
                assert_eq!(answer, expected, "{}", path.display());
                compared += 1;
            }
        }
    }
    assert!(compared >= 12, "compared {compared}");
}

// ------------------------------------------------------------------ calls

#[test]
fn a_call_returns_what_the_contract_returns_and_changes_nothing() {
    let chain = dev();
    // PUSH1 7, SSTORE at 0, then return the slot.
    let outcome = call(&chain, &calling(&returning(&[0x60, 7, 0x5f, 0x55, 0x5f, 0x54])));
    assert_eq!(U256::from_be_slice(&outcome.output), U256::from(7));
    assert!(outcome.success && outcome.error.is_none() && outcome.message_error.is_none());
    assert_eq!(chain.account(&CONTRACT, None), Ok(None));
}

#[test]
fn reverts_and_failures_are_told_apart() {
    let chain = dev();
    let reverting = call(&chain, &calling(&[0x60, 0xab, 0x5f, 0x53, 0x60, 1, 0x5f, 0xfd]));
    assert!(!reverting.success && reverting.reverted);
    assert_eq!(
        (reverting.error.as_deref(), &reverting.output[..]),
        (Some("execution reverted"), &[0xab][..])
    );

    for (contract, words) in [
        (&[0xfe][..], "invalid opcode: INVALID"),
        (&[0x50], "stack underflow (0 <=> 1)"),
        (&[0x5f, 0x56], "invalid jump destination"),
        (&[0x5b, 0x5f, 0x56], "out of gas"),
    ] {
        let outcome = call(&chain, &calling(contract));
        assert_eq!(
            (outcome.success, outcome.reverted, outcome.error.as_deref()),
            (false, false, Some(words))
        );
    }
}

#[test]
fn a_message_that_cannot_be_applied_says_so_in_geths_words() {
    let chain = dev();
    let poor = CallRequest { sender: POOR, to: Some(OTHER), value: U256::from(1), ..Default::default() };
    assert_eq!(
        call(&chain, &poor).message_error.as_deref(),
        Some(&*format!(
            "err: insufficient funds for gas * price + value: address {POOR} have 0 want 1 (supplied gas 50000000)"
        ))
    );
    let short = CallRequest { sender: RICH, to: Some(OTHER), gas: Some(20_999), ..Default::default() };
    assert_eq!(
        call(&chain, &short).message_error.as_deref(),
        Some("err: intrinsic gas too low: have 20999, want 21000 (supplied gas 20999)")
    );
}

#[test]
fn overrides_replace_state_and_patch_it() {
    let chain = dev();
    let slot = |slot: u8| returning(&[0x60, slot, 0x54]);
    let with = |code: Vec<u8>, state: Option<Vec<(u64, u64)>>, diff: Option<Vec<(u64, u64)>>| {
        let words = |slots: Vec<(u64, u64)>| {
            slots.into_iter().map(|(slot, value)| (U256::from(slot), U256::from(value))).collect()
        };
        let mut request = calling(&code);
        request.state_overrides[0].state = state.map(words);
        request.state_overrides[0].state_diff = diff.map(words);
        request.state_overrides[0].balance = Some(U256::from(77));
        request
    };
    assert_eq!(returned(&chain, &with(slot(1), Some(vec![(1, 5)]), None)), U256::from(5));
    assert_eq!(returned(&chain, &with(slot(2), Some(vec![(1, 5)]), None)), U256::ZERO);
    assert_eq!(returned(&chain, &with(slot(1), None, Some(vec![(1, 6)]))), U256::from(6));
    assert_eq!(returned(&chain, &with(returning(&[0x47]), None, None)), U256::from(77), "SELFBALANCE");

    let both = with(slot(1), Some(vec![]), Some(vec![]));
    let error = chain.call(&both, Some(0), LIMITS).expect_err("both kinds of storage");
    assert_eq!(error.to_string(), format!("account {CONTRACT} has both 'state' and 'stateDiff'"));
    let mut twice = with(slot(1), None, None);
    twice.state_overrides.push(code(CONTRACT, &[]));
    let error = chain.call(&twice, Some(0), LIMITS).expect_err("named twice");
    assert_eq!(error.to_string(), format!("account {CONTRACT} is already overridden"));
}

#[test]
fn an_override_hides_what_is_stored_and_a_patch_does_not() {
    let chain = dev();
    // The init code stores 9 at slot 1; the contract itself is empty.
    let tx = devchain::creation(0, &[0x60, 9, 0x60, 1, 0x55]);
    devchain::seal(&chain, &[tx]);
    let address = devchain::SENDER.create(0);
    assert_eq!(chain.storage(&address, &U256::from(1), None), Ok(U256::from(9)));
    let read = |state: Option<Vec<(U256, U256)>>, state_diff: Option<Vec<(U256, U256)>>| {
        let code = Some(Bytes::from(returning(&[0x60, 1, 0x54])));
        let request = CallRequest {
            to: Some(address),
            state_overrides: vec![StateOverride { address, code, state, state_diff, ..Default::default() }],
            ..Default::default()
        };
        let outcome = chain.call(&request, Some(1), LIMITS).expect("the state is there");
        U256::from_be_slice(&outcome.output)
    };
    assert_eq!(read(None, None), U256::from(9));
    assert_eq!(read(None, Some(vec![(U256::from(2), U256::from(5))])), U256::from(9));
    assert_eq!(read(Some(vec![(U256::from(2), U256::from(5))]), None), U256::ZERO);
}

#[test]
fn the_environment_is_the_blocks_or_the_next_ones_or_the_callers() {
    let chain = dev();
    let read = |opcode: u8, number: Option<u64>, overrides: BlockOverrides| {
        let request = CallRequest { block_overrides: overrides, ..calling(&returning(&[opcode])) };
        let outcome = chain.call(&request, number, LIMITS).expect("the state is there");
        assert!(outcome.success, "{outcome:?}");
        U256::from_be_slice(&outcome.output)
    };
    let none = BlockOverrides::default();
    assert_eq!(read(0x43, Some(0), none), U256::ZERO, "NUMBER at block 0");
    assert_eq!(read(0x43, None, none), U256::from(1), "NUMBER of the block to come");
    assert!(read(0x42, None, none) > U256::from(chain.head().header.timestamp), "TIMESTAMP to come");
    assert_eq!(read(0x48, Some(0), none), U256::ZERO, "BASEFEE of a call that does not pay");
    let all = BlockOverrides {
        number: Some(1_000),
        time: Some(2_000),
        gas_limit: Some(3_000_000),
        fee_recipient: Some(OTHER),
        prev_randao: Some(B256::repeat_byte(4)),
        base_fee: Some(5),
        blob_base_fee: Some(6),
        difficulty: None,
    };
    assert_eq!(read(0x43, Some(0), all), U256::from(1_000));
    assert_eq!(read(0x42, Some(0), all), U256::from(2_000));
    assert_eq!(read(0x45, Some(0), all), U256::from(3_000_000));
    assert_eq!(read(0x41, Some(0), all), U256::from_be_slice(OTHER.as_slice()));
    assert_eq!(read(0x44, Some(0), all), U256::from_be_bytes([4; 32]));
    assert_eq!(read(0x4a, Some(0), all), U256::from(6), "BLOBBASEFEE");
    let paying = CallRequest {
        block_overrides: all,
        gas: Some(100_000),
        gas_price: Some(U256::from(10)),
        ..calling(&returning(&[0x48]))
    };
    assert_eq!(returned(&chain, &paying), U256::from(5), "BASEFEE of a call that pays");
}

#[test]
fn a_block_that_is_not_there_is_an_error() {
    let error = dev().call(&calling(&[]), Some(1), LIMITS).expect_err("above the head");
    assert_eq!(error.kind(), "state");
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let chain = dev();
    let limits = SimulationLimits { gas_cap: 0, timeout: Duration::from_millis(50) };
    let loops: [&[u8]; 2] = [
        // JUMPDEST, PUSH0, JUMP.
        &[0x5b, 0x5f, 0x56],
        // Calls itself with all gas, twice over: a tree that never loops within a frame.
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xfa, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xfa],
    ];
    for contract in loops {
        let started = Instant::now();
        let error = chain.call(&calling(contract), Some(0), limits).expect_err("it never ends");
        assert_eq!(error, CoreError::Aborted("timeout = 50ms".into()));
        assert_eq!(error.to_string(), "execution aborted (timeout = 50ms)");
        assert!(started.elapsed() < Duration::from_secs(10));
        let error = chain.estimate_gas(
            &calling(contract),
            Some(0),
            SimulationLimits { gas_cap: 0, timeout: Duration::from_nanos(1) },
        );
        assert_eq!(error.map(|(gas, _)| gas), Err(CoreError::Aborted("timeout = 1ns".into())));
    }
}

#[test]
fn the_parallel_type_is_called_without_its_tag() {
    let chain = dev();
    // Returns the size of the calldata.
    let tagged = CallRequest {
        tx_type: Some(5),
        data: Bytes::from_static(b"PARALLEL\x01\x02\x03"),
        ..calling(&returning(&[0x36]))
    };
    assert_eq!(returned(&chain, &tagged), U256::from(3));
    let ordinary = CallRequest { tx_type: Some(2), ..tagged };
    assert_eq!(returned(&chain, &ordinary), U256::from(11));
}

// ------------------------------------------------------------------ estimates

#[test]
fn a_plain_transfer_needs_exactly_21000() {
    let chain = dev();
    let transfer = CallRequest { sender: RICH, to: Some(OTHER), value: U256::from(1), ..Default::default() };
    assert_eq!(estimate(&chain, &transfer).0, 21_000);
    let paying = CallRequest { max_fee_per_gas: Some(U256::from(2_000_000_000u64)), ..transfer };
    assert_eq!(estimate(&chain, &paying).0, 21_000);
}

/// The least gas limit with which the request succeeds, by bisection to the last unit.
fn least_gas(chain: &Chain, request: &CallRequest) -> u64 {
    let succeeds = |gas| call(chain, &CallRequest { gas: Some(gas), ..request.clone() }).success;
    let (mut low, mut high) = (20_000, 16_777_216);
    assert!(succeeds(high));
    while low + 1 < high {
        let middle = (low + high) / 2;
        if succeeds(middle) { high = middle } else { low = middle }
    }
    high
}

#[test]
fn estimates_suffice_and_exceed_the_least_by_little() {
    let chain = dev();
    // Calls OTHER with all gas and reverts unless that succeeded.
    let mut nested = vec![0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x73];
    nested.extend(OTHER.as_slice());
    nested.extend([0x5a, 0xf1, 0x60, 0x25, 0x57, 0x5f, 0x5f, 0xfd]);
    nested.resize(0x25, 0x00);
    nested.extend([0x5b, 0x00]);
    // Ten fresh slots: what is passed on must be enough although a 64th is kept.
    let stores: Vec<u8> = (1..=10).flat_map(|slot| [0x60, slot, 0x60, slot, 0x55]).collect();
    let mut through_a_call = calling(&nested);
    through_a_call.state_overrides.push(code(OTHER, &stores));
    // Sets ten slots and clears them again: refunds.
    let clears: Vec<u8> = (1..=10).flat_map(|slot| [0x5f, 0x60, slot, 0x55]).collect();
    let mut refunding = calling(&[stores.clone(), clears].concat());
    refunding.state_overrides[0].state =
        Some((1..=10).map(|slot| (U256::from(slot), U256::from(9))).collect());
    let creation = CallRequest {
        sender: RICH,
        data: Bytes::from([&stores[..], &[0x60, 0x40, 0x5f, 0xf3]].concat()),
        ..Default::default()
    };
    let long_data = CallRequest { data: Bytes::from(vec![0xff; 3000]), ..calling(&[0x00]) };
    for request in [calling(&stores), through_a_call, refunding, creation, long_data] {
        let (gas, outcome) = estimate(&chain, &request);
        let least = least_gas(&chain, &request);
        assert!(outcome.success, "{outcome:?}");
        assert!(gas >= least, "{gas} is less than {least}");
        assert!((gas - least) as f64 <= 0.015 * gas as f64 + 1.0, "{gas} for {least}");
    }
}

#[test]
fn estimates_that_cannot_be_say_why() {
    let chain = dev();
    let words = |request: &CallRequest| {
        let (gas, outcome) = estimate(&chain, request);
        assert_eq!(gas, 0);
        outcome.message_error.or(outcome.error).expect("words")
    };
    assert_eq!(words(&calling(&[0x5f, 0x5f, 0xfd])), "execution reverted");
    assert_eq!(words(&calling(&[0xfe])), "invalid opcode: INVALID");
    assert_eq!(words(&calling(&[0x5b, 0x5f, 0x56])), "gas required exceeds allowance (16777216)");
    let limited = CallRequest { gas: Some(30_000), ..calling(&[0x5b, 0x5f, 0x56]) };
    assert_eq!(words(&limited), "gas required exceeds allowance (30000)");
    let poor = CallRequest { sender: POOR, to: Some(OTHER), value: U256::from(1), ..Default::default() };
    assert_eq!(
        words(&poor),
        format!(
            "failed with 16777216 gas: insufficient funds for gas * price + value: address {POOR} have 0 want 1"
        )
    );
    let poor_and_paying = CallRequest { gas_price: Some(U256::from(1_000_000_000)), ..poor.clone() };
    assert_eq!(words(&poor_and_paying), "insufficient funds for transfer");
    let nothing = CallRequest { value: U256::ZERO, ..poor_and_paying.clone() };
    assert_eq!(words(&nothing), "insufficient funds for transfer");
    let balance = U256::from(5_000_000_000_000u64);
    let with_little = CallRequest {
        value: U256::ZERO,
        state_overrides: vec![StateOverride { address: POOR, balance: Some(balance), ..Default::default() }],
        ..poor_and_paying
    };
    assert_eq!(words(&with_little), "gas required exceeds allowance (5000)");
}

// ------------------------------------------------------------------ access lists

#[test]
fn the_access_list_names_slots_and_other_accounts() {
    let chain = dev();
    // SLOAD(5), BALANCE(OTHER), BALANCE(sender), STATICCALL to a precompile.
    let mut contract = vec![0x60, 5, 0x54, 0x73];
    contract.extend(OTHER.as_slice());
    contract.extend([0x31, 0x33, 0x31, 0x5f, 0x5f, 0x5f, 0x5f, 0x60, 4, 0x5a, 0xfa]);
    let outcome = chain.create_access_list(&calling(&contract), Some(0), LIMITS).expect("it runs");
    let slot = B256::from(U256::from(5));
    let expected = vec![
        AccessListItem { address: CONTRACT, storage_keys: vec![slot] },
        AccessListItem { address: OTHER, storage_keys: vec![] },
    ];
    assert_eq!(outcome.access_list, expected);
    let with_list = CallRequest { access_list: Some(expected.clone()), ..calling(&contract) };
    assert_eq!(outcome.gas_used, call(&chain, &with_list).gas_used);

    let own = AccessListItem { address: POOR, storage_keys: vec![B256::ZERO] };
    let request = CallRequest { access_list: Some(vec![own.clone()]), ..calling(&contract) };
    let outcome = chain.create_access_list(&request, Some(0), LIMITS).expect("it runs");
    assert_eq!(outcome.access_list, [vec![own], expected].concat(), "what came along stays");
}

#[test]
fn the_access_list_of_a_failing_message_comes_with_the_failure() {
    let chain = dev();
    let outcome = chain
        .create_access_list(&calling(&[0x60, 5, 0x54, 0x5f, 0x5f, 0xfd]), Some(0), LIMITS)
        .expect("it runs");
    assert_eq!(outcome.error.as_deref(), Some("execution reverted"));
    assert_eq!(outcome.access_list.len(), 1);
    let poor = CallRequest { sender: POOR, to: Some(OTHER), value: U256::from(1), ..Default::default() };
    let outcome = chain.create_access_list(&poor, Some(0), LIMITS).expect("it runs");
    let words = outcome.message_error.expect("words");
    assert!(words.starts_with("failed to apply transaction: 0x"), "{words}");
    assert!(words.contains(" err: insufficient funds for gas * price + value: address"), "{words}");
}
