//! From samples to figures, and to the JSON document that keeps both.
//!
//! Absolute times first: median, least, 95th percentile. Then ratios of medians: against our own
//! serial engine, against the plain loop, and as a share of what the calibration of the same rounds
//! gave (1 is full scaling on the machine as it was then).

use serde::Serialize;

use crate::batching::BatchingReport;
use crate::lists::ListRow;
use crate::machine::{self, Machine};
use crate::measure::{Measured, Row, Way};
use crate::model::ModelRow;
use crate::sample::{Sample, mean, median, quantile};
use crate::state_root::StateRootRow;

/// What was asked for, and by what it was measured.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// The command, word by word.
    pub command_line: Vec<String>,
    /// Who gives out memory.
    pub allocator: &'static str,
    /// Cargo profile of the build.
    pub profile: &'static str,
    /// Version of this package.
    pub version: &'static str,
    /// Seed of made workloads.
    pub seed: u64,
    /// Share of the full size.
    pub scale: f64,
    /// Samples of each way.
    pub rounds: usize,
    /// The commit of the working directory, where that is a repository.
    pub commit: Option<String>,
    /// The machine.
    pub machine: Machine,
}

impl Conditions {
    /// The conditions here and now.
    pub fn here(command_line: Vec<String>, seed: u64, scale: f64, rounds: usize) -> Self {
        Self {
            command_line,
            allocator: crate::ALLOCATOR,
            profile: env!("PARALLELPOOL_BENCH_PROFILE"),
            version: env!("CARGO_PKG_VERSION"),
            seed,
            scale,
            rounds,
            commit: machine::commit(),
            machine: Machine::here(),
        }
    }
}

/// The whole result.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Under what it came about.
    pub conditions: Conditions,
    /// One per workload.
    pub workloads: Vec<WorkloadReport>,
    /// State root and commit, where asked for.
    pub state_root: Vec<StateRootRow>,
    /// What a model says about more cores, where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<ModelRow>,
    /// Batch building, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batching: Option<BatchingReport>,
}

/// One workload.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReport {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub description: String,
    /// Transactions of all its blocks.
    pub transactions: usize,
    /// Gas of all its blocks.
    pub gas: u64,
    /// One per way, sums over all blocks.
    pub rows: Vec<RowReport>,
    /// One per work on lists, sums over all blocks.
    pub lists: Vec<ListReport>,
    /// Block by block, where there are several.
    pub blocks: Vec<BlockReport>,
}

/// One block of several.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockReport {
    /// Its number.
    pub label: String,
    /// Its transactions.
    pub transactions: usize,
    /// Its gas.
    pub gas: u64,
    /// One per way.
    pub rows: Vec<RowReport>,
}

/// One way of executing.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowReport {
    /// Its name.
    pub way: &'static str,
    /// Threads that it may use.
    pub threads: usize,
    /// Figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// What they come from, in order of rounds.
    pub samples: Samples,
}

/// Figures of one way. Times are medians unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Milliseconds.
    pub median_ms: f64,
    /// Milliseconds.
    pub least_ms: f64,
    /// Milliseconds.
    pub p95_ms: f64,
    /// Milliseconds, the dropping of the outcome included.
    pub with_drop_ms: f64,
    /// Milliseconds of CPU, all threads.
    pub cpu_ms: f64,
    /// Per transaction.
    pub microseconds_per_transaction: f64,
    /// Million gas per second.
    pub megagas_per_second: f64,
    /// Runs of the EVM per transaction, mean.
    pub executions_per_transaction: f64,
    /// Executions thrown away per round, mean.
    pub conflicts: f64,
    /// Transfers applied without an EVM per round, mean.
    pub transfers: f64,
    /// Our serial engine's time over this one; `None` for a calibration.
    pub against_serial: Option<f64>,
    /// The plain loop's time over this one; `None` for a calibration.
    pub against_plain: Option<f64>,
    /// Throughput of the calibration, in serial engines; for ways by several threads.
    pub calibration: Option<f64>,
    /// `against_serial` over `calibration`.
    pub share: Option<f64>,
}

/// Raw samples, each list in order of rounds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// Wall time.
    pub wall_ns: Vec<u64>,
    /// CPU time.
    pub cpu_ns: Vec<u64>,
    /// Dropping the outcome.
    pub drop_ns: Vec<u64>,
    /// Runs of the EVM.
    pub executions: Vec<u64>,
    /// Executions thrown away.
    pub conflicts: Vec<u64>,
}

/// One work on lists.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListReport {
    /// What is done.
    pub work: &'static str,
    /// By how many threads.
    pub threads: usize,
    /// Items worked on.
    pub items: usize,
    /// Median, milliseconds.
    pub median_ms: f64,
    /// Median, per item.
    pub microseconds_per_item: f64,
    /// Raw samples.
    pub wall_ns: Vec<u64>,
}

impl Report {
    /// The document, indented.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

/// Any part of a report as a document, indented.
pub fn to_json<T: Serialize + ?Sized>(part: &T) -> String {
    serde_json::to_string_pretty(part).expect("numbers, texts and lists have a JSON form")
}

impl WorkloadReport {
    /// Figures of a measured workload.
    pub fn new(measured: &Measured) -> Self {
        let (transactions, gas) = (measured.transactions(), measured.gas());
        let blocks = if measured.blocks.len() > 1 { &measured.blocks[..] } else { &[] };
        Self {
            name: measured.name.clone(),
            description: measured.description.clone(),
            transactions,
            gas,
            rows: rows(&measured.rows(), transactions, gas),
            lists: measured.lists().iter().map(list).collect(),
            blocks: blocks
                .iter()
                .map(|block| BlockReport {
                    label: block.label.clone(),
                    transactions: block.transactions,
                    gas: block.gas,
                    rows: rows(&block.rows, block.transactions, block.gas),
                })
                .collect(),
        }
    }
}

fn rows(rows: &[Row], transactions: usize, gas: u64) -> Vec<RowReport> {
    let median_of = |way: Way| {
        let row = rows.iter().find(|row| row.way == way)?;
        Some(median(row.samples.iter().map(|sample| sample.wall_ns)))
    };
    let (serial, plain) = (median_of(Way::Serial), median_of(Way::Plain));
    let report = |row: &Row| {
        let wall = median(row.samples.iter().map(|sample| sample.wall_ns));
        let is_calibration = matches!(row.way, Way::Calibration(_));
        let threads = row.way.threads();
        let copies = if is_calibration { threads as f64 } else { 1.0 };
        let over = |base: Option<f64>| base.filter(|_| wall > 0.0).map(|base| copies * base / wall);
        let calibration = median_of(Way::Calibration(threads))
            .zip(serial)
            .map(|(calibrated, serial)| threads as f64 * serial / calibrated);
        let against_serial = over(serial).filter(|_| !is_calibration);
        let mut figures = Figures {
            against_serial,
            against_plain: over(plain).filter(|_| !is_calibration),
            calibration,
            share: against_serial.zip(calibration).map(|(speed_up, full)| speed_up / full),
            ..times(&row.samples)
        };
        let count = transactions.max(1) as f64 * copies;
        figures.microseconds_per_transaction = wall / 1e3 / count;
        figures.megagas_per_second = copies * gas as f64 / wall * 1e3;
        figures.executions_per_transaction /= count;
        RowReport { way: row.way.name(), threads, figures, samples: samples(&row.samples) }
    };
    rows.iter().map(report).collect()
}

/// Figures that need no other row; executions are per round as yet.
fn times(samples: &[Sample]) -> Figures {
    let milliseconds = |ns: f64| ns / 1e6;
    let wall = || samples.iter().map(|sample| sample.wall_ns);
    Figures {
        median_ms: milliseconds(median(wall())),
        least_ms: milliseconds(quantile(wall(), 0.0)),
        p95_ms: milliseconds(quantile(wall(), 0.95)),
        with_drop_ms: milliseconds(median(samples.iter().map(|sample| sample.wall_ns + sample.drop_ns))),
        cpu_ms: milliseconds(median(samples.iter().map(|sample| sample.cpu_ns))),
        executions_per_transaction: mean(samples.iter().map(|sample| sample.executions)),
        conflicts: mean(samples.iter().map(|sample| sample.conflicts)),
        transfers: mean(samples.iter().map(|sample| sample.transfers)),
        ..Figures::default()
    }
}

fn samples(samples: &[Sample]) -> Samples {
    Samples {
        wall_ns: samples.iter().map(|sample| sample.wall_ns).collect(),
        cpu_ns: samples.iter().map(|sample| sample.cpu_ns).collect(),
        drop_ns: samples.iter().map(|sample| sample.drop_ns).collect(),
        executions: samples.iter().map(|sample| sample.executions).collect(),
        conflicts: samples.iter().map(|sample| sample.conflicts).collect(),
    }
}

fn list(row: &ListRow) -> ListReport {
    let wall = median(row.wall_ns.iter().copied());
    ListReport {
        work: row.work,
        threads: row.threads,
        items: row.items,
        median_ms: wall / 1e6,
        microseconds_per_item: wall / 1e3 / row.items.max(1) as f64,
        wall_ns: row.wall_ns.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: Way, walls: &[u64]) -> Row {
        let sample =
            |wall: &u64| Sample { wall_ns: *wall, cpu_ns: 2 * wall, drop_ns: 10, ..Sample::default() };
        Row { way, samples: walls.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_against_serial_plain_and_calibration() {
        let measured = [
            row(Way::Plain, &[2_200, 2_000, 1_800]),
            row(Way::Serial, &[2_000, 2_100, 1_900]),
            row(Way::Parallel(2), &[1_250, 1_250, 9_000]),
            row(Way::Calibration(2), &[2_500, 2_500, 2_500]),
        ];
        let reports = rows(&measured, 10, 21_000);
        let [plain, serial, parallel, calibration] = &reports[..] else { panic!("four rows") };

        assert_eq!(plain.figures.against_serial, Some(1.0));
        assert_eq!(serial.figures.against_plain, Some(1.0));
        assert_eq!(serial.figures.share, None, "one thread has nothing to share");
        assert_eq!(parallel.figures.against_serial, Some(1.6));
        assert_eq!(parallel.figures.calibration, Some(1.6), "two copies in 2.5 where one takes 2");
        assert_eq!(parallel.figures.share, Some(1.0));
        assert_eq!(calibration.figures.against_serial, None);
        assert_eq!(calibration.figures.megagas_per_second, 2.0 * 21_000.0 / 2.5);
        assert_eq!(parallel.figures.p95_ms, 9_000.0 / 1e6);
        assert_eq!(parallel.figures.with_drop_ms, 1_260.0 / 1e6);
        assert_eq!(parallel.figures.cpu_ms, 2_500.0 / 1e6);
    }
}
