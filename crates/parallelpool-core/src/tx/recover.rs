//! The sender, from the signature and from nothing else.
//!
//! In: a decoded transaction and the chain it is meant for. Out: the address whose key signed it,
//! or the reason why there is none, in geth's words. Recovery is libsecp256k1's, in lists on all
//! workers; the rules around it (replay protection, low s) are those of the fork.

use std::sync::LazyLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{All, Message, Secp256k1, SecretKey};

use super::{Authorization, RecoveredTransaction, Transaction};
use crate::chainspec::Fork;
use crate::error::CoreError;
use crate::primitives::{Address, B256, U256, keccak256};
use crate::workers::{Priority, Workers};

/// Order of the curve's group.
const CURVE_ORDER: U256 = U256::from_be_slice(&secp256k1::constants::CURVE_ORDER);
/// Half of it: from Homestead on s may not be greater (EIP-2).
const HALF_CURVE_ORDER: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Why a transaction has no sender. Displays geth's text, without the `invalid sender: ` that the
/// pool puts in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The transaction's chain.
        have: u64,
        /// Ours.
        want: u64,
    },
    /// A signature value outside its range.
    #[error("invalid transaction v, r, s values")]
    SignatureValues,
    /// Values in range that no key can have made.
    #[error("recovery failed")]
    Unrecoverable,
}

/// Which signatures of legacy transactions a fork accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureRules {
    /// v is 27 or 28.
    Frontier,
    /// And s is low (EIP-2).
    Homestead,
    /// v may also carry the chain id (EIP-155).
    ReplayProtected,
}

impl SignatureRules {
    /// The rules of a fork.
    pub fn of(fork: Fork) -> Self {
        match fork {
            Fork::Frontier => Self::Frontier,
            fork if fork < Fork::SpuriousDragon => Self::Homestead,
            _ => Self::ReplayProtected,
        }
    }
}

/// The sender under today's rules.
pub fn recover_sender(tx: &Transaction, chain_id: u64) -> Result<Address, SenderError> {
    recover_sender_under(SignatureRules::ReplayProtected, tx, chain_id)
}

/// The sender under the rules of some fork.
pub fn recover_sender_under(
    rules: SignatureRules,
    tx: &Transaction,
    chain_id: u64,
) -> Result<Address, SenderError> {
    let (parity, hash) = if tx.tx_type != 0 {
        check_chain(tx.chain_id.unwrap_or_default(), chain_id)?;
        (tx.v, tx.signing_hash)
    } else {
        legacy_parity(rules, tx, chain_id)?
    };
    let low_s_only = rules >= SignatureRules::Homestead;
    recover(&hash, parity, tx.r, tx.s, low_s_only)
}

/// Senders of a list by all workers; the failure of one is its own.
pub fn recover_list(
    workers: &Workers,
    transactions: &[Transaction],
    chain_id: u64,
) -> Vec<Result<Address, SenderError>> {
    workers.map_at(Priority::Recovery, transactions, |tx| recover_sender(tx, chain_id))
}

/// Parity and signed hash of a legacy transaction.
fn legacy_parity(rules: SignatureRules, tx: &Transaction, chain_id: u64) -> Result<(u64, B256), SenderError> {
    let parity = match tx.chain_id {
        None => tx.v.checked_sub(27),
        Some(_) if rules < SignatureRules::ReplayProtected => None,
        Some(have) => {
            check_chain(have, chain_id)?;
            // v = parity + 35 + 2 * chain id; below 35 the chain id wrapped around.
            tx.v.checked_sub(35).map(|rest| rest & 1)
        }
    };
    Ok((parity.ok_or(SenderError::SignatureValues)?, tx.signing_hash))
}

fn check_chain(have: u64, want: u64) -> Result<(), SenderError> {
    if have == want { Ok(()) } else { Err(SenderError::ChainId { have, want }) }
}

fn recover(hash: &B256, parity: u64, r: U256, s: U256, low_s_only: bool) -> Result<Address, SenderError> {
    let greatest_s = if low_s_only { HALF_CURVE_ORDER } else { CURVE_ORDER - U256::ONE };
    let id = match parity {
        0 => RecoveryId::Zero,
        1 => RecoveryId::One,
        _ => return Err(SenderError::SignatureValues),
    };
    if r.is_zero() || s.is_zero() || r >= CURVE_ORDER || s > greatest_s {
        return Err(SenderError::SignatureValues);
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&r.to_be_bytes::<32>());
    compact[32..].copy_from_slice(&s.to_be_bytes::<32>());
    let key = RecoverableSignature::from_compact(&compact, id)
        .and_then(|signature| CURVE.recover_ecdsa(Message::from_digest(hash.0), &signature))
        .map_err(|_| SenderError::Unrecoverable)?;
    Ok(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

impl Authorization {
    /// The account that signed this authorization, if any. Invalid ones are skipped, not refused
    /// (EIP-7702).
    pub fn recover_authority(&self) -> Option<Address> {
        recover(&self.signing_hash(), u64::from(self.y_parity), self.r, self.s, true).ok()
    }
}

impl Transaction {
    /// Signs with a 32-byte secret key: v, r, s and all that follows from them are set. A legacy
    /// transaction is protected if it has a chain id.
    pub fn signed(mut self, secret_key: &[u8; 32]) -> Result<RecoveredTransaction, CoreError> {
        let key = SecretKey::from_byte_array(*secret_key)
            .map_err(|_| CoreError::InvalidArgument("not a secp256k1 secret key".into()))?;
        let hash = keccak256(self.encode_for_signing());
        let signature = CURVE.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key);
        let (id, compact) = signature.serialize_compact();
        let parity = u64::from(id != RecoveryId::Zero);
        self.v =
            match (self.tx_type, self.chain_id) {
                (0, None) => 27 + parity,
                (0, Some(chain_id)) => chain_id
                    .checked_mul(2)
                    .and_then(|twice| twice.checked_add(35 + parity))
                    .ok_or_else(|| CoreError::InvalidArgument("chain id too large for EIP-155".into()))?,
                _ => parity,
            };
        self.r = U256::from_be_slice(&compact[..32]);
        self.s = U256::from_be_slice(&compact[32..]);
        let public_key = key.public_key(&CURVE).serialize_uncompressed();
        let sender = Address::from_slice(&keccak256(&public_key[1..])[12..]);
        Ok(RecoveredTransaction { tx: self.sealed(), sender })
    }
}
