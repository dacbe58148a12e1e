//! The engine's threads: made once, shared by recovery, execution, roots and pre-execution.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::CoreError;

/// A persistent pool in which the caller of a piece of work is one of the workers.
#[derive(Debug)]
pub struct Workers {
    helpers: Option<ThreadPool>,
    threads: usize,
}

impl Workers {
    /// `threads` workers, the caller included; 0 means one per CPU.
    pub fn new(threads: usize) -> Result<Self, CoreError> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            given => given,
        };
        let helpers = (threads > 1)
            .then(|| {
                ThreadPoolBuilder::new()
                    .num_threads(threads - 1)
                    .thread_name(|index| format!("parallelpool-{index}"))
                    .build()
            })
            .transpose()
            .map_err(|error| CoreError::InvalidArgument(format!("cannot start worker threads: {error}")))?;
        Ok(Self { helpers, threads })
    }

    /// Workers in all, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work(worker)` once on the caller (worker 0) and up to `count - 1` helpers; returns
    /// when all have finished. Helpers may start late or, if others keep them busy, only when
    /// the caller is done: `work` must finish without them.
    pub fn run(&self, count: usize, work: impl Fn(usize) + Send + Sync) {
        match &self.helpers {
            Some(pool) if count > 1 => pool.in_place_scope(|scope| {
                let work = &work;
                for worker in 1..count.min(self.threads) {
                    scope.spawn(move |_| work(worker));
                }
                work(0);
            }),
            _ => work(0),
        }
    }

    /// `map` over `items` by all workers, results in order. Items are taken in small runs, so
    /// uneven costs even out.
    pub fn map<T: Sync, R: Send>(&self, items: &[T], map: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        const RUN: usize = 8;
        if items.len() <= RUN || self.threads == 1 {
            return items.iter().map(map).collect();
        }
        let next = AtomicUsize::new(0);
        let done = parking_lot::Mutex::new(Vec::with_capacity(items.len().div_ceil(RUN)));
        self.run(self.threads, |_| {
            loop {
                let start = next.fetch_add(RUN, Ordering::Relaxed);
                let Some(run) = items.get(start..items.len().min(start + RUN)).filter(|run| !run.is_empty())
                else {
                    return;
                };
                let results: Vec<R> = run.iter().map(&map).collect();
                done.lock().push((start, results));
            }
        });
        let mut runs = done.into_inner();
        runs.sort_unstable_by_key(|(start, _)| *start);
        runs.into_iter().flat_map(|(_, results)| results).collect()
    }
}
