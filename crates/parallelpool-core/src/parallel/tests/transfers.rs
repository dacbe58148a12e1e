//! Plain transfers where something about them is not plain, and blocks in the memory of other blocks.

use super::*;
use crate::state::StateChanges;

/// COINBASE BALANCE PUSH0 SSTORE STOP.
const LOOK: [u8; 5] = [0x41, 0x31, 0x5f, 0x55, 0x00];
const LOOKER: Address = Address::repeat_byte(0x10);
const HALF: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

/// Far from the precompiles, which are left to the EVM.
fn account(index: u64) -> Address {
    Address::repeat_byte(0x40 + u8::try_from(index).expect("few accounts"))
}

fn state() -> MemoryState {
    let mut state = super::state();
    let rich = Account { balance: U256::from(10_u64.pow(15)), ..Account::default() };
    (0..8).for_each(|index| state.insert_account(account(index), rich, None));
    state
}

/// Executes by the EVM alone, serially, and by 1 and 2 threads several times on the same workers, and
/// compares.
fn run_all_ways(block: &BlockContext, state: &MemoryState, transactions: &[SharedTransaction]) -> JobOutcome {
    let (rules, options) = (rules(), ExecuteOptions::default());
    let job = job(&rules, block, transactions, &options);
    let by_evm = oracle(&job, state).expect("serial");
    for check_transfers in [0, 1, 2] {
        let options = ExecuteOptions { check_transfers, ..ExecuteOptions::default() };
        let serial = serial::run(&Job { options: &options, ..job }, state).expect("serial");
        assert_equal(&serial, &by_evm);
    }
    for threads in [1, 2] {
        let workers = Workers::new(threads).expect("threads");
        for recheck in [false, true, false] {
            let options = ExecuteOptions { recheck, ..ExecuteOptions::default() };
            let parallel = run(&workers, &Job { options: &options, ..job }, state).expect("parallel");
            assert_equal(&parallel, &by_evm);
        }
    }
    by_evm
}

/// How many of them take the short cut, which is the same serially and in parallel.
fn transfers_of(block: &BlockContext, state: &MemoryState, transactions: &[SharedTransaction]) -> u64 {
    let (rules, options) = (rules(), ExecuteOptions::default());
    let job = job(&rules, block, transactions, &options);
    let parallel = run(&Workers::new(1).expect("threads"), &job, state).expect("parallel");
    let serial = serial::run(&job, state).expect("serial");
    assert_eq!(serial.statistics.transfers, parallel.statistics.transfers);
    serial.statistics.transfers
}

fn after(outcome: &JobOutcome, address: Address) -> U256 {
    outcome.changes.accounts[&address].after.expect("it exists").balance
}

/// Two transfers by each of eight senders, to each other and themselves.
fn some_transfers() -> Vec<SharedTransaction> {
    let to = |index: u64| account((index * index + index / 8) % 8);
    (0..16).map(|index| transaction(account(index % 8), index / 8, to(index), index)).collect()
}

const FEE: u64 = 3 * 21_000;

#[test]
fn fees_of_a_stretch_are_there_for_who_looks_behind_it() {
    let mut state = state();
    state.insert_account(LOOKER, Account { nonce: 1, ..Account::default() }, Some(LOOK.to_vec().into()));
    let mut transactions = some_transfers();
    transactions.push(transaction(account(0), 2, LOOKER, 0));
    transactions.push(transaction(account(1), 2, account(2), 1));
    transactions.push(transaction(account(2), 2, LOOKER, 0));
    let outcome = run_all_ways(&block(), &state, &transactions);

    let gas_of_call = outcome.ledger.receipts()[16].gas_used;
    let seen = outcome.changes.accounts[&LOOKER].storage[&U256::ZERO];
    assert_eq!(seen, U256::from(17 * FEE + 3 * gas_of_call));
    assert_eq!(transfers_of(&block(), &state, &transactions), 17);
}

#[test]
fn accounts_of_transfers_are_cold_to_the_call_behind_them() {
    let mut state = state();
    // PUSH20 address BALANCE PUSH0 SSTORE STOP.
    let look_at = |address: Address| [&[0x73], &address[..], &[0x31, 0x5f, 0x55, 0x00]].concat();
    let lookers = [(1, LOOKER), (20, Address::repeat_byte(0x11))];
    for (index, looker) in lookers {
        let code = look_at(account(index)).into();
        state.insert_account(looker, Account { nonce: 1, ..Account::default() }, Some(code));
    }
    let calls = lookers.map(|(_, looker)| transaction(account(7), u64::from(looker != LOOKER), looker, 0));
    // To one that is there, and to one that comes into being.
    let mut transactions =
        vec![transaction(account(0), 0, account(1), 5), transaction(account(0), 1, account(20), 6)];
    transactions.extend(calls.clone());
    let outcome = run_all_ways(&block(), &state, &transactions);
    let alone = run_all_ways(&block(), &state, &calls);

    let gas = |outcome: &JobOutcome, index: usize| outcome.ledger.receipts()[index].gas_used;
    assert_eq!(gas(&outcome, 2), gas(&alone, 0));
    // A slot that comes to hold something in place of one that stays as it is.
    assert_eq!(gas(&outcome, 3), gas(&alone, 1) + 20_000 - 100);
    let seen = |looker: Address| outcome.changes.accounts[&looker].storage[&U256::ZERO];
    assert_eq!(lookers.map(|(_, looker)| seen(looker)), [U256::from(10_u64.pow(15) + 5), U256::from(6)]);
}

#[test]
fn the_beneficiary_sends_and_receives_within_a_stretch() {
    let block = BlockContext { beneficiary: account(3), ..block() };
    let transactions: Vec<_> = (0..4)
        .flat_map(|nonce| {
            let turns = [(3, 3), (1, 3), (3, 1), (1, 2), (2, 3)];
            turns.map(|(from, to)| (account(from), nonce, account(to)))
        })
        .scan([0; 8], |nonces, (from, _, to)| {
            let place = (0..8).position(|index| account(index as u64) == from).expect("one of them");
            nonces[place] += 1;
            Some(transaction(from, nonces[place] - 1, to, 5))
        })
        .collect();
    let outcome = run_all_ways(&block, &state(), &transactions);

    let paid = 8 * 13 * 21_000;
    let expected = 10_u64.pow(15) + 20 * FEE - paid + 4 * 5 * 2 - 4 * 5;
    assert_eq!(after(&outcome, account(3)), U256::from(expected));
    assert_eq!(transfers_of(&block, &state(), &transactions), 20);
}

#[test]
fn what_would_not_fit_the_beneficiary_is_lost_fee_by_fee() {
    let mut state = state();
    // Room for two fees and a half: the third is lost, and none after it fits.
    let rich = Account { balance: U256::MAX - U256::from(5 * FEE / 2), ..Account::default() };
    state.insert_account(BENEFICIARY, rich, None);
    let outcome = run_all_ways(&block(), &state, &some_transfers());

    assert_eq!(after(&outcome, BENEFICIARY), rich.balance + U256::from(2 * FEE));
}

#[test]
fn value_that_would_not_fit_its_recipient_is_left_to_the_evm() {
    let mut state = state();
    for (index, balance) in [(1, U256::MAX), (2, HALF), (3, HALF - U256::ONE)] {
        state.insert_account(account(index), Account { balance, ..Account::default() }, None);
    }
    let to = |index| transaction(account(0), index - 1, account(index), 7);
    let transactions = [to(1), to(2), to(3)];
    let outcome = run_all_ways(&block(), &state, &transactions);

    let success: Vec<bool> = outcome.ledger.receipts().iter().map(|receipt| receipt.success).collect();
    assert_eq!(success, [false, true, true]);
    assert_eq!(after(&outcome, account(3)), HALF + U256::from(6));
    assert_eq!(transfers_of(&block(), &state, &transactions), 1);
}

#[test]
fn empty_accounts_absent_ones_and_those_with_code_are_told_apart() {
    let mut state = state();
    let (empty, absent) = (account(20), account(21));
    state.insert_account(empty, Account::default(), None);
    let transactions = [
        transaction(account(0), 0, empty, 0),
        transaction(account(1), 0, absent, 0),
        transaction(account(2), 0, COUNTER, 0),
        transaction(account(3), 0, absent, 1),
        transaction(account(4), 0, empty, 1),
    ];
    let outcome = run_all_ways(&block(), &state, &transactions);
    let first = run_all_ways(&block(), &state, &transactions[..2]);

    assert_eq!(first.changes.accounts[&empty].after, None, "a touch removes an empty account");
    assert!(!first.changes.accounts.contains_key(&absent));
    assert_eq!((after(&outcome, empty), after(&outcome, absent)), (U256::ONE, U256::ONE));
    assert_eq!(outcome.changes.accounts[&COUNTER].storage[&U256::ZERO], U256::ONE);
    // To the absent one twice, and to what was empty once it is gone.
    assert_eq!(transfers_of(&block(), &state, &transactions), 3);
}

#[test]
fn prices_of_more_than_64_bits_are_paid_like_others() {
    let mut state = state();
    let rich = Account { balance: U256::MAX >> 2, ..Account::default() };
    (0..2).for_each(|index| state.insert_account(account(index), rich, None));
    let price = |index: u64, cap: U256, tip: U256| {
        let mut tx = (*transaction(account(index), 0, account(5), 1)).clone();
        (tx.tx.max_fee_per_gas, tx.tx.max_priority_fee_per_gas) = (cap, tip);
        SharedTransaction::new(tx)
    };
    let huge = U256::from(u64::MAX) + U256::ONE;
    let transactions = [price(0, huge, huge), price(1, U256::from(u64::MAX), U256::from(u64::MAX))];
    let outcome = run_all_ways(&block(), &state, &transactions);

    let prices = outcome.ledger.receipts().iter().map(|receipt| receipt.effective_gas_price);
    assert_eq!(prices.collect::<Vec<_>>(), [1 << 64, (1 << 64) - 1]);
    assert_eq!(transfers_of(&block(), &state, &transactions), 1);
}

#[test]
fn a_block_in_the_memory_of_another_sees_nothing_of_it() {
    let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
    let workers = Workers::new(2).expect("threads");
    let mut chains = [state(), state()];
    // The second chain has code where the first has money, and nothing where the first has a contract.
    chains[1].insert_account(
        account(5),
        Account { nonce: 9, ..Account::default() },
        Some(COUNT.to_vec().into()),
    );
    chains[1].apply(&gone(COUNTER));
    for round in 0..6_u64 {
        for state in &mut chains {
            let nonce = |index: u64| {
                state.account(&account(index)).expect("in memory").map_or(0, |account| account.nonce)
            };
            let sent: Vec<_> = [(0, account(5)), (1, COUNTER), (2, account(30 + round)), (3, account(5))]
                .map(|(from, to)| transaction(account(from), nonce(from), to, from))
                .into();
            let job = job(&rules, &block, &sent, &options);
            let serial = oracle(&job, &*state).expect("serial");
            let parallel = run(&workers, &job, &*state).expect("parallel");
            assert_equal(&parallel, &serial);
            state.apply(&serial.changes);
        }
    }
}

fn gone(address: Address) -> StateChanges {
    let change =
        crate::state::AccountChange { after: None, storage_cleared: true, storage: Default::default() };
    StateChanges { accounts: [(address, change)].into(), codes: Default::default() }
}

#[test]
fn changes_of_many_accounts_are_put_together_by_all_workers() {
    let far = |number: u64| Address::left_padding_from(&((number + 1) << 40).to_be_bytes());
    let mut state = state();
    // Every third recipient exists, and every fifth transfer moves nothing to it.
    for number in (0..10_000).step_by(3) {
        state.insert_account(far(number), Account { nonce: 1, ..Account::default() }, None);
    }
    let transactions: Vec<_> = (0..10_000)
        .map(|number| {
            transaction(
                account(number % 8),
                number / 8,
                far(number),
                if number % 5 == 0 { 0 } else { number },
            )
        })
        .collect();
    let block = BlockContext { gas_limit: 1_000_000_000, ..block() };
    let outcome = run_all_ways(&block, &state, &transactions);

    assert_eq!(outcome.changes.accounts.len(), 8 + 8_000 + 1);
}
