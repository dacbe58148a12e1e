//! The memory of past blocks, until the next one takes it.
//!
//! A block that finds none makes its own; one that is done leaves it here. What is kept is bounded: a few
//! sets of tables, each of which gives back what recent blocks did not need (see `interner`).

use parking_lot::Mutex;

use super::memory::Tables;

/// As many blocks as are likely to be executed at the same time: one that is imported, one that is
/// being built.
const MOST: usize = 2;

/// Tables that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct SpareTables(Mutex<Vec<Box<Tables>>>);

impl SpareTables {
    /// Tables for a block, which may hold what another one left.
    pub(super) fn take(&self) -> Box<Tables> {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Tables of a block that is done.
    pub(super) fn keep(&self, tables: Box<Tables>) {
        let mut spare = self.0.lock();
        if spare.len() < MOST {
            spare.push(tables);
        }
    }
}
