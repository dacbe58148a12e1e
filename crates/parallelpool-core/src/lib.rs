//! The engine of parallelpool: bytes in, receipts and roots out.
//!
//! The way of a transaction through this crate, one module after another:
//!
//! ```text
//! raw bytes
//!   -> tx           decode, hash, recover the sender              (tx::decode, tx::recover)
//!   -> predictions  what it would read and write                  (access, preexecute, templates)
//!   -> batching     which transactions may run side by side      (verify: whether they really may)
//!   -> executor     a given block, or one made from candidates    (execution, ledger, system)
//!   -> serial       its transactions in order: the oracle
//!      parallel     the same result on all cores
//!   -> evm          one transaction on one view of the state      (state)
//!   -> roots, trie  what the header commits to
//!   -> store        one durable transaction per block
//!   -> chain        head, history, queries, simulated messages
//! ```
//!
//! A block's accesses and values as a list (`block_access_list`) come out of every execution that is
//! asked for them, and let a block that brings one run without conflicts.
//! Blocks of others come in through `block_codec` and must satisfy `header` before they are
//! executed. `pool_order` keeps what waits for a block by price. `genesis` turns geth's document into a `chainspec`, which says what rules hold where.
//! `replay` holds real blocks against their headers without a chain. `workers` are the threads of
//! all of it.
//!
//! Execution is the truth; access sets and batches are hints that order work.
//! This crate knows no Python and contains no `unsafe`.
#![forbid(unsafe_code)]

// Test code that unit and integration tests share names this crate as the latter must.
#[cfg(test)]
extern crate self as parallelpool_core;

pub mod access;
pub mod analysis;
pub mod batching;
pub mod block;
pub mod block_access_list;
pub mod block_codec;
pub mod chain;
pub mod chainspec;
pub mod cpu;
mod dao;
pub mod error;
pub mod evm;
pub mod execution;
pub mod executor;
#[cfg(any(test, feature = "faults"))]
pub mod faults;
pub mod genesis;
pub mod header;
pub mod ledger;
pub mod parallel;
pub mod pool_order;
pub mod predictions;
pub mod preexecute;
pub mod primitives;
pub mod record;
pub mod replay;
pub mod roots;
pub mod serial;
pub mod sorted_map;
mod spare;
pub mod state;
pub mod store;
pub mod system;
pub mod templates;
mod transfers;
pub mod trie;
pub mod tx;
pub mod verify;
pub mod workers;
