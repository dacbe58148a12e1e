//! A report as text for a terminal: one table per workload, columns lined up.

use std::fmt::Write;

use crate::model::{CORES, ModelRow};
use crate::report::{Figures, Report, WorkloadReport};
use crate::state_root::StateRootRow;

const HEADINGS: [&str; 10] =
    ["way", "threads", "median ms", "min ms", "p95 ms", "cpu ms", "us/tx", "x serial", "x plain", "share"];

/// All tables of a report.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for workload in &report.workloads {
        out += &workload_text(workload);
        out.push('\n');
    }
    if !report.state_root.is_empty() {
        out += &state_root_text(&report.state_root);
    }
    out
}

/// One workload's table.
pub fn workload_text(workload: &WorkloadReport) -> String {
    let WorkloadReport { name, description, transactions, gas, .. } = workload;
    let mut out = format!("{name}: {description}\n{transactions} transactions, {gas} gas\n");
    let mut rows = vec![HEADINGS.map(String::from)];
    rows.extend(workload.rows.iter().map(|row| cells(row.way, row.threads, &row.figures)));
    for list in &workload.lists {
        let mut cells: [String; 10] = Default::default();
        cells[0] = list.work.to_owned();
        cells[1] = list.threads.to_string();
        cells[2] = format!("{:.2}", list.median_ms);
        cells[6] = format!("{:.3}", list.microseconds_per_item);
        rows.push(cells);
    }
    put(&mut out, &rows);
    out
}

fn state_root_text(rows: &[StateRootRow]) -> String {
    let mut out = String::from("state root and commit of a block\n");
    let headings = ["accounts", "changed", "root ms", "root us/account", "commit ms", "commit us/account"];
    let mut lines = vec![headings.map(String::from)];
    lines.extend(rows.iter().map(|row| {
        let changed = row.changed.max(1) as f64;
        [
            row.accounts.to_string(),
            row.changed.to_string(),
            format!("{:.2}", row.root_ms),
            format!("{:.2}", row.root_ms * 1e3 / changed),
            format!("{:.2}", row.commit_ms),
            format!("{:.2}", row.commit_ms * 1e3 / changed),
        ]
    }));
    put(&mut out, &lines);
    out
}

/// One workload under the model.
pub fn model_text(row: &ModelRow) -> String {
    let parts = row.components();
    let each = |ns: f64| ns / 1e3 / parts.transactions.max(1) as f64;
    let mut out = format!(
        "{}: {} transactions, serial {:.2} ms\n  us per transaction: alone {:.3}, shared {:.3}, seat {:.3}; \
         ms around {:.2}; us to wake {:.1}\n",
        row.name,
        parts.transactions,
        row.serial_ms,
        each(parts.alone_ns),
        each(parts.shared_ns),
        parts.seat_ns / 1e3,
        parts.around_ns / 1e6,
        parts.wake_ns / 1e3,
    );
    let mut lines =
        vec![["cores", "dependencies allow", "model ms", "x serial", "measured ms"].map(String::from)];
    for (place, cores) in CORES.into_iter().enumerate() {
        let predicted = row.predicted_ms[place];
        let measured = row.measured_ms.get(place).map_or(String::new(), |ms| format!("{ms:.2}"));
        lines.push([
            cores.to_string(),
            format!("{:.2}", parts.dependencies[place]),
            format!("{predicted:.2}"),
            format!("{:.2}", row.serial_ms / predicted),
            measured,
        ]);
    }
    put(&mut out, &lines);
    out
}

fn cells(way: &str, threads: usize, figures: &Figures) -> [String; 10] {
    let ratio = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    [
        way.to_owned(),
        threads.to_string(),
        format!("{:.2}", figures.median_ms),
        format!("{:.2}", figures.least_ms),
        format!("{:.2}", figures.p95_ms),
        format!("{:.2}", figures.cpu_ms),
        format!("{:.3}", figures.microseconds_per_transaction),
        ratio(figures.against_serial),
        ratio(figures.against_plain),
        ratio(figures.share),
    ]
}

/// The first column to the left, all others to the right.
fn put<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = format!("  {:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            write!(line, "  {cell:>width$}").expect("text takes text");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
