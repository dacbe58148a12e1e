//! Whole blocks on simulated threads: every schedule gives the serial result.
//!
//! With the feature `shuttle` workers change places at each lock, at each atomic of the protocol and
//! at each key that the EVM reads, as a seeded scheduler says. Nothing else differs from production:
//! the EVM, the versioned state and the committer are the real ones.
//! `PARALLELPOOL_SCHEDULES` sets how many schedules; `PARALLELPOOL_SEED` runs those of one block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

use super::world::World;
use super::*;
use crate::execution::BuildLimits;

const SCHEDULES: u64 = 3_000;
const PER_BLOCK: u64 = 12;
/// Simulated threads run the EVM, which is not modest.
const STACK_BYTES: usize = 4 << 20;

/// Executes a job by simulated threads, the caller among them.
fn run_simulated(job: &Job<'_>, state: &dyn StateView, workers: usize) -> Result<JobOutcome, ExecuteError> {
    let speculation = Speculation::new(job, state, Box::default(), workers, Forecast::of(0, job, state));
    shuttle::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(|| speculation.work());
        }
        speculation.work();
    });
    speculation.finish(workers, |work| work()).0
}

fn explore(scheduler: impl Scheduler + 'static, block: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::None;
    Runner::new(scheduler, config).run(block);
}

/// What all schedules together must have met.
#[derive(Debug, Default)]
struct Met {
    by_several: AtomicU64,
    conflicts: AtomicU64,
}

/// A random block by this seed, under that many schedules.
fn explore_world(seed: u64, schedules: u64, met: &Arc<Met>) {
    let mut world = World::new(seed);
    world.candidates.truncate(16);
    let dependencies = world.hints();
    let world = Arc::new(world);
    let rules = world.spec.rules_in(&world.block);
    let options =
        ExecuteOptions { recheck: seed.is_multiple_of(3), dependencies, ..ExecuteOptions::default() };
    let serial = {
        let options = ExecuteOptions::default();
        Arc::new(oracle(&build(&rules, &world, &options), &world.state).expect("memory never fails"))
    };
    let workers = 2 + seed as usize % 3;
    let met = Arc::clone(met);
    let block = move || {
        let job = build(&rules, &world, &options);
        let parallel = run_simulated(&job, &world.state, workers).expect("memory never fails");
        assert_equal(&parallel, &serial);
        let runs = &parallel.statistics.executions_per_transaction;
        assert!(runs.iter().all(|runs| *runs <= 2));
        met.by_several.fetch_add(u64::from(parallel.statistics.active_workers > 1), Ordering::Relaxed);
        met.conflicts.fetch_add(parallel.statistics.conflicts, Ordering::Relaxed);
    };
    let each = schedules as usize / 2;
    explore(RandomScheduler::new_from_seed(seed, each), block.clone());
    explore(PctScheduler::new_from_seed(seed, 5, each), block);
}

fn build<'a>(rules: &'a Rules, world: &'a World, options: &'a ExecuteOptions) -> Job<'a> {
    let limits: &BuildLimits = &world.limits;
    Job {
        rules,
        block: &world.block,
        transactions: &world.candidates,
        caller: Caller::Build(limits),
        options,
    }
}

#[test]
fn every_schedule_of_a_random_block_gives_the_serial_result() {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("PARALLELPOOL_SEED") {
        return explore_world(seed, PER_BLOCK, &Arc::default());
    }
    // A schedule of a whole block takes as long as many of the protocol alone.
    let schedules = number("PARALLELPOOL_SCHEDULES").map_or(SCHEDULES, |asked| (asked / 10).max(SCHEDULES));
    let met = Arc::default();
    for seed in 0..schedules / PER_BLOCK {
        let result = catch_unwind(AssertUnwindSafe(|| explore_world(seed, PER_BLOCK, &met)));
        assert!(result.is_ok(), "seed {seed} failed; PARALLELPOOL_SEED={seed} runs it alone");
    }
    println!("{met:?} in {schedules} schedules");

    assert!(met.by_several.load(Ordering::Relaxed) > schedules / 2, "{met:?}");
    assert!(met.conflicts.load(Ordering::Relaxed) > schedules / 2, "{met:?}");
}

#[test]
fn every_schedule_of_a_block_of_transfers_gives_the_serial_result() {
    let far = |index: u64| Address::repeat_byte(0x40 + u8::try_from(index).expect("few accounts"));
    let mut state = state();
    let rich = Account { balance: U256::from(10_u64.pow(15)), ..Account::default() };
    (0..8).for_each(|index| state.insert_account(far(index), rich, None));
    // Windows of four; each passes on what it got from the one before.
    let transactions: Vec<_> =
        (0..24).map(|index| transaction(far(index % 8), index / 8, far((index + 1) % 8), index)).collect();
    let met = Arc::new(Met::default());
    let counted = Arc::clone(&met);
    let block = move || {
        let (rules, block, options) = (rules(), super::block(), ExecuteOptions::default());
        let job = job(&rules, &block, &transactions, &options);
        let run = transfers::TransferRun::new(&job, &state, 16).expect("transfers");
        shuttle::thread::scope(|scope| {
            (1..3).for_each(|_| drop(scope.spawn(|| run.work())));
            run.work();
        });
        let found = run.finish().expect("memory never fails").expect("only transfers");
        assert_equal(&found, &oracle(&job, &state).expect("serial"));
        counted.by_several.fetch_add(u64::from(found.statistics.active_workers > 1), Ordering::Relaxed);
    };
    let each = SCHEDULES as usize / 10;
    explore(RandomScheduler::new_from_seed(1, each), block.clone());
    explore(PctScheduler::new_from_seed(1, 5, each), block);

    assert!(met.by_several.load(Ordering::Relaxed) > each as u64, "{met:?}");
}

/// A state that fails, or panics, when one account is asked for.
#[derive(Debug)]
struct Trapped {
    state: MemoryState,
    trap: Address,
    panics: bool,
}

impl StateView for Trapped {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match (*address == self.trap, self.panics) {
            (true, true) => panic!("a view that panics"),
            (true, false) => Err(StateError::Backend("the disk is gone".into())),
            (false, _) => self.state.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<crate::primitives::Bytecode, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number)
    }
}

/// Six transactions of which the fourth meets the trap.
fn trapped(panics: bool) -> (Trapped, Vec<SharedTransaction>) {
    let mut transactions = dependent_chain(5);
    transactions.insert(3, transaction(account(7), 0, account(66), 1));
    (Trapped { state: state(), trap: account(66), panics }, transactions)
}

#[test]
fn a_failing_read_ends_the_block_under_every_schedule() {
    explore(RandomScheduler::new_from_seed(1, 400), || {
        let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
        let (state, transactions) = trapped(false);
        let outcome = run_simulated(&job(&rules, &block, &transactions, &options), &state, 3);

        let Err(ExecuteError::Core(CoreError::State(StateError::Backend(words)))) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(words, "the disk is gone");
    });
}

#[test]
fn an_invalid_transaction_ends_the_block_under_every_schedule() {
    explore(PctScheduler::new_from_seed(2, 4, 400), || {
        let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
        let mut transactions = dependent_chain(6);
        transactions[4] = transaction(account(6), 40, COUNTER, 0);
        let outcome = run_simulated(&job(&rules, &block, &transactions, &options), &state(), 3);

        assert!(matches!(outcome, Err(ExecuteError::Transaction { index: 4, .. })), "{outcome:?}");
    });
}

/// The worker that panics reaches the end of its thread, and so do the others.
#[test]
fn a_panic_lets_all_workers_go_under_every_schedule() {
    let panics = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    explore(RandomScheduler::new_from_seed(3, 400), move || {
        let (rules, block, options) = (rules(), block(), ExecuteOptions::default());
        let (state, transactions) = trapped(true);
        let job = job(&rules, &block, &transactions, &options);
        let speculation =
            Speculation::new(&job, &state, Box::default(), 3, Forecast::of(0, &job, &trapped(false).0));
        let work = || {
            let result = catch_unwind(AssertUnwindSafe(|| speculation.work()));
            counted.fetch_add(usize::from(result.is_err()), Ordering::Relaxed);
        };
        shuttle::thread::scope(|scope| {
            scope.spawn(work);
            scope.spawn(work);
            work();
        });
    });

    assert!(panics.load(Ordering::Relaxed) >= 400, "somebody met the trap every time");
}
