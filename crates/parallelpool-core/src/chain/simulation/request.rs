//! What a caller wants to run, and the transaction that it amounts to.

use super::{BlockOverrides, StateOverride};
use crate::chainspec::{Fork, Rules};
use crate::primitives::{Address, B256, Bytes, U256};
use crate::tx::{AccessListItem, Authorization, RecoveredTransaction, Transaction};

/// A message to simulate. What is `None` takes geth's defaults for `eth_call`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who sends it.
    pub sender: Address,
    /// Recipient; `None` creates a contract.
    pub to: Option<Address>,
    /// Calldata or init code.
    pub data: Bytes,
    /// Wei.
    pub value: U256,
    /// Gas limit.
    pub gas: Option<u64>,
    /// Wei per gas.
    pub gas_price: Option<U256>,
    /// Wei per gas.
    pub max_fee_per_gas: Option<U256>,
    /// Wei per gas.
    pub max_priority_fee_per_gas: Option<U256>,
    /// Wei per blob gas.
    pub max_fee_per_blob_gas: Option<U256>,
    /// Taken for the hash of the message alone: it always runs at the sender's next nonce.
    pub nonce: Option<u64>,
    /// EIP-2930.
    pub access_list: Option<Vec<AccessListItem>>,
    /// EIP-4844.
    pub blob_versioned_hashes: Vec<B256>,
    /// EIP-7702.
    pub authorization_list: Vec<Authorization>,
    /// Type byte, where the caller insists on one.
    pub tx_type: Option<u8>,
    /// geth's words where its fields contradict each other or the chain: a series ends with them at its turn.
    pub contradiction: Option<String>,
    /// Accounts as the caller wants them.
    pub state_overrides: Vec<StateOverride>,
    /// The environment as the caller wants it.
    pub block_overrides: BlockOverrides,
}

impl CallRequest {
    /// The greatest price that the sender offers, wei per gas; zero: it does not pay. Before London
    /// nothing but the gas price is looked at.
    pub(super) fn fee_cap(&self, rules: &Rules) -> U256 {
        self.gas_price.or(self.max_fee_per_gas.filter(|_| rules.fork >= Fork::London)).unwrap_or_default()
    }

    /// The message as a transaction at a nonce. It has no signature.
    pub(in crate::chain) fn as_transaction(
        &self,
        rules: &Rules,
        parallel_tx_type: Option<u8>,
        nonce: u64,
        gas_limit: u64,
    ) -> RecoveredTransaction {
        let is_london = rules.fork >= Fork::London;
        let tx_type = self.tx_type.unwrap_or_else(|| self.implied_type(is_london));
        let is_parallel = Some(tx_type) == parallel_tx_type && is_london;
        let tip = self.gas_price.or(self.max_priority_fee_per_gas.filter(|_| is_london)).unwrap_or_default();
        let tx = Transaction {
            tx_type,
            is_parallel,
            // A message is for the chain that it is asked of.
            chain_id: (tx_type != 0).then_some(rules.chain_id),
            nonce,
            gas_limit,
            max_fee_per_gas: self.fee_cap(rules),
            max_priority_fee_per_gas: tip,
            to: self.to,
            value: self.value,
            data: self.data.clone(),
            access_list: self.access_list.clone().unwrap_or_default(),
            blob_versioned_hashes: self.blob_versioned_hashes.clone(),
            max_fee_per_blob_gas: self.max_fee_per_blob_gas.unwrap_or_default(),
            authorization_list: self.authorization_list.clone(),
            ..Transaction::default()
        };
        RecoveredTransaction { tx, sender: self.sender }
    }

    /// The message as the transaction that a simulated block lists: of the plain type where a gas price is given,
    /// else of the least that has the fees of London. It is not signed.
    pub(super) fn as_unsigned(
        &self,
        rules: &Rules,
        parallel_tx_type: Option<u8>,
        nonce: u64,
        gas_limit: u64,
    ) -> Transaction {
        let mut tx = self.as_transaction(rules, parallel_tx_type, nonce, gas_limit).tx;
        if !tx.is_parallel {
            let is_plain = self.gas_price.is_some() || rules.fork < Fork::London;
            tx.tx_type = if is_plain { 0 } else { tx.tx_type.max(2) };
        }
        tx.chain_id = (tx.tx_type != 0).then_some(rules.chain_id);
        tx.sealed()
    }

    /// The least type that has all the fields that are set.
    fn implied_type(&self, is_london: bool) -> u8 {
        if !self.authorization_list.is_empty() {
            4
        } else if !self.blob_versioned_hashes.is_empty() {
            3
        } else if is_london && self.max_fee_per_gas.or(self.max_priority_fee_per_gas).is_some() {
            2
        } else {
            u8::from(self.access_list.is_some())
        }
    }
}
