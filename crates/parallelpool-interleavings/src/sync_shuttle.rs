//! What `parallel/sync` gives, on shuttle.

use shuttle::sync as simulated;

#[path = "../../parallelpool-core/src/parallel/sync/locks.rs"]
mod locks;

pub(crate) use std::sync::atomic::Ordering;

pub(crate) use locks::{Condvar, Mutex};
pub(crate) use shuttle::hint::spin_loop;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, fence};
pub(crate) use shuttle::thread::spawn;

pub(crate) const SPINS: u32 = 1;
/// Blocks are small here, and a run should be met.
pub(crate) const LEAST_RUNS: usize = 2;
