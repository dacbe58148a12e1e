//! What a suite has met: cases, executions by way, and everything that was wrong.

use std::collections::BTreeMap;
use std::fmt::Write;

use parallelpool_core::execution::{BuildOutcome, ExecuteError};
use parallelpool_core::executor::Executor;

use super::agreement::{ALWAYS, Case, Difference, compare_with, oracle};
use super::ways::{SPECULATIONS, Way, Ways};

/// Failures that a message lists; all are counted.
const SHOWN: usize = 40;

/// Sums over a suite, or over one thread's share of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Blocks or transactions that were executed and reached what they should.
    pub(crate) executed: usize,
    /// Those that were refused for the right reason.
    pub(crate) refused: usize,
    /// Those left out, by the reason.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// What is wrong, beginning with the case's name.
    pub(crate) failures: Vec<String>,
    /// Transactions of all cases, each counted once.
    pub(crate) transactions: usize,
    /// Executions by way.
    pub(crate) runs: BTreeMap<String, usize>,
    /// Executions in which at least two workers took part.
    pub(crate) shared: usize,
    /// Executions in which a block access list answered all reads.
    pub(crate) by_access_list: usize,
    /// Executions of transactions that were thrown away.
    pub(crate) conflicts: u64,
    /// Cases that use so much gas that they did not take all ways.
    pub(crate) heavy: usize,
    /// Differences between ways, not yet given a name.
    differences: Vec<String>,
}

impl Tally {
    /// Executes a case in the serial and the given ways, and returns the serial result.
    pub(crate) fn compare(
        &mut self,
        executor: &Executor,
        case: &Case<'_>,
        ways: Ways,
    ) -> Result<BuildOutcome, ExecuteError> {
        let oracle = oracle(executor, case);
        let ways = match &oracle {
            Ok(built) => ways.affordable(built.outcome.gas_used / built.included.len().max(1) as u64),
            Err(_) => ways,
        };
        self.heavy += usize::from(ways == Ways::Pairs);
        let others = ALWAYS.into_iter().chain(ways.of(case.seed));
        let findings = compare_with(executor, case, oracle, others);
        let serial = ALWAYS.into_iter().chain([Way::SerialSeparately]);
        for way in serial.chain(ways.of(case.seed)) {
            *self.runs.entry(way.to_string()).or_default() += 1;
        }
        self.transactions += case.transactions.len();
        for statistics in &findings.statistics {
            self.shared += usize::from(statistics.active_workers > 1);
            self.conflicts += statistics.conflicts;
        }
        self.by_access_list += usize::from(findings.by_access_list);
        self.differences.extend(findings.differences.iter().map(Difference::to_string));
        findings.oracle
    }

    /// Blames the case of that name for the differences since the last call.
    pub(crate) fn blame(&mut self, name: &str) {
        self.failures.extend(
            self.differences.drain(..).map(|difference| format!("{name}: ways differ: {difference}")),
        );
    }

    /// Notes what is wrong with a case.
    pub(crate) fn fail(&mut self, name: &str, words: impl std::fmt::Display) {
        self.failures.push(format!("{name}: {words}"));
    }

    /// Notes that a case was left out.
    pub(crate) fn skip(&mut self, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += 1;
    }

    /// The sum of several shares.
    pub(crate) fn sum(shares: impl IntoIterator<Item = Self>) -> Self {
        let mut total = Self::default();
        for share in shares {
            total.executed += share.executed;
            total.refused += share.refused;
            total.transactions += share.transactions;
            total.shared += share.shared;
            total.by_access_list += share.by_access_list;
            total.conflicts += share.conflicts;
            total.heavy += share.heavy;
            total.failures.extend(share.failures);
            total.failures.extend(share.differences);
            for (reason, count) in share.skipped {
                *total.skipped.entry(reason).or_default() += count;
            }
            for (way, count) in share.runs {
                *total.runs.entry(way).or_default() += count;
            }
        }
        total.failures.sort_unstable();
        total
    }

    /// Prints the figures and fails the test if anything was wrong, or nothing was done.
    pub(crate) fn conclude(&self, suite: &str) {
        println!("{suite}: {}", self.figures());
        let shown = &self.failures[..self.failures.len().min(SHOWN)];
        assert!(self.failures.is_empty(), "{suite}: {} failures:\n{}", self.failures.len(), shown.join("\n"));
        assert!(self.executed > 0, "{suite}: nothing was executed");
    }

    /// Fails the test unless every way was taken at least once.
    pub(crate) fn demand_all_ways(&self) {
        assert_eq!(self.runs.len(), SPECULATIONS + ALWAYS.len() + 1, "some way was never taken");
    }

    fn figures(&self) -> String {
        let runs: usize = self.runs.values().sum();
        let rarest = self.runs.values().min().copied().unwrap_or_default();
        let mut words = format!(
            "{} executed, {} refused, {} transactions; {runs} executions in {} ways, the rarest {rarest} times; \
             {} by several workers, {} by access list; {} conflicts",
            self.executed,
            self.refused,
            self.transactions,
            self.runs.len(),
            self.shared,
            self.by_access_list,
            self.conflicts,
        );
        if self.heavy > 0 {
            write!(words, "; {} heavy cases in fewer ways", self.heavy).expect("text takes text");
        }
        for (reason, count) in &self.skipped {
            write!(words, "; {count} skipped: {reason}").expect("text takes text");
        }
        words
    }
}
