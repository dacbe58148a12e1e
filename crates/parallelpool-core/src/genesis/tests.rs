//! Documents that geth takes, to the same hash, and documents that nobody should.

use serde_json::{Value, json};

use super::*;
use crate::chainspec::{Activation, BlobParameters};
use crate::primitives::{Address, Bytes, address};

fn dev() -> Value {
    serde_json::from_str(dev_genesis_json()).expect("the dev genesis is JSON")
}

/// The dev genesis with changes: `None` removes the field at that path.
fn dev_with(changes: &[(&[&str], Option<Value>)]) -> String {
    let mut document = dev();
    for (path, value) in changes {
        let (last, parents) = path.split_last().expect("a path");
        let parent = parents.iter().fold(&mut document, |object, key| &mut object[*key]);
        let parent = parent.as_object_mut().expect("an object");
        match value {
            Some(value) => parent.insert((*last).into(), value.clone()),
            None => parent.remove(*last),
        };
    }
    document.to_string()
}

fn problems(json: &str) -> Vec<String> {
    match parse_genesis(json) {
        Err(CoreError::Genesis(problems)) => problems,
        other => panic!("taken although bad: {other:?}"),
    }
}

#[test]
fn the_dev_genesis_is_the_newest_mainnet_fork_with_ten_accounts() {
    let genesis = parse_genesis(dev_genesis_json()).expect("the dev genesis is good");
    // The hash that geth 1.17.8 computes for this document.
    let hash = "0xec3b0013906af491717ca3000b6d4e01d2299c98e7a867930311188a73b55613";
    assert_eq!(genesis.hash.to_string(), hash);
    let spec = &genesis.spec;
    assert_eq!(spec.chain_id, 31_337);
    assert_eq!(spec.fork_at(0, 0), Fork::Osaka);
    assert_eq!(spec.fork_of(&genesis.header), Fork::Osaka);
    assert_eq!(spec.rules_at(1, 1).parallel_tx_type, Some(5));
    assert_eq!(spec.blob_parameters_at(0), ChainSpec::mainnet().blob_parameters_at(u64::MAX));
    assert_eq!(spec.deposit_contract, crate::chainspec::MAINNET_DEPOSIT_CONTRACT);
    assert!(!spec.pays_block_rewards);
    assert_eq!(genesis.header.gas_limit, 60_000_000);
    assert_eq!(genesis.header.base_fee_per_gas, Some(1_000_000_000));
    let ether = U256::from(10).pow(U256::from(18));
    let rich = genesis.alloc.accounts.values().filter_map(|change| change.after);
    assert_eq!(rich.filter(|account| account.balance == U256::from(10_000) * ether).count(), 10);
    assert_eq!(genesis.alloc.accounts.len(), 14);
}

#[test]
fn the_dev_genesis_has_the_official_system_contracts() {
    let genesis = parse_genesis(dev_genesis_json()).expect("the dev genesis is good");
    let code = |address: Address| -> Bytes {
        let account = genesis.alloc.accounts[&address].after.expect("a contract");
        assert_eq!(account.nonce, 1);
        genesis.alloc.codes[&account.code_hash].clone()
    };
    use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
    assert_eq!(code(eip4788::BEACON_ROOTS_ADDRESS), eip4788::BEACON_ROOTS_CODE);
    assert_eq!(code(eip2935::HISTORY_STORAGE_ADDRESS), eip2935::HISTORY_STORAGE_CODE);
    let withdrawals = code(eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    assert_eq!(withdrawals, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE);
    // The library's constant carries two zero bytes more than the EIP's text.
    let consolidations = code(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS);
    assert_eq!([&consolidations[..], &[0, 0]].concat(), *eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE);
}

#[test]
fn numbers_keys_and_nulls_are_read_as_geth_reads_them() {
    let plain = parse_genesis(dev_genesis_json()).expect("the dev genesis is good");
    let first = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let same = dev_with(&[
        (&["gasLimit"], Some(json!(60_000_000))),
        (&["difficulty"], Some(json!("0"))),
        (&["nonce"], Some(json!(""))),
        (&["timestamp"], None),
        (&["extraData"], Some(json!(""))),
        (&["mixHash"], None),
        (&["mixhash"], Some(json!(B256::ZERO.to_string()))),
        (&["excessBlobGas"], Some(Value::Null)),
        (&["baseFeePerGas"], Some(json!("001000000000"))),
        (&["unknown"], Some(json!([1, 2]))),
        (&["config", "chainId"], Some(json!("0x7a69"))),
        (&["config", "bpo3Time"], Some(Value::Null)),
        (&["config", "daoForkSupport"], Some(json!(true))),
        (&["config", "ethash"], Some(json!({}))),
        (&["alloc", first], None),
        (&["alloc", &first.to_lowercase()[2..]], Some(json!({"balance": "10000000000000000000000"}))),
    ]);
    let read = parse_genesis(&same).expect("geth takes it");
    assert_eq!(read.hash, plain.hash);
    assert_eq!(read.spec, plain.spec);
}

#[test]
fn a_large_total_difficulty_keeps_every_digit() {
    let json = dev_with(&[
        (&["config", "terminalTotalDifficulty"], Some(json!(0))),
        (&["difficulty"], Some(json!(1))),
    ])
    .replace("\"terminalTotalDifficulty\":0", "\"terminalTotalDifficulty\":58750000000000000000001");
    let genesis = parse_genesis(&json).expect("good");
    assert_eq!(genesis.spec.terminal_total_difficulty, Some(U256::from(58_750_000_000_000_000_000_001u128)));
    assert!(genesis.spec.pays_block_rewards);
}

#[test]
fn accounts_keep_their_storage_and_empty_ones_exist() {
    let json = dev_with(&[(
        &["alloc"],
        Some(json!({
            "00000000000000000000000000000000000000aa": {"balance": 0},
            "0x00000000000000000000000000000000000000BB": {
                "balance": "0x1", "nonce": "0x02", "code": "0x6000",
                "storage": {"0x01": "0x02", "03": "00", "0x": "0xff"}
            }
        })),
    )]);
    let genesis = parse_genesis(&json).expect("good");
    let empty = &genesis.alloc.accounts[&address!("00000000000000000000000000000000000000aa")];
    assert!(empty.after.is_some_and(|account| account.is_empty()));
    let full = &genesis.alloc.accounts[&address!("00000000000000000000000000000000000000bb")];
    let slots = [(U256::ZERO, U256::from(0xff)), (U256::from(1), U256::from(2))];
    assert_eq!(full.storage, slots.into());
    assert_eq!(full.after.map(|account| account.nonce), Some(2));
}

#[test]
fn forks_and_blob_parameters_come_from_their_keys() {
    let json = dev_with(&[
        (&["config", "cancunTime"], Some(json!(100))),
        (&["config", "pragueTime"], Some(json!(200))),
        (&["config", "osakaTime"], Some(json!(300))),
        (&["config", "bpo1Time"], Some(json!(400))),
        (&["config", "bpo2Time"], None),
        (&["config", "bpo5Time"], Some(json!(500))),
        (&["config", "blobSchedule", "osaka"], None),
        (
            &["config", "blobSchedule", "bpo5"],
            Some(json!({"target": 1, "max": "0x2", "baseFeeUpdateFraction": 3})),
        ),
        (&["config", "amsterdamTime"], Some(json!(500))),
    ]);
    let spec = parse_genesis(&json).expect("good").spec;
    assert_eq!(spec.forks[0], (Fork::Homestead, Activation::Block(0)));
    assert_eq!(spec.fork_at(1, 99), Fork::Shanghai);
    assert_eq!(spec.fork_at(1, 499), Fork::Osaka);
    assert_eq!(spec.fork_at(1, 500), Fork::Amsterdam);
    let target = |time| spec.blob_parameters_at(time).map(|blobs| blobs.target);
    assert_eq!([99, 100, 200, 300, 400].map(target), [None, Some(3), Some(6), Some(6), Some(10)]);
    let last = BlobParameters { target: 1, max: 2, base_fee_update_fraction: 3 };
    assert_eq!(spec.blob_parameters_at(500), Some(last));
}

#[test]
fn each_bad_document_is_refused_with_the_path_of_its_field() {
    let first = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let set = |path: &[&str], value: Value| dev_with(&[(path, Some(value))]);
    let without = |path: &[&str]| dev_with(&[(path, None)]);
    let table: Vec<(String, &str)> = vec![
        (String::new(), "genesis: not JSON"),
        ("[]".into(), "genesis: must be an object"),
        ("{\"config\":".into(), "genesis: not JSON"),
        (without(&["config"]), "config: missing"),
        (without(&["alloc"]), "alloc: missing"),
        (without(&["gasLimit"]), "gasLimit: missing"),
        (without(&["difficulty"]), "difficulty: missing"),
        (without(&["config", "chainId"]), "config.chainId: missing"),
        (set(&["config", "chainId"], json!(0)), "config.chainId: must not be 0"),
        (set(&["config", "chainId"], json!(u64::MAX / 2)), "config.chainId: must not be above 9223372"),
        (set(&["config", "chainId"], json!("0x10000000000000000")), "config.chainId: 0x1"),
        (set(&["config"], json!(7)), "config: must be an object"),
        (set(&["gasLimit"], json!("0x")), "gasLimit: 0x is not a decimal or hex number"),
        (set(&["gasLimit"], json!(-1)), "gasLimit: -1 is not a decimal or hex number"),
        (set(&["gasLimit"], json!(1.5)), "gasLimit: 1.5 is not a decimal or hex number"),
        (set(&["gasLimit"], json!("0x8000000000000000")), "gasLimit: 9223372036854775808 is above"),
        (set(&["difficulty"], json!("ten")), "difficulty: ten is not a decimal or hex number"),
        (set(&["difficulty"], json!(format!("0x1{}", "0".repeat(64)))), "difficulty: 0x1000"),
        (set(&["extraData"], json!("abcd")), "extraData: abcd lacks 0x"),
        (set(&["extraData"], json!("0xabc")), "extraData: 0xabc has an odd number of hex digits"),
        (set(&["coinbase"], json!("0x12")), "coinbase: 1 bytes instead of 20"),
        (set(&["mixHash"], json!("0x12")), "mixHash: 1 bytes instead of 32"),
        (set(&["mixHash"], json!(12)), "mixHash: 12 is not a text"),
        (set(&["number"], json!(3)), "number: must be 0"),
        (
            set(&["parentBeaconBlockRoot"], json!(B256::repeat_byte(1).to_string())),
            "parentBeaconBlockRoot: must be zero",
        ),
        (set(&["slotNumber"], json!(3)), "slotNumber: set, but block 0 is before Amsterdam"),
        (set(&["config"], json!({"chainId": 1})), "baseFeePerGas: set, but block 0 is before London"),
        (set(&["config", "osakaTime"], json!("soon")), "config.osakaTime: soon is not a decimal"),
        (set(&["config", "cancunTime"], json!(10)), "config.pragueTime: 0 is before cancunTime at 10"),
        (set(&["config", "homesteadBlock"], json!(1)), "config.eip150Block: 0 is before homesteadBlock at 1"),
        (without(&["config", "cancunTime"]), "config.pragueTime: set, but cancunTime is not"),
        (without(&["config", "londonBlock"]), "config.shanghaiTime: set, but londonBlock is not"),
        (set(&["config", "eip158Block"], Value::Null), "config.eip155Block: must equal eip158Block"),
        (set(&["config", "bogotaTime"], json!(0)), "config.bogotaTime: not a known fork"),
        (set(&["config", "osakTime"], json!(5)), "config.osakTime: not a known fork"),
        (set(&["config", "OsakaTime"], json!(5)), "config.OsakaTime: not a known fork, or given twice"),
        (
            dev_with(&[
                (&["config", "clique"], Some(json!({}))),
                (&["config", "terminalTotalDifficulty"], None),
            ]),
            "config.clique: proof-of-authority",
        ),
        (set(&["config", "parallelTxType"], json!(4)), "config.parallelTxType: 4 is not in 5..=127"),
        (set(&["config", "parallelTxType"], json!(128)), "config.parallelTxType: 128 is not in 5..=127"),
        (without(&["config", "blobSchedule"]), "config.blobSchedule.bpo1: missing, but bpo1Time is set"),
        (without(&["config", "blobSchedule", "cancun"]), "config.blobSchedule.cancun: missing"),
        (set(&["config", "blobSchedule", "verkle"], json!({})), "config.blobSchedule.verkle: not a known"),
        (
            set(&["config", "blobSchedule", "prague", "target"], json!(10)),
            "config.blobSchedule.prague.target: 10 is",
        ),
        (
            set(&["config", "blobSchedule", "prague", "baseFeeUpdateFraction"], json!(0)),
            "config.blobSchedule.prague.baseFeeUpdateFraction: must not be 0",
        ),
        (set(&["config", "depositContractAddress"], json!("0x00")), "config.depositContractAddress: 1 bytes"),
        (
            set(&["config"], json!({"chainId": 1, "homesteadBlock": 0})),
            "difficulty: must not be 0 before the merge",
        ),
        (set(&["config", "londonBlock"], json!(1)), "config.terminalTotalDifficulty: 0 needs londonBlock 0"),
        (set(&["alloc", "0x12"], json!({"balance": 1})), "alloc.0x12: not an address: 1 bytes"),
        (set(&["alloc", first, "balance"], Value::Null), "balance: missing"),
        (set(&["alloc", first, "color"], json!("red")), "color: unknown key"),
        (set(&["alloc", first, "code"], json!("0xzz")), "code: 0xzz is not hex"),
        (set(&["alloc", first, "storage"], json!({"0x1": "0x02"})), "storage.0x1: 0x1 has an odd number"),
        (set(&["alloc", first, "storage"], json!({"0x01": 2})), "storage.0x01: 2 is not a text"),
        (set(&["alloc", first, "storage"], json!({"0x01": "0x01", "01": "0x02"})), "given twice"),
        (set(&["alloc", &first[2..]], json!({"balance": 1})), "given twice"),
        (set(&["alloc", first], json!([])), "must be an object"),
    ];
    for (json, expected) in table {
        let found = problems(&json);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let json = dev_with(&[
        (&["gasLimit"], Some(json!("much"))),
        (&["config", "chainId"], None),
        (&["config", "osakaTime"], Some(json!("soon"))),
        (&["alloc", "0x1"], Some(json!({}))),
    ]);
    let found = problems(&json);
    for path in ["gasLimit: ", "config.chainId: ", "config.osakaTime: ", "alloc.0x1: "] {
        assert!(found.iter().any(|problem| problem.starts_with(path)), "{path}: {found:?}");
    }
    let text = CoreError::Genesis(found).to_string();
    assert!(text.starts_with("invalid genesis: ") && text.contains("; "));
}
