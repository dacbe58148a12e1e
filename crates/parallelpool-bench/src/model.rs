//! A model of the time that a block takes on more cores than this machine has, computed from
//! components that are measured on it.
//!
//! ```text
//! T(1) = around + alone
//! T(p) = around + wake + max(shared / D(p), n * seat)        p >= 2
//!
//! around   before the workers begin and after they end: one thread sets up and puts the changes together
//! alone    what one worker is busy for, everything in order and in place
//! shared   what two workers are busy for, summed: the same with reads logged, writes published,
//!          executions repeated, and cache lines that go to and fro
//! seat     the committer's seat for one transaction that ran ahead: reads compared, writes applied,
//!          receipt made. Nobody else can commit meanwhile, so no number of cores is faster than that
//! D(p)     what p cores gain if each takes the lowest transaction whose dependencies are done
//!          (analysis, with nonces predicted, weighted by measured time)
//! wake     until a sleeping worker runs
//! n        transactions
//! ```
//!
//! It knows nothing of memory bandwidth, of the window, of cores that are not alike, or of costs per
//! transaction that grow with the number of workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parallelpool_core::analysis::{Analysis, Model};
use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{BlockOutcome, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::workers::Workers;
use serde::Serialize;

use crate::sample::median;
use crate::sample::timed;
use crate::workload::{BenchBlock, Workload};

/// Numbers of cores that the model is asked about.
pub const CORES: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// Times that a sleeping worker is woken.
const WAKES: usize = 50;

/// What a block's time is made of, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Components {
    /// Transactions.
    pub transactions: usize,
    /// Before the workers begin and after they end.
    pub around_ns: f64,
    /// What a worker alone is busy for.
    pub alone_ns: f64,
    /// What two workers are busy for, summed.
    pub shared_ns: f64,
    /// The committer's seat, per transaction that ran ahead.
    pub seat_ns: f64,
    /// Until a sleeping worker runs.
    pub wake_ns: f64,
    /// What the dependencies let so many cores gain, for each of [`CORES`].
    pub dependencies: [f64; CORES.len()],
}

impl Components {
    /// The time on that many of [`CORES`], by its place among them.
    pub fn predicted_ns(&self, place: usize) -> f64 {
        if CORES[place] == 1 {
            return self.around_ns + self.alone_ns;
        }
        let frontier = self.transactions as f64 * self.seat_ns;
        self.around_ns + self.wake_ns + (self.shared_ns / self.dependencies[place]).max(frontier)
    }
}

/// A workload under the model; times are sums over its blocks, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRow {
    /// The workload.
    pub name: String,
    /// Our serial engine, measured.
    pub serial_ms: f64,
    /// On one and two workers, measured in other rounds than the components.
    pub measured_ms: [f64; 2],
    /// For each of [`CORES`].
    pub predicted_ms: [f64; CORES.len()],
    /// Block by block.
    pub blocks: Vec<Components>,
}

impl ModelRow {
    /// The components of all blocks: sums, but for what is per transaction, per wake, or a ratio.
    pub fn components(&self) -> Components {
        let sum = |of: fn(&Components) -> f64| self.blocks.iter().map(of).sum::<f64>();
        let transactions = self.blocks.iter().map(|block| block.transactions).sum::<usize>();
        let seats = sum(|block| block.transactions as f64 * block.seat_ns);
        let gained = |place: usize| {
            let spread: f64 =
                self.blocks.iter().map(|block| block.shared_ns / block.dependencies[place]).sum();
            sum(|block| block.shared_ns) / spread.max(f64::MIN_POSITIVE)
        };
        Components {
            transactions,
            around_ns: sum(|block| block.around_ns),
            alone_ns: sum(|block| block.alone_ns),
            shared_ns: sum(|block| block.shared_ns),
            seat_ns: seats / transactions.max(1) as f64,
            wake_ns: sum(|block| block.wake_ns) / self.blocks.len().max(1) as f64,
            dependencies: std::array::from_fn(gained),
        }
    }
}

/// Measures the components of a workload's blocks in `rounds` rounds, and as many to compare with.
///
/// [`CoreError::InvalidArgument`] if one of its blocks is not valid.
pub fn measure(workload: &Workload, rounds: usize) -> Result<ModelRow, CoreError> {
    let workers = Arc::new(Workers::new(2)?);
    let wake_ns = wake(&workers);
    let mut row = ModelRow {
        name: workload.name.clone(),
        serial_ms: 0.0,
        measured_ms: [0.0; 2],
        predicted_ms: [0.0; CORES.len()],
        blocks: Vec::with_capacity(workload.blocks.len()),
    };
    for block in &workload.blocks {
        let (components, serial_ns, measured_ns) = measure_block(block, &workers, rounds, wake_ns)?;
        row.serial_ms += serial_ns / 1e6;
        for (sum, ns) in row.measured_ms.iter_mut().zip(measured_ns) {
            *sum += ns / 1e6;
        }
        for (place, sum) in row.predicted_ms.iter_mut().enumerate() {
            *sum += components.predicted_ns(place) / 1e6;
        }
        row.blocks.push(components);
    }
    Ok(row)
}

/// Samples of one block, in nanoseconds.
#[derive(Debug, Default)]
struct Samples {
    serial: Vec<u64>,
    around: Vec<u64>,
    alone: Vec<u64>,
    shared: Vec<u64>,
    /// The seat, per thousand transactions.
    seat: Vec<u64>,
    measured: [Vec<u64>; 2],
}

fn measure_block(
    block: &BenchBlock,
    workers: &Arc<Workers>,
    rounds: usize,
    wake_ns: f64,
) -> Result<(Components, f64, [f64; 2]), CoreError> {
    let executor = Executor::new(Arc::clone(workers));
    let execute = |mode, threads, time_commits| -> Result<(BlockOutcome, u64), CoreError> {
        let options = ExecuteOptions { mode, threads, time_commits, ..ExecuteOptions::default() };
        let BenchBlock { rules, block: context, transactions, state, .. } = block;
        let (outcome, sample) =
            timed(|| executor.execute_transactions(rules, context, transactions, state, &options));
        Ok((outcome.map_err(|error| refused(block, &error))?, sample.wall_ns))
    };
    let mut samples = Samples::default();
    // The first round warms up.
    for round in 0..=rounds {
        let (_, serial) = execute(Mode::Serial, 1, false)?;
        let (one, one_ns) = execute(Mode::Parallel, 1, false)?;
        let (two, _) = execute(Mode::Parallel, 2, true)?;
        let measured = [execute(Mode::Parallel, 1, false)?.1, execute(Mode::Parallel, 2, false)?.1];
        if round > 0 {
            samples.serial.push(serial);
            samples.add(&one, one_ns, &two);
            samples.measured.iter_mut().zip(measured).for_each(|(all, ns)| all.push(ns));
        }
    }
    let analysis = Analysis::of_transactions(&block.rules, &block.block, &block.transactions, &block.state)
        .map_err(|error| refused(block, &error))?;
    let middle = |of: &Vec<u64>| median(of.iter().copied());
    let components = Components {
        transactions: block.transactions.len(),
        around_ns: middle(&samples.around),
        alone_ns: middle(&samples.alone),
        shared_ns: middle(&samples.shared),
        seat_ns: middle(&samples.seat) / 1e3,
        wake_ns,
        dependencies: CORES.map(|cores| gained(&analysis, cores)),
    };
    Ok((components, middle(&samples.serial), [0, 1].map(|place| middle(&samples.measured[place]))))
}

impl Samples {
    fn add(&mut self, one: &BlockOutcome, one_ns: u64, two: &BlockOutcome) {
        let busy = |outcome: &BlockOutcome| outcome.statistics.busy_ns.iter().sum::<u64>();
        self.around.push(one_ns.saturating_sub(busy(one)));
        self.alone.push(busy(one));
        self.shared.push(busy(two));
        let statistics = &two.statistics;
        // Where everything ran at the frontier nobody waited for the seat.
        self.seat.extend((1_000 * statistics.seat_ns).checked_div(statistics.seat_commits));
    }
}

fn gained(analysis: &Analysis, cores: usize) -> f64 {
    let total: u64 = analysis.costs.iter().map(|cost| cost.ns).sum();
    total as f64 / analysis.schedule_ns(Model::PredictedNonces, cores).max(1) as f64
}

fn refused(block: &BenchBlock, error: &dyn std::fmt::Display) -> CoreError {
    CoreError::InvalidArgument(format!("block {} is not valid: {error}", block.label))
}

/// Nanoseconds from the call until a worker that slept runs, the median of several. The caller is busy before, as
/// it is between the blocks of a measurement: one that slept too would count how its own core wakes up.
fn wake(workers: &Workers) -> f64 {
    let samples = (0..WAKES).map(|_| {
        // Long enough for a worker to fall asleep.
        let busy = Instant::now();
        while busy.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let (began, woken) = (Instant::now(), AtomicU64::new(0));
        workers.run(2, |worker| {
            if worker > 0 {
                woken.store(began.elapsed().as_nanos() as u64, Ordering::Release);
            }
            while woken.load(Ordering::Acquire) == 0 {
                std::hint::spin_loop();
            }
        });
        woken.into_inner()
    });
    median(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components() -> Components {
        Components {
            transactions: 100,
            around_ns: 1_000.0,
            alone_ns: 80_000.0,
            shared_ns: 96_000.0,
            seat_ns: 50.0,
            wake_ns: 500.0,
            dependencies: [1.0, 2.0, 4.0, 6.0, 6.0, 6.0],
        }
    }

    #[test]
    fn one_core_needs_nobody_woken_and_compares_nothing() {
        assert_eq!(components().predicted_ns(0), 81_000.0);
    }

    #[test]
    fn work_is_spread_as_far_as_dependencies_allow() {
        let times: Vec<f64> = (1..CORES.len()).map(|place| components().predicted_ns(place)).collect();

        assert_eq!(times, [49_500.0, 25_500.0, 17_500.0, 17_500.0, 17_500.0]);
    }

    #[test]
    fn nothing_is_faster_than_the_committers_seat() {
        let slow = Components { seat_ns: 300.0, ..components() };
        let times: Vec<f64> = (1..CORES.len()).map(|place| slow.predicted_ns(place)).collect();

        assert_eq!(times, [49_500.0, 31_500.0, 31_500.0, 31_500.0, 31_500.0]);
    }

    #[test]
    fn blocks_are_summed_and_ratios_weighted() {
        let other = Components { transactions: 300, seat_ns: 10.0, dependencies: [1.0; 6], ..components() };
        let row = ModelRow {
            name: "two".into(),
            serial_ms: 0.0,
            measured_ms: [0.0; 2],
            predicted_ms: [0.0; 6],
            blocks: vec![components(), other],
        };
        let sum = row.components();

        assert_eq!((sum.transactions, sum.around_ns, sum.shared_ns), (400, 2_000.0, 192_000.0));
        assert_eq!((sum.seat_ns, sum.wake_ns), (20.0, 500.0));
        assert_eq!(sum.dependencies[..3], [1.0, 192.0 / 144.0, 192.0 / 120.0]);
    }
}
