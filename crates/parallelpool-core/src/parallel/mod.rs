//! The transactions of a block on all cores, with the result of executing them in order.
//!
//! Workers execute transactions ahead of the frontier on whatever earlier ones are expected to leave.
//! Whoever finishes may become the committer: it walks the frontier in order and asks whether each
//! execution would have come out the same on what is committed by then (`reads`). If so, the result
//! stands; if not, the transaction runs again on the spot, on committed state, and cannot fail again.
//! Thus at most two executions each, and by induction every committed result is the serial one.
//!
//! Money that is only moved does not make transactions depend on each other (`accounts`), a sender is
//! taken to be ready (`view`), and plain transfers are not executed at all (`crate::transfers`). Edges and
//! hints order work and decide nothing. There is no fallback: a block with nothing but conflicts
//! shrinks the window to one, and the committer goes on in order, on one journal.

mod accounts;
mod commit;
mod edges;
mod estimate;
mod idle;
mod interner;
mod lookalikes;
mod memory;
mod opening;
mod reads;
mod recheck;
mod reuse;
mod schedule;
mod sync;
#[cfg(test)]
mod tests;
pub(crate) mod transfers;
mod versions;
mod view;
mod window;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use self::commit::Committer;
pub(crate) use self::estimate::{Forecast, is_surely_short, is_worth_it};
use self::memory::{AccountId, Place, Tables, VersionedState};
pub(crate) use self::opening::Opening;
use self::reads::ReadLog;
use self::reuse::Reuse;
use self::schedule::{Claim, RUN, Schedule, publish_before_looking};
use self::sync::{AtomicUsize, Mutex, Ordering};
use self::view::TransactionView;
use crate::block::{LogsBloom, Remains};
use crate::chainspec::Fork;
use crate::cpu::CpuMeter;
use crate::error::{CoreError, StateError, StateKey};
use crate::evm::{Evm, TxExecution};
use crate::execution::ExecuteError;
use crate::ledger::bloom::Blooms;
use crate::record::AccessRecord;
use crate::serial::{Job, JobOutcome, glance};
use crate::state::StateView;
use crate::transfers::TransferRules;
use crate::tx::SharedTransaction;
use crate::workers::Workers;

/// Executes a job on `state` by up to `job.options.threads` workers (0: all), the caller among them.
///
/// The outcome equals the serial executor's but for its statistics. With `recheck` every result is
/// compared with a serial execution; a difference is [`CoreError::Divergence`].
pub fn run(workers: &Workers, job: &Job<'_>, state: &dyn StateView) -> Result<JobOutcome, ExecuteError> {
    match Opening::of(job, state, threads_of(workers, job))? {
        Some(opening) if opening.is_done() => opening.finish(),
        opening => {
            let forecast = Forecast::of(opening.as_ref().map_or(0, Opening::end), job, state);
            run_as_forecast(workers, job, state, forecast, opening)
        }
    }
}

/// The same, with what the transactions look like, and from where those have come that ran already.
pub(crate) fn run_as_forecast<'a>(
    workers: &Workers,
    job: &'a Job<'a>,
    state: &'a dyn StateView,
    forecast: Forecast,
    opening: Option<Opening<'a>>,
) -> Result<JobOutcome, ExecuteError> {
    let (mut started, mut cpu) = (Instant::now(), CpuMeter::start());
    let threads = threads_of(workers, job);
    if u32::try_from(job.transactions.len()).is_err() {
        return Err(CoreError::InvalidArgument("too many transactions for one block".into()).into());
    }
    let tables = workers.spare().take();
    let speculation = Speculation::new(job, state, tables, threads, forecast);
    if let Some(opening) = opening {
        (started, cpu) = speculation.take_over(opening)?;
    }
    workers.run(threads.min(job.transactions.len()), |worker| cpu.count(worker, || speculation.work()));
    let (outcome, tables) = speculation.finish(threads, |work| {
        workers.run(threads, |worker| cpu.count(worker, work));
    });
    workers.spare().keep(tables);
    let mut outcome = outcome?;
    outcome.statistics.cpu_ns = cpu.total_ns();
    outcome.statistics.elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(outcome)
}

fn threads_of(workers: &Workers, job: &Job<'_>) -> usize {
    match job.options.threads {
        0 => workers.threads(),
        asked => asked.min(workers.threads()),
    }
}

type Memory<'a> = VersionedState<&'a dyn StateView>;
type Transfer = crate::transfers::Transfer<AccountId>;

/// One block's execution, shared by its workers.
struct Speculation<'a> {
    job: &'a Job<'a>,
    threads: usize,
    memory: Memory<'a>,
    schedule: Schedule,
    reuse: Reuse,
    /// `None` where every transaction takes an EVM.
    transfers: Option<TransferRules>,
    /// What has run and is not committed, by index.
    ready: Box<[Mutex<Ready>]>,
    committer: Mutex<Committer<'a>>,
    /// Keys that speculative executions lacked: asked for together, they save round trips.
    missing: Mutex<BTreeSet<StateKey>>,
    active: AtomicUsize,
    /// Time that each worker did not wait, in nanoseconds.
    busy_ns: Mutex<Vec<u64>>,
}

/// What waits for the frontier.
#[derive(Default)]
enum Ready {
    #[default]
    Nothing,
    Executed(Box<Executed>),
    /// Transfers of this index and those that follow.
    Transfers(Vec<Transfer>),
}

/// An execution whose writes are published.
struct Executed {
    run: Result<TxExecution, StateError>,
    /// What it read; `None` where it ran on committed state.
    reads: Option<ReadLog>,
    places: Vec<Place>,
    /// Of its logs, so that the committer need not make it.
    bloom: Option<LogsBloom>,
    /// It is a record of an earlier run.
    is_reused: bool,
}

impl Default for Executed {
    fn default() -> Self {
        let run = Err(StateError::Speculation);
        Self { run, reads: None, places: Vec::new(), bloom: None, is_reused: false }
    }
}

impl Executed {
    /// Forgets what it was and keeps its lists' room.
    fn clear(&mut self) {
        (self.run, self.bloom) = (Err(StateError::Speculation), None);
        self.reads.iter_mut().for_each(ReadLog::clear);
        self.places.clear();
    }
}

/// An EVM and its view: made when a thread begins work on a block.
struct Worker<'s, 'a> {
    evm: Evm<TransactionView<'s, &'a dyn StateView>>,
    is_active: bool,
    blooms: Blooms,
    /// The run whose accounts were looked up.
    met: Range<u32>,
    /// Committed and cleared. They go from hand to hand in their boxes.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Executed>>,
}

/// Who commits keeps so many executions for its own next ones; others have no use for its room.
const MOST_SPARE: usize = 64;

impl Worker<'_, '_> {
    fn keep(&mut self, mut done: Box<Executed>) {
        if self.spare.len() < MOST_SPARE {
            done.clear();
            self.spare.push(done);
        }
    }
}

impl<'a> Speculation<'a> {
    fn new(
        job: &'a Job<'a>,
        state: &'a dyn StateView,
        tables: Box<Tables>,
        threads: usize,
        forecast: Forecast,
    ) -> Self {
        let transfers = TransferRules::new(job.rules, job.block).filter(|_| job.options.techniques.transfers);
        let early = forecast.early(threads);
        let memory = VersionedState::new(state, tables, job.transactions.len());
        let committer = Committer::new(job, &memory, state, threads, &forecast);
        Self {
            job,
            threads,
            schedule: Schedule::new(forecast.into_plan(), early, committer.window()),
            reuse: Reuse::default(),
            transfers,
            ready: job.transactions.iter().map(|_| Mutex::default()).collect(),
            committer: Mutex::new(committer),
            memory,
            missing: Mutex::default(),
            active: AtomicUsize::new(0),
            busy_ns: Mutex::default(),
        }
    }

    /// Takes over what the first transactions did, before any worker begins. Returns since when they ran.
    fn take_over(&self, opening: Opening<'a>) -> Result<(Instant, CpuMeter), ExecuteError> {
        let end = opening.end() as u32;
        let (begun, run) = opening.into_parts();
        let (changes, remains) = run.into_changes(0)?;
        self.memory.take_in(end - 1, changes);
        let mut committer = self.committer.lock();
        let clock = committer.take_over(begun, remains);
        let claimed = self.schedule.claim_in_order(0, end);
        assert_eq!(claimed, Some(0..end), "nobody else has begun, and what has run does not begin early");
        self.schedule.have_run(0..end);
        self.schedule.advance(end, committer.window());
        Ok(clock)
    }

    /// What one thread does until nothing is left for it.
    fn work(&self) {
        let _guard = StopOnPanic(&self.schedule);
        let began = Instant::now();
        let mut waited = Duration::ZERO;
        let mut worker = self.worker();
        let mut own = None;
        if !self.schedule.is_open() {
            self.commit(&mut worker);
        }
        loop {
            match self.schedule.claim(own.take()) {
                Claim::Run(index) => own = self.run(&mut worker, index),
                Claim::Transfers(first, end) => self.prepare(&mut worker, first, end),
                Claim::Wait => {
                    let since = Instant::now();
                    self.schedule.wait();
                    waited += since.elapsed();
                }
                Claim::Leave => break,
            }
        }
        let busy = began.elapsed().saturating_sub(waited);
        self.busy_ns.lock().push(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
    }

    fn worker(&self) -> Worker<'_, 'a> {
        let view = TransactionView::new(&self.memory, self.schedule.stop_flag());
        let mut evm = Evm::new(self.job.rules, self.job.block, view);
        evm.record_touched(self.job.options.keep_touched);
        Worker { evm, is_active: false, blooms: Blooms::default(), met: 0..0, spare: Vec::new() }
    }

    /// Executes a transaction and commits what can be committed. Returns a transaction that waited for
    /// this one, for the same worker to run next.
    fn run<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Option<u32> {
        self.note_activity(worker);
        self.meet(worker, index);
        if let Some(executed) = self.reuse(worker, index) {
            let own = self.publish(worker, index, executed);
            self.commit(worker);
            return own;
        }
        if let Some(own) = self.run_in_place(worker, index) {
            self.commit(worker);
            return own;
        }
        let executed = self.execute(worker, index);
        let own = self.publish(worker, index, executed);
        self.commit(worker);
        own
    }

    /// Looks the accounts of a run up when it begins, all together: what is far away in memory is waited
    /// for at once.
    fn meet<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) {
        if worker.met.contains(&index) {
            return;
        }
        worker.met = self.schedule.run_from(index);
        if worker.met.len() < 2 {
            return;
        }
        let transactions = &self.job.transactions[worker.met.start as usize..worker.met.end as usize];
        let mut addresses = SmallVec::<[_; 2 * RUN]>::new();
        let (mut sender, mut called, mut seen) = (None, None, 0);
        for tx in transactions {
            seen ^= glance(&tx.tx);
            if sender.replace(tx.sender) != Some(tx.sender) {
                addresses.push(tx.sender);
            }
            if called != tx.tx.to {
                called = tx.tx.to;
                addresses.extend(called);
            }
        }
        black_box(seen);
        let mut ids = SmallVec::<[_; 2 * RUN]>::new();
        self.memory.account_ids(&addresses, |id| ids.push(id));
        self.memory.ask_for_accounts(&ids, &addresses);
        worker.evm.db_mut().meet(&addresses, &ids);
    }

    /// Executes the transaction at the frontier and commits it at once, if nobody else is committing.
    fn run_in_place<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Option<Option<u32>> {
        // The re-check is to see what speculation does.
        if self.schedule.frontier() != index || self.job.options.recheck {
            return None;
        }
        let mut committer = self.committer.try_lock()?;
        if !self.goes_on(&mut committer) {
            return Some(None);
        }
        let done = committer.execute(self, worker, index);
        let own = self.schedule.has_run(index, self.threads > 1);
        self.after_commit(&mut committer, 1, done);
        Some(own)
    }

    /// Executes a transaction ahead of the frontier, on what is there.
    fn execute<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Box<Executed> {
        let tx = &self.job.transactions[index as usize];
        let mut executed = worker.spare.pop().unwrap_or_default();
        let log = executed.reads.take().unwrap_or_default();
        let commutes = self.job.rules.fork >= Fork::SpuriousDragon;
        worker.evm.db_mut().begin_ahead(index, log, tx, commutes);
        executed.is_reused = false;
        executed.run = self.run_evm(worker, index);
        let view = worker.evm.db_mut();
        executed.reads = view.take_log();
        if let Some(reads) = &mut executed.reads {
            match &executed.run {
                Ok(TxExecution { outcome: Ok(_), observed, .. }) if commutes => {
                    reads.compare_observed(tx, observed, |address| view.account_id(*address));
                }
                _ => reads.compare_whole(),
            }
        }
        if let Err(StateError::Missing(keys)) = &executed.run {
            self.missing.lock().extend(keys);
        }
        executed
    }

    /// The record that was given for a transaction.
    fn record(&self, index: u32) -> Option<&AccessRecord> {
        let options = self.job.options;
        options.records.get(index as usize).filter(|_| options.techniques.reuse)?.as_deref()
    }

    /// The record that was given for a transaction, in the form of an execution, if its conditions can
    /// be expected to hold. They are asked about again at the frontier.
    fn reuse<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Option<Box<Executed>> {
        let Job { rules, block, .. } = self.job;
        let record = self.record(index).filter(|_| self.reuse.is_on(index))?;
        let tx = &self.job.transactions[index as usize];
        let execution = record.applied(tx, rules, block).ok()?;
        let memory = &self.memory;
        let mut executed = worker.spare.pop().unwrap_or_default();
        let reads = executed.reads.get_or_insert_default();
        for (address, seen) in &record.accounts {
            reads.account(memory.account_id(*address), *seen);
        }
        for (address, slot, seen) in &record.slots {
            reads.slot(memory.slot_id(memory.account_id(*address), *slot), *seen);
        }
        for (address, seen) in &record.has_storage {
            reads.storage(memory.account_id(*address), *seen);
        }
        reads.compare_observed(tx, &execution.observed, |address| memory.account_id(*address));
        match reads.is_expected_to_hold(memory, index) {
            Ok(true) => {
                let run = Ok(execution);
                #[cfg(any(test, feature = "faults"))]
                let run = crate::faults::executed(self.job.options.fault, run);
                (executed.run, executed.is_reused) = (run, true);
                Some(executed)
            }
            // What the view cannot tell is left to an execution, which knows how to report it.
            Ok(false) | Err(_) => {
                worker.keep(executed);
                None
            }
        }
    }

    /// Executes a transaction when all before it is committed.
    fn run_at_frontier<'s>(
        &'s self,
        worker: &mut Worker<'s, 'a>,
        index: u32,
    ) -> Result<TxExecution, StateError> {
        worker.evm.db_mut().begin(index);
        self.run_evm(worker, index)
    }

    /// Executes a transaction on what the worker's view shows.
    fn run_evm<'s>(&'s self, worker: &mut Worker<'s, 'a>, index: u32) -> Result<TxExecution, StateError> {
        let run = worker.evm.execute(&self.job.transactions[index as usize]);
        #[cfg(any(test, feature = "faults"))]
        let run = crate::faults::executed(self.job.options.fault, run);
        run
    }

    /// Makes an execution known to later transactions and to the committer.
    fn publish<'s>(
        &'s self,
        worker: &mut Worker<'s, 'a>,
        index: u32,
        mut executed: Box<Executed>,
    ) -> Option<u32> {
        let Executed { run, reads, places, bloom, .. } = &mut *executed;
        if let Ok(execution) = run {
            self.memory.publish_to(index, execution, reads.as_ref(), places);
            *bloom = execution.outcome.as_ref().ok().map(|result| worker.blooms.of(&result.logs));
            if !wants_each(self.job) {
                // From here on only where they went counts.
                worker.evm.take_back(std::mem::take(&mut execution.writes));
            }
        }
        self.hand_over(index, Ready::Executed(executed))
    }

    fn hand_over(&self, index: u32, ready: Ready) -> Option<u32> {
        *self.ready[index as usize].lock() = ready;
        // A worker alone has nothing to gain from leaving the order.
        self.schedule.has_run(index, self.threads > 1)
    }

    /// Prepares the transfers of a stretch. What turns out to be none is left to be claimed again.
    fn prepare<'s>(&'s self, worker: &mut Worker<'s, 'a>, first: u32, end: u32) {
        self.note_activity(worker);
        let rules = self.transfers.as_ref().expect("there are stretches where there are rules");
        let (mut begin, mut stretch) = (first, Vec::with_capacity((end - first) as usize));
        let transactions = &self.job.transactions[first as usize..end as usize];
        let drafts: Vec<_> = transactions.iter().map(|tx| rules.prepare(tx)).collect();
        let parties = self.parties(transactions);
        for ((index, draft), [sender, recipient]) in (first..end).zip(drafts).zip(parties) {
            let transfer = draft.map(|draft| draft.between(sender, recipient));
            if let Some(transfer) = transfer.filter(|transfer| self.meets_no_code(index, transfer)) {
                stretch.push(transfer);
                continue;
            }
            self.hand_over_transfers(begin, std::mem::take(&mut stretch));
            self.schedule.defer(index);
            begin = index + 1;
        }
        self.hand_over_transfers(begin, stretch);
        self.commit(worker);
    }

    /// Senders and recipients of what looks like transfers.
    fn parties(&self, transactions: &[SharedTransaction]) -> Vec<[AccountId; 2]> {
        let mut addresses = Vec::with_capacity(2 * transactions.len());
        for tx in transactions {
            addresses.push(tx.sender);
            addresses.extend(tx.tx.to.filter(|to| *to != tx.sender));
        }
        let mut ids = Vec::with_capacity(addresses.len());
        self.memory.account_ids(&addresses, |id| ids.push(id));
        self.memory.ask_for_accounts(&ids, &addresses);
        let mut ids = ids.into_iter();
        let mut next = || ids.next().expect("one id for each address");
        let of = |tx: &SharedTransaction| {
            let payer = next();
            let has_other = tx.tx.to.is_some_and(|to| to != tx.sender);
            [payer, if has_other { next() } else { payer }]
        };
        transactions.iter().map(of).collect()
    }

    fn hand_over_transfers(&self, first: u32, stretch: Vec<Transfer>) {
        if stretch.is_empty() {
            return;
        }
        let end = first + stretch.len() as u32;
        *self.ready[first as usize].lock() = Ready::Transfers(stretch);
        // Only hints make others wait for transfers; without any, the first index speaks for all.
        let known_by = if self.job.options.dependencies.is_empty() { first + 1 } else { end };
        for index in first..known_by {
            let own = self.schedule.has_run(index, false);
            debug_assert!(own.is_none(), "none was to be kept");
        }
    }

    /// Whether a transfer can be expected to find no code. What the view fails to tell is left to an
    /// execution, which knows how to report it.
    fn meets_no_code(&self, index: u32, transfer: &Transfer) -> bool {
        let finds_none = |id| match self.memory.has_no_code(id, index) {
            Ok(has_none) => has_none,
            Err(StateError::Missing(keys)) => {
                self.missing.lock().extend(keys);
                false
            }
            Err(_) => false,
        };
        // Both are asked for, whatever the first says.
        finds_none(transfer.sender) & finds_none(transfer.recipient)
    }

    /// Commits all that can be committed, unless another worker is doing so: that one looks again
    /// after it has left the seat.
    fn commit<'s>(&'s self, worker: &mut Worker<'s, 'a>) {
        loop {
            publish_before_looking();
            let Some(mut committer) = self.committer.try_lock() else { return };
            let (seated, first) =
                (self.job.options.time_commits.then(Instant::now), self.schedule.frontier());
            while let Some(index) = self.schedule.committable() {
                if !self.goes_on(&mut committer) {
                    return;
                }
                let ready = std::mem::take(&mut *self.ready[index as usize].lock());
                match ready {
                    Ready::Nothing => unreachable!("what has run is kept until it is committed"),
                    Ready::Executed(executed) => {
                        let done = committer.commit(self, worker, index, executed);
                        self.after_commit(&mut committer, 1, done);
                    }
                    Ready::Transfers(stretch) => {
                        let done = committer.transfers(self, worker, index, &stretch);
                        self.after_commit(&mut committer, stretch.len() as u32, done);
                    }
                }
            }
            if let Some(seated) = seated {
                committer.was_seated(seated.elapsed(), self.schedule.frontier() - first);
            }
            self.run_in_order(&mut committer, worker);
            drop(committer);
            publish_before_looking();
            if self.schedule.committable().is_none() {
                return;
            }
        }
    }

    /// Runs what follows the frontier in order while nothing is to be gained from others.
    fn run_in_order(&self, committer: &mut Committer<'a>, worker: &mut Worker<'_, 'a>) {
        if self.schedule.is_stopped() {
            return;
        }
        match committer.execute_in_order(self) {
            Ok(range) if range.is_empty() => (),
            Ok(range) => {
                self.note_activity(worker);
                self.schedule.have_run(range.clone());
                self.schedule.advance(range.end - range.start, committer.window());
            }
            Err(error) => self.after_commit(committer, 0, Err(error)),
        }
    }

    /// Stops everybody when the execution is to end early.
    fn goes_on(&self, committer: &mut Committer<'a>) -> bool {
        let is_interrupted = committer.is_interrupted();
        if is_interrupted {
            self.schedule.stop();
        }
        !is_interrupted
    }

    fn after_commit(&self, committer: &mut Committer<'a>, count: u32, done: Result<(), ExecuteError>) {
        match done {
            Ok(()) => self.schedule.advance(count, committer.window()),
            Err(error) => {
                committer.fail(error);
                self.schedule.stop();
            }
        }
    }

    fn note_activity(&self, worker: &mut Worker<'_, 'a>) {
        if !worker.is_active {
            worker.is_active = true;
            self.active.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The block's outcome, and memory for another block.
    /// `share` runs what it is given on the caller and whoever else is free.
    fn finish(
        self,
        threads: usize,
        share: impl FnOnce(&(dyn Fn() + Sync)),
    ) -> (Result<JobOutcome, ExecuteError>, Box<Tables>) {
        let end = self.schedule.frontier();
        let is_whole = end as usize == self.job.transactions.len();
        let committer = self.committer.into_inner();
        let ended_early = committer.has_ended_early();
        let outcome = committer.finish(&self.memory, end, share).map(|mut outcome| {
            assert!(is_whole || ended_early, "workers leave when all is committed or the block has ended");
            outcome.remains = Remains::of((outcome.remains, self.schedule, self.ready));
            let statistics = &mut outcome.statistics;
            statistics.threads = threads;
            statistics.active_workers = self.active.into_inner();
            statistics.busy_ns = self.busy_ns.into_inner();
            outcome
        });
        (outcome, self.memory.into_tables())
    }
}

/// Whether anybody wants to know what each transaction did by itself.
fn wants_each(job: &Job<'_>) -> bool {
    let options = job.options;
    options.recheck || options.keep_transaction_changes || options.keep_touched
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
