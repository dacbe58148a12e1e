//! Workers as the executor's, on transactions that do nothing.
//!
//! The loops of `work` and `commit` are those of `parallel/mod.rs`; what an execution leaves behind
//! is one flag, written and read without any ordering of its own, so that whoever sees it owes that
//! to the schedule. A run panics where a transaction runs twice, runs before its edges, or is
//! committed before it ran; it hangs, which simulators notice, where a wake-up or the seat is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Count, Ordering::SeqCst};

use super::super::shape::{Ending, Shape};
use super::edges::Edges;
use super::schedule::{Claim, Schedule, publish_before_looking};
use super::sync::{AtomicBool, Condvar, Mutex, Ordering, spawn, spin_loop};

struct Run {
    shape: Shape,
    schedule: Schedule,
    /// Commits so far.
    seat: Mutex<u32>,
    executed: Vec<Executed>,
    /// Those who came to the meeting.
    present: Mutex<usize>,
    all_present: Condvar,
}

#[derive(Default)]
struct Executed {
    is_published: AtomicBool,
    /// The test's own: no point of scheduling.
    times: Count,
}

/// Executes a block by this many workers, the caller among them, and holds what came out.
pub fn run(shape: &Shape, workers: usize) {
    let edges = shape.edges.iter().map(|edges| Edges::from_slice(edges)).collect();
    let run = Arc::new(Run {
        schedule: Schedule::new(edges, shape.windows[0]),
        seat: Mutex::new(0),
        executed: shape.edges.iter().map(|_| Executed::default()).collect(),
        shape: shape.clone(),
        present: Mutex::new(0),
        all_present: Condvar::default(),
    });
    let helpers: Vec<_> = (1..workers)
        .map(|_| {
            let run = Arc::clone(&run);
            spawn(move || run.work())
        })
        .collect();
    run.work();
    for helper in helpers {
        helper.join().expect("a helper ends by itself");
    }
    run.check_end();
}

impl Run {
    fn work(&self) {
        let mut own = None;
        loop {
            match self.schedule.claim(own.take()) {
                Claim::Run(index) => {
                    if self.shape.ending == Ending::Panicked(index) {
                        // What the executor's guard does while the panic unwinds.
                        return self.schedule.stop();
                    }
                    self.execute(index);
                    own = self.schedule.has_run(index, self.shape.hand_on);
                    self.commit();
                }
                Claim::Wait => self.schedule.wait(),
                Claim::Leave => return,
            }
        }
    }

    fn execute(&self, index: u32) {
        for edge in &self.shape.edges[index as usize] {
            assert!(self.is_published(*edge), "{index} runs and cannot see {edge}");
        }
        if self.shape.meeting.contains(&index) {
            self.meet();
        }
        for _ in 0..self.shape.pauses {
            spin_loop();
        }
        let executed = &self.executed[index as usize];
        assert_eq!(executed.times.fetch_add(1, SeqCst), 0, "{index} was handed out twice");
        executed.is_published.store(true, Ordering::Relaxed);
    }

    fn meet(&self) {
        let mut present = self.present.lock();
        *present += 1;
        self.all_present.notify_all();
        while *present < self.shape.meeting.len() {
            self.all_present.wait(&mut present);
        }
    }

    fn is_published(&self, index: u32) -> bool {
        self.executed[index as usize].is_published.load(Ordering::Relaxed)
    }

    fn commit(&self) {
        loop {
            publish_before_looking();
            let Some(mut commits) = self.seat.try_lock() else { return };
            while let Some(index) = self.schedule.committable() {
                assert_eq!(index, *commits, "committed out of order");
                assert!(self.is_published(index), "{index} is committed and cannot be seen");
                if self.shape.ending == Ending::Refused(index) {
                    self.schedule.stop();
                } else {
                    *commits += 1;
                    self.schedule.advance(self.window(*commits));
                }
            }
            drop(commits);
            publish_before_looking();
            if self.schedule.committable().is_none() {
                return;
            }
        }
    }

    fn window(&self, commits: u32) -> u32 {
        self.shape.windows[commits as usize % self.shape.windows.len()]
    }

    fn check_end(&self) {
        let commits = *self.seat.lock();
        assert_eq!(self.schedule.frontier(), commits);
        match self.shape.ending {
            Ending::Whole => {
                assert_eq!(commits as usize, self.executed.len(), "workers left before all was committed");
            }
            Ending::Refused(index) => assert_eq!(commits, index, "all before the refused one is committed"),
            Ending::Panicked(index) => assert!(commits <= index, "what never ran was committed"),
        }
    }
}
