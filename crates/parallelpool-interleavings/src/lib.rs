//! The parallel executor's scheduling (`parallel/{schedule,idle}.rs` of the core), compiled against
//! simulated threads.
//!
//! Two simulators look at it. shuttle runs many workers under seeded random schedules; to it every
//! operation on an atomic is sequentially consistent. loom tries the executions of a few workers
//! one after another and lets loads see what the memory model allows, so it knows what fences are for.
//!
//! The third, real threads, is for tools that watch them: Miri, which knows weak memory too and tries
//! another order for each seed, and ThreadSanitizer.
//!
//! Each source is compiled as it is and once with each fault of `faults.txt`: tests that do not
//! find the faults would not find a bug either.

// The sources know nothing of who is outside, and a model asks for less than the executor.
#![allow(dead_code, unused_imports, unreachable_pub, missing_debug_implementations)]
// Faults are not good code.
#![allow(clippy::all)]

mod edges {
    /// As in the core: earlier indices, descending.
    pub(crate) type Edges = smallvec::SmallVec<[u32; 2]>;
}

pub mod shape;

include!(concat!(env!("OUT_DIR"), "/variants.rs"));
