//! Random blocks and what this engine makes of them, written for another executor to check.
//!
//! `PARALLELPOOL_EXPORT` names the file: one JSON object a line. Transactions of the chain's own
//! parallel type, which nobody else knows, become ordinary ones of their senders. Numbers are hex
//! strings; receipts come in consensus encoding.

use std::fmt::LowerHex;
use std::io::Write;
use std::sync::Arc;

use parallelpool_core::block::Receipt;
use parallelpool_core::chainspec::Fork;
use parallelpool_core::execution::{BlockOutcome, BuildOutcome, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{B256, KECCAK_EMPTY, U256};
use parallelpool_core::roots;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, AccountChange, StateChanges, StateView};
use parallelpool_core::trie::state_root_of;
use parallelpool_core::tx::{SharedTransaction, Transaction};
use parallelpool_core::workers::Workers;
use serde_json::{Map, Value, json};

use crate::support::unsteady::Unsteady;
use crate::world::World;

const BLOCKS: u64 = 1_200;

#[test]
#[ignore = "writes a file for tests/eels; make oracle-blocks"]
fn export_random_blocks() {
    let path = std::env::var("PARALLELPOOL_EXPORT").expect("PARALLELPOOL_EXPORT names the file");
    let executor = Executor::new(Arc::new(Workers::new(3).expect("threads start")));
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("the file can be written"));
    for seed in 0..BLOCKS {
        writeln!(file, "{}", export(&executor, seed)).expect("the file can be written");
    }
    file.flush().expect("the file can be written");
}

fn export(executor: &Executor, seed: u64) -> Value {
    let mut world = World::new(seed);
    world.candidates = world.candidates.iter().map(|tx| ordinary(&world, tx)).collect();
    cut_riches(&mut world.state);
    if world.fork >= Fork::Paris {
        // Empty accounts cannot exist on a chain that has merged, and others rely on that.
        world.state = without_empty_accounts(&world.state);
    }
    let threads = 2 + seed as usize % 2;
    let dependencies = world.hints();
    let build = |mode, dependencies| -> BuildOutcome {
        let options = ExecuteOptions {
            mode,
            threads,
            keep_transaction_changes: true,
            dependencies,
            ..Default::default()
        };
        let state = Unsteady::new(&world.state, seed.is_multiple_of(3).then_some(seed));
        let World { spec, block, limits, candidates, .. } = &world;
        executor.build(spec, block, limits, candidates, &state, &options).expect("memory never fails")
    };
    let (serial, parallel) = (build(Mode::Serial, Vec::new()), build(Mode::Parallel, dependencies));
    assert!(parallel.outcome.statistics.parallel, "this one ran on the parallel executor");
    assert_eq!(serial.included, parallel.included);
    let transactions: Vec<_> =
        serial.included.iter().map(|index| shown(&world.candidates[*index].tx.raw)).collect();
    json!({
        "seed": seed,
        "fork": world.fork.name(),
        "block": block(&world),
        "pre": accounts(&whole(&world.state)),
        "codes": codes(&world.state),
        "transactions": transactions,
        "serial": verdict(&world, serial.outcome),
        "parallel": verdict(&world, parallel.outcome),
    })
}

/// The same as a dynamic-fee transaction without the tag, if it is of the chain's own type.
fn ordinary(world: &World, candidate: &SharedTransaction) -> SharedTransaction {
    if !candidate.tx.is_parallel {
        return candidate.clone();
    }
    let mut tx = Transaction { tx_type: 2, is_parallel: false, ..candidate.tx.clone() };
    for tag in [&b"PARALLEL"[..], b"SEQUENTIAL"] {
        if let Some(rest) = tx.data.strip_prefix(tag) {
            tx.data = rest.to_vec().into();
            break;
        }
    }
    let secret = world.secret_of(&candidate.sender).expect("only keys send");
    SharedTransaction::new(tx.signed(&secret).expect("a good key"))
}

/// No chain has so many wei that their sums leave 256 bits, and what happens then nobody specified.
fn cut_riches(state: &mut MemoryState) {
    let most = U256::from(1) << 200;
    let rich: Vec<_> = state.iter().map(|(address, account, _)| (address, account)).collect();
    for (address, account) in rich.into_iter().filter(|(_, account)| account.balance > most) {
        assert!(account.code_hash == KECCAK_EMPTY, "the whale has no code");
        state.insert_account(address, Account { balance: most, ..account }, None);
    }
}

fn without_empty_accounts(state: &MemoryState) -> MemoryState {
    let mut kept = state.clone();
    let mut gone = StateChanges::default();
    for (address, _, _) in state.iter().filter(|(_, account, _)| account.is_empty()) {
        let change = AccountChange { after: None, storage_cleared: true, storage: Default::default() };
        gone.accounts.insert(address, change);
    }
    kept.apply(&gone);
    kept
}

fn block(world: &World) -> Value {
    let block = &world.block;
    let mut hashes: Vec<_> = world.state.block_hashes().collect();
    hashes.sort_unstable();
    let withdrawals = block.withdrawals.as_ref().map(|withdrawals| {
        let encoded = withdrawals.iter().map(|one| {
            json!({
                "index": shown(one.index),
                "validatorIndex": shown(one.validator_index),
                "address": shown(one.address),
                "amount": shown(one.amount),
            })
        });
        encoded.collect::<Vec<_>>()
    });
    let ommers = block
        .ommers
        .iter()
        .map(|ommer| json!({"coinbase": shown(ommer.beneficiary), "number": shown(ommer.number)}));
    json!({
        "chainId": shown(world.spec.chain_id),
        "number": shown(block.number),
        "timestamp": shown(block.timestamp),
        "coinbase": shown(block.beneficiary),
        "gasLimit": shown(block.gas_limit),
        "baseFee": block.base_fee.map(shown),
        "difficulty": shown(block.difficulty),
        "prevRandao": block.prev_randao.map(shown),
        "parentBeaconBlockRoot": block.parent_beacon_block_root.map(shown),
        "excessBlobGas": block.excess_blob_gas.map(shown),
        "blockHashes": hashes.into_iter().map(|(_, hash)| shown(hash)).collect::<Vec<_>>(),
        "withdrawals": withdrawals,
        "ommers": ommers.collect::<Vec<_>>(),
    })
}

/// What a header would commit to, and what it follows from.
fn verdict(world: &World, outcome: BlockOutcome) -> Value {
    let mut state = world.state.clone();
    let mut receipts = outcome.receipts.clone();
    if world.fork < Fork::Byzantium {
        add_state_roots(&mut state, &outcome, &mut receipts);
        state = world.state.clone();
    }
    state.apply(&outcome.changes);
    let post = whole(&state);
    json!({
        "gasUsed": shown(outcome.gas_used),
        "blobGasUsed": shown(outcome.blob_gas_used),
        "bloom": shown(outcome.bloom),
        "stateRoot": shown(state_root_of(&post)),
        "receiptsRoot": shown(roots::receipts_root(&receipts)),
        "receipts": receipts.iter().map(|one| shown(roots::encode_receipt(one))).collect::<Vec<_>>(),
        "withdrawalsRoot": world.block.withdrawals.as_ref().map(|all| shown(roots::withdrawals_root(all))),
        "requests": outcome.requests.map(|all| all.iter().map(shown).collect::<Vec<_>>()),
        "post": accounts(&post),
    })
}

/// Before Byzantium a receipt carries the state root after its transaction instead of a status.
fn add_state_roots(state: &mut MemoryState, outcome: &BlockOutcome, receipts: &mut [Receipt]) {
    state.apply(&outcome.changes_before);
    for (receipt, changes) in receipts.iter_mut().zip(&outcome.transaction_changes) {
        state.apply(changes);
        receipt.state_root = Some(state_root_of(&whole(state)));
    }
}

fn whole(state: &MemoryState) -> StateChanges {
    let mut whole = StateChanges::default();
    for (address, account, storage) in state.iter() {
        let change =
            AccountChange { after: Some(account), storage_cleared: false, storage: storage.collect() };
        whole.accounts.insert(address, change);
    }
    whole
}

fn accounts(whole: &StateChanges) -> Value {
    let mut accounts = Map::new();
    for (address, change) in &whole.accounts {
        let account = change.after.expect("a whole state has no absent accounts");
        let storage = change.storage.iter().map(|(slot, value)| (word(*slot), json!(word(*value))));
        let account = json!({
            "nonce": shown(account.nonce),
            "balance": shown(account.balance),
            "codeHash": shown(account.code_hash),
            "storage": storage.collect::<Map<_, _>>(),
        });
        accounts.insert(shown(address), account);
    }
    accounts.into()
}

fn codes(state: &MemoryState) -> Value {
    let hashes = state.iter().map(|(_, account, _)| account.code_hash).filter(|hash| *hash != KECCAK_EMPTY);
    let code = |hash| state.code(&hash).expect("the state has its codes").original_bytes();
    hashes.map(|hash| (shown(hash), json!(shown(code(hash))))).collect::<Map<_, _>>().into()
}

/// Numbers, hashes, addresses and bytes, all as hex.
fn shown(value: impl LowerHex) -> String {
    format!("{value:#x}")
}

fn word(value: U256) -> String {
    shown(B256::from(value))
}
