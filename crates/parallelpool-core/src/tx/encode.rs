//! Fields to bytes: what is signed, and what is hashed and sent.
//!
//! In: the fields of a [`Transaction`]. Out: the encodings that follow from them. The decoder
//! accepts exactly these bytes, so decoding and encoding undo each other.

use alloy_rlp::Encodable;

use super::decode::{ACCESS_LIST_TX_TYPE, BLOB_TX_TYPE, SET_CODE_TX_TYPE};
use super::rlp::put_header;
use super::{AccessListItem, Authorization, Transaction};
use crate::primitives::{B256, U256, keccak256};

impl Transaction {
    /// The canonical encoding, made anew from the fields.
    pub fn encode_canonical(&self) -> Vec<u8> {
        let mut fields = self.unsigned_fields();
        self.v.encode(&mut fields);
        self.r.encode(&mut fields);
        self.s.encode(&mut fields);
        self.envelope(&fields)
    }

    /// The bytes whose keccak is signed.
    pub fn encode_for_signing(&self) -> Vec<u8> {
        let mut fields = self.unsigned_fields();
        if self.tx_type == 0
            && let Some(chain_id) = self.chain_id
        {
            chain_id.encode(&mut fields);
            fields.extend_from_slice(&[0x80, 0x80]);
        }
        self.envelope(&fields)
    }

    /// The same transaction with `raw`, `hash` and `signing_hash` made to follow from its fields.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.raw = self.encode_canonical().into();
        self.hash = keccak256(&self.raw);
        self.signing_hash = keccak256(self.encode_for_signing());
        self
    }

    fn envelope(&self, fields: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(fields.len() + 10);
        if self.tx_type != 0 {
            out.push(self.tx_type);
        }
        put_header(&mut out, true, fields.len());
        out.extend_from_slice(fields);
        out
    }

    fn unsigned_fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + self.data.len());
        if self.tx_type != 0 {
            self.chain_id.unwrap_or_default().encode(&mut out);
        }
        self.nonce.encode(&mut out);
        if self.tx_type > ACCESS_LIST_TX_TYPE {
            self.max_priority_fee_per_gas.encode(&mut out);
        }
        self.max_fee_per_gas.encode(&mut out);
        self.gas_limit.encode(&mut out);
        match &self.to {
            Some(to) => to.encode(&mut out),
            None => out.push(0x80),
        }
        self.value.encode(&mut out);
        self.data.encode(&mut out);
        if self.tx_type != 0 {
            put_list(&mut out, &self.access_list, put_access_list_item);
        }
        if self.tx_type == BLOB_TX_TYPE {
            self.max_fee_per_blob_gas.encode(&mut out);
            put_list(&mut out, &self.blob_versioned_hashes, |hash, out| hash.encode(out));
        }
        if self.tx_type == SET_CODE_TX_TYPE {
            put_list(&mut out, &self.authorization_list, put_authorization);
        }
        out
    }
}

impl Authorization {
    /// What the authority signed: `keccak(0x05 || rlp([chain_id, address, nonce]))`.
    ///
    /// The parallel type may use the same first byte; its list has nine elements, so no bytes
    /// can be read as both.
    pub fn signing_hash(&self) -> B256 {
        const MAGIC: u8 = 0x05;
        let mut fields = Vec::with_capacity(64);
        self.chain_id.encode(&mut fields);
        self.address.encode(&mut fields);
        self.nonce.encode(&mut fields);
        let mut signed = Vec::with_capacity(fields.len() + 4);
        signed.push(MAGIC);
        put_header(&mut signed, true, fields.len());
        signed.append(&mut fields);
        keccak256(&signed)
    }
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) {
    let mut content = Vec::new();
    items.iter().for_each(|item| put(item, &mut content));
    put_header(out, true, content.len());
    out.append(&mut content);
}

fn put_access_list_item(item: &AccessListItem, out: &mut Vec<u8>) {
    let mut fields = Vec::with_capacity(26 + 33 * item.storage_keys.len());
    item.address.encode(&mut fields);
    put_list(&mut fields, &item.storage_keys, |key, out| key.encode(out));
    put_header(out, true, fields.len());
    out.append(&mut fields);
}

fn put_authorization(authorization: &Authorization, out: &mut Vec<u8>) {
    let mut fields = Vec::with_capacity(130);
    authorization.chain_id.encode(&mut fields);
    authorization.address.encode(&mut fields);
    authorization.nonce.encode(&mut fields);
    U256::from(authorization.y_parity).encode(&mut fields);
    authorization.r.encode(&mut fields);
    authorization.s.encode(&mut fields);
    put_header(out, true, fields.len());
    out.append(&mut fields);
}
