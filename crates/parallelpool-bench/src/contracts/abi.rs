//! Calls in Solidity's ABI, as far as the benchmark's contracts need it.

use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Anything of fixed size: numbers, addresses, hashes.
    Word(U256),
    /// An array of such.
    Array(Vec<U256>),
    /// `bytes`.
    Bytes(Bytes),
}

impl From<U256> for Value {
    fn from(number: U256) -> Self {
        Self::Word(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Word(U256::from(number))
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        let magnitude = U256::from(number.unsigned_abs());
        Self::Word(if number < 0 { magnitude.wrapping_neg() } else { magnitude })
    }
}

impl From<Address> for Value {
    fn from(address: Address) -> Self {
        Self::Word(word(address))
    }
}

impl From<B256> for Value {
    fn from(hash: B256) -> Self {
        Self::Word(hash.into())
    }
}

impl From<&[Address]> for Value {
    fn from(addresses: &[Address]) -> Self {
        Self::Array(addresses.iter().copied().map(word).collect())
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Calldata: the selector of a signature such as `transfer(address,uint256)`, then the arguments.
pub fn call(signature: &str, arguments: &[Value]) -> Bytes {
    let selector = keccak256(signature);
    [&selector[..4], &encode(arguments)].concat().into()
}

/// Arguments one after another; those of open length stand behind all others.
pub fn encode(arguments: &[Value]) -> Vec<u8> {
    let mut tail_at = 32 * arguments.len();
    let (mut head, mut tail) = (Vec::with_capacity(tail_at), Vec::new());
    for argument in arguments {
        let part = match argument {
            Value::Word(word) => {
                head.extend_from_slice(&word.to_be_bytes::<32>());
                continue;
            }
            Value::Array(words) => encode_array(words),
            Value::Bytes(bytes) => encode_bytes(bytes),
        };
        head.extend_from_slice(&U256::from(tail_at).to_be_bytes::<32>());
        tail_at += part.len();
        tail.extend_from_slice(&part);
    }
    head.extend_from_slice(&tail);
    head
}

fn encode_array(words: &[U256]) -> Vec<u8> {
    let length = U256::from(words.len());
    [length].iter().chain(words).flat_map(|word| word.to_be_bytes::<32>()).collect()
}

fn encode_bytes(bytes: &Bytes) -> Vec<u8> {
    let mut part = U256::from(bytes.len()).to_be_bytes::<32>().to_vec();
    part.extend_from_slice(bytes);
    part.resize(32 + bytes.len().next_multiple_of(32), 0);
    part
}

fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}
