//! Accounts that come and go within a block: what later transactions find of them.

mod support;

use std::sync::Arc;

use parallelpool_core::primitives::{Address, KECCAK_EMPTY, U256, keccak256};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{Authorization, RecoveredTransaction};
use support::tiny::{
    account, after, balance, block, chain, contract, execute_all_ways, rich, shared, transaction,
};

const CALLER: Address = Address::repeat_byte(0xca);
const TARGET: Address = Address::repeat_byte(0x7a);

fn state() -> MemoryState {
    let mut state = MemoryState::new();
    for index in 1..=4 {
        rich(&mut state, account(index));
    }
    state
}

/// CALL of `target` without value, with all gas that EIP-150 leaves, or 30,000.
fn call(target: Address) -> Vec<u8> {
    let zero = [0x60, 0];
    [&zero.repeat(5)[..], &[0x73], target.as_slice(), &[0x61, 0x75, 0x30, 0xf1, 0x50, 0x00]].concat()
}

/// SELFDESTRUCT to `heir`.
fn destroy(heir: Address) -> Vec<u8> {
    [&[0x73][..], heir.as_slice(), &[0xff]].concat()
}

fn authorization(nonce: u64) -> (Authorization, Address) {
    // Any values in range recover to some account.
    let (r, s) = (U256::from(0x1234), U256::from(0x5678));
    let signed = Authorization { chain_id: U256::ZERO, address: CALLER, nonce, y_parity: 0, r, s };
    let authority = signed.recover_authority().expect("a signer");
    (signed, authority)
}

fn delegating(sender: Address, signed: &Authorization) -> RecoveredTransaction {
    let mut tx = transaction(sender, 0, Some(account(9)), 0);
    (tx.tx.tx_type, tx.tx.chain_id) = (4, Some(1));
    tx.tx.authorization_list = vec![signed.clone()];
    tx
}

fn prague_state() -> MemoryState {
    use parallelpool_core::system::{CONSOLIDATION_REQUEST_CONTRACT, WITHDRAWAL_REQUEST_CONTRACT};
    let mut state = state();
    contract(&mut state, WITHDRAWAL_REQUEST_CONTRACT, 0, &[0]);
    contract(&mut state, CONSOLIDATION_REQUEST_CONTRACT, 0, &[0]);
    state
}

#[test]
fn an_authority_that_was_merely_touched_before_earns_no_refund() {
    let spec = chain("Prague");
    let (signed, authority) = authorization(0);
    let delegation = delegating(account(1), &signed);
    let gas_after = |first: Option<RecoveredTransaction>| {
        let sent = shared(first.into_iter().chain([delegation.clone()]));
        let state = prague_state();
        let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
        let delegated = after(&outcome, &state, authority).expect("it exists");
        assert_eq!(delegated.code_hash, keccak256([&[0xef, 1, 0][..], CALLER.as_slice()].concat()));
        outcome.receipts.last().expect("two receipts").gas_used
    };
    let alone = gas_after(None);
    let touched = gas_after(Some(transaction(account(2), 0, Some(authority), 0)));
    let funded = gas_after(Some(transaction(account(2), 0, Some(authority), 1)));

    assert_eq!(touched, alone);
    assert_eq!(funded, alone - alone / 5, "an existing authority earns the greatest refund");
}

#[test]
fn a_delegation_made_in_the_block_runs_in_the_block() {
    let spec = chain("Prague");
    let (signed, authority) = authorization(0);
    let mut state = prague_state();
    // Stores 5 at slot 5 of whoever delegates here.
    contract(&mut state, CALLER, 0, &[0x60, 5, 0x60, 5, 0x55, 0x00]);
    let sent = shared([delegating(account(1), &signed), transaction(account(2), 0, Some(authority), 0)]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");

    assert_eq!(outcome.changes.accounts[&authority].storage[&U256::from(5)], U256::from(5));
    assert_eq!(after(&outcome, &state, authority).map(|account| account.nonce), Some(1));
}

#[test]
fn before_state_clearing_calling_a_destroyed_account_pays_for_a_new_one() {
    const NEW_ACCOUNT: u64 = 25_000;
    let spec = chain("Homestead");
    let mut state = state();
    contract(&mut state, TARGET, 0, &destroy(account(9)));
    contract(&mut state, CALLER, 0, &call(TARGET));
    rich(&mut state, account(9));
    let lonely = shared([transaction(account(2), 0, Some(CALLER), 0)]);
    let gas = |sent: &[Arc<RecoveredTransaction>]| {
        let outcome = execute_all_ways(&spec, &block(&spec), sent, &state).expect("a valid block");
        outcome.receipts.last().expect("a receipt").gas_used
    };
    let alive = gas(&lonely);
    let gone = gas(&shared([
        transaction(account(1), 0, Some(TARGET), 0),
        transaction(account(2), 0, Some(CALLER), 0),
    ]));
    // Six pushes of arguments and one of gas at 3, CALL at 40, POP at 2.
    let call_gas = 7 * 3 + 40 + 2;

    assert_eq!(gone, 21_000 + call_gas + NEW_ACCOUNT);
    // While it lives, the call runs its code, PUSH and a SELFDESTRUCT that is still free, and
    // half of all gas comes back as a refund.
    assert_eq!(alive, (21_000 + call_gas + 3).div_ceil(2));
}

/// A factory that runs CREATE2 with salt 0 on its calldata.
const FACTORY: [u8; 17] = [
    0x36, 0x60, 0, 0x60, 0, 0x37, // CALLDATACOPY(0, 0, CALLDATASIZE)
    0x60, 0, 0x36, 0x60, 0, 0x60, 0, 0xf5, // CREATE2(0, 0, CALLDATASIZE, 0)
    0x50, 0x00, 0x00,
];

/// Init code that stores its own NUMBER of runs' mark at slot `mark` and returns `code`.
fn init(mark: u8, code: &[u8]) -> Vec<u8> {
    let store = [0x60, 1, 0x60, mark, 0x55];
    let size = u8::try_from(code.len()).expect("short code");
    let offset = u8::try_from(store.len() + 12).expect("short code");
    let copy = [0x60, size, 0x60, offset, 0x60, 0, 0x39, 0x60, size, 0x60, 0, 0xf3];
    [&store[..], &copy, code].concat()
}

#[test]
fn a_contract_created_again_at_its_address_keeps_nothing_of_its_past() {
    let spec = chain("Shanghai");
    let mut state = state();
    contract(&mut state, CALLER, 0, &FACTORY);
    let code = init(7, &destroy(account(9)));
    let created = CALLER.create2_from_code([0; 32], &code);
    // It stood there before the block, with another slot set.
    contract(&mut state, created, 50, &destroy(account(9)));
    state.insert_storage(created, U256::from(1), U256::from(99));
    let mut create = transaction(account(2), 0, Some(CALLER), 0);
    create.tx.data = code.into();
    let destruction = transaction(account(1), 0, Some(created), 0);
    let recreated = shared([destruction.clone(), create.clone()]);
    let outcome = execute_all_ways(&spec, &block(&spec), &recreated, &state).expect("a valid block");
    let change = &outcome.changes.accounts[&created];

    assert!(change.storage_cleared);
    assert_eq!(change.storage.iter().collect::<Vec<_>>(), [(&U256::from(7), &U256::from(1))]);
    assert_eq!(change.after.map(|account| (account.nonce, account.balance)), Some((1, U256::ZERO)));
    assert_eq!(balance(&outcome, &state, account(9)), U256::from(50));

    let gone_again = shared([destruction, create, transaction(account(3), 0, Some(created), 5)]);
    let outcome = execute_all_ways(&spec, &block(&spec), &gone_again, &state).expect("a valid block");
    let change = &outcome.changes.accounts[&created];

    assert_eq!((change.after, change.storage_cleared, change.storage.len()), (None, true, 0));
    assert_eq!(balance(&outcome, &state, account(9)), U256::from(55));
}

#[test]
fn creating_over_a_living_contract_fails() {
    let spec = chain("Shanghai");
    let mut state = state();
    contract(&mut state, CALLER, 0, &FACTORY);
    let code = init(7, &destroy(account(9)));
    let created = CALLER.create2_from_code([0; 32], &code);
    let mut creations = [1, 2].map(|index| transaction(account(index), 0, Some(CALLER), 0));
    creations.iter_mut().for_each(|creation| creation.tx.data = code.clone().into());
    let outcome = execute_all_ways(&spec, &block(&spec), &shared(creations), &state).expect("a valid block");

    assert_eq!(after(&outcome, &state, created).map(|account| account.nonce), Some(1));
    assert_eq!(after(&outcome, &state, CALLER).map(|account| account.nonce), Some(3), "each attempt counts");
}

#[test]
fn an_account_with_storage_alone_cannot_be_created_over() {
    let spec = chain("Cancun");
    let mut state = state();
    let created = account(1).create(0);
    state.insert_account(created, Account { balance: U256::from(3), ..Account::default() }, None);
    state.insert_storage(created, U256::from(1), U256::from(1));
    let mut creation = transaction(account(1), 0, None, 0);
    creation.tx.data = init(7, &[0]).into();
    let outcome = execute_all_ways(&spec, &block(&spec), &shared([creation]), &state).expect("a valid block");

    assert!(!outcome.receipts[0].success);
    assert_eq!(outcome.receipts[0].gas_used, 200_000);
    assert_eq!(outcome.receipts[0].contract_address, Some(created));
    assert!(!outcome.changes.accounts.contains_key(&created));
}

#[test]
fn a_former_contract_address_without_storage_can_be_created_over_although_the_base_has_slots() {
    // Destroyed, given a wei, created again: at the third step the base still lists its slots.
    let spec = chain("Shanghai");
    let mut state = state();
    contract(&mut state, CALLER, 0, &FACTORY);
    let code = init(7, &[0]);
    let created = CALLER.create2_from_code([0; 32], &code);
    contract(&mut state, created, 0, &destroy(account(9)));
    state.insert_storage(created, U256::from(1), U256::from(99));
    let mut create = transaction(account(3), 0, Some(CALLER), 0);
    create.tx.data = code.into();
    let sent = shared([
        transaction(account(1), 0, Some(created), 0),
        transaction(account(2), 0, Some(created), 1),
        create,
    ]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let expected = Account { nonce: 1, balance: U256::from(1), code_hash: keccak256([0]) };

    assert_eq!(after(&outcome, &state, created), Some(expected));
    assert!(outcome.changes.accounts[&created].storage_cleared);
}

/// Creates by CREATE2 what destroys itself at once, then pays it 5 wei.
fn creates_destroys_and_pays() -> Vec<u8> {
    let init = destroy(account(9));
    let create = [0x60, 0, 0x52, 0x60, 0, 0x60, 22, 0x60, 10, 0x60, 0, 0xf5];
    let pay = [0x60, 5, 0x85, 0x61, 0x75, 0x30, 0xf1, 0x50, 0x50, 0x00];
    [&[0x75][..], &init, &create, &[0x60, 0].repeat(4), &pay].concat()
}

#[test]
fn a_destroyed_account_that_is_paid_afterwards_keeps_its_wei_from_amsterdam_on() {
    for (fork, survives) in [("Osaka", false), ("Amsterdam", true)] {
        let spec = chain(fork);
        let mut state = prague_state();
        contract(&mut state, CALLER, 100, &creates_destroys_and_pays());
        let created = CALLER.create2_from_code([0; 32], destroy(account(9)));
        // The second finds the address destroyed by the first.
        let sent = [1, 2].map(|index| {
            let mut call = transaction(account(index), 0, Some(CALLER), 0);
            call.tx.gas_limit = 2_000_000;
            call
        });
        let outcome = execute_all_ways(&spec, &block(&spec), &shared(sent), &state).expect("a valid block");

        assert!(outcome.receipts.iter().all(|receipt| receipt.success), "{fork}");
        let left = after(&outcome, &state, created).map(|account| (account.nonce, account.balance));
        assert_eq!(left, survives.then(|| (0, U256::from(5))), "{fork}");
        let heir = balance(&outcome, &state, account(9));
        assert_eq!(heir, U256::from(if survives { 5 } else { 0 }), "{fork}");
    }
}

#[test]
fn touching_an_empty_account_removes_it_with_its_storage() {
    let spec = chain("Cancun");
    let mut state = state();
    state.insert_account(TARGET, Account::default(), None);
    state.insert_storage(TARGET, U256::from(1), U256::from(1));
    let touch = transaction(account(1), 0, Some(TARGET), 0);
    let outcome =
        execute_all_ways(&spec, &block(&spec), &shared([touch.clone()]), &state).expect("a valid block");
    let change = &outcome.changes.accounts[&TARGET];
    assert_eq!((change.after, change.storage_cleared), (None, true));

    let revived = shared([touch, transaction(account(2), 0, Some(TARGET), 4)]);
    let outcome = execute_all_ways(&spec, &block(&spec), &revived, &state).expect("a valid block");
    let change = &outcome.changes.accounts[&TARGET];
    let expected = Account { nonce: 0, balance: U256::from(4), code_hash: KECCAK_EMPTY };
    assert_eq!((change.after, change.storage_cleared), (Some(expected), true));

    let funded = shared([transaction(account(2), 0, Some(TARGET), 4)]);
    let outcome = execute_all_ways(&spec, &block(&spec), &funded, &state).expect("a valid block");
    let change = &outcome.changes.accounts[&TARGET];
    assert_eq!((change.after, change.storage_cleared), (Some(expected), false), "it was never cleared away");
}

#[test]
fn a_slot_set_back_to_its_old_value_is_no_change() {
    // SSTORE(1, CALLVALUE).
    let spec = chain("Cancun");
    let mut state = state();
    contract(&mut state, TARGET, 0, &[0x34, 0x60, 1, 0x55, 0x00]);
    state.insert_storage(TARGET, U256::from(1), U256::from(6));
    let sent =
        shared([transaction(account(1), 0, Some(TARGET), 5), transaction(account(2), 0, Some(TARGET), 6)]);
    let outcome = execute_all_ways(&spec, &block(&spec), &sent, &state).expect("a valid block");
    let change = &outcome.changes.accounts[&TARGET];

    assert!(change.storage.is_empty());
    assert_eq!(change.after.map(|account| account.balance), Some(U256::from(11)));
}
