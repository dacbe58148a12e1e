//! What the workloads of contract calls promise: their size, what depends on what, who gets what.

use std::collections::HashMap;
use std::sync::Arc;

use parallelpool_core::execution::{BlockOutcome, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{Address, Log, U256, keccak256};

use super::tests::agreed;
use super::*;
use crate::baseline::PlainBlock;
use crate::contracts::units;

const GIGAGAS: f64 = 1e9;

fn workers() -> Arc<Workers> {
    Arc::new(Workers::new(2).expect("two threads"))
}

fn made(name: &str, scale: f64) -> BenchBlock {
    let workers = workers();
    let mut workload = make(name, &Making { scale, ..Making::new(&workers) }).expect("a known name");
    workload.blocks.remove(0)
}

fn serially(block: &BenchBlock) -> BlockOutcome {
    let options = ExecuteOptions {
        mode: Mode::Serial,
        keep_transaction_changes: true,
        keep_touched: true,
        ..ExecuteOptions::default()
    };
    Executor::new(workers())
        .execute_transactions(&block.rules, &block.block, &block.transactions, &block.state, &options)
        .expect("a valid block")
}

/// For each transaction, the latest earlier one that changed a slot it loaded.
fn storage_dependencies(outcome: &BlockOutcome) -> Vec<Option<usize>> {
    let mut writers: HashMap<(Address, U256), usize> = HashMap::new();
    let mut dependencies = Vec::new();
    for (index, touched) in outcome.transaction_touched.iter().enumerate() {
        let slots =
            touched.iter().flat_map(|account| account.slots.iter().map(|slot| (account.address, *slot)));
        dependencies.push(slots.filter_map(|slot| writers.get(&slot).copied()).max());
        for (address, change) in &outcome.transaction_changes[index].accounts {
            writers.extend(change.storage.keys().map(|slot| ((*address, *slot), index)));
        }
    }
    dependencies
}

/// Sender, recipient and amount of a token's `Transfer`.
fn transfer_of(log: &Log) -> (Address, Address, U256) {
    assert_eq!(log.topics()[0], keccak256("Transfer(address,address,uint256)"));
    let address = |index: usize| Address::from_word(log.topics()[index]);
    (address(1), address(2), U256::from_be_slice(&log.data.data))
}

/// The workload has that share of a gigagas, give or take a share `tolerance` of it.
fn assert_size(name: &str, scale: f64, tolerance: f64) {
    let gas = PlainBlock::new(&made(name, scale)).execute().expect("a valid block").gas_used;
    assert!((gas as f64 / (GIGAGAS * scale) - 1.0).abs() < tolerance, "{name} at {scale}: {gas} gas");
}

#[test]
fn a_hundredth_of_each_is_ten_megagas() {
    for name in ["erc20-self", "erc20-distinct", "erc20-hot", "erc20-dependent", "nft-mint", "uniswap"] {
        assert_size(name, 0.01, 0.02);
    }
    // Its transactions are of many kinds, and a few are large.
    assert_size("mixed", 0.1, 0.05);
}

#[test]
#[ignore = "makes seven blocks of one gigagas"]
fn slow_each_is_one_gigagas() {
    for name in
        ["erc20-self", "erc20-distinct", "erc20-hot", "erc20-dependent", "nft-mint", "uniswap", "mixed"]
    {
        assert_size(name, 1.0, 0.02);
    }
}

#[test]
fn what_is_called_independent_is() {
    for name in ["erc20-self", "erc20-distinct", "uniswap"] {
        let outcome = serially(&made(name, 0.005));
        assert!(storage_dependencies(&outcome).iter().all(Option::is_none), "{name}");
    }
}

#[test]
fn what_is_called_dependent_depends_on_the_transaction_before() {
    for name in ["erc20-hot", "erc20-dependent", "nft-mint"] {
        let outcome = serially(&made(name, 0.005));
        let before: Vec<_> = (0..outcome.receipts.len()).map(|index| index.checked_sub(1)).collect();
        assert_eq!(storage_dependencies(&outcome), before, "{name}");
    }
}

#[test]
fn tokens_go_where_the_workload_says() {
    for (name, amount) in [
        ("erc20-self", units(15)),
        ("erc20-distinct", units(15)),
        ("erc20-hot", units(15)),
        ("erc20-dependent", units(18)),
    ] {
        let block = made(name, 0.001);
        let moved: Vec<_> =
            serially(&block).receipts.iter().map(|receipt| transfer_of(&receipt.logs[0])).collect();
        let senders: Vec<_> = block.transactions.iter().map(|tx| tx.sender).collect();
        let recipients: Vec<_> = moved.iter().map(|(_, to, _)| *to).collect();
        for (sender, (from, _, value)) in senders.iter().zip(&moved) {
            assert_eq!((from, value), (sender, &amount), "{name}");
        }
        match name {
            "erc20-self" => assert_eq!(recipients, senders),
            "erc20-dependent" => assert_eq!(recipients[..recipients.len() - 1], senders[1..]),
            "erc20-hot" => assert!(recipients.iter().all(|to| *to == recipients[0])),
            _ => assert!(recipients.iter().all(|to| !senders.contains(to))),
        }
    }
}

#[test]
fn a_link_of_the_token_chain_fails_without_the_one_before() {
    let mut block = made("erc20-dependent", 0.0005);
    block.transactions.remove(0);
    let outcome = PlainBlock::new(&block).execute().expect("a valid block");
    assert!(outcome.receipts.iter().all(|receipt| !receipt.success));
}

#[test]
fn collectibles_are_numbered_in_the_order_of_the_block() {
    let outcome = serially(&made("nft-mint", 0.002));
    for (number, receipt) in (1u64..).zip(&outcome.receipts) {
        assert_eq!(U256::from_be_bytes(receipt.logs[0].topics()[3].0), U256::from(number));
    }
}

#[test]
fn each_swap_sells_one_token_of_its_pool_for_the_other() {
    let block = made("uniswap", 0.005);
    let receipts = serially(&block).receipts;
    let mut pools = Vec::new();
    for (tx, receipt) in block.transactions.iter().zip(&receipts) {
        let [bought, sold, swapped] = &receipt.logs[..] else { panic!("{:?}", receipt.logs) };
        let (pool, swapper, received) = transfer_of(bought);
        let (payer, paid, amount) = transfer_of(sold);
        assert_eq!((swapper, payer), (tx.sender, tx.sender));
        assert_eq!((pool, paid), (swapped.address, swapped.address));
        assert_ne!(bought.address, sold.address);
        // At a price of one the fee of 0.3 % is nearly all that is lost: the pool is deep.
        let kept = amount * U256::from(997) / U256::from(1_000);
        assert!(received <= kept && received >= kept * U256::from(999) / U256::from(1_000), "{received}");
        pools.push(pool);
    }
    pools.sort_unstable();
    pools.dedup();
    assert_eq!(pools.len(), receipts.len());
}

#[test]
fn several_swaps_of_a_pool_depend_on_each_other_and_agree_by_all_ways() {
    let (each, scale) = (4, 0.003);
    let block = made(&format!("uniswap/{each}"), scale);
    let executor = Executor::new(workers());
    let plain = agreed(&executor, "uniswap/4", &block);
    let dependencies = storage_dependencies(&serially(&block));
    let clusters = block.transactions.len().div_ceil(each);

    assert!(plain.receipts.iter().all(|receipt| receipt.success));
    // The pools take turns; the last one may have fewer people.
    assert!(dependencies[..clusters].iter().all(Option::is_none));
    assert!(dependencies[clusters..].iter().all(Option::is_some));
}

#[test]
fn a_number_of_swaps_that_is_none_is_refused() {
    let workers = workers();
    for name in ["uniswap/0", "uniswap/-1", "uniswap/1001", "uniswap/x"] {
        let text = make(name, &Making::new(&workers)).expect_err("no such number").to_string();
        assert!(text.contains("swaps in each pool asked for"), "{text}");
    }
}
