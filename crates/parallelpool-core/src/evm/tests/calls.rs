//! Messages that are not transactions of a block.

use revm::bytecode::opcode::*;

use super::*;

/// Returns the top of the stack that `code` leaves.
fn returning(code: &[u8]) -> Vec<u8> {
    [code, &[PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]].concat()
}

fn call(state: &MemoryState, tx: &RecoveredTransaction, options: &CallOptions) -> TxExecution {
    Evm::new(&rules(Fork::Shanghai), &block(), ViewDatabase(state)).call(tx, options).expect("memory state")
}

fn free(to: Address) -> RecoveredTransaction {
    let mut tx = transaction(Some(to), 0, &[]);
    (tx.tx.max_fee_per_gas, tx.tx.max_priority_fee_per_gas) = (U256::ZERO, U256::ZERO);
    tx
}

#[test]
fn a_call_without_a_price_runs_at_a_base_fee_of_zero() {
    let state = state(&returning(&[BASEFEE]));
    let mut stranger = free(CONTRACT);
    stranger.sender = Address::repeat_byte(0x99);
    let execution = call(&state, &stranger, &CallOptions::CALL);
    let result = execution.outcome.expect("valid");

    assert_eq!(U256::from_be_slice(&result.output), U256::ZERO);
    assert_eq!(result.fee, U256::ZERO);

    let priced = call(&state, &transaction(Some(CONTRACT), 0, &[]), &CallOptions::CALL);
    assert_eq!(U256::from_be_slice(&priced.outcome.expect("valid").output), U256::from(10));
}

#[test]
fn the_next_transaction_sees_the_base_fee_again() {
    let state = state(&returning(&[BASEFEE]));
    let mut evm = Evm::new(&rules(Fork::Shanghai), &block(), ViewDatabase(&state));
    evm.call(&free(CONTRACT), &CallOptions::CALL).expect("memory state");
    let next = evm.execute(&transaction(Some(CONTRACT), 0, &[])).expect("memory state");

    assert_eq!(U256::from_be_slice(&next.outcome.expect("valid").output), U256::from(10));
}

#[test]
fn a_call_may_come_from_a_contract_at_any_nonce_but_not_spend_what_is_not_there() {
    let state = state(&[STOP]);
    let mut from_contract = free(RECIPIENT);
    from_contract.sender = CONTRACT;
    from_contract.tx.nonce = 77;
    assert!(call(&state, &from_contract, &CallOptions::CALL).outcome.is_ok());

    from_contract.tx.value = U256::ONE;
    let refused = call(&state, &from_contract, &CallOptions::CALL).outcome.expect_err("no funds");
    assert!(matches!(refused, InvalidTransaction::InsufficientFunds { .. }));
}

#[test]
fn a_fee_cap_below_the_base_fee_counts_in_calls_too() {
    let mut low = transaction(Some(CONTRACT), 0, &[]);
    (low.tx.max_fee_per_gas, low.tx.max_priority_fee_per_gas) = (U256::from(9), U256::ZERO);
    let refused = call(&state(&[]), &low, &CallOptions::CALL).outcome.expect_err("too low");

    assert!(matches!(refused, InvalidTransaction::FeeCapTooLow { .. }));
}

#[test]
fn preexecution_lends_nonce_and_funds() {
    let state = state(&returning(&[SELFBALANCE]));
    let mut ahead = transaction(Some(CONTRACT), 4, &[]);
    (ahead.sender, ahead.tx.nonce) = (Address::repeat_byte(0x99), 12);
    let execution = call(&state, &ahead, &CallOptions::PREEXECUTION);
    let sender = execution.writes.iter().find(|write| write.address == ahead.sender).expect("it paid");

    assert_eq!(U256::from_be_slice(&execution.outcome.expect("valid").output), U256::from(4));
    assert_eq!(sender.account.flatten().map(|account| account.nonce), Some(13));
}

#[test]
fn a_gas_cap_lowers_what_is_needed_and_used() {
    let endless = state(&[JUMPDEST, PUSH0, JUMP]);
    let options = CallOptions { gas_cap: Some(50_000), ..CallOptions::TRANSACTION };
    let mut tx = transaction(Some(CONTRACT), 0, &[]);
    tx.tx.gas_limit = u64::MAX;
    let result = call(&endless, &tx, &options).outcome.expect("affordable under the cap");

    assert_eq!((result.gas_used, result.halt.as_deref()), (50_000, Some("out of gas")));
}

#[test]
fn touched_accounts_and_slots_are_listed_on_demand_those_of_reverted_frames_too() {
    let state = state(&[PUSH1, 3, SLOAD, PUSH0, PUSH0, REVERT]);
    let mut evm = Evm::new(&rules(Fork::Shanghai), &block(), ViewDatabase(&state));
    let tx = transaction(Some(CONTRACT), 0, &[]);
    assert!(evm.execute(&tx).expect("memory state").touched.is_empty());
    evm.record_touched(true);
    let mut touched = evm.execute(&tx).expect("memory state").touched;
    touched.sort_by_key(|account| account.address);

    assert_eq!(touched.iter().map(|account| account.address).collect::<Vec<_>>(), [SENDER, CONTRACT]);
    assert_eq!(touched[1].slots, [U256::from(3)]);
}
