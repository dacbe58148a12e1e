//! Times what happens to a block's lists before and after execution: decoding with sender recovery,
//! pre-execution, and the root of the receipts. Rows of their own, so that no execution time hides them.

use std::sync::Arc;

use parallelpool_core::block::Receipt;
use parallelpool_core::error::CoreError;
use parallelpool_core::record::{AccessRecord, pre_execute};
use parallelpool_core::roots::receipts_root;
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::tx::decode::decode;
use parallelpool_core::tx::recover::{SignatureRules, recover_sender_under};
use parallelpool_core::workers::Workers;

use crate::sample::timed;
use crate::workload::BenchBlock;

/// Samples of each work: recovery alone takes longer than execution.
const ROUNDS: usize = 3;
/// Transactions of a block that are recovered.
const MOST_RECOVERED: usize = 4_096;

/// A work on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// What is done.
    pub work: &'static str,
    /// By how many threads.
    pub threads: usize,
    /// Items worked on.
    pub items: usize,
    /// Wall time of each round in nanoseconds.
    pub wall_ns: Vec<u64>,
}

impl ListRow {
    /// Adds the same work on another block.
    pub(crate) fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.wall_ns.iter_mut().zip(&other.wall_ns).for_each(|(sum, more)| *sum += more);
    }
}

/// Times the works on a block's lists.
pub(crate) fn measure(
    block: &BenchBlock,
    receipts: &[Receipt],
    workers: &Arc<Workers>,
    threads: &[usize],
) -> Result<Vec<ListRow>, CoreError> {
    let mut rows = Vec::new();
    for &threads in threads {
        let own = match threads == workers.threads() {
            true => Arc::clone(workers),
            false => Arc::new(Workers::new(threads)?),
        };
        rows.push(recovery(block, &own)?);
        rows.push(pre_execution(block, &own)?);
    }
    let samples = (0..ROUNDS).map(|_| {
        let (root, sample) = timed(|| receipts_root(receipts));
        std::hint::black_box(root);
        sample.wall_ns
    });
    let wall_ns = samples.collect();
    rows.push(ListRow { work: "receipts root", threads: 1, items: receipts.len(), wall_ns });
    Ok(rows)
}

/// What each transaction does alone on the state before the block, by all workers.
pub(crate) fn records(
    block: &BenchBlock,
    workers: &Workers,
) -> Result<Vec<Option<Arc<AccessRecord>>>, CoreError> {
    let record = |tx: &SharedTransaction| pre_execute(tx, &block.state, &block.rules, &block.block);
    let records = workers.map(&block.transactions, record).into_iter();
    records.map(|record| Ok(record?.map(Arc::new))).collect()
}

fn pre_execution(block: &BenchBlock, workers: &Workers) -> Result<ListRow, CoreError> {
    let mut wall_ns = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let (made, sample) = timed(|| records(block, workers));
        drop(made?);
        wall_ns.push(sample.wall_ns);
    }
    let items = block.transactions.len();
    Ok(ListRow { work: "pre-execution", threads: workers.threads(), items, wall_ns })
}

fn recovery(block: &BenchBlock, workers: &Workers) -> Result<ListRow, CoreError> {
    let some = &block.transactions[..block.transactions.len().min(MOST_RECOVERED)];
    let rules = SignatureRules::of(block.rules.fork);
    let recover = |shared: &SharedTransaction| {
        let tx = decode(&shared.tx.raw, block.rules.parallel_tx_type).ok()?;
        recover_sender_under(rules, &tx, block.rules.chain_id).ok()
    };
    let mut wall_ns = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let (senders, sample) = timed(|| workers.map(some, recover));
        let right = some.iter().zip(senders).all(|(tx, sender)| sender == Some(tx.sender));
        if !right {
            return Err(CoreError::Divergence(format!("block {}: a recovered sender", block.label)));
        }
        wall_ns.push(sample.wall_ns);
    }
    Ok(ListRow { work: "decode and recover", threads: workers.threads(), items: some.len(), wall_ns })
}
