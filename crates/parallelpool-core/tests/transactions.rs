//! Transactions made, signed, encoded, damaged and judged, all types.

use std::sync::Arc;

use parallelpool_core::chainspec::{BlobParameters, Fork, Rules};
use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};
use parallelpool_core::tx::decode::{DecodeErrorKind, decode};
use parallelpool_core::tx::recover::{
    SenderError, SignatureRules, recover_list, recover_sender, recover_sender_under,
};
use parallelpool_core::tx::validity::{StaticError, check_static};
use parallelpool_core::tx::{AccessListItem, Authorization, BlobSidecar, Tag, Transaction};
use parallelpool_core::workers::Workers;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

const CHAIN_ID: u64 = 31337;
const PARALLEL_TYPE: u8 = 5;
const KEY: [u8; 32] = [0x46; 32];

fn random_bytes(rng: &mut SmallRng, longest: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..=longest)];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn random_number(rng: &mut SmallRng) -> U256 {
    U256::from_be_slice(&random_bytes(rng, 12))
}

fn random_address(rng: &mut SmallRng) -> Address {
    Address::from(rng.random::<[u8; 20]>())
}

/// An unsigned transaction of a type; blob transactions carry a sidecar.
fn random_transaction(rng: &mut SmallRng, tx_type: u8) -> Transaction {
    let price = random_number(rng);
    let narrow = matches!(tx_type, 3 | 4);
    let creates = !narrow && rng.random_bool(0.2);
    let mut tx = Transaction {
        tx_type,
        is_parallel: tx_type == PARALLEL_TYPE,
        chain_id: (tx_type != 0 || rng.random()).then_some(CHAIN_ID),
        nonce: rng.random::<u64>() >> rng.random_range(0..64),
        gas_limit: rng.random::<u64>() >> rng.random_range(0..64),
        max_fee_per_gas: price,
        max_priority_fee_per_gas: if tx_type < 2 { price } else { random_number(rng) },
        to: (!creates).then(|| random_address(rng)),
        value: random_number(rng),
        data: random_bytes(rng, 400).into(),
        ..Transaction::default()
    };
    if tx_type != 0 {
        for _ in 0..rng.random_range(0..3) {
            let storage_keys =
                (0..rng.random_range(0..4)).map(|_| B256::from(rng.random::<[u8; 32]>())).collect();
            tx.access_list.push(AccessListItem { address: random_address(rng), storage_keys });
        }
    }
    if tx_type == 3 {
        tx.max_fee_per_blob_gas = random_number(rng);
        tx.blob_versioned_hashes = vec![B256::repeat_byte(1); 2];
    }
    if tx_type == 4 {
        tx.authorization_list.push(Authorization {
            chain_id: U256::from(CHAIN_ID),
            address: random_address(rng),
            nonce: rng.random(),
            y_parity: rng.random_range(0..2),
            r: random_number(rng),
            s: random_number(rng),
        });
    }
    tx
}

fn sidecar(version: u8) -> BlobSidecar {
    let proofs = if version == 0 { 2 } else { 256 };
    BlobSidecar {
        version,
        blobs: vec![vec![7; 131_072].into(), vec![8; 131_072].into()],
        commitments: vec![vec![1; 48].into(), vec![2; 48].into()],
        proofs: vec![vec![3; 48].into(); proofs],
    }
}

fn rules(fork: Fork) -> Rules {
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: CHAIN_ID,
        blobs: Some(BlobParameters { target: 3, max: 6, base_fee_update_fraction: 3_338_477 }),
        parallel_tx_type: (fork >= Fork::London).then_some(PARALLEL_TYPE),
        amsterdam: Default::default(),
    }
}

#[test]
fn decoding_undoes_signing_and_encoding() {
    let mut rng = SmallRng::seed_from_u64(1);
    for round in 0..600u32 {
        let made = random_transaction(&mut rng, (round % 6) as u8).signed(&KEY).expect("a valid key");

        let read = decode(&made.tx.raw, Some(PARALLEL_TYPE)).expect("own encoding");

        assert_eq!(read, made.tx);
        assert_eq!(read.hash, keccak256(&read.raw));
        assert_eq!(read.signing_hash, keccak256(read.encode_for_signing()));
        assert_eq!(recover_sender(&read, CHAIN_ID), Ok(made.sender));
    }
}

#[test]
fn a_blob_transaction_keeps_its_sidecar_and_its_hash_in_both_network_forms() {
    let mut rng = SmallRng::seed_from_u64(2);
    for version in [0, 1] {
        let mut tx = random_transaction(&mut rng, 3).signed(&KEY).expect("a valid key").tx;
        tx.sidecar = Some(Arc::new(sidecar(version)));
        let network = tx.encode_network();

        let read = decode(&network, None).expect("own encoding");

        assert_eq!(read, tx);
        assert_eq!(read.encode_network(), network);
        assert_eq!(decode(&read.raw, None).expect("canonical").sidecar, None);
    }
}

#[test]
fn a_sidecar_of_another_version_is_refused() {
    let mut rng = SmallRng::seed_from_u64(3);
    let mut tx = random_transaction(&mut rng, 3).signed(&KEY).expect("a valid key").tx;
    tx.sidecar =
        Some(Arc::new(BlobSidecar { version: 2, blobs: vec![], commitments: vec![], proofs: vec![] }));

    let error = decode(&tx.encode_network(), None).expect_err("version 2");

    assert_eq!(error.kind, DecodeErrorKind::SidecarVersion);
    assert_eq!(error.to_string(), "unsupported blob tx version 2");
}

/// Whatever is accepted is the one encoding of its fields, so a hash names one transaction.
#[test]
fn damaged_bytes_never_panic_and_what_is_accepted_is_canonical() {
    let mut rng = SmallRng::seed_from_u64(4);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..60_000u32 {
        let made = random_transaction(&mut rng, (round % 6) as u8).signed(&KEY).expect("a valid key");
        let mut raw = made.tx.raw.to_vec();
        for _ in 0..rng.random_range(1..3) {
            let at = rng.random_range(0..raw.len());
            match rng.random_range(0..4) {
                0 => raw[at] = rng.random(),
                1 => drop(raw.remove(at)),
                2 => raw.insert(at, rng.random()),
                _ => raw.truncate(at.max(1)),
            }
        }
        match decode(&raw, Some(PARALLEL_TYPE)) {
            Ok(tx) => {
                accepted += 1;
                assert_eq!(tx.raw, raw);
                assert_eq!(tx.encode_canonical(), raw);
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn sizes_that_claim_more_than_there_is_are_refused_at_once() {
    for raw in ["02bfffffffffffffffff", "fbffffffff", "02f8ff", "03f8c0", "04c1bf7fffffffffffffff"] {
        let raw = hex::decode(raw).expect("hex");
        assert!(decode(&raw, Some(PARALLEL_TYPE)).is_err(), "{raw:?}");
    }
}

#[test]
fn exactly_one_tag_is_taken_off_and_only_from_the_parallel_type() {
    let cases: [(&[u8], Option<Tag>, &[u8]); 6] = [
        (b"", None, b""),
        (b"PARALLE", None, b"PARALLE"),
        (b"PARALLEL", Some(Tag::Parallel), b""),
        (b"PARALLELPARALLEL\x01", Some(Tag::Parallel), b"PARALLEL\x01"),
        (b"SEQUENTIAL\xa9\x05", Some(Tag::Sequential), b"\xa9\x05"),
        (b"parallel", None, b"parallel"),
    ];
    let mut rng = SmallRng::seed_from_u64(5);
    for (data, tag, input) in cases {
        for tx_type in 0..=PARALLEL_TYPE {
            let mut tx = random_transaction(&mut rng, tx_type);
            tx.data = Bytes::copy_from_slice(data);

            assert_eq!(tx.tag(), tag);
            assert_eq!(&tx.evm_input()[..], if tx_type == PARALLEL_TYPE { input } else { data });
        }
    }
}

/// The example of EIP-155.
#[test]
fn the_example_of_replay_protection_holds() {
    let raw = hex::decode(concat!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe5",
        "37567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    ))
    .expect("hex");

    let tx = decode(&raw, None).expect("valid");

    assert_eq!(
        tx.signing_hash.to_string(),
        "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    );
    let sender = recover_sender(&tx, 1).expect("valid signature");
    assert_eq!(sender.to_string().to_lowercase(), "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
    assert_eq!(recover_sender(&tx, 5), Err(SenderError::ChainId { have: 1, want: 5 }));
    let before = recover_sender_under(SignatureRules::Homestead, &tx, 1);
    assert_eq!(before, Err(SenderError::SignatureValues));
}

#[test]
fn a_high_s_is_valid_under_frontier_rules_only() {
    let mut rng = SmallRng::seed_from_u64(6);
    let mut tx = random_transaction(&mut rng, 0);
    tx.chain_id = None;
    let made = tx.signed(&KEY).expect("a valid key");
    let mut mirrored = made.tx.clone();
    mirrored.v = 55 - mirrored.v;
    mirrored.s = U256::from_be_slice(&secp256k1::constants::CURVE_ORDER) - mirrored.s;

    assert_eq!(recover_sender_under(SignatureRules::Frontier, &mirrored, 1), Ok(made.sender));
    let homestead = recover_sender_under(SignatureRules::Homestead, &mirrored, 1);
    assert_eq!(homestead, Err(SenderError::SignatureValues));
}

#[test]
fn a_list_is_recovered_in_order_and_each_failure_is_its_own() {
    let workers = Workers::new(3).expect("threads");
    let mut rng = SmallRng::seed_from_u64(7);
    let mut expected = Vec::new();
    let transactions: Vec<_> = (0..100)
        .map(|index| {
            let made = random_transaction(&mut rng, index % 6).signed(&[index + 1; 32]).expect("a valid key");
            let mut tx = made.tx;
            if index % 7 == 0 {
                tx.r = U256::ZERO;
                expected.push(Err(SenderError::SignatureValues));
            } else {
                expected.push(Ok(made.sender));
            }
            tx
        })
        .collect();

    assert_eq!(recover_list(&workers, &transactions, CHAIN_ID), expected);
}

#[test]
fn an_authority_is_recovered_from_its_own_signature() {
    let mut rng = SmallRng::seed_from_u64(8);
    let mut authorization = random_transaction(&mut rng, 4).authorization_list.remove(0);
    let curve = secp256k1::Secp256k1::new();
    let key = secp256k1::SecretKey::from_byte_array(KEY).expect("a valid key");
    let message = secp256k1::Message::from_digest(authorization.signing_hash().0);
    let (id, compact) = curve.sign_ecdsa_recoverable(message, &key).serialize_compact();
    authorization.y_parity = u8::from(id != secp256k1::ecdsa::RecoveryId::Zero);
    authorization.r = U256::from_be_slice(&compact[..32]);
    authorization.s = U256::from_be_slice(&compact[32..]);
    let signer = random_transaction(&mut rng, 0).signed(&KEY).expect("a valid key").sender;

    assert_eq!(authorization.recover_authority(), Some(signer));
    authorization.y_parity = 2;
    assert_eq!(authorization.recover_authority(), None);
}

#[test]
fn each_rule_that_needs_no_state_is_enforced() {
    let mut rng = SmallRng::seed_from_u64(9);
    let mut valid = |tx_type| Transaction {
        nonce: 1,
        gas_limit: 200_000,
        max_fee_per_gas: U256::from(7),
        max_priority_fee_per_gas: U256::from(if tx_type < 2 { 7 } else { 2 }),
        max_fee_per_blob_gas: U256::from(1),
        to: Some(Address::repeat_byte(9)),
        data: Bytes::from_static(b"PARALLEL"),
        ..random_transaction(&mut rng, tx_type)
    };
    let (legacy, dynamic, parallel) = (valid(0), valid(2), valid(PARALLEL_TYPE));
    let (blob, set_code) = (valid(3), valid(4));
    let cases = [
        ("", Fork::Osaka, legacy.clone()),
        ("", Fork::Osaka, parallel.clone()),
        ("", Fork::Cancun, blob.clone()),
        ("", Fork::Prague, set_code.clone()),
        ("type_not_supported", Fork::Istanbul, valid(1)),
        ("type_not_supported", Fork::Berlin, dynamic.clone()),
        ("type_not_supported", Fork::Berlin, parallel.clone()),
        ("type_not_supported", Fork::Shanghai, blob.clone()),
        ("type_not_supported", Fork::Cancun, set_code.clone()),
        ("chain_id", Fork::Osaka, Transaction { chain_id: Some(1), ..dynamic.clone() }),
        ("invalid_signature", Fork::Homestead, Transaction { chain_id: Some(CHAIN_ID), ..legacy.clone() }),
        ("nonce_max", Fork::Osaka, Transaction { nonce: u64::MAX, ..legacy.clone() }),
        (
            "tip_above_fee_cap",
            Fork::Osaka,
            Transaction { max_priority_fee_per_gas: U256::from(8), ..dynamic.clone() },
        ),
        ("cost_overflow", Fork::Osaka, Transaction { max_fee_per_gas: U256::MAX >> 1, ..dynamic.clone() }),
        ("", Fork::Osaka, Transaction { value: U256::MAX, ..dynamic.clone() }),
        ("cost_overflow", Fork::Osaka, Transaction { max_fee_per_blob_gas: U256::MAX >> 1, ..blob.clone() }),
        ("no_blobs", Fork::Osaka, Transaction { blob_versioned_hashes: vec![], ..blob.clone() }),
        (
            "too_many_blobs",
            Fork::Osaka,
            Transaction { blob_versioned_hashes: vec![B256::repeat_byte(1); 7], ..blob.clone() },
        ),
        (
            "blob_hash_version",
            Fork::Osaka,
            Transaction { blob_versioned_hashes: vec![B256::repeat_byte(2)], ..blob.clone() },
        ),
        ("no_authorizations", Fork::Osaka, Transaction { authorization_list: vec![], ..set_code.clone() }),
        (
            "init_code_size",
            Fork::Shanghai,
            Transaction { to: None, gas_limit: 30_000_000, data: vec![1; 49_153].into(), ..parallel.clone() },
        ),
        ("gas_limit_too_high", Fork::Osaka, Transaction { gas_limit: (1 << 24) + 1, ..legacy.clone() }),
        ("", Fork::Prague, Transaction { gas_limit: (1 << 24) + 1, ..legacy.clone() }),
        ("intrinsic_gas", Fork::Osaka, Transaction { gas_limit: 21_127, ..parallel.clone() }),
        (
            "floor_gas",
            Fork::Osaka,
            Transaction { gas_limit: 21_000 + 8 * 40 - 1, access_list: vec![], ..parallel.clone() },
        ),
        (
            "",
            Fork::Osaka,
            Transaction { gas_limit: 21_000 + 8 * 40, access_list: vec![], ..parallel.clone() },
        ),
        (
            "charges_above_cap",
            Fork::Amsterdam,
            Transaction { gas_limit: 1 << 30, data: vec![1; 300_000].into(), ..dynamic.clone() },
        ),
    ];
    for (index, (expected, fork, tx)) in cases.into_iter().enumerate() {
        let made = tx.signed(&KEY).expect("a valid key");
        let rules = rules(fork);
        let sender = recover_sender_under(SignatureRules::of(fork), &made.tx, CHAIN_ID);

        let found = check_static(&made.tx, &sender, &rules).map_or_else(|error| error.name(), |_| "");

        assert_eq!(found, expected, "case {index}");
    }
}

#[test]
fn a_tag_is_charged_like_any_other_data() {
    let mut rng = SmallRng::seed_from_u64(10);
    let tx = Transaction {
        gas_limit: 20_000,
        max_fee_per_gas: U256::from(9),
        max_priority_fee_per_gas: U256::ZERO,
        access_list: vec![],
        data: Bytes::from_static(b"PARALLEL\x00"),
        to: Some(Address::ZERO),
        nonce: 0,
        ..random_transaction(&mut rng, PARALLEL_TYPE)
    };
    let made = tx.signed(&KEY).expect("a valid key");

    let error = check_static(&made.tx, &Ok(made.sender), &rules(Fork::Osaka)).expect_err("too little gas");

    assert_eq!(error, StaticError::IntrinsicGas { gas_limit: 20_000, needed: 21_000 + 8 * 16 + 4 });
    assert_eq!(error.to_string(), "intrinsic gas too low: gas 20000, minimum needed 21132");
}
