//! Who runs what next: the frontier, the window ahead of it, and transactions held back.
//!
//! Every index is handed out exactly once: by the cursor in ascending order or, where an edge says
//! that an earlier one should run first, when that one has run. Transfers are handed out in stretches,
//! and further ahead than the window: they guess nothing that could turn out wrong. Transactions that each wait for
//! the one right before are handed out as a run, for one worker: the first of them, and each of the others to
//! whoever has run the one before. So are short calls that wait for nobody. Long calls are handed out before their turn (see `super::estimate`), by
//! whoever takes their flag. The transaction at the frontier can always be had, is running, or has run:
//! whatever the edges say, they only lead downwards.
//! Second executions are not handed out; the committer does them on the spot. While the window is one it
//! takes whole ranges for itself and runs them in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use smallvec::SmallVec;

use super::edges::Edges;
use super::idle::Idle;
use super::sync::{AtomicBool, AtomicU32, LEAST_RUNS, Mutex, Ordering, fence};

/// A word that many threads write gets its own pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// Transfers in one stretch at most: the cost of handing it out is shared by many, and the other
/// workers still get theirs.
const STRETCH: usize = 64;
/// Transactions in one run at most.
pub(super) const RUN: usize = 64;
/// Short calls in one run at most. Long enough that the two runs of two workers are mostly one at the
/// frontier, which needs no log and no comparison, and one ahead.
const SHORT_RUN: usize = 16;
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
    /// Held back for an earlier one that has not run, whether by lock or in a run.
    held_back: AtomicU32,
    /// Those that should begin before their turn, in the order in which they should.
    early: Box<[u32]>,
    /// All of `early` before this place were handed out or held back.
    next_early: AtomicU32,
    released: Mutex<Released>,
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
    /// It waits for nobody and looks like a call that is over soon.
    is_short: bool,
    /// It waits for the one right before it and for no other, and none of the two is a transfer.
    follows: bool,
    /// It was handed out in a run, and whoever runs the one before it goes on with it.
    is_in_run: AtomicBool,
    /// Its place among those that should begin early, or [`NOT_EARLY`].
    rank: u32,
    /// Of one that should begin early: whether somebody has it.
    is_taken: AtomicBool,
    has_run: AtomicBool,
    /// Transactions held back for this one; taken when it has run.
    successors: Mutex<SmallVec<[u32; 2]>>,
}

const NOT_EARLY: u32 = u32::MAX;

/// What a transaction looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// A plain transfer.
    Transfer,
    /// A call that is over soon, whatever it does.
    ShortCall,
    /// Anything else.
    #[default]
    Call,
}

impl Task {
    fn is_early(&self) -> bool {
        self.rank != NOT_EARLY
    }
}

/// Transactions that were handed out and did not run.
#[derive(Debug, Default)]
struct Released {
    in_order: BinaryHeap<Reverse<u32>>,
    /// Few: of those that may run far ahead the first in rank is looked for.
    early: Vec<u32>,
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
    /// A plan for transactions with these edges and of these kinds. `early`: calls that should begin
    /// before their turn, none twice.
    pub(super) fn new(plan: impl IntoIterator<Item = (Edges, Kind)>, early: Vec<u32>, window: u32) -> Self {
        let mut is_after_transfer = true;
        let task = |(index, (edges, kind)): (u32, (Edges, Kind))| {
            let is_transfer = kind == Kind::Transfer;
            let is_after_transfer = std::mem::replace(&mut is_after_transfer, is_transfer);
            let follows = !is_transfer && !is_after_transfer && edges[..] == [index - 1];
            Task {
                is_short: kind == Kind::ShortCall && edges.is_empty(),
                edges,
                is_transfer,
                follows,
                is_in_run: AtomicBool::new(false),
                rank: NOT_EARLY,
                is_taken: AtomicBool::new(false),
                has_run: AtomicBool::new(false),
                successors: Mutex::default(),
            }
        };
        let mut tasks: Box<[Task]> = (0..).zip(plan).map(task).collect();
        for (rank, index) in (0..).zip(&early) {
            tasks[*index as usize].rank = rank;
        }
        Self {
            tasks,
            frontier: Padded::default(),
            cursor: Padded::default(),
            window: AtomicU32::new(window),
            held_back: AtomicU32::new(0),
            early: early.into(),
            next_early: AtomicU32::new(0),
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
                if index < end || self.is_early_and_open(index) {
                    return Claim::Run(index);
                }
                self.release(index);
            }
            if let Some(index) = self.claim_released(end).or_else(|| self.claim_early()) {
                return Claim::Run(index);
            }
            let next = self.cursor.0.load(Ordering::Acquire);
            let stretch = self.stretch_at(next);
            if stretch.is_empty() && next >= end {
                return if self.is_handed_out() { Claim::Leave } else { Claim::Wait };
            }
            let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            let run = if stretch.is_empty() { self.run_at(next, end) } else { 0..0 };
            let after = stretch.end.max(run.end);
            if self.cursor.0.compare_exchange(next, after, order, failed).is_err() {
                continue;
            }
            if !stretch.is_empty() {
                return Claim::Transfers(stretch.start, stretch.end);
            }
            self.reserve(next + 1..run.end);
            if self.take(next) && !self.hold_back(next) {
                return Claim::Run(next);
            }
        }
    }

    /// The transaction `first` and those that can be handed out together with it.
    fn run_at(&self, first: u32, end: u32) -> Range<u32> {
        let tasks = &self.tasks[first as usize..end as usize];
        if tasks[0].is_early() {
            return first..first + 1;
        }
        let others = tasks[1..].iter().take(RUN - 1).take_while(|task| task.follows && !task.is_early());
        let most_short = SHORT_RUN.min(tasks.len() / LEAST_RUNS);
        let short = tasks.iter().take(most_short).take_while(|task| task.is_short && !task.is_early());
        first..first + (1 + others.count()).max(short.count()) as u32
    }

    /// Leaves transactions to whoever runs those before them. To be called before the first of the run
    /// can run.
    fn reserve(&self, others: Range<u32>) {
        if others.is_empty() {
            return;
        }
        self.held_back.fetch_add(others.end - others.start, Ordering::AcqRel);
        for index in others {
            // Whoever runs the one before has it from here, by whatever way.
            self.tasks[index as usize].is_in_run.store(true, Ordering::Relaxed);
        }
    }

    /// The transaction that comes after this one in a run.
    fn next_in_run(&self, index: u32) -> Option<u32> {
        let next = self.tasks.get(index as usize + 1)?;
        next.is_in_run.load(Ordering::Relaxed).then_some(index + 1)
    }

    /// The transaction `first` and those that belong to whoever runs it.
    pub(super) fn run_from(&self, first: u32) -> Range<u32> {
        let others = self.tasks[first as usize + 1..].iter().take(RUN);
        let is_in_run = |task: &&Task| task.is_in_run.load(Ordering::Relaxed);
        first..first + 1 + others.take_while(is_in_run).count() as u32
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
                || (self.is_open() && self.next_early.load(Ordering::Acquire) < self.early.len() as u32)
                || (self.released_count.load(Ordering::Acquire) > 0
                    && self.place_released(&self.released.lock(), end).is_some())
        });
    }

    /// For the committer, while the window is one: up to `most` transactions from `first` on, if nobody
    /// has any of them. They are its own to run in order and to commit. `first` is the frontier, or the
    /// end of such a range that is not committed yet.
    pub(super) fn claim_in_order(&self, first: u32, most: u32) -> Option<Range<u32>> {
        let end = first.saturating_add(most).min(self.tasks.len() as u32);
        let tasks = &self.tasks[first as usize..end as usize];
        let free = tasks.iter().take_while(|task| !task.is_early()).count() as u32;
        if free == 0 || self.is_stopped() {
            return None;
        }
        let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let claimed = self.cursor.0.compare_exchange(first, first + free, order, failed);
        claimed.is_ok().then(|| first..first + free)
    }

    /// A range of [`Self::claim_in_order`] was executed up to `end` and its writes can be read.
    pub(super) fn have_run(&self, range: Range<u32>) {
        // At the block's end nobody is left who could wait for one of them.
        if range.end as usize == self.tasks.len() {
            return;
        }
        for index in range {
            let own = self.has_run(index, false);
            debug_assert!(own.is_none(), "none was to be kept");
        }
    }

    /// A transaction was executed and its writes are published. Returns the next one of its run or, if
    /// `keep`, the first one that waited for it, for the same worker to go on with; the others are
    /// released to all.
    pub(super) fn has_run(&self, index: u32, keep: bool) -> Option<u32> {
        let task = &self.tasks[index as usize];
        task.has_run.store(true, Ordering::Release);
        let mut successors = std::mem::take(&mut *task.successors.lock());
        let mut kept = self.next_in_run(index);
        if successors.is_empty() && kept.is_none() {
            return None;
        }
        successors.sort_unstable();
        let taken = successors.len() as u32 + u32::from(kept.is_some());
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

    /// Whether speculation goes on at all: what should begin early may.
    pub(super) fn is_open(&self) -> bool {
        self.window.load(Ordering::Acquire) > 1
    }

    fn is_early_and_open(&self, index: u32) -> bool {
        self.tasks[index as usize].is_early() && self.is_open()
    }

    /// Whether the transaction is the caller's, who found it by the cursor or among the early ones.
    fn take(&self, index: u32) -> bool {
        let task = &self.tasks[index as usize];
        !task.is_early() || !task.is_taken.swap(true, Ordering::AcqRel)
    }

    /// The next one that should begin early, however far ahead it is.
    fn claim_early(&self) -> Option<u32> {
        while self.is_open() {
            let place = self.next_early.load(Ordering::Acquire);
            let index = *self.early.get(place as usize)?;
            let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            let is_mine = self.next_early.compare_exchange(place, place + 1, order, failed).is_ok();
            if is_mine && self.take(index) && !self.hold_back(index) {
                return Some(index);
            }
        }
        None
    }

    fn claim_released(&self, end: u32) -> Option<u32> {
        if self.released_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut released = self.released.lock();
        let index = match self.place_released(&released, end)? {
            Some(place) => released.early.swap_remove(place),
            None => released.in_order.pop()?.0,
        };
        self.released_count.fetch_sub(1, Ordering::AcqRel);
        Some(index)
    }

    /// Where a released transaction lies that may run: the place among the early ones, or `None` for
    /// the lowest of the others.
    fn place_released(&self, released: &Released, end: u32) -> Option<Option<usize>> {
        let rank = |index: u32| self.tasks[index as usize].rank;
        let is_open = self.is_open();
        let may_run = released.early.iter().enumerate().filter(|(_, index)| is_open || **index < end);
        if let Some((place, _)) = may_run.min_by_key(|(_, index)| rank(**index)) {
            return Some(Some(place));
        }
        let Reverse(lowest) = released.in_order.peek()?;
        (*lowest < end).then_some(None)
    }

    /// Lets any worker claim a transaction that was handed out and did not run.
    pub(super) fn release(&self, index: u32) {
        let mut released = self.released.lock();
        if self.tasks[index as usize].is_early() {
            released.early.push(index);
        } else {
            released.in_order.push(Reverse(index));
        }
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
