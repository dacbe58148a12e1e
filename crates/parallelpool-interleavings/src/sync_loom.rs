//! What `parallel/sync` gives, on loom.

use loom::sync as simulated;

#[path = "../../parallelpool-core/src/parallel/sync/locks.rs"]
mod locks;

pub(crate) use std::sync::atomic::Ordering;

pub(crate) use locks::{Condvar, Mutex};
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, fence};
pub(crate) use loom::thread::spawn;

/// None: each would multiply the executions to try.
pub(crate) const SPINS: u32 = 0;
/// Blocks are small here, and a run should be met.
pub(crate) const LEAST_RUNS: usize = 1;
