//! Blocks as they stand in files and on the wire: `rlp([header, transactions, ommers, withdrawals?])`.
//!
//! Transactions stay the bytes they came as; [`crate::tx`] decodes them and recovers senders.
//! What is decoded here encodes to the same bytes again, or is refused.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

use crate::block::{BlockContext, Ommer, Withdrawal};
use crate::chainspec::Rules;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bytes, keccak256};
use crate::roots::{self, put_withdrawal};
use crate::tx::decode::decode;
use crate::tx::recover::{SignatureRules, recover_sender_under};
use crate::tx::{RecoveredTransaction, SharedTransaction};
use crate::workers::{Priority, Workers};

/// A whole block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Header.
    pub header: Header,
    /// Keccak of the header's RLP.
    pub hash: B256,
    /// Canonical (EIP-2718) encodings.
    pub transactions: Vec<Bytes>,
    /// Ommer headers, before the merge.
    pub ommers: Vec<Header>,
    /// EIP-4895, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl Block {
    /// Puts a block together; the hash is computed here.
    pub fn new(
        header: Header,
        transactions: Vec<Bytes>,
        ommers: Vec<Header>,
        withdrawals: Option<Vec<Withdrawal>>,
    ) -> Self {
        Self { hash: header_hash(&header), header, transactions, ommers, withdrawals }
    }

    /// Decodes exactly one block.
    pub fn decode(rlp: &[u8]) -> Result<Self, CoreError> {
        let mut rest = rlp;
        let block = decode_next(&mut rest).map_err(bad_rlp)?;
        if !rest.is_empty() {
            return Err(CoreError::InvalidArgument(format!("{} bytes after the block", rest.len())));
        }
        Ok(block)
    }

    /// RLP of the block.
    pub fn encode(&self) -> Vec<u8> {
        let lengths = self.lengths();
        let mut out = Vec::with_capacity(lengths.payload + 5);
        RlpHeader { list: true, payload_length: lengths.payload }.encode(&mut out);
        self.header.encode(&mut out);
        RlpHeader { list: true, payload_length: lengths.transactions }.encode(&mut out);
        for raw in &self.transactions {
            match is_legacy(raw) {
                true => out.extend_from_slice(raw),
                false => raw.encode(&mut out),
            }
        }
        self.ommers.encode(&mut out);
        if let Some(withdrawals) = &self.withdrawals {
            RlpHeader { list: true, payload_length: lengths.withdrawals }.encode(&mut out);
            withdrawals.iter().for_each(|withdrawal| put_withdrawal(withdrawal, &mut out));
        }
        out
    }

    /// Bytes that [`Self::encode`] gives (EIP-7934).
    pub fn encoded_length(&self) -> usize {
        let payload = self.lengths().payload;
        payload + alloy_rlp::length_of_length(payload)
    }

    /// Decodes the transactions and recovers their senders under the rules of the block's fork,
    /// by all workers.
    ///
    /// Errors: the first transaction that is none, or that carries a sidecar, or that nobody
    /// signed.
    pub fn recover_transactions(
        &self,
        rules: &Rules,
        workers: &Workers,
    ) -> Result<Vec<SharedTransaction>, BadTransaction> {
        let signatures = SignatureRules::of(rules.fork);
        let recover = |raw: &Bytes| -> Result<SharedTransaction, String> {
            let tx = decode(raw, rules.parallel_tx_type).map_err(|error| error.to_string())?;
            if tx.sidecar.is_some() {
                return Err("unexpected blob sidecar".into());
            }
            let sender = recover_sender_under(signatures, &tx, rules.chain_id)
                .map_err(|error| format!("invalid sender: {error}"))?;
            Ok(Arc::new(RecoveredTransaction { tx, sender }))
        };
        let recovered =
            workers.map_at(Priority::Recovery, &self.transactions, recover).into_iter().enumerate();
        recovered.map(|(index, tx)| tx.map_err(|reason| BadTransaction { index, reason })).collect()
    }

    /// What execution depends on.
    pub fn context(&self) -> BlockContext {
        block_context(&self.header, &self.ommers, self.withdrawals.clone())
    }

    fn lengths(&self) -> Lengths {
        let list = |payload: usize| payload + alloy_rlp::length_of_length(payload);
        let transactions = self.transactions.iter().map(|raw| transaction_length(raw)).sum();
        let withdrawals = self.withdrawals.iter().flatten().map(withdrawal_length).sum();
        let payload = self.header.length()
            + list(transactions)
            + self.ommers.length()
            + self.withdrawals.as_ref().map_or(0, |_| list(withdrawals));
        Lengths { transactions, withdrawals, payload }
    }
}

/// Bytes in a block's list that are no transaction of its chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index}: {reason}")]
pub struct BadTransaction {
    /// Its index in the block.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

struct Lengths {
    transactions: usize,
    withdrawals: usize,
    payload: usize,
}

/// Bytes that a transaction takes in a block's list, given its canonical encoding.
pub fn transaction_length(raw: &[u8]) -> usize {
    match is_legacy(raw) {
        true => raw.len(),
        false => raw.length(),
    }
}

/// Keccak of the header's RLP: the block hash.
pub fn header_hash(header: &Header) -> B256 {
    keccak256(alloy_rlp::encode(header))
}

/// Blocks one after another, as `geth export` writes them.
///
/// Yields each block, then stops; after an error it stops too. The error names the byte at which
/// the bad block begins.
pub fn blocks(file: &[u8]) -> impl Iterator<Item = Result<Block, CoreError>> {
    let mut rest = file;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = file.len() - rest.len();
        let block = decode_next(&mut rest);
        if block.is_err() {
            rest = &[];
        }
        Some(block.map_err(|error| CoreError::InvalidArgument(format!("no block at byte {at}: {error}"))))
    })
}

/// The environment of a block from its header, ommers and withdrawals.
pub fn block_context(
    header: &Header,
    ommers: &[Header],
    withdrawals: Option<Vec<Withdrawal>>,
) -> BlockContext {
    let merged = header.difficulty.is_zero();
    BlockContext {
        number: header.number,
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        gas_limit: header.gas_limit,
        base_fee: header.base_fee_per_gas,
        difficulty: header.difficulty,
        prev_randao: merged.then_some(header.mix_hash),
        parent_hash: header.parent_hash,
        parent_beacon_block_root: header.parent_beacon_block_root,
        excess_blob_gas: header.excess_blob_gas,
        withdrawals,
        ommers: ommers
            .iter()
            .map(|ommer| Ommer { beneficiary: ommer.beneficiary, number: ommer.number })
            .collect(),
        slot_number: header.slot_number,
    }
}

/// Checks that the header's roots are those of the block's lists.
pub fn check_body_roots(block: &Block) -> Result<(), String> {
    let compare = |what: &str, header: B256, body: B256| match header == body {
        true => Ok(()),
        false => Err(format!("{what} mismatch (header value {header:x}, calculated {body:x})")),
    };
    let header = &block.header;
    compare("uncle root hash", header.ommers_hash, roots::ommers_hash(&block.ommers))?;
    compare(
        "transaction root hash",
        header.transactions_root,
        roots::transactions_root(&block.transactions),
    )?;
    match (header.withdrawals_root, &block.withdrawals) {
        (None, None) => Ok(()),
        (Some(root), Some(list)) => compare("withdrawals root hash", root, roots::withdrawals_root(list)),
        (Some(_), None) => Err("missing withdrawals in block body".into()),
        (None, Some(_)) => Err("withdrawals present in block body".into()),
    }
}

fn decode_next(rest: &mut &[u8]) -> alloy_rlp::Result<Block> {
    let mut body = RlpHeader::decode_bytes(rest, true)?;
    let header = Header::decode(&mut body)?;
    let transactions = decode_list(&mut body, decode_transaction)?;
    let ommers = Vec::<Header>::decode(&mut body)?;
    let withdrawals = (!body.is_empty()).then(|| decode_list(&mut body, decode_withdrawal)).transpose()?;
    if !body.is_empty() {
        return Err(alloy_rlp::Error::Custom("too many items in the block"));
    }
    Ok(Block::new(header, transactions, ommers, withdrawals))
}

fn decode_list<T>(
    from: &mut &[u8],
    item: impl Fn(&mut &[u8]) -> alloy_rlp::Result<T>,
) -> alloy_rlp::Result<Vec<T>> {
    let mut list = RlpHeader::decode_bytes(from, true)?;
    let mut items = Vec::new();
    while !list.is_empty() {
        items.push(item(&mut list)?);
    }
    Ok(items)
}

/// A legacy transaction is a list of its own, any other a string around its envelope.
fn decode_transaction(from: &mut &[u8]) -> alloy_rlp::Result<Bytes> {
    let whole = *from;
    let head = RlpHeader::decode(from)?;
    let (payload, rest) = from.split_at(head.payload_length);
    *from = rest;
    match (head.list, payload.first()) {
        (true, _) => Ok(Bytes::copy_from_slice(&whole[..whole.len() - rest.len()])),
        // A string that begins like a list would be a legacy transaction in disguise.
        (false, Some(first)) if *first < 0x80 => Ok(Bytes::copy_from_slice(payload)),
        (false, _) => Err(alloy_rlp::Error::Custom("no transaction type")),
    }
}

fn decode_withdrawal(from: &mut &[u8]) -> alloy_rlp::Result<Withdrawal> {
    let mut fields = RlpHeader::decode_bytes(from, true)?;
    let withdrawal = Withdrawal {
        index: u64::decode(&mut fields)?,
        validator_index: u64::decode(&mut fields)?,
        address: Address::decode(&mut fields)?,
        amount: u64::decode(&mut fields)?,
    };
    match fields.is_empty() {
        true => Ok(withdrawal),
        false => Err(alloy_rlp::Error::Custom("too many items in a withdrawal")),
    }
}

fn withdrawal_length(withdrawal: &Withdrawal) -> usize {
    let mut out = Vec::with_capacity(64);
    put_withdrawal(withdrawal, &mut out);
    out.len()
}

fn is_legacy(raw: &[u8]) -> bool {
    raw.first().is_some_and(|first| *first >= 0xc0)
}

fn bad_rlp(error: alloy_rlp::Error) -> CoreError {
    CoreError::InvalidArgument(format!("not a block: {error}"))
}
