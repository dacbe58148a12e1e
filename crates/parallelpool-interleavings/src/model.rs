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
use super::schedule::{Claim, Kind, Schedule, publish_before_looking};
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
    /// How many were handed over under this index.
    length: Mutex<u32>,
    /// The test's own: no point of scheduling.
    times: Count,
}

/// Executes a block by this many workers, the caller among them, and holds what came out.
pub fn run(shape: &Shape, workers: usize) {
    let edges = shape.edges.iter().map(|edges| Edges::from_slice(edges));
    let call = if shape.short { Kind::ShortCall } else { Kind::Call };
    let kinds = shape.transfers.iter().map(|is_transfer| if *is_transfer { Kind::Transfer } else { call });
    let run = Arc::new(Run {
        schedule: Schedule::new(
            edges.zip(kinds),
            shape.early.clone(),
            shape.windows[0],
        ),
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
        if !self.schedule.is_open() {
            self.commit();
        }
        loop {
            let claim = self.schedule.claim(own.take());
            if self.panics(claim) {
                // What the executor's guard does while the panic unwinds.
                return self.schedule.stop();
            }
            match claim {
                Claim::Run(index) => own = self.run(index),
                Claim::Transfers(first, end) => self.prepare(first, end),
                Claim::Wait => self.schedule.wait(),
                Claim::Leave => return,
            }
        }
    }

    fn panics(&self, claim: Claim) -> bool {
        let Ending::Panicked(index) = self.shape.ending else { return false };
        match claim {
            Claim::Run(claimed) => claimed == index,
            Claim::Transfers(first, end) => (first..end).contains(&index),
            Claim::Wait | Claim::Leave => false,
        }
    }

    fn run(&self, index: u32) -> Option<u32> {
        let own = self.run_in_place(index).unwrap_or_else(|| {
            self.execute(index);
            self.hand_over(index, 1)
        });
        self.commit();
        own
    }

    fn run_in_place(&self, index: u32) -> Option<Option<u32>> {
        if !self.shape.in_place || self.schedule.frontier() != index {
            return None;
        }
        let mut commits = self.seat.try_lock()?;
        if self.schedule.is_stopped() {
            return Some(None);
        }
        self.execute(index);
        let own = self.schedule.has_run(index, self.shape.hand_on);
        self.commit_some(&mut commits, index, 1);
        Some(own)
    }

    fn hand_over(&self, index: u32, length: u32) -> Option<u32> {
        *self.executed[index as usize].length.lock() = length;
        self.schedule.has_run(index, self.shape.hand_on)
    }

    fn prepare(&self, first: u32, end: u32) {
        let mut begin = first;
        for index in first..end {
            if !self.shape.disguised.contains(&index) {
                self.execute(index);
                continue;
            }
            self.hand_over_transfers(begin, index);
            self.schedule.release(index);
            begin = index + 1;
        }
        self.hand_over_transfers(begin, end);
        self.commit();
    }

    fn hand_over_transfers(&self, begin: u32, end: u32) {
        if begin < end {
            assert_eq!(self.hand_over(begin, end - begin), None, "nobody waits for a transfer");
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
                let length = std::mem::take(&mut *self.executed[index as usize].length.lock());
                assert!(length > 0, "{index} is committed and was not handed over");
                self.commit_some(&mut commits, index, length);
            }
            self.run_in_order(&mut commits);
            drop(commits);
            publish_before_looking();
            if self.schedule.committable().is_none() {
                return;
            }
        }
    }

    /// As the committer's: ranges on one journal, each claimed when the one before has run.
    fn run_in_order(&self, commits: &mut u32) {
        let first = self.schedule.frontier();
        let mut end = first;
        while self.shape.in_order > 0
            && self.window(*commits) == 1
            && !self.schedule.is_stopped()
            && let Some(range) = self.schedule.claim_in_order(end, self.shape.in_order)
        {
            if matches!(self.shape.ending, Ending::Panicked(index) if range.contains(&index)) {
                // It unwinds past the journal: nothing of the range is committed.
                return self.schedule.stop();
            }
            end = range.end;
            range.for_each(|index| self.execute(index));
            // Whether there is another one depends on what was seen.
            if end % 3 == 0 {
                break;
            }
        }
        if first < end {
            self.schedule.have_run(first..end);
            self.commit_some(commits, first, end - first);
        }
    }

    fn commit_some(&self, commits: &mut u32, first: u32, count: u32) {
        assert_eq!(first, *commits, "committed out of order");
        for index in first..first + count {
            assert!(self.is_published(index), "{index} is committed and cannot be seen");
            if self.shape.ending == Ending::Refused(index) {
                return self.schedule.stop();
            }
        }
        *commits += count;
        self.schedule.advance(count, self.window(*commits));
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
            Ending::Refused(index) => {
                // A stretch of transfers or a range in order is committed whole or not at all.
                let between = &self.shape.transfers[commits as usize..index as usize];
                let in_order = self.shape.in_order > 0;
                let may_be_left = |is_transfer: &bool| *is_transfer || in_order;
                assert!(between.iter().all(may_be_left), "left before the refused one");
            }
            Ending::Panicked(index) => assert!(commits <= index, "what never ran was committed"),
        }
    }
}
