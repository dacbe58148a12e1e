//! Blocks as they are read back.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_rlp::{Decodable, Header as RlpHeader};

use super::{Chain, ChainHead, SealedHeader};
use crate::block::Receipt;
use crate::block_codec::Block;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bytes, keccak256};
use crate::state::{StateChanges, StateView};
use crate::store::{NewBlock, Signed, Snapshot, StoreHead, StoredHeader};
use crate::trie::TrieUpdate;
use crate::tx::decode::decode;
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// A block of the chain.
#[derive(Debug, Clone)]
pub struct ChainBlock {
    /// Header, encoded transactions, ommers, withdrawals.
    pub block: Block,
    /// The transactions, decoded, with their senders.
    pub transactions: Vec<SharedTransaction>,
    /// RLP of the whole block.
    pub raw: Bytes,
}

/// Blocks back to which [`Chain::accounts_changed_since`] looks.
const MOST_RECENT: u64 = 64;

impl ChainHead {
    /// The canonical header at a height.
    pub fn header_by_number(&self, number: u64) -> Result<Option<Arc<SealedHeader>>, CoreError> {
        if number == self.header.header.number {
            return Ok(Some(self.header.clone()));
        }
        Ok(header_at(&self.snapshot, number)?.map(Arc::new))
    }

    /// Receipts of the canonical block at a height, in transaction order.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, CoreError> {
        let receipts = self.snapshot.receipts(number)?;
        Ok(receipts.map(|receipts| receipts.into_iter().map(|(receipt, _)| receipt).collect()))
    }
}

impl Chain {
    /// The canonical header at a height.
    pub fn header_by_number(&self, number: u64) -> Result<Option<Arc<SealedHeader>>, CoreError> {
        self.at_head().header_by_number(number)
    }

    /// The canonical header with a hash.
    pub fn header_by_hash(&self, hash: &B256) -> Result<Option<Arc<SealedHeader>>, CoreError> {
        let head = self.at_head();
        match head.snapshot.number_of(hash)? {
            Some(number) => head.header_by_number(number),
            None => Ok(None),
        }
    }

    /// The canonical block at a height.
    pub fn block_by_number(&self, number: u64) -> Result<Option<ChainBlock>, CoreError> {
        self.read_block(&self.at_head().snapshot, number)
    }

    /// The canonical block with a hash.
    pub fn block_by_hash(&self, hash: &B256) -> Result<Option<ChainBlock>, CoreError> {
        let head = self.at_head();
        match head.snapshot.number_of(hash)? {
            Some(number) => self.read_block(&head.snapshot, number),
            None => Ok(None),
        }
    }

    /// Receipts of the canonical block at a height, in transaction order.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, CoreError> {
        self.at_head().receipts(number)
    }

    /// Block number and index in the block of a mined transaction.
    pub fn transaction_location(&self, hash: &B256) -> Result<Option<(u64, u32)>, CoreError> {
        self.at_head().snapshot.transaction_location(hash)
    }

    /// Where mined transactions stand, all as of one head.
    pub fn transaction_locations(&self, hashes: &[B256]) -> Result<Vec<Option<(u64, u32)>>, CoreError> {
        let snapshot = self.at_head().snapshot;
        hashes.iter().map(|hash| snapshot.transaction_location(hash)).collect()
    }

    /// Accounts whose nonce, balance or code changed after a block, each once, in no order.
    ///
    /// `None` where the block is not canonical, and where it is more than [`MOST_RECENT`] blocks back: who asks must
    /// look at all accounts then.
    pub fn accounts_changed_since(
        &self,
        number: u64,
        hash: &B256,
    ) -> Result<Option<Vec<Address>>, CoreError> {
        let head = self.at_head();
        let newest = head.header.header.number;
        if number > newest || newest - number > MOST_RECENT {
            return Ok(None);
        }
        if head.header_by_number(number)?.is_none_or(|header| header.hash != *hash) {
            return Ok(None);
        }
        let mut changed = Vec::new();
        for block in number + 1..=newest {
            changed.append(&mut head.snapshot.changed_addresses(block)?);
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(Some(changed))
    }

    /// A canonical transaction of a block, decoded alone.
    pub fn transaction(&self, number: u64, index: usize) -> Result<Option<SharedTransaction>, CoreError> {
        let snapshot = self.at_head().snapshot;
        let Some((block, _)) = block_at(&snapshot, number)? else { return Ok(None) };
        let signed = snapshot.signed(number)?.unwrap_or_default();
        match (block.transactions.get(index), signed.get(index)) {
            (Some(raw), Some(signed)) => Ok(Some(self.stored_transaction(raw, signed)?)),
            _ => Ok(None),
        }
    }

    pub(super) fn read_block(
        &self,
        snapshot: &Snapshot,
        number: u64,
    ) -> Result<Option<ChainBlock>, CoreError> {
        let Some((block, raw)) = block_at(snapshot, number)? else { return Ok(None) };
        let signed = snapshot.signed(number)?.unwrap_or_default();
        if signed.len() != block.transactions.len() {
            return Err(CoreError::Storage(format!("block {number} has lost its senders")));
        }
        let transactions = block
            .transactions
            .iter()
            .zip(&signed)
            .map(|(raw, signed)| self.stored_transaction(raw, signed))
            .collect::<Result<_, _>>()?;
        Ok(Some(ChainBlock { block, transactions, raw }))
    }

    /// A transaction whose sender was recovered before it was stored.
    fn stored_transaction(&self, raw: &[u8], signed: &Signed) -> Result<SharedTransaction, CoreError> {
        let tx = decode(raw, self.spec.parallel_tx_type)
            .map_err(|error| CoreError::Storage(format!("stored transaction: {error}")))?;
        if tx.hash != signed.hash {
            return Err(CoreError::Storage(format!("stored transaction {} is damaged", signed.hash)));
        }
        Ok(Arc::new(RecoveredTransaction { tx, sender: signed.sender }))
    }

    /// Stores a block on the head. The caller holds the lock on writing.
    pub(super) fn store_block(
        &self,
        block: &ChainBlock,
        receipts: &[Receipt],
        changes: &StateChanges,
        trie: &TrieUpdate,
    ) -> Result<Arc<SealedHeader>, CoreError> {
        let signed: Vec<_> = block
            .transactions
            .iter()
            .map(|transaction| Signed { hash: transaction.tx.hash, sender: transaction.sender })
            .collect();
        let header = &block.block.header;
        let new = NewBlock {
            head: StoreHead { number: header.number, hash: block.block.hash },
            parent: header.parent_hash,
            header: &alloy_rlp::encode(header),
            body: body_of(&block.raw)?,
            signed: &signed,
            receipts,
        };
        let before = self.at_head().snapshot;
        let header = self.move_head(self.store.append(&new, changes, trie)?)?;
        self.predictions.head_moved(&block.transactions, changes, |address| before.account(address));
        Ok(header)
    }
}

/// A block of a snapshot's chain and its RLP.
pub(super) fn block_at(snapshot: &Snapshot, number: u64) -> Result<Option<(Block, Bytes)>, CoreError> {
    let Some(header) = whole_header(snapshot, number)? else { return Ok(None) };
    let body = snapshot.body(number)?;
    let body = body.ok_or_else(|| CoreError::Storage(format!("block {number} has a header and no body")))?;
    let raw = Bytes::from(assemble(&header.rlp, &body));
    Ok(Some((Block::decode(&raw)?, raw)))
}

/// The header at a height of a snapshot's chain.
pub(super) fn header_at(snapshot: &Snapshot, number: u64) -> Result<Option<SealedHeader>, CoreError> {
    let Some(stored) = whole_header(snapshot, number)? else { return Ok(None) };
    let header = Header::decode(&mut &stored.rlp[..])
        .map_err(|error| CoreError::Storage(format!("header {number}: {error}")))?;
    Ok(Some(SealedHeader { hash: stored.hash, header }))
}

/// A header as it was stored. Its hash is counted again: the store's pages are not checked when they are read.
fn whole_header(snapshot: &Snapshot, number: u64) -> Result<Option<StoredHeader>, CoreError> {
    let stored = snapshot.header(number)?;
    let is_whole = |header: &StoredHeader| keccak256(&header.rlp) == header.hash;
    if stored.as_ref().is_some_and(|header| !is_whole(header)) {
        return Err(CoreError::Storage(format!("header {number} is damaged")));
    }
    Ok(stored)
}

/// The items of an encoded block's list that follow the header.
pub(super) fn body_of(encoded: &[u8]) -> Result<&[u8], CoreError> {
    let split = |mut rest: &[u8]| -> alloy_rlp::Result<usize> {
        let all = RlpHeader::decode_bytes(&mut rest, true)?;
        let mut items = all;
        RlpHeader::decode_bytes(&mut items, true)?;
        Ok(items.len())
    };
    let length =
        split(encoded).map_err(|error| CoreError::InvalidArgument(format!("not a block: {error}")))?;
    Ok(&encoded[encoded.len() - length..])
}

/// Inverse of [`body_of`].
fn assemble(header: &[u8], body: &[u8]) -> Vec<u8> {
    let payload_length = header.len() + body.len();
    let mut raw = Vec::with_capacity(payload_length + 5);
    RlpHeader { list: true, payload_length }.encode(&mut raw);
    raw.extend_from_slice(header);
    raw.extend_from_slice(body);
    raw
}
