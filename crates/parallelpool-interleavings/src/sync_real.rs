//! What `parallel/sync` gives, as in production: for tools that watch real threads, Miri and
//! ThreadSanitizer.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
pub(crate) use std::thread::spawn;

pub(crate) use parking_lot::{Condvar, Mutex};

/// Few: these tools make every look expensive.
pub(crate) const SPINS: u32 = 5;
/// Blocks are small here, and a run should be met.
pub(crate) const LEAST_RUNS: usize = 2;
