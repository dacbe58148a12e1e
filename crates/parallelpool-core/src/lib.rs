//! The engine of parallelpool: bytes in, receipts and roots out.
//!
//! The way of a transaction through this crate, one module after another:
//!
//! ```text
//! raw bytes
//!   -> tx          decode, hash, recover the sender               (tx::decode, tx::recover)
//!   -> access      what it would read and write                   (access, preexecute)
//!   -> batching    which transactions may run side by side        (batching)
//!   -> evm         one transaction on one view of the state       (evm)
//!   -> serial      the whole block in order: the oracle           (serial)
//!   -> parallel    the same result on all cores                   (parallel)
//!   -> executor    a given block, or one made from candidates     (executor, ledger, system)
//!   -> roots, trie what the header commits to                     (roots, trie)
//!   -> store       one durable transaction per block              (store)
//!   -> chain       head, history, queries                         (chain)
//! ```
//!
//! Execution is the truth; access sets and batches are hints that order work.
//! This crate knows no Python and contains no `unsafe`.
#![forbid(unsafe_code)]

// Test code that unit and integration tests share names this crate as the latter must.
#[cfg(test)]
extern crate self as parallelpool_core;

pub mod access;
pub mod batching;
pub mod block;
pub mod block_codec;
pub mod chain;
pub mod chainspec;
mod dao;
pub mod error;
pub mod evm;
pub mod executor;
pub mod genesis;
pub mod header;
pub mod ledger;
pub mod parallel;
pub mod preexecute;
pub mod primitives;
pub mod replay;
pub mod roots;
pub mod serial;
pub mod state;
pub mod store;
pub mod system;
pub mod trie;
pub mod tx;
pub mod workers;
