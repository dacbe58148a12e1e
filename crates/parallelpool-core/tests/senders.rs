//! Nonces and funds of senders, where what is valid depends on the transactions before.

mod support;

use parallelpool_core::block::InvalidTransaction;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::execution::{BlockOutcome, BuildLimits, BuildOutcome, ExecuteError};
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::system::{CONSOLIDATION_REQUEST_CONTRACT, WITHDRAWAL_REQUEST_CONTRACT};
use parallelpool_core::tx::{Authorization, RecoveredTransaction};
use support::agreement::{Case, Task, compare_ways};
use support::tiny::{
    account, after, balance, block, chain, contract, execute_all_ways, executor, rich, shared, transaction,
};
use support::ways::Ways;

const GAS: u64 = 21_000;
const PRICE: u64 = 13;
const POOR: Address = Address::repeat_byte(0x50);
const VAULT: Address = Address::repeat_byte(0xc1);

fn state() -> MemoryState {
    let mut state = MemoryState::new();
    for index in 1..=6 {
        rich(&mut state, account(index));
    }
    contract(&mut state, WITHDRAWAL_REQUEST_CONTRACT, 0, &[0]);
    contract(&mut state, CONSOLIDATION_REQUEST_CONTRACT, 0, &[0]);
    state
}

/// A transfer with just the gas that it takes.
fn transfer(sender: Address, nonce: u64, to: Address, value: u64) -> RecoveredTransaction {
    let mut tx = transaction(sender, nonce, Some(to), value);
    tx.tx.gas_limit = GAS;
    tx
}

fn import(
    spec: &ChainSpec,
    state: &MemoryState,
    sent: impl IntoIterator<Item = RecoveredTransaction>,
) -> Result<BlockOutcome, ExecuteError> {
    execute_all_ways(spec, &block(spec), &shared(sent), state)
}

/// Builds in every way and demands one result of them.
fn build(
    spec: &ChainSpec,
    state: &MemoryState,
    sent: impl IntoIterator<Item = RecoveredTransaction>,
) -> BuildOutcome {
    let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
    let case = Case {
        spec,
        block: &block(spec),
        transactions: &shared(sent),
        state,
        task: Task::Build(&limits),
        seed: 5,
        pauses: true,
    };
    compare_ways(&executor(), &case, Ways::All.of(case.seed)).agreed().expect("building never fails")
}

fn invalid_at(outcome: Result<BlockOutcome, ExecuteError>) -> (usize, InvalidTransaction) {
    match outcome {
        Err(ExecuteError::Transaction { index, reason, .. }) => (index, *reason),
        other => panic!("no transaction was refused: {other:?}"),
    }
}

/// Pays word 0 of its calldata to word 1.
fn vault_code() -> Vec<u8> {
    let zero = [0x60, 0];
    [&zero.repeat(4)[..], &[0x60, 0, 0x35, 0x60, 32, 0x35, 0x61, 0x75, 0x30, 0xf1, 0x50, 0x00]].concat()
}

fn vault_pays(sender: Address, nonce: u64, amount: u64, to: Address) -> RecoveredTransaction {
    let mut call = transaction(sender, nonce, Some(VAULT), 0);
    call.tx.data = [U256::from(amount).to_be_bytes::<32>(), to.into_word().0].concat().into();
    call
}

#[test]
fn senders_in_turn_keep_their_own_order() {
    let (spec, state) = (chain("Cancun"), state());
    let rounds = (0..12).flat_map(|nonce| [1, 2, 3].map(|index| transfer(account(index), nonce, POOR, 1)));
    let outcome = import(&spec, &state, rounds).expect("a valid block");

    assert_eq!(balance(&outcome, &state, POOR), U256::from(36));
    for index in 1..=3 {
        assert_eq!(after(&outcome, &state, account(index)).map(|account| account.nonce), Some(12));
    }
}

#[test]
fn funds_that_only_an_earlier_transfer_brings_are_there_to_the_wei() {
    let (spec, state) = (chain("Cancun"), state());
    let needs = GAS * PRICE + 5;
    let paid = |amount| [transfer(account(1), 0, POOR, amount), transfer(POOR, 0, account(9), 5)];
    let outcome = import(&spec, &state, paid(needs)).expect("a valid block");
    assert_eq!(after(&outcome, &state, POOR), Some(Account { nonce: 1, ..Account::default() }));

    let (index, reason) = invalid_at(import(&spec, &state, paid(needs - 1)));
    assert_eq!(index, 1);
    let InvalidTransaction::InsufficientFunds { have, want, .. } = reason else { panic!("{reason}") };
    assert_eq!((have, want), (U256::from(needs - 1), needs.to_string()));
}

#[test]
fn funds_that_only_a_contract_pays_are_there_to_the_wei() {
    let spec = chain("Cancun");
    let needs = GAS * PRICE;
    let paid = |amount| [vault_pays(account(1), 0, amount, POOR), transfer(POOR, 0, account(9), 0)];
    let with_vault = |balance| {
        let mut state = state();
        contract(&mut state, VAULT, balance, &vault_code());
        state
    };
    let outcome = import(&spec, &with_vault(needs), paid(needs)).expect("a valid block");
    assert_eq!(balance(&outcome, &with_vault(needs), VAULT), U256::ZERO);

    let too_little = invalid_at(import(&spec, &with_vault(needs), paid(needs - 1)));
    assert!(matches!(too_little, (1, InvalidTransaction::InsufficientFunds { .. })));
    let cannot_pay = invalid_at(import(&spec, &with_vault(needs - 1), paid(needs)));
    assert!(matches!(cannot_pay, (1, InvalidTransaction::InsufficientFunds { .. })));
}

#[test]
fn funds_that_an_earlier_transaction_took_are_missed() {
    let (spec, mut state) = (chain("Cancun"), state());
    let fee = GAS * PRICE;
    state.insert_account(POOR, Account { balance: U256::from(2 * fee + 7), ..Account::default() }, None);
    let all_but = |left| [transfer(POOR, 0, account(9), 7 - left), transfer(POOR, 1, account(9), left)];
    import(&spec, &state, all_but(3)).expect("it has enough for both");

    let greedy = [transfer(POOR, 0, account(9), 7), transfer(POOR, 1, account(9), 1)];
    assert!(matches!(
        invalid_at(import(&spec, &state, greedy)),
        (1, InvalidTransaction::InsufficientFunds { .. })
    ));
}

#[test]
fn three_withdrawals_of_four_from_a_vault_of_ten_leave_two() {
    let spec = chain("Cancun");
    let mut state = state();
    contract(&mut state, VAULT, 10, &vault_code());
    let sent = [1, 2, 3].map(|index| vault_pays(account(index), 0, 4, account(9)));
    let outcome = import(&spec, &state, sent).expect("a valid block");

    assert_eq!(balance(&outcome, &state, VAULT), U256::from(2));
    assert_eq!(balance(&outcome, &state, account(9)), U256::from(8));
}

#[test]
fn an_invalid_transaction_is_named_at_the_start_in_the_middle_and_at_the_end() {
    let (spec, state) = (chain("Cancun"), state());
    for place in [0, 10, 20] {
        let mut sent: Vec<_> = (0..20).map(|nonce| transfer(account(1), nonce, POOR, 1)).collect();
        sent.insert(place, transfer(account(2), 1, POOR, 1));
        let (index, reason) = invalid_at(import(&spec, &state, sent));

        assert_eq!(index, place);
        assert!(matches!(reason, InvalidTransaction::NonceTooHigh { tx: 1, state: 0, .. }), "{reason}");
    }
}

#[test]
fn a_gap_in_the_nonces_leaves_out_all_that_follows_until_it_is_filled() {
    let (spec, state) = (chain("Cancun"), state());
    let nonces = [0, 2, 1, 3, 2, 1, 3];
    let built = build(&spec, &state, nonces.map(|nonce| transfer(account(1), nonce, POOR, 1)));
    let left_out: Vec<_> = built.left_out.iter().map(|left_out| left_out.candidate).collect();

    assert_eq!(built.included, [0, 2, 4, 6]);
    assert_eq!(left_out, [1, 3, 5]);
    assert!(matches!(built.left_out[0].reason, InvalidTransaction::NonceTooHigh { tx: 2, state: 1, .. }));
    assert!(matches!(built.left_out[2].reason, InvalidTransaction::NonceTooLow { tx: 1, state: 3, .. }));
}

fn authorization(nonce: u64, to: Address) -> (Authorization, Address) {
    let (r, s) = (U256::from(0x1234), U256::from(0x5678));
    let signed = Authorization { chain_id: U256::ZERO, address: to, nonce, y_parity: 0, r, s };
    let authority = signed.recover_authority().expect("a signer");
    (signed, authority)
}

fn delegating(sender: Address, signed: &Authorization) -> RecoveredTransaction {
    let mut tx = transaction(sender, 0, Some(account(9)), 0);
    (tx.tx.tx_type, tx.tx.chain_id) = (4, Some(1));
    tx.tx.authorization_list = vec![signed.clone()];
    tx
}

#[test]
fn an_authority_that_sends_later_has_the_nonce_that_its_authorization_left() {
    let (spec, mut state) = (chain("Prague"), state());
    let (signed, authority) = authorization(0, VAULT);
    rich(&mut state, authority);
    let with_nonce = |nonce| [delegating(account(1), &signed), transfer(authority, nonce, POOR, 3)];
    let outcome = import(&spec, &state, with_nonce(1)).expect("a delegated account may send");
    assert_eq!(after(&outcome, &state, authority).map(|account| account.nonce), Some(2));

    let (index, reason) = invalid_at(import(&spec, &state, with_nonce(0)));
    assert_eq!(index, 1);
    assert!(matches!(reason, InvalidTransaction::NonceTooLow { tx: 0, state: 1, .. }), "{reason}");
}

#[test]
fn an_authorization_after_a_transfer_of_its_authority_is_passed_over() {
    let (spec, mut state) = (chain("Prague"), state());
    let (signed, authority) = authorization(0, VAULT);
    rich(&mut state, authority);
    let sent = [transfer(authority, 0, POOR, 3), delegating(account(1), &signed)];
    let outcome = import(&spec, &state, sent).expect("a valid block");
    let left = after(&outcome, &state, authority).expect("it exists");

    assert_eq!((left.nonce, left.code_hash), (1, Account::default().code_hash));
}

#[test]
fn an_account_with_code_cannot_send_unless_the_code_is_a_delegation() {
    let (spec, mut state) = (chain("Prague"), state());
    let ether = state.account(&account(1)).expect("memory").expect("rich").balance;
    let rich = Account { balance: ether, ..Account::default() };
    let delegation = [&[0xef, 1, 0][..], VAULT.as_slice()].concat();
    state.insert_account(POOR, rich, Some(delegation.into()));
    import(&spec, &state, [transfer(POOR, 0, account(9), 1)]).expect("a delegated account may send");

    state.insert_account(POOR, rich, Some(vec![0x00].into()));
    let (index, reason) = invalid_at(import(
        &spec,
        &state,
        [transfer(account(1), 0, POOR, 1), transfer(POOR, 0, account(9), 1)],
    ));
    assert_eq!(index, 1);
    assert!(matches!(reason, InvalidTransaction::SenderNotEoa { code_length: 1, .. }), "{reason}");
}

#[test]
fn a_transfer_that_its_recipient_cannot_hold_fails_and_moves_nothing() {
    let (spec, mut state) = (chain("Cancun"), state());
    state.insert_account(POOR, Account { balance: U256::MAX - U256::from(5), ..Account::default() }, None);
    let sent = [1, 2, 3].map(|index| transfer(account(index), 0, POOR, 3));
    let outcome = import(&spec, &state, sent).expect("a valid block");
    let success: Vec<_> = outcome.receipts.iter().map(|receipt| receipt.success).collect();

    assert_eq!(success, [true, false, false]);
    assert_eq!(balance(&outcome, &state, POOR), U256::MAX - U256::from(2));
    let ether = state.account(&account(2)).expect("memory").expect("rich").balance;
    let fee = U256::from(GAS * PRICE);
    assert_eq!(balance(&outcome, &state, account(2)), ether - fee, "only the fee is gone");
}
