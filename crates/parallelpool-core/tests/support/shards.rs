//! A suite's files, worked off by as many threads as there are CPUs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Hands every item to one of the threads. Each thread begins with what `begin` makes, and what they
/// end with is returned, in no order. A panic in one of them is the caller's.
pub(crate) fn share<T: Sync, S: Send>(
    items: &[T],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) + Sync,
) -> Vec<S> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                let mut share = begin();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(&mut share, item);
                }
                done.lock().expect("no thread panics while it holds the lock").push(share);
            });
        }
    });
    done.into_inner().expect("a panic of a thread is the scope's")
}
