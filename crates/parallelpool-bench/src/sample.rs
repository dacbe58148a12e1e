//! One measured run, and the middle of many.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One run of one way; of a workload of several blocks the sum over them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Wall time in nanoseconds.
    pub wall_ns: u64,
    /// CPU time of the whole process meanwhile, in nanoseconds.
    pub cpu_ns: u64,
    /// Wall time of dropping the outcome afterwards.
    pub drop_ns: u64,
    /// Runs of the EVM. Zero where nobody counts them.
    pub executions: u64,
    /// Executions thrown away.
    pub conflicts: u64,
    /// Plain transfers applied without an EVM.
    pub transfers: u64,
}

impl Sample {
    pub(crate) fn add(&mut self, other: &Self) {
        self.wall_ns += other.wall_ns;
        self.cpu_ns += other.cpu_ns;
        self.drop_ns += other.drop_ns;
        self.executions += other.executions;
        self.conflicts += other.conflicts;
        self.transfers += other.transfers;
    }
}

/// Runs `work` between two readings of the clocks.
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> (R, Sample) {
    let cpu = process_ns();
    let started = Instant::now();
    let result = work();
    let wall_ns = nanoseconds(started.elapsed());
    let cpu_ns = process_ns() - cpu;
    (result, Sample { wall_ns, cpu_ns, ..Sample::default() })
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of all threads of this process so far.
pub(crate) fn process_ns() -> u64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).expect("a process's clock starts at zero");
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

pub(crate) fn mean(values: impl ExactSizeIterator<Item = u64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<u64>() as f64 / count
}

/// The middle, or the mean of the two in the middle; zero of nothing.
pub(crate) fn median(values: impl Iterator<Item = u64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle] as f64,
        _ => (values[middle - 1] as f64 + values[middle] as f64) / 2.0,
    }
}

/// The least value that at least this share of all values does not exceed; zero of nothing.
pub(crate) fn quantile(values: impl Iterator<Item = u64>, share: f64) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).map_or(0.0, |value| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_are_those_of_the_books() {
        assert_eq!(median([].into_iter()), 0.0);
        assert_eq!(median([3, 1, 2].into_iter()), 2.0);
        assert_eq!(median([4, 1, 2, 3].into_iter()), 2.5);
        let hundred = || 1..=100u64;
        assert_eq!(quantile(hundred(), 0.95), 95.0);
        assert_eq!(quantile(hundred(), 0.0), 1.0);
        assert_eq!(quantile([7].into_iter(), 0.95), 7.0);
        assert_eq!(quantile([].into_iter(), 0.95), 0.0);
    }
}
