//! State and environment as a caller wants them to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::block::BlockContext;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256, keccak256};
use crate::state::overlay::Overlay;
use crate::state::{AccountChange, StateChanges, StateView};

/// An account as the caller wants it. What is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateOverride {
    /// Whose.
    pub address: Address,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Wei.
    pub balance: Option<U256>,
    /// Code; empty takes it away.
    pub code: Option<Bytes>,
    /// The whole storage: slots not named are zero.
    pub state: Option<Vec<(U256, U256)>>,
    /// Some slots. Not together with `state`.
    pub state_diff: Option<Vec<(U256, U256)>>,
}

/// A block's environment as the caller wants it. What is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// Height.
    pub number: Option<u64>,
    /// Proof-of-work difficulty.
    pub difficulty: Option<U256>,
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// Gas limit of the block.
    pub gas_limit: Option<u64>,
    /// Beneficiary.
    pub fee_recipient: Option<Address>,
    /// Randomness.
    pub prev_randao: Option<B256>,
    /// Wei per gas.
    pub base_fee: Option<u64>,
    /// Wei per blob gas.
    pub blob_base_fee: Option<u128>,
}

impl BlockOverrides {
    /// All but the blob base fee, which a block does not hold but imply.
    pub(super) fn apply(&self, block: &mut BlockContext) {
        let Self { number, difficulty, time, gas_limit, fee_recipient, prev_randao, base_fee, .. } = *self;
        block.number = number.unwrap_or(block.number);
        block.difficulty = difficulty.unwrap_or(block.difficulty);
        block.timestamp = time.unwrap_or(block.timestamp);
        block.gas_limit = gas_limit.unwrap_or(block.gas_limit);
        block.beneficiary = fee_recipient.unwrap_or(block.beneficiary);
        block.prev_randao = prev_randao.or(block.prev_randao);
        block.base_fee = base_fee.or(block.base_fee);
    }
}

/// A state with overrides on top.
///
/// [`CoreError::InvalidArgument`] in geth's words where an account is named twice or has both
/// kinds of storage.
pub(super) fn overridden(
    view: Arc<dyn StateView>,
    overrides: &[StateOverride],
) -> Result<Overlay<Arc<dyn StateView>>, CoreError> {
    let mut changes = StateChanges::default();
    for wanted in overrides {
        let address = wanted.address;
        let mut account = view.account(&address)?.unwrap_or_default();
        account.nonce = wanted.nonce.unwrap_or(account.nonce);
        account.balance = wanted.balance.unwrap_or(account.balance);
        if let Some(code) = &wanted.code {
            account.code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak256(code) };
            changes.codes.insert(account.code_hash, code.clone());
        }
        let refuse = |what| Err(CoreError::InvalidArgument(format!("account {address} {what}")));
        let slots = match (&wanted.state, &wanted.state_diff) {
            (Some(_), Some(_)) => return refuse("has both 'state' and 'stateDiff'"),
            (Some(slots), None) | (None, Some(slots)) => slots.as_slice(),
            (None, None) => &[],
        };
        let storage = slots.iter().copied().collect::<BTreeMap<_, _>>().into();
        let change = AccountChange { after: Some(account), storage_cleared: wanted.state.is_some(), storage };
        if changes.accounts.contains_key(&address) {
            return refuse("is already overridden");
        }
        changes.accounts.insert(address, change);
    }
    let mut state = Overlay::new(view);
    state.apply(&changes);
    Ok(state)
}
