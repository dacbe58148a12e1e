//! The engine against the vectors of `docs/eip-parallel-transaction.md`.

use parallelpool_core::block::Receipt;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::primitives::{Address, B256, Bloom, Bytes, Log, LogData, U256};
use parallelpool_core::roots::encode_receipt;
use parallelpool_core::tx::Tag;
use parallelpool_core::tx::charges::charges;
use parallelpool_core::tx::decode::decode;
use parallelpool_core::tx::recover::recover_sender;
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/parallel_transaction.json");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("a JSON document")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no list {name} in {value}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

fn bytes(value: &Value, name: &str) -> Bytes {
    text(value, name).parse().expect("hex")
}

fn number(value: &Value, name: &str) -> u64 {
    text(value, name).parse::<U256>().expect("a quantity").to::<u64>()
}

#[test]
fn every_valid_vector_decodes_to_its_fields_hashes_and_charges() {
    let document = vectors();
    for vector in list(&document, "transactions") {
        let name = text(vector, "name");
        let fields = &vector["fields"];
        let tx_type = number(fields, "type") as u8;
        let chain_id = number(fields, "chainId");

        let tx = decode(&bytes(vector, "raw"), Some(tx_type)).expect(name);
        let sender = recover_sender(&tx, chain_id).expect(name);

        assert!(tx.is_parallel, "{name}");
        assert_eq!(tx.hash, B256::from_slice(&bytes(vector, "hash")), "{name}");
        assert_eq!(tx.signing_hash, B256::from_slice(&bytes(vector, "signingHash")), "{name}");
        assert_eq!(sender, Address::from_slice(&bytes(vector, "sender")), "{name}");
        assert_eq!(tx.evm_input(), bytes(vector, "evmInput"), "{name}");
        let tag = tx.tag().map(|tag| match tag {
            Tag::Parallel => "PARALLEL",
            Tag::Sequential => "SEQUENTIAL",
        });
        assert_eq!(tag, vector["tag"].as_str(), "{name}");
        let key: [u8; 32] = bytes(vector, "privateKey").as_ref().try_into().expect("32 bytes");
        assert_eq!(tx.clone().signed(&key).expect(name).tx, tx, "{name}");
        for (network, due) in vector["charges"].as_object().expect("networks") {
            let spec = ChainSpec { chain_id, ..ChainSpec::for_network(network).expect("a network") };
            let found = charges(&tx, Some(&sender), &spec.rules_at(0, 0));
            let [intrinsic, floor] = ["intrinsic", "floor"].map(|kind| due[kind].as_u64().expect("gas"));
            assert_eq!((found.intrinsic, found.floor), (intrinsic, floor), "{name} on {network}");
        }
    }
}

#[test]
fn every_refused_vector_is_refused_in_its_words() {
    let document = vectors();
    let chain_id = document["chainId"].as_u64().expect("a number");
    for vector in list(&document, "refused") {
        let found = match decode(&bytes(vector, "raw"), Some(5)) {
            Err(error) => error.to_string(),
            Ok(tx) => format!("invalid sender: {}", recover_sender(&tx, chain_id).expect_err("refused")),
        };
        assert_eq!(found, text(vector, "error"), "{}", text(vector, "name"));
    }
}

#[test]
fn receipts_are_the_type_byte_and_the_usual_fields() {
    let document = vectors();
    for vector in list(&document, "transactions") {
        let expected = &vector["receipt"];
        let logs: Vec<Log> = list(expected, "logs")
            .iter()
            .map(|log| {
                let topics = list(log, "topics").iter().map(|topic| topic.as_str().expect("hex"));
                let topics = topics.map(|topic| topic.parse().expect("a hash")).collect();
                let address = Address::from_slice(&bytes(log, "address"));
                Log { address, data: LogData::new_unchecked(topics, bytes(log, "data")) }
            })
            .collect();
        let receipt = Receipt {
            tx_type: number(&vector["fields"], "type") as u8,
            success: expected["status"] == 1,
            state_root: None,
            cumulative_gas_used: number(expected, "cumulativeGasUsed"),
            gas_used: 0,
            bloom: logs.iter().collect::<Bloom>().into(),
            logs,
            contract_address: None,
            effective_gas_price: 0,
            blob_gas_used: 0,
        };

        assert_eq!(*receipt.bloom, Bloom::from_slice(&bytes(expected, "logsBloom")));
        assert_eq!(encode_receipt(&receipt), bytes(expected, "raw"), "{}", text(vector, "name"));
    }
}
