//! State and environment as a caller wants them to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use revm::precompile::{PrecompileSpecId, Precompiles};

use crate::block::BlockContext;
use crate::chainspec::Rules;
use crate::error::CoreError;
use crate::evm::MovedPrecompiles;
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
    /// For a precompile: where it answers instead.
    pub move_precompile_to: Option<Address>,
}

impl StateOverride {
    /// Without that, no account comes into being.
    fn sets_anything(&self) -> bool {
        let Self { nonce, balance, code, state, state_diff, .. } = self;
        nonce.is_some() || balance.is_some() || code.is_some() || state.is_some() || state_diff.is_some()
    }
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
    pub(in crate::chain) fn apply(&self, block: &mut BlockContext) {
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

/// A state with overrides on top, and where precompiles answer then. An account that is overridden is no
/// precompile any more.
///
/// [`CoreError::InvalidArgument`] in geth's words where an account is named twice or has both
/// kinds of storage, and for moves of what is no precompile or onto accounts that are overridden.
pub(in crate::chain) fn overridden(
    view: Arc<dyn StateView>,
    overrides: &[StateOverride],
    rules: &Rules,
) -> Result<(Overlay<Arc<dyn StateView>>, MovedPrecompiles), CoreError> {
    let mut changes = StateChanges::default();
    // geth goes by address, so that its words do not depend on the order in which they were written.
    let mut in_order: Vec<_> = overrides.iter().collect();
    in_order.sort_by_key(|wanted| wanted.address);
    let moved = moved_precompiles(&in_order, rules)?;
    for wanted in in_order {
        let address = wanted.address;
        let mut account = view.account(&address)?.unwrap_or_default();
        account.nonce = wanted.nonce.unwrap_or(account.nonce);
        account.balance = wanted.balance.unwrap_or(account.balance);
        if let Some(code) = &wanted.code {
            account.code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak256(code) };
            changes.codes.insert(account.code_hash, code.clone());
        }
        let slots = match (&wanted.state, &wanted.state_diff) {
            (Some(_), Some(_)) => return refuse(address, "has both 'state' and 'stateDiff'"),
            (Some(slots), None) | (None, Some(slots)) => slots.as_slice(),
            (None, None) => &[],
        };
        let storage = slots.iter().copied().collect::<BTreeMap<_, _>>().into();
        let change = AccountChange { after: Some(account), storage_cleared: wanted.state.is_some(), storage };
        if changes.accounts.contains_key(&address) {
            return refuse(address, "is already overridden");
        }
        if wanted.sets_anything() {
            changes.accounts.insert(address, change);
        }
    }
    let mut state = Overlay::new(view);
    state.apply(&changes);
    Ok((state, moved))
}

/// What becomes of the precompiles, the overrides being in order.
fn moved_precompiles(overrides: &[&StateOverride], rules: &Rules) -> Result<MovedPrecompiles, CoreError> {
    let of_fork = Precompiles::new(PrecompileSpecId::from_spec_id(rules.spec_id));
    let mut moved = MovedPrecompiles::new();
    for wanted in overrides {
        let address = wanted.address;
        let is_precompile = of_fork.contains(&address);
        if let Some(target) = wanted.move_precompile_to {
            if !is_precompile {
                return refuse(address, "is not a precompile");
            }
            if overrides.iter().any(|other| other.address == target) {
                return refuse(target, "is already overridden");
            }
            moved.insert(target, Some(address));
        }
        if is_precompile {
            moved.insert(address, None);
        }
    }
    Ok(moved)
}

fn refuse<T>(address: Address, what: &str) -> Result<T, CoreError> {
    Err(CoreError::InvalidArgument(format!("account {address} {what}")))
}
