//! Every family at a small scale: deterministic, and the same by all ways of executing it.

use std::sync::Arc;

use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;

use super::*;
use crate::baseline::{PlainBlock, PlainOutcome};
use crate::equality::Reference;

fn is_recorded(name: &str) -> bool {
    name.starts_with("mainnet")
}

fn small(workers: &Workers, name: &str) -> Option<Workload> {
    let making = Making { scale: 0.002, ..Making::new(workers) };
    let is_there = !is_recorded(name) || making.recorded.is_dir();
    is_there.then(|| make(name, &making).expect("a known name"))
}

/// Executes a block by the plain loop and by each of our ways, and demands the same of all of them.
pub(super) fn agreed(executor: &Executor, name: &str, block: &BenchBlock) -> PlainOutcome {
    let plain = PlainBlock::new(block).execute().expect("a valid block");
    let reference = Reference::new(block, plain.clone()).expect("maps do not fail");
    for (mode, threads) in [(Mode::Serial, 1), (Mode::Parallel, 1), (Mode::Parallel, 2)] {
        let options = ExecuteOptions { mode, threads, ..ExecuteOptions::default() };
        let (rules, context) = (&block.rules, &block.block);
        let ours = executor
            .execute_transactions(rules, context, &block.transactions, &block.state, &options)
            .expect("a valid block");
        let found = reference.differences(&ours);
        assert_eq!(found, Vec::<String>::new(), "{name} {} {mode:?} {threads}", block.label);
    }
    plain
}

#[test]
fn all_ways_of_executing_a_family_agree_and_nothing_fails() {
    let workers = Arc::new(Workers::new(2).expect("two threads"));
    let executor = Executor::new(Arc::clone(&workers));
    for family in FAMILIES {
        let Some(workload) = small(&workers, family.name) else { continue };
        for block in &workload.blocks {
            let plain = agreed(&executor, family.name, block);
            let may_fail = is_recorded(family.name) || family.name == "mixed";
            assert!(may_fail || plain.receipts.iter().all(|receipt| receipt.success), "{}", family.name);
        }
    }
}

#[test]
fn a_difference_is_found() {
    let workers = Arc::new(Workers::new(1).expect("one thread"));
    let workload = small(&workers, "chain-counter").expect("a made workload");
    let block = &workload.blocks[0];
    let mut plain = PlainBlock::new(block).execute().expect("a valid block");
    let options = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
    let ours = Executor::new(workers)
        .execute_transactions(&block.rules, &block.block, &block.transactions, &block.state, &options)
        .expect("a valid block");
    plain.receipts[3].cumulative_gas_used += 1;
    let sender = block.transactions[5].sender;
    plain.state.get_mut(&sender).expect("a sender is loaded").info.balance += U256::ONE;
    let contract = block.transactions[0].tx.to.expect("a call");
    let slots = &mut plain.state.get_mut(&contract).expect("it was called").storage;
    slots.values_mut().for_each(|slot| slot.present_value += U256::ONE);
    let found = Reference::new(block, plain).expect("maps do not fail").differences(&ours);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn workloads_are_the_same_each_time_and_differ_by_seed() {
    let workers = Workers::new(2).expect("two threads");
    let hashes = |name, seed| {
        let making = Making { scale: 0.001, seed, ..Making::new(&workers) };
        let workload = make(name, &making).expect("a known name");
        workload.blocks[0].transactions.iter().map(|tx| tx.tx.hash).collect::<Vec<_>>()
    };
    for name in FAMILIES.iter().map(|family| family.name).filter(|name| !is_recorded(name)) {
        let first = hashes(name, 1);
        assert_eq!(first, hashes(name, 1), "{name}");
        assert!(first.iter().zip(hashes(name, 2)).all(|(one, other)| *one != other), "{name}");
    }
}

#[test]
fn a_whole_block_of_transfers_is_one_gigagas() {
    let workers = Workers::new(1).expect("one thread");
    let making = Making::new(&workers);
    assert_eq!(making.count(GIGAGAS_TRANSFERS) as u64 * transfers::TRANSFER_GAS, 1_000_020_000);
    assert_eq!(Making { scale: 1e-9, ..making }.count(GIGAGAS_TRANSFERS), 1);
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let workers = Workers::new(1).expect("one thread");
    let text = make("transfer", &Making::new(&workers)).expect_err("no such name").to_string();
    assert!(text.starts_with("no workload \"transfer\"; there are transfers-self, "), "{text}");
    let text = make("mainnet/../1", &Making::new(&workers)).expect_err("no such block").to_string();
    assert_eq!(text, "no range of block numbers: \"../1\"");
    let text = make("mainnet/1x", &Making::new(&workers)).expect_err("no such block").to_string();
    assert!(text.starts_with("no recorded block \"1x\" in "), "{text}");
}

#[test]
fn recorded_blocks_can_be_chosen_by_their_numbers() {
    let workers = Workers::new(1).expect("one thread");
    let making = Making::new(&workers);
    if !making.recorded.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no recorded blocks: {}", making.recorded.display());
        return;
    }
    let numbers = |name: &str| -> Vec<u64> {
        make(name, &making).expect("recorded blocks").blocks.iter().map(|block| block.block.number).collect()
    };
    let (all, since_2021) = (numbers("mainnet"), numbers("mainnet-2021"));

    assert!(all.is_sorted() && all[0] < 11_565_019 && since_2021[0] >= 11_565_019);
    assert!(all.ends_with(&since_2021));
    assert_eq!(numbers("mainnet/11565019.."), since_2021);
    assert_eq!(numbers(&format!("mainnet/..{}", all[1])), all[..2]);
    assert_eq!(numbers(&format!("mainnet/{}..{}", all[1], all[2])), all[1..3]);
}
