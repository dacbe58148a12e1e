//! A block of our own chain with all that is needed to make it again elsewhere, as JSON:
//! `{difference, genesis, block, candidates, preState, blockHashes}`.
//!
//! `difference` is for people. `genesis` is the chain's document without its accounts, `block` the
//! block's RLP, `candidates` what it was built from, canonical encodings in order (absent for a
//! block that was given). `preState` and `blockHashes` are those of a node's block. Senders are
//! recovered from the signatures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fixture::{self, AccountFields, Text};
use super::{Expected, Frame, ReplayBlock};
use crate::block_codec::Block;
use crate::chain::build_limits;
use crate::chainspec::Rules;
use crate::error::CoreError;
use crate::genesis::parse_genesis;
use crate::primitives::{Address, B256, Bytes, KECCAK_EMPTY};
use crate::state::StateView;
use crate::state::memory::MemoryState;
use crate::tx::SharedTransaction;
use crate::workers::Workers;

/// Reads a block of either form.
///
/// Fails with [`CoreError::InvalidArgument`] and the place in the document if it is malformed, or
/// if a transaction is not the one its hash names.
pub fn parse(json: &[u8]) -> Result<ReplayBlock, CoreError> {
    #[derive(Deserialize)]
    struct Form<'a> {
        #[serde(borrow)]
        block: &'a RawValue,
    }
    let form: Form<'_> = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
    if form.block.get().starts_with('"') {
        let document: Document<'_> = serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        return document.read();
    }
    fixture::parse(json)
}

pub(super) fn malformed(error: &dyn std::fmt::Display) -> CoreError {
    CoreError::InvalidArgument(format!("not a block to replay: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    genesis: &'a RawValue,
    block: Text<Bytes>,
    candidates: Option<Vec<Text<Bytes>>>,
    pre_state: BTreeMap<Text<Address>, AccountFields>,
    block_hashes: BTreeMap<u64, Text<B256>>,
}

impl Document<'_> {
    fn read(self) -> Result<ReplayBlock, CoreError> {
        let spec = parse_genesis(self.genesis.get())?.spec;
        let block = Block::decode(&self.block.0)?;
        let rules = spec.rules_of(&block.header);
        let transactions = recovered(&block, &rules)?;
        let candidates = match self.candidates {
            None => None,
            Some(raw) => {
                let raw = raw.into_iter().map(|text| text.0).collect();
                let offered = Block::new(block.header.clone(), raw, Vec::new(), None);
                Some((recovered(&offered, &rules)?, build_limits(&rules, &block)))
            }
        };
        let expected = Expected {
            gas_used: block.header.gas_used,
            logs_bloom: block.header.logs_bloom,
            receipts_root: block.header.receipts_root,
        };
        Ok(ReplayBlock {
            rules,
            block: block.context(),
            transactions,
            state: fixture::state(self.pre_state, self.block_hashes),
            expected,
            frame: Some(Frame { spec, candidates }),
        })
    }
}

fn recovered(block: &Block, rules: &Rules) -> Result<Vec<SharedTransaction>, CoreError> {
    block.recover_transactions(rules, &Workers::new(1)?).map_err(|error| malformed(&error))
}

/// What a reproducer is written from.
#[derive(Debug)]
pub struct Reproducer<'a> {
    /// What went wrong, for people.
    pub difference: &'a str,
    /// The chain's document.
    pub genesis: &'a [u8],
    /// RLP of the block as it should be.
    pub block: &'a [u8],
    /// What it was built from.
    pub candidates: Option<&'a [SharedTransaction]>,
    /// The parts of the parent's state that its execution asks for.
    pub state: &'a MemoryState,
    /// The ancestors' hashes that it asks for.
    pub block_hashes: &'a BTreeMap<u64, B256>,
}

impl Reproducer<'_> {
    /// The document.
    pub fn to_json(&self) -> Result<Vec<u8>, CoreError> {
        let candidates = self.candidates.map(|all| all.iter().map(|tx| hex(&tx.tx.raw)).collect());
        let document = Written {
            difference: self.difference,
            genesis: without_accounts(self.genesis)?,
            block: hex(self.block),
            candidates,
            pre_state: self.accounts()?,
            block_hashes: self
                .block_hashes
                .iter()
                .map(|(number, hash)| (*number, hash.to_string()))
                .collect(),
        };
        Ok(serde_json::to_vec_pretty(&document).expect("a tree of texts can be written"))
    }

    fn accounts(&self) -> Result<BTreeMap<String, WrittenAccount>, CoreError> {
        let mut accounts = BTreeMap::new();
        for (address, account, storage) in self.state.iter() {
            let word = |value| B256::from(value).to_string();
            let code = (account.code_hash != KECCAK_EMPTY).then(|| self.state.code(&account.code_hash));
            let fields = WrittenAccount {
                balance: format!("{:#x}", account.balance),
                nonce: account.nonce,
                code: code.transpose()?.map(|code| hex(&code.original_bytes())),
                storage: storage.map(|(slot, value)| (word(slot), word(value))).collect(),
            };
            accounts.insert(address.to_string(), fields);
        }
        Ok(accounts)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    difference: &'a str,
    genesis: BTreeMap<String, Box<RawValue>>,
    block: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates: Option<Vec<String>>,
    pre_state: BTreeMap<String, WrittenAccount>,
    block_hashes: BTreeMap<u64, String>,
}

#[derive(Serialize)]
struct WrittenAccount {
    balance: String,
    nonce: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    storage: BTreeMap<String, String>,
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The document as it stands, accounts left out: there may be millions, and the state has those
/// that count. Other fields stay as they are written, numbers of any size among them.
fn without_accounts(genesis: &[u8]) -> Result<BTreeMap<String, Box<RawValue>>, CoreError> {
    let unreadable = |error| CoreError::Storage(format!("stored genesis: {error}"));
    let mut document: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(genesis).map_err(unreadable)?;
    document.retain(|key, _| !key.eq_ignore_ascii_case("alloc"));
    document.insert("alloc".into(), RawValue::from_string("{}".into()).map_err(unreadable)?);
    Ok(document)
}
