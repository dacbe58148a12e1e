//! The transactions of a block on all cores, with the result of executing them in order.
//!
//! Workers execute transactions ahead of the frontier on whatever earlier ones have written so far.
//! Whoever finishes may become the committer: it walks the frontier in order and compares, value by
//! value, what each transaction read with what it would read now. If all is the same, the result
//! stands; if not, the transaction runs again on the spot, on committed state, and cannot fail again.
//! Thus at most two executions each, and by induction every committed result is the serial one.
//!
//! The beneficiary's fee is the one write that is not made by executions but at commit. Edges and
//! hints order work and decide nothing. There is no fallback: a block with nothing but conflicts
//! shrinks the window to one and goes on in order.

mod commit;
mod edges;
mod idle;
mod interner;
mod memory;
mod recheck;
mod schedule;
mod sync;
#[cfg(test)]
mod tests;
mod versions;
mod view;
mod window;

use std::collections::BTreeSet;
use std::time::Instant;

use self::commit::Committer;
use self::memory::{Place, VersionedState};
use self::schedule::{Claim, Schedule, publish_before_looking};
use self::sync::{AtomicUsize, Mutex, Ordering};
use self::view::{ReadLog, TransactionView};
use crate::error::{CoreError, StateError, StateKey};
use crate::evm::{Evm, TxExecution};
use crate::executor::ExecuteError;
use crate::serial::{Job, JobOutcome};
use crate::state::StateView;
use crate::workers::Workers;

/// Executes a job on `state` by up to `job.options.threads` workers (0: all), the caller among them.
///
/// The outcome equals the serial executor's but for its statistics. With `recheck` every result is
/// compared with a serial execution; a difference is [`CoreError::Divergence`].
pub fn run(workers: &Workers, job: &Job<'_>, state: &dyn StateView) -> Result<JobOutcome, ExecuteError> {
    let started = Instant::now();
    let threads = match job.options.threads {
        0 => workers.threads(),
        asked => asked.min(workers.threads()),
    };
    if u32::try_from(job.transactions.len()).is_err() {
        return Err(CoreError::InvalidArgument("too many transactions for one block".into()).into());
    }
    let speculation = Speculation::new(job, state, threads);
    workers.run(threads.min(job.transactions.len()), |_| speculation.work());
    speculation.finish(threads, started)
}

/// One block's execution, shared by its workers.
struct Speculation<'a> {
    job: &'a Job<'a>,
    threads: usize,
    memory: VersionedState<&'a dyn StateView>,
    schedule: Schedule,
    /// What has run and is not committed, by index.
    executed: Box<[Mutex<Option<Box<Executed>>>]>,
    committer: Mutex<Committer<'a>>,
    /// Keys that speculative executions lacked: asked for together, they save round trips.
    missing: Mutex<BTreeSet<StateKey>>,
    active: AtomicUsize,
}

/// An execution whose writes are published.
struct Executed {
    run: Result<TxExecution, StateError>,
    /// What it read; `None` where it ran on committed state.
    reads: Option<ReadLog>,
    places: Vec<Place>,
}

/// An EVM and its view: made when a thread begins work on a block.
struct Worker<'s, 'a> {
    evm: Evm<TransactionView<'s, &'a dyn StateView>>,
    is_active: bool,
    spare_logs: Vec<ReadLog>,
}

impl<'a> Speculation<'a> {
    fn new(job: &'a Job<'a>, state: &'a dyn StateView, threads: usize) -> Self {
        let edges = edges::predict(job.transactions, &job.options.dependencies);
        let memory = VersionedState::new(state);
        let committer = Committer::new(job, &memory, state, threads);
        Self {
            job,
            threads,
            schedule: Schedule::new(edges, committer.window()),
            executed: job.transactions.iter().map(|_| Mutex::new(None)).collect(),
            committer: Mutex::new(committer),
            memory,
            missing: Mutex::default(),
            active: AtomicUsize::new(0),
        }
    }

    /// What one thread does until nothing is left for it.
    fn work(&self) {
        let _guard = StopOnPanic(&self.schedule);
        let mut worker = self.worker();
        let mut own = None;
        loop {
            match self.schedule.claim(own.take()) {
                Claim::Run(index) => {
                    let executed = self.execute(&mut worker, index);
                    own = self.publish(index, executed);
                    self.commit(&mut worker);
                }
                Claim::Wait => self.schedule.wait(),
                Claim::Leave => return,
            }
        }
    }

    fn worker(&self) -> Worker<'_, 'a> {
        let view = TransactionView::new(&self.memory, self.schedule.stop_flag());
        let mut evm = Evm::new(self.job.rules, self.job.block, view);
        evm.record_touched(self.job.options.keep_touched);
        Worker { evm, is_active: false, spare_logs: Vec::new() }
    }

    /// Executes a transaction on what is there. At the frontier that is committed state and no read
    /// need be compared; the re-check does so nevertheless.
    fn execute<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Box<Executed> {
        if !worker.is_active {
            worker.is_active = true;
            self.active.fetch_add(1, Ordering::Relaxed);
        }
        let is_speculative = self.schedule.frontier() != index || self.job.options.recheck;
        let log = is_speculative.then(|| worker.spare_logs.pop().unwrap_or_default());
        let executed = self.run_once(worker, index, log);
        if let Err(StateError::Missing(keys)) = &executed.run {
            self.missing.lock().extend(keys);
        }
        executed
    }

    fn run_once<'s>(
        &'s self,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        log: Option<ReadLog>,
    ) -> Box<Executed> {
        worker.evm.db_mut().begin(index, log);
        let run = worker.evm.execute(&self.job.transactions[index as usize]);
        let reads = worker.evm.db_mut().take_log();
        Box::new(Executed { run, reads, places: Vec::new() })
    }

    /// Makes an execution known to later transactions and to the committer. Returns a transaction
    /// that waited for this one, for the same worker to run next.
    fn publish(&self, index: u32, mut executed: Box<Executed>) -> Option<u32> {
        if let Ok(execution) = &executed.run {
            executed.places = self.memory.publish(index, execution);
        }
        *self.executed[index as usize].lock() = Some(executed);
        // A worker alone has nothing to gain from leaving the order.
        self.schedule.has_run(index, self.threads > 1)
    }

    /// Commits all that can be committed, unless another worker is doing so: that one looks again
    /// after it has left the seat.
    fn commit<'s>(&'s self, worker: &mut Worker<'s, 'a>) {
        loop {
            publish_before_looking();
            let Some(mut committer) = self.committer.try_lock() else { return };
            while let Some(index) = self.schedule.committable() {
                let executed = self.executed[index as usize].lock().take();
                let executed = executed.expect("what has run is kept until it is committed");
                match committer.commit(self, worker, index, executed) {
                    Ok(()) => self.schedule.advance(committer.window()),
                    Err(error) => {
                        committer.fail(error);
                        self.schedule.stop();
                    }
                }
            }
            drop(committer);
            publish_before_looking();
            if self.schedule.committable().is_none() {
                return;
            }
        }
    }

    fn finish(self, threads: usize, started: Instant) -> Result<JobOutcome, ExecuteError> {
        let active_workers = self.active.into_inner();
        let is_whole = self.schedule.frontier() as usize == self.job.transactions.len();
        let mut outcome = self.committer.into_inner().finish(&self.memory)?;
        assert!(is_whole, "workers leave when all is committed or the committer has failed");
        outcome.statistics.threads = threads;
        outcome.statistics.active_workers = active_workers;
        outcome.statistics.elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(outcome)
    }
}

/// Lets the other workers go when one panics; the panic itself travels to the caller.
struct StopOnPanic<'a>(&'a Schedule);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
