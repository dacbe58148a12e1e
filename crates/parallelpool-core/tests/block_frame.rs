//! What a block does around its transactions: system calls, requests, withdrawals, rewards.

mod support;

use parallelpool_core::block::{Ommer, Withdrawal};
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::system::{
    BEACON_ROOTS_CONTRACT, CONSOLIDATION_REQUEST_CONTRACT, HISTORY_STORAGE_CONTRACT,
    WITHDRAWAL_REQUEST_CONTRACT,
};
use support::tiny::{
    BENEFICIARY, ETHER, account, after, balance, block, chain, contract, execute_all_ways, refusal, rich,
    shared, transaction,
};

/// Stores its calldata word at slot 1 and the caller at slot 2: PUSH0 CALLDATALOAD PUSH1 1 SSTORE
/// CALLER PUSH1 2 SSTORE.
const NOTE: [u8; 9] = [0x5f, 0x35, 0x60, 1, 0x55, 0x33, 0x60, 2, 0x55];
/// Returns the byte 7: PUSH1 7 PUSH0 MSTORE8 PUSH1 1 PUSH0 RETURN.
const RETURN_SEVEN: [u8; 8] = [0x60, 7, 0x5f, 0x53, 0x60, 1, 0x5f, 0xf3];
const REVERT: [u8; 3] = [0x5f, 0x5f, 0xfd];
const STOP: [u8; 1] = [0];

fn with_request_contracts(withdrawals: &[u8], consolidations: &[u8]) -> MemoryState {
    let mut state = MemoryState::new();
    contract(&mut state, WITHDRAWAL_REQUEST_CONTRACT, 0, withdrawals);
    contract(&mut state, CONSOLIDATION_REQUEST_CONTRACT, 0, consolidations);
    state
}

#[test]
fn beacon_root_and_parent_hash_reach_their_contracts_from_the_system_address() {
    let spec = chain("Prague");
    let mut block = block(&spec);
    let root = B256::repeat_byte(0x44);
    block.parent_beacon_block_root = Some(root);
    let mut state = with_request_contracts(&STOP, &STOP);
    contract(&mut state, BEACON_ROOTS_CONTRACT, 0, &NOTE);
    contract(&mut state, HISTORY_STORAGE_CONTRACT, 0, &NOTE);
    let outcome = execute_all_ways(&spec, &block, &[], &state).expect("a valid block");
    let slot = |address, slot| outcome.changes.accounts[&address].storage[&U256::from(slot)];
    let system: U256 = Address::from_slice(&[&[0xff; 19][..], &[0xfe]].concat()).into_word().into();

    assert_eq!(slot(BEACON_ROOTS_CONTRACT, 1), U256::from_be_bytes(root.0));
    assert_eq!(slot(HISTORY_STORAGE_CONTRACT, 1), U256::from_be_bytes(block.parent_hash.0));
    assert_eq!(slot(BEACON_ROOTS_CONTRACT, 2), system);
    assert_eq!(outcome.changes.accounts.len(), 2, "neither the system address nor anybody else changes");
    assert_eq!((outcome.gas_used, outcome.requests), (0, Some(vec![])));
}

#[test]
fn beacon_root_and_parent_hash_need_no_contract_and_may_fail() {
    let spec = chain("Prague");
    let mut block = block(&spec);
    block.parent_beacon_block_root = Some(B256::repeat_byte(0x44));
    let mut state = with_request_contracts(&STOP, &STOP);
    assert!(execute_all_ways(&spec, &block, &[], &state).expect("a valid block").changes.is_empty());

    contract(&mut state, BEACON_ROOTS_CONTRACT, 0, &REVERT);
    assert!(execute_all_ways(&spec, &block, &[], &state).expect("a valid block").changes.is_empty());
}

#[test]
fn before_their_forks_the_contracts_are_not_called() {
    let spec = chain("Shanghai");
    let mut state = with_request_contracts(&RETURN_SEVEN, &RETURN_SEVEN);
    contract(&mut state, BEACON_ROOTS_CONTRACT, 0, &NOTE);
    contract(&mut state, HISTORY_STORAGE_CONTRACT, 0, &NOTE);
    let outcome = execute_all_ways(&spec, &block(&spec), &[], &state).expect("a valid block");

    assert!(outcome.changes.is_empty());
    assert_eq!(outcome.requests, None);
}

#[test]
fn requests_carry_their_type_and_empty_ones_are_left_out() {
    let spec = chain("Prague");
    let state = with_request_contracts(&STOP, &RETURN_SEVEN);
    let outcome = execute_all_ways(&spec, &block(&spec), &[], &state).expect("a valid block");

    assert_eq!(outcome.requests, Some(vec![vec![2, 7].into()]));
}

#[test]
fn a_missing_or_failing_request_contract_makes_the_block_invalid() {
    let spec = chain("Prague");
    let run = |state: &MemoryState| refusal(execute_all_ways(&spec, &block(&spec), &[], state));

    assert_eq!(
        run(&MemoryState::new()),
        format!("system contract {WITHDRAWAL_REQUEST_CONTRACT} has no code")
    );
    assert_eq!(
        run(&with_request_contracts(&STOP, &REVERT)),
        format!("system call to {CONSOLIDATION_REQUEST_CONTRACT} failed: execution reverted")
    );
}

#[test]
fn withdrawals_are_gwei_and_leave_no_empty_account() {
    let spec = chain("Shanghai");
    let mut block = block(&spec);
    let to = |address, amount| Withdrawal { index: 0, validator_index: 0, address, amount };
    block.withdrawals = Some(vec![to(account(1), 3), to(account(1), 4), to(account(2), 0)]);
    let state = MemoryState::new();
    let outcome = execute_all_ways(&spec, &block, &[], &state).expect("a valid block");

    assert_eq!(balance(&outcome, &state, account(1)), U256::from(7_000_000_000_u64));
    assert_eq!(after(&outcome, &state, account(2)), None);
}

#[test]
fn proof_of_work_pays_by_fork_and_for_ommers() {
    let ethers = |fork: &str, address: Address| {
        let spec = chain(fork);
        let mut block = block(&spec);
        block.ommers =
            vec![Ommer { beneficiary: account(1), number: 6 }, Ommer { beneficiary: account(2), number: 1 }];
        let state = MemoryState::new();
        let outcome = execute_all_ways(&spec, &block, &[], &state).expect("a valid block");
        balance(&outcome, &state, address)
    };
    for (fork, reward) in
        [("Frontier", 5), ("EIP158", 5), ("Byzantium", 3), ("Constantinople", 2), ("London", 2)]
    {
        let reward = ETHER * U256::from(reward);

        assert_eq!(ethers(fork, BENEFICIARY), reward + reward / U256::from(16), "{fork}");
        assert_eq!(ethers(fork, account(1)), reward * U256::from(7) / U256::from(8), "{fork}");
        assert_eq!(ethers(fork, account(2)), reward / U256::from(4), "{fork}");
    }
    assert_eq!(ethers("Paris", BENEFICIARY), U256::ZERO);
}

#[test]
fn at_the_dao_fork_the_drained_balances_move_before_the_first_transaction() {
    let spec = chain("HomesteadToDaoAt5");
    let mut block = block(&spec);
    let dao = Address::from_slice(&hex::decode("bb9bc244d798123fde783fcc1c72d3bb8c189413").expect("hex"));
    let refund = Address::from_slice(&hex::decode("bf4ed7b27f1d666546e30d74d50d173d20bca754").expect("hex"));
    let mut state = MemoryState::new();
    rich(&mut state, dao);
    rich(&mut state, account(1));
    for (number, moved) in [(4, false), (5, true), (6, false)] {
        block.number = number;
        let sent = shared([transaction(account(1), 0, Some(refund), 1)]);
        let outcome = execute_all_ways(&spec, &block, &sent, &state).expect("a valid block");
        let expected = if moved { (U256::ZERO, ETHER + U256::from(1)) } else { (ETHER, U256::from(1)) };

        assert_eq!((balance(&outcome, &state, dao), balance(&outcome, &state, refund)), expected, "{number}");
    }
}
