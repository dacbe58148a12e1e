//! Which balances, emptiness and environment an execution is known to have seen.

use revm::bytecode::opcode::*;

use super::*;
use crate::tx::Authorization;

const OTHER: Address = Address::repeat_byte(0x07);

/// PUSH20 address.
fn push_address(address: Address) -> Vec<u8> {
    [&[PUSH20], address.as_slice()].concat()
}

/// CALL with all gas: value, no input, no output.
fn call(recipient: Address, value: u8) -> Vec<u8> {
    let arguments = [PUSH0, PUSH0, PUSH0, PUSH0, PUSH1, value];
    [&arguments[..], &push_address(recipient), &[GAS, CALL, POP]].concat()
}

fn run(code: &[u8], balance: u64) -> (TxResult, Observations) {
    let mut state = state(&[]);
    let account = Account { nonce: 1, balance: U256::from(balance), ..Account::default() };
    state.insert_account(CONTRACT, account, Some(code.to_vec().into()));
    let execution = execute(&state, Fork::Prague, &transaction(Some(CONTRACT), 0, &[]));
    (execution.outcome.expect("valid"), execution.observed)
}

fn observed(code: &[u8], balance: u64) -> Observations {
    run(code, balance).1
}

#[test]
fn reading_a_balance_is_observed_and_moving_value_is_not() {
    assert_eq!(observed(&[&push_address(OTHER)[..], &[BALANCE]].concat(), 0).balances, [OTHER]);
    assert_eq!(observed(&[SELFBALANCE], 0).balances, [CONTRACT]);
    assert!(observed(&call(OTHER, 4), 10).balances.is_empty());
    assert_eq!(
        execute(&state(&[]), Fork::Shanghai, &transaction(Some(OTHER), 1, &[])).observed,
        Observations::default()
    );
}

#[test]
fn a_call_that_fails_for_want_of_funds_observes_the_balance() {
    let seen = observed(&call(OTHER, 4), 3);

    assert_eq!(seen.balances, [CONTRACT]);
    assert_eq!(seen.outflow, [(CONTRACT, U256::from(4))]);
}

#[test]
fn a_call_that_would_overflow_its_recipient_observes_it_and_leaves_the_value_with_the_sender() {
    // Stores its own balance after the call that failed, for which it had kept gas back.
    let arguments = [PUSH0, PUSH0, PUSH0, PUSH0, PUSH1, 4];
    let rest = [PUSH2, 0x75, 0x30, CALL, POP, SELFBALANCE, PUSH0, SSTORE];
    let code = [&arguments[..], &push_address(OTHER), &rest].concat();
    let mut state = state(&[]);
    let account = Account { nonce: 1, balance: U256::from(10), ..Account::default() };
    state.insert_account(CONTRACT, account, Some(code.into()));
    state.insert_account(OTHER, Account { balance: U256::MAX, ..Account::default() }, None);
    let execution = execute(&state, Fork::Prague, &transaction(Some(CONTRACT), 0, &[]));
    let write = execution.writes.iter().find(|write| write.address == CONTRACT).expect("a slot was set");

    assert!(execution.observed.balances.contains(&OTHER));
    assert_eq!(write.storage, [(U256::ZERO, U256::from(10))]);
    assert_eq!(write.account, None, "its balance is what it was");

    let direct = execute(&state, Fork::Prague, &transaction(Some(OTHER), 4, &[]));
    let sender = direct.writes.iter().find(|write| write.address == SENDER).expect("it paid the fee");
    let result = direct.outcome.expect("valid");
    let fee = U256::from(13 * result.gas_used);
    assert!(!result.success);
    assert_eq!(sender.account.flatten().map(|account| account.balance), Some(ETHER - fee));
}

#[test]
fn a_creation_that_fails_for_want_of_funds_observes_the_balance() {
    // Value 4, no init code. From Amsterdam on the opcode itself compares, so Prague is asked.
    let create = [PUSH0, PUSH0, PUSH1, 4, CREATE];
    let mut state = state(&[]);
    let account = Account { nonce: 1, balance: U256::from(3), ..Account::default() };
    state.insert_account(CONTRACT, account, Some(create.to_vec().into()));
    for fork in [Fork::Prague, Fork::Amsterdam] {
        let seen = execute(&state, fork, &transaction(Some(CONTRACT), 0, &[])).observed;

        assert_eq!(seen.balances, [CONTRACT], "{fork:?}");
    }
}

#[test]
fn outflow_is_the_sum_of_all_attempts_those_reverted_included() {
    // Two calls of 4 from a vault of 10, then everything reverts.
    let code = [&call(OTHER, 4)[..], &call(OTHER, 4), &[PUSH0, PUSH0, REVERT]].concat();
    let (result, seen) = run(&code, 10);

    assert!(!result.success);
    assert_eq!(seen.outflow, [(CONTRACT, U256::from(8))]);
    assert!(seen.balances.is_empty());
}

#[test]
fn three_withdrawals_of_four_from_ten_show_an_outflow_of_four_each() {
    let mut vault = state(&[]);
    let account = Account { nonce: 1, balance: U256::from(10), ..Account::default() };
    vault.insert_account(CONTRACT, account, Some(call(OTHER, 4).into()));
    let alone = execute(&vault, Fork::Shanghai, &transaction(Some(CONTRACT), 0, &[])).observed;
    let account = Account { balance: U256::from(2), ..account };
    vault.insert_account(CONTRACT, account, Some(call(OTHER, 4).into()));
    let third = execute(&vault, Fork::Shanghai, &transaction(Some(CONTRACT), 0, &[])).observed;

    assert_eq!((alone.outflow, alone.balances), (vec![(CONTRACT, U256::from(4))], vec![]));
    assert_eq!((third.outflow, third.balances), (vec![(CONTRACT, U256::from(4))], vec![CONTRACT]));
}

#[test]
fn emptiness_is_observed_where_it_decides_gas_or_a_result() {
    assert_eq!(observed(&call(OTHER, 4), 10).emptiness, [OTHER]);
    assert!(observed(&call(OTHER, 0), 10).emptiness.is_empty());
    assert_eq!(observed(&[&push_address(OTHER)[..], &[EXTCODEHASH]].concat(), 0).emptiness, [OTHER]);
    assert!(observed(&[&push_address(OTHER)[..], &[EXTCODESIZE]].concat(), 0).emptiness.is_empty());
    let destroyed = observed(&[&push_address(OTHER)[..], &[SELFDESTRUCT]].concat(), 1);
    assert_eq!((destroyed.emptiness, destroyed.balances), (vec![OTHER], vec![CONTRACT]));
}

#[test]
fn before_state_clearing_every_call_observes_whether_its_recipient_exists() {
    // PUSH0 is not known yet.
    let mut code = vec![PUSH1, 0, PUSH1, 0, PUSH1, 0, PUSH1, 0, PUSH1, 0];
    code.extend([&push_address(OTHER)[..], &[PUSH2, 0x10, 0, CALL]].concat());
    let mut tx = transaction(Some(CONTRACT), 0, &[]);
    (tx.tx.tx_type, tx.tx.chain_id) = (0, None);
    let seen = execute(&state(&code), Fork::Homestead, &tx).observed;

    assert_eq!(seen.emptiness, [OTHER]);
}

#[test]
fn a_value_transfer_observes_its_recipient_where_creating_it_costs_gas() {
    let tx = transaction(Some(OTHER), 1, &[]);

    assert!(execute(&state(&[]), Fork::Osaka, &tx).observed.emptiness.is_empty());
    assert_eq!(execute(&state(&[]), Fork::Amsterdam, &tx).observed.emptiness, [OTHER]);
}

#[test]
fn a_creation_observes_its_destination_where_creating_it_costs_gas() {
    let creations: [(&[u8], Address); 2] = [
        (&[PUSH0, PUSH0, PUSH0, CREATE], CONTRACT.create(1)),
        (&[PUSH0, PUSH0, PUSH0, PUSH0, CREATE2], CONTRACT.create2_from_code([0; 32], [])),
    ];
    for (code, destination) in creations {
        // With little gas the charge for the destination fails, which is as telling.
        for gas_limit in [60_000, 1_000_000] {
            let mut tx = transaction(Some(CONTRACT), 0, &[]);
            tx.tx.gas_limit = gas_limit;
            let amsterdam = execute(&state(code), Fork::Amsterdam, &tx);

            assert_eq!(amsterdam.outcome.expect("valid").success, gas_limit == 1_000_000);
            assert_eq!(amsterdam.observed.emptiness, [destination]);
            assert!(execute(&state(code), Fork::Osaka, &tx).observed.emptiness.is_empty());
        }
    }
}

#[test]
fn each_environment_opcode_sets_its_own_bit() {
    let cases = [
        (TIMESTAMP, environment_reads::TIMESTAMP),
        (NUMBER, environment_reads::NUMBER),
        (DIFFICULTY, environment_reads::PREVRANDAO),
        (COINBASE, environment_reads::COINBASE),
        (GASLIMIT, environment_reads::GASLIMIT),
        (BASEFEE, environment_reads::BASEFEE),
        (GASPRICE, environment_reads::GASPRICE),
        (BLOBBASEFEE, environment_reads::BLOBBASEFEE),
        (SLOTNUM, environment_reads::SLOTNUM),
    ];
    for (opcode, bit) in cases {
        let seen = execute(&state(&[opcode]), Fork::Amsterdam, &transaction(Some(CONTRACT), 0, &[])).observed;

        assert_eq!(seen.environment, bit, "opcode {opcode:#x}");
    }
    assert_eq!(observed(&[PUSH0, BLOCKHASH], 0).environment, environment_reads::BLOCKHASH);
    assert_eq!(observed(&[ORIGIN, CALLER, CALLVALUE, CHAINID, GAS, ADDRESS], 0).environment, 0);
}

#[test]
fn observations_do_not_leak_into_the_next_transaction() {
    let mut code = state(&[SELFBALANCE, TIMESTAMP]);
    code.insert_account(OTHER, Account { nonce: 1, ..Account::default() }, Some(vec![STOP].into()));
    let mut evm = Evm::new(&rules(Fork::Shanghai), &block(), ViewDatabase(&code));
    let first = evm.execute(&transaction(Some(CONTRACT), 0, &[])).expect("memory state").observed;
    let second = evm.execute(&transaction(Some(OTHER), 0, &[])).expect("memory state").observed;

    assert_ne!(first, Observations::default());
    assert_eq!(second, Observations::default());
}

#[test]
fn a_set_code_transaction_observes_whether_its_authorities_exist() {
    // Any values in range recover to some account.
    let (r, s) = (U256::from(0x1234), U256::from(0x5678));
    let authorization =
        Authorization { chain_id: U256::ZERO, address: CONTRACT, nonce: 0, y_parity: 0, r, s };
    let authority = authorization.recover_authority().expect("a signer");
    let mut tx = transaction(Some(OTHER), 0, &[]);
    tx.tx.tx_type = 4;
    tx.tx.authorization_list = vec![authorization];
    let execution = execute(&state(&[]), Fork::Prague, &tx);

    assert!(execution.outcome.expect("valid").success);
    assert_eq!(execution.observed.emptiness, [authority]);
    assert!(execution.writes.iter().any(|write| write.address == authority));
}
