//! Opening a chain: genesis document, store, and whether the two still fit together.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::blocks::{body_of, header_at};
use super::{Chain, ChainHead, missing_header};
use crate::block_codec::Block;
use crate::chainspec::{Activation, ChainSpec, Genesis};
use crate::error::CoreError;
use crate::executor::Executor;
use crate::genesis::parse_genesis;
use crate::predictions::Predictions;
use crate::store::{Durability, FirstBlock, NewBlock, Snapshot, Store, StoreHead, StoreOptions};
use crate::trie::{EmptyTrie, TrieUpdate, update_state};
use crate::workers::Workers;

/// What a chain is made of.
#[derive(Debug, Clone)]
pub struct ChainOptions<'a> {
    /// geth's genesis document, JSON.
    pub genesis_json: &'a [u8],
    /// Where the chain is kept; `None`: in memory.
    pub datadir: Option<PathBuf>,
    /// The threads that its work is done on.
    pub workers: Arc<Workers>,
    /// When a committed block is on the disk.
    pub durability: Durability,
}

impl Chain {
    /// Opens the chain in a data directory, or begins it there.
    ///
    /// [`CoreError::Genesis`] lists what is wrong with the document. [`CoreError::StoreRefused`]
    /// if another process has the directory, or if the chain in it has another genesis block,
    /// another schema, or has passed a fork that the document moves.
    pub fn open(options: ChainOptions<'_>) -> Result<Self, CoreError> {
        let genesis = read_genesis(options.genesis_json)?;
        let workers = options.workers;
        let block = Block::new(
            genesis.header.clone(),
            Vec::new(),
            Vec::new(),
            genesis.header.withdrawals_root.map(|_| Vec::new()),
        );
        let encoded = block.encode();
        let header = alloy_rlp::encode(&genesis.header);
        let first = FirstBlock {
            block: NewBlock {
                head: StoreHead { number: 0, hash: genesis.hash },
                parent: genesis.header.parent_hash,
                header: &header,
                body: body_of(&encoded)?,
                signed: &[],
                receipts: &[],
            },
            state: &genesis.alloc,
            document: options.genesis_json,
        };
        let store_options = StoreOptions { directory: options.datadir, durability: options.durability };
        let store = Store::open(&store_options, &first, || genesis_trie(&genesis, &workers))?;
        let head = head_of(store.snapshot())?;
        follow_document(&store, &genesis.spec, options.genesis_json, &head)?;
        Ok(Self {
            spec: genesis.spec,
            genesis_hash: genesis.hash,
            executor: Executor::new(workers.clone()),
            predictions: Predictions::default(),
            workers,
            store,
            writing: Mutex::new(()),
            head: RwLock::new(head),
        })
    }
}

/// A snapshot with its head's header.
pub(super) fn head_of(snapshot: Arc<Snapshot>) -> Result<ChainHead, CoreError> {
    let header = header_at(&snapshot, snapshot.head().number)?.ok_or_else(missing_header)?;
    if header.hash != snapshot.head().hash {
        return Err(CoreError::Storage("the head is damaged".into()));
    }
    Ok(ChainHead { header: Arc::new(header), snapshot })
}

fn read_genesis(json: &[u8]) -> Result<Genesis, CoreError> {
    let text = std::str::from_utf8(json)
        .map_err(|error| CoreError::Genesis(vec![format!("not UTF-8 text: {error}")]))?;
    parse_genesis(text)
}

fn genesis_trie(genesis: &Genesis, workers: &Workers) -> Result<TrieUpdate, CoreError> {
    let update = update_state(&EmptyTrie, &genesis.alloc, workers)?;
    // Two computations of one root: the header's was made from the whole state at once.
    assert_eq!(update.root, genesis.header.state_root, "the tries agree on the genesis state");
    Ok(update)
}

/// Compares the document with the one that the chain lives by. One that differs only in what is
/// still to come replaces it.
fn follow_document(
    store: &Store,
    spec: &ChainSpec,
    document: &[u8],
    head: &ChainHead,
) -> Result<(), CoreError> {
    let stored = store.document()?;
    if *stored == *document {
        return Ok(());
    }
    let lived_by = read_genesis(&stored)?.spec;
    let header = &head.header.header;
    match broken_promise(&lived_by, spec, header.number, header.timestamp) {
        Some(what) => Err(CoreError::StoreRefused(format!(
            "database contains incompatible chain configuration: {what}, and the head is block {}",
            header.number
        ))),
        None => store.replace_document(document),
    }
}

/// The first rule by which blocks up to this one were made and that `new` would change.
fn broken_promise(old: &ChainSpec, new: &ChainSpec, number: u64, timestamp: u64) -> Option<String> {
    let differs = |what: &str, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| {
        let (old, new) = (format!("{old:?}"), format!("{new:?}"));
        (old != new).then(|| format!("{what} (have {old}, want {new})"))
    };
    let forks = |spec: &ChainSpec| {
        let begun = spec.forks.iter().filter(|(_, activation)| match activation {
            Activation::Block(at) => *at <= number,
            Activation::Time(at) => *at <= timestamp,
        });
        begun.copied().collect::<Vec<_>>()
    };
    let blobs = |spec: &ChainSpec| {
        let begun = spec.blob_schedule.iter().filter(|(from, _)| *from <= timestamp);
        begun.copied().collect::<Vec<_>>()
    };
    differs("chain id", &old.chain_id, &new.chain_id)
        .or_else(|| differs("parallel transaction type", &old.parallel_tx_type, &new.parallel_tx_type))
        .or_else(|| differs("deposit contract", &old.deposit_contract, &new.deposit_contract))
        .or_else(|| differs("block rewards", &old.pays_block_rewards, &new.pays_block_rewards))
        .or_else(|| differs("fork schedule", &forks(old), &forks(new)))
        .or_else(|| differs("blob schedule", &blobs(old), &blobs(new)))
}
