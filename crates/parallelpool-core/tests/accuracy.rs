//! How good predictions are on real blocks, and what batches of them come to.

mod support;

use std::sync::Arc;

use parallelpool_core::access::AccessSource;
use parallelpool_core::analysis::{Accuracy, BlockAccuracy, Tally};
use parallelpool_core::executor::Executor;
use parallelpool_core::predictions::Bounds;
use parallelpool_core::replay::{ReplayBlock, parse};
use parallelpool_core::workers::Workers;

/// The first real block of 2021.
const FIRST: u64 = 11_743_952;

fn blocks() -> Option<Vec<ReplayBlock>> {
    let files = support::json_files(&support::fixtures("mainnet")?);
    let read = |file: &std::path::PathBuf| {
        parse(&support::read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let mut blocks: Vec<_> = files.iter().map(read).collect();
    blocks.sort_by_key(|block| block.block.number);
    Some(blocks)
}

/// The tallies of the blocks from `first` on, learned from all of them in order.
fn measured(blocks: &[ReplayBlock], first: u64) -> Vec<BlockAccuracy> {
    let accuracy = Accuracy::new(Bounds::default().gas);
    let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
    let mut found = Vec::new();
    for block in blocks {
        let one = accuracy.take(&executor, block).expect("memory state");
        if block.block.number >= first {
            found.push(one);
        }
    }
    found
}

fn sum(found: &[BlockAccuracy], figure: impl Fn(&BlockAccuracy) -> u64) -> u64 {
    found.iter().map(figure).sum()
}

fn of(block: &BlockAccuracy, source: AccessSource) -> Tally {
    let found = block.sources.iter().find(|(name, _)| *name == source);
    found.map_or_else(Tally::default, |(_, tally)| *tally)
}

#[test]
fn predictions_of_real_blocks_are_as_good_as_the_documentation_says() {
    let Some(blocks) = blocks() else { return };
    let found = measured(&blocks, FIRST);
    let transactions = sum(&found, |block| block.transactions);
    let exact = sum(&found, |block| block.ahead.exact);
    assert_eq!(sum(&found, |block| block.ahead.predicted), transactions);
    let token_calls = sum(&found, |block| block.token_calls);
    let answered = sum(&found, |block| block.token_templates.predicted);
    let exact_answers = sum(&found, |block| block.token_templates.exact);
    let probed = sum(&found, |block| block.token_probes.predicted);
    let exact_probes = sum(&found, |block| block.token_probes.exact);
    println!("{exact} of {transactions}; tokens: {exact_answers} of {answered} of {token_calls}");
    println!("probes: {exact_probes} of {probed}");

    assert!(exact * 100 >= transactions * 95, "{exact} of {transactions} exact by a look ahead");
    assert!(exact_answers * 100 >= answered * 90, "{exact_answers} of {answered} exact by templates");
    assert!(exact_answers * 100 >= token_calls * 45, "{exact_answers} of {token_calls} token calls");
    assert!(exact_probes * 100 >= probed * 90, "{exact_probes} of {probed} exact by probes");
    assert!((exact_answers + exact_probes) * 100 >= token_calls * 80, "of {token_calls} token calls");
}

#[test]
fn batches_of_predictions_hold_what_they_promise_on_real_blocks() {
    let Some(blocks) = blocks() else { return };
    let found = measured(&blocks, FIRST);
    let of = |figure: fn(&BlockAccuracy) -> u64| sum(&found, figure);

    assert!(of(|block| block.batches.untouched_transactions) > 3_000);
    assert_eq!(of(|block| block.batches.untouched_conflicts), 0);
    let later = of(|block| block.batches.later_transactions);
    let conflicts = of(|block| block.batches.later_conflicts);
    assert!(later > 200 && conflicts * 1_000 <= later * 15, "{conflicts} of {later}");
    assert_eq!((of(|block| block.batches.equal), of(|block| block.batches.unequal)), (found.len() as u64, 0));
}

#[test]
fn templates_know_nothing_of_the_block_that_they_are_asked_about() {
    let Some(blocks) = blocks() else { return };
    let busy = blocks.iter().max_by_key(|block| block.transactions.len()).expect("there are blocks");
    let found = measured(std::slice::from_ref(busy), 0);
    let is_learned = |source| matches!(source, AccessSource::Template | AccessSource::History);

    assert!(found[0].transactions > 500);
    assert!(!found[0].sources.iter().any(|(source, _)| is_learned(*source)));
    let twice = measured(&[busy.clone(), busy.clone()], 0);
    assert!(of(&twice[1], AccessSource::Template).predicted > 50);
}
