//! The memory of past blocks, until the next one takes it.
//!
//! A block that finds none makes its own; one that is done leaves it here, with whoever has the threads.
//! Only its user knows what it is. What is kept is bounded: a few pieces, each of which gives back what
//! recent blocks did not need (see `parallel::interner`).

use std::any::Any;

use parking_lot::Mutex;

/// As many blocks as are likely to be executed at the same time: one that is imported, one that is
/// being built.
const MOST: usize = 2;

/// Memory that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Vec<Box<dyn Any + Send>>>);

impl Spare {
    /// Memory for a block, which may hold what another one left.
    pub(crate) fn take<T: Any + Send + Default>(&self) -> Box<T> {
        let kept = self.0.lock().pop();
        kept.and_then(|kept| kept.downcast().ok()).unwrap_or_default()
    }

    /// Memory of a block that is done.
    pub(crate) fn keep<T: Any + Send>(&self, done: Box<T>) {
        let mut spare = self.0.lock();
        if spare.len() < MOST {
            spare.push(done);
        }
    }
}
