//! One executor used for long, and by more threads than there are CPUs.

mod support;
#[path = "random_blocks/world/mod.rs"]
mod world;

use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::Address;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::workers::Workers;
use support::agreement::{Case, Engine, Task, compare_with, in_order};
use support::hints::wrong_hints;
use support::tiny::{ETHER, block, chain, shared, transaction};
use support::unsteady::Unsteady;
use support::ways::{Speculation, Way};
use world::World;

fn case(world: &World, seed: u64) -> Case<'_> {
    Case {
        spec: &world.spec,
        block: &world.block,
        transactions: &world.candidates,
        state: &world.state,
        task: Task::Build(&world.limits),
        seed,
        pauses: true,
    }
}

fn parallel(threads: usize) -> ExecuteOptions {
    ExecuteOptions { mode: Mode::Parallel, threads, ..ExecuteOptions::default() }
}

#[test]
fn sixteen_threads_on_few_cpus_agree_with_one_under_twenty_patterns_of_pauses() {
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    let mut shared = 0;
    for seed in (0..20).map(|index| index * 7 + 3) {
        let world = World::new(seed);
        let case = case(&world, seed);
        let options = Way::SerialSeparately.options(seed, world.candidates.len(), &[]);
        let oracle = executor.run(&case, &options).map(in_order);
        for threads in [1, 2, 3, 4, 8, 16] {
            for pauses in [seed, !seed] {
                let state = Unsteady::new(&world.state, Some(pauses));
                let state: &dyn StateView = &state;
                let options = ExecuteOptions {
                    dependencies: wrong_hints(pauses, world.candidates.len()),
                    recheck: pauses.is_multiple_of(2),
                    ..parallel(threads)
                };
                let found = executor.run(&Case { state, ..case }, &options).expect("memory never fails");
                shared += usize::from(found.outcome.statistics.active_workers > 2);
                let oracle = oracle.as_ref().expect("memory never fails");

                assert_eq!(found.included, oracle.included, "seed {seed}, {threads} threads");
                assert_eq!(found.left_out, oracle.left_out, "seed {seed}, {threads} threads");
                assert_eq!(found.outcome.receipts, oracle.outcome.receipts, "seed {seed}, {threads} threads");
                assert_eq!(found.outcome.changes, oracle.outcome.changes, "seed {seed}, {threads} threads");
                assert_eq!(found.outcome.outputs, oracle.outcome.outputs, "seed {seed}, {threads} threads");
            }
        }
    }
    assert!(shared > 0, "more than two threads took part at times");
}

/// A figure of this process's memory, in bytes.
fn memory(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a known figure");
    let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().expect("a number") * 1_024
}

/// How much the peak of memory grows by a block of transfers, each between accounts of its own.
fn peak_of_transfers(executor: &Executor, count: u64) -> usize {
    let spec = chain("Cancun");
    let block = BlockContext { gas_limit: 1 << 40, ..block(&spec) };
    let mut state = MemoryState::new();
    let sender = |index: u64| Address::left_padding_from(&(0x5e00_0000 + index).to_be_bytes());
    let recipient = |index: u64| Address::left_padding_from(&(0xec00_0000 + index).to_be_bytes());
    let rich = Account { balance: ETHER, ..Account::default() };
    (0..count).for_each(|index| state.insert_account(sender(index), rich, None));
    let transactions =
        shared((0..count).map(|index| transaction(sender(index), 0, Some(recipient(index)), 1)));
    let before = memory("VmRSS");
    let outcome = executor.execute(&spec, &block, &transactions, &state, &parallel(2));
    assert_eq!(outcome.expect("a valid block").receipts.len() as u64, count);
    memory("VmHWM").saturating_sub(before)
}

#[test]
#[ignore = "executes 10,000 blocks; run with --include-ignored"]
fn slow_ten_thousand_blocks_on_one_executor_take_no_more_memory_than_a_thousand() {
    const GROWTH: usize = 4 << 20;
    const TRANSFERS: u64 = 50_000;
    let worlds: Vec<World> = (0..40).map(World::new).collect();
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    let execute = |count: usize| {
        for (index, world) in worlds.iter().cycle().take(count).enumerate() {
            let case = Case { pauses: false, ..case(world, index as u64) };
            let options = parallel([1, 2, 3, 8][index % 4]);
            executor.run(&case, &options).expect("memory never fails");
        }
    };
    execute(1_000);
    let before = memory("VmRSS");
    execute(9_000);
    let after = memory("VmRSS");
    let peak = peak_of_transfers(&executor, TRANSFERS) as u64 / TRANSFERS;
    println!("{before} bytes after 1,000 blocks, {after} after 10,000; at most {peak} more for a transfer");

    assert!(after <= before + GROWTH, "{before} bytes after 1,000 blocks, {after} after 10,000");
    assert!(peak <= 8_192, "{peak} bytes for a transfer");
}

#[test]
fn an_executor_is_as_good_as_new_after_blocks_that_were_refused() {
    let executor = Executor::new(Arc::new(Workers::new(3).expect("threads start")));
    for seed in 0..60 {
        let world = World::new(seed);
        let block = Case { task: Task::Import, ..case(&world, seed) };
        // Most of these blocks hold an invalid transaction.
        let verdict = executor.run(&block, &parallel(3)).map(drop).map_err(|error| error.to_string());
        let options = Way::SerialSeparately.options(seed, world.candidates.len(), &[]);
        let again = Executor::new(Arc::new(Workers::new(1).expect("a thread")));
        let serial = again.run(&block, &options).map(drop).map_err(|error| error.to_string());
        assert_eq!(verdict, serial, "seed {seed}");

        let build = case(&world, seed);
        let oracle = again.run(&build, &options).map(in_order);
        let way = Way::Parallel(Speculation::nth(seed as usize * 7));
        let findings = compare_with(&executor, &build, oracle, [way].into_iter());
        findings.agreed().expect("memory never fails");
    }
}
