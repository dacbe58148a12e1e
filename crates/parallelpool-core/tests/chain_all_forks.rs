//! A chain through all forks, executed: every root, bloom and sum of its 54 blocks.

mod support;

use std::sync::Arc;

use parallelpool_core::block::Receipt;
use parallelpool_core::block_codec::{Block, blocks};
use parallelpool_core::executor::Executor;
use parallelpool_core::genesis::parse_genesis;
use parallelpool_core::header::{InvalidHeader, validate_outcome};
use parallelpool_core::primitives::{B256, Bloom, Bytes, U256};
use parallelpool_core::roots::{encode_receipt, receipts_root};
use parallelpool_core::trie::{account_proof, state_root_of};
use parallelpool_core::workers::Workers;
use serde_json::{Value, json};
use support::chain_run::ChainRun;
use support::tally::Tally;
use support::ways::Ways;

struct Chain {
    genesis: parallelpool_core::chainspec::Genesis,
    blocks: Vec<Block>,
}

impl Chain {
    fn read() -> Option<Self> {
        let folder = support::fixtures("rpc-compat")?;
        let json = std::fs::read_to_string(folder.join("genesis.json")).expect("a genesis");
        let file = std::fs::read(folder.join("chain.rlp")).expect("a chain");
        Some(Self {
            genesis: parse_genesis(&json).expect("a good genesis"),
            blocks: blocks(&file).collect::<Result<_, _>>().expect("good blocks"),
        })
    }

    fn run(&self, ways: Ways) -> ChainRun {
        let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
        let Self { genesis, .. } = self;
        ChainRun::new(genesis.spec.clone(), &genesis.header, &genesis.alloc, executor, ways)
    }

    /// Imports every block and returns the receipts.
    fn import_all(&self, ways: Ways) -> (ChainRun, Vec<Vec<Receipt>>) {
        let mut run = self.run(ways);
        let mut tally = Tally::default();
        let receipts = self.blocks.iter().map(|block| {
            let number = block.header.number;
            let outcome = run.import(block, &mut tally);
            tally.blame(&format!("block {number}"));
            tally.executed += 1;
            outcome.unwrap_or_else(|reason| panic!("block {number}: {reason}")).receipts
        });
        let receipts = receipts.collect();
        tally.conclude(&format!("rpc-compat/chain.rlp, {ways:?}"));
        assert_eq!(run.head.number, 54);
        let whole = support::as_changes(&run.state);
        assert_eq!(state_root_of(&whole), run.head.state_root, "the state written at once");
        (run, receipts)
    }
}

/// The serial ways and no others.
const SERIALLY: Ways = Ways::Sample(0);

#[test]
fn every_block_has_its_roots_in_sampled_ways() {
    let Some(chain) = Chain::read() else { return };
    let (_, receipts) = chain.import_all(Ways::Sample(24));
    assert_eq!(receipts.iter().map(Vec::len).sum::<usize>(), 249);
    assert!(receipts[..8].iter().flatten().all(|receipt| receipt.state_root.is_some()));
    assert!(receipts[8..].iter().flatten().all(|receipt| receipt.state_root.is_none()));
}

#[test]
#[ignore = "executes each block in 243 ways; run with --include-ignored"]
fn slow_every_block_has_its_roots_in_all_ways() {
    if let Some(chain) = Chain::read() {
        chain.import_all(Ways::All);
    }
}

/// Requests and answers of one method, as other nodes gave them; none where there is no folder.
fn vectors(method: &str) -> Vec<(Value, Value)> {
    let Some(folder) = support::fixtures(&format!("rpc-compat/{method}")) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let read = entries.map(|entry| {
        let text = std::fs::read_to_string(entry.expect("a readable entry").path()).expect("a vector");
        let json = |mark: &str| -> Value {
            let line = text.lines().find_map(|line| line.strip_prefix(mark)).expect("both lines");
            serde_json::from_str(line).expect("JSON")
        };
        (json(">> "), json("<< "))
    });
    read.collect()
}

#[test]
fn proofs_are_those_of_other_nodes() {
    let Some(chain) = Chain::read() else { return };
    let (run, _) = chain.import_all(SERIALLY);
    let hex = |nodes: &[Bytes]| -> Vec<String> { nodes.iter().map(Bytes::to_string).collect() };
    let mut compared = 0;
    let vectors = vectors("eth_getProof");
    for (request, answer) in &vectors {
        let parameters = request["params"].as_array().expect("parameters");
        if !matches!(parameters.get(2).and_then(Value::as_str), None | Some("latest")) {
            continue;
        }
        let slots = parameters[1].as_array().expect("slots");
        let slots: Vec<_> = slots.iter().map(|slot| support::number(slot).expect("a slot")).collect();
        let proof = account_proof(&run.tries, support::address(&parameters[0]), &slots).expect("whole tries");
        let account = proof.account.unwrap_or_default();
        let expected = &answer["result"];
        assert_eq!(json!(hex(&proof.proof)), expected["accountProof"]);
        assert_eq!(proof.storage_hash(), support::hash(&expected["storageHash"]));
        assert_eq!(proof.code_hash(), support::hash(&expected["codeHash"]));
        assert_eq!(Some(account.balance), support::number(&expected["balance"]));
        assert_eq!(Some(U256::from(account.nonce)), support::number(&expected["nonce"]));
        for (ours, theirs) in proof.storage.iter().zip(expected["storageProof"].as_array().expect("proofs")) {
            assert_eq!(json!(hex(&ours.proof)), theirs["proof"]);
            assert_eq!(Some(ours.value), support::number(&theirs["value"]));
            compared += 1;
        }
        compared += 1;
    }
    println!("{compared} proofs compared");
    assert!(compared > 0 || vectors.is_empty(), "some vector asks for the head");
}

#[test]
fn raw_receipts_are_those_of_other_nodes() {
    let Some(chain) = Chain::read() else { return };
    let (_, receipts) = chain.import_all(SERIALLY);
    let mut compared = 0;
    let vectors = vectors("debug_getRawReceipts");
    for (request, answer) in &vectors {
        let number = request["params"][0].as_str().and_then(|text| text.strip_prefix("0x"));
        let number = number.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let (Some(number @ 1..), Some(expected)) = (number, answer["result"].as_array()) else { continue };
        let ours: Vec<_> = receipts[number - 1].iter().map(encode_receipt).collect();
        let expected: Vec<_> = expected.iter().map(support::bytes).collect();
        assert_eq!(ours, expected, "block {number}");
        compared += expected.len();
    }
    println!("{compared} raw receipts compared");
    assert!(compared > 0 || vectors.is_empty(), "some vector names a block by number");
}

#[test]
fn a_header_that_promises_another_outcome_is_refused_by_what_differs() {
    let Some(chain) = Chain::read() else { return };
    let mut run = chain.run(SERIALLY);
    for block in &chain.blocks {
        let outcome = run.import(block, &mut Tally::default()).expect("a good block");
        let root = block.header.state_root;
        assert_eq!(receipts_root(&outcome.receipts), block.header.receipts_root);
        let refused = |change: &dyn Fn(&mut alloy_consensus::Header), expected: &str| {
            let mut header = block.header.clone();
            change(&mut header);
            let found = validate_outcome(&header, &outcome, root);
            assert!(
                matches!(&found, Err(InvalidHeader::Outcome(text)) if text.contains(expected)),
                "block {}: expected {expected}, found {found:?}",
                block.header.number
            );
        };
        refused(&|header| header.gas_used += 1, "invalid gas used (remote: ");
        refused(&|header| header.logs_bloom = Bloom::repeat_byte(1), "invalid bloom (remote: 0101");
        refused(
            &|header| header.receipts_root = B256::repeat_byte(2),
            "invalid receipt root hash (remote: 0202",
        );
        refused(&|header| header.state_root = B256::repeat_byte(3), "invalid merkle root (remote: 0303");
        match block.header.requests_hash {
            Some(_) => refused(
                &|header| header.requests_hash = Some(B256::repeat_byte(4)),
                "invalid requests hash (remote: 0404",
            ),
            None => assert_eq!(outcome.requests, None),
        }
        if block.header.blob_gas_used.is_some() {
            refused(&|header| header.blob_gas_used = Some(1), "invalid blob gas used (remote: 1 local: ");
        }
    }
}

#[test]
fn a_block_with_a_wrong_promise_or_transaction_changes_nothing() {
    let Some(chain) = Chain::read() else { return };
    let mut run = chain.run(SERIALLY);
    for block in &chain.blocks {
        let mut lying = block.clone();
        lying.header.state_root = B256::repeat_byte(9);
        let reason = run.import(&lying, &mut Tally::default()).expect_err("another state root");
        assert!(reason.contains("invalid merkle root"), "{reason}");

        let mut doubled = block.clone();
        if let Some(first) = block.transactions.first().cloned() {
            doubled.transactions.push(first);
            doubled.header.transactions_root =
                parallelpool_core::roots::transactions_root(&doubled.transactions);
            let reason = run.import(&doubled, &mut Tally::default()).expect_err("a nonce is used twice");
            let expected = format!("could not apply tx {}", block.transactions.len());
            assert!(reason.contains(&expected) || reason.contains("gas"), "{reason}");
        }

        run.import(block, &mut Tally::default())
            .unwrap_or_else(|reason| panic!("block {}: {reason}", block.header.number));
    }
    let total: U256 = chain.blocks.iter().map(|block| block.header.difficulty).sum();
    let ttd = chain.genesis.spec.terminal_total_difficulty.expect("a merge by difficulty");
    assert!(total + chain.genesis.header.difficulty >= ttd, "the chain merged");
}
