//! One transaction on one made-up state: what it does and what it is charged.

mod calls;
mod inspecting;
mod metering;
mod observing;
mod verdicts;

use super::*;
use crate::chainspec::BlobParameters;
use crate::evm::database::ViewDatabase;
use crate::primitives::{KECCAK_EMPTY, keccak256};
use crate::state::Account;
use crate::state::memory::MemoryState;
use crate::tx::Transaction;

const SENDER: Address = Address::repeat_byte(0x51);
const CONTRACT: Address = Address::repeat_byte(0xc0);
const RECIPIENT: Address = Address::repeat_byte(0x4e);
const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

const BLOBS: BlobParameters = BlobParameters { target: 3, max: 6, base_fee_update_fraction: 3_338_477 };

fn rules(fork: Fork) -> Rules {
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: 1,
        blobs: (fork >= Fork::Cancun).then_some(BLOBS),
        parallel_tx_type: (fork >= Fork::London).then_some(5),
        amsterdam: Default::default(),
    }
}

fn block() -> BlockContext {
    BlockContext {
        number: 7,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 30_000_000,
        base_fee: Some(10),
        excess_blob_gas: Some(0),
        prev_randao: Some(B256::ZERO),
        ..BlockContext::default()
    }
}

fn state(code: &[u8]) -> MemoryState {
    let mut state = MemoryState::new();
    state.insert_account(SENDER, Account { balance: ETHER, ..Account::default() }, None);
    state.insert_account(CONTRACT, Account { nonce: 1, ..Account::default() }, Some(code.to_vec().into()));
    state
}

fn transaction(to: Option<Address>, value: u64, data: &[u8]) -> RecoveredTransaction {
    let tx = Transaction {
        tx_type: 2,
        chain_id: Some(1),
        gas_limit: 200_000,
        max_fee_per_gas: U256::from(100),
        max_priority_fee_per_gas: U256::from(3),
        to,
        value: U256::from(value),
        data: data.to_vec().into(),
        r: U256::ONE,
        s: U256::ONE,
        ..Transaction::default()
    };
    RecoveredTransaction { tx, sender: SENDER }
}

fn execute(state: &MemoryState, fork: Fork, tx: &RecoveredTransaction) -> TxExecution {
    Evm::new(&rules(fork), &block(), ViewDatabase(state)).execute(tx).expect("memory state never fails")
}

#[test]
fn a_transfer_moves_value_and_leaves_the_fee_to_the_committer() {
    let execution = execute(&state(&[]), Fork::Shanghai, &transaction(Some(RECIPIENT), 5, &[]));
    let result = execution.outcome.expect("valid");

    assert!(result.success);
    assert_eq!((result.gas_used, result.effective_gas_price), (21_000, 13));
    assert_eq!(result.fee, U256::from(3 * 21_000));
    let mut writes = execution.writes;
    writes.sort_by_key(|write| write.address);
    let addresses: Vec<_> = writes.iter().map(|write| write.address).collect();
    assert_eq!(addresses, [RECIPIENT, SENDER]);
    assert_eq!(
        writes[0].account,
        Some(Some(Account { nonce: 0, balance: U256::from(5), code_hash: KECCAK_EMPTY }))
    );
    let spent = U256::from(5 + 13 * 21_000);
    assert_eq!(
        writes[1].account.flatten().map(|account| (account.nonce, account.balance)),
        Some((1, ETHER - spent))
    );
}

/// Returns the first 32 bytes of its calldata.
const ECHO: [u8; 9] = [0x5f, 0x35, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3, 0x00];

#[test]
fn a_tagged_contract_call_arrives_without_its_tag_and_pays_for_all_of_it() {
    let mut tagged = transaction(Some(CONTRACT), 0, b"PARALLEL\xa9\x05\x9c\xbb");
    (tagged.tx.tx_type, tagged.tx.is_parallel) = (5, true);
    let plain = transaction(Some(CONTRACT), 0, b"\xa9\x05\x9c\xbb");
    let state = state(&ECHO);
    let tagged = execute(&state, Fork::Shanghai, &tagged).outcome.expect("valid");
    let plain = execute(&state, Fork::Shanghai, &plain).outcome.expect("valid");

    assert_eq!(&tagged.output[..4], b"\xa9\x05\x9c\xbb");
    assert_eq!(tagged.output, plain.output);
    assert_eq!(tagged.gas_used, plain.gas_used + 16 * b"PARALLEL".len() as u64);
}

#[test]
fn a_tagged_creation_runs_the_code_behind_the_tag() {
    // PUSH1 1, PUSH0, RETURN: the contract's code is one zero byte.
    let mut creation = transaction(None, 0, b"SEQUENTIAL\x60\x01\x5f\xf3");
    (creation.tx.tx_type, creation.tx.is_parallel) = (5, true);
    let execution = execute(&state(&[]), Fork::Shanghai, &creation);
    let result = execution.outcome.expect("valid");

    assert!(result.success, "{:?}", result.halt);
    assert_eq!(result.created, Some(SENDER.create(0)));
    assert_eq!(execution.codes.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [keccak256([0])]);
}

#[test]
fn the_parallel_type_needs_a_chain_that_has_it() {
    let mut tx = transaction(Some(RECIPIENT), 0, &[]);
    (tx.tx.tx_type, tx.tx.is_parallel) = (5, true);
    let mut off = rules(Fork::Shanghai);
    off.parallel_tx_type = None;
    let state = state(&[]);
    let execution = Evm::new(&off, &block(), ViewDatabase(&state)).execute(&tx).expect("memory state");

    assert_eq!(execution.outcome, Err(InvalidTransaction::TypeNotSupported { tx_type: 5 }));
}
