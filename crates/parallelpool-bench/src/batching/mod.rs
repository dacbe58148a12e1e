//! Batch building, measured: how fast, and what it is worth to a sequencer.
//!
//! In: made pools of access sets, or the transactions of recorded blocks offered as a pool. Out:
//! times per transaction, and the quality of the batches beside three other ways of grouping.

mod executed;
mod pools;
mod recorded;
mod schedule;
mod speed;
mod tips;

use serde::Serialize;

pub use executed::ExecutedRow;
pub use pools::POOLS;
pub use recorded::{EraRow, Recorded, measure_recorded};
pub use speed::{Bench, SIZES, SpeedRow, measure_speed};

/// What `bench batching` prints.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchingReport {
    /// Times, by workload and size.
    pub speed: Vec<SpeedRow>,
    /// Quality on recorded blocks, by era and way of grouping.
    pub recorded: Vec<EraRow>,
    /// The same blocks executed in the order of their batches, by era.
    pub executed: Vec<ExecutedRow>,
}

impl BatchingReport {
    /// For people.
    pub fn text(&self) -> String {
        let tables = [self.speed_text(), self.recorded_text(), self.executed_text()];
        let tables = tables.into_iter().filter(|lines| lines.len() > 1).map(|lines| lines.join("\n"));
        tables.collect::<Vec<_>>().join("\n\n")
    }

    fn speed_text(&self) -> Vec<String> {
        let head = format!(
            "{:<13} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>10} {:>10} {:>8}",
            "pool",
            "count",
            "fill ns",
            "plan ns",
            "M tx/s",
            "cold ms",
            "+1000 ms",
            "replan ms",
            "change ns",
            "fee ms"
        );
        let rows = self.speed.iter().map(|row| {
            format!(
                "{:<13} {:>8} {:>8.0} {:>8.0} {:>8.2} {:>9.2} {:>9.2} {:>10.2} {:>10.0} {:>8.2}",
                row.pool,
                row.transactions,
                row.fill_ns,
                row.plan_ns,
                row.million_per_second,
                row.cold_ms,
                row.more_ms,
                row.replan_ms,
                row.change_ns,
                row.fee_ms
            )
        });
        std::iter::once(head).chain(rows).collect()
    }

    fn recorded_text(&self) -> Vec<String> {
        let head = format!(
            "{:<8} {:<10} {:>7} {:>7} {:>10} {:>6} {:>7} {:>6} {:>6} {:>6} {:>9}",
            "era",
            "way",
            "windows",
            "first %",
            "parallel %",
            "width",
            "tips %",
            "x 2",
            "x 8",
            "x 32",
            "conflicts"
        );
        let rows = self.recorded.iter().map(|row| {
            format!(
                "{:<8} {:<10} {:>7} {:>7} {:>10} {:>6} {:>7} {:>6.2} {:>6.2} {:>6.2} {:>9}",
                row.era,
                row.way,
                row.windows,
                figure(row.first_percent, 1),
                figure(row.parallel_percent, 1),
                figure(row.width, 1),
                figure(row.tips_percent, 2),
                row.speed_up[0],
                row.speed_up[1],
                row.speed_up[2],
                row.conflicts.map_or_else(|| "-".into(), |conflicts| conflicts.to_string())
            )
        });
        std::iter::once(head).chain(rows).collect()
    }

    fn executed_text(&self) -> Vec<String> {
        let head = format!(
            "{:<8} {:>12} {:>8} {:>9} {:>11} {:>8} {:>13}",
            "era", "transactions", "left out", "serial ms", "2 threads ms", "x serial", "executions/tx"
        );
        let rows = self.executed.iter().map(|row| {
            format!(
                "{:<8} {:>12} {:>8} {:>9.2} {:>12.2} {:>8.2} {:>13.3}",
                row.era,
                row.transactions,
                row.left_out,
                row.serial_ms,
                row.parallel_ms,
                row.serial_ms / row.parallel_ms,
                row.executions
            )
        });
        std::iter::once(head).chain(rows).collect()
    }
}

fn figure(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.places$}"))
}

#[cfg(test)]
mod tests;
