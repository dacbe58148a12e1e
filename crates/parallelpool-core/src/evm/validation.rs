//! Whether a transaction may be executed on the state as it stands: geth's checks, in geth's
//! order (core/state_transition.go of 1.17: preCheck, buyGas, then intrinsic gas and floor). The
//! block's gas pool has its place between them; the ledger knows it.
//!
//! All amounts are 256 bits wide here; revm's own checks stop at 128 and are not used.

use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::journaled_state::{JournalLoadError, JournalTr};
use revm::interpreter::InitialAndFloorGas;
use revm::primitives::eip4844::{GAS_PER_BLOB, VERSIONED_HASH_VERSION_KZG};
use revm::state::AccountInfo;

use super::environment::EvmTransaction;
use super::failure::Failure;
use super::{Context, ExecutionDatabase};
use crate::block::InvalidTransaction;
use crate::chainspec::{Fork, Rules};
use crate::primitives::{KECCAK_EMPTY, U256};
use crate::tx::charges::{Charges, MAX_REGULAR_GAS};
use crate::tx::validity::{fee, is_type_active};

/// Which checks apply. Transactions in blocks are held to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    /// The nonce must be the sender's next; otherwise the sender is taken to be at that nonce.
    pub check_nonce: bool,
    /// The sender must not be a contract, and the gas limit must keep EIP-7825's cap.
    pub check_sender: bool,
    /// Without it, a transaction that offers no fee at all runs as if base fee and blob base fee
    /// were zero.
    pub check_base_fee: bool,
    /// BASEFEE gives the block's base fee also to who is spared it.
    pub shows_base_fee: bool,
    /// The sender must own what the transaction can cost; otherwise it is given what it lacks.
    pub check_funds: bool,
    /// Intrinsic gas, floor and init code limit.
    pub charge_intrinsic: bool,
    /// Greatest gas limit; a greater one is lowered.
    pub gas_cap: Option<u64>,
    /// Wei per blob gas in place of the block's own, for this call and all later ones.
    pub blob_base_fee: Option<u128>,
}

impl CallOptions {
    /// A transaction of a block.
    pub const TRANSACTION: Self = Self {
        check_nonce: true,
        check_sender: true,
        check_base_fee: true,
        shows_base_fee: false,
        check_funds: true,
        charge_intrinsic: true,
        gas_cap: None,
        blob_base_fee: None,
    };

    /// As geth runs `eth_call`: nonce and sender are free, fees only count where given.
    pub const CALL: Self =
        Self { check_nonce: false, check_sender: false, check_base_fee: false, ..Self::TRANSACTION };

    /// A pooled transaction tried on a state it was not made for: its nonce may lie ahead and its
    /// funds may arrive before its turn.
    pub const PREEXECUTION: Self =
        Self { check_nonce: false, check_base_fee: false, check_funds: false, ..Self::TRANSACTION };
}

/// Checks everything, deducts the greatest gas fee and raises the nonce of a call's sender.
/// Returns the gas that is charged before execution.
pub(crate) fn validate_and_deduct<D: ExecutionDatabase>(
    context: &mut Context<D>,
) -> Result<InitialAndFloorGas, Failure> {
    envelope(&context.chain.rules, &context.tx)?;
    sender_and_fees(context)?;
    if context.chain.options.charge_intrinsic {
        initial_gas_is_covered(&context.chain.rules, &context.tx)?;
    }
    observe_recipient(context);
    Ok(initial_gas(context))
}

/// The checks that geth makes up to buying the gas, and buying it.
fn sender_and_fees<D: ExecutionDatabase>(context: &mut Context<D>) -> Result<(), Failure> {
    let (rules, options) = (&context.chain.rules, context.chain.options);
    let base_fee = context.block.basefee;
    let blob_base_fee = context.block.blob_excess_gas_and_price.map_or(0, |blobs| blobs.blob_gasprice);
    let tx = &context.tx;
    let mut sender = context.journaled_state.load_account_mut(tx.caller)?.data;
    if options.check_sender && *sender.code_hash() != KECCAK_EMPTY {
        sender.load_code_preserve_error().map_err(JournalLoadError::unwrap_db_error)?;
    }
    let account = &sender.account().info;
    if options.check_nonce {
        nonce(tx, account)?;
    }
    if options.check_sender {
        gas_limit_cap(rules, tx)?;
        sender_is_not_a_contract(tx, account)?;
    }
    fees(rules, tx, base_fee, options)?;
    blobs(rules, tx, blob_base_fee, options)?;
    authorizations(tx)?;
    if options.charge_intrinsic {
        init_code_size(rules, tx)?;
    }
    let cost = Cost::of(tx, blob_base_fee)?;
    let mut balance = account.balance;
    if balance < cost.required {
        if options.check_funds {
            return Err(insufficient_funds(tx, balance, cost.required).into());
        }
        balance = cost.required;
    }
    if !options.check_nonce && account.nonce != tx.nonce {
        sender.set_nonce(tx.nonce);
    }
    sender.set_balance(balance - cost.prepaid);
    if tx.to.is_some() {
        sender.bump_nonce();
    }
    Ok(())
}

/// What the envelope itself must satisfy at this fork.
fn envelope(rules: &Rules, tx: &EvmTransaction) -> Result<(), InvalidTransaction> {
    if !is_type_active(tx.tx_type, tx.is_parallel, rules) {
        return Err(InvalidTransaction::TypeNotSupported { tx_type: tx.tx_type });
    }
    if let Some(have) = tx.chain_id
        && have != rules.chain_id
    {
        return Err(InvalidTransaction::ChainId { have, want: rules.chain_id });
    }
    // Whoever recovered the sender may have done so by later rules, which know EIP-155.
    if tx.tx_type == 0 && tx.chain_id.is_some() && rules.fork < Fork::SpuriousDragon {
        return Err(InvalidTransaction::Other("invalid transaction v, r, s values".into()));
    }
    Ok(())
}

fn nonce(tx: &EvmTransaction, account: &AccountInfo) -> Result<(), InvalidTransaction> {
    let (address, state) = (tx.caller, account.nonce);
    if state < tx.nonce {
        return Err(InvalidTransaction::NonceTooHigh { address, tx: tx.nonce, state });
    }
    if state > tx.nonce {
        return Err(InvalidTransaction::NonceTooLow { address, tx: tx.nonce, state });
    }
    if state == u64::MAX {
        return Err(InvalidTransaction::NonceMax { address, tx: tx.nonce });
    }
    Ok(())
}

/// EIP-7825; Amsterdam caps regular gas only, see [`initial_gas_is_covered`].
fn gas_limit_cap(rules: &Rules, tx: &EvmTransaction) -> Result<(), InvalidTransaction> {
    match rules.max_transaction_gas() {
        Some(cap) if tx.gas_limit > cap => Err(InvalidTransaction::GasLimitCap { cap, tx: tx.gas_limit }),
        _ => Ok(()),
    }
}

/// EIP-3607, with EIP-7702's exception.
fn sender_is_not_a_contract(tx: &EvmTransaction, account: &AccountInfo) -> Result<(), InvalidTransaction> {
    match &account.code {
        Some(code) if !code.is_empty() && !code.is_eip7702() => {
            Err(InvalidTransaction::SenderNotEoa { address: tx.caller, code_length: code.len() })
        }
        _ => Ok(()),
    }
}

fn fees(
    rules: &Rules,
    tx: &EvmTransaction,
    base_fee: u64,
    options: CallOptions,
) -> Result<(), InvalidTransaction> {
    let (cap, tip, address) = (tx.max_fee_per_gas, tx.max_priority_fee_per_gas, tx.caller);
    let waived = !options.check_base_fee && cap.is_zero() && tip.is_zero();
    if rules.fork < Fork::London || waived {
        return Ok(());
    }
    if cap < tip {
        return Err(InvalidTransaction::TipAboveFeeCap { address, tip, cap });
    }
    if cap < U256::from(base_fee) {
        return Err(InvalidTransaction::FeeCapTooLow { address, cap, base_fee });
    }
    Ok(())
}

fn blobs(
    rules: &Rules,
    tx: &EvmTransaction,
    blob_base_fee: u128,
    options: CallOptions,
) -> Result<(), InvalidTransaction> {
    if tx.tx_type != 3 || tx.is_parallel {
        return Ok(());
    }
    let refuse = |words: &str| Err(InvalidTransaction::Blob(words.into()));
    if tx.to.is_none() {
        return refuse("blob transaction of type create");
    }
    if tx.blob_versioned_hashes.is_empty() {
        return refuse("blob transaction missing blob hashes");
    }
    if tx.blob_versioned_hashes.len() as u64 > rules.max_blobs_per_transaction() {
        return refuse("blob transaction has too many blobs");
    }
    let wrong = tx.blob_versioned_hashes.iter().position(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG);
    if let Some(index) = wrong {
        return Err(InvalidTransaction::Blob(format!("blob {index} has invalid hash version")));
    }
    let waived = !options.check_base_fee && tx.max_fee_per_blob_gas.is_zero();
    if !waived && tx.max_fee_per_blob_gas < U256::from(blob_base_fee) {
        return Err(InvalidTransaction::BlobFeeCapTooLow {
            address: tx.caller,
            cap: tx.max_fee_per_blob_gas,
            blob_base_fee,
        });
    }
    Ok(())
}

fn authorizations(tx: &EvmTransaction) -> Result<(), InvalidTransaction> {
    if tx.tx_type != 4 || tx.is_parallel {
        return Ok(());
    }
    let sender = tx.caller;
    if tx.to.is_none() {
        return Err(InvalidTransaction::SetCode(format!(
            "EIP-7702 transaction cannot be used to create contract (sender {sender})"
        )));
    }
    if tx.authorizations.is_empty() {
        return Err(InvalidTransaction::SetCode(format!(
            "EIP-7702 transaction with empty auth list (sender {sender})"
        )));
    }
    Ok(())
}

/// Wei that a transaction can cost, and wei taken before it runs.
struct Cost {
    /// Gas limit times fee cap, value, blob gas times blob fee cap.
    required: U256,
    /// Gas limit times effective price, blob gas times blob base fee.
    prepaid: U256,
}

impl Cost {
    fn of(tx: &EvmTransaction, blob_base_fee: u128) -> Result<Self, InvalidTransaction> {
        let required = tx.cost.ok_or(InvalidTransaction::FundsOverflow { address: tx.caller })?;
        // Both factors are at most those above where the fee checks hold; where they are waived
        // the price is zero.
        let mut prepaid = fee(tx.price, tx.gas_limit).expect("at most what is required");
        if !tx.blob_versioned_hashes.is_empty() {
            prepaid += U256::from(blob_gas(tx)) * U256::from(blob_base_fee).min(tx.max_fee_per_blob_gas);
        }
        Ok(Self { required, prepaid })
    }
}

/// EIP-4844 gas of the transaction.
pub(super) fn blob_gas(tx: &EvmTransaction) -> u64 {
    tx.blob_versioned_hashes.len() as u64 * GAS_PER_BLOB
}

fn insufficient_funds(tx: &EvmTransaction, have: U256, want: U256) -> InvalidTransaction {
    InvalidTransaction::InsufficientFunds { address: tx.caller, have, want: want.to_string() }
}

/// From Amsterdam on a transaction pays for the account that its value or its code creates
/// (EIP-2780).
fn observe_recipient<D: ExecutionDatabase>(context: &mut Context<D>) {
    let tx = &context.tx;
    if context.chain.rules.fork < Fork::Amsterdam {
        return;
    }
    match tx.to {
        Some(recipient) if !tx.value.is_zero() => context.chain.recorder.emptiness(recipient),
        Some(_) => {}
        None => context.chain.recorder.emptiness(tx.caller.create(tx.nonce)),
    }
}

/// Intrinsic gas and floor, counted over the whole data.
fn initial_gas<D: ExecutionDatabase>(context: &Context<D>) -> InitialAndFloorGas {
    if !context.chain.options.charge_intrinsic {
        return InitialAndFloorGas::default();
    }
    let Charges { intrinsic, floor, state } = context.tx.charges;
    InitialAndFloorGas::default()
        .with_initial_regular_gas(intrinsic)
        .with_initial_state_gas(state)
        .with_floor_gas(floor)
}

fn initial_gas_is_covered(rules: &Rules, tx: &EvmTransaction) -> Result<(), InvalidTransaction> {
    let have = tx.gas_limit;
    let Charges { intrinsic, floor, state } = tx.charges;
    if have < intrinsic + state {
        return Err(InvalidTransaction::IntrinsicGas { have, want: intrinsic + state });
    }
    if have < floor {
        return Err(InvalidTransaction::FloorDataGas { have, want: floor });
    }
    let least = intrinsic.max(floor);
    if rules.fork >= Fork::Amsterdam && least > MAX_REGULAR_GAS {
        return Err(InvalidTransaction::FloorDataGas { have: MAX_REGULAR_GAS, want: least });
    }
    Ok(())
}

/// EIP-3860, over the whole data.
fn init_code_size(rules: &Rules, tx: &EvmTransaction) -> Result<(), InvalidTransaction> {
    let size = tx.data_length;
    match rules.max_init_code_size() {
        Some(limit) if tx.to.is_none() && size > limit => {
            Err(InvalidTransaction::InitCodeSize { size, limit })
        }
        _ => Ok(()),
    }
}
