//! Programs that measure, kept apart from what they measure.
//!
//! ```text
//! workloads   blocks made from a seed, or read from files      (file: the format others read too)
//! baseline    a plain revm loop over such a block, the neutral measure
//! equality    that all ways of executing it came to the same state
//! ```
//!
//! Everything here is deterministic but for the times: the same name, scale and seed give the same
//! bytes. Nothing of it is part of the engine or of the daemon's work.
#![forbid(unsafe_code)]

pub mod baseline;
pub mod equality;
pub mod lists;
pub mod measure;
pub mod workloads;
