//! Runs ahead of need on a chain: kept while nothing they read changes, applied when a block with their
//! transactions comes, and bounded whatever a sender does.

mod devchain;
mod support;

use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devchain::{SENDER, build, creation, deploying, listing, open, seal, transaction, with_gas};
use parallelpool_core::access::{Access, AccessSource, Field, Location};
use parallelpool_core::chain::{BlockAttributes, BuiltBlock, Chain};
use parallelpool_core::error::StateError;
use parallelpool_core::evm::Limit;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::predictions::{Bounds, Expected, PredictionStatistics};
use parallelpool_core::preexecute::PreExecution;
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::workers::{Priority, Workers};
use support::tiny;

const GENESIS: &[u8] = include_bytes!("../src/genesis/dev.json");
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds one to slot 0.
const COUNT: [u8; 8] = [0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00];
/// Jumps back for ever.
const LOOP: [u8; 3] = [0x5b, 0x5f, 0x56];
/// With data: sets slot 0 to 5. Without: adds one to the slot after the one that slot 0 names.
#[rustfmt::skip]
const FICKLE: [u8; 23] = [
    0x36, 0x60, 0x11, 0x57,
    0x5f, 0x54, 0x60, 0x01, 0x01,
    0x80, 0x54, 0x60, 0x01, 0x01, 0x90, 0x55, 0x00,
    0x5b, 0x60, 0x05, 0x5f, 0x55, 0x00,
];

/// Adds one to the slot keccak(argument 0 . 0).
const LEDGER: [u8; 17] =
    [0x60, 0x04, 0x35, 0x5f, 0x52, 0x60, 0x40, 0x5f, 0x20, 0x80, 0x54, 0x60, 0x01, 0x01, 0x90, 0x55, 0x00];

/// Adds one to the slot that the beneficiary names, or the time.
const BY_BENEFICIARY: [u8; 8] = [0x41, 0x54, 0x60, 0x01, 0x01, 0x41, 0x55, 0x00];
const BY_TIME: [u8; 8] = [0x42, 0x54, 0x60, 0x01, 0x01, 0x42, 0x55, 0x00];

/// A chain with contracts of these codes, in the order of their creation.
fn chain(codes: &[&[u8]]) -> (Chain, Vec<Address>) {
    let chain = open(GENESIS, None);
    let creations: Vec<_> = (0..).zip(codes).map(|(nonce, code)| creation(nonce, &deploying(code))).collect();
    seal(&chain, &creations);
    let addresses = (0..codes.len() as u64).map(|nonce| SENDER.create(nonce)).collect();
    (chain, addresses)
}

fn predict(chain: &Chain, transactions: &[SharedTransaction]) -> Vec<Expected> {
    chain.predict_accesses(transactions, PATIENCE).expect("the state can be read")
}

fn sources(found: &[Expected]) -> Vec<AccessSource> {
    found.iter().map(|one| one.set.source).collect()
}

fn statistics(chain: &Chain) -> PredictionStatistics {
    chain.predictions().statistics()
}

fn attributes(chain: &Chain) -> BlockAttributes {
    let head = chain.head();
    BlockAttributes {
        timestamp: head.header.timestamp + 1,
        beneficiary: Address::repeat_byte(0xfe),
        gas_limit: head.header.gas_limit,
        ..Default::default()
    }
}

fn built_by(chain: &Chain, candidates: &[SharedTransaction], mode: Mode) -> BuiltBlock {
    built_as(chain, candidates, mode, &attributes(chain))
}

fn built_as(
    chain: &Chain,
    candidates: &[SharedTransaction],
    mode: Mode,
    attributes: &BlockAttributes,
) -> BuiltBlock {
    let options = ExecuteOptions { mode, ..Default::default() };
    chain.build(attributes, candidates, &options).expect("good attributes")
}

#[test]
fn a_run_ahead_of_need_is_applied_in_the_block_that_is_built() {
    let (chain, contracts) = chain(&[&COUNT]);
    let call = transaction(1, Some(contracts[0]), 0, &[]);
    let found = predict(&chain, from_ref(&call));
    assert!(found[0].is_settled);
    assert_eq!(sources(&found), [AccessSource::Trace]);
    assert_eq!((statistics(&chain).held, statistics(&chain).records), (1, 1));

    let parallel = built_by(&chain, from_ref(&call), Mode::Parallel);
    let serial = built_by(&chain, &[call], Mode::Serial);
    assert_eq!((parallel.statistics.reused, serial.statistics.reused), (1, 0));
    assert_eq!(parallel.block.block.hash, serial.block.block.hash);
}

#[test]
fn a_run_ahead_of_need_is_applied_in_a_block_that_is_imported() {
    let (maker, contracts) = chain(&[&COUNT]);
    let (taker, _) = chain(&[&COUNT]);
    let call = transaction(1, Some(contracts[0]), 0, &[]);
    let block = seal(&maker, from_ref(&call));
    predict(&taker, &[call]);
    let options = ExecuteOptions { mode: Mode::Parallel, ..Default::default() };
    let imported = taker.import_block(&block.block.raw, &options).expect("a good block");

    assert_eq!(imported.statistics.reused, 1);
    assert_eq!(taker.head().hash, maker.head().hash);
}

#[test]
fn a_head_renews_what_read_what_it_changed_and_nothing_else() {
    let (chain, contracts) = chain(&[&COUNT, &COUNT]);
    let [first, same, other] = [(2, 0), (3, 0), (4, 1)]
        .map(|(nonce, at): (_, usize)| transaction(nonce, Some(contracts[at]), 0, &[]));
    predict(&chain, &[same.clone(), other.clone()]);
    assert_eq!(statistics(&chain).runs, 2);
    seal(&chain, &[first]);
    assert_eq!((statistics(&chain).held, statistics(&chain).stale), (1, 1));

    let known = chain.known_accesses(&[same.clone(), other.clone()]).expect("the state can be read");
    assert_eq!(known.iter().map(|one| one.is_settled).collect::<Vec<_>>(), [false, true]);
    predict(&chain, &[same, other]);
    assert_eq!(statistics(&chain).runs, 3);
    chain.revert_to(1).expect("there is such a block");
    assert_eq!(statistics(&chain).held, 0);
}

#[test]
fn loops_that_nobody_includes_cost_what_the_bounds_say_and_no_more() {
    let (chain, contracts) = chain(&[&LOOP]);
    let loops: Vec<_> = (1..=20).map(|nonce| with_gas(nonce, Some(contracts[0]), &[], 16_000_000)).collect();
    let began = Instant::now();
    let found = predict(&chain, &loops);
    let bounds = Bounds::default();
    let once = statistics(&chain);

    assert!(found.iter().all(|one| !one.set.is_known()));
    // A busy machine may stop some of them by the clock; those count in full.
    assert_eq!((once.runs + once.timed_out, once.refused), (4, 16));
    assert_eq!((once.capped, once.gas), (once.runs, once.runs * bounds.gas));
    assert_eq!(bounds.sender_gas, 4 * bounds.gas);
    predict(&chain, &loops);
    let twice = statistics(&chain);
    assert_eq!((twice.runs, twice.gas), (once.runs, once.gas));
    println!("20 loops of 16,000,000 gas: {:?} wall, {} ns of runs", began.elapsed(), once.busy_ns);
    // A head that changes nothing they read makes none of those that ran run again.
    seal(&chain, &[]);
    predict(&chain, &loops[..4]);
    assert!(statistics(&chain).runs - once.runs <= once.timed_out);
}

#[test]
fn a_contract_that_changes_its_ways_after_it_was_looked_at_costs_a_run_and_no_state() {
    let (chain, contracts) = chain(&[&FICKLE]);
    let turn = transaction(1, Some(contracts[0]), 0, &[1]);
    let call = transaction(2, Some(contracts[0]), 0, &[]);
    let found = predict(&chain, from_ref(&call));
    let at = |slot: u64| Location { address: contracts[0], field: Field::Storage(U256::from(slot)) };
    let writes = |set: &parallelpool_core::access::AccessSet, slot| {
        set.accesses.get(&at(slot)).is_some_and(|access| access.has(Access::WRITE))
    };
    assert!(writes(&found[0].set, 1) && !writes(&found[0].set, 6));

    let parallel = built_by(&chain, &[turn.clone(), call.clone()], Mode::Parallel);
    let serial = built_by(&chain, &[turn.clone(), call.clone()], Mode::Serial);
    assert_eq!(parallel.block.block.hash, serial.block.block.hash);
    assert_eq!(parallel.statistics.reused, 0);
    seal(&chain, &[turn]);
    let found = predict(&chain, &[call]);
    assert!(writes(&found[0].set, 6) && !writes(&found[0].set, 1));
}

#[test]
fn code_that_knows_that_it_is_looked_at_costs_an_execution_and_no_state() {
    let (chain, contracts) = chain(&[&BY_BENEFICIARY, &BY_TIME, &COUNT]);
    let calls: Vec<_> =
        (3..6).map(|nonce| transaction(nonce, Some(contracts[nonce as usize - 3]), 0, &[])).collect();
    let found = predict(&chain, &calls);
    assert_eq!((sources(&found), statistics(&chain).records), (vec![AccessSource::Trace; 3], 3));
    // As it was looked at: by this beneficiary, at this time. Only the time may have gone on since.
    let looked_at = *found[1].set.accesses.keys().find(|at| is_slot(at)).expect("the slot of the time");
    let Field::Storage(time) = looked_at.field else { unreachable!("only slots were looked for") };
    let same = BlockAttributes { timestamp: time.to(), ..attributes(&chain) };
    let others = [
        (same.clone(), 3),
        (BlockAttributes { beneficiary: Address::repeat_byte(0x99), ..same.clone() }, 2),
        (BlockAttributes { timestamp: same.timestamp + 1, ..same.clone() }, 2),
        (BlockAttributes { timestamp: same.timestamp + 9, beneficiary: contracts[2], ..same }, 0),
    ];
    for (attributes, reused) in others {
        let parallel = built_as(&chain, &calls, Mode::Parallel, &attributes);
        let serial = built_as(&chain, &calls, Mode::Serial, &attributes);
        assert_eq!(parallel.block.block.hash, serial.block.block.hash);
        assert_eq!((parallel.included.len(), parallel.statistics.reused), (3, reused), "{attributes:?}");
    }
}

fn is_slot(location: &Location) -> bool {
    matches!(location.field, Field::Storage(_))
}

#[test]
fn what_a_sender_says_is_not_taken_for_knowledge() {
    let (chain, contracts) = chain(&[&COUNT]);
    let tagged = transaction(1, Some(contracts[0]), 0, b"PARALLEL");
    let known = chain.known_accesses(from_ref(&tagged)).expect("the state can be read");
    assert_eq!(sources(&known), [AccessSource::Tag]);
    assert!(!known[0].set.is_known() && !known[0].is_settled);

    let rival = transaction(2, Some(contracts[0]), 0, b"PARALLEL");
    let found = predict(&chain, &[tagged, rival]);
    let slot = Location { address: contracts[0], field: Field::Storage(U256::ZERO) };
    assert!(found[0].set.conflicts(&found[1].set).any(|conflict| conflict.location == slot));
}

#[test]
fn a_false_access_list_costs_its_sender_gas_and_changes_no_batch_and_no_state() {
    let (chain, contracts) = chain(&[&COUNT]);
    let elsewhere = (Address::repeat_byte(0xee), U256::from(7));
    let liars = [1, 2].map(|nonce| listing(nonce, contracts[0], &[elsewhere]));
    let honest = transaction(1, Some(contracts[0]), 0, &[]);
    let known = chain.known_accesses(&liars).expect("the state can be read");
    assert_eq!(sources(&known), [AccessSource::List; 2]);
    assert!(known.iter().all(|one| !one.set.is_known()), "so it goes sequential");

    let found = predict(&chain, &liars);
    let slot = Location { address: contracts[0], field: Field::Storage(U256::ZERO) };
    assert!(found[0].set.conflicts(&found[1].set).any(|conflict| conflict.location == slot));
    assert!(found.iter().all(|one| one.set.accesses.keys().all(|at| at.address != elsewhere.0)));
    assert!(found[0].set.gas_used > predict(&chain, &[honest])[0].set.gas_used);
    let parallel = built_by(&chain, &liars, Mode::Parallel);
    let serial = built_by(&chain, &liars, Mode::Serial);
    assert_eq!(parallel.block.block.hash, serial.block.block.hash);
    assert_eq!(parallel.included.len(), 2);
}

#[test]
fn nothing_runs_ahead_of_need_while_a_block_is_executed() {
    let (chain, contracts) = chain(&[&COUNT]);
    let call = transaction(1, Some(contracts[0]), 0, &[]);
    chain.workers().run(1, |_| {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| predict(&chain, from_ref(&call)));
            assert!(!asked.join().expect("no panic")[0].is_settled);
        });
    });
    assert_eq!(statistics(&chain).runs, 0);
    assert!(predict(&chain, &[call])[0].is_settled);
}

#[test]
fn execution_ends_a_run_ahead_of_need_in_the_middle() {
    let spec = tiny::chain("Cancun");
    let block = tiny::block(&spec);
    let rules = spec.rules_in(&block);
    let mut state = MemoryState::new();
    tiny::rich(&mut state, tiny::account(1));
    let contract = Address::repeat_byte(0xc0);
    tiny::contract(&mut state, contract, 0, &LOOP);
    let mut endless = tiny::transaction(tiny::account(1), 0, Some(contract), 0);
    endless.tx.gas_limit = 1 << 44;
    let workers = Workers::new(2).expect("threads start");
    let outranked = Some(workers.outranked_by(Priority::Execution));
    let limit = Limit { outranked, ..Limit::default() };
    let at = PreExecution { rules: &rules, block: &block, view: &state, gas_limit: u64::MAX };

    std::thread::scope(|scope| {
        let run = scope.spawn(move || at.predict(&endless, limit).map(|found| found.set));
        // Somebody executes until the run has ended: only that ends it.
        let run = Arc::new(parking_lot::Mutex::new(Some(run)));
        workers.run(1, |_| {
            let run = run.lock().take().expect("once");
            assert_eq!(run.join().expect("no panic"), Err(StateError::Interrupted));
        });
    });
}

#[test]
fn the_clock_ends_a_run_that_gas_would_let_go_on() {
    let (chain, contracts) = chain(&[&LOOP]);
    chain.predictions().set_bounds(Bounds { gas: u64::MAX, time: Duration::ZERO, ..Bounds::default() });
    let call = with_gas(1, Some(contracts[0]), &[], 16_000_000);
    let found = predict(&chain, &[call]);

    assert!(!found[0].is_settled);
    assert_eq!((statistics(&chain).timed_out, statistics(&chain).held), (1, 0));
    assert_eq!(build(&chain, &[]).included.len(), 0);
}

/// A call of a [`LEDGER`] that nobody has made before.
fn entry(nonce: u64, contract: Address, argument: u8) -> SharedTransaction {
    transaction(nonce, Some(contract), 0, &[&[7, 7, 7, 7][..], &[argument; 32]].concat())
}

fn known(chain: &Chain, tx: &SharedTransaction) -> Expected {
    chain.known_accesses(from_ref(tx)).expect("the state can be read").remove(0)
}

#[test]
fn a_run_ahead_of_need_teaches_once_its_transaction_is_in_a_block() {
    let (chain, contracts) = chain(&[&LEDGER]);
    let (first, next) = (entry(1, contracts[0], 1), entry(2, contracts[0], 2));
    predict(&chain, from_ref(&first));
    assert_eq!(statistics(&chain).templates, 0, "nobody has paid for it yet");
    seal(&chain, &[first]);
    let before = statistics(&chain);
    assert_eq!(chain.learn_from(2, 0, PATIENCE), Ok(1), "without gas, since it has run");
    let after = statistics(&chain);
    assert_eq!((after.templates, after.lessons, after.gas), (1, 1, before.gas));

    let guess = known(&chain, &next);
    assert_eq!((guess.set.source, guess.is_settled), (AccessSource::Template, false));
    assert_eq!(guess.set.accesses, predict(&chain, &[next])[0].set.accesses);
    assert_eq!(chain.learn_from(9, u64::MAX, PATIENCE), Ok(0), "there is no such block");
}

#[test]
fn code_that_nobody_has_called_is_probed_and_what_that_shows_is_no_knowledge() {
    let (chain, contracts) = chain(&[&LEDGER]);
    let (first, next) = (entry(1, contracts[0], 1), entry(2, contracts[0], 2));
    // No run on the real state; and a busy machine is no reason to give up.
    let bounds = Bounds { sender_gas: 0, time: PATIENCE, ..Bounds::default() };
    chain.predictions().set_bounds(bounds);
    assert_eq!(known(&chain, &next).set.source, AccessSource::Unknown);
    let found = predict(&chain, from_ref(&first)).remove(0);

    assert_eq!((found.set.source, found.is_settled), (AccessSource::Probe, false));
    let guess = known(&chain, &next);
    assert_eq!((guess.set.source, guess.set.is_known()), (AccessSource::Probe, false));
    assert_eq!((statistics(&chain).runs, statistics(&chain).templates), (0, 0));
    chain.predictions().set_bounds(Bounds { time: PATIENCE, ..Bounds::default() });
    assert_eq!(guess.set.accesses, predict(&chain, from_ref(&next))[0].set.accesses);
    seal(&chain, &[first]);
    assert_eq!(chain.learn_from(2, u64::MAX, PATIENCE), Ok(1));
    assert_eq!(known(&chain, &entry(3, contracts[0], 3)).set.source, AccessSource::Template);
}

#[test]
fn what_nobody_ran_ahead_of_need_teaches_within_the_gas_that_is_left_for_it() {
    let (chain, contracts) = chain(&[&LEDGER, &LEDGER]);
    let calls: Vec<_> =
        (2..6).map(|nonce| entry(nonce, contracts[nonce as usize % 2], nonce as u8)).collect();
    let to_nobody = transaction(6, Some(Address::repeat_byte(9)), 1, &[]);
    seal(&chain, &[&calls[..], &[to_nobody]].concat());

    assert_eq!(chain.learn_from(2, 0, PATIENCE), Ok(0));
    assert_eq!(chain.learn_from(2, 1_000_000, Duration::ZERO), Ok(0));
    assert_eq!(statistics(&chain).templates, 0);
    // Room for one call's limit of a million, which takes far less of it: then there is none for another.
    chain.predictions().set_bounds(Bounds { lesson_gas: 1_000_000, ..Bounds::default() });
    assert_eq!(chain.learn_from(2, u64::MAX, PATIENCE), Ok(1));
    chain.predictions().set_bounds(Bounds::default());
    assert_eq!(chain.learn_from(2, u64::MAX, PATIENCE), Ok(4));
    assert_eq!(statistics(&chain).templates, 1, "both contracts have one code");
    assert_eq!(known(&chain, &entry(7, contracts[1], 9)).set.source, AccessSource::Template);
}

#[test]
fn a_wrong_template_costs_a_run_and_no_state() {
    let (chain, contracts) = chain(&[&FICKLE]);
    let turn = transaction(1, Some(contracts[0]), 0, &[1]);
    let calls: Vec<_> = (2..6).map(|nonce| transaction(nonce, Some(contracts[0]), 0, &[])).collect();
    let taught = transaction(1, Some(contracts[0]), 0, &[]);
    let teacher = open(GENESIS, None);
    seal(&teacher, &[creation(0, &deploying(&FICKLE))]);
    seal(&teacher, &[taught]);
    teacher.learn_from(2, u64::MAX, PATIENCE).expect("the parent's state is kept");
    let directory = devchain::TemporaryDirectory::new("wrong-templates");
    let file = directory.path().join("templates");
    teacher.predictions().templates().save(&file).expect("it can be written");
    assert_eq!(chain.predictions().templates().load(&file), Ok(1));

    // On this chain the contract turns first: what the template says of the calls is false.
    assert_eq!(known(&chain, &calls[0]).set.source, AccessSource::Template);
    let candidates = [&[turn][..], &calls].concat();
    let parallel = built_by(&chain, &candidates, Mode::Parallel);
    let serial = built_by(&chain, &candidates, Mode::Serial);
    assert_eq!(parallel.block.block.hash, serial.block.block.hash);
    assert_eq!(parallel.included.len(), candidates.len());
}
