//! The locks, atomics and waits of this folder, by one name for two builds.
//!
//! Ordinarily these are the standard library's and parking_lot's own types. With the feature
//! `shuttle`, which only tests turn on, they are scheduling points of a deterministic scheduler:
//! it runs the same code on simulated threads and tries one interleaving per seed.
//! Whatever threads share here must come from this module, else its interleavings are not tried.

#[cfg(not(feature = "shuttle"))]
mod real {
    pub(in crate::parallel) use std::hint::spin_loop;
    pub(in crate::parallel) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence};

    pub(in crate::parallel) use foldhash::fast::RandomState as KeyedHash;
    pub(in crate::parallel) use parking_lot::{Condvar, Mutex, RwLock};

    /// Rounds of looking again before a worker goes to sleep: about as long as waking it would take.
    pub(in crate::parallel) const SPINS: u32 = 200;
    /// Runs of short calls that what is left of the window makes at least, so that no worker takes all
    /// there is to have.
    pub(in crate::parallel) const LEAST_RUNS: usize = 8;
}

#[cfg(feature = "shuttle")]
mod real {
    pub(in crate::parallel) use shuttle::hint::spin_loop;
    pub(in crate::parallel) use shuttle::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, fence,
    };

    pub(in crate::parallel) use foldhash::fast::FixedState as KeyedHash;

    pub(in crate::parallel) use super::locks::{Condvar, Mutex, RwLock};

    /// Sleep soon: what the simulated threads should meet is the way to sleep and back.
    pub(in crate::parallel) const SPINS: u32 = 1;
    /// Blocks are small here, and a run should be met.
    pub(in crate::parallel) const LEAST_RUNS: usize = 2;
}

#[cfg(feature = "shuttle")]
use shuttle::sync as simulated;

#[cfg(feature = "shuttle")]
mod locks;

pub(super) use std::sync::atomic::Ordering;
/// Words of data that something else publishes: never points of scheduling by themselves.
pub(super) use std::sync::atomic::{AtomicU32 as Word32, AtomicU64 as Word64};

pub(super) use real::*;
