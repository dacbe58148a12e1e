//! Accounts with keys, and random numbers, both from a seed.

use parallelpool_core::primitives::{Address, keccak256};
use parallelpool_core::tx::Transaction;

/// An account whose key is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// Secret key on secp256k1.
    pub key: [u8; 32],
    /// The account.
    pub address: Address,
}

impl Signer {
    /// The account number `index` for a purpose.
    pub fn derive(seed: u64, purpose: &str, index: u64) -> Self {
        let text = format!("parallelpool-bench/{seed}/{purpose}/{index}");
        let key = keccak256(text).0;
        // A hash is no valid key with a chance of 2^-128. The address comes from a signature, so
        // that there is one way from key to address.
        let signed = Transaction::default().signed(&key).expect("a hash is a secret key");
        Self { key, address: signed.sender }
    }
}

/// Random numbers: keccak of a counter. Slow and good.
#[derive(Debug, Clone)]
pub struct Numbers {
    prefix: String,
    next: u64,
}

impl Numbers {
    /// The numbers of a purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self { prefix: format!("parallelpool-bench/{seed}/numbers/{purpose}"), next: 0 }
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let hash = keccak256(format!("{}/{}", self.prefix, self.next));
        self.next += 1;
        let (first, _) = hash.split_at(8);
        let number = u64::from_be_bytes(first.try_into().expect("eight bytes"));
        // The bias is below bound / 2^64.
        number % bound
    }

    /// An address without a key.
    pub fn address(&mut self) -> Address {
        let hash = keccak256(format!("{}/{}", self.prefix, self.next));
        self.next += 1;
        Address::from_slice(&hash[12..])
    }
}
