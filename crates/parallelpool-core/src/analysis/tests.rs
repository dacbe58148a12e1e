//! Blocks made by hand whose dependencies are known.

use super::*;
use crate::access::{Field, Location};
use crate::primitives::{Address, B256, U256};
use crate::state::Account;
use crate::state::memory::MemoryState;
use crate::tx::{RecoveredTransaction, Transaction};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const CONTRACT: Address = Address::repeat_byte(0xc0);
const NOBODY: Address = Address::repeat_byte(0x0e);
/// What each account that `state` makes has: some transactions' fees and little more.
const FUNDS: u64 = 1_000_000_000;
/// Adds one to slot 0: PUSH0 SLOAD PUSH1 1 ADD PUSH0 SSTORE STOP.
const COUNT: &[u8] = &[0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00];
/// Stores the balance of the account whose address is called with: PUSH0 CALLDATALOAD BALANCE PUSH0 SSTORE.
const LOOK: &[u8] = &[0x5f, 0x35, 0x31, 0x5f, 0x55, 0x00];
/// Sends one wei to the account whose address is called with.
const PAY: &[u8] = &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 0x01, 0x5f, 0x35, 0x5a, 0xf1, 0x00];
/// Creates an empty contract: PUSH0 PUSH0 PUSH0 CREATE STOP.
const CREATE: &[u8] = &[0x5f, 0x5f, 0x5f, 0xf0, 0x00];

fn account(index: u64) -> Address {
    Address::left_padding_from(&(0x1000 + index).to_be_bytes())
}

/// Ten accounts with funds, and a contract with some wei.
fn state(code: &[u8]) -> MemoryState {
    let mut state = MemoryState::new();
    for index in 0..10 {
        let balance = U256::from(FUNDS);
        state.insert_account(account(index), Account { balance, ..Account::default() }, None);
    }
    let contract = Account { nonce: 1, balance: U256::from(5), ..Account::default() };
    state.insert_account(CONTRACT, contract, Some(code.to_vec().into()));
    state
}

/// Tips are 3 wei per gas; 10 more are burnt.
fn transaction(
    sender: Address,
    nonce: u64,
    to: Option<Address>,
    value: u64,
    about: Address,
) -> SharedTransaction {
    let tx = Transaction {
        tx_type: 2,
        chain_id: Some(1),
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: U256::from(13),
        max_priority_fee_per_gas: U256::from(3),
        to,
        value: U256::from(value),
        data: if about.is_zero() { Default::default() } else { about.into_word().to_vec().into() },
        r: U256::ONE,
        s: U256::ONE,
        ..Transaction::default()
    };
    SharedTransaction::new(RecoveredTransaction { tx, sender })
}

fn transfer(sender: u64, nonce: u64, to: Address, value: u64) -> SharedTransaction {
    transaction(account(sender), nonce, Some(to), value, Address::ZERO)
}

fn call(sender: u64, about: Address) -> SharedTransaction {
    transaction(account(sender), 0, Some(CONTRACT), 0, about)
}

fn analyse(state: &MemoryState, transactions: &[SharedTransaction]) -> Result<Analysis, ExecuteError> {
    let block = BlockContext {
        number: 7,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 30_000_000,
        base_fee: Some(10),
        prev_randao: Some(B256::ZERO),
        ..BlockContext::default()
    };
    let rules = ChainSpec::for_network("Cancun").expect("a known fork").rules_in(&block);
    Analysis::of_transactions(&rules, &block, transactions, state)
}

fn at(address: Address, field: Field) -> Location {
    Location { address, field }
}

/// Of each model, for each transaction, what it depends on and by what.
fn dependencies(state: &MemoryState, transactions: &[SharedTransaction]) -> [Vec<Vec<(u32, Location)>>; 3] {
    let analysis = analyse(state, transactions).expect("a valid block");
    let plain = |dependency: &Dependency| (dependency.on, dependency.location);
    analysis
        .models
        .map(|model| model.dependencies.iter().map(|own| own.iter().map(plain).collect()).collect())
}

/// Chain lengths of the three models.
fn chains(analysis: &Analysis) -> [usize; 3] {
    std::array::from_fn(|model| analysis.models[model].longest_chain.links.len())
}

#[test]
fn transfers_between_strangers_depend_on_nothing() {
    let transactions: Vec<_> = (0..10).map(|index| transfer(index, 0, account(100 + index), 1)).collect();
    let analysis = analyse(&state(COUNT), &transactions).expect("a valid block");

    for model in &analysis.models {
        assert_eq!((model.independent, model.longest_chain.links.len()), (10, 1));
        assert_eq!((model.by_gas.available(), model.by_gas.total), (10.0, 210_000));
        let limits = model.by_gas.limits.map(|limit| (limit.workers, limit.bound, limit.schedule));
        assert_eq!(limits, [(2, 2.0, 2.0), (8, 8.0, 5.0), (32, 10.0, 10.0)]);
        assert!(model.contended.is_empty());
    }
}

#[test]
fn transfers_of_one_sender_are_a_chain_until_nonces_are_predicted() {
    let transactions: Vec<_> = (0..5).map(|nonce| transfer(0, nonce, account(100 + nonce), 1)).collect();
    let analysis = analyse(&state(COUNT), &transactions).expect("a valid block");
    let commutative = analysis.under(Model::CommutativeBalances);

    assert_eq!(chains(&analysis), [5, 5, 1]);
    assert_eq!(commutative.longest_chain.links[1].location, Some(at(account(0), Field::Nonce)));
    assert_eq!(commutative.hints(), [vec![], vec![0], vec![1], vec![2], vec![3]]);
    assert_eq!(analysis.under(Model::Plain).hints(), commutative.hints());
}

#[test]
fn a_hot_recipient_is_a_chain_until_balances_commute() {
    let transactions: Vec<_> = (0..10).map(|sender| transfer(sender, 0, NOBODY, 1)).collect();
    let analysis = analyse(&state(COUNT), &transactions).expect("a valid block");
    let plain = analysis.under(Model::Plain);

    assert_eq!(chains(&analysis), [10, 1, 1]);
    let hot = Contention {
        location: at(NOBODY, Field::Balance),
        readers: 10,
        writers: 10,
        dependencies: 9,
        gas: 9 * 21_000,
    };
    assert_eq!(plain.contended, [hot]);
    assert_eq!(plain.by_gas.limits.map(|limit| (limit.bound, limit.schedule)), [(1.0, 1.0); 3]);
}

#[test]
fn a_counter_is_a_chain_in_every_model() {
    let transactions: Vec<_> = (0..6).map(|sender| call(sender, Address::ZERO)).collect();
    let slot = at(CONTRACT, Field::Storage(U256::ZERO));
    for model in dependencies(&state(COUNT), &transactions) {
        let expected: Vec<_> =
            (0..6_u32).map(|index| index.checked_sub(1).map(|on| (on, slot)).into_iter().collect()).collect();
        assert_eq!(model, expected as Vec<Vec<(u32, Location)>>);
    }
}

#[test]
fn funds_that_arrive_in_the_block_are_waited_for() {
    let poor = account(50);
    let transactions = [
        transfer(1, 0, poor, 1),
        transfer(2, 0, poor, 100_000_000),
        transaction(poor, 0, Some(NOBODY), 5, Address::ZERO),
        transaction(poor, 1, Some(NOBODY), 5, Address::ZERO),
    ];
    let [_, commutative, predicted] = dependencies(&state(COUNT), &transactions);
    let (balance, nonce) = (at(poor, Field::Balance), at(poor, Field::Nonce));

    // Not for each other: both debits are covered by what came before them.
    assert_eq!(predicted[2..], [[(0, balance), (1, balance)], [(0, balance), (1, balance)]]);
    assert_eq!(commutative[2], [(0, balance), (1, balance)]);
    assert_eq!(commutative[3], [(0, balance), (1, balance), (2, nonce)]);
}

#[test]
fn an_observed_balance_waits_for_all_changes_and_later_ones_for_none() {
    let transactions =
        [transfer(0, 0, NOBODY, 1), transfer(1, 0, NOBODY, 1), call(2, NOBODY), transfer(3, 0, NOBODY, 1)];
    let [_, commutative, predicted] = dependencies(&state(LOOK), &transactions);
    let balance = at(NOBODY, Field::Balance);

    assert_eq!(predicted, [vec![], vec![], vec![(0, balance), (1, balance)], vec![]]);
    assert_eq!(commutative, predicted);
}

#[test]
fn who_looks_at_the_beneficiary_waits_for_every_fee_in_every_model() {
    let transactions =
        [transfer(0, 0, account(100), 1), transfer(1, 0, account(101), 1), call(2, BENEFICIARY)];
    for model in dependencies(&state(LOOK), &transactions) {
        let balance = at(BENEFICIARY, Field::Balance);
        assert_eq!(model, [vec![], vec![], vec![(0, balance), (1, balance)]]);
    }
}

#[test]
fn observed_emptiness_waits_for_a_credit_unless_there_is_a_nonce() {
    let with_nonce = account(60);
    let mut state = state(PAY);
    state.insert_account(with_nonce, Account { nonce: 1, ..Account::default() }, None);
    let transactions =
        [transfer(0, 0, NOBODY, 1), transfer(1, 0, with_nonce, 1), call(2, NOBODY), call(3, with_nonce)];
    let [_, _, predicted] = dependencies(&state, &transactions);

    assert_eq!(predicted, [vec![], vec![], vec![(0, at(NOBODY, Field::Balance))], vec![]]);
}

#[test]
fn a_contracts_outflow_commutes_while_its_balance_covers_all() {
    let with_nonce = account(60);
    let mut state = state(PAY);
    state.insert_account(with_nonce, Account { nonce: 1, ..Account::default() }, None);
    // The contract has 5 wei and sends one each time; the sixth is covered by the credit alone.
    let mut transactions: Vec<_> = (0..5).map(|sender| call(sender, with_nonce)).collect();
    transactions.push(transfer(5, 0, CONTRACT, 1));
    transactions[5] = transaction(account(5), 0, Some(CONTRACT), 2, with_nonce);
    transactions.push(call(6, with_nonce));
    let [_, _, predicted] = dependencies(&state, &transactions);

    let balance = at(CONTRACT, Field::Balance);
    // The sixth brings 2 wei and sends one of them: its own credit covers what the base does not,
    // so the exact balance matters.
    let all_before: Vec<_> = (0..5).map(|on| (on, balance)).collect();
    assert_eq!(predicted[..5], vec![vec![]; 5]);
    assert_eq!(predicted[5], all_before);
    assert_eq!(predicted[6], [(5, balance)]);
}

#[test]
fn a_deployed_contract_is_called_after_its_deployment() {
    // PUSH1 1 PUSH0 MSTORE8 PUSH1 1 PUSH0 RETURN: a contract of the one byte 01.
    let init = [0x60, 0x01, 0x5f, 0x53, 0x60, 0x01, 0x5f, 0xf3];
    let mut deployment = (*transaction(account(0), 0, None, 0, Address::ZERO)).clone();
    deployment.tx.data = init.to_vec().into();
    let contract = account(0).create(0);
    let transactions = [SharedTransaction::new(deployment), transfer(1, 0, contract, 0)];
    for model in dependencies(&state(COUNT), &transactions) {
        assert_eq!(model, [vec![], vec![(0, at(contract, Field::Code))]]);
    }
}

#[test]
fn nonces_of_creating_contracts_are_not_predicted() {
    let transactions = [call(0, Address::ZERO), call(1, Address::ZERO), call(2, Address::ZERO)];
    let [_, _, predicted] = dependencies(&state(CREATE), &transactions);

    let nonce = at(CONTRACT, Field::Nonce);
    assert_eq!(predicted, [vec![], vec![(0, nonce)], vec![(1, nonce)]]);
}

#[test]
fn two_chains_side_by_side_halve_the_time() {
    let other = Address::repeat_byte(0xc1);
    let mut state = state(COUNT);
    state.insert_account(other, Account { nonce: 1, ..Account::default() }, Some(COUNT.to_vec().into()));
    let transactions: Vec<_> = (0..8)
        .map(|sender| {
            let to = if sender % 2 == 0 { CONTRACT } else { other };
            transaction(account(sender), 0, Some(to), 0, Address::ZERO)
        })
        .collect();
    let analysis = analyse(&state, &transactions).expect("a valid block");
    let model = analysis.under(Model::PredictedNonces);

    assert_eq!((model.independent, model.longest_chain.links.len()), (2, 4));
    assert_eq!(model.by_gas.available(), 2.0);
    assert_eq!(model.by_gas.limits.map(|limit| (limit.bound, limit.schedule)), [(2.0, 2.0); 3]);
    assert_eq!(model.contended.iter().map(|at| at.location.address).collect::<Vec<_>>(), [CONTRACT, other]);
    assert_eq!(analysis.gas(), model.by_gas.total);
}

#[test]
fn an_invalid_transaction_is_named_by_its_index() {
    let transactions = [transfer(0, 0, NOBODY, 1), transfer(1, 1, NOBODY, 1)];
    let refused = analyse(&state(COUNT), &transactions).expect_err("the second has a nonce too high");

    assert!(refused.to_string().starts_with("could not apply tx 1 ["), "{refused}");
}

#[test]
fn an_empty_block_has_no_chain() {
    let analysis = analyse(&state(COUNT), &[]).expect("a valid block");
    let model = analysis.under(Model::Plain);

    assert_eq!((model.longest_chain.links.len(), model.independent, model.by_gas.available()), (0, 0, 1.0));
}
