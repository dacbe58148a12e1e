//! Benchmarks: made and recorded workloads, and what executing them takes.
//!
//! Results are JSON documents, as the benchmark program writes them.

use std::path::PathBuf;

use parallelpool_bench::measure::{Plan, measure};
use parallelpool_bench::report::{Conditions, WorkloadReport, to_json};
use parallelpool_bench::transfers::{Transfers, sign};
use parallelpool_bench::workloads::{FAMILIES, Making};
use parallelpool_bench::{command, file, load, state_root};
use parallelpool_core::workers::Workers;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::detach::detached;

/// Names and descriptions.
#[pyfunction]
pub fn bench_workloads() -> Vec<(&'static str, &'static str)> {
    FAMILIES.iter().map(|family| (family.name, family.description)).collect()
}

/// Measures one workload.
#[pyfunction]
#[pyo3(signature = (name, /, *, threads, rounds, scale, seed, lists = false))]
pub fn bench_run<'py>(
    py: Python<'py>,
    name: &str,
    threads: Vec<usize>,
    rounds: usize,
    scale: f64,
    seed: u64,
    lists: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let plan = Plan { threads, rounds, lists, only: Vec::new() };
    let document = detached(py, || {
        plan.check()?;
        let workers = Workers::new(0)?;
        let workload = command::open(name, &Making::of_size(&workers, scale, seed)?)?;
        Ok(to_json(&WorkloadReport::new(&measure(&workload, &plan)?)))
    })?;
    Ok(convert::bytes(py, document))
}

/// Writes one workload to a file.
#[pyfunction]
#[pyo3(signature = (name, path, /, *, scale, seed))]
pub fn bench_export(py: Python<'_>, name: &str, path: PathBuf, scale: f64, seed: u64) -> PyResult<()> {
    detached(py, || {
        let workers = Workers::new(0)?;
        file::write(&command::open(name, &Making::of_size(&workers, scale, seed)?)?, &path)
    })
}

/// Measures state root and commit.
#[pyfunction]
#[pyo3(signature = (*, rounds, scale, seed))]
pub fn bench_state_root(
    py: Python<'_>,
    rounds: usize,
    scale: f64,
    seed: u64,
) -> PyResult<Bound<'_, PyBytes>> {
    let document = detached(py, || {
        Plan { threads: vec![1], rounds, lists: false, only: Vec::new() }.check()?;
        let workers = Workers::new(0)?;
        let accounts = Making::of_size(&workers, scale, seed)?.count(state_root::ACCOUNTS);
        Ok(to_json(&state_root::measure(accounts, rounds, seed, &workers)?))
    })?;
    Ok(convert::bytes(py, document))
}

/// Measures the batch builder: its times, or with the word `mainnet` its batches on recorded blocks.
#[pyfunction]
#[pyo3(signature = (words, /, *, rounds, scale, seed))]
pub fn bench_batching(
    py: Python<'_>,
    words: Vec<String>,
    rounds: usize,
    scale: f64,
    seed: u64,
) -> PyResult<(Bound<'_, PyBytes>, String)> {
    let (document, text) = detached(py, || {
        let workers = Workers::new(0)?;
        let report = command::batching_report(&words, rounds, &Making::of_size(&workers, scale, seed)?)?;
        Ok((to_json(&report), report.text()))
    })?;
    Ok((convert::bytes(py, document), text))
}

type SignedBySender<'py> = Vec<(Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>)>;

/// Signs transfers for daemons to take in.
#[pyfunction]
#[pyo3(signature = (*, seed, senders, each, chain_id, fee_cap, tip_cap, tip_steps = 1, data = 0))]
#[expect(clippy::too_many_arguments, reason = "named arguments of a Python function")]
pub fn bench_transfers<'py>(
    py: Python<'py>,
    seed: u64,
    senders: u64,
    each: u64,
    chain_id: u64,
    fee_cap: u64,
    tip_cap: u64,
    tip_steps: u64,
    data: usize,
) -> PyResult<SignedBySender<'py>> {
    let plan = Transfers { seed, senders, each, chain_id, fee_cap, tip_cap, tip_steps, data };
    let signed = detached(py, || sign(&plan, &Workers::new(0)?))?;
    Ok(signed
        .iter()
        .map(|(sender, raw)| {
            (convert::bytes(py, sender), raw.iter().map(|raw| convert::bytes(py, raw)).collect())
        })
        .collect())
}

type LoadRow<'py> = (f64, Vec<u32>, usize, usize, Option<Bound<'py, PyBytes>>);

/// Sends prepared bodies to a server and counts what comes back.
#[pyfunction]
#[pyo3(signature = (address, bodies, /))]
pub fn bench_load<'py>(py: Python<'py>, address: &str, bodies: Vec<Vec<Vec<u8>>>) -> PyResult<LoadRow<'py>> {
    let load = detached(py, || load::load(address, &bodies))?;
    let first_error = load.first_error.map(|answer| convert::bytes(py, answer));
    Ok((load.seconds, load.latencies_us, load.results, load.errors, first_error))
}

/// Machine, build and command.
#[pyfunction]
#[pyo3(signature = (command_line, /, *, rounds, scale, seed))]
pub fn bench_conditions(
    py: Python<'_>,
    command_line: Vec<String>,
    rounds: usize,
    scale: f64,
    seed: u64,
) -> PyResult<Bound<'_, PyBytes>> {
    let document = detached(py, || Ok(to_json(&Conditions::here(command_line, seed, scale, rounds))))?;
    Ok(convert::bytes(py, document))
}
