//! The chain: head, history, and the ways in which it grows.
//!
//! In: blocks to import, candidates to build from, questions. Out: stored blocks, answers. One
//! writer at a time; readers take the head as it stands and keep it for as long as they need,
//! since what they hold never changes.
//!
//! A block is stored only after everything its header commits to was computed anew and found
//! equal. What is refused leaves no trace.

mod access_lists;
mod blocks;
mod commitments;
mod hints;
mod import;
mod logs;
mod open;
mod produce;
mod proof;
mod replays;
pub mod simulation;
pub mod tracing;

use std::sync::Arc;

use alloy_consensus::Header;
use parking_lot::{Mutex, RwLock};

pub use blocks::ChainBlock;
pub use import::ImportedBlock;
pub use logs::{FoundLog, LogFilter};
pub use open::ChainOptions;
pub use produce::{BlockAttributes, BuiltBlock, build_limits};
pub use simulation::{BlockOverrides, CallOutcome, CallRequest, SimulationLimits, StateOverride};

use crate::chainspec::{ChainSpec, Rules};
use crate::error::CoreError;
use crate::executor::Executor;
use crate::predictions::Predictions;
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::{Account, StateView};
use crate::store::{Snapshot, Store};
use crate::workers::Workers;

/// A header and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeader {
    /// Keccak of the header's RLP.
    pub hash: B256,
    /// The header.
    pub header: Header,
}

/// The chain as of one head. Never changes.
#[derive(Debug, Clone)]
pub struct ChainHead {
    /// The newest block's header.
    pub header: Arc<SealedHeader>,
    /// The state after it, and everything below.
    pub snapshot: Arc<Snapshot>,
}

/// The embedded chain. Shared by reference; all methods take `&self`.
#[derive(Debug)]
pub struct Chain {
    spec: ChainSpec,
    genesis_hash: B256,
    workers: Arc<Workers>,
    executor: Executor,
    predictions: Predictions,
    store: Store,
    /// Held while the chain changes, so that what was checked against the head stays true.
    writing: Mutex<()>,
    head: RwLock<ChainHead>,
}

impl Chain {
    /// The chain's constitution.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_hash
    }

    /// The threads that its work is done on.
    pub fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    /// The newest block and the state after it, in one piece.
    pub fn at_head(&self) -> ChainHead {
        self.head.read().clone()
    }

    /// The newest block's header.
    pub fn head(&self) -> Arc<SealedHeader> {
        self.head.read().header.clone()
    }

    /// The rules of a block to come.
    pub fn rules_at(&self, number: u64, timestamp: u64) -> Rules {
        self.spec.rules_at(number, timestamp)
    }

    /// The state after a block, `None` for the head's.
    ///
    /// [`CoreError::State`] with `Unavailable` above the head.
    pub fn state(&self, number: Option<u64>) -> Result<Arc<dyn StateView>, CoreError> {
        let snapshot = self.at_head().snapshot;
        Ok(match number {
            None => snapshot,
            Some(number) => snapshot.state_after(number)?,
        })
    }

    /// An account after a block, `None` where there is none.
    pub fn account(&self, address: &Address, number: Option<u64>) -> Result<Option<Account>, CoreError> {
        Ok(self.state(number)?.account(address)?)
    }

    /// Accounts at the head, all of one state.
    pub fn accounts(&self, addresses: &[Address]) -> Result<Vec<Option<Account>>, CoreError> {
        let snapshot = self.at_head().snapshot;
        addresses.iter().map(|address| Ok(snapshot.account(address)?)).collect()
    }

    /// The code of an account after a block; empty where there is none.
    pub fn code(&self, address: &Address, number: Option<u64>) -> Result<Bytecode, CoreError> {
        let view = self.state(number)?;
        Ok(match view.account(address)? {
            Some(account) => view.code(&account.code_hash)?,
            None => Bytecode::default(),
        })
    }

    /// A slot after a block; zero where nothing is stored.
    pub fn storage(&self, address: &Address, slot: &U256, number: Option<u64>) -> Result<U256, CoreError> {
        Ok(self.state(number)?.storage(address, slot)?)
    }

    /// Takes the chain's files up again after a write to them has failed. Whoever writes does so
    /// by himself; see [`Store::open_anew`] for when it cannot be done.
    pub fn recover_store(&self) -> Result<(), CoreError> {
        if self.store.has_failed() {
            let _writing = self.writing.lock();
            let snapshot = self.store.open_anew()?;
            self.move_head(snapshot)?;
        }
        Ok(())
    }

    /// Takes all blocks above `number` off the chain.
    pub fn revert_to(&self, number: u64) -> Result<Arc<SealedHeader>, CoreError> {
        self.recover_store()?;
        let _writing = self.writing.lock();
        let snapshot = self.store.revert_to(number, |snapshot, changes| {
            let update = crate::trie::update_state(snapshot, changes, &self.workers)?;
            let header = blocks::header_at(snapshot, number)?.ok_or_else(missing_header)?;
            if update.root != header.header.state_root {
                return Err(CoreError::Storage(format!(
                    "reverting to block {number} gives the state root {}, its header has {}",
                    update.root, header.header.state_root
                )));
            }
            Ok(update)
        })?;
        let header = self.move_head(snapshot)?;
        self.predictions.reset();
        Ok(header)
    }

    /// Makes a snapshot's head the one that everybody gets.
    fn move_head(&self, snapshot: Arc<Snapshot>) -> Result<Arc<SealedHeader>, CoreError> {
        let head = open::head_of(snapshot)?;
        let header = head.header.clone();
        *self.head.write() = head;
        Ok(header)
    }
}

fn missing_header() -> CoreError {
    CoreError::Storage("a header is missing from the store".into())
}
