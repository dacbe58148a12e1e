//! Blocks of one to twenty transactions: what setting up costs, and from where on threads are worth waking.

use parallelpool_core::error::CoreError;

use super::token::GIGAGAS_DISTINCT;
use super::uniswap::GIGAGAS_SWAPS;
use super::{GIGAGAS_TRANSFERS, Maker, Making, token, transfers, uniswap};
use crate::workload::BenchBlock;

const SIZES: [usize; 7] = [1, 2, 3, 5, 8, 13, 20];

/// What a block consists of, its maker, and how many that one makes at full scale. In the order of their
/// length: a transfer takes less than a microsecond, a swap some twenty.
const KINDS: [(&str, Maker, usize); 3] = [
    ("transfers", transfers::distinct, GIGAGAS_TRANSFERS),
    ("tokens", token::distinct, GIGAGAS_DISTINCT),
    ("swaps", uniswap::clusters, GIGAGAS_SWAPS),
];

/// A block of each kind and size, whatever the scale.
pub(super) fn all(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let mut blocks = Vec::new();
    for (kind, make, full) in KINDS {
        for size in SIZES {
            let scale = size as f64 / full as f64;
            let made = make(&Making { scale, recorded: making.recorded.clone(), ..*making })?;
            blocks.extend(
                made.into_iter().map(|block| BenchBlock { label: format!("{size} {kind}"), ..block }),
            );
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Workers;

    #[test]
    fn blocks_are_as_large_as_their_labels_say() {
        let workers = Workers::new(1).expect("one thread");
        let blocks = all(&Making::new(&workers)).expect("made blocks");

        assert_eq!(blocks.len(), SIZES.len() * KINDS.len());
        for block in blocks {
            let (size, _) = block.label.split_once(' ').expect("size and kind");
            assert_eq!(size, block.transactions.len().to_string());
        }
    }
}
