//! The engine's threads: made once, shared by recovery, execution, roots and pre-execution.
//!
//! The caller of a piece of work is one of its workers and never depends on the others: helpers
//! speed it up when there are any to be had. Who gets them is decided by [`Priority`]; work of a
//! lower one leaves them between two items as soon as a higher one wants them.

mod turns;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

use self::turns::Turns;
use crate::error::CoreError;
use crate::spare::Spare;

/// Who goes first. Somebody waits for an answer to the upper two; the lowest is work ahead of need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Decoding and senders of incoming transactions: short, and a client waits.
    Recovery,
    /// Execution of blocks and their roots.
    Execution,
    /// Hints. Helpers and caller step aside at each item while anything else goes on.
    PreExecution,
}

impl Priority {
    /// All of them, highest first.
    pub const ALL: [Self; 3] = [Self::Recovery, Self::Execution, Self::PreExecution];
}

/// Whether work has to give way, to be asked from within one of its items.
#[derive(Debug, Clone)]
pub struct Outranked {
    turns: Arc<Turns>,
    by: Priority,
}

impl Outranked {
    /// Whether work of that priority waits or runs.
    pub fn is_now(&self) -> bool {
        self.turns.is_busy_at(self.by)
    }
}

/// A persistent pool in which the caller of a piece of work is one of the workers.
#[derive(Debug)]
pub struct Workers {
    helpers: Option<ThreadPool>,
    threads: usize,
    turns: Arc<Turns>,
    spare: Spare,
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
        let turns = Arc::new(Turns::new(threads - 1));
        Ok(Self { helpers, threads, turns, spare: Spare::default() })
    }

    /// Tells work of a lower priority when work of priority `by` wants the threads.
    pub fn outranked_by(&self, by: Priority) -> Outranked {
        Outranked { turns: Arc::clone(&self.turns), by }
    }

    /// Workers in all, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Memory that blocks executed by these workers leave to the next ones.
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    /// Runs `work(worker)` once on the caller (worker 0) and up to `count - 1` helpers, with the
    /// priority of execution; returns when all that began have finished. Helpers may begin late or
    /// never: `work` must finish without them. One that has begun is not asked to leave.
    pub fn run(&self, count: usize, work: impl Fn(usize) + Send + Sync) {
        let _call = self.turns.enter(Priority::Execution);
        let Some(pool) = &self.helpers else { return work(0) };
        let promised = self.turns.promise(count.clamp(1, self.threads) - 1);
        if promised == 0 {
            return work(0);
        }
        let gate = Gate::default();
        pool.in_place_scope(|scope| {
            let (work, gate, turns) = (&work, &gate, &*self.turns);
            for worker in 1..=promised {
                scope.spawn(move |_| {
                    let _promise = turns.redeem();
                    let _left = gate.leave_on_drop();
                    if gate.enter() {
                        work(worker);
                    } else {
                        turns.flushed();
                    }
                });
            }
            let _close = CloseOnDrop { gate, turns, promised };
            work(0);
        });
    }

    /// `map` over `items` by all workers with the priority of execution, results in order.
    pub fn map<T: Sync, R: Send>(&self, items: &[T], map: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        self.map_at(Priority::Execution, items, map)
    }

    /// `map` over `items` by all workers that `priority` may have, results in order.
    ///
    /// Items are taken one by one, so uneven costs even out. Before each of them a helper looks
    /// whether work of a higher priority waits or runs, and leaves; a caller of the lowest priority
    /// waits for its turn, at most a millisecond per item, so it is not starved. Within work of a higher priority
    /// do not map at a lower one: it would wait for itself until its patience is at an end.
    pub fn map_at<T: Sync, R: Send>(
        &self,
        priority: Priority,
        items: &[T],
        map: impl Fn(&T) -> R + Send + Sync,
    ) -> Vec<R> {
        let _call = self.turns.enter(priority);
        let Some(pool) = self.helpers.as_ref().filter(|_| items.len() > 1) else {
            let in_turn = |item| {
                self.turns.wait(priority);
                map(item)
            };
            return items.iter().map(in_turn).collect();
        };
        let list = List {
            items,
            map,
            next: AtomicUsize::new(0),
            present: AtomicUsize::new(0),
            done: Mutex::default(),
        };
        pool.in_place_scope(|scope| self.lead(scope, priority, &list));
        let mut done = list.done.into_inner();
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// The caller's part of a map: items one by one, and helpers whenever there are any to be had.
    fn lead<'s, T: Sync, R: Send, F: Fn(&T) -> R + Send + Sync>(
        &'s self,
        scope: &Scope<'s>,
        priority: Priority,
        list: &'s List<'s, T, R, F>,
    ) {
        let mut own = Vec::new();
        loop {
            self.turns.wait(priority);
            let wanted = list.left().saturating_sub(1).min(self.threads - 1);
            let missing = wanted.saturating_sub(list.present.load(Ordering::Relaxed));
            for _ in 0..self.turns.summon(priority, missing) {
                list.present.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move |_| self.help(priority, list));
            }
            let Some((index, result)) = list.do_next() else { break };
            own.push((index, result));
        }
        list.done.lock().append(&mut own);
    }

    /// A helper's part: items one by one until none is left or others go first.
    fn help<T: Sync, R: Send, F: Fn(&T) -> R + Send + Sync>(
        &self,
        priority: Priority,
        list: &List<'_, T, R, F>,
    ) {
        let _leaving = self.turns.dismiss(&list.present);
        let mut own = Vec::new();
        while !self.turns.is_outranked(priority) {
            self.turns.flush();
            let Some((index, result)) = list.do_next() else { break };
            own.push((index, result));
        }
        list.done.lock().append(&mut own);
    }
}

/// The items of one map and what has become of them.
struct List<'a, T, R, F> {
    items: &'a [T],
    map: F,
    next: AtomicUsize,
    /// Helpers that were summoned for it and have not left.
    present: AtomicUsize,
    done: Mutex<Vec<(usize, R)>>,
}

impl<T, R, F: Fn(&T) -> R> List<'_, T, R, F> {
    fn left(&self) -> usize {
        self.items.len().saturating_sub(self.next.load(Ordering::Relaxed))
    }

    fn do_next(&self) -> Option<(usize, R)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.items.get(index).map(|item| (index, (self.map)(item)))
    }
}

/// Lets helpers of a run in until the caller is done, and counts those that are through.
#[derive(Default)]
struct Gate {
    entered: AtomicUsize,
    left: AtomicUsize,
}

/// How long a caller that is done looks for its helpers before it sleeps until they are: about the
/// price of waking it again.
const LOOKING: Duration = Duration::from_micros(10);

impl Gate {
    const CLOSED: usize = 1 << (usize::BITS - 1);

    /// Whether the gate was open.
    fn enter(&self) -> bool {
        self.entered.fetch_add(1, Ordering::Relaxed) & Self::CLOSED == 0
    }

    /// Closes it. Returns how many have entered.
    fn close(&self) -> usize {
        self.entered.fetch_or(Self::CLOSED, Ordering::Relaxed)
    }

    fn leave_on_drop(&self) -> impl Drop + '_ {
        OnDrop(|| {
            self.left.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn look_for(&self, helpers: usize) {
        let until = Instant::now() + LOOKING;
        while self.left.load(Ordering::Relaxed) < helpers && Instant::now() < until {
            std::hint::spin_loop();
        }
    }
}

/// Closes the gate when the caller is done, by a panic too.
struct CloseOnDrop<'a> {
    gate: &'a Gate,
    turns: &'a Turns,
    promised: usize,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.turns.leave_queued(self.promised - self.gate.close());
        self.gate.look_for(self.promised);
    }
}

/// What is to be done at the end, by a panic too.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
