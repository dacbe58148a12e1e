//! Blocks as files that any executor can read: `{name, description, env, preState, transactions}`.
//!
//! `preState` has the shape of geth's prestate tracer, transactions are their signed bytes with the
//! sender beside them. What is read back is decoded and recovered again and held against `from`.
//! Files of the replay format (`{block, preState, blockHashes}`) are read too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::{BlobParameters, Fork, Rules};
use parallelpool_core::error::{CoreError, StateError};
use parallelpool_core::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256};
use parallelpool_core::replay::{self, ReplayBlock};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::tx::decode::decode;
use parallelpool_core::tx::recover::{SignatureRules, recover_sender_under};
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction};
use parallelpool_core::workers::Workers;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::hex::{Quantity, Text};
use crate::workload::{BenchBlock, Workload};

/// One block and what it needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    env: Environment,
    pre_state: BTreeMap<Text<Address>, AccountFields>,
    transactions: Vec<SignedTransaction>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    fork: String,
    chain_id: Quantity<u64>,
    number: Quantity<u64>,
    timestamp: Quantity<u64>,
    coinbase: Text<Address>,
    gas_limit: Quantity<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_fee: Option<Quantity<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difficulty: Option<Quantity<U256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_randao: Option<Text<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_hash: Option<Text<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_beacon_block_root: Option<Text<B256>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<Quantity<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_schedule: Option<BlobSchedule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_number: Option<Quantity<u64>>,
    /// Type byte of the chain's parallel transactions, where it has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tx_type: Option<u8>,
    /// Hashes of ancestors by decimal number.
    #[serde(default)]
    block_hashes: BTreeMap<u64, Text<B256>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobSchedule {
    target: u64,
    max: u64,
    base_fee_update_fraction: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct AccountFields {
    balance: Quantity<U256>,
    #[serde(default)]
    nonce: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Text<Bytes>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<Text<B256>, Text<B256>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SignedTransaction {
    raw: Text<Bytes>,
    from: Text<Address>,
}

/// Which of the formats a document has.
#[derive(Deserialize)]
struct Shape {
    env: Option<IgnoredAny>,
    block: Option<IgnoredAny>,
}

/// Reads the block in a file, unpacked if it is gzip.
///
/// [`CoreError::InvalidArgument`], with the file's name, where it cannot be read or is no such block.
pub fn read(path: &Path, workers: &Workers) -> Result<Workload, CoreError> {
    let named = |reason: String| CoreError::InvalidArgument(format!("{}: {reason}", path.display()));
    let text = read_text(path)?;
    let mut workload = parse(&text, workers).map_err(|error| named(error.to_string()))?;
    if workload.name.is_empty() {
        workload.name = path.file_name().map(|name| name.to_string_lossy().into()).unwrap_or_default();
    }
    Ok(workload)
}

/// Writes a block to a file, as gzip if the file's name ends in `.gz`.
pub fn write(workload: &Workload, path: &Path) -> Result<(), CoreError> {
    let text = export(workload)?;
    let failed = |error: std::io::Error| CoreError::InvalidArgument(format!("{}: {error}", path.display()));
    let mut file = File::create(path).map_err(failed)?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut packed = GzEncoder::new(file, Compression::default());
        packed.write_all(&text).and_then(|()| packed.finish()).map_err(failed)?;
        return Ok(());
    }
    file.write_all(&text).map_err(failed)
}

/// A file's content, unpacked if it is gzip.
pub(crate) fn read_text(path: &Path) -> Result<Vec<u8>, CoreError> {
    use std::io::Read;
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let failed = |error: std::io::Error| CoreError::InvalidArgument(format!("{}: {error}", path.display()));
    let content = std::fs::read(path).map_err(failed)?;
    if !content.starts_with(&GZIP) {
        return Ok(content);
    }
    let mut text = Vec::new();
    GzDecoder::new(&content[..]).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// Reads a document of either format.
pub fn parse(json: &[u8], workers: &Workers) -> Result<Workload, CoreError> {
    let invalid = |error: serde_json::Error| CoreError::InvalidArgument(format!("not a block: {error}"));
    let shape: Shape = serde_json::from_slice(json).map_err(invalid)?;
    if shape.env.is_none() && shape.block.is_some() {
        return recorded(json);
    }
    let document: Document = serde_json::from_slice(json).map_err(invalid)?;
    let Document { name, description, env, pre_state, transactions } = document;
    let (rules, block) = (env.rules()?, env.block());
    let transactions = recovered(&transactions, &rules, workers)?;
    let block_hashes: Vec<_> = env.block_hashes.into_iter().map(|(number, hash)| (number, hash.0)).collect();
    let state = state(pre_state, &block_hashes);
    let label = block.number.to_string();
    let block = BenchBlock { label, rules, block, state, block_hashes, transactions };
    Ok(Workload { name, description, blocks: vec![block] })
}

/// The document of a workload of one block.
///
/// [`CoreError::InvalidArgument`] for one of several blocks.
pub fn export(workload: &Workload) -> Result<Vec<u8>, CoreError> {
    let [block] = &workload.blocks[..] else {
        return Err(CoreError::InvalidArgument(format!(
            "{} has {} blocks, a file holds one: name it, as in mainnet/N",
            workload.name,
            workload.blocks.len()
        )));
    };
    let document = Document {
        name: workload.name.clone(),
        description: workload.description.clone(),
        env: Environment::of(block),
        pre_state: pre_state(&block.state)?,
        transactions: block
            .transactions
            .iter()
            .map(|tx| SignedTransaction { raw: Text(tx.tx.raw.clone()), from: Text(tx.sender) })
            .collect(),
    };
    Ok(serde_json::to_vec(&document).expect("texts, numbers and lists have a JSON form"))
}

/// A block of the replay format, read as a workload.
pub(crate) fn recorded(json: &[u8]) -> Result<Workload, CoreError> {
    let ReplayBlock { rules, block, transactions, state, .. } = replay::parse(json)?;
    let block_hashes = state.block_hashes().collect();
    let label = block.number.to_string();
    Ok(Workload {
        name: format!("mainnet/{label}"),
        description: format!("recorded mainnet block {label}"),
        blocks: vec![BenchBlock { label, rules, block, state, block_hashes, transactions }],
    })
}

impl Environment {
    fn of(block: &BenchBlock) -> Self {
        let BenchBlock { rules, block, block_hashes, .. } = block;
        Self {
            fork: rules.fork.name().into(),
            chain_id: Quantity(rules.chain_id),
            number: Quantity(block.number),
            timestamp: Quantity(block.timestamp),
            coinbase: Text(block.beneficiary),
            gas_limit: Quantity(block.gas_limit),
            base_fee: block.base_fee.map(Quantity),
            difficulty: (!block.difficulty.is_zero()).then_some(Quantity(block.difficulty)),
            prev_randao: block.prev_randao.map(Text),
            parent_hash: Some(Text(block.parent_hash)),
            parent_beacon_block_root: block.parent_beacon_block_root.map(Text),
            excess_blob_gas: block.excess_blob_gas.map(Quantity),
            blob_schedule: rules.blobs.map(|blobs| BlobSchedule {
                target: blobs.target,
                max: blobs.max,
                base_fee_update_fraction: blobs.base_fee_update_fraction,
            }),
            slot_number: block.slot_number.map(Quantity),
            parallel_tx_type: rules.parallel_tx_type,
            block_hashes: block_hashes.iter().map(|(number, hash)| (*number, Text(*hash))).collect(),
        }
    }

    fn rules(&self) -> Result<Rules, CoreError> {
        let fork = Fork::named(&self.fork)
            .ok_or_else(|| CoreError::InvalidArgument(format!("env.fork: unknown fork {:?}", self.fork)))?;
        let blobs = self.blob_schedule.map(|blobs| BlobParameters {
            target: blobs.target,
            max: blobs.max,
            base_fee_update_fraction: blobs.base_fee_update_fraction,
        });
        if fork >= Fork::Cancun && blobs.is_none_or(|blobs| blobs.base_fee_update_fraction == 0) {
            let reason = "env.blobSchedule: needed from Cancun on, its fraction not zero";
            return Err(CoreError::InvalidArgument(reason.into()));
        }
        Ok(Rules {
            fork,
            spec_id: fork.spec_id(),
            chain_id: self.chain_id.0,
            blobs,
            parallel_tx_type: self.parallel_tx_type,
            amsterdam: Default::default(),
        })
    }

    fn block(&self) -> BlockContext {
        BlockContext {
            number: self.number.0,
            timestamp: self.timestamp.0,
            beneficiary: self.coinbase.0,
            gas_limit: self.gas_limit.0,
            base_fee: self.base_fee.map(|fee| fee.0),
            difficulty: self.difficulty.map_or(U256::ZERO, |difficulty| difficulty.0),
            prev_randao: self.prev_randao.map(|randao| randao.0),
            parent_hash: self.parent_hash.map_or(B256::ZERO, |hash| hash.0),
            parent_beacon_block_root: self.parent_beacon_block_root.map(|root| root.0),
            excess_blob_gas: self.excess_blob_gas.map(|gas| gas.0),
            slot_number: self.slot_number.map(|slot| slot.0),
            ..BlockContext::default()
        }
    }
}

fn recovered(
    signed: &[SignedTransaction],
    rules: &Rules,
    workers: &Workers,
) -> Result<Vec<SharedTransaction>, CoreError> {
    let signatures = SignatureRules::of(rules.fork);
    let recover = |signed: &SignedTransaction| -> Result<SharedTransaction, String> {
        let tx = decode(&signed.raw.0, rules.parallel_tx_type).map_err(|error| error.to_string())?;
        let sender =
            recover_sender_under(signatures, &tx, rules.chain_id).map_err(|error| error.to_string())?;
        if sender != signed.from.0 {
            return Err(format!("signed by {sender}, not by {}", signed.from.0));
        }
        Ok(Arc::new(RecoveredTransaction { tx, sender }))
    };
    let results = workers.map(signed, recover).into_iter().enumerate();
    results
        .map(|(index, result)| {
            result.map_err(|reason| CoreError::InvalidArgument(format!("transactions[{index}]: {reason}")))
        })
        .collect()
}

fn state(accounts: BTreeMap<Text<Address>, AccountFields>, block_hashes: &[(u64, B256)]) -> MemoryState {
    let mut state = MemoryState::new();
    for (Text(address), fields) in accounts {
        let account = Account { nonce: fields.nonce, balance: fields.balance.0, ..Account::default() };
        state.insert_account(address, account, fields.code.map(|code| code.0));
        for (slot, value) in fields.storage {
            state.insert_storage(address, slot.0.into(), value.0.into());
        }
    }
    for (number, hash) in block_hashes {
        state.insert_block_hash(*number, *hash);
    }
    state
}

fn pre_state(state: &MemoryState) -> Result<BTreeMap<Text<Address>, AccountFields>, StateError> {
    let mut accounts = BTreeMap::new();
    for (address, account, slots) in state.iter() {
        let code = match account.code_hash {
            KECCAK_EMPTY => None,
            hash => Some(Text(state.code(&hash)?.original_bytes())),
        };
        let storage = slots.map(|(slot, value)| (Text(slot.into()), Text(value.into()))).collect();
        let (balance, nonce) = (Quantity(account.balance), account.nonce);
        accounts.insert(Text(address), AccountFields { balance, nonce, code, storage });
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests;
