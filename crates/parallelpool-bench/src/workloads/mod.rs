//! Workloads: blocks with all that their execution needs, made from a name, a scale and a seed.
//!
//! Each family is a module with one or more makers `fn(&Making) -> Result<Workload, CoreError>`
//! and an entry for each in [`FAMILIES`]. A maker
//!
//! - takes its transaction count from [`Making::count`], so that `--scale 0.01` makes a small one;
//! - takes keys and random numbers from the seed only ([`Making::accounts`], [`Making::numbers`]);
//! - signs for real ([`Making::sign`], on all workers) and leaves nonces in order;
//! - puts into the state whatever the transactions touch, funds included ([`Making::fund`]);
//! - gives each transaction a gas limit that is enough, so that all of them succeed: a test runs
//!   every family and refuses one with a failed receipt (`mixed` alone has some that fail, and a
//!   test of its own that names them beforehand).
//!
//! [`Making::block`] joins it all under one environment, that of a block of today's mainnet.

pub mod accounts;
mod dependent;
mod mainnet;
mod mixed;
mod nft;
mod tiny;
mod token;
mod transfers;
mod uniswap;

use std::path::PathBuf;
use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, Bytes, U256, address};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{SharedTransaction, Transaction};
use parallelpool_core::workers::Workers;

use crate::workload::{BenchBlock, Workload};
pub use accounts::{Numbers, Signer};

/// A kind of workload.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is in it, in one line.
    pub description: &'static str,
    /// Makes it.
    pub make: Maker,
}

/// Makes a workload. Name and description are filled in by [`Family::make`]'s caller.
pub type Maker = fn(&Making<'_>) -> Result<Vec<BenchBlock>, CoreError>;

impl std::fmt::Debug for Family {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All families, in the order in which they are listed and run.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "transfers-self",
        description: "plain transfers, each account to itself",
        make: transfers::to_self,
    },
    Family {
        name: "transfers-distinct",
        description: "plain transfers, no account twice",
        make: transfers::distinct,
    },
    Family {
        name: "hot-recipient",
        description: "plain transfers, all to one account",
        make: transfers::hot_recipient,
    },
    Family {
        name: "one-sender",
        description: "plain transfers, all from one account to distinct ones",
        make: transfers::one_sender,
    },
    Family {
        name: "chain-transfers",
        description: "each account pays on what it has just received: fully dependent",
        make: dependent::transfers,
    },
    Family {
        name: "chain-counter",
        description: "every transaction increments one slot of one contract: fully dependent",
        make: dependent::counter,
    },
    Family {
        name: "erc20-self",
        description: "transfers of one ERC-20 token, each holder to itself",
        make: token::to_self,
    },
    Family {
        name: "erc20-distinct",
        description: "transfers of one ERC-20 token, no holder twice",
        make: token::distinct,
    },
    Family {
        name: "erc20-hot",
        description: "transfers of one ERC-20 token, all to one holder",
        make: token::hot_recipient,
    },
    Family {
        name: "erc20-dependent",
        description: "each holder of an ERC-20 token pays on what it has just received: fully dependent",
        make: token::dependent,
    },
    Family {
        name: "nft-mint",
        description: "mints of one ERC-721 collection, numbered by one counter",
        make: nft::mint,
    },
    Family {
        name: "uniswap",
        description: "Uniswap V3 swaps, each in a pool of its own; uniswap/N for N swaps in each pool",
        make: uniswap::clusters,
    },
    Family {
        name: "mixed",
        description: "a block of today's mainnet made large: transfers, tokens, swaps, mints, creations, failures",
        make: mixed::mainnet_like,
    },
    Family {
        name: "tiny",
        description: "blocks of 1 to 20 transfers, token transfers or swaps, whatever the scale",
        make: tiny::all,
    },
    Family {
        name: "mainnet",
        description: "recorded mainnet blocks ($PARALLELPOOL_FIXTURES/mainnet); mainnet/N for one of them, mainnet/A..B for some",
        make: mainnet::all,
    },
    Family { name: "mainnet-2021", description: "those of them from 2021 on", make: mainnet::since_2021 },
];

/// Transactions of 21,000 gas that make a block of one gigagas.
pub const GIGAGAS_TRANSFERS: usize = 47_620;

/// The seed of published figures.
pub const DEFAULT_SEED: u64 = 0x7061_7261_6c6c_656c;

/// Who earns the fees of made blocks; takes no other part in them.
pub const BENEFICIARY: Address = address!("0xc0ffee0000000000000000000000000000000001");

/// Wei per gas of made blocks: base fee and tip.
pub const BASE_FEE: u64 = 1_000_000_000;
/// Wei per gas that the beneficiary gets.
pub const TIP: u64 = 1_000_000_000;

/// What a maker is given.
#[derive(Debug)]
pub struct Making<'a> {
    /// Share of the full size; 1 is the published one.
    pub scale: f64,
    /// Source of all keys and choices.
    pub seed: u64,
    /// Threads for signing.
    pub workers: &'a Workers,
    /// Where recorded blocks lie.
    pub recorded: PathBuf,
}

/// A transaction that is not signed yet, and the account that will sign it.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Signs.
    pub signer: &'a Signer,
    /// Everything but the signature.
    pub transaction: Transaction,
}

impl<'a> Making<'a> {
    /// The published seed, full size, recorded blocks where `PARALLELPOOL_FIXTURES` says.
    pub fn new(workers: &'a Workers) -> Self {
        Self { scale: 1.0, seed: DEFAULT_SEED, workers, recorded: mainnet::default_folder() }
    }

    /// Another size or seed. [`CoreError::InvalidArgument`] for a scale that makes no sense.
    pub fn of_size(workers: &'a Workers, scale: f64, seed: u64) -> Result<Self, CoreError> {
        const MOST: f64 = 1_000.0;
        if scale > 0.0 && scale <= MOST {
            return Ok(Self { scale, seed, ..Self::new(workers) });
        }
        Err(CoreError::InvalidArgument(format!("scale must be above 0 and at most {MOST}, not {scale}")))
    }

    /// `full` at this scale, at least one.
    pub fn count(&self, full: usize) -> usize {
        // Sizes are far below 2^52, so the way through a float is exact at scale 1.
        ((full as f64 * self.scale).round() as usize).max(1)
    }

    /// `count` accounts with keys of their own. Different `purpose`s give different accounts.
    pub fn accounts(&self, purpose: &str, count: usize) -> Vec<Signer> {
        let indices: Vec<u64> = (0..count as u64).collect();
        self.workers.map(&indices, |index| Signer::derive(self.seed, purpose, *index))
    }

    /// Random numbers for a purpose.
    pub fn numbers(&self, purpose: &str) -> Numbers {
        Numbers::new(self.seed, purpose)
    }

    /// Signs drafts, order kept.
    pub fn sign(&self, drafts: Vec<Draft<'_>>) -> Result<Vec<SharedTransaction>, CoreError> {
        let signed = self.workers.map(&drafts, |draft| draft.transaction.clone().signed(&draft.signer.key));
        signed.into_iter().map(|tx| tx.map(Arc::new)).collect()
    }

    /// Gives each account `wei`, without nonce and code.
    pub fn fund<'s>(
        &self,
        state: &mut MemoryState,
        accounts: impl IntoIterator<Item = &'s Signer>,
        wei: U256,
    ) {
        for account in accounts {
            state.insert_account(account.address, Account { balance: wei, ..Account::default() }, None);
        }
    }

    /// The one block of a made workload: today's rules, a gas limit that all of it fits in.
    pub fn block(&self, state: MemoryState, drafts: Vec<Draft<'_>>) -> Result<Vec<BenchBlock>, CoreError> {
        let transactions = self.sign(drafts)?;
        let gas: u64 = transactions.iter().map(|tx| tx.tx.gas_limit).sum();
        let block = BlockContext {
            number: 24_000_000,
            timestamp: 1_770_000_000,
            beneficiary: BENEFICIARY,
            gas_limit: gas.max(60_000_000),
            base_fee: Some(BASE_FEE),
            prev_randao: Some(B256::repeat_byte(0x42)),
            parent_hash: B256::repeat_byte(0x41),
            parent_beacon_block_root: Some(B256::repeat_byte(0x43)),
            excess_blob_gas: Some(0),
            ..BlockContext::default()
        };
        let rules = ChainSpec::mainnet().rules_in(&block);
        let label = block.number.to_string();
        Ok(vec![BenchBlock { label, rules, block, state, block_hashes: Vec::new(), transactions }])
    }
}

/// An unsigned fee-market transaction of mainnet's chain id at the made blocks' fees.
pub fn draft(
    signer: &Signer,
    nonce: u64,
    to: Option<Address>,
    value: U256,
    data: Bytes,
    gas_limit: u64,
) -> Draft<'_> {
    let transaction = Transaction {
        tx_type: 2,
        chain_id: Some(1),
        nonce,
        gas_limit,
        max_fee_per_gas: U256::from(2 * BASE_FEE + TIP),
        max_priority_fee_per_gas: U256::from(TIP),
        to,
        value,
        data,
        ..Transaction::default()
    };
    Draft { signer, transaction }
}

/// Makes the workload of that name. `mainnet/N` is recorded block N alone, `mainnet/A..B` are those
/// from A to B, `uniswap/N` has N swaps in each pool.
///
/// [`CoreError::InvalidArgument`] for an unknown name, and where recorded blocks cannot be read.
pub fn make(name: &str, making: &Making<'_>) -> Result<Workload, CoreError> {
    if let Some(numbers) = name.strip_prefix("mainnet/") {
        let blocks = mainnet::chosen(making, numbers)?;
        let noun = if blocks.len() == 1 { "block" } else { "blocks" };
        return Ok(Workload {
            name: name.into(),
            description: format!("recorded mainnet {noun} {numbers}"),
            blocks,
        });
    }
    if let Some(swaps) = name.strip_prefix("uniswap/") {
        return uniswap::crowded(making, swaps);
    }
    let family = FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
        let names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        CoreError::InvalidArgument(format!("no workload {name:?}; there are {}", names.join(", ")))
    })?;
    Ok(Workload {
        name: family.name.into(),
        description: family.description.into(),
        blocks: (family.make)(making)?,
    })
}

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod tests;
