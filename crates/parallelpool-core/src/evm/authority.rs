//! Who signed an EIP-7702 authorization.

use std::sync::LazyLock;

use alloy_rlp::{Encodable, Header};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, VerifyOnly};

use crate::primitives::{Address, B256, U256, keccak256};
use crate::tx::Authorization;

static VERIFIER: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// First byte of what an authorization signs.
const MAGIC: u8 = 0x05;

/// Half of the curve's order; a greater `s` is void (EIP-2).
pub(super) const HALF_ORDER: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// The signer, or `None` where the signature is void.
pub(super) fn recover(authorization: &Authorization) -> Option<Address> {
    if authorization.s > HALF_ORDER {
        return None;
    }
    let parity = RecoveryId::try_from(i32::from(authorization.y_parity)).ok()?;
    if authorization.y_parity > 1 {
        return None;
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&authorization.r.to_be_bytes::<32>());
    compact[32..].copy_from_slice(&authorization.s.to_be_bytes::<32>());
    let signature = RecoverableSignature::from_compact(&compact, parity).ok()?;
    let message = Message::from_digest(signing_hash(authorization).0);
    let key = VERIFIER.recover_ecdsa(message, &signature).ok()?;
    Some(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}

fn signing_hash(authorization: &Authorization) -> B256 {
    let Authorization { chain_id, address, nonce, .. } = authorization;
    let payload_length = chain_id.length() + address.length() + nonce.length();
    let mut signed = vec![MAGIC];
    Header { list: true, payload_length }.encode(&mut signed);
    chain_id.encode(&mut signed);
    address.encode(&mut signed);
    nonce.encode(&mut signed);
    keccak256(signed)
}
