//! A node's block: `{block, preState, blockHashes}` as JSON.
//!
//! `block` is `eth_getBlockByNumber(N, true)`, `preState` has the shape of geth's prestate
//! tracer, `blockHashes` lists ancestors that BLOCKHASH asks for. Transactions are rebuilt from
//! their fields, held against the hash that the block gives for them, and their senders are
//! recovered from the signatures; the `from` that the node claims is not read.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Expected, ReplayBlock};
use crate::block::{BlockContext, Ommer};
use crate::chainspec::{ChainSpec, Rules};
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bloom, Bytes, U256};
use crate::state::Account;
use crate::state::memory::MemoryState;
use crate::tx::{AccessListItem, RecoveredTransaction, SharedTransaction, Transaction, recover};

/// Reads a block and its state, with mainnet's schedule of forks.
///
/// Fails with [`CoreError::InvalidArgument`] and the place in the document if it is malformed, or
/// if a transaction is not the one its hash names.
pub(super) fn parse(json: &[u8]) -> Result<ReplayBlock, CoreError> {
    let fixture: Fixture = serde_json::from_slice(json)
        .map_err(|error| CoreError::InvalidArgument(format!("not a block to replay: {error}")))?;
    let Fixture { block: header, pre_state, block_hashes } = fixture;
    let block = context(&header);
    let rules = ChainSpec::mainnet().rules_in(&block);
    let transactions = header
        .transactions
        .iter()
        .map(|fields| transaction(fields, &rules))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| CoreError::InvalidArgument(format!("block {}: {reason}", block.number)))?;
    let expected = Expected {
        gas_used: header.gas_used.0,
        logs_bloom: header.logs_bloom.0,
        receipts_root: header.receipts_root.0,
    };
    Ok(ReplayBlock {
        rules,
        block,
        transactions,
        state: state(pre_state, block_hashes),
        expected,
        frame: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    block: Header,
    pre_state: BTreeMap<Text<Address>, AccountFields>,
    block_hashes: BTreeMap<u64, Text<B256>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    number: Quantity<u64>,
    timestamp: Quantity<u64>,
    miner: Text<Address>,
    gas_limit: Quantity<u64>,
    gas_used: Quantity<u64>,
    base_fee_per_gas: Option<Quantity<u64>>,
    difficulty: Quantity<U256>,
    mix_hash: Text<B256>,
    parent_hash: Text<B256>,
    parent_beacon_block_root: Option<Text<B256>>,
    excess_blob_gas: Option<Quantity<u64>>,
    logs_bloom: Text<Bloom>,
    receipts_root: Text<B256>,
    transactions: Vec<TransactionFields>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionFields {
    hash: Text<B256>,
    #[serde(rename = "type")]
    tx_type: Quantity<u8>,
    chain_id: Option<Quantity<u64>>,
    nonce: Quantity<u64>,
    gas: Quantity<u64>,
    gas_price: Option<Quantity<U256>>,
    max_fee_per_gas: Option<Quantity<U256>>,
    max_priority_fee_per_gas: Option<Quantity<U256>>,
    to: Option<Text<Address>>,
    value: Quantity<U256>,
    input: Text<Bytes>,
    #[serde(default)]
    access_list: Vec<AccessFields>,
    #[serde(default)]
    blob_versioned_hashes: Vec<Text<B256>>,
    max_fee_per_blob_gas: Option<Quantity<U256>>,
    v: Quantity<u64>,
    r: Quantity<U256>,
    s: Quantity<U256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessFields {
    address: Text<Address>,
    storage_keys: Vec<Text<B256>>,
}

#[derive(Deserialize)]
pub(super) struct AccountFields {
    balance: Quantity<U256>,
    #[serde(default)]
    nonce: u64,
    code: Option<Text<Bytes>>,
    #[serde(default)]
    storage: BTreeMap<Text<B256>, Text<B256>>,
}

/// Hex text of fixed meaning: an address, a hash, bytes, a bloom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A number in hex text.
#[derive(Clone, Copy)]
struct Quantity<T>(T);

impl<'de, T: TryFrom<U256, Error: Display>> Deserialize<'de> for Quantity<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("a number without 0x"))?;
        let number = U256::from_str_radix(digits, 16).map_err(D::Error::custom)?;
        T::try_from(number).map(Self).map_err(D::Error::custom)
    }
}

fn context(header: &Header) -> BlockContext {
    BlockContext {
        number: header.number.0,
        timestamp: header.timestamp.0,
        beneficiary: header.miner.0,
        gas_limit: header.gas_limit.0,
        base_fee: header.base_fee_per_gas.map(|fee| fee.0),
        difficulty: header.difficulty.0,
        prev_randao: header.difficulty.0.is_zero().then_some(header.mix_hash.0),
        parent_hash: header.parent_hash.0,
        parent_beacon_block_root: header.parent_beacon_block_root.as_ref().map(|root| root.0),
        excess_blob_gas: header.excess_blob_gas.map(|gas| gas.0),
        withdrawals: None,
        ommers: Vec::<Ommer>::new(),
        slot_number: None,
    }
}

fn transaction(fields: &TransactionFields, rules: &Rules) -> Result<SharedTransaction, String> {
    let price = fields.max_fee_per_gas.or(fields.gas_price).ok_or("a transaction without a price")?.0;
    // A node reports the replay-protected v of legacy transactions as it was signed, and gives
    // a chain id only for those.
    let tx = Transaction {
        tx_type: fields.tx_type.0,
        chain_id: fields.chain_id.map(|id| id.0),
        nonce: fields.nonce.0,
        gas_limit: fields.gas.0,
        max_fee_per_gas: price,
        max_priority_fee_per_gas: fields.max_priority_fee_per_gas.map_or(price, |tip| tip.0),
        to: fields.to.as_ref().map(|to| to.0),
        value: fields.value.0,
        data: fields.input.0.clone(),
        access_list: fields
            .access_list
            .iter()
            .map(|item| AccessListItem {
                address: item.address.0,
                storage_keys: item.storage_keys.iter().map(|key| key.0).collect(),
            })
            .collect(),
        blob_versioned_hashes: fields.blob_versioned_hashes.iter().map(|hash| hash.0).collect(),
        max_fee_per_blob_gas: fields.max_fee_per_blob_gas.map_or(U256::ZERO, |fee| fee.0),
        v: fields.v.0,
        r: fields.r.0,
        s: fields.s.0,
        ..Transaction::default()
    }
    .sealed();
    if tx.hash != fields.hash.0 {
        return Err(format!("transaction {} hashes to {}", fields.hash.0, tx.hash));
    }
    let signatures = recover::SignatureRules::of(rules.fork);
    let sender = recover::recover_sender_under(signatures, &tx, rules.chain_id)
        .map_err(|reason| format!("transaction {}: {reason}", fields.hash.0))?;
    Ok(Arc::new(RecoveredTransaction { tx, sender }))
}

pub(super) fn state(
    accounts: BTreeMap<Text<Address>, AccountFields>,
    block_hashes: BTreeMap<u64, Text<B256>>,
) -> MemoryState {
    let mut state = MemoryState::new();
    for (Text(address), fields) in accounts {
        let account = Account { nonce: fields.nonce, balance: fields.balance.0, ..Account::default() };
        state.insert_account(address, account, fields.code.map(|code| code.0));
        for (slot, value) in fields.storage {
            state.insert_storage(address, slot.0.into(), value.0.into());
        }
    }
    for (number, hash) in block_hashes {
        state.insert_block_hash(number, hash.0);
    }
    state
}
