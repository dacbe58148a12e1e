//! Views that fail or panic at the k-th question, and workers that must survive it.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::primitives::Bytecode;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Backend,
    Missing,
    Panic,
    /// Only the first question that is not good; later ones are answered, so that whoever waits for the
    /// worker that panicked waits until it is told.
    PanicOnce,
}

/// A state behind a gate that sees every question before it is answered.
#[derive(Debug)]
struct Gated<G> {
    state: MemoryState,
    gate: G,
}

/// Lets a question for a key through, or says what comes of it.
trait Gate: std::fmt::Debug + Send + Sync {
    fn ask(&self, key: StateKey) -> Result<(), StateError>;
}

impl<G: Gate> StateView for Gated<G> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.gate.ask(StateKey::Account(*address))?;
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.gate.ask(StateKey::Storage(*address, *slot))?;
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.gate.ask(StateKey::Code(*code_hash))?;
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}

/// Lets `good` questions through and then none.
#[derive(Debug)]
struct Faulty {
    good: u64,
    asked: AtomicU64,
    fault: Fault,
}

impl Faulty {
    fn state(good: u64, fault: Fault) -> Gated<Self> {
        Gated { state: state(), gate: Self { good, asked: AtomicU64::new(0), fault } }
    }
}

impl Gate for Faulty {
    fn ask(&self, key: StateKey) -> Result<(), StateError> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        if before < self.good {
            return Ok(());
        }
        match self.fault {
            Fault::PanicOnce if before > self.good => Ok(()),
            Fault::Backend => Err(StateError::Backend("the disk is gone".into())),
            Fault::Missing => Err(StateError::Missing(vec![key])),
            Fault::Panic | Fault::PanicOnce => panic!("a view that panics"),
        }
    }
}

/// Executes sixteen independent and sixteen dependent transactions on a faulty state.
fn run_on(state: &Gated<Faulty>, workers: &Workers) -> Result<JobOutcome, ExecuteError> {
    let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
    let mut transactions = dependent_chain(16);
    let senders = (0..8).map(|index| transaction(account(index), 2, account(20 + index), 1));
    transactions.extend(senders.chain((0..8).map(|index| transaction(account(index), 3, account(40), 1))));
    run(workers, &job(&rules, &block, &transactions, &options), state)
}

/// Questions that a whole run asks at most.
const ENOUGH: u64 = 200;

#[test]
fn a_failing_read_is_a_typed_error_wherever_it_comes() {
    let workers = Workers::new(3).expect("threads");
    let mut failures = 0;
    for good in 0..ENOUGH {
        match run_on(&Faulty::state(good, Fault::Backend), &workers) {
            Ok(outcome) => assert_eq!(outcome.included.len(), 32),
            Err(ExecuteError::Core(CoreError::State(StateError::Backend(words)))) => {
                assert_eq!(words, "the disk is gone");
                failures += 1;
            }
            Err(other) => panic!("after {good} good reads: {other}"),
        }
    }
    let healthy = run_on(&Faulty::state(u64::MAX, Fault::Backend), &workers).expect("the workers are alive");

    assert_eq!(healthy.included.len(), 32);
    assert!((20..ENOUGH).contains(&failures), "{failures} of {ENOUGH} runs failed");
}

/// Lets questions through for what was fetched before.
#[derive(Debug)]
struct Fetched(BTreeSet<StateKey>);

impl Gate for Fetched {
    fn ask(&self, key: StateKey) -> Result<(), StateError> {
        if self.0.contains(&key) { Ok(()) } else { Err(StateError::Missing(vec![key])) }
    }
}

#[test]
fn fetching_what_is_missing_leads_to_the_whole_block() {
    let workers = Workers::new(3).expect("threads");
    let (rules, block, options, transactions) =
        (rules(), block(), ExecuteOptions::default(), dependent_chain(40));
    let job = job(&rules, &block, &transactions, &options);
    let mut partial = Gated { state: state(), gate: Fetched(BTreeSet::new()) };
    let parallel = loop {
        match run(&workers, &job, &partial) {
            Ok(outcome) => break outcome,
            Err(ExecuteError::Core(CoreError::State(StateError::Missing(keys)))) => {
                let fetched = &mut partial.gate.0;
                let before = fetched.len();
                fetched.extend(keys);
                assert!(fetched.len() > before, "every round makes progress");
            }
            Err(other) => panic!("{other}"),
        }
    };

    assert_equal(&parallel, &oracle(&job, &state()).expect("serial"));
}

#[test]
fn speculative_executions_report_what_they_lack_together() {
    let state = Faulty::state(0, Fault::Missing);
    let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
    let transactions: Vec<_> = (0..8).map(|index| transaction(account(index), 0, account(20), 0)).collect();
    let job = job(&rules, &block, &transactions, &options);
    let outcome = stepper::run_by_steps(&job, &state, 8, stepper::Preference::Outdated);
    let Err(ExecuteError::Core(CoreError::State(StateError::Missing(keys)))) = outcome else {
        panic!("{outcome:?}")
    };

    assert_eq!(keys, (0..8).map(|index| StateKey::Account(account(index))).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_a_worker_reaches_the_caller_and_leaves_the_workers_alive() {
    let workers = Workers::new(3).expect("threads");
    let mut panics = 0;
    let faults = [Fault::Panic, Fault::PanicOnce];
    for (good, fault) in (0..ENOUGH).step_by(3).flat_map(|good| faults.map(|fault| (good, fault))) {
        let state = Faulty::state(good, fault);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_on(&state, &workers).map(drop)));
        match outcome {
            Ok(result) => result.expect("no state error"),
            Err(cause) => {
                assert_eq!(cause.downcast_ref::<&str>(), Some(&"a view that panics"));
                panics += 1;
            }
        }
    }
    let healthy = run_on(&Faulty::state(u64::MAX, Fault::Panic), &workers).expect("the workers are alive");

    assert_eq!(healthy.included.len(), 32);
    assert!(panics >= 5, "{panics} runs panicked");
}
