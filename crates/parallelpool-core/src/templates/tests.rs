//! Templates on contracts made by hand: what they foresee must be what a run shows.

use std::path::PathBuf;

use super::*;
use crate::access::{Access, AccessSource, Field, Location};
use crate::block::BlockContext;
use crate::chainspec::ChainSpec;
use crate::error::CoreError;
use crate::evm::Limit;
use crate::preexecute::{PreExecution, Prediction};
use crate::primitives::{Address, U256};
use crate::state::Account;
use crate::state::memory::MemoryState;
use crate::tx::Transaction;

const TOKEN: Address = Address::repeat_byte(0x70);

/// Adds one to the slots keccak(caller . 0), keccak(argument 0 . 0) and
/// keccak(argument 0 . keccak(caller . 0)).
const MAPPINGS: [u8; 56] = [
    0x33, 0x5f, 0x52, 0x5f, 0x60, 0x20, 0x52, // memory: caller, 0
    0x60, 0x40, 0x5f, 0x20, 0x80, 0x54, 0x60, 0x01, 0x01, 0x81, 0x55, // and the slot stays on the stack
    0x60, 0x04, 0x35, 0x5f, 0x52, // memory: argument, 0
    0x60, 0x40, 0x5f, 0x20, 0x80, 0x54, 0x60, 0x01, 0x01, 0x90, 0x55, // one more slot
    0x60, 0x20, 0x52, // memory: argument, first slot
    0x60, 0x40, 0x5f, 0x20, 0x80, 0x54, 0x60, 0x01, 0x01, 0x90, 0x55, // one more slot
    0x5b, 0x5b, 0x5b, 0x5b, 0x5b, 0x5b, 0x5b, 0x00,
];

/// Adds one to slot 3 if slot 9 holds anything.
const FLAGGED: [u8; 18] = [
    0x60, 0x09, 0x54, 0x15, 0x60, 0x10, 0x57, 0x60, 0x03, 0x54, 0x60, 0x01, 0x01, 0x60, 0x03, 0x55, 0x5b,
    0x00,
];

fn state(code: &[u8]) -> MemoryState {
    let mut state = MemoryState::new();
    for sender in 1..=9 {
        let account = Account { balance: U256::from(u64::MAX), ..Account::default() };
        state.insert_account(Address::repeat_byte(sender), account, None);
    }
    let account = Account { nonce: 1, ..Account::default() };
    state.insert_account(TOKEN, account, Some(code.to_vec().into()));
    state
}

fn call(sender: u8, argument: Address) -> RecoveredTransaction {
    let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
    data.extend_from_slice(argument.into_word().as_slice());
    let tx = Transaction {
        to: Some(TOKEN),
        gas_limit: 500_000,
        max_fee_per_gas: U256::from(20),
        data: data.into(),
        ..Transaction::default()
    };
    RecoveredTransaction { tx, sender: Address::repeat_byte(sender) }
}

fn run(tx: &RecoveredTransaction, state: &MemoryState) -> Prediction {
    let block =
        BlockContext { gas_limit: 30_000_000, base_fee: Some(10), timestamp: 1, ..BlockContext::default() };
    let rules = ChainSpec::for_network("Cancun").expect("a known fork").rules_in(&block);
    let at = PreExecution { rules: &rules, block: &block, view: state, gas_limit: 1_000_000 };
    at.predict(tx, Limit::default()).expect("memory state")
}

/// Runs a call and learns from it; returns what it accessed.
fn teach(templates: &Templates, tx: &RecoveredTransaction, state: &MemoryState) -> AccessSet {
    let Prediction { set, trial, .. } = run(tx, state);
    let preimages = trial.expect("it ran").preimages;
    assert_eq!(set.succeeded, Some(true));
    assert_eq!(templates.learn(tx, &set, &preimages, state), Ok(true));
    set
}

fn predicted(templates: &Templates, tx: &RecoveredTransaction, state: &MemoryState) -> AccessSet {
    templates.predict(tx, state).expect("memory state").expect("there is a template")
}

#[test]
fn one_call_teaches_the_slots_of_the_next_with_other_arguments() {
    let (templates, state) = (Templates::default(), state(&MAPPINGS));
    let learned = teach(&templates, &call(1, Address::repeat_byte(0xa1)), &state);
    let next = call(2, Address::repeat_byte(0xb2));
    let (guess, truth) = (predicted(&templates, &next, &state), run(&next, &state).set);

    assert_eq!(guess.source, AccessSource::Template);
    assert_eq!(guess.accesses, truth.accesses);
    assert_ne!(guess.accesses, learned.accesses);
    assert_eq!(guess.debits, truth.debits);
    let written = truth.accesses.values().filter(|access| access.has(Access::WRITE)).count();
    assert_eq!(written, 4, "three slots and the nonce");
}

#[test]
fn what_was_right_by_chance_gives_way() {
    let (templates, state) = (Templates::default(), state(&MAPPINGS));
    // Here sender and argument are the same, and one of them is taken for the other.
    teach(&templates, &call(1, Address::repeat_byte(1)), &state);
    for (sender, argument) in [(2, 0xb1), (3, 0xb2), (4, 0xb3)] {
        teach(&templates, &call(sender, Address::repeat_byte(argument)), &state);
    }
    let next = call(5, Address::repeat_byte(0xb4));

    assert_eq!(predicted(&templates, &next, &state).accesses, run(&next, &state).set.accesses);
}

#[test]
fn what_stops_being_true_is_forgotten() {
    let (templates, mut state) = (Templates::default(), state(&FLAGGED));
    let slot = Location { address: TOKEN, field: Field::Storage(U256::from(3)) };
    let guess =
        |state: &MemoryState| predicted(&templates, &call(1, TOKEN), state).accesses.contains_key(&slot);
    let calls = |state: &MemoryState, count: usize| {
        (0..count).for_each(|_| drop(teach(&templates, &call(1, TOKEN), state)));
    };
    calls(&state, 10);
    assert!(!guess(&state));
    state.insert_storage(TOKEN, U256::from(9), U256::ONE);
    calls(&state, 6);
    assert!(guess(&state));
    state.insert_storage(TOKEN, U256::from(9), U256::ZERO);
    calls(&state, 6);
    assert!(!guess(&state));
    calls(&state, 30);
    let by_key = templates.by_key.read();
    let template = by_key.values().next().expect("one").lock();
    let slots = template.patterns.iter().filter(|one| matches!(one.part, super::pattern::Part::Slot(_)));
    assert_eq!(slots.count(), 1, "slot 9 and no other");
}

#[test]
fn a_template_that_is_often_wrong_is_history() {
    let (templates, mut state) = (Templates::default(), state(&FLAGGED));
    for turn in 0..12u64 {
        state.insert_storage(TOKEN, U256::from(9), U256::from(turn % 2));
        teach(&templates, &call(1, TOKEN), &state);
    }
    let guess = predicted(&templates, &call(1, TOKEN), &state);

    assert_eq!(guess.source, AccessSource::History);
    assert!(!guess.is_known() && guess.confidence < 500);
}

#[test]
fn no_more_templates_are_kept_than_asked_for() {
    let (templates, state) = (Templates::new(4, MOST_TERMS), state(&FLAGGED));
    let with_selector = |selector: u8| {
        let mut tx = call(1, TOKEN);
        tx.tx.data = vec![selector; 4].into();
        tx
    };
    for selector in 0..40 {
        teach(&templates, &with_selector(selector), &state);
        teach(&templates, &with_selector(0), &state);
    }
    assert_eq!(templates.len(), 4);
    assert!(templates.predict(&with_selector(0), &state).expect("memory state").is_some());
    assert!(templates.predict(&with_selector(1), &state).expect("memory state").is_none());
}

/// Reads the slot keccak(caller . 0) and reverts where it holds nothing.
const NEEDS_MUCH: [u8; 20] = [
    0x33, 0x5f, 0x52, 0x5f, 0x60, 0x20, 0x52, 0x60, 0x40, 0x5f, 0x20, 0x54, 0x60, 0x12, 0x57, 0x5f, 0x5f,
    0xfd, 0x5b, 0x00,
];

/// The same where it holds anything.
const NEEDS_NOTHING: [u8; 21] = [
    0x33, 0x5f, 0x52, 0x5f, 0x60, 0x20, 0x52, 0x60, 0x40, 0x5f, 0x20, 0x54, 0x15, 0x60, 0x13, 0x57, 0x5f,
    0x5f, 0xfd, 0x5b, 0x00,
];

fn probe(probes: &Probes, tx: &RecoveredTransaction, state: &MemoryState) -> bool {
    let block =
        BlockContext { gas_limit: 30_000_000, base_fee: Some(10), timestamp: 1, ..BlockContext::default() };
    let rules = ChainSpec::for_network("Cancun").expect("a known fork").rules_in(&block);
    let at = PreExecution { rules: &rules, block: &block, view: state, gas_limit: 1_000_000 };
    probes.probe(tx, at, &Limit::default()).expect("memory state")
}

#[test]
fn a_probe_foresees_calls_of_code_that_nobody_has_called() {
    let (probes, state) = (Probes::default(), state(&MAPPINGS));
    let [probed, next] = [(1, 0xa1), (2, 0xb2)].map(|(sender, to)| call(sender, Address::repeat_byte(to)));
    assert_eq!(probes.predict(&next, &state), Ok(None));
    assert!(probe(&probes, &probed, &state));

    let guess = probes.predict(&next, &state).expect("memory state").expect("it was probed");
    let truth = run(&next, &state).set;
    assert_eq!((guess.source, guess.is_known()), (AccessSource::Probe, false));
    assert_eq!((&guess.accesses, &guess.debits), (&truth.accesses, &truth.debits));
    assert!(probes.learned.by_key.read().values().all(|template| template.lock().calls == 1));
}

#[test]
fn a_probe_succeeds_whatever_the_call_needs_its_elements_to_hold() {
    for code in [&NEEDS_MUCH[..], &NEEDS_NOTHING] {
        let (probes, state) = (Probes::default(), state(code));
        assert!(probe(&probes, &call(1, TOKEN), &state));

        let guess = probes.predict(&call(2, TOKEN), &state).expect("memory state").expect("it was probed");
        let truth = run(&call(2, TOKEN), &state).set;
        assert_eq!(guess.accesses, truth.accesses, "also where the call fails on the real state");
    }
}

#[test]
fn probes_are_bounded_on_each_head() {
    // Jumps back for ever.
    let (probes, state) = (Probes::default(), state(&[0x5b, 0x5f, 0x56]));
    let kinds: Vec<_> = (0..200_u8)
        .map(|selector| {
            let mut tx = call(1, TOKEN);
            tx.tx.data = vec![selector; 4].into();
            tx
        })
        .collect();
    for _ in 0..2 {
        assert!(probe(&probes, &kinds[0], &state) && !probe(&probes, &kinds[0], &state));
        let run = kinds[1..].iter().filter(|kind| probe(&probes, kind, &state)).count();
        assert_eq!(run, 99, "a hundred runs of 300,000 gas in all");
        probes.head_moved();
    }
    assert!(probes.learned.is_empty());
}

struct TemporaryFile(PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Left behind at worst; the test has its verdict by now.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn templates_outlive_their_maker_and_a_damaged_file_is_refused() {
    let (templates, state) = (Templates::default(), state(&MAPPINGS));
    teach(&templates, &call(1, Address::repeat_byte(0xa1)), &state);
    let file =
        TemporaryFile(std::env::temp_dir().join(format!("parallelpool-templates-{}", std::process::id())));
    assert_eq!(Templates::default().load(&file.0), Ok(0), "no file is no error");
    templates.save(&file.0).expect("the temporary directory can be written to");
    let later = Templates::default();
    assert_eq!(later.load(&file.0), Ok(1));
    let next = call(2, Address::repeat_byte(0xb2));
    assert_eq!(predicted(&later, &next, &state), predicted(&templates, &next, &state));

    let good = std::fs::read(&file.0).expect("it was just written");
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        std::fs::write(&file.0, damaged).expect("writable");
        assert!(matches!(Templates::default().load(&file.0), Err(CoreError::InvalidArgument(_))));
    }
    // A right sum over a wrong content.
    for length in 0..good.len() - 32 {
        let mut short = good[..length].to_vec();
        short.extend_from_slice(crate::primitives::keccak256(&good[..length]).as_slice());
        std::fs::write(&file.0, short).expect("writable");
        assert!(matches!(Templates::default().load(&file.0), Err(CoreError::InvalidArgument(_))));
    }
}

#[test]
fn what_is_loaded_is_no_newer_than_what_is_learned_then() {
    let (templates, state) = (Templates::new(2, MOST_TERMS), state(&FLAGGED));
    let with_selector = |selector: u8| {
        let mut tx = call(1, TOKEN);
        tx.tx.data = vec![selector; 4].into();
        tx
    };
    (0..200).for_each(|turn| drop(teach(&templates, &with_selector(turn % 2), &state)));
    let file = TemporaryFile(
        std::env::temp_dir().join(format!("parallelpool-templates-clock-{}", std::process::id())),
    );
    templates.save(&file.0).expect("the temporary directory can be written to");
    let later = Templates::new(2, MOST_TERMS);
    assert_eq!(later.load(&file.0), Ok(2));
    assert_eq!(later.lessons(), 200);
    teach(&later, &with_selector(9), &state);

    let is_there =
        |selector| later.predict(&with_selector(selector), &state).expect("memory state").is_some();
    assert_eq!([0, 1, 9].map(is_there), [false, true, true]);
    assert_eq!(later.load(&file.0), Ok(2), "what is there gives way to what is in the file");
    assert_eq!(later.len(), 2);
}

/// Makes words of words: each is the hash of the one before, twice. The last is a slot that is read.
fn tower(height: usize) -> Vec<u8> {
    let mut code = vec![0x33]; // the caller is the ground
    for _ in 0..height {
        // memory: word, word; then their hash
        code.extend([0x80, 0x5f, 0x52, 0x60, 0x20, 0x52, 0x60, 0x40, 0x5f, 0x20]);
    }
    code.extend([0x54, 0x50, 0x00]);
    code
}

#[test]
fn recipes_are_short_whatever_a_contract_hashes() {
    let terms = |height| {
        let (templates, state) = (Templates::default(), state(&tower(height)));
        teach(&templates, &call(1, TOKEN), &state);
        let next = call(2, TOKEN);
        let is_exact = predicted(&templates, &next, &state).accesses == run(&next, &state).set.accesses;
        (is_exact, templates.terms.load(Ordering::Relaxed))
    };
    let (is_exact, few) = terms(3);
    assert!(is_exact && few < 40, "two to the third senders: {few}");
    // Two to the fifth would be more than a recipe has: the slot counts as a constant.
    let (is_exact, fewer) = terms(5);
    assert!(!is_exact && fewer < few, "{fewer}");
}

#[test]
fn templates_that_say_much_take_the_room_of_others() {
    let (first, others) = (Templates::default(), state(&MAPPINGS));
    let with_selector = |selector: u8| {
        let mut tx = call(1, Address::repeat_byte(0xa1));
        let mut data = tx.tx.data.to_vec();
        data[0] = selector;
        tx.tx.data = data.into();
        tx
    };
    teach(&first, &with_selector(0), &others);
    let one = first.terms.load(Ordering::Relaxed);
    let templates = Templates::new(MOST_TEMPLATES, 3 * one);
    (0..9).for_each(|selector| drop(teach(&templates, &with_selector(selector), &others)));

    assert_eq!((templates.len(), templates.terms.load(Ordering::Relaxed)), (3, 3 * one));
}
