//! CPU time of a piece of work that several threads share.
//!
//! In: each thread's own clock, read by that thread. Out: nanoseconds of CPU, which other processes
//! on the machine hardly disturb, unlike wall time. A reading is a system call, so there are two per
//! thread and piece of work, not two per transaction.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// CPU time in nanoseconds that the calling thread has used since it began.
pub fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let part = |value: i64| u64::try_from(value).expect("a thread's clock starts at zero");
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

/// Adds up the CPU time of a caller and its helpers.
#[derive(Debug)]
pub struct CpuMeter {
    started: u64,
    helpers: AtomicU64,
}

impl CpuMeter {
    /// Counts the calling thread from now on.
    pub fn start() -> Self {
        Self { started: thread_ns(), helpers: AtomicU64::new(0) }
    }

    /// Runs `work` as worker `worker` of [`crate::workers::Workers::run`]. Worker 0 is the caller,
    /// whose time counts anyway.
    pub fn count<R>(&self, worker: usize, work: impl FnOnce() -> R) -> R {
        if worker == 0 {
            return work();
        }
        let before = thread_ns();
        let result = work();
        self.helpers.fetch_add(thread_ns() - before, Ordering::Relaxed);
        result
    }

    /// The caller's time since the start and all helpers' time. To be asked by the thread that
    /// started the meter, when its helpers are done.
    pub fn total_ns(&self) -> u64 {
        thread_ns() - self.started + self.helpers.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::Workers;

    /// Uses CPU until the thread's clock has advanced by `ns`.
    fn burn(ns: u64) {
        let end = thread_ns() + ns;
        while thread_ns() < end {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_time_of_all_helpers_counts_and_the_callers_waiting_does_not() {
        const EACH: u64 = 20_000_000;
        let workers = Workers::new(3).expect("threads");
        let begun = AtomicU64::new(0);
        let meter = CpuMeter::start();
        workers.run(3, |worker| {
            meter.count(worker, || {
                begun.fetch_add(1, Ordering::Relaxed);
                if worker == 0 {
                    while begun.load(Ordering::Relaxed) < 3 {
                        std::thread::yield_now();
                    }
                } else {
                    burn(EACH);
                }
            });
        });
        let caller = thread_ns() - meter.started;

        assert!(meter.total_ns() >= caller + 2 * EACH);
        assert!(meter.total_ns() < caller + 3 * EACH);
    }
}
