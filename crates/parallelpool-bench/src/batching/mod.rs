//! Batch building, measured: how fast, and what it is worth to a sequencer.
//!
//! In: made pools of access sets, or the transactions of recorded blocks offered as a pool. Out:
//! times per transaction, and the quality of the batches beside three other ways of grouping.

mod mainnet;
mod pools;
mod schedule;
mod speed;

use serde::Serialize;

pub use mainnet::{EraRow, measure_recorded};
pub use speed::{SpeedRow, measure_speed};

/// What `bench batching` prints.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchingReport {
    /// Times, by workload and size.
    pub speed: Vec<SpeedRow>,
    /// Quality on recorded blocks, by era and way of grouping.
    pub recorded: Vec<EraRow>,
}

impl BatchingReport {
    /// For people.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if !self.speed.is_empty() {
            lines.push(format!(
                "{:<16} {:>8} {:>10} {:>10} {:>10} {:>12} {:>12} {:>12}",
                "pool", "count", "fill ns", "plan ns", "M tx/s", "cold ms", "+1000 ms", "block ms"
            ));
        }
        for row in &self.speed {
            lines.push(format!(
                "{:<16} {:>8} {:>10.0} {:>10.0} {:>10.2} {:>12.2} {:>12.2} {:>12.2}",
                row.pool,
                row.transactions,
                row.fill_ns,
                row.plan_ns,
                row.million_per_second,
                row.cold_ms,
                row.more_ms,
                row.block_ms
            ));
        }
        if !self.recorded.is_empty() {
            lines.push(format!(
                "{:<9} {:<11} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>10}",
                "era", "way", "windows", "first %", "tips %", "x 2", "x 8", "x 32", "conflicts"
            ));
        }
        for row in &self.recorded {
            lines.push(format!(
                "{:<9} {:<11} {:>8} {:>8.1} {:>8.2} {:>7.2} {:>7.2} {:>7.2} {:>10}",
                row.era,
                row.way,
                row.windows,
                row.first_batch_percent,
                row.tips_percent,
                row.speed_up[0],
                row.speed_up[1],
                row.speed_up[2],
                row.conflicts
            ));
        }
        lines.join("\n")
    }
}
