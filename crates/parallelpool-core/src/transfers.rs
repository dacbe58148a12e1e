//! Plain transfers, which need no EVM.
//!
//! A call that finds no code does three things: it pays its fee, it moves its value, it raises a nonce.
//! What follows from transaction, rules and block alone ([`TransferRules::prepare`]) can be worked out
//! any time before; what depends on the two accounts is decided on the state that all earlier
//! transactions left ([`Transfer::outcome`]). There is nothing to guess, so nothing is ever thrown away.
//!
//! Whatever is not plain in every respect is left to the EVM, refusals included: it has the words.

use revm::context_interface::cfg::GasParams;

use crate::block::BlockContext;
use crate::chainspec::{Fork, Rules};
use crate::evm::{TxResult, may_be_precompile};
use crate::primitives::{Address, U256};
use crate::state::Account;
use crate::tx::charges::{Charges, charges_by, earned_per_gas, effective_gas_price};
use crate::tx::validity::is_type_active;
use crate::tx::{RecoveredTransaction, Transaction, split_tag};

/// What transfers of one block have in common.
#[derive(Debug)]
pub(crate) struct TransferRules {
    rules: Rules,
    base_fee: U256,
    params: GasParams,
    /// Charges of a transfer without data.
    plain: Charges,
    gas_limit_cap: u64,
}

/// An account without code, there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) exists: bool,
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
}

/// A transfer between two accounts of which it is not yet known what they hold. `P` names an account;
/// while nothing does, there is only what follows from the transaction. Prices have 64 bits: what offers
/// more is left to the EVM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer<P = ()> {
    pub(crate) sender: P,
    pub(crate) recipient: P,
    nonce: u64,
    value: U256,
    /// Most wei that gas may cost: what the sender must own besides the value.
    most_for_gas: u128,
    /// Wei that gas does cost.
    charge: u128,
    /// Wei of it for the beneficiary.
    pub(crate) fee: u128,
    /// Gas of the transfer.
    pub(crate) gas_used: u64,
    /// Wei per gas.
    pub(crate) price: u64,
}

/// The two accounts after a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sender: Plain,
    /// `None` where it is the sender, or nothing changed.
    pub(crate) recipient: Option<Plain>,
}

impl TransferRules {
    /// `None` where transfers are no such simple thing: before EIP-161 even a touch counts, and from
    /// Amsterdam on their gas depends on the recipient.
    pub(crate) fn new(rules: &Rules, block: &BlockContext) -> Option<Self> {
        if rules.fork < Fork::SpuriousDragon || rules.fork >= Fork::Amsterdam {
            return None;
        }
        let params = GasParams::new_spec(rules.spec_id);
        let example = Transaction { to: Some(Address::ZERO), ..Transaction::default() };
        Some(Self {
            rules: *rules,
            base_fee: U256::from(block.base_fee.unwrap_or_default()),
            plain: charges_by(&params, &example, None, rules),
            params,
            gas_limit_cap: rules.max_transaction_gas().unwrap_or(u64::MAX),
        })
    }

    /// Whether the transaction looks like a transfer. Its recipient may still turn out to have code.
    #[inline]
    pub(crate) fn may_be_one(tx: &Transaction) -> bool {
        tx.to.is_some_and(|to| !may_be_precompile(&to))
            && runs_on_nothing(tx)
            && tx.access_list.is_empty()
            && tx.authorization_list.is_empty()
            && tx.blob_versioned_hashes.is_empty()
            && (tx.tx_type <= 2 || tx.is_parallel)
    }

    /// The transfer but for its accounts, if nothing is wrong with the transaction in itself.
    #[inline]
    pub(crate) fn prepare(&self, recovered: &RecoveredTransaction) -> Option<Transfer> {
        if Self::may_be_one(&recovered.tx) { self.draft(recovered) } else { None }
    }

    /// The same for a transaction that looks like a transfer.
    #[inline(always)]
    pub(crate) fn draft(&self, recovered: &RecoveredTransaction) -> Option<Transfer> {
        let RecoveredTransaction { tx, sender } = recovered;
        let charges = if tx.data.is_empty() {
            self.plain
        } else {
            charges_by(&self.params, tx, Some(sender), &self.rules)
        };
        let is_sound = is_type_active(tx.tx_type, tx.is_parallel, &self.rules)
            && tx.chain_id.is_none_or(|id| id == self.rules.chain_id)
            && tx.nonce < u64::MAX
            && tx.gas_limit <= self.gas_limit_cap
            && tx.gas_limit >= charges.least_gas_limit();
        let has_market = self.rules.fork >= Fork::London;
        let (cap, tip) = (tx.max_fee_per_gas, tx.max_priority_fee_per_gas);
        if !is_sound || (has_market && (cap < tip || cap < self.base_fee)) {
            return None;
        }
        let price = effective_gas_price(tx.tx_type, cap, tip, self.base_fee);
        let gas_used = charges.least_gas_limit();
        let earned = earned_per_gas(&self.rules, price, self.base_fee);
        let narrow = |price: U256| u64::try_from(price).ok();
        let (cap, price, earned) = (narrow(cap)?, narrow(price)?, narrow(earned)?);
        let wei = |price: u64, gas: u64| u128::from(price) * u128::from(gas);
        Some(Transfer {
            sender: (),
            recipient: (),
            nonce: tx.nonce,
            value: tx.value,
            most_for_gas: wei(cap, tx.gas_limit),
            charge: wei(price, gas_used),
            fee: wei(earned, gas_used),
            gas_used,
            price,
        })
    }
}

impl Plain {
    /// No account.
    pub(crate) const NONE: Self = Self { exists: false, nonce: 0, balance: U256::ZERO };

    /// Empty in the sense of EIP-161, there or not.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero()
    }

    /// The account, which exists.
    pub(crate) fn account(&self) -> Account {
        Account { nonce: self.nonce, balance: self.balance, ..Account::default() }
    }
}

impl<P> Transfer<P> {
    /// The transfer between these two.
    #[inline]
    pub(crate) fn between<Q>(self, sender: Q, recipient: Q) -> Transfer<Q> {
        let Self { nonce, value, most_for_gas, charge, fee, gas_used, price, .. } = self;
        Transfer { sender, recipient, nonce, value, most_for_gas, charge, fee, gas_used, price }
    }

    /// The same with another fee.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn with_fee(self, fee: U256) -> Self {
        Self { fee: fee.to(), ..self }
    }

    /// What becomes of the transaction.
    pub(crate) fn result(&self) -> TxResult {
        TxResult {
            success: true,
            gas_used: self.gas_used,
            block_gas: self.gas_used,
            fee: U256::from(self.fee),
            effective_gas_price: self.price.into(),
            ..TxResult::default()
        }
    }
}

impl<P: PartialEq> Transfer<P> {
    /// What the transfer makes of the accounts, which have no code; `None` where it takes the EVM to say.
    #[inline(always)]
    pub(crate) fn outcome(&self, sender: Plain, recipient: Plain) -> Option<Outcome> {
        let required = self.value.checked_add(U256::from(self.most_for_gas))?;
        let is_ready = sender.nonce == self.nonce && sender.balance >= required;
        // An account that exists and is empty vanishes when it is touched.
        let lingers = recipient.exists && recipient.is_empty();
        if !is_ready || lingers || recipient.balance >= HUGE {
            return None;
        }
        let nonce = sender.nonce + 1;
        let balance = sender.balance - U256::from(self.charge);
        if self.sender == self.recipient || self.value.is_zero() {
            return Some(Outcome { sender: Plain { exists: true, nonce, balance }, recipient: None });
        }
        let payee = recipient.balance.checked_add(self.value)?;
        Some(Outcome {
            sender: Plain { exists: true, nonce, balance: balance - self.value },
            recipient: Some(Plain { exists: true, balance: payee, ..recipient }),
        })
    }
}

/// Balances above this take exact care: sums with them might overflow.
pub(crate) const HUGE: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

/// No calldata, and no data that costs other than its tag.
#[inline]
fn runs_on_nothing(tx: &Transaction) -> bool {
    tx.data.is_empty() || (tx.is_parallel && split_tag(&tx.data).1.is_empty())
}
