//! The beneficiary in every role: its fee is the one write that is not made by executions.

mod support;

use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use support::tiny::{
    BENEFICIARY, ETHER, account, after, balance, block, chain, contract, execute_all_ways, rich, shared,
    transaction,
};

const TIP: u64 = 3;
const PRICE: u64 = 13;
const TRANSFER_GAS: u64 = 21_000;
const OBSERVER: Address = Address::repeat_byte(0x0b);

/// Stores the beneficiary's balance at the slot that NUMBER of calls so far names: COINBASE BALANCE
/// PUSH1 0 SLOAD SSTORE, and counts up.
const OBSERVE: [u8; 14] = [0x41, 0x31, 0x60, 0, 0x54, 0x60, 1, 0x01, 0x80, 0x60, 0, 0x55, 0x55, 0x00];

fn state() -> MemoryState {
    let mut state = MemoryState::new();
    for index in 1..=4 {
        rich(&mut state, account(index));
    }
    contract(&mut state, OBSERVER, 0, &OBSERVE);
    state
}

#[test]
fn each_observer_sees_the_fees_of_all_before_it() {
    let spec = chain("Cancun");
    let state = state();
    let sent = shared([
        transaction(account(1), 0, Some(account(9)), 1),
        transaction(account(2), 0, Some(OBSERVER), 0),
        transaction(account(3), 0, Some(account(9)), 1),
        transaction(account(4), 0, Some(OBSERVER), 0),
    ]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let gas: Vec<u64> = outcome.receipts.iter().map(|receipt| receipt.cumulative_gas_used).collect();
    let seen = |slot: u64| outcome.changes.accounts[&OBSERVER].storage[&U256::from(slot)];

    assert!(outcome.receipts.iter().all(|receipt| receipt.success));
    assert_eq!(seen(1), U256::from(TIP * gas[0]));
    assert_eq!(seen(2), U256::from(TIP * gas[2]));
    assert_eq!(balance(&outcome, &state, BENEFICIARY), U256::from(TIP * gas[3]));
}

#[test]
fn the_beneficiary_can_send_what_it_earned_in_the_same_block() {
    let spec = chain("Cancun");
    let state = state();
    let earned = TIP * TRANSFER_GAS * 6;
    let cost = PRICE * TRANSFER_GAS;
    let fees = (0..6).map(|nonce| transaction(account(1), nonce, Some(account(9)), 1));
    let mut own = transaction(BENEFICIARY, 0, Some(account(8)), earned - cost);
    own.tx.gas_limit = TRANSFER_GAS;
    let sent = shared(fees.chain([own.clone()]));
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");

    assert_eq!(balance(&outcome, &state, account(8)), U256::from(earned - cost));
    assert_eq!(balance(&outcome, &state, BENEFICIARY), U256::from(TIP * TRANSFER_GAS));

    let too_early = shared([own]);
    let refused = execute_all_ways(&spec, &block(&spec), &too_early, &state).expect_err("no funds yet");
    assert!(refused.to_string().contains("insufficient funds for gas * price + value"), "{refused}");
}

#[test]
fn value_and_fees_add_up_where_the_beneficiary_is_the_recipient() {
    let spec = chain("Cancun");
    let state = state();
    let sent = shared([1, 2, 3].map(|index| transaction(account(index), 0, Some(BENEFICIARY), 1_000)));
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");

    assert_eq!(balance(&outcome, &state, BENEFICIARY), U256::from(3 * (1_000 + TIP * TRANSFER_GAS)));
}

#[test]
fn a_beneficiary_with_code_runs_it() {
    // Sends one wei of its own to account 9 and stores its balance: the fee of the running
    // transaction is not there yet.
    let send_and_look = [
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 1, 0x73][..],
        account(9).as_slice(),
        &[0x5a, 0xf1, 0x50, 0x47, 0x5f, 0x55, 0x00],
    ]
    .concat();
    let spec = chain("Cancun");
    let mut state = state();
    contract(&mut state, BENEFICIARY, 100, &send_and_look);
    let sent = shared([1, 2].map(|index| transaction(account(index), 0, Some(BENEFICIARY), 0)));
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let first = outcome.receipts[0].gas_used;
    let total = outcome.receipts[1].cumulative_gas_used;

    assert_eq!(
        outcome.changes.accounts[&BENEFICIARY].storage[&U256::ZERO],
        U256::from(98 + TIP * first),
        "what the second transaction saw"
    );
    assert_eq!(balance(&outcome, &state, BENEFICIARY), U256::from(98 + TIP * total));
}

#[test]
fn a_tip_of_zero_touches_the_beneficiary_and_no_more() {
    let spec = chain("Cancun");
    let mut state = state();
    let mut free = transaction(account(1), 0, Some(account(9)), 1);
    (free.tx.max_fee_per_gas, free.tx.max_priority_fee_per_gas) = (U256::from(10), U256::from(10));
    let sent = shared([free]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    assert!(!outcome.changes.accounts.contains_key(&BENEFICIARY));

    // An account that exists without being anything is cleared away by the touch (EIP-161).
    state.insert_account(BENEFICIARY, Account::default(), None);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    assert_eq!(outcome.changes.accounts.get(&BENEFICIARY).map(|change| change.after), Some(None));
}

#[test]
fn before_state_clearing_a_fee_of_zero_creates_the_beneficiary() {
    let mut spec = chain("Homestead");
    spec.pays_block_rewards = false;
    let state = state();
    let mut free = transaction(account(1), 0, Some(account(9)), 1);
    (free.tx.max_fee_per_gas, free.tx.max_priority_fee_per_gas) = (U256::ZERO, U256::ZERO);
    let outcome = execute_all_ways(&spec, &block(&spec), &shared([free]), &state).expect("a valid block");

    assert_eq!(after(&outcome, &state, BENEFICIARY), Some(Account::default()));
}

#[test]
fn the_fee_perishes_with_a_beneficiary_that_destroys_itself() {
    // PUSH20 account 9, SELFDESTRUCT.
    let destroy = [&[0x73][..], account(9).as_slice(), &[0xff]].concat();
    for (fork, survives) in [("Shanghai", false), ("Cancun", true)] {
        let spec = chain(fork);
        let mut state = state();
        contract(&mut state, BENEFICIARY, 100, &destroy);
        let fee = TIP * TRANSFER_GAS;
        let sent = shared([
            transaction(account(1), 0, Some(account(8)), 1),
            transaction(account(2), 0, Some(BENEFICIARY), 0),
        ]);
        let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
        let last = TIP * outcome.receipts[1].gas_used;

        assert_eq!(balance(&outcome, &state, account(9)), U256::from(100 + fee), "{fork}");
        let left = after(&outcome, &state, BENEFICIARY).map(|account| account.balance);
        assert_eq!(left, survives.then(|| U256::from(last)), "{fork}");
    }
}

#[test]
fn a_destroyed_beneficiary_earns_again_from_the_next_transaction() {
    let destroy = [&[0x73][..], account(9).as_slice(), &[0xff]].concat();
    let spec = chain("Shanghai");
    let mut state = state();
    contract(&mut state, BENEFICIARY, 100, &destroy);
    state.insert_storage(BENEFICIARY, U256::from(1), U256::from(5));
    let sent = shared([
        transaction(account(1), 0, Some(BENEFICIARY), 0),
        transaction(account(2), 0, Some(account(8)), 1),
    ]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let expected = Account { balance: U256::from(TIP * TRANSFER_GAS), ..Account::default() };

    assert_eq!(after(&outcome, &state, BENEFICIARY), Some(expected));
    assert!(outcome.changes.accounts[&BENEFICIARY].storage_cleared);
}

#[test]
fn the_base_fee_is_burnt_and_nothing_is_lost_besides() {
    let spec = chain("Cancun");
    let state = state();
    let sent = shared((0..4).map(|nonce| transaction(account(1), nonce, Some(account(2)), 5)));
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let total = |address| balance(&outcome, &state, address);
    let burnt = U256::from(support::tiny::BASE_FEE * outcome.gas_used);

    assert_eq!(total(account(1)) + total(account(2)) + total(BENEFICIARY) + burnt, ETHER + ETHER);
    assert!(state.account(&BENEFICIARY).expect("memory state").is_none());
}
