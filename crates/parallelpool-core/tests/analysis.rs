//! Real blocks, taken apart: invariants of the models, and what the dependencies found are worth.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use parallelpool_core::analysis::{Analysis, Model};
use parallelpool_core::execution::{ExecuteOptions, Mode, Techniques};
use parallelpool_core::executor::Executor;
use parallelpool_core::replay::{ReplayBlock, compare, parse};
use parallelpool_core::workers::Workers;

fn blocks() -> Option<Vec<ReplayBlock>> {
    let files = support::json_files(&support::fixtures("mainnet")?);
    Some(files.iter().map(|file| parse(&support::read(file)).expect("a block")).collect())
}

fn analyse(block: &ReplayBlock) -> Analysis {
    Analysis::of_replay(block).expect("a valid block")
}

#[test]
fn real_blocks_keep_the_invariants_of_the_models() {
    let Some(blocks) = blocks() else { return };
    let mut rose = 0;
    for block in &blocks {
        let (number, count) = (block.block.number, block.transactions.len());
        let analysis = analyse(block);
        assert_eq!(analysis.gas(), block.expected.gas_used, "block {number}");
        for model in &analysis.models {
            let chain = &model.longest_chain;
            assert!(chain.links.len() <= count && chain.links.len() as u64 == chain.weight);
            assert_eq!(model.independent == count, chain.links.len() <= 1, "block {number}");
            for (at, own) in (0..).zip(&model.dependencies) {
                assert!(own.iter().all(|dependency| dependency.on < at));
            }
            for pair in chain.links.windows(2) {
                let (from, to) = (pair[0].transaction, &pair[1]);
                let location = to.location.expect("only the first link has none");
                let own = &model.dependencies[to.transaction as usize];
                assert!(own.iter().any(|by| by.on == from && by.location == location));
            }
            for part in [&model.by_gas, &model.by_time] {
                assert!(part.available() >= 1.0);
                for limit in part.limits {
                    assert!(limit.bound <= limit.workers as f64 && limit.bound <= part.available());
                    assert!(limit.schedule <= limit.bound * (1.0 + 1e-9));
                }
            }
            let edges: usize = model.dependencies.iter().map(Vec::len).sum();
            assert_eq!(edges, model.contended.iter().map(|at| at.dependencies).sum::<usize>());
        }
        for (stricter, freer) in [(0, 1), (1, 2)].map(|(a, b)| (&analysis.models[a], &analysis.models[b])) {
            assert!(stricter.independent <= freer.independent, "block {number}");
            assert!(stricter.longest_chain.weight >= freer.longest_chain.weight, "block {number}");
            assert!(stricter.by_gas.critical_path.weight >= freer.by_gas.critical_path.weight);
            rose += usize::from(stricter.independent < freer.independent);
        }
    }
    assert!(rose > blocks.len(), "the models differ on real blocks: {rose}");
}

#[test]
fn executions_with_the_dependencies_found_hardly_conflict() {
    let Some(blocks) = blocks() else { return };
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    let (mut executions, mut conflicts, mut aborted) = (0, 0, BTreeSet::new());
    for block in &blocks {
        let run = |options: &ExecuteOptions| {
            executor
                .execute_transactions(&block.rules, &block.block, &block.transactions, &block.state, options)
                .expect("a valid block")
        };
        let serial = run(&ExecuteOptions {
            mode: Mode::Serial,
            techniques: Techniques::NONE,
            ..ExecuteOptions::default()
        });
        let dependencies = analyse(block).under(HINTS).hints();
        let hinted = run(&ExecuteOptions { mode: Mode::Parallel, dependencies, ..ExecuteOptions::default() });

        assert_eq!(compare(&serial, &hinted), Vec::<String>::new(), "block {}", block.block.number);
        executions += block.transactions.len() as u64;
        conflicts += hinted.statistics.conflicts;
        if hinted.statistics.conflicts > 0 {
            aborted.insert((block.block.number, hinted.statistics.conflicts, block.transactions.len()));
        }
    }
    eprintln!("{conflicts} conflicts in {executions} transactions: {aborted:?}");
    assert!(100 * conflicts <= executions, "{conflicts} conflicts in {executions} transactions: {aborted:?}");
}

/// The model whose dependencies the executor has to be told.
const HINTS: Model = Model::PredictedNonces;
