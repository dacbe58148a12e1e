//! Chains in tests, and blocks of signed transactions on the built-in dev chain.

#![allow(dead_code)] // Each test program uses its own part of this module.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::{address, hex};
use parallelpool_core::chain::{BlockAttributes, BuiltBlock, Chain, ChainOptions};
use parallelpool_core::primitives::{Address, Bytes, U256};
use parallelpool_core::store::Durability;
use parallelpool_core::tx::{AccessListItem, SharedTransaction, Transaction};
use parallelpool_core::workers::Workers;

/// A directory that is gone when this is dropped.
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parallelpool-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory can be made");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Left behind at worst; the test has its verdict by now.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The first account of the test mnemonic.
pub(crate) const SENDER: Address = address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
/// Its key, which everybody knows.
const SECRET_KEY: [u8; 32] = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

pub(crate) fn open(genesis_json: &[u8], datadir: Option<&Path>) -> Chain {
    Chain::open(ChainOptions {
        genesis_json,
        datadir: datadir.map(Path::to_owned),
        workers: Arc::new(Workers::new(2).expect("two threads")),
        durability: Durability::Immediate,
    })
    .expect("the chain opens")
}

/// A dynamic-fee transaction of [`SENDER`].
pub(crate) fn transaction(nonce: u64, to: Option<Address>, value: u64, data: &[u8]) -> SharedTransaction {
    signed(Transaction { value: U256::from(value), ..unsigned(nonce, to, data) })
}

/// One with this gas limit.
pub(crate) fn with_gas(nonce: u64, to: Option<Address>, data: &[u8], gas_limit: u64) -> SharedTransaction {
    signed(Transaction { gas_limit, ..unsigned(nonce, to, data) })
}

/// One that brings an access list.
pub(crate) fn listing(nonce: u64, to: Address, slots: &[(Address, U256)]) -> SharedTransaction {
    let item = |(address, slot): &(Address, U256)| AccessListItem {
        address: *address,
        storage_keys: vec![(*slot).into()],
    };
    signed(Transaction { access_list: slots.iter().map(item).collect(), ..unsigned(nonce, Some(to), &[]) })
}

fn signed(tx: Transaction) -> SharedTransaction {
    Arc::new(tx.signed(&SECRET_KEY).expect("a good key"))
}

fn unsigned(nonce: u64, to: Option<Address>, data: &[u8]) -> Transaction {
    Transaction {
        tx_type: 2,
        chain_id: Some(31_337),
        nonce,
        gas_limit: 1_000_000,
        max_fee_per_gas: U256::from(100_000_000_000u64),
        max_priority_fee_per_gas: U256::from(1_000_000_000),
        to,
        data: Bytes::copy_from_slice(data),
        ..Transaction::default()
    }
}

pub(crate) fn creation(nonce: u64, init_code: &[u8]) -> SharedTransaction {
    transaction(nonce, None, 0, init_code)
}

/// Init code that makes a contract of this code.
pub(crate) fn deploying(code: &[u8]) -> Vec<u8> {
    let size = u8::try_from(code.len()).expect("a short contract");
    // PUSH1 size, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN.
    [&[0x60, size, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3], code].concat()
}

/// Builds a block on the head.
pub(crate) fn build(chain: &Chain, candidates: &[SharedTransaction]) -> BuiltBlock {
    let head = chain.head();
    let attributes = BlockAttributes {
        timestamp: head.header.timestamp + 1,
        beneficiary: Address::repeat_byte(0xfe),
        gas_limit: head.header.gas_limit,
        ..Default::default()
    };
    chain.build(&attributes, candidates, &Default::default()).expect("good attributes")
}

/// Builds and stores a block of transactions that must all be valid.
pub(crate) fn seal(chain: &Chain, transactions: &[SharedTransaction]) -> BuiltBlock {
    let built = build(chain, transactions);
    assert_eq!(built.included.len(), transactions.len(), "{:?}", built.left_out);
    chain.commit(&built).expect("nothing came between");
    built
}
