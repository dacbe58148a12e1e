//! What a block has taken in so far: receipts, gas, blob gas, bytes, and room for more.
//!
//! Both executors hand each transaction over in block order, and both ask here whether it still
//! fits, so their verdicts agree.

pub(crate) mod bloom;

use revm::primitives::eip4844::GAS_PER_BLOB;

use self::bloom::Blooms;
use crate::block::{BlockContext, InvalidTransaction, LogsBloom, Receipt};
use crate::block_codec::transaction_length;
use crate::chainspec::{Fork, Rules};
use crate::evm::TxResult;
use crate::execution::BuildLimits;
use crate::primitives::{Bloom, Bytes};
use crate::tx::RecoveredTransaction;
use crate::tx::charges::MAX_REGULAR_GAS;

/// A block in the making.
#[derive(Debug, Clone)]
pub struct Ledger {
    fork: Fork,
    gas_limit: u64,
    blob_gas_limit: u64,
    max_block_bytes: Option<usize>,
    bytes: usize,
    /// Regular gas from Amsterdam on, all gas before.
    block_gas: u64,
    block_state_gas: u64,
    cumulative_gas: u64,
    blob_gas: u64,
    bloom: Bloom,
    blooms: Blooms,
    receipts: Vec<Receipt>,
    outputs: Vec<Bytes>,
}

impl Ledger {
    /// An empty block; `limits` only where one is being built.
    pub fn new(rules: &Rules, block: &BlockContext, limits: Option<&BuildLimits>) -> Self {
        Self {
            fork: rules.fork,
            gas_limit: block.gas_limit,
            blob_gas_limit: rules.blobs.map_or(0, |blobs| blobs.max * GAS_PER_BLOB),
            max_block_bytes: limits.and_then(|limits| limits.max_block_bytes),
            bytes: limits.map_or(0, |limits| limits.overhead_bytes),
            block_gas: 0,
            block_state_gas: 0,
            cumulative_gas: 0,
            blob_gas: 0,
            bloom: Bloom::ZERO,
            blooms: Blooms::default(),
            receipts: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Makes room for so many transactions at once.
    pub fn reserve(&mut self, transactions: usize) {
        self.receipts.reserve(transactions);
        self.outputs.reserve(transactions);
    }

    /// Whether the block has room for the transaction, whatever the state says about it.
    pub fn room_for(&self, tx: &RecoveredTransaction) -> Result<(), InvalidTransaction> {
        self.gas_for(tx)?;
        if self.blob_gas + blob_gas(tx) > self.blob_gas_limit {
            return Err(InvalidTransaction::BlobGasLimit);
        }
        if self.max_block_bytes.is_some_and(|most| self.bytes + transaction_length(&tx.tx.raw) > most) {
            return Err(InvalidTransaction::BlockSizeLimit);
        }
        Ok(())
    }

    /// The verdict on a transaction of a given block, from the executor's verdict and the room
    /// that is left, with geth's precedence: it takes the gas from the pool after the checks of
    /// sender, fees and lists, before those of funds and intrinsic gas.
    pub fn verdict<T>(
        &self,
        tx: &RecoveredTransaction,
        outcome: Result<T, InvalidTransaction>,
    ) -> Result<T, InvalidTransaction> {
        match outcome {
            Err(reason) if !follows_gas_pool(&reason) => Err(reason),
            outcome => self.room_for(tx).and(outcome),
        }
    }

    /// Takes a transaction in.
    pub fn push(&mut self, tx: &RecoveredTransaction, result: TxResult) {
        let bloom = self.blooms.of(&result.logs);
        self.push_with_bloom(tx, result, bloom);
    }

    /// The same with the bloom of its logs, which takes longer to make than all the rest.
    pub fn push_with_bloom(&mut self, tx: &RecoveredTransaction, result: TxResult, bloom: LogsBloom) {
        self.cumulative_gas += result.gas_used;
        self.block_gas += result.block_gas;
        self.block_state_gas += result.block_state_gas;
        self.blob_gas += result.blob_gas_used;
        self.count_bytes(tx);
        if !bloom.is_empty() {
            self.bloom.accrue_bloom(&bloom);
        }
        self.outputs.push(result.output);
        self.receipts.push(Receipt {
            tx_type: tx.tx.tx_type,
            success: result.success,
            state_root: None,
            cumulative_gas_used: self.cumulative_gas,
            gas_used: result.gas_used,
            logs: result.logs,
            bloom,
            contract_address: result.created,
            effective_gas_price: result.effective_gas_price,
            blob_gas_used: result.blob_gas_used,
        });
    }

    /// Takes a plain transfer in: it succeeded, without output and logs, and has no blobs. The same
    /// as [`Self::push`] of such a result, and cheaper. Not from Amsterdam on, where transfers log.
    // A receipt that is copied field by field is waited for; here it is written where it belongs.
    #[inline(always)]
    pub fn push_transfer(&mut self, tx: &RecoveredTransaction, gas_used: u64, effective_gas_price: u128) {
        self.cumulative_gas += gas_used;
        self.block_gas += gas_used;
        self.count_bytes(tx);
        self.outputs.push(Bytes::new());
        self.receipts.push(Receipt {
            tx_type: tx.tx.tx_type,
            success: true,
            state_root: None,
            cumulative_gas_used: self.cumulative_gas,
            gas_used,
            logs: Vec::new(),
            bloom: LogsBloom::default(),
            contract_address: None,
            effective_gas_price,
            blob_gas_used: 0,
        });
    }

    /// Only a block under construction has a limit of bytes.
    fn count_bytes(&mut self, tx: &RecoveredTransaction) {
        if self.max_block_bytes.is_some() {
            self.bytes += transaction_length(&tx.tx.raw);
        }
    }

    /// Receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// What the header says: the sum over the receipts, from Amsterdam on the greater of regular
    /// and state gas.
    pub fn gas_used(&self) -> u64 {
        self.block_gas.max(self.block_state_gas)
    }

    /// EIP-4844 gas so far.
    pub fn blob_gas_used(&self) -> u64 {
        self.blob_gas
    }

    /// Union of the receipts' blooms.
    pub fn bloom(&self) -> Bloom {
        self.bloom
    }

    /// Receipts and return data.
    pub fn into_receipts(self) -> (Vec<Receipt>, Vec<Bytes>) {
        (self.receipts, self.outputs)
    }

    fn gas_for(&self, tx: &RecoveredTransaction) -> Result<(), InvalidTransaction> {
        let (limit, wanted) = (self.gas_limit, tx.tx.gas_limit);
        let left = limit.saturating_sub(self.block_gas);
        // EIP-8037: a transaction can use at most the cap of regular gas, the rest is state gas.
        let regular = if self.fork >= Fork::Amsterdam { wanted.min(MAX_REGULAR_GAS) } else { wanted };
        if regular > left {
            return Err(InvalidTransaction::BlockGasLimit { limit, left });
        }
        let left = limit.saturating_sub(self.block_state_gas);
        if self.fork >= Fork::Amsterdam && wanted > left {
            return Err(InvalidTransaction::BlockGasLimit { limit, left });
        }
        Ok(())
    }
}

fn follows_gas_pool(reason: &InvalidTransaction) -> bool {
    matches!(
        reason,
        InvalidTransaction::InsufficientFunds { .. }
            | InvalidTransaction::FundsOverflow { .. }
            | InvalidTransaction::IntrinsicGas { .. }
            | InvalidTransaction::FloorDataGas { .. }
    )
}

fn blob_gas(tx: &RecoveredTransaction) -> u64 {
    tx.tx.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chainspec::ChainSpec;
    use crate::tx::Transaction;

    #[test]
    fn a_transfer_is_taken_in_like_any_other_result() {
        let block = BlockContext { gas_limit: 100_000, ..BlockContext::default() };
        let rules = ChainSpec::mainnet().rules_in(&block);
        let limits = BuildLimits { max_block_bytes: Some(1_000), overhead_bytes: 10 };
        let mut tx = Transaction { tx_type: 2, gas_limit: 21_000, ..Transaction::default() };
        tx.raw = vec![2; 110].into();
        let tx = RecoveredTransaction { tx, sender: Default::default() };
        let result = TxResult {
            success: true,
            gas_used: 21_000,
            block_gas: 21_000,
            effective_gas_price: 7,
            ..TxResult::default()
        };
        let mut one = Ledger::new(&rules, &block, Some(&limits));
        let mut other = one.clone();
        for _ in 0..3 {
            one.push(&tx, result.clone());
            other.push_transfer(&tx, 21_000, 7);
        }

        assert_eq!((one.gas_used(), one.bytes), (63_000, 10 + 3 * 112));
        assert_eq!((one.gas_used(), one.bytes, one.bloom()), (other.gas_used(), other.bytes, other.bloom()));
        assert_eq!(one.into_receipts(), other.into_receipts());
    }
}
