//! The protocol on small blocks, on real threads and on a scheduler that the test drives.
//!
//! With the feature `shuttle` only those on simulated threads can run, see `parallel/sync`.
#![cfg_attr(feature = "shuttle", allow(dead_code, unused_imports))]

#[cfg(not(feature = "shuttle"))]
mod faults;
#[cfg(not(feature = "shuttle"))]
mod injected;
#[cfg(feature = "shuttle")]
mod interleavings;
#[cfg(not(feature = "shuttle"))]
mod known;
#[cfg(not(feature = "shuttle"))]
mod lifecycle;
#[cfg(not(feature = "shuttle"))]
mod memory;
#[cfg(not(feature = "shuttle"))]
mod only_transfers;
#[cfg(not(feature = "shuttle"))]
mod recheck;
#[cfg(not(feature = "shuttle"))]
mod schedule;
#[cfg(not(feature = "shuttle"))]
mod stepper;
#[cfg(not(feature = "shuttle"))]
mod transfers;
#[path = "../../../tests/random_blocks/world/mod.rs"]
mod world;

use std::sync::Arc;

use super::*;
use crate::block::BlockContext;
use crate::chainspec::{Fork, Rules};
use crate::execution::{BuildLimits, ExecuteOptions, Interrupt, Techniques};
use crate::primitives::{Address, B256, U256};
use crate::record::pre_execute;
use crate::serial::{self, Caller};
use crate::state::Account;
use crate::state::memory::MemoryState;
use crate::tx::{RecoveredTransaction, SharedTransaction, Transaction};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
pub(super) const COUNTER: Address = Address::repeat_byte(0xc0);
/// Adds one to slot 0: PUSH0 SLOAD PUSH1 1 ADD PUSH0 SSTORE STOP.
const COUNT: [u8; 8] = [0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00];

pub(super) fn rules() -> Rules {
    let fork = Fork::Cancun;
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: 1,
        blobs: None,
        parallel_tx_type: None,
        amsterdam: Default::default(),
    }
}

pub(super) fn block() -> BlockContext {
    BlockContext {
        number: 7,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 30_000_000,
        base_fee: Some(10),
        prev_randao: Some(B256::ZERO),
        ..BlockContext::default()
    }
}

pub(super) fn account(index: u64) -> Address {
    Address::left_padding_from(&(0x1000 + index).to_be_bytes())
}

pub(super) fn state() -> MemoryState {
    let mut state = MemoryState::new();
    for index in 0..8 {
        let balance = U256::from(10_u64.pow(15));
        state.insert_account(account(index), Account { balance, ..Account::default() }, None);
    }
    state.insert_account(COUNTER, Account { nonce: 1, ..Account::default() }, Some(COUNT.to_vec().into()));
    state
}

pub(super) fn transaction(sender: Address, nonce: u64, to: Address, value: u64) -> SharedTransaction {
    let tx = Transaction {
        tx_type: 2,
        chain_id: Some(1),
        nonce,
        gas_limit: 60_000,
        max_fee_per_gas: U256::from(100),
        max_priority_fee_per_gas: U256::from(3),
        to: Some(to),
        value: U256::from(value),
        r: U256::ONE,
        s: U256::ONE,
        ..Transaction::default()
    };
    SharedTransaction::new(RecoveredTransaction { tx, sender })
}

/// Eight senders in turn, each calling the counter: every transaction depends on the one before.
pub(super) fn dependent_chain(length: u64) -> Vec<SharedTransaction> {
    (0..length).map(|index| transaction(account(index % 8), index / 8, COUNTER, 0)).collect()
}

pub(super) fn job<'a>(
    rules: &'a Rules,
    block: &'a BlockContext,
    transactions: &'a [SharedTransaction],
    options: &'a ExecuteOptions,
) -> Job<'a> {
    Job { rules, block, transactions, caller: Caller::Import, options }
}

/// Serial execution without short cuts.
fn oracle(job: &Job<'_>, state: &dyn StateView) -> Result<JobOutcome, ExecuteError> {
    let options = ExecuteOptions { techniques: Techniques::NONE, ..job.options.clone() };
    let outcome = serial::run(&Job { options: &options, ..*job }, state)?;
    assert_eq!(outcome.statistics.transfers, 0);
    Ok(outcome)
}

fn assert_equal(parallel: &JobOutcome, serial: &JobOutcome) {
    assert_eq!(parallel.ledger.receipts(), serial.ledger.receipts());
    assert_eq!(parallel.included, serial.included);
    assert_eq!(parallel.left_out, serial.left_out);
    assert_eq!(parallel.changes, serial.changes);
    assert_eq!(parallel.transaction_changes, serial.transaction_changes);
}

#[test]
fn a_dependent_chain_gives_the_serial_result_at_any_thread_count() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(300));
    for threads in [1, 2, 3, 8] {
        let options =
            ExecuteOptions { recheck: true, keep_transaction_changes: true, ..ExecuteOptions::default() };
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect("serial");
        let workers = Workers::new(threads).expect("threads");
        let parallel = run(&workers, &job, &state).expect("parallel");

        assert_equal(&parallel, &serial);
        assert_eq!(parallel.statistics.executions_per_transaction.len(), 300);
    }
}

#[test]
fn records_that_do_not_hold_change_nothing_at_any_thread_count() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(400));
    // Alone each of them is the first to count.
    let record = |tx| pre_execute(tx, &state, &rules, &block).expect("memory never fails").map(Arc::new);
    let records: Vec<_> = transactions.iter().map(|tx| record(tx)).collect();
    assert!(records.iter().all(Option::is_some));
    for threads in [1, 2, 8] {
        let options = ExecuteOptions { records: records.clone(), ..ExecuteOptions::default() };
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect("serial");
        let parallel = run(&Workers::new(threads).expect("threads"), &job, &state).expect("parallel");

        assert_equal(&parallel, &serial);
        assert_eq!(parallel.statistics.reused, 1, "only the first finds what its record rests on");
    }
}

#[test]
fn an_empty_block_is_executed() {
    let (rules, block, state, options) = (rules(), block(), state(), ExecuteOptions::default());
    let outcome = run(&Workers::new(2).expect("threads"), &job(&rules, &block, &[], &options), &state);
    let outcome = outcome.expect("parallel");

    assert!(outcome.included.is_empty() && outcome.changes.is_empty());
    assert!(outcome.statistics.parallel);
}

#[test]
fn an_invalid_transaction_ends_an_import_with_its_index_at_any_thread_count() {
    let (rules, block, state, options) = (rules(), block(), state(), ExecuteOptions::default());
    let mut transactions = dependent_chain(100);
    transactions[70] = transaction(account(6), 40, COUNTER, 0);
    for threads in [1, 2, 8] {
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect_err("invalid").to_string();
        let parallel = run(&Workers::new(threads).expect("threads"), &job, &state).expect_err("invalid");

        assert_eq!(parallel.to_string(), serial);
        assert!(matches!(parallel, ExecuteError::Transaction { index: 70, .. }), "{serial}");
    }
}

#[test]
fn a_dependent_chain_wastes_a_bounded_part_of_the_work() {
    let (rules, block, state, mut transactions) = (rules(), block(), state(), dependent_chain(2_000));
    // Without it, the block would be seen to be a chain before anybody ran ahead.
    transactions[0] = transaction(account(0), 0, account(7), 0);
    let options = ExecuteOptions::default();
    let block = BlockContext { gas_limit: 1_000_000_000, ..block };
    for threads in [1, 2, 8] {
        let job = job(&rules, &block, &transactions, &options);
        let outcome = run(&Workers::new(threads).expect("threads"), &job, &state).expect("parallel");
        let executions = outcome.statistics.executions;

        // The window allows half at most for long; the rest is for the samples until it is closed.
        assert!(executions <= 3_200, "{executions} executions of 2,000 transactions on {threads} threads");
        assert!(threads > 1 || executions == 2_000, "one worker has nobody to speculate for");
    }
}

#[test]
fn a_long_chain_of_one_contract_is_never_run_ahead_of() {
    let (rules, state, transactions, options) =
        (rules(), state(), dependent_chain(2_000), ExecuteOptions::default());
    let block = BlockContext { gas_limit: 1_000_000_000, ..block() };
    for threads in [1, 2, 3, 8] {
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect("serial");
        let parallel = run(&Workers::new(threads).expect("threads"), &job, &state).expect("parallel");

        assert_equal(&parallel, &serial);
        assert_eq!((parallel.statistics.executions, parallel.statistics.conflicts), (2_000, 0));
        assert_eq!((parallel.statistics.parallel, parallel.statistics.threads), (true, threads));
    }
}

#[test]
fn a_long_chain_with_invalid_transactions_is_refused_or_built_as_in_order() {
    let (rules, state, options) = (rules(), state(), ExecuteOptions::default());
    let workers = Workers::new(2).expect("threads");
    let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
    // The block is full after some 200, or never.
    for (gas_limit, wrong, end) in [
        (1 << 30, 5, 2_000),
        (1 << 30, 40, 2_000),
        (1 << 30, 40, 600),
        (1 << 30, 700, 600),
        (1 << 23, 9, 600),
    ] {
        let block = BlockContext { gas_limit, ..block() };
        let mut transactions = dependent_chain(2_000);
        for (index, tx) in (0..).zip(&mut transactions).skip(end) {
            *tx = transaction(account(index % 8), index / 8, account((index + 1) % 8), 1);
        }
        // Nobody has the nonce of the one that is replaced any more: its sender's others are left out too.
        transactions[wrong] = transaction(account(6), 4_000, COUNTER, 0);
        let import = job(&rules, &block, &transactions, &options);
        let refused = oracle(&import, &state).expect_err("invalid").to_string();
        assert_eq!(run(&workers, &import, &state).expect_err("invalid").to_string(), refused);
        let build = Job { caller: Caller::Build(&limits), ..import };
        let serial = oracle(&build, &state).expect("serial");
        assert!(serial.left_out.len() > 100, "{} of 2,000 left out", serial.left_out.len());
        assert_equal(&run(&workers, &build, &state).expect("parallel"), &serial);
    }
}

#[test]
fn a_long_chain_ends_when_it_is_interrupted() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(2_000));
    let interrupt = Interrupt { deadline: Some(Instant::now()), ..Interrupt::default() };
    let options = ExecuteOptions { interrupt, ..ExecuteOptions::default() };
    let workers = Workers::new(2).expect("threads");
    let import = job(&rules, &block, &transactions, &options);
    let interrupted = run(&workers, &import, &state).expect_err("interrupted");
    let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
    let built = run(&workers, &Job { caller: Caller::Build(&limits), ..import }, &state).expect("parallel");

    assert!(matches!(interrupted, ExecuteError::Core(CoreError::State(StateError::Interrupted))));
    assert!(built.included.is_empty() && built.left_out.is_empty() && built.changes.is_empty());
}

#[test]
fn what_follows_a_long_chain_of_one_contract_gives_the_serial_result() {
    let (rules, state, options) = (rules(), state(), ExecuteOptions::default());
    let block = BlockContext { gas_limit: 1_000_000_000, ..block() };
    for (length, threads) in [(16, 2), (17, 3), (100, 2), (1_100, 8)] {
        let mut transactions = dependent_chain(2_000);
        for (index, tx) in (0..).zip(&mut transactions).skip(length) {
            *tx = transaction(account(index % 8), index / 8, account((index + 1) % 8), 1);
        }
        let job = job(&rules, &block, &transactions, &options);
        let serial = oracle(&job, &state).expect("serial");
        let parallel = run(&Workers::new(threads).expect("threads"), &job, &state).expect("parallel");

        assert_equal(&parallel, &serial);
    }
}
