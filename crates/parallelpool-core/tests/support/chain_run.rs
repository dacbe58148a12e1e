//! A chain in memory: blocks in, each executed in several ways and fully checked, the state and its
//! tries moved on.

use std::collections::HashMap;

use alloy_consensus::Header;
use parallelpool_core::block_codec::Block;
use parallelpool_core::chainspec::{ChainSpec, Fork};
use parallelpool_core::execution::BlockOutcome;
use parallelpool_core::executor::Executor;
use parallelpool_core::header::{validate_block, validate_outcome};
use parallelpool_core::primitives::B256;
use parallelpool_core::state::StateChanges;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::trie::{EmptyTrie, TrieOverlay, update_state};
use parallelpool_core::tx::SharedTransaction;

use super::agreement::{Case, Task};
use super::tally::Tally;
use super::ways::Ways;

/// A chain's head, and all it needs to take the next block.
pub(crate) struct ChainRun {
    pub(crate) spec: ChainSpec,
    pub(crate) state: MemoryState,
    pub(crate) head: Header,
    pub(crate) tries: TrieOverlay<EmptyTrie>,
    known: HashMap<B256, (Header, Vec<Header>)>,
    executor: Executor,
    ways: Ways,
}

impl ChainRun {
    /// A chain at its first block, whose state root is checked.
    pub(crate) fn new(
        spec: ChainSpec,
        genesis: &Header,
        alloc: &StateChanges,
        executor: Executor,
        ways: Ways,
    ) -> Self {
        let mut state = MemoryState::new();
        state.apply(alloc);
        let mut tries = TrieOverlay::new(EmptyTrie).expect("no nodes");
        tries.apply(update_state(&EmptyTrie, alloc, executor.workers()).expect("no nodes"));
        assert_eq!(tries.root(), genesis.state_root, "first state");
        let hash = genesis.hash_slow();
        state.insert_block_hash(genesis.number, hash);
        let known = HashMap::from([(hash, (genesis.clone(), Vec::new()))]);
        Self { spec, state, head: genesis.clone(), tries, known, executor, ways }
    }

    /// Takes the next block, or says why not; refused, it leaves everything as it was. The tally
    /// learns where the ways of executing it differ.
    pub(crate) fn import(&mut self, block: &Block, tally: &mut Tally) -> Result<BlockOutcome, String> {
        let ancestor = |hash, _| self.known.get(&hash).cloned();
        validate_block(&self.spec, &self.head, block, ancestor).map_err(|reason| reason.to_string())?;
        let rules = self.spec.rules_of(&block.header);
        let transactions =
            block.recover_transactions(&rules, self.executor.workers()).map_err(|bad| bad.to_string())?;
        let mut outcome = self.execute(block, &transactions, tally)?;
        if rules.fork < Fork::Byzantium {
            self.fill_state_roots(&mut outcome);
        }
        let update = update_state(&self.tries, &outcome.changes, self.executor.workers())
            .map_err(|error| error.to_string())?;
        validate_outcome(&block.header, &outcome, update.root).map_err(|reason| reason.to_string())?;
        self.tries.apply(update);
        self.state.apply(&outcome.changes);
        self.state.insert_block_hash(block.header.number, block.hash);
        self.head = block.header.clone();
        self.known.insert(block.hash, (block.header.clone(), block.ommers.clone()));
        Ok(outcome)
    }

    fn execute(
        &self,
        block: &Block,
        transactions: &[SharedTransaction],
        tally: &mut Tally,
    ) -> Result<BlockOutcome, String> {
        let case = Case {
            spec: &self.spec,
            block: &block.context(),
            transactions,
            state: &self.state,
            task: Task::Import,
            seed: u64::from_be_bytes(*block.hash.first_chunk().expect("32 bytes")),
            pauses: false,
        };
        let built = tally.compare(&self.executor, &case, self.ways);
        Ok(built.map_err(|error| error.to_string())?.outcome)
    }

    /// Before Byzantium a receipt holds the state root after its transaction.
    fn fill_state_roots(&self, outcome: &mut BlockOutcome) {
        let mut tries = self.tries.clone();
        let mut step = |changes: &StateChanges| {
            let update = update_state(&tries, changes, self.executor.workers()).expect("whole tries");
            tries.apply(update);
            tries.root()
        };
        step(&outcome.changes_before);
        assert_eq!(outcome.transaction_changes.len(), outcome.receipts.len());
        for (receipt, changes) in outcome.receipts.iter_mut().zip(&outcome.transaction_changes) {
            receipt.state_root = Some(step(changes));
        }
    }
}
