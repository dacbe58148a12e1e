//! Small blocks made by hand: accounts, transactions, and every way of executing them.

use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{ChainSpec, Fork};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{BlockOutcome, ExecuteError};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction, Transaction};
use parallelpool_core::workers::Workers;

use super::agreement::{Case, Task, compare_ways};
use super::ways::Ways;

pub(crate) const BENEFICIARY: Address = Address::repeat_byte(0xbe);
pub(crate) const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);
pub(crate) const BASE_FEE: u64 = 10;

/// The rules of a fork from the first block on.
pub(crate) fn chain(fork: &str) -> ChainSpec {
    ChainSpec { parallel_tx_type: Some(5), ..ChainSpec::for_network(fork).expect("a known fork") }
}

pub(crate) fn block(spec: &ChainSpec) -> BlockContext {
    let fork = spec.fork_at(7, 1_000);
    let merged = fork >= Fork::Paris;
    BlockContext {
        number: 7,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 30_000_000,
        base_fee: (fork >= Fork::London).then_some(BASE_FEE),
        difficulty: if merged { U256::ZERO } else { U256::from(131_072) },
        prev_randao: merged.then_some(B256::ZERO),
        parent_hash: B256::repeat_byte(0x0b),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        withdrawals: (fork >= Fork::Shanghai).then(Vec::new),
        ..BlockContext::default()
    }
}

pub(crate) fn account(index: u8) -> Address {
    Address::repeat_byte(index)
}

pub(crate) fn rich(state: &mut MemoryState, address: Address) {
    state.insert_account(address, Account { balance: ETHER, ..Account::default() }, None);
}

pub(crate) fn contract(state: &mut MemoryState, address: Address, balance: u64, code: &[u8]) {
    let account = Account { nonce: 1, balance: U256::from(balance), ..Account::default() };
    state.insert_account(address, account, Some(code.to_vec().into()));
}

/// A transaction that pays 13 wei per gas, 3 of them to the beneficiary; before London all of them.
pub(crate) fn transaction(
    sender: Address,
    nonce: u64,
    to: Option<Address>,
    value: u64,
) -> RecoveredTransaction {
    let tx = Transaction {
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: U256::from(13),
        max_priority_fee_per_gas: U256::from(13),
        to,
        value: U256::from(value),
        v: 27,
        r: U256::ONE,
        s: U256::ONE,
        hash: B256::left_padding_from(&[sender[0], u8::try_from(nonce).unwrap_or(u8::MAX)]),
        raw: vec![0xf8; 110].into(),
        ..Transaction::default()
    };
    RecoveredTransaction { tx, sender }
}

pub(crate) fn executor() -> Executor {
    Executor::new(Arc::new(Workers::new(2).expect("workers")))
}

/// Executes in every way and demands one result of them.
pub(crate) fn execute_all_ways(
    spec: &ChainSpec,
    block: &BlockContext,
    transactions: &[SharedTransaction],
    state: &MemoryState,
) -> Result<BlockOutcome, ExecuteError> {
    let case = Case { spec, block, transactions, state, task: Task::Import, seed: 7, pauses: true };
    let mut built = compare_ways(&executor(), &case, Ways::All.of(case.seed)).agreed()?;
    built.outcome.transaction_changes.clear();
    Ok(built.outcome)
}

/// The account after the block.
pub(crate) fn after(outcome: &BlockOutcome, state: &MemoryState, address: Address) -> Option<Account> {
    match outcome.changes.accounts.get(&address) {
        Some(change) => change.after,
        None => state.account(&address).expect("memory state"),
    }
}

pub(crate) fn balance(outcome: &BlockOutcome, state: &MemoryState, address: Address) -> U256 {
    after(outcome, state, address).map_or(U256::ZERO, |account| account.balance)
}

pub(crate) fn shared(transactions: impl IntoIterator<Item = RecoveredTransaction>) -> Vec<SharedTransaction> {
    transactions.into_iter().map(Arc::new).collect()
}

/// The reason of a refused block.
pub(crate) fn refusal(outcome: Result<BlockOutcome, ExecuteError>) -> String {
    match outcome {
        Err(ExecuteError::Core(CoreError::BlockRefused { reason, .. })) => reason,
        other => panic!("not refused: {other:?}"),
    }
}
