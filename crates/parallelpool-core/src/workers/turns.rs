//! Whose turn it is: counts of the work at each priority and of the helpers it has.
//!
//! A helper is *promised* to a run, which keeps it to its end, or *summoned* to a map, which gives
//! it back between two items. Only idle helpers are summoned; a map asks again before each item.
//! A run, which cannot ask again, is promised those of maps too and gets them when they leave. If
//! it is over before, they are flushed through the queue at the next item. So nobody's end waits
//! for more than one item of somebody else.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{OnDrop, Priority};

/// How long the caller of the lowest priority waits for its turn before it does one item all the
/// same: never starved, and at most a few percent of a CPU taken from those before it.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

const LEVELS: usize = Priority::ALL.len();

/// See the head of the module.
#[derive(Debug)]
pub(super) struct Turns {
    /// Pieces of work that wait or run, by priority.
    calls: [AtomicUsize; LEVELS],
    /// Queued helpers of runs that are over: whoever holds a thread lets them through.
    queued: AtomicIsize,
    /// Callers that wait for their turn.
    waiting: AtomicUsize,
    helpers: Mutex<Helpers>,
    turned: Condvar,
}

#[derive(Debug)]
struct Helpers {
    all: usize,
    promised: usize,
    summoned: usize,
}

impl Turns {
    pub(super) fn new(helpers: usize) -> Self {
        Self {
            calls: Default::default(),
            queued: AtomicIsize::new(0),
            waiting: AtomicUsize::new(0),
            helpers: Mutex::new(Helpers { all: helpers, promised: 0, summoned: 0 }),
            turned: Condvar::new(),
        }
    }

    /// Begins a piece of work, which ends when the result is dropped.
    pub(super) fn enter(&self, priority: Priority) -> Call<'_> {
        self.calls[priority as usize].fetch_add(1, Ordering::SeqCst);
        Call { turns: self, priority }
    }

    /// Whether work of a higher priority waits or runs.
    pub(super) fn is_outranked(&self, priority: Priority) -> bool {
        self.calls[..priority as usize].iter().any(|calls| calls.load(Ordering::SeqCst) > 0)
    }

    /// Whether work of exactly this priority waits or runs.
    pub(super) fn is_busy_at(&self, priority: Priority) -> bool {
        self.calls[priority as usize].load(Ordering::Relaxed) > 0
    }

    /// Waits while a caller of this priority has to.
    pub(super) fn wait(&self, priority: Priority) {
        if priority < Priority::PreExecution || !self.is_outranked(priority) {
            return;
        }
        let mut helpers = self.helpers.lock();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Whether it was woken or its patience ended: it does one item.
        let _ = self.turned.wait_while_for(&mut helpers, |_| self.is_outranked(priority), PATIENCE);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Helpers for a run, at most `wanted`: all that no other run has.
    pub(super) fn promise(&self, wanted: usize) -> usize {
        if wanted == 0 {
            return 0;
        }
        let mut helpers = self.helpers.lock();
        let promised = wanted.min(helpers.all - helpers.promised);
        helpers.promised += promised;
        promised
    }

    /// Ends a promise when the result is dropped.
    pub(super) fn redeem(&self) -> impl Drop + '_ {
        OnDrop(|| self.helpers.lock().promised -= 1)
    }

    /// Idle helpers for a map, at most `wanted`.
    pub(super) fn summon(&self, priority: Priority, wanted: usize) -> usize {
        if wanted == 0 || self.is_outranked(priority) {
            return 0;
        }
        let mut helpers = self.helpers.lock();
        let summoned = wanted.min(helpers.all.saturating_sub(helpers.promised + helpers.summoned));
        helpers.summoned += summoned;
        summoned
    }

    /// Gives a summoned helper back, which was counted in `present` too, when the result is dropped.
    pub(super) fn dismiss<'a>(&'a self, present: &'a AtomicUsize) -> impl Drop + 'a {
        OnDrop(move || {
            self.helpers.lock().summoned -= 1;
            present.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// So many helpers of a run that is over have not begun.
    pub(super) fn leave_queued(&self, helpers: usize) {
        let helpers = isize::try_from(helpers).expect("at most as many as threads");
        self.queued.fetch_add(helpers, Ordering::SeqCst);
    }

    /// One of those came and went.
    pub(super) fn flushed(&self) {
        self.queued.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets those through on the calling thread, which is a helper's: their caller waits for them.
    pub(super) fn flush(&self) {
        if self.queued.load(Ordering::SeqCst) > 0 {
            rayon::yield_now();
        }
    }
}

/// A piece of work that waits or runs.
pub(super) struct Call<'a> {
    turns: &'a Turns,
    priority: Priority,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.turns.calls[self.priority as usize].fetch_sub(1, Ordering::SeqCst);
        if self.turns.waiting.load(Ordering::SeqCst) > 0 {
            // Who waits has the lock from before it looked until it sleeps.
            drop(self.turns.helpers.lock());
            self.turns.turned.notify_all();
        }
    }
}
