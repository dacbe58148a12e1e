//! The words everything else is written in, re-exported so that callers need one import.

pub use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log, LogData, U256, address, keccak256};
pub use revm::bytecode::Bytecode;
pub use revm::primitives::KECCAK_EMPTY;
pub use revm::primitives::hardfork::SpecId;
