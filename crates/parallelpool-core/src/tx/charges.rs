//! What a transaction costs before its first instruction.
//!
//! In: a transaction, its sender, the rules. Out: intrinsic gas and calldata floor, counted on
//! the whole data field, a parallel transaction's tag included. The pool, gas estimation and the
//! executor all take their numbers from here. The tables are revm's own, so that a number cannot
//! differ from what its interpreter goes on with.

use revm::context_interface::cfg::GasParams;
use revm::context_interface::cfg::gas_params::Eip2780TxInfo;

use super::Transaction;
use super::decode::DYNAMIC_FEE_TX_TYPE;
use crate::chainspec::{Fork, Rules};
use crate::primitives::{Address, U256};

/// Gas due before execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charges {
    /// Used up before the first instruction.
    pub intrinsic: u64,
    /// Least that the transaction uses in all (EIP-7623); 0 before Prague.
    pub floor: u64,
    /// State gas (EIP-8037) used up before the first instruction; only in [`Amsterdam`]'s draft.
    ///
    /// [`Amsterdam`]: crate::chainspec::Amsterdam
    pub state: u64,
}

impl Charges {
    /// The least gas limit with which the transaction is valid.
    pub fn least_gas_limit(&self) -> u64 {
        (self.intrinsic + self.state).max(self.floor)
    }
}

/// The charges of a transaction. The sender matters from Amsterdam on, where sending to oneself
/// costs less; without one the transaction is taken to go to somebody else.
///
/// geth's `gas uint64 overflow` cannot happen: each charge is at most a few thousand gas a byte of
/// the transaction, and one that fits in memory has less than 2^48 bytes.
pub fn charges(tx: &Transaction, sender: Option<&Address>, rules: &Rules) -> Charges {
    charges_by(&GasParams::new_spec(rules.spec_id), tx, sender, rules)
}

/// The same from the spec's own table, for callers that hold it already: getting it costs a
/// reference count that all threads share.
pub(crate) fn charges_by(
    params: &GasParams,
    tx: &Transaction,
    sender: Option<&Address>,
    rules: &Rules,
) -> Charges {
    let storage_keys = tx.access_list.iter().map(|item| item.storage_keys.len() as u64).sum();
    let is_draft = rules.is_amsterdam_draft();
    let to_and_value = (rules.fork >= Fork::Amsterdam && !is_draft).then(|| Eip2780TxInfo {
        value: tx.value,
        is_self_transfer: tx.to.is_some() && tx.to.as_ref() == sender,
    });
    let gas = params.initial_tx_gas(
        &tx.data,
        tx.to.is_none(),
        tx.access_list.len() as u64,
        storage_keys,
        tx.authorization_list.len() as u64,
        to_and_value,
    );
    let floor = if rules.fork >= Fork::Prague { gas.floor_gas } else { 0 };
    let mut state = 0;
    if is_draft {
        let per_authorization = params.new_account_state_gas() + params.tx_eip7702_state_gas_bytecode();
        state = tx.authorization_list.len() as u64 * per_authorization;
        state += if tx.to.is_none() { params.create_state_gas() } else { 0 };
    }
    Charges { intrinsic: gas.initial_regular_gas, floor, state }
}

/// Wei per gas that a transaction pays: the price of types 0 and 1, the capped sum of base fee and
/// tip of all others.
#[inline]
pub(crate) fn effective_gas_price(tx_type: u8, fee_cap: U256, tip: U256, base_fee: U256) -> U256 {
    if tx_type < DYNAMIC_FEE_TX_TYPE {
        return fee_cap;
    }
    fee_cap.min(base_fee.saturating_add(tip))
}

/// Wei per gas of `price` that the beneficiary earns: what is above the base fee, which is burnt; all
/// of it before London.
#[inline]
pub(crate) fn earned_per_gas(rules: &Rules, price: U256, base_fee: U256) -> U256 {
    if rules.fork >= Fork::London { price.saturating_sub(base_fee) } else { price }
}

/// Longest init code of the draft of Amsterdam whose public tests there are: EIP-7954 then doubled less.
pub(crate) const DRAFT_MAX_INIT_CODE_SIZE: usize = 65_536;

impl Rules {
    /// Longest init code that a creation may run, in bytes of its whole data (EIP-3860).
    pub fn max_init_code_size(&self) -> Option<usize> {
        match self.fork {
            _ if self.is_amsterdam_draft() => Some(DRAFT_MAX_INIT_CODE_SIZE),
            fork if fork >= Fork::Amsterdam => Some(131_072),
            fork if fork >= Fork::Shanghai => Some(49_152),
            _ => None,
        }
    }

    /// Greatest gas limit of one transaction (EIP-7825). Amsterdam caps its regular gas instead,
    /// see [`MAX_REGULAR_GAS`].
    pub fn max_transaction_gas(&self) -> Option<u64> {
        (self.fork == Fork::Osaka).then_some(MAX_REGULAR_GAS)
    }
}

/// The cap of EIP-7825: from Osaka on the gas limit, from Amsterdam on the regular gas.
pub const MAX_REGULAR_GAS: u64 = 1 << 24;
