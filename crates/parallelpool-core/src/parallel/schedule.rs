//! Who runs what next: the frontier, the window ahead of it, and transactions held back.
//!
//! Every index is handed out exactly once: by the cursor in ascending order or, where an edge says
//! that an earlier one should run first, when that one has run. Transfers are handed out in stretches,
//! and further ahead than the window: they guess nothing that could turn out wrong. The transaction at the frontier can
//! always be had, is running, or has run: whatever the edges say, they only lead downwards.
//! Second executions are not handed out; the committer does them on the spot.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use smallvec::SmallVec;

use super::edges::Edges;
use super::idle::Idle;
use super::sync::{AtomicBool, AtomicU32, Mutex, Ordering, fence};

/// A word that many threads write gets its own pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// Transfers in one stretch at most: the cost of handing it out is shared by many, and the other
/// workers still get theirs.
const STRETCH: usize = 64;
/// How far ahead of the frontier transfers are handed out.
const TRANSFERS_AHEAD: u32 = 2_048;

/// The plan of one block.
#[derive(Debug)]
pub(super) struct Schedule {
    tasks: Box<[Task]>,
    /// All before it are committed.
    frontier: Padded<AtomicU32>,
    /// All before it were handed out or held back.
    cursor: Padded<AtomicU32>,
    window: AtomicU32,
    /// Held back for an earlier one that has not run.
    held_back: AtomicU32,
    released: Mutex<BinaryHeap<Reverse<u32>>>,
    /// Length of `released`; spares the lock.
    released_count: AtomicU32,
    stopped: AtomicBool,
    idle: Idle,
}

#[derive(Debug)]
struct Task {
    edges: Edges,
    /// It looks like a plain transfer.
    is_transfer: bool,
    has_run: AtomicBool,
    /// Transactions held back for this one; taken when it has run.
    successors: Mutex<SmallVec<[u32; 2]>>,
}

/// What a worker should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Execute this transaction.
    Run(u32),
    /// Prepare the transfers of this stretch; it is published under its first index.
    Transfers(u32, u32),
    /// Nothing can run now; see [`Schedule::wait`].
    Wait,
    /// Nothing is left to hand out.
    Leave,
}

impl Schedule {
    /// A plan for transactions with these edges, and whether each looks like a transfer.
    pub(super) fn new(plan: impl IntoIterator<Item = (Edges, bool)>, window: u32) -> Self {
        let task = |(edges, is_transfer)| Task {
            edges,
            is_transfer,
            has_run: AtomicBool::new(false),
            successors: Mutex::default(),
        };
        Self {
            tasks: plan.into_iter().map(task).collect(),
            frontier: Padded::default(),
            cursor: Padded::default(),
            window: AtomicU32::new(window),
            held_back: AtomicU32::new(0),
            released: Mutex::default(),
            released_count: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
            idle: Idle::default(),
        }
    }

    /// The next transaction for a worker. `own` is what [`Self::has_run`] kept for it.
    pub(super) fn claim(&self, own: Option<u32>) -> Claim {
        let mut own = own;
        loop {
            if self.is_stopped() {
                return Claim::Leave;
            }
            let end = self.window_end();
            if let Some(index) = own.take() {
                if index < end {
                    return Claim::Run(index);
                }
                self.release(index);
            }
            if let Some(index) = self.claim_released(end) {
                return Claim::Run(index);
            }
            let next = self.cursor.0.load(Ordering::Acquire);
            let stretch = self.stretch_at(next);
            if stretch.is_empty() && next >= end {
                return if self.is_handed_out() { Claim::Leave } else { Claim::Wait };
            }
            let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            let after = stretch.end.max(next + 1);
            if self.cursor.0.compare_exchange(next, after, order, failed).is_err() {
                continue;
            }
            if !stretch.is_empty() {
                return Claim::Transfers(stretch.start, stretch.end);
            }
            if !self.hold_back(next) {
                return Claim::Run(next);
            }
        }
    }

    /// The transfers that can be handed out together from index `first` on.
    fn stretch_at(&self, first: u32) -> Range<u32> {
        let ahead = self.frontier().saturating_add(TRANSFERS_AHEAD).min(self.tasks.len() as u32);
        let tasks = self.tasks.get(first as usize..ahead as usize).unwrap_or_default();
        let length = tasks.iter().take(STRETCH).take_while(|task| task.is_transfer).count();
        first..first + length as u32
    }

    /// Waits until something can be claimed, or everything has changed.
    pub(super) fn wait(&self) {
        self.idle.wait(|| {
            let end = self.window_end();
            let next = self.cursor.0.load(Ordering::Acquire);
            self.is_stopped()
                || next < end
                || !self.stretch_at(next).is_empty()
                || self.is_handed_out()
                || (self.released_count.load(Ordering::Acquire) > 0
                    && self.released.lock().peek().is_some_and(|Reverse(lowest)| *lowest < end))
        });
    }

    /// A transaction was executed and its writes are published. Returns the first one that waited
    /// for it, for the same worker to go on with if `keep`; the others are released to all.
    pub(super) fn has_run(&self, index: u32, keep: bool) -> Option<u32> {
        let task = &self.tasks[index as usize];
        task.has_run.store(true, Ordering::Release);
        let mut successors = std::mem::take(&mut *task.successors.lock());
        if successors.is_empty() {
            return None;
        }
        successors.sort_unstable();
        let mut kept = None;
        for successor in &successors {
            if self.hold_back(*successor) {
                continue;
            }
            if keep && kept.is_none() {
                kept = Some(*successor);
            } else {
                self.release(*successor);
            }
        }
        let taken = successors.len() as u32;
        if self.held_back.fetch_sub(taken, Ordering::AcqRel) == taken {
            // The successors may all have been run and committed by now, and a worker that looked
            // in between sleeps because this number was not zero.
            fence(Ordering::SeqCst);
            if self.is_handed_out() {
                self.idle.notify();
            }
        }
        kept
    }

    /// A transaction that was handed out as a transfer is none: it waits for its turn like others.
    pub(super) fn defer(&self, index: u32) {
        if !self.hold_back(index) {
            self.release(index);
        }
    }

    /// The first transaction that is not committed.
    #[inline]
    pub(super) fn frontier(&self) -> u32 {
        self.frontier.0.load(Ordering::Acquire)
    }

    /// The transaction at the frontier, if it can be committed.
    #[inline]
    pub(super) fn committable(&self) -> Option<u32> {
        let frontier = self.frontier();
        let task = self.tasks.get(frontier as usize)?;
        (!self.is_stopped() && task.has_run.load(Ordering::Acquire)).then_some(frontier)
    }

    /// The next `count` transactions from the frontier on are committed. Called by the committer only.
    #[inline]
    pub(super) fn advance(&self, count: u32, window: u32) {
        let frontier = self.frontier.0.load(Ordering::Relaxed) + count;
        self.frontier.0.store(frontier, Ordering::Release);
        let before = self.window.swap(window, Ordering::AcqRel);
        // With a window of one the committer itself goes on; others would only be woken for nothing.
        if window > 1 || before > 1 || frontier as usize == self.tasks.len() {
            self.idle.notify();
        }
    }

    /// Ends the block for all workers.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.idle.notify();
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The flag behind [`Self::is_stopped`].
    pub(super) fn stop_flag(&self) -> &AtomicBool {
        &self.stopped
    }

    #[inline]
    fn window_end(&self) -> u32 {
        let end = self.frontier().saturating_add(self.window.load(Ordering::Acquire));
        end.min(self.tasks.len() as u32)
    }

    fn is_handed_out(&self) -> bool {
        self.cursor.0.load(Ordering::Acquire) as usize == self.tasks.len()
            && self.held_back.load(Ordering::Acquire) == 0
            && self.released_count.load(Ordering::Acquire) == 0
    }

    fn claim_released(&self, end: u32) -> Option<u32> {
        if self.released_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut released = self.released.lock();
        let Reverse(lowest) = *released.peek()?;
        if lowest >= end {
            return None;
        }
        released.pop();
        self.released_count.fetch_sub(1, Ordering::AcqRel);
        Some(lowest)
    }

    /// Lets any worker claim a transaction that was handed out and did not run.
    pub(super) fn release(&self, index: u32) {
        let mut released = self.released.lock();
        released.push(Reverse(index));
        self.released_count.fetch_add(1, Ordering::AcqRel);
        drop(released);
        self.idle.notify();
    }

    /// Holds a transaction back for the latest of its edges that has not run, if there is one.
    fn hold_back(&self, index: u32) -> bool {
        for edge in &self.tasks[index as usize].edges {
            let task = &self.tasks[*edge as usize];
            if task.has_run.load(Ordering::Acquire) {
                continue;
            }
            let mut successors = task.successors.lock();
            // Asked again under the lock, under which the successors are taken later.
            if !task.has_run.load(Ordering::Acquire) {
                self.held_back.fetch_add(1, Ordering::AcqRel);
                successors.push(index);
                return true;
            }
        }
        false
    }
}

/// What separates publishing an execution from looking for the committer's seat, and leaving the
/// seat from looking for work: one of two workers that do so at once sees the other.
pub(super) fn publish_before_looking() {
    fence(Ordering::SeqCst);
}
