//! The harness against engines that err on purpose: it must notice, and find the smallest reason.

use std::sync::atomic::{AtomicUsize, Ordering};

use parallelpool_core::execution::{BuildOutcome, ExecuteError, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::Address;
use parallelpool_core::tx::RecoveredTransaction;

use crate::comparison::compare;
use crate::executor;
use crate::minimise::{failure, minimise};
use crate::scenario::Scenario;
use crate::support::agreement::{Case, Engine};
use crate::world::World;

/// Gets one unit of gas wrong where a contract that was called before is called again, in every
/// `rarity`-th execution with several threads.
struct Faulty {
    executor: Executor,
    contract: Address,
    rarity: usize,
    executions: AtomicUsize,
}

impl Faulty {
    fn new(contract: Address, rarity: usize) -> Self {
        Self { executor: executor(), contract, rarity, executions: AtomicUsize::new(0) }
    }

    fn is_call(&self, sent: &RecoveredTransaction) -> bool {
        sent.tx.to == Some(self.contract)
    }
}

impl Engine for Faulty {
    fn run(&self, case: &Case<'_>, options: &ExecuteOptions) -> Result<BuildOutcome, ExecuteError> {
        let mut built = self.executor.run(case, options)?;
        let mut calls = (0..built.included.len())
            .filter(|place| self.is_call(&case.transactions[built.included[*place]]));
        let second = calls.by_ref().nth(1);
        if let (Mode::Parallel, Some(place)) = (options.mode, second) {
            let count = self.executions.fetch_add(1, Ordering::Relaxed);
            built.outcome.receipts[place].gas_used += u64::from(count.is_multiple_of(self.rarity));
        }
        Ok(built)
    }
}

/// Panics in parallel executions of blocks that create a contract.
struct Panicking(Executor);

impl Engine for Panicking {
    fn run(&self, case: &Case<'_>, options: &ExecuteOptions) -> Result<BuildOutcome, ExecuteError> {
        let creates = case.transactions.iter().any(|sent| sent.tx.to.is_none());
        if options.mode == Mode::Parallel && creates {
            // As `panic!` does, but without a word to the terminal for each of many runs.
            std::panic::resume_unwind(Box::new("a fault made on purpose"));
        }
        self.0.run(case, options)
    }
}

/// The first scenario that the engine fails in.
fn first_failure(engine: &dyn Engine) -> (Scenario, Vec<crate::Difference>) {
    (0..500)
        .map(Scenario::new)
        .find_map(|scenario| {
            let differences = compare(engine, &scenario, &scenario.world())?.differences;
            (!differences.is_empty()).then_some((scenario, differences))
        })
        .expect("the fault is met")
}

/// A contract that random blocks call often.
fn some_contract() -> Address {
    World::new(0).vault
}

#[test]
fn a_fault_is_found_and_made_as_small_as_it_can_be() {
    let engine = Faulty::new(some_contract(), 1);
    let (scenario, differences) = first_failure(&engine);
    let smallest = minimise(&engine, &scenario, &differences);
    let world = smallest.world();

    assert_eq!(world.candidates.len(), 2, "two calls are enough: {}", smallest.command());
    assert!(world.candidates.iter().all(|sent| engine.is_call(sent)));
    assert_eq!(smallest.ways.as_ref().map(Vec::len), Some(1));
    assert!(world.state.iter().count() <= 8, "accounts are left that nobody needs: {}", smallest.command());
}

#[test]
fn a_fault_that_shows_only_at_times_is_made_small_too() {
    let engine = Faulty::new(some_contract(), 7);
    let (scenario, differences) = first_failure(&engine);
    let smallest = minimise(&engine, &scenario, &differences);

    assert_eq!(smallest.world().candidates.len(), 2, "{}", smallest.command());
    assert!(failure(&engine, &smallest, 40).is_some());
}

#[test]
fn a_panic_of_the_engine_is_a_difference_with_its_words() {
    let engine = Panicking(executor());
    let (scenario, differences) = first_failure(&engine);
    let smallest = minimise(&engine, &scenario, &differences);

    assert!(differences[0].words.contains("a fault made on purpose"), "{}", differences[0]);
    assert_eq!(smallest.world().candidates.len(), 1);
}

#[test]
fn a_command_names_the_scenario_that_it_repeats() {
    let engine = Faulty::new(some_contract(), 1);
    let (scenario, differences) = first_failure(&engine);
    let smallest = minimise(&engine, &scenario, &differences);
    let variables = smallest.variables();
    let read = Scenario::from_variables(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    });

    assert_eq!(read, Some(smallest.clone()));
    for (name, value) in &variables {
        assert!(smallest.command().contains(&format!("{name}={value} ")));
    }
    assert_eq!(Scenario::from_variables(|_| None), None);
}
