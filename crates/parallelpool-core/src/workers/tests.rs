//! Who gets the helpers, who leaves, who waits. Conditions with deadlines, no sleeps.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use super::*;

/// Returns when `ready` holds; fails the test after ten seconds.
fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn pool(threads: usize) -> Arc<Workers> {
    Arc::new(Workers::new(threads).expect("threads start"))
}

/// Items that last until whoever waits has seen what it waits for.
fn many() -> Vec<u32> {
    (0..1_000_000).collect()
}

/// Which thread did how many items.
#[derive(Default)]
struct Diary(Mutex<HashMap<ThreadId, usize>>);

impl Diary {
    /// An item of some twenty microseconds.
    fn work(&self) {
        let end = Instant::now() + Duration::from_micros(20);
        while Instant::now() < end {
            std::thread::yield_now();
        }
        *self.0.lock().entry(std::thread::current().id()).or_default() += 1;
    }

    fn len(&self) -> usize {
        self.0.lock().values().sum()
    }

    fn of(&self, thread: ThreadId) -> usize {
        self.0.lock().get(&thread).copied().unwrap_or_default()
    }

    fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().keys().copied().collect()
    }
}

/// A map at `priority` that goes on until two threads have worked on it.
fn meet(workers: &Workers, priority: Priority) {
    let diary = Diary::default();
    let items = many();
    let deadline = Instant::now() + Duration::from_secs(10);
    workers.map_at(priority, &items, |_| {
        if diary.threads().len() < 2 {
            assert!(Instant::now() < deadline, "the caller maps alone");
            diary.work();
        }
    });
}

/// A map of the lowest priority that goes on until `stop`, on a thread of its own; returns when
/// caller and helper are at work.
fn background<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    workers: &'s Workers,
    diary: &'s Diary,
    stop: &'s AtomicBool,
) -> std::thread::ScopedJoinHandle<'s, usize> {
    let items = many();
    let running = scope.spawn(move || {
        let done = AtomicUsize::new(0);
        workers.map_at(Priority::PreExecution, &items, |_| {
            if !stop.load(Ordering::SeqCst) {
                diary.work();
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        done.into_inner()
    });
    wait_until("two threads map in the background", || diary.threads().len() == 2);
    running
}

#[test]
fn results_are_in_order_whatever_the_priority_and_the_number_of_threads() {
    for threads in [1, 2, 4] {
        let workers = pool(threads);
        for priority in Priority::ALL {
            for count in [0, 1, 2, 7, 1_000] {
                let items: Vec<usize> = (0..count).collect();
                let doubled = workers.map_at(priority, &items, |item| 2 * item);

                assert_eq!(doubled, items.iter().map(|item| 2 * item).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_run_begins_on_the_caller_and_on_no_more_helpers_than_asked_for() {
    let workers = pool(4);
    for (count, least, most) in [(0, 1, 1), (1, 1, 1), (2, 1, 2), (9, 1, 4)] {
        let begun = Mutex::new(Vec::new());
        workers.run(count, |worker| begun.lock().push(worker));
        let begun: HashSet<usize> = begun.into_inner().into_iter().collect();

        assert!(begun.contains(&0) && (least..=most).contains(&begun.len()));
        assert!(begun.iter().all(|worker| *worker < most));
    }
}

#[test]
fn pre_execution_leaves_its_helper_while_a_block_is_executed_and_has_it_back_afterwards() {
    let (workers, diary, stop) = (pool(2), Diary::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let background = background(scope, &workers, &diary, &stop);
        let map_caller = background.thread().id();
        let helper = *diary.threads().iter().find(|id| **id != map_caller).expect("two threads");
        // Both workers of the block are there, so the helper has left the map.
        let arrived = AtomicUsize::new(0);
        workers.run(2, |worker| {
            arrived.fetch_add(1, Ordering::SeqCst);
            wait_until("the helper has come over", || arrived.load(Ordering::SeqCst) == 2);
            if worker == 0 {
                let (all, helped) = (diary.len(), diary.of(helper));
                wait_until("the map's caller goes on slowly", || diary.len() >= all + 3);
                assert_eq!(diary.of(helper), helped, "the helper left the map");
                arrived.fetch_add(1, Ordering::SeqCst);
            } else {
                wait_until("the look is over", || arrived.load(Ordering::SeqCst) == 3);
            }
        });
        let helped = diary.of(helper);
        wait_until("the helper is back", || diary.of(helper) > helped);
        stop.store(true, Ordering::SeqCst);
        let done = background.join().expect("no panic");

        assert_eq!(done, diary.len());
    });
}

#[test]
fn recovery_has_the_helper_of_pre_execution() {
    let (workers, diary, stop) = (pool(2), Diary::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let background = background(scope, &workers, &diary, &stop);
        meet(&workers, Priority::Recovery);
        stop.store(true, Ordering::SeqCst);
        background.join().expect("no panic");
    });
}

#[test]
fn a_caller_of_the_lowest_priority_is_paced_but_not_starved() {
    let (workers, finished) = (pool(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            workers.run(1, |_| wait_until("the hints are there", || finished.load(Ordering::SeqCst)));
        });
        wait_until("a block is being executed", || workers.turns.is_outranked(Priority::PreExecution));
        let began = Instant::now();
        let found = workers.map_at(Priority::PreExecution, &[1, 2, 3], |item| item + 1);
        finished.store(true, Ordering::SeqCst);

        assert_eq!(found, [2, 3, 4]);
        assert!(began.elapsed() >= 3 * turns::PATIENCE);
    });
}

#[test]
fn a_waiting_caller_goes_on_when_the_higher_work_ends() {
    let (workers, begun) = (pool(1), AtomicUsize::new(0));
    // With more items than patience could see through before the deadline.
    let items: Vec<u32> = (0..100_000).collect();
    std::thread::scope(|scope| {
        let hints = scope.spawn(|| {
            workers.map_at(Priority::PreExecution, &items, |item| {
                begun.fetch_add(1, Ordering::SeqCst);
                *item
            })
        });
        workers.run(1, |_| {
            wait_until("hints are looked for", || begun.load(Ordering::SeqCst) > 0);
        });
        wait_until("all hints are found", || hints.is_finished());
        assert_eq!(hints.join().expect("no panic"), items);
    });
}

#[test]
fn the_end_of_a_run_waits_for_no_map_that_has_its_helper() {
    let workers = pool(2);
    let (stop, diary) = (AtomicBool::new(false), Diary::default());
    let items = many();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            workers.map_at(Priority::Recovery, &items, |_| {
                if !stop.load(Ordering::SeqCst) {
                    diary.work();
                }
            });
        });
        wait_until("recovery has the helper", || diary.threads().len() == 2);
        let begun = AtomicUsize::new(0);
        workers.run(2, |_| {
            begun.fetch_add(1, Ordering::SeqCst);
        });

        let mapped = diary.len();
        stop.store(true, Ordering::SeqCst);
        assert_eq!(begun.into_inner(), 1, "the caller alone");
        assert!(mapped < items.len() / 2, "{mapped} items of the map were waited for");
    });
}

#[test]
fn a_run_waits_for_no_helper_of_another_run() {
    let workers = pool(2);
    let (begun, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            workers.run(2, |_| {
                begun.fetch_add(1, Ordering::SeqCst);
                wait_until("the other run is over", || stop.load(Ordering::SeqCst));
            });
        });
        wait_until("the first run has both threads", || begun.load(Ordering::SeqCst) == 2);
        let second = AtomicUsize::new(0);
        workers.run(2, |_| {
            second.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(second.into_inner(), 1);
        let mapped = workers.map_at(Priority::Recovery, &[1, 2, 3], |item| item * 3);
        assert_eq!(mapped, [3, 6, 9]);
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn panics_of_caller_and_helper_come_out_and_leave_all_turns_free() {
    let workers = pool(2);
    for by_caller in [true, false] {
        let here = std::thread::current().id();
        let (diary, items) = (Diary::default(), [0; 10]);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            workers.map_at(Priority::Recovery, &items, |_| {
                diary.work();
                wait_until("both threads are there", || diary.threads().len() == 2);
                assert_ne!(std::thread::current().id() == here, by_caller, "as asked for");
            });
        }));
        assert!(outcome.is_err());
        let outcome = catch_unwind(AssertUnwindSafe(|| workers.run(2, |worker| assert_ne!(worker, 0))));
        assert!(outcome.is_err());
        for priority in Priority::ALL {
            assert!(!workers.turns.is_outranked(priority));
            meet(&workers, priority);
        }
    }
}

#[test]
fn many_callers_of_all_priorities_get_their_own_results() {
    let workers = pool(3);
    std::thread::scope(|scope| {
        for caller in 0..6_usize {
            let workers = &workers;
            scope.spawn(move || {
                for round in 0..300 {
                    let items: Vec<usize> = (0..round % 13).collect();
                    let priority = Priority::ALL[(caller + round) % 3];
                    let mapped = workers.map_at(priority, &items, |item| item * caller);
                    assert_eq!(mapped, items.iter().map(|item| item * caller).collect::<Vec<_>>());
                    let sum = AtomicUsize::new(0);
                    workers.run(round % 4, |worker| {
                        sum.fetch_add(usize::from(worker == 0), Ordering::SeqCst);
                    });
                    assert_eq!(sum.into_inner(), 1);
                }
            });
        }
    });
}
