//! revm's block, configuration and transaction environments, made from ours.
//!
//! The transaction keeps two views of its data: what the EVM runs on (one leading tag of a
//! parallel transaction removed) and the whole bytes, which all charges and limits count.

use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::cfg::GasParams;
use revm::context_interface::transaction::{
    AccessListItemTr, AuthorizationTr, Transaction as EvmTransactionTr,
};
use revm::primitives::TxKind;

use crate::block::BlockContext;
use crate::chainspec::Rules;
use crate::header::fees;
use crate::primitives::{Address, B256, Bytes, U256};
use crate::tx::charges::{Charges, charges_by, effective_gas_price};
use crate::tx::{AccessListItem, RecoveredTransaction};

/// Type byte by which revm knows fee-market transactions; the parallel type runs as one.
const FEE_MARKET_TYPE: u8 = 2;
/// Type byte of set-code transactions.
const SET_CODE_TYPE: u8 = 4;

/// The block environment that opcodes see.
pub(super) fn block_environment(rules: &Rules, block: &BlockContext) -> BlockEnv {
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

/// Wei per blob gas in this block; `None` before Cancun.
pub fn blob_base_fee(rules: &Rules, block: &BlockContext) -> Option<u128> {
    Some(fees::blob_base_fee(&rules.blobs?, block.excess_blob_gas?))
}

/// The EVM's configuration under these rules.
pub(super) fn configuration(rules: &Rules, block: &BlockContext) -> CfgEnv {
    let mut configuration = CfgEnv::new_with_spec(rules.spec_id).with_chain_id(rules.chain_id);
    configuration.set_spec_and_mainnet_gas_params(rules.spec_id);
    configuration.max_blobs_per_tx = None;
    if rules.is_amsterdam_draft() {
        super::amsterdam_draft::configure(&mut configuration, block);
    }
    configuration
}

/// A transaction as revm reads it. One is filled anew for each ([`EvmTransaction::fill`]): its lists
/// keep their room, and most transactions have none.
#[derive(Debug, Clone, Default)]
pub(crate) struct EvmTransaction {
    /// The chain's own type byte.
    pub(super) tx_type: u8,
    pub(super) is_parallel: bool,
    pub(super) caller: Address,
    pub(super) nonce: u64,
    pub(super) gas_limit: u64,
    pub(super) max_fee_per_gas: U256,
    pub(super) max_priority_fee_per_gas: U256,
    /// Wei per gas that is paid.
    pub(super) price: U256,
    pub(super) to: Option<Address>,
    pub(super) value: U256,
    /// What runs.
    pub(super) input: Bytes,
    /// Length of what is charged, in bytes.
    pub(super) data_length: usize,
    /// Gas due before execution.
    pub(super) charges: Charges,
    /// Most that the sender can be charged, in wei; `None` beyond 256 bits.
    pub(super) cost: Option<U256>,
    pub(super) chain_id: Option<u64>,
    pub(super) access_list: Vec<AccessListItem>,
    pub(super) blob_versioned_hashes: Vec<B256>,
    pub(super) max_fee_per_blob_gas: U256,
    pub(super) authorizations: Vec<RecoveredAuthorization>,
}

/// An authorization and its signer, `None` where the signature is void.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecoveredAuthorization {
    chain_id: U256,
    address: Address,
    nonce: u64,
    pub(super) authority: Option<Address>,
}

impl EvmTransaction {
    /// Makes it that transaction. Its price takes the base fee, see [`Self::set_price`].
    pub(super) fn fill(&mut self, recovered: &RecoveredTransaction, rules: &Rules, gas_params: &GasParams) {
        let RecoveredTransaction { tx, sender } = recovered;
        self.tx_type = tx.tx_type;
        self.is_parallel = tx.is_parallel;
        self.caller = *sender;
        self.nonce = tx.nonce;
        self.gas_limit = tx.gas_limit;
        self.max_fee_per_gas = tx.max_fee_per_gas;
        self.max_priority_fee_per_gas = tx.max_priority_fee_per_gas;
        self.to = tx.to;
        self.value = tx.value;
        self.input = tx.evm_input();
        self.data_length = tx.data.len();
        self.charges = charges_by(gas_params, tx, Some(sender), rules);
        self.cost = tx.cost();
        self.chain_id = tx.chain_id;
        self.access_list.clone_from(&tx.access_list);
        self.blob_versioned_hashes.clone_from(&tx.blob_versioned_hashes);
        self.max_fee_per_blob_gas = tx.max_fee_per_blob_gas;
        self.authorizations.clear();
        self.authorizations.extend(tx.authorization_list.iter().map(|authorization| {
            RecoveredAuthorization {
                chain_id: authorization.chain_id,
                address: authorization.address,
                nonce: authorization.nonce,
                authority: authorization.recover_authority(),
            }
        }));
    }

    /// Lowers the gas limit, and with it what the transaction can cost.
    pub(super) fn lower_gas_limit(&mut self, gas_limit: u64) {
        let spared = U256::from(self.gas_limit - gas_limit).checked_mul(self.max_fee_per_gas);
        self.cost = self.cost.zip(spared).map(|(cost, spared)| cost - spared);
        self.gas_limit = gas_limit;
    }

    /// Works out the price under this base fee.
    pub(super) fn set_price(&mut self, base_fee: u64) {
        let (cap, tip) = (self.max_fee_per_gas, self.max_priority_fee_per_gas);
        self.price = effective_gas_price(self.tx_type, cap, tip, U256::from(base_fee));
    }
}

impl AccessListItemTr for AccessListItem {
    fn address(&self) -> &Address {
        &self.address
    }

    fn storage_slots(&self) -> impl Iterator<Item = &B256> {
        self.storage_keys.iter()
    }
}

impl AuthorizationTr for RecoveredAuthorization {
    fn authority(&self) -> Option<Address> {
        self.authority
    }

    fn chain_id(&self) -> U256 {
        self.chain_id
    }

    fn nonce(&self) -> u64 {
        self.nonce
    }

    fn address(&self) -> Address {
        self.address
    }
}

impl EvmTransactionTr for EvmTransaction {
    type AccessListItem<'a> = &'a AccessListItem;
    type Authorization<'a> = &'a RecoveredAuthorization;

    fn tx_type(&self) -> u8 {
        if self.is_parallel { FEE_MARKET_TYPE } else { self.tx_type }
    }

    fn caller(&self) -> Address {
        self.caller
    }

    fn gas_limit(&self) -> u64 {
        self.gas_limit
    }

    fn value(&self) -> U256 {
        self.value
    }

    fn input(&self) -> &Bytes {
        &self.input
    }

    fn nonce(&self) -> u64 {
        self.nonce
    }

    fn kind(&self) -> TxKind {
        self.to.map_or(TxKind::Create, TxKind::Call)
    }

    fn chain_id(&self) -> Option<u64> {
        self.chain_id
    }

    // The handler computes all fees itself, in 256 bits; nothing reads these two.
    fn gas_price(&self) -> u128 {
        self.max_fee_per_gas.saturating_to()
    }

    fn max_priority_fee_per_gas(&self) -> Option<u128> {
        Some(self.max_priority_fee_per_gas.saturating_to())
    }

    fn access_list(&self) -> Option<impl Iterator<Item = Self::AccessListItem<'_>>> {
        // revm builds a map even for an empty list.
        (!self.access_list.is_empty()).then(|| self.access_list.iter())
    }

    fn blob_versioned_hashes(&self) -> &[B256] {
        &self.blob_versioned_hashes
    }

    fn max_fee_per_blob_gas(&self) -> u128 {
        self.max_fee_per_blob_gas.saturating_to()
    }

    fn authorization_list_len(&self) -> usize {
        if self.tx_type == SET_CODE_TYPE { self.authorizations.len() } else { 0 }
    }

    fn authorization_list(&self) -> impl Iterator<Item = Self::Authorization<'_>> {
        self.authorizations.iter()
    }
}
