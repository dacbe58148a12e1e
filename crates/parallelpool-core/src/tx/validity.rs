//! The rules that a transaction can break on its own, without state and without a block.
//!
//! In: a decoded transaction, its sender or why it has none, the rules. Out: its charges, or the
//! first broken rule with a stable class and geth's text. Block import and building stand on
//! this; the pool asks the same questions in geth's own order and with its own limits.

use super::Transaction;
use super::charges::{Charges, MAX_REGULAR_GAS, charges};
use super::decode::{ACCESS_LIST_TX_TYPE, BLOB_TX_TYPE, DYNAMIC_FEE_TX_TYPE, SET_CODE_TX_TYPE};
use super::recover::{SenderError, SignatureRules, recover_sender_under};
use crate::chainspec::{Fork, Rules};
use crate::primitives::{Address, U256};

/// A rule that the transaction breaks. Displays geth's text; [`Self::name`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaticError {
    /// The fork does not know the type.
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// No sender.
    #[error("invalid sender: {0}")]
    Sender(#[from] SenderError),
    /// EIP-2681.
    #[error("nonce has max value")]
    NonceMax,
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeSize {
        /// Bytes of init code, tag included.
        size: usize,
        /// Most that are allowed.
        limit: usize,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")]
    GasLimitTooHigh {
        /// Most that is allowed.
        cap: u64,
        /// The transaction's.
        gas_limit: u64,
    },
    /// EIP-1559.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// Gas limit × fee cap, or the same for blobs, is beyond 256 bits. That a value comes on top of
    /// it is left to the check of funds: the public tests hold a value of 2^256-1 for valid.
    #[error("insufficient funds for gas * price + value: required balance exceeds 256 bits")]
    CostOverflow,
    /// Less gas than is used up at the start.
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {needed}")]
    IntrinsicGas {
        /// The transaction's.
        gas_limit: u64,
        /// Due.
        needed: u64,
    },
    /// EIP-7623.
    #[error("insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {needed}")]
    FloorGas {
        /// The transaction's.
        gas_limit: u64,
        /// Due.
        needed: u64,
    },
    /// Amsterdam's cap on regular gas is below what is due at the start.
    #[error("insufficient gas for floor data gas cost: intrinsic cost {}, floor: {}", .0.intrinsic, .0.floor)]
    ChargesAboveCap(Charges),
    /// A blob transaction without blobs.
    #[error("blob transaction missing blob hashes")]
    NoBlobs,
    /// More blobs than a transaction may carry.
    #[error("blob transaction has too many blobs: have {have}, allowed {allowed}")]
    TooManyBlobs {
        /// The transaction's.
        have: usize,
        /// Most that are allowed.
        allowed: u64,
    },
    /// A versioned hash of an unknown version.
    #[error("blob {index} has invalid hash version")]
    BlobHashVersion {
        /// Position of the hash.
        index: usize,
    },
    /// A set-code transaction without authorizations.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorizations,
}

impl StaticError {
    /// The stable name of the broken rule.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TypeNotSupported => "type_not_supported",
            Self::Sender(SenderError::ChainId { .. }) => "chain_id",
            Self::Sender(SenderError::SignatureValues) => "invalid_signature",
            Self::Sender(SenderError::Unrecoverable) => "unrecoverable_signature",
            Self::NonceMax => "nonce_max",
            Self::InitCodeSize { .. } => "init_code_size",
            Self::GasLimitTooHigh { .. } => "gas_limit_too_high",
            Self::TipAboveFeeCap => "tip_above_fee_cap",
            Self::CostOverflow => "cost_overflow",
            Self::IntrinsicGas { .. } => "intrinsic_gas",
            Self::FloorGas { .. } => "floor_gas",
            Self::ChargesAboveCap(_) => "charges_above_cap",
            Self::NoBlobs => "no_blobs",
            Self::TooManyBlobs { .. } => "too_many_blobs",
            Self::BlobHashVersion { .. } => "blob_hash_version",
            Self::NoAuthorizations => "no_authorizations",
        }
    }
}

/// The sender as the fork sees it.
///
/// `today` is the sender under today's rules, which are the strictest; only older forks ask the
/// curve again.
pub fn sender_under(
    tx: &Transaction,
    today: &Result<Address, SenderError>,
    rules: &Rules,
) -> Result<Address, SenderError> {
    match SignatureRules::of(rules.fork) {
        SignatureRules::ReplayProtected => today.clone(),
        older => recover_sender_under(older, tx, rules.chain_id),
    }
}

/// Checks a transaction against all rules that need no state.
///
/// `sender` is the recovered sender under the rules of the fork, see [`sender_under`].
pub fn check_static(
    tx: &Transaction,
    sender: &Result<Address, SenderError>,
    rules: &Rules,
) -> Result<Charges, StaticError> {
    if !is_type_active(tx.tx_type, tx.is_parallel, rules) {
        return Err(StaticError::TypeNotSupported);
    }
    let sender = sender.as_ref().map_err(Clone::clone)?;
    if tx.nonce == u64::MAX {
        return Err(StaticError::NonceMax);
    }
    check_fees(tx)?;
    check_lists(tx, rules)?;
    check_gas(tx, sender, rules)
}

/// Whether transactions of this type exist under these rules.
pub(crate) fn is_type_active(tx_type: u8, is_parallel: bool, rules: &Rules) -> bool {
    match tx_type {
        _ if is_parallel => rules.parallel_tx_type == Some(tx_type),
        0 => true,
        ACCESS_LIST_TX_TYPE => rules.fork >= Fork::Berlin,
        DYNAMIC_FEE_TX_TYPE => rules.fork >= Fork::London,
        BLOB_TX_TYPE => rules.fork >= Fork::Cancun,
        SET_CODE_TX_TYPE => rules.fork >= Fork::Prague,
        _ => false,
    }
}

fn check_fees(tx: &Transaction) -> Result<(), StaticError> {
    if tx.max_priority_fee_per_gas > tx.max_fee_per_gas {
        return Err(StaticError::TipAboveFeeCap);
    }
    let gas = tx.gas_fee_cap().ok_or(StaticError::CostOverflow)?;
    let blobs = tx.blob_fee_cap().ok_or(StaticError::CostOverflow)?;
    gas.checked_add(blobs).map(drop).ok_or(StaticError::CostOverflow)
}

fn check_lists(tx: &Transaction, rules: &Rules) -> Result<(), StaticError> {
    const VERSIONED_HASH_VERSION_KZG: u8 = 1;
    if tx.tx_type == BLOB_TX_TYPE {
        let have = tx.blob_versioned_hashes.len();
        if have == 0 {
            return Err(StaticError::NoBlobs);
        }
        let allowed = rules.max_blobs_per_transaction();
        if have as u64 > allowed {
            return Err(StaticError::TooManyBlobs { have, allowed });
        }
        let is_wrong = |hash: &crate::primitives::B256| hash[0] != VERSIONED_HASH_VERSION_KZG;
        if let Some(index) = tx.blob_versioned_hashes.iter().position(is_wrong) {
            return Err(StaticError::BlobHashVersion { index });
        }
    }
    if tx.tx_type == SET_CODE_TX_TYPE && tx.authorization_list.is_empty() {
        return Err(StaticError::NoAuthorizations);
    }
    Ok(())
}

fn check_gas(tx: &Transaction, sender: &Address, rules: &Rules) -> Result<Charges, StaticError> {
    let gas_limit = tx.gas_limit;
    if let Some(limit) = rules.max_init_code_size().filter(|limit| tx.to.is_none() && tx.data.len() > *limit)
    {
        return Err(StaticError::InitCodeSize { size: tx.data.len(), limit });
    }
    if let Some(cap) = rules.max_transaction_gas().filter(|cap| gas_limit > *cap) {
        return Err(StaticError::GasLimitTooHigh { cap, gas_limit });
    }
    let due = charges(tx, Some(sender), rules);
    if gas_limit < due.intrinsic {
        return Err(StaticError::IntrinsicGas { gas_limit, needed: due.intrinsic });
    }
    if gas_limit < due.floor {
        return Err(StaticError::FloorGas { gas_limit, needed: due.floor });
    }
    if rules.fork >= Fork::Amsterdam && due.least_gas_limit() > MAX_REGULAR_GAS {
        return Err(StaticError::ChargesAboveCap(due));
    }
    Ok(due)
}

impl Transaction {
    /// Most that the sender can be charged: gas × fee cap + value + blob gas × blob fee cap, wei.
    /// `None` beyond 256 bits.
    pub fn cost(&self) -> Option<U256> {
        self.gas_fee_cap()?.checked_add(self.blob_fee_cap()?)?.checked_add(self.value)
    }

    fn gas_fee_cap(&self) -> Option<U256> {
        fee(self.max_fee_per_gas, self.gas_limit)
    }

    fn blob_fee_cap(&self) -> Option<U256> {
        const GAS_PER_BLOB: u64 = 1 << 17;
        if self.blob_versioned_hashes.is_empty() {
            return Some(U256::ZERO);
        }
        let blob_gas = U256::from(self.blob_versioned_hashes.len()) * U256::from(GAS_PER_BLOB);
        self.max_fee_per_blob_gas.checked_mul(blob_gas)
    }
}

/// Wei for gas at a price, `None` beyond 256 bits. Every real price has 64 bits, and two numbers of
/// 64 bits are multiplied in one step.
pub(crate) fn fee(price: U256, gas: u64) -> Option<U256> {
    match u64::try_from(price) {
        Ok(price) => Some(U256::from(u128::from(price) * u128::from(gas))),
        Err(_) => price.checked_mul(U256::from(gas)),
    }
}

impl Rules {
    /// Most blobs of one transaction: the block's, from Osaka on at most six (EIP-7594).
    pub fn max_blobs_per_transaction(&self) -> u64 {
        const MAX_FROM_OSAKA: u64 = 6;
        let of_block = self.blobs.map_or(0, |blobs| blobs.max);
        if self.fork >= Fork::Osaka { of_block.min(MAX_FROM_OSAKA) } else { of_block }
    }
}
