//! Blocks made to be awkward: everything conflicts, hints lie, keys are alike. The result is the
//! serial one, and the work is bounded, counted in executions.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::execution::{ExecuteOptions, ExecutionStatistics, Mode, Techniques};
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction};
use support::agreement::{Case, Engine, Findings, Task, compare_ways, compare_with, in_order};
use support::hints::wrong_hints;
use support::tiny::{ETHER, block, chain, contract, executor, shared, transaction};
use support::ways::{Hints, Speculation, Way};

const LINKS: Address = Address::repeat_byte(0x11);
const TOKEN: Address = Address::repeat_byte(0x70);
const READER: Address = Address::repeat_byte(0x4e);
const THREADS: [usize; 3] = [1, 2, 8];

/// SSTORE(word 1, SLOAD(word 0) + 1).
const LINK: [u8; 12] = [0x60, 0, 0x35, 0x54, 0x60, 1, 0x01, 0x60, 32, 0x35, 0x55, 0x00];
/// Takes one from the slot named after the caller and adds one to slot 0.
const PAY: [u8; 19] =
    [0x33, 0x54, 0x60, 1, 0x90, 0x03, 0x33, 0x55, 0x60, 0, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x55, 0x00, 0x00];

fn sender(index: usize) -> Address {
    Address::left_padding_from(&(0x5e00_0000 + index as u64).to_be_bytes())
}

/// Where a storm happens.
struct World {
    spec: ChainSpec,
    block: BlockContext,
    state: MemoryState,
}

impl World {
    /// A block with room for all and a state with so many senders.
    fn new(senders: usize) -> Self {
        let spec = chain("Cancun");
        let block = BlockContext { gas_limit: 1 << 40, ..block(&spec) };
        let mut state = MemoryState::new();
        for index in 0..senders {
            state.insert_account(sender(index), Account { balance: ETHER, ..Account::default() }, None);
        }
        contract(&mut state, LINKS, 0, &LINK);
        contract(&mut state, TOKEN, 0, &PAY);
        Self { spec, block, state }
    }

    /// The transactions as a given block.
    fn given<'a>(&'a self, transactions: &'a [SharedTransaction], seed: u64) -> Case<'a> {
        let Self { spec, block, state } = self;
        Case { spec, block, transactions, state, task: Task::Import, seed, pauses: false }
    }
}

/// A call that reads one slot and writes another.
fn link(index: usize, read: U256, write: U256) -> RecoveredTransaction {
    let mut tx = transaction(sender(index), 0, Some(LINKS), 0);
    tx.tx.data = [read, write].iter().flat_map(U256::to_be_bytes::<32>).collect();
    tx
}

fn links(count: usize, slots: impl Fn(usize) -> (usize, usize)) -> Vec<SharedTransaction> {
    shared((0..count).map(|index| {
        let (read, write) = slots(index);
        link(index, U256::from(read), U256::from(write))
    }))
}

fn plainly(threads: usize, hints: Hints) -> Way {
    let techniques = Techniques::default();
    Way::Parallel(Speculation { threads, recheck: false, techniques, hints, keeps: false })
}

/// Runs a block on so many threads.
fn storm_on(transactions: &[SharedTransaction], hints: Hints, threads: usize) -> ExecutionStatistics {
    let world = World::new(transactions.len());
    let case = world.given(transactions, 3);
    let findings: Findings = compare_ways(&executor(), &case, std::iter::once(plainly(threads, hints)));
    let statistics = findings.statistics[0].clone();
    let built = findings.agreed().expect("a valid block");
    assert!(built.outcome.receipts.iter().all(|receipt| receipt.success));
    statistics
}

/// The same on every number of threads.
fn storm(transactions: &[SharedTransaction], hints: Hints) -> impl Iterator<Item = ExecutionStatistics> {
    THREADS.into_iter().map(move |threads| storm_on(transactions, hints, threads))
}

/// Runs of which one must stay within its bound: while a busy machine does not let the committer go
/// on, the others may fill the window, and all of that is thrown away.
const TRIES: usize = 10;

/// The window lets half of the executions be thrown away at most for long; the rest is for the
/// samples until it is closed.
fn assert_bounded(what: &str, transactions: &[SharedTransaction]) {
    let count = transactions.len();
    for threads in THREADS {
        let bound = if threads == 1 { count } else { count * 8 / 5 + 64 };
        let mut least = usize::MAX;
        for _ in 0..TRIES {
            least = least.min(storm_on(transactions, Hints::Absent, threads).executions as usize);
            if least <= bound {
                break;
            }
        }
        assert!(least <= bound, "{what}: at least {least} executions of {count} on {threads} threads");
    }
}

#[test]
fn storms_of_conflicts_waste_a_bounded_part_of_the_work() {
    const COUNT: usize = 1_000;
    /// From a transaction's index to the two slots that it uses.
    type Shape = fn(usize) -> (usize, usize);
    let shapes: [(&str, Shape); 4] = [
        ("a chain through one slot", |_| (0, 0)),
        ("two slots in turn", |index| (index % 2, index % 2)),
        ("a triangle", |index| (index / 2, index)),
        ("a star", |index| (0, index)),
    ];
    for (what, slots) in shapes {
        assert_bounded(what, &links(COUNT, slots));
    }
    let payments = shared((0..COUNT).map(|index| transaction(sender(index), 0, Some(TOKEN), 0)));
    assert_bounded("one token, one recipient", &payments);
}

#[test]
fn true_hints_leave_nothing_to_be_thrown_away() {
    const COUNT: usize = 500;
    for statistics in storm(&links(COUNT, |index| (index % 4, index % 4)), Hints::True) {
        assert_eq!(statistics.executions as usize, COUNT, "{} threads", statistics.threads);
    }
}

#[test]
fn wrong_hints_cost_no_execution_where_nothing_conflicts() {
    const COUNT: usize = 300;
    let world = World::new(COUNT);
    let transactions = links(COUNT, |index| (index, index));
    for seed in 0..20 {
        let case = world.given(&transactions, seed);
        let ways = THREADS.into_iter().map(|threads| plainly(threads, Hints::Wrong));
        let findings = compare_ways(&executor(), &case, ways);
        for statistics in &findings.statistics {
            assert_eq!(statistics.executions as usize, COUNT, "seed {seed}, {} threads", statistics.threads);
        }
        findings.agreed().expect("a valid block");
    }
}

#[test]
fn no_hint_makes_a_transaction_run_more_than_twice() {
    const COUNT: usize = 200;
    let world = World::new(COUNT);
    let transactions = links(COUNT, |index| (index % 7, index % 5));
    let case = world.given(&transactions, 1);
    let serial = Way::Serial.options(0, COUNT, &[]);
    let executor = executor();
    let oracle = executor.run(&case, &serial).expect("a valid block");
    let hostile: [Vec<Vec<u32>>; 5] = [
        (0..COUNT as u32).map(|index| (index + 1..COUNT as u32).collect()).collect(),
        (0..COUNT as u32).map(|index| (0..index).collect()).collect(),
        vec![vec![u32::MAX; 64]; 3 * COUNT],
        (0..COUNT as u32).map(|index| vec![index]).collect(),
        wrong_hints(9, COUNT),
    ];
    for dependencies in hostile {
        for threads in THREADS {
            let options = ExecuteOptions {
                mode: Mode::Parallel,
                threads,
                dependencies: dependencies.clone(),
                ..ExecuteOptions::default()
            };
            let built = executor.run(&case, &options).expect("a valid block");

            assert_eq!(built.outcome.receipts, oracle.outcome.receipts);
            assert_eq!(built.outcome.changes, oracle.outcome.changes);
            assert!(built.outcome.statistics.executions_per_transaction.iter().all(|runs| *runs <= 2));
        }
    }
}

/// Slots as alike as can be: all differ in the same few bits of one word.
fn alike(pattern: usize, index: usize) -> U256 {
    let number = U256::from(index as u64);
    match pattern {
        0 => number << 64,
        1 => number << 192,
        2 => number << 224,
        3 => number << 240,
        4 => (number << 128) | (number << 64) | number,
        _ => U256::MAX - (number << 200),
    }
}

#[test]
fn keys_that_are_alike_are_told_apart_and_found_as_fast() {
    let nanoseconds = |pattern: usize, count: usize| {
        let world = World::new(count);
        let transactions =
            shared((0..count).map(|index| link(index, alike(pattern, index), alike(pattern, index))));
        let case = world.given(&transactions, 1);
        let engine = executor();
        let oracle = engine.run(&case, &Way::SerialSeparately.options(0, count, &[])).map(in_order);
        let way = plainly(2, Hints::Absent);
        let times = (0..3).map(|_| {
            let findings = compare_with(&engine, &case, oracle.clone(), [way].into_iter());
            let cpu_ns = findings.statistics[0].cpu_ns;
            findings.agreed().expect("a valid block");
            cpu_ns
        });
        times.min().expect("three runs").max(1)
    };
    for pattern in 0..6 {
        // Eight times the keys: linear work is 8 times as much, quadratic work 64 times.
        let ratios: Vec<_> = (0..TRIES)
            .map(|_| nanoseconds(pattern, 4_000) / nanoseconds(pattern, 500))
            .take_while(|ratio| *ratio > 24)
            .collect();
        assert!(ratios.len() < TRIES, "pattern {pattern}: 8 times the keys take {ratios:?} times as long");
    }
}

/// What READER has stored after all of that was sent, the same in all ways.
fn storage_in(world: &World, sent: Vec<RecoveredTransaction>) -> BTreeMap<U256, U256> {
    let transactions = shared(sent);
    let case = Case { pauses: true, ..world.given(&transactions, 11) };
    let ways = support::ways::Ways::All.of(case.seed);
    let built = compare_ways(&executor(), &case, ways).agreed().expect("a valid block");
    assert!(built.outcome.receipts.iter().all(|receipt| receipt.success));
    let change = built.outcome.changes.accounts.get(&READER).expect("it stored something");
    change.storage.iter().map(|(slot, value)| (*slot, *value)).collect()
}

/// The same where READER has that code and that balance.
fn storage_after(code: &[u8], balance: u64, sent: Vec<RecoveredTransaction>) -> BTreeMap<U256, U256> {
    let mut world = World::new(sent.len());
    contract(&mut world.state, READER, balance, code);
    storage_in(&world, sent)
}

fn calls(count: usize, value: u64) -> Vec<RecoveredTransaction> {
    (0..count).map(|index| transaction(sender(index), 0, Some(READER), value)).collect()
}

#[test]
fn two_reads_of_one_slot_in_one_transaction_give_one_value() {
    // SLOAD(0), SLOAD(1) to pass time, SLOAD(0): stores under the caller whether both were equal,
    // and adds one to slot 0.
    let code = [
        0x60, 0, 0x54, 0x60, 1, 0x54, 0x50, 0x60, 0, 0x54, 0x80, 0x60, 1, 0x01, 0x60, 0, 0x55, 0x14, 0x33,
        0x55, 0x00,
    ];
    let storage = storage_after(&code, 0, calls(24, 0));

    assert_eq!(storage.len(), 25);
    assert_eq!(storage[&U256::ZERO], U256::from(24));
    assert!(storage.iter().skip(1).all(|(_, same)| *same == U256::ONE), "{storage:?}");
}

#[test]
fn a_balance_that_was_seen_is_there_when_all_of_it_is_sent() {
    // CALL(caller, SELFBALANCE), and stores verdict + 1 under the caller.
    let code = [
        0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x47, 0x33, 0x61, 0x75, 0x30, 0xf1, 0x60, 1, 0x01, 0x33, 0x55,
        0x00,
    ];
    let storage = storage_after(&code, 40, calls(24, 7));

    assert_eq!(storage.len(), 24);
    assert!(storage.values().all(|verdict| *verdict == U256::from(2)), "{storage:?}");
}

#[test]
fn code_and_its_hash_come_from_one_version() {
    // Under the caller: whether keccak(EXTCODECOPY) is EXTCODEHASH of the account in the calldata, plus
    // one. Under what is not the caller: that hash.
    let reader = [
        0x60, 23, 0x60, 0, 0x60, 0, 0x60, 0, 0x35, 0x3c, 0x60, 23, 0x60, 0, 0x20, 0x60, 0, 0x35, 0x3f, 0x80,
        0x33, 0x19, 0x55, 0x14, 0x60, 1, 0x01, 0x33, 0x55, 0x00,
    ];
    let mut world = World { spec: chain("Prague"), ..World::new(40) };
    world.block.excess_blob_gas = Some(0);
    contract(&mut world.state, READER, 0, &reader);
    for system in [
        parallelpool_core::system::WITHDRAWAL_REQUEST_CONTRACT,
        parallelpool_core::system::CONSOLIDATION_REQUEST_CONTRACT,
    ] {
        contract(&mut world.state, system, 0, &[0]);
    }
    let key = [0x5e; 32];
    let authority = delegation(&key, 0).1;
    let delegated = [&[0xef, 1, 0][..], READER.as_slice()].concat();
    world.state.insert_account(
        authority,
        Account { nonce: 0, balance: ETHER, ..Account::default() },
        Some(delegated.into()),
    );
    let sent = (0..40).map(|index| {
        let mut tx = transaction(sender(index), 0, Some(READER), 0);
        if index % 2 == 0 {
            (tx.tx.tx_type, tx.tx.chain_id) = (4, Some(1));
            tx.tx.authorization_list = vec![delegation(&key, index as u64 / 2).0];
        }
        tx.tx.data = authority.into_word().0.into();
        tx
    });
    let storage = storage_in(&world, sent.collect());

    let (verdicts, hashes): (Vec<_>, Vec<_>) = storage.iter().partition(|(slot, _)| **slot < U256::MAX >> 1);
    let distinct: BTreeSet<_> = hashes.iter().map(|(_, hash)| **hash).collect();

    assert_eq!((verdicts.len(), hashes.len()), (40, 40));
    assert!(verdicts.iter().all(|(_, verdict)| **verdict == U256::from(2)), "{storage:?}");
    assert_eq!(distinct.len(), 20, "each delegation is seen, by its own transaction and the next");
}

/// An authorization of the key's account to another address each time.
fn delegation(key: &[u8; 32], nonce: u64) -> (parallelpool_core::tx::Authorization, Address) {
    let mut signed = parallelpool_core::tx::Authorization {
        chain_id: U256::ONE,
        address: Address::left_padding_from(&(0xde00 + nonce).to_be_bytes()),
        nonce,
        y_parity: 0,
        r: U256::ZERO,
        s: U256::ZERO,
    };
    let secret = secp256k1::SecretKey::from_byte_array(*key).expect("a good key");
    let message = secp256k1::Message::from_digest(signed.signing_hash().0);
    let signature = secp256k1::Secp256k1::signing_only().sign_ecdsa_recoverable(message, &secret);
    let (id, compact) = signature.serialize_compact();
    signed.y_parity = u8::from(id != secp256k1::ecdsa::RecoveryId::Zero);
    (signed.r, signed.s) = (U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]));
    let authority = signed.recover_authority().expect("a signer");
    (signed, authority)
}

#[test]
fn what_was_absent_is_found_once_an_earlier_transaction_made_it() {
    const ABSENT: Address = Address::repeat_byte(0xab);
    // Stores balance, code size and code hash of the account in word 0, and slot 9 plus one, at
    // four slots from word 1 on; then sets slot 9 to word 1.
    let code = [
        0x60, 0, 0x35, 0x31, 0x60, 32, 0x35, 0x55, // BALANCE
        0x60, 0, 0x35, 0x3b, 0x60, 32, 0x35, 0x60, 1, 0x01, 0x55, // EXTCODESIZE
        0x60, 0, 0x35, 0x3f, 0x60, 32, 0x35, 0x60, 2, 0x01, 0x55, // EXTCODEHASH
        0x60, 9, 0x54, 0x60, 1, 0x01, 0x60, 32, 0x35, 0x60, 3, 0x01, 0x55, // SLOAD
        0x60, 32, 0x35, 0x60, 9, 0x55, 0x00,
    ];
    let read = |index: usize| {
        let mut tx = transaction(sender(index), 0, Some(READER), 0);
        tx.tx.data = [ABSENT.into_word().0, U256::from(16 * (index + 1)).to_be_bytes()].concat().into();
        tx.tx.gas_limit = 300_000;
        tx
    };
    let sent = vec![read(0), transaction(sender(1), 0, Some(ABSENT), 5), read(2)];
    let storage = storage_after(&code, 0, sent);
    let at = |slot: u64| storage.get(&U256::from(slot)).copied().unwrap_or_default();
    let empty_hash = U256::from_be_bytes(Account::default().code_hash.0);

    assert_eq!([at(16), at(17), at(18), at(19)], [U256::ZERO, U256::ZERO, U256::ZERO, U256::ONE]);
    assert_eq!([at(48), at(49), at(50), at(51)], [U256::from(5), U256::ZERO, empty_hash, U256::from(17)]);
}
