//! What one transaction leaves of an account, and what a fee makes of its beneficiary.

use super::Account;
use crate::primitives::{Address, SpecId, U256};

/// The changes of one transaction to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountWrite {
    /// Whose.
    pub address: Address,
    /// The fields afterwards, where they changed; inner `None`: the account is gone.
    pub account: Option<Option<Account>>,
    /// The account existed before and was destroyed or created anew: no earlier slot survives.
    /// `storage` applies afterwards.
    pub storage_cleared: bool,
    /// Changed slots and their values afterwards.
    pub storage: Vec<(U256, U256)>,
}

/// The beneficiary's account after a fee was credited, by the rules of touching: before EIP-161
/// even a fee of zero creates the account, afterwards an account that stays empty is removed.
#[inline]
pub fn credit(before: Option<Account>, fee: U256, spec: SpecId) -> Option<Account> {
    let mut account = before.unwrap_or_default();
    account.balance = account.balance.checked_add(fee).unwrap_or(account.balance);
    (!account.is_empty() || !spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)).then_some(account)
}
