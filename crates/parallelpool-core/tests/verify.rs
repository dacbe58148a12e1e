//! Verification of batches: planted conflicts of every kind are named, and nothing else is.

use std::sync::Arc;

use parallelpool_core::access::{Access, Field, Location};
use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{Fork, Rules};
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{Authorization, RecoveredTransaction, SharedTransaction, Transaction};
use parallelpool_core::verify::{Setting, Verification, VerifyOptions, verify_batch};
use secp256k1::ecdsa::RecoveryId;
use secp256k1::{Message, Secp256k1, SecretKey};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const COUNTER: Address = Address::repeat_byte(0xc1);
const BALANCE_OF: Address = Address::repeat_byte(0xc2);
const CODE_SIZE_OF: Address = Address::repeat_byte(0xc3);
const CODE_HASH_OF: Address = Address::repeat_byte(0xc4);
const FACTORY: Address = Address::repeat_byte(0xc5);
const MORTAL: Address = Address::repeat_byte(0xc6);
const FUNDER: Address = Address::repeat_byte(0xc7);
const TRANSIENT: Address = Address::repeat_byte(0xc8);
const VAULT: Address = Address::repeat_byte(0xc9);
const OWN_SLOT: Address = Address::repeat_byte(0xca);
/// Exists nowhere.
const NOBODY: Address = Address::repeat_byte(0x77);

const CODES: &[(Address, &[u8])] = &[
    // Adds one to slot 0.
    (COUNTER, &[0x5f, 0x54, 0x60, 1, 0x01, 0x5f, 0x55, 0x00]),
    // Store under the caller: the balance, the code's size, the code's hash of the address given.
    (BALANCE_OF, &[0x5f, 0x35, 0x31, 0x33, 0x55, 0x00]),
    (CODE_SIZE_OF, &[0x5f, 0x35, 0x3b, 0x33, 0x55, 0x00]),
    (CODE_HASH_OF, &[0x5f, 0x35, 0x3f, 0x33, 0x55, 0x00]),
    // Creates by CREATE2 with salt 0 and no code, and stores where under the caller.
    (FACTORY, &[0x5f, 0x5f, 0x5f, 0x5f, 0xf5, 0x33, 0x55, 0x00]),
    // Destroys itself in favour of the caller.
    (MORTAL, &[0x33, 0xff]),
    // Sends one wei to the address given.
    (FUNDER, &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 1, 0x5f, 0x35, 0x5a, 0xf1, 0x00]),
    // Adds one to transient slot 0 and stores the sum under the caller.
    (TRANSIENT, &[0x5f, 0x5c, 0x60, 1, 0x01, 0x5f, 0x5d, 0x5f, 0x5c, 0x33, 0x55, 0x00]),
    // Pays 4 wei to the caller.
    (VAULT, &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 4, 0x33, 0x5a, 0xf1, 0x00]),
    // Adds one to the slot named after the caller, and logs it.
    (OWN_SLOT, &[0x33, 0x54, 0x60, 1, 0x01, 0x33, 0x55, 0x33, 0x5f, 0x5f, 0xa1, 0x00]),
];

fn rules(fork: Fork) -> Rules {
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: 1,
        blobs: None,
        parallel_tx_type: Some(5),
        amsterdam: Default::default(),
    }
}

fn state() -> MemoryState {
    let mut state = MemoryState::new();
    for sender in 0..12 {
        let balance = U256::from(10_u64.pow(18));
        state.insert_account(address(sender), Account { balance, ..Account::default() }, None);
    }
    for (contract, code) in CODES {
        let account = Account { nonce: 1, balance: U256::from(10), ..Account::default() };
        state.insert_account(*contract, account, Some(code.to_vec().into()));
    }
    state
}

fn address(sender: u8) -> Address {
    signed(sender, Transaction::default()).sender
}

fn signed(sender: u8, tx: Transaction) -> RecoveredTransaction {
    tx.signed(&[sender + 1; 32]).expect("the key is valid")
}

fn plain(to: Option<Address>, data: &[u8]) -> Transaction {
    Transaction {
        tx_type: 2,
        chain_id: Some(1),
        gas_limit: 200_000,
        max_fee_per_gas: U256::from(100),
        max_priority_fee_per_gas: U256::from(3),
        to,
        data: data.to_vec().into(),
        ..Transaction::default()
    }
}

fn call(sender: u8, to: Address, data: &[u8]) -> SharedTransaction {
    Arc::new(signed(sender, plain(Some(to), data)))
}

/// A call that gives an address.
fn ask(sender: u8, to: Address, about: Address) -> SharedTransaction {
    call(sender, to, about.into_word().as_slice())
}

fn pay(sender: u8, to: Address) -> SharedTransaction {
    Arc::new(signed(sender, Transaction { value: U256::from(5), ..plain(Some(to), &[]) }))
}

fn verify_on(fork: Fork, transactions: &[SharedTransaction], options: &VerifyOptions) -> Verification {
    let (rules, state) = (rules(fork), state());
    let block = BlockContext {
        number: 1,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 60_000_000,
        base_fee: Some(10),
        prev_randao: Some(B256::ZERO),
        ..BlockContext::default()
    };
    let setting = Setting { rules: &rules, block: &block, view: &state };
    verify_batch(&setting, transactions, options).expect("the batch is small")
}

fn verify(transactions: &[SharedTransaction]) -> Verification {
    verify_on(Fork::Osaka, transactions, &VerifyOptions::default())
}

/// Asserts that two transactions conflict over `location`, with these kinds, and that others do not.
fn assert_names(
    found: &Verification,
    pair: [&SharedTransaction; 2],
    location: (Address, Field),
    kinds: [Access; 2],
) {
    assert!(!found.is_valid());
    let place = Location { address: location.0, field: location.1 };
    let named = found.conflicts.iter().find(|named| named.conflict.location == place);
    let named = named.unwrap_or_else(|| panic!("{location:?} is not among {:?}", found.conflicts));
    assert_eq!([named.a, named.b], pair.map(|tx| tx.tx.hash));
    assert!(named.conflict.first.has(kinds[0]) && named.conflict.second.has(kinds[1]), "{named:?}");
    assert!(found.conflicts.iter().all(|one| [one.a, one.b] == pair.map(|tx| tx.tx.hash)), "{found:?}");
}

const SLOT_0: Field = Field::Storage(U256::ZERO);
const BYSTANDERS: u8 = 8;

/// The two, and bystanders that conflict with nobody.
fn among_others(a: &SharedTransaction, b: &SharedTransaction) -> Vec<SharedTransaction> {
    let bystander = |sender: u8| call(sender, OWN_SLOT, &[]);
    vec![bystander(BYSTANDERS), a.clone(), bystander(BYSTANDERS + 1), b.clone()]
}

#[test]
fn members_that_meet_nowhere_are_valid_and_give_one_state() {
    let batch = [
        pay(0, NOBODY),
        pay(1, NOBODY),
        call(2, OWN_SLOT, &[]),
        call(3, OWN_SLOT, &[]),
        call(4, VAULT, &[]),
        call(5, VAULT, &[]),
    ];

    let found = verify(&batch);

    assert!(found.is_valid(), "{found:?}");
    assert_eq!((found.orders, found.conflict_count), (4, 0));
    let backwards: Vec<_> = batch.iter().rev().cloned().collect();
    let more = VerifyOptions { orders: 20, seed: 9, ..VerifyOptions::default() };
    let again = verify_on(Fork::Osaka, &backwards, &more);
    assert_eq!((again.post_state, again.gas_used, again.orders), (found.post_state, found.gas_used, 20));
    assert_ne!(verify(&batch[1..]).post_state, found.post_state);
}

#[test]
fn two_writers_of_a_slot_are_named() {
    let (a, b) = (call(0, COUNTER, &[]), call(1, COUNTER, &[]));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (COUNTER, SLOT_0), [Access::WRITE, Access::WRITE]);
    assert_eq!(found.divergence.expect("the second pays less for its write").what, "gas");
}

#[test]
fn an_observed_balance_that_another_changes_is_named() {
    let (a, b) = (ask(0, BALANCE_OF, NOBODY), pay(1, NOBODY));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (NOBODY, Field::Balance), [Access::READ, Access::CREDIT]);
}

#[test]
fn two_nonces_of_one_sender_are_named() {
    let a = pay(0, NOBODY);
    let b = Arc::new(signed(0, Transaction { nonce: 1, ..plain(Some(NOBODY), &[]) }));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (address(0), Field::Nonce), [Access::WRITE, Access::WRITE]);
    assert_eq!(found.divergence.expect("backwards the nonces do not fit").what, "validity");
}

#[test]
fn code_that_comes_into_being_is_named() {
    // Init code that leaves one byte of code.
    let init = [0x60, 1, 0x5f, 0xf3];
    let a = Arc::new(signed(0, plain(None, &init)));
    let b = ask(1, CODE_SIZE_OF, address(0).create(0));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (address(0).create(0), Field::Code), [Access::WRITE, Access::READ]);
}

#[test]
fn two_creations_at_one_address_are_named() {
    let (a, b) = (call(0, FACTORY, &[]), call(1, FACTORY, &[]));
    let found = verify(&among_others(&a, &b));
    let destination = FACTORY.create2_from_code([0; 32], []);
    assert_names(&found, [&a, &b], (destination, Field::Nonce), [Access::WRITE, Access::WRITE]);
    assert!(found.divergence.is_some());
}

#[test]
fn a_contract_that_destroys_itself_is_named() {
    for fork in [Fork::Shanghai, Fork::Osaka] {
        let (a, b) = (call(0, MORTAL, &[]), call(1, MORTAL, &[]));
        let found = verify_on(fork, &among_others(&a, &b), &VerifyOptions::default());
        let changes = if fork == Fork::Osaka { Access::DEBIT } else { Access::WRITE };
        assert_names(&found, [&a, &b], (MORTAL, Field::Balance), [Access::READ, changes]);
    }
    let (a, b) = (call(0, MORTAL, &[]), ask(1, CODE_SIZE_OF, MORTAL));
    let found = verify_on(Fork::Shanghai, &among_others(&a, &b), &VerifyOptions::default());
    assert_names(&found, [&a, &b], (MORTAL, Field::Code), [Access::WRITE, Access::READ]);
}

#[test]
fn the_hash_of_code_that_is_not_there_is_an_observation() {
    let (a, b) = (ask(0, CODE_HASH_OF, NOBODY), pay(1, NOBODY));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (NOBODY, Field::Balance), [Access::READ, Access::CREDIT]);
    assert_eq!(found.divergence.expect("the hash is another once the account exists").what, "gas");
}

fn delegate(sender: u8, authority: u8, nonce: u64) -> SharedTransaction {
    let unsigned = Authorization {
        chain_id: U256::from(1),
        address: OWN_SLOT,
        nonce,
        y_parity: 0,
        r: U256::ZERO,
        s: U256::ZERO,
    };
    let key = SecretKey::from_byte_array([authority + 1; 32]).expect("a good key");
    let message = Message::from_digest(unsigned.signing_hash().0);
    let (id, compact) = Secp256k1::signing_only().sign_ecdsa_recoverable(message, &key).serialize_compact();
    let authorization = Authorization {
        y_parity: u8::from(id != RecoveryId::Zero),
        r: U256::from_be_slice(&compact[..32]),
        s: U256::from_be_slice(&compact[32..]),
        ..unsigned
    };
    let tx = Transaction { tx_type: 4, authorization_list: vec![authorization], ..plain(Some(NOBODY), &[]) };
    Arc::new(signed(sender, tx))
}

#[test]
fn a_delegation_is_named_by_who_calls_and_by_who_sends() {
    let (a, b) = (delegate(0, 5, 0), call(1, address(5), &[]));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (address(5), Field::Code), [Access::WRITE, Access::READ]);

    // It fails unless the authority's own transaction went first: a nonce that was only looked at.
    let (a, b) = (delegate(0, 5, 1), pay(5, NOBODY));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (address(5), Field::Nonce), [Access::READ, Access::WRITE]);
    assert!(found.divergence.is_some());
}

#[test]
fn an_observer_of_the_beneficiary_meets_everybodys_fee() {
    let batch = [ask(0, BALANCE_OF, BENEFICIARY), pay(1, NOBODY), pay(2, NOBODY)];
    let found = verify(&batch);
    let named: Vec<_> = found.conflicts.iter().map(|named| (named.a, named.b)).collect();
    assert_eq!(named, [(batch[0].tx.hash, batch[1].tx.hash), (batch[0].tx.hash, batch[2].tx.hash)]);
    let fees = Location { address: BENEFICIARY, field: Field::Balance };
    assert!(found.conflicts.iter().all(|named| named.conflict.location == fees));
    assert!(found.divergence.is_some());
}

#[test]
fn a_vault_that_pays_two_but_not_three_is_found_by_the_sum() {
    let batch: Vec<_> = (0..3).map(|sender| call(sender, VAULT, &[])).collect();

    assert!(verify(&batch[..2]).is_valid());
    let found = verify(&batch);

    assert_eq!(found.conflict_count, 0, "no two of them conflict");
    let short = &found.shortfalls[0];
    assert_eq!((short.address, short.balance, short.required), (VAULT, U256::from(10), U256::from(12)));
    assert_eq!(short.members, batch.iter().map(|tx| tx.tx.hash).collect::<Vec<_>>());
    assert!(!found.is_valid() && found.divergence.is_some());
}

#[test]
fn the_first_funding_of_an_empty_account_is_named() {
    let (a, b) = (ask(0, FUNDER, NOBODY), ask(1, FUNDER, NOBODY));
    let found = verify(&among_others(&a, &b));
    assert_names(&found, [&a, &b], (NOBODY, Field::Balance), [Access::READ, Access::CREDIT]);
    assert_eq!(found.divergence.expect("the first pays for the new account").what, "gas");
}

#[test]
fn transient_storage_is_no_conflict() {
    let found = verify(&[call(0, TRANSIENT, &[]), call(1, TRANSIENT, &[])]);
    assert!(found.is_valid(), "{found:?}");
}

#[test]
fn what_cannot_be_executed_is_named_with_the_reason() {
    let ahead = Arc::new(signed(0, Transaction { nonce: 4, ..plain(Some(NOBODY), &[]) }));
    let found = verify(&[ahead.clone(), pay(1, NOBODY)]);
    assert!(!found.is_valid());
    let expected = format!("nonce too high: address {}, tx: 4 state: 0", address(0));
    assert_eq!(found.invalid, [(ahead.tx.hash, expected)]);
}

#[test]
fn work_is_bounded_by_the_gas_that_the_caller_grants() {
    let (rules, state, block) = (rules(Fork::Osaka), state(), BlockContext::default());
    let setting = Setting { rules: &rules, block: &block, view: &state };
    let batch = [pay(0, NOBODY), pay(1, NOBODY)];
    let refuse = |batch: &[SharedTransaction], gas_cap| {
        let options = VerifyOptions { gas_cap, ..VerifyOptions::default() };
        match verify_batch(&setting, batch, &options) {
            Err(CoreError::InvalidArgument(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refuse(&batch, 399_999), "batch declares 400000 gas, more than 399999");
    let twice = [batch[0].clone(), batch[0].clone()];
    assert!(refuse(&twice, u64::MAX).ends_with("is there twice"));
}

#[test]
fn conflicts_are_counted_beyond_those_listed() {
    let batch: Vec<_> = (0..8).map(|sender| call(sender, COUNTER, &[])).collect();
    let options = VerifyOptions { max_conflicts: 5, ..VerifyOptions::default() };
    let found = verify_on(Fork::Osaka, &batch, &options);
    assert_eq!((found.conflicts.len(), found.conflict_count), (5, 28));
}
