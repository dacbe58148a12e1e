//! A chain in memory: blocks in, each fully checked, the state and its tries moved on.

use std::collections::HashMap;

use alloy_consensus::Header;
use parallelpool_core::block::{BlockOutcome, ExecuteOptions};
use parallelpool_core::block_codec::Block;
use parallelpool_core::chainspec::{ChainSpec, Fork};
use parallelpool_core::executor::Executor;
use parallelpool_core::header::{validate_block, validate_outcome};
use parallelpool_core::primitives::B256;
use parallelpool_core::state::StateChanges;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::trie::{EmptyTrie, TrieOverlay, update_state};

/// A chain's head, and all it needs to take the next block.
pub(crate) struct ChainRun {
    pub(crate) spec: ChainSpec,
    pub(crate) state: MemoryState,
    pub(crate) head: Header,
    pub(crate) tries: TrieOverlay<EmptyTrie>,
    known: HashMap<B256, (Header, Vec<Header>)>,
    executor: Executor,
    options: ExecuteOptions,
}

impl ChainRun {
    /// A chain at its first block, whose state root is checked.
    pub(crate) fn new(
        spec: ChainSpec,
        genesis: &Header,
        alloc: &StateChanges,
        executor: Executor,
        options: ExecuteOptions,
    ) -> Self {
        let mut state = MemoryState::new();
        state.apply(alloc);
        let mut tries = TrieOverlay::new(EmptyTrie).expect("no nodes");
        tries.apply(update_state(&EmptyTrie, alloc, executor.workers()).expect("no nodes"));
        assert_eq!(tries.root(), genesis.state_root, "first state");
        let hash = genesis.hash_slow();
        state.insert_block_hash(genesis.number, hash);
        let known = HashMap::from([(hash, (genesis.clone(), Vec::new()))]);
        Self { spec, state, head: genesis.clone(), tries, known, executor, options }
    }

    /// Takes the next block, or says why not; refused, it leaves everything as it was.
    pub(crate) fn import(&mut self, block: &Block) -> Result<BlockOutcome, String> {
        let ancestor = |hash, _| self.known.get(&hash).cloned();
        validate_block(&self.spec, &self.head, block, ancestor).map_err(|reason| reason.to_string())?;
        let rules = self.spec.rules_of(&block.header);
        let transactions =
            block.recover_transactions(&rules, self.executor.workers()).map_err(|bad| bad.to_string())?;
        let old_receipts = rules.fork < Fork::Byzantium;
        let options = ExecuteOptions { keep_transaction_changes: old_receipts, ..self.options.clone() };
        let context = block.context();
        let mut outcome = self
            .executor
            .execute(&self.spec, &context, &transactions, &self.state, &options)
            .map_err(|error| error.to_string())?;
        if old_receipts {
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
