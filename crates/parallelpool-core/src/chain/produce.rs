//! A block made from candidates on the head, and stored if nobody was faster.

use std::sync::Arc;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};

use super::blocks::ChainBlock;
use super::commitments::{commit_to_state, complete_header, keeps_intermediate_roots};
use super::{Chain, SealedHeader};
use crate::block::{Receipt, Withdrawal};
use crate::block_access_list::BlockAccessList;
use crate::block_codec::{Block, block_context};
use crate::chainspec::{Fork, Rules};
use crate::error::CoreError;
use crate::execution::{BlockOutcome, BuildLimits, ExecuteOptions, ExecutionStatistics, LeftOut};
use crate::header::{MAX_BLOCK_BYTES, next_base_fee, next_difficulty, next_excess_blob_gas, validate_header};
use crate::primitives::{Address, B256, Bytes, U256};
use crate::roots;
use crate::state::StateChanges;
use crate::trie::TrieUpdate;
use crate::tx::SharedTransaction;

/// What the producer chooses for the next block; the rest follows from parent and rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockAttributes {
    /// Seconds since 1970, later than the parent's.
    pub timestamp: u64,
    /// Who earns the fees.
    pub beneficiary: Address,
    /// Randomness, from Paris on.
    pub prev_randao: B256,
    /// Gas limit, within a 1024th of the parent's.
    pub gas_limit: u64,
    /// At most 32 bytes.
    pub extra_data: Bytes,
    /// EIP-4788, from Cancun on; `None`: zero.
    pub parent_beacon_block_root: Option<B256>,
    /// EIP-4895, from Shanghai on; `None`: none.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// EIP-7843, from Amsterdam on; `None`: one more than the parent's.
    pub slot_number: Option<u64>,
}

/// A block that was executed and is not stored yet.
#[derive(Debug, Clone)]
pub struct BuiltBlock {
    /// The block.
    pub block: ChainBlock,
    /// Its receipts.
    pub receipts: Vec<Receipt>,
    /// What it changes.
    pub changes: StateChanges,
    /// How the stored tries get to its state root.
    pub trie: TrieUpdate,
    /// Return data of each transaction.
    pub outputs: Vec<Bytes>,
    /// Indices of the included candidates, in block order.
    pub included: Vec<usize>,
    /// The others that were reached, each with its reason.
    pub left_out: Vec<LeftOut>,
    /// Figures of its execution.
    pub statistics: ExecutionStatistics,
}

impl Chain {
    /// Executes candidates in order on the head and makes a block of those that are valid at
    /// their turn. Stores nothing.
    ///
    /// [`CoreError::InvalidArgument`] if the attributes break a rule of the chain.
    pub fn build(
        &self,
        attributes: &BlockAttributes,
        candidates: &[SharedTransaction],
        options: &ExecuteOptions,
    ) -> Result<BuiltBlock, CoreError> {
        // A store that cannot be written is no reason not to execute; whoever commits is told.
        let _ = self.recover_store();
        let head = self.at_head();
        let (mut header, withdrawals) = self.draft(&head.header, attributes)?;
        let rules = self.spec.rules_of(&header);
        let limits = limits_of(&rules, &header, withdrawals.as_deref());
        let options = ExecuteOptions {
            keep_transaction_changes: options.keep_transaction_changes || keeps_intermediate_roots(&rules),
            produce_access_list: options.produce_access_list || rules.fork >= Fork::Amsterdam,
            records: self.records_for(candidates, options),
            ..options.clone()
        };
        let context = block_context(&header, &[], withdrawals.clone());
        let built =
            self.executor.build(&self.spec, &context, &limits, candidates, &*head.snapshot, &options)?;
        let mut outcome = built.outcome;
        let trie = commit_to_state(&rules, &mut outcome, &*head.snapshot, &self.workers)?;
        let transactions: Vec<_> = built.included.iter().map(|index| candidates[*index].clone()).collect();
        let raw: Vec<_> = transactions.iter().map(|transaction| transaction.tx.raw.clone()).collect();
        header.transactions_root = roots::transactions_root(&raw);
        complete_header(&mut header, &outcome, trie.root);
        check_access_list_bound(&header, &outcome)?;
        let block = Block::new(header, raw, Vec::new(), withdrawals);
        let raw = Bytes::from(block.encode());
        Ok(BuiltBlock {
            block: ChainBlock { block, transactions, raw },
            receipts: outcome.receipts,
            changes: outcome.changes,
            trie,
            outputs: outcome.outputs,
            included: built.included,
            left_out: built.left_out,
            statistics: outcome.statistics,
        })
    }

    /// Stores a built block durably; it becomes the head.
    ///
    /// [`CoreError::BlockRefused`] with a reason that begins with `stale` if the head moved since
    /// it was built; then nothing is stored.
    pub fn commit(&self, built: &BuiltBlock) -> Result<Arc<SealedHeader>, CoreError> {
        self.recover_store()?;
        let _writing = self.writing.lock();
        self.store_block(&built.block, &built.receipts, &built.changes, &built.trie)
    }

    /// A header with everything that is known before execution.
    pub(super) fn draft(
        &self,
        parent: &SealedHeader,
        attributes: &BlockAttributes,
    ) -> Result<(Header, Option<Vec<Withdrawal>>), CoreError> {
        let (spec, above) = (&self.spec, &parent.header);
        let (number, timestamp) = (above.number + 1, attributes.timestamp);
        let fork = spec.fork_at(number, timestamp);
        let merged = fork >= Fork::Paris || (above.number > 0 && above.difficulty.is_zero());
        let withdrawals =
            (fork >= Fork::Shanghai).then(|| attributes.withdrawals.clone().unwrap_or_default());
        let header = Header {
            parent_hash: parent.hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.beneficiary,
            difficulty: if merged { U256::ZERO } else { next_difficulty(spec, above, timestamp) },
            number,
            gas_limit: attributes.gas_limit,
            timestamp,
            extra_data: attributes.extra_data.clone(),
            mix_hash: if merged { attributes.prev_randao } else { B256::ZERO },
            base_fee_per_gas: next_base_fee(spec, above, timestamp),
            withdrawals_root: withdrawals.as_deref().map(roots::withdrawals_root),
            blob_gas_used: (fork >= Fork::Cancun).then_some(0),
            excess_blob_gas: next_excess_blob_gas(spec, above, timestamp),
            parent_beacon_block_root: (fork >= Fork::Cancun)
                .then(|| attributes.parent_beacon_block_root.unwrap_or_default()),
            requests_hash: (fork >= Fork::Prague).then(|| roots::requests_hash::<Bytes>(&[])),
            block_access_list_hash: (fork >= Fork::Amsterdam).then(|| BlockAccessList::default().hash()),
            slot_number: (fork >= Fork::Amsterdam)
                .then(|| attributes.slot_number.unwrap_or_else(|| next_slot(above))),
            ..Header::default()
        };
        validate_header(spec, above, &header)
            .map_err(|error| CoreError::InvalidArgument(format!("block attributes: {error}")))?;
        Ok((header, withdrawals))
    }
}

/// What happens around the transactions takes no gas, so a block with too small a gas limit cannot
/// have a list that the gas limit allows.
fn check_access_list_bound(header: &Header, outcome: &BlockOutcome) -> Result<(), CoreError> {
    let Some(list) = outcome.access_list.as_ref().filter(|_| header.block_access_list_hash.is_some()) else {
        return Ok(());
    };
    let checked = list.check_bound(header.gas_limit);
    checked.map_err(|wrong| CoreError::InvalidArgument(format!("block attributes: {wrong}")))
}

/// Without a beacon chain every block has the slot after its parent's.
fn next_slot(parent: &Header) -> u64 {
    parent.slot_number.unwrap_or_default().saturating_add(1)
}

/// Where a block like this one was cut when it was made from candidates.
pub fn build_limits(rules: &Rules, block: &Block) -> BuildLimits {
    limits_of(rules, &block.header, block.withdrawals.as_deref())
}

fn limits_of(rules: &Rules, header: &Header, withdrawals: Option<&[Withdrawal]>) -> BuildLimits {
    BuildLimits {
        max_block_bytes: (rules.fork >= Fork::Osaka).then_some(MAX_BLOCK_BYTES),
        overhead_bytes: overhead(header, withdrawals),
    }
}

/// Bytes of the block's RLP that its transactions do not fill, at most.
fn overhead(header: &Header, withdrawals: Option<&[Withdrawal]>) -> usize {
    /// Prefixes of the block's list and of the transactions' list.
    const PREFIXES: usize = 4 + 4;
    let full = Header {
        gas_used: u64::MAX,
        blob_gas_used: header.blob_gas_used.map(|_| u64::MAX),
        ..header.clone()
    };
    let empty = Block::new(full, Vec::new(), Vec::new(), withdrawals.map(<[Withdrawal]>::to_vec));
    empty.encoded_length() + PREFIXES
}
