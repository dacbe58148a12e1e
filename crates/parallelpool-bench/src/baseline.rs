//! The neutral measure: a block executed by a plain revm loop.
//!
//! One EVM with mainnet's own handler, its journal kept over the block, transactions by reference,
//! the beneficiary credited by the handler. Receipts and bloom are made as any node needs them; the
//! state is handed out as the journal holds it. Nothing of our handler, ledger or executors is on
//! this path: what it shares with them is the state's maps underneath.

use revm::context::either::Either;
use revm::context::transaction::{
    AccessList, AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
};
use revm::context::{BlockEnv, CfgEnv, Context, Journal, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::result::ExecutionResult;
use revm::primitives::TxKind;
use revm::state::EvmState;
use revm::{ExecuteEvm, MainBuilder};

use parallelpool_core::block::{BlockContext, LogsBloom};
use parallelpool_core::chainspec::Rules;
use parallelpool_core::evm::blob_base_fee;
use parallelpool_core::evm::database::ViewDatabase;
use parallelpool_core::primitives::{Bloom, Log, U256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::RecoveredTransaction;

use crate::workload::BenchBlock;

/// A block in revm's own terms, made before the clock runs.
#[derive(Debug)]
pub struct PlainBlock<'a> {
    cfg: CfgEnv,
    block: BlockEnv,
    transactions: Vec<TxEnv>,
    state: &'a MemoryState,
}

/// What a receipt commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainReceipt {
    /// EIP-658 status.
    pub success: bool,
    /// Gas used up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// Bloom of `logs`.
    pub bloom: LogsBloom,
}

/// A block's execution.
#[derive(Debug, Clone)]
pub struct PlainOutcome {
    /// One per transaction.
    pub receipts: Vec<PlainReceipt>,
    /// Gas of all of them.
    pub gas_used: u64,
    /// Union of their blooms.
    pub bloom: Bloom,
    /// Everything that was loaded, as it is afterwards.
    pub state: EvmState,
}

impl<'a> PlainBlock<'a> {
    /// Translates a block.
    pub fn new(block: &'a BenchBlock) -> Self {
        let BenchBlock { rules, block, state, transactions, .. } = block;
        let mut cfg = CfgEnv::new_with_spec(rules.spec_id).with_chain_id(rules.chain_id);
        cfg.set_spec_and_mainnet_gas_params(rules.spec_id);
        cfg.max_blobs_per_tx = rules.blobs.map(|blobs| blobs.max);
        Self {
            cfg,
            block: environment(rules, block),
            transactions: transactions.iter().map(|tx| transaction(tx)).collect(),
            state,
        }
    }

    /// Executes the block. Fails with revm's words if a transaction is invalid.
    pub fn execute(&self) -> Result<PlainOutcome, String> {
        let Some(first) = self.transactions.first() else { return Ok(PlainOutcome::empty()) };
        let database = ViewDatabase(self.state);
        let context: Context<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()> =
            Context::new(database, self.cfg.spec);
        let context = context.with_cfg(self.cfg.clone()).with_block(self.block.clone()).with_tx(first);
        let mut evm = context.build_mainnet();
        let mut receipts = Vec::with_capacity(self.transactions.len());
        let (mut gas_used, mut bloom) = (0, Bloom::ZERO);
        for tx in &self.transactions {
            let result = evm.transact_one(tx).map_err(|error| error.to_string())?;
            gas_used += result.tx_gas_used();
            let (success, logs) = match result {
                ExecutionResult::Success { logs, .. } => (true, logs),
                ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => (false, Vec::new()),
            };
            let own = LogsBloom::of(&logs);
            if !own.is_empty() {
                bloom.accrue_bloom(&own);
            }
            receipts.push(PlainReceipt { success, cumulative_gas_used: gas_used, logs, bloom: own });
        }
        Ok(PlainOutcome { receipts, gas_used, bloom, state: evm.finalize() })
    }
}

impl PlainOutcome {
    fn empty() -> Self {
        Self { receipts: Vec::new(), gas_used: 0, bloom: Bloom::ZERO, state: EvmState::default() }
    }
}

fn environment(rules: &Rules, block: &BlockContext) -> BlockEnv {
    BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.beneficiary,
        timestamp: U256::from(block.timestamp),
        gas_limit: block.gas_limit,
        basefee: block.base_fee.unwrap_or_default(),
        difficulty: block.difficulty,
        prevrandao: block.prev_randao,
        blob_excess_gas_and_price: blob_base_fee(rules, block).map(|blob_gasprice| BlobExcessGasAndPrice {
            excess_blob_gas: block.excess_blob_gas.unwrap_or_default(),
            blob_gasprice,
        }),
        slot_num: block.slot_number.unwrap_or_default(),
    }
}

/// A transaction as revm's own environment; the parallel type runs as a fee-market one.
fn transaction(recovered: &RecoveredTransaction) -> TxEnv {
    let RecoveredTransaction { tx, sender } = recovered;
    let has_tip = tx.is_parallel || tx.tx_type >= 2;
    TxEnv {
        tx_type: if tx.is_parallel { 2 } else { tx.tx_type },
        caller: *sender,
        gas_limit: tx.gas_limit,
        gas_price: tx.max_fee_per_gas.saturating_to(),
        kind: tx.to.map_or(TxKind::Create, TxKind::Call),
        value: tx.value,
        data: tx.evm_input(),
        nonce: tx.nonce,
        chain_id: tx.chain_id,
        access_list: AccessList(
            tx.access_list
                .iter()
                .map(|item| AccessListItem { address: item.address, storage_keys: item.storage_keys.clone() })
                .collect(),
        ),
        gas_priority_fee: has_tip.then(|| tx.max_priority_fee_per_gas.saturating_to()),
        blob_hashes: tx.blob_versioned_hashes.clone(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas.saturating_to(),
        authorization_list: tx
            .authorization_list
            .iter()
            .map(|signed| {
                let inner =
                    Authorization { chain_id: signed.chain_id, address: signed.address, nonce: signed.nonce };
                let authority = match signed.recover_authority() {
                    Some(authority) => RecoveredAuthority::Valid(authority),
                    None => RecoveredAuthority::Invalid,
                };
                Either::Right(RecoveredAuthorization::new_unchecked(inner, authority))
            })
            .collect(),
    }
}
