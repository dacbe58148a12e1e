//! Programs that measure, kept apart from what they measure.
//!
//! ```text
//! workloads    blocks made from a seed, or recorded ones
//! contracts    what made blocks call, and the states they begin with
//! file         the same as files that other executors read too
//! baseline     a plain revm loop over such a block: the neutral measure
//! equality     that all ways of executing it come to the same
//! measure      samples of each way, in interleaved rounds    (lists, state_root: what is around it)
//! batching     how fast batches are built, and what they are worth
//! model        what more cores than there are would do, from measured components
//! report       figures and the JSON document                 (table, machine)
//! command      the command line
//! transfers    signed bytes for daemons to take in
//! load         the client that sends them
//! ```
//!
//! Everything here is deterministic but for the times: the same name, scale and seed give the same
//! bytes. Nothing of it is part of the engine or of the daemon's work.
#![forbid(unsafe_code)]

pub mod baseline;
pub mod batching;
pub mod command;
pub mod contracts;
pub mod equality;
pub mod file;
mod hex;
pub mod lists;
pub mod load;
pub mod machine;
pub mod measure;
pub mod model;
pub mod report;
pub mod sample;
pub mod state_root;
pub mod table;
pub mod transfers;
pub mod workload;
pub mod workloads;

/// Who gives out memory in every program that measures: the daemon has the same.
pub const ALLOCATOR: &str = "mimalloc";
