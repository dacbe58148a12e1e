//! The codec against recorded answers of go-ethereum: texts, hashes, senders, gas.
//!
//! Each line of `tests/vectors/geth_transactions.jsonl` is one input and what geth v1.17.8 said to
//! it; `tests/vectors/SOURCE.md` tells how it was made. `GETH_TRANSACTIONS` names another file of
//! the same form.

use std::collections::BTreeSet;

use parallelpool_core::chainspec::{Fork, Rules};
use parallelpool_core::tx::Transaction;
use parallelpool_core::tx::charges::{Charges, charges};
use parallelpool_core::tx::decode::{DecodeError, DecodeErrorKind, decode};
use parallelpool_core::tx::recover::recover_sender;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    raw: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    signing_hash: Option<String>,
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    sender_error: Option<String>,
    #[serde(default)]
    sidecar: Option<u8>,
    #[serde(default)]
    intrinsic: Vec<String>,
    #[serde(default)]
    floor: Vec<String>,
    /// Fields that geth holds and our fixed-width types cannot.
    #[serde(default)]
    wide: Vec<String>,
}

const CHAIN_ID: u64 = 1;
const PARALLEL_TYPE: u8 = 5;
/// The rules that the gas figures of an answer stand for, in order.
const FORKS: [Fork; 7] = [
    Fork::Frontier,
    Fork::Homestead,
    Fork::Istanbul,
    Fork::Berlin,
    Fork::Shanghai,
    Fork::Prague,
    Fork::Amsterdam,
];

fn answers() -> Vec<Answer> {
    let path = std::env::var("GETH_TRANSACTIONS").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/geth_transactions.jsonl").into()
    });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).expect("one answer a line")).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).expect("hex")
}

fn rules(fork: Fork) -> Rules {
    let parallel_tx_type = (fork >= Fork::London).then_some(PARALLEL_TYPE);
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: CHAIN_ID,
        blobs: None,
        parallel_tx_type,
        amsterdam: Default::default(),
    }
}

/// Before its fork a type's own charges are zero in the one table and not in the other.
fn first_fork_of(tx_type: u8) -> Fork {
    [Fork::Frontier, Fork::Berlin, Fork::London, Fork::Cancun, Fork::Prague][usize::from(tx_type)]
}

#[test]
fn every_input_gets_geths_answer() {
    let answers = answers();
    assert!(answers.len() >= 500, "only {} answers", answers.len());
    for answer in &answers {
        let raw = bytes(&answer.raw);
        match decode(&raw, None) {
            Ok(tx) => check_accepted(answer, &raw, &tx),
            Err(error) => check_refused(answer, &error),
        }
    }
}

/// The parallel type is laid out like the dynamic fee type, so geth's answers to the one hold for
/// the other, apart from what the type byte goes into.
#[test]
fn the_parallel_type_is_decoded_as_strictly_as_the_dynamic_fee_type() {
    let mut texts = BTreeSet::new();
    for answer in answers().iter().filter(|answer| answer.raw.starts_with("02")) {
        let mut raw = bytes(&answer.raw);
        raw[0] = PARALLEL_TYPE;
        let expected = answer.error.as_ref().map(|text| text.replace("DynamicFeeTx", "ParallelTx"));
        match decode(&raw, Some(PARALLEL_TYPE)) {
            Ok(tx) => {
                assert_eq!(expected, None, "{}", answer.raw);
                assert!(tx.is_parallel && tx.tx_type == PARALLEL_TYPE);
                assert_eq!(tx.encode_canonical(), raw);
            }
            Err(error) if expected.is_some() => {
                let text = error.to_string();
                assert!(Some(&text) == expected.as_ref() || is_overshoot(&text), "{text}: {}", answer.raw);
                texts.insert(error.to_string());
            }
            Err(error) => assert!(!answer.wide.is_empty(), "{error}: {}", answer.raw),
        }
        assert_eq!(
            decode(&raw, None).map_err(|error| error.to_string()),
            Err(if raw.len() > 1 { "transaction type not supported" } else { "typed transaction too short" }
                .into()),
        );
    }
    assert!(texts.len() >= 20, "only {} texts", texts.len());
}

fn check_accepted(answer: &Answer, raw: &[u8], tx: &Transaction) {
    let input = &answer.raw;
    assert_eq!(answer.error, None, "{input}");
    assert_eq!(answer.hash.as_deref(), Some(tx.hash.to_string().as_str()), "{input}");
    assert_eq!(tx.sidecar.as_ref().map(|sidecar| sidecar.version), answer.sidecar, "{input}");
    assert_eq!(tx.encode_canonical(), tx.raw, "{input}");
    assert_eq!(tx.encode_network(), raw, "{input}");
    match recover_sender(tx, CHAIN_ID) {
        Err(error) => assert_eq!(answer.sender_error, Some(error.to_string()), "{input}"),
        Ok(sender) => {
            assert_eq!(answer.sender.as_deref(), Some(sender.to_string().as_str()), "{input}");
            assert_eq!(answer.signing_hash, Some(tx.signing_hash.to_string()), "{input}");
            for (index, fork) in FORKS.into_iter().enumerate() {
                if fork >= first_fork_of(tx.tx_type) {
                    let Charges { intrinsic, floor, .. } = charges(tx, Some(&sender), &rules(fork));
                    assert_eq!(answer.intrinsic[index], intrinsic.to_string(), "{fork:?} {input}");
                    assert_eq!(answer.floor[index], floor.to_string(), "{fork:?} {input}");
                }
            }
        }
    }
}

/// geth measures a value against its list before it has read the value's header, so that one which
/// overshoots by less than its header is refused later, with whatever comes up then.
fn is_overshoot(text: &str) -> bool {
    text == "rlp: element is larger than containing list"
}

fn check_refused(answer: &Answer, error: &DecodeError) {
    let input = &answer.raw;
    let text = error.clone().for_chain(CHAIN_ID).to_string();
    if let Some(expected) = &answer.error {
        assert!(&text == expected || is_overshoot(&text), "{text} for {expected}: {input}");
        return;
    }
    // geth decodes these and refuses them one step later.
    let is_wide = |field| answer.wide.iter().any(|wide| wide == field);
    let later = answer.sender_error.as_ref().map(|cause| format!("invalid sender: {cause}"));
    match error.kind {
        DecodeErrorKind::FeeCapTooWide => assert!(is_wide("fee_cap"), "{input}"),
        DecodeErrorKind::TipCapTooWide => assert!(is_wide("tip_cap"), "{input}"),
        DecodeErrorKind::ValueTooWide => assert!(is_wide("value"), "{input}"),
        DecodeErrorKind::ChainIdTooWide if text.contains(" bytes want ") => assert!(is_wide("chain_id")),
        DecodeErrorKind::ChainIdTooWide => assert_eq!(Some(text), later, "{input}"),
        DecodeErrorKind::InvalidSignature => {
            assert!(is_wide("v") || is_wide("r") || is_wide("s"), "{input}");
            let cause = later.expect("geth refuses it too");
            assert!(cause == text || cause.contains("invalid chain id"), "{cause}: {input}");
        }
        other => panic!("{other:?} {text}: geth accepts {input}"),
    }
}
