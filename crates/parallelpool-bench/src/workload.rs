//! Blocks to execute, each with all that its execution needs.

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::Rules;
use parallelpool_core::primitives::B256;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::SharedTransaction;

/// Blocks to execute, each on its own state.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name on the command line.
    pub name: String,
    /// What is in it, in one line.
    pub description: String,
    /// One for a made workload, several for recorded ones.
    pub blocks: Vec<BenchBlock>,
}

/// A block with all that its execution needs.
#[derive(Debug, Clone)]
pub struct BenchBlock {
    /// What tells it from the others of its workload: its number.
    pub label: String,
    /// Rules in force.
    pub rules: Rules,
    /// The block around the transactions.
    pub block: BlockContext,
    /// What the transactions touch, as it is before.
    pub state: MemoryState,
    /// Hashes of ancestors that BLOCKHASH asks for; `state` knows them too.
    pub block_hashes: Vec<(u64, B256)>,
    /// Signed, decoded, their senders recovered.
    pub transactions: Vec<SharedTransaction>,
}
