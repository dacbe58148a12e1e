//! Records of transactions that ran alone, for executions that may make use of them.

use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::Rules;
use parallelpool_core::primitives::B256;
use parallelpool_core::record::{AccessRecord, pre_execute};
use parallelpool_core::state::StateView;
use parallelpool_core::tx::SharedTransaction;

/// A record of each transaction on the state before the block. Some are made for this very block,
/// some for one that is a little different.
pub(crate) fn records(
    rules: &Rules,
    block: &BlockContext,
    state: &dyn StateView,
    transactions: &[SharedTransaction],
    seed: u64,
) -> Vec<Option<Arc<AccessRecord>>> {
    let other = BlockContext {
        timestamp: block.timestamp + 12,
        prev_randao: block.prev_randao.map(|_| B256::repeat_byte(0x5d)),
        base_fee: block.base_fee.map(|fee| fee + fee / 8),
        ..block.clone()
    };
    let made = |(index, tx): (u64, &SharedTransaction)| {
        let block = if (seed + index).is_multiple_of(3) { &other } else { block };
        // A state that lacks keys yields no record.
        pre_execute(tx, state, rules, block).ok().flatten().map(Arc::new)
    };
    (0..).zip(transactions).map(made).collect()
}
