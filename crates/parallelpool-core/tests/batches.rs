//! Pre-execution and batching on running contracts: what is predicted, and that batches are
//! antichains by execution, in any order.

use std::sync::{Arc, LazyLock};

use parallelpool_core::access::{Access, AccessSet, AccessSource, Field, Location};
use parallelpool_core::batching::{
    BatchKind, Builder, Candidate, Plan, PlanOptions, Pooled, Selection, Strategy, plan,
};
use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{Fork, Rules};
use parallelpool_core::execution::{BlockOutcome, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::preexecute::PreExecution;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction, Tag, Transaction};
use parallelpool_core::workers::Workers;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const VAULT: Address = Address::repeat_byte(0xc1);
const COUNTER: Address = Address::repeat_byte(0xc2);
const OWN_SLOT: Address = Address::repeat_byte(0xc3);
const OBSERVER: Address = Address::repeat_byte(0xc4);
const LOOP: Address = Address::repeat_byte(0xc5);
const SELECTOR: Address = Address::repeat_byte(0xc6);
const SENDERS: u8 = 24;
const GAS_CAP: u64 = 5_000_000;

/// Pays 4 wei to the caller.
const VAULT_CODE: &[u8] = &[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 4, 0x33, 0x5a, 0xf1, 0x00];
/// Adds one to slot 0.
const COUNTER_CODE: &[u8] = &[0x5f, 0x54, 0x60, 1, 0x01, 0x5f, 0x55, 0x00];
/// Adds one to the slot named after the caller, and logs it.
const OWN_SLOT_CODE: &[u8] = &[0x33, 0x54, 0x60, 1, 0x01, 0x33, 0x55, 0x33, 0x5f, 0x5f, 0xa1, 0x00];
/// Stores the balance of the account in its calldata under the caller.
const OBSERVER_CODE: &[u8] = &[0x5f, 0x35, 0x31, 0x33, 0x55, 0x00];
/// Never ends.
const LOOP_CODE: &[u8] = &[0x5b, 0x5f, 0x56];
/// Stores the first word of its calldata in slot 0.
const SELECTOR_CODE: &[u8] = &[0x5f, 0x35, 0x5f, 0x55, 0x00];

fn rules() -> Rules {
    let fork = Fork::Osaka;
    Rules {
        fork,
        spec_id: fork.spec_id(),
        chain_id: 1,
        blobs: None,
        parallel_tx_type: Some(5),
        amsterdam: Default::default(),
    }
}

fn block() -> BlockContext {
    BlockContext {
        number: 1,
        timestamp: 1_000,
        beneficiary: BENEFICIARY,
        gas_limit: 60_000_000,
        base_fee: Some(10),
        prev_randao: Some(B256::ZERO),
        ..BlockContext::default()
    }
}

fn key(sender: u8) -> [u8; 32] {
    [sender + 1; 32]
}

fn address(sender: u8) -> Address {
    call(sender, 0, None, VAULT, 0, &[]).sender
}

/// A signed call; `tag` makes it a parallel transaction.
fn call(
    sender: u8,
    nonce: u64,
    tag: Option<Tag>,
    to: Address,
    value: u64,
    data: &[u8],
) -> RecoveredTransaction {
    let prefix: &[u8] = match tag {
        None => b"",
        Some(Tag::Parallel) => b"PARALLEL",
        Some(Tag::Sequential) => b"SEQUENTIAL",
    };
    let tx = Transaction {
        tx_type: if tag.is_some() { 5 } else { 2 },
        is_parallel: tag.is_some(),
        chain_id: Some(1),
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: U256::from(100),
        max_priority_fee_per_gas: U256::from(3),
        to: Some(to),
        value: U256::from(value),
        data: [prefix, data].concat().into(),
        ..Transaction::default()
    };
    tx.signed(&key(sender)).expect("the key is valid")
}

fn state(vault_balance: u64) -> MemoryState {
    let mut state = MemoryState::new();
    for sender in 0..SENDERS {
        let balance = U256::from(10_u64.pow(18));
        state.insert_account(address(sender), Account { balance, ..Account::default() }, None);
    }
    for (contract, code) in [
        (VAULT, VAULT_CODE),
        (COUNTER, COUNTER_CODE),
        (OWN_SLOT, OWN_SLOT_CODE),
        (OBSERVER, OBSERVER_CODE),
        (LOOP, LOOP_CODE),
        (SELECTOR, SELECTOR_CODE),
    ] {
        let balance = U256::from(if contract == VAULT { vault_balance } else { 0 });
        let account = Account { nonce: 1, balance, ..Account::default() };
        state.insert_account(contract, account, Some(code.to_vec().into()));
    }
    state
}

fn access_sets(state: &MemoryState, transactions: &[SharedTransaction], gas_limit: u64) -> Vec<AccessSet> {
    let (rules, block) = (rules(), block());
    let found = PreExecution { rules: &rules, block: &block, view: state, gas_limit };
    found.run_all(&workers(), transactions).expect("a memory state does not fail")
}

fn access_set(transaction: RecoveredTransaction) -> AccessSet {
    access_sets(&state(10), &[Arc::new(transaction)], GAS_CAP).remove(0)
}

fn workers() -> Workers {
    Workers::new(2).expect("threads start")
}

fn planned(state: &MemoryState, transactions: &[SharedTransaction], sets: &[AccessSet]) -> Plan {
    let rows = transactions.iter().zip(sets);
    let candidates: Vec<_> = rows
        .map(|(tx, access)| Candidate {
            hash: tx.tx.hash,
            sender: tx.sender,
            gas_limit: tx.tx.gas_limit,
            asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
            access,
        })
        .collect();
    let options = PlanOptions { batch_size: 64, min_batch_size: 2, beneficiary: BENEFICIARY };
    plan(&candidates, options, |address| {
        state.account(address).map(|account| account.map_or(U256::ZERO, |account| account.balance))
    })
    .expect("a memory state does not fail")
}

fn execute(state: &MemoryState, transactions: &[SharedTransaction]) -> BlockOutcome {
    execute_by(Mode::Serial, state, transactions)
}

fn execute_by(mode: Mode, state: &MemoryState, transactions: &[SharedTransaction]) -> BlockOutcome {
    static WORKERS: LazyLock<Arc<Workers>> = LazyLock::new(|| Arc::new(workers()));
    let executor = Executor::new(Arc::clone(&WORKERS));
    let options = ExecuteOptions { mode, ..ExecuteOptions::default() };
    executor.execute_transactions(&rules(), &block(), transactions, state, &options).expect("all are valid")
}

fn has(set: &AccessSet, address: Address, field: Field, access: Access) -> bool {
    set.accesses.get(&Location { address, field }).is_some_and(|found| found.has(access))
}

#[test]
fn a_plain_transfer_is_known_without_running_it() {
    let to = Address::repeat_byte(0x77);
    let set = access_set(call(0, 0, None, to, 5, b"with data"));

    assert_eq!(set.source, AccessSource::Transfer);
    assert!(has(&set, to, Field::Balance, Access::CREDIT));
    assert!(!has(&set, to, Field::Balance, Access::READ));
    assert_eq!(set.debits[&address(0)], U256::from(100_000 * 100 + 5));
    assert_eq!(
        set.gas_used,
        execute(&state(10), &[Arc::new(call(0, 0, None, to, 5, b"with data"))]).gas_used
    );
}

#[test]
fn a_traced_call_names_its_slots_and_no_others() {
    let set = access_set(call(3, 7, None, OWN_SLOT, 0, &[]));

    let slot = Field::Storage(U256::from_be_bytes(address(3).into_word().0));
    assert_eq!(set.source, AccessSource::Trace);
    assert!(has(&set, OWN_SLOT, slot, Access::WRITE));
    let slots = set.accesses.keys().filter(|location| matches!(location.field, Field::Storage(_)));
    assert_eq!(slots.count(), 1);
}

#[test]
fn a_withdrawal_debits_the_vault_without_observing_it() {
    let set = access_set(call(0, 0, None, VAULT, 0, &[]));

    assert!(has(&set, VAULT, Field::Balance, Access::DEBIT));
    assert!(!has(&set, VAULT, Field::Balance, Access::READ));
    assert_eq!(set.debits[&VAULT], U256::from(4));
}

#[test]
fn a_withdrawal_that_fails_for_funds_observes_the_vault() {
    let sets = access_sets(&state(3), &[Arc::new(call(0, 0, None, VAULT, 0, &[]))], GAS_CAP);

    assert!(has(&sets[0], VAULT, Field::Balance, Access::READ));
}

#[test]
fn three_withdrawals_of_four_from_ten_are_never_one_batch() {
    let state = state(10);
    let transactions: Vec<_> = (0..3).map(|sender| Arc::new(call(sender, 0, None, VAULT, 0, &[]))).collect();
    let plan = planned(&state, &transactions, &access_sets(&state, &transactions, GAS_CAP));

    assert_eq!(plan.batches[0].members, [0, 1]);
    assert_eq!((plan.batches[1].kind, plan.batches[1].members.as_slice()), (BatchKind::Sequential, &[2][..]));
}

#[test]
fn a_run_beyond_the_gas_cap_is_of_unknown_access() {
    let sets = access_sets(&state(10), &[Arc::new(call(0, 0, None, LOOP, 0, &[]))], 50_000);
    let all_gas = access_set(call(0, 0, None, LOOP, 0, &[]));

    assert_eq!(sets[0].source, AccessSource::Unknown);
    assert_eq!((all_gas.source, all_gas.succeeded), (AccessSource::Trace, Some(false)));
}

#[test]
fn a_tagged_call_reaches_the_contract_with_its_selector_and_has_the_accesses_of_the_untagged_one() {
    let data = [0xa9, 0x05, 0x9c, 0xbb];
    let tagged = call(0, 0, Some(Tag::Parallel), SELECTOR, 0, &data);
    let plain = call(0, 0, None, SELECTOR, 0, &data);
    let (with, without) = (access_set(tagged.clone()), access_set(plain));
    let outcome = execute(&state(10), &[Arc::new(tagged)]);

    assert_eq!(with.accesses, without.accesses);
    assert!(with.gas_used > without.gas_used, "the tag is charged for");
    let stored = outcome.changes.accounts[&SELECTOR].storage[&U256::ZERO];
    assert_eq!(stored.to_be_bytes::<32>()[..5], [0xa9, 0x05, 0x9c, 0xbb, 0]);
}

#[test]
fn a_parallel_tag_on_what_conflicts_makes_no_parallel_batch() {
    let state = state(10);
    let transactions: Vec<_> =
        (0..6).map(|sender| Arc::new(call(sender, 0, Some(Tag::Parallel), COUNTER, 0, &[]))).collect();
    let plan = planned(&state, &transactions, &access_sets(&state, &transactions, GAS_CAP));

    assert!(plan.batches.iter().all(|batch| batch.kind == BatchKind::Sequential));
}

/// What every batch promises, by execution: 20 random orders give one state and, for each
/// transaction, the same status, gas and logs; all batches in turn give the state of the serial
/// executor on the whole list.
#[test]
fn parallel_batches_give_the_same_in_any_order() {
    let mut parallel_members = 0;
    for seed in 0..120_u64 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let state = state(rng.random_range(0..40));
        let transactions = random_transactions(&mut rng);
        let sets = access_sets(&state, &transactions, GAS_CAP);
        let plan = built(&state, &transactions, &sets, Strategy::ALL[seed as usize % 4]);
        let in_order: Vec<_> =
            plan.execution_order().map(|index| transactions[index as usize].clone()).collect();
        let serial = execute(&state, &in_order);
        let mut before = state.clone();
        for batch in &plan.batches {
            let members: Vec<_> =
                batch.members.iter().map(|&index| Arc::clone(&transactions[index as usize])).collect();
            let planned = execute(&before, &members);
            if batch.kind == BatchKind::Parallel {
                parallel_members += members.len();
                for nth in 0..20 {
                    let mode = if nth == 0 { Mode::Parallel } else { Mode::Serial };
                    assert_same_in_another_order(&before, &members, &planned, mode, &mut rng, seed);
                }
            }
            before.apply(&planned.changes);
        }
        for (address, change) in serial.changes.accounts.iter() {
            assert_eq!(before.account(address).expect("in memory"), change.after, "seed {seed}: {address}");
            for (slot, value) in change.storage.iter() {
                let stored = before.storage(address, slot).expect("in memory");
                assert_eq!(stored, *value, "seed {seed}: {address}");
            }
        }
    }

    assert!(parallel_members > 800, "only {parallel_members} transactions stood in parallel batches");
}

/// A plan of all of them by a builder; its indices point into `transactions`.
fn built(
    state: &MemoryState,
    transactions: &[SharedTransaction],
    sets: &[AccessSet],
    strategy: Strategy,
) -> Plan {
    let mut builder = Builder::new();
    let pooled = transactions.iter().zip(0..).map(|(tx, arrival)| Pooled {
        hash: tx.tx.hash,
        sender: tx.sender,
        nonce: tx.tx.nonce,
        arrival,
        gas_limit: tx.tx.gas_limit,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: u128::from(tx.tx.hash[0]),
        asks_sequential: tx.tx.tag() == Some(Tag::Sequential),
        ..Pooled::default()
    });
    builder.add_all(pooled.zip(sets));
    let selection = Selection { strategy, beneficiary: BENEFICIARY, ..Selection::default() };
    let balance = |address: &Address| {
        state.account(address).map(|account| account.map_or(U256::ZERO, |account| account.balance))
    };
    let mut plan = builder.build(&selection, balance).expect("a memory state does not fail");
    for batch in &mut plan.batches {
        for member in &mut batch.members {
            let hash = plan.candidates[*member as usize];
            *member = transactions.iter().position(|tx| tx.tx.hash == hash).expect("one of them") as u32;
        }
    }
    plan
}

fn random_transactions(rng: &mut SmallRng) -> Vec<SharedTransaction> {
    let mut nonces = [0_u64; SENDERS as usize];
    (0..rng.random_range(2..30))
        .map(|_| {
            let sender = rng.random_range(0..SENDERS);
            let nonce = nonces[usize::from(sender)];
            nonces[usize::from(sender)] += 1;
            let watched = [VAULT, address(rng.random_range(0..SENDERS)), BENEFICIARY][rng.random_range(0..3)];
            let (to, value, data) = match rng.random_range(0..10) {
                0..=2 => (address(rng.random_range(0..SENDERS)), rng.random_range(0..9), Vec::new()),
                3 => (Address::repeat_byte(rng.random_range(1..9) << 4 | 0xd), 1, Vec::new()),
                4 | 5 => (OWN_SLOT, 0, Vec::new()),
                6 => (COUNTER, 0, Vec::new()),
                7 | 8 => (VAULT, rng.random_range(0..2) * 5, Vec::new()),
                _ => (OBSERVER, 0, watched.into_word().to_vec()),
            };
            let tag = [None, Some(Tag::Parallel), Some(Tag::Sequential)]
                [[0, 0, 0, 0, 1, 2][rng.random_range(0..6)]];
            Arc::new(call(sender, nonce, tag, to, value, &data))
        })
        .collect()
}

/// The same post-state, and for each transaction the same status, gas and logs.
fn assert_same_in_another_order(
    before: &MemoryState,
    members: &[SharedTransaction],
    planned: &BlockOutcome,
    mode: Mode,
    rng: &mut SmallRng,
    seed: u64,
) {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.shuffle(rng);
    let shuffled: Vec<_> = order.iter().map(|&index| Arc::clone(&members[index])).collect();
    let other = execute_by(mode, before, &shuffled);
    assert_eq!(planned.changes, other.changes, "seed {seed}");
    for (place, &index) in order.iter().enumerate() {
        let (one, two) = (&planned.receipts[index], &other.receipts[place]);
        assert_eq!(
            (one.success, one.gas_used, &one.logs),
            (two.success, two.gas_used, &two.logs),
            "seed {seed}"
        );
    }
}
