//! The command line: words in, figures out.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use parallelpool_core::error::CoreError;
use parallelpool_core::workers::Workers;

use crate::batching::{self, BatchingReport, Recorded};
use crate::file;
use crate::measure::{Plan, Way, measure};
use crate::report::{Conditions, Report, WorkloadReport};
use crate::workload::Workload;
use crate::workloads::{self, FAMILIES, Making};
use crate::{model, state_root, table};

const USAGE: &str = "\
parallelpool-bench list
parallelpool-bench run [NAME...|FILE...|FOLDER...] [flags]    time workloads by every way of executing them
parallelpool-bench export NAME FILE [flags]                   write {env, preState, transactions}; .gz packs
parallelpool-bench state-root [flags]                         time state root and commit
parallelpool-bench batching [mainnet] [flags]                 time the batch builder; its batches on recorded blocks
parallelpool-bench model [NAME...|FILE...|FOLDER...] [flags]  measure components, and model up to 32 cores

  --threads 1,2   thread counts of the parallel engine
  --rounds 20     samples of each way
  --scale 1       share of the full size (state-root: of a million accounts)
  --seed N        source of keys and choices
  --lists         time decoding, recovery and the receipts root too
  --only a,b      time these ways alone, as in --only serial (for profilers)
  --json          print the whole result as JSON
  --out FILE      write it to a file as well";

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub text: String,
    /// 1: a measurement failed. 2: the words or files make no sense.
    pub exit_code: u8,
}

impl Problem {
    fn wrong_use(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code: 2 }
    }
}

impl From<CoreError> for Problem {
    fn from(error: CoreError) -> Self {
        let exit_code = if matches!(error, CoreError::InvalidArgument(_)) { 2 } else { 1 };
        Self { text: error.to_string(), exit_code }
    }
}

/// Flags, and the words that are none.
#[derive(Debug, Clone, PartialEq)]
struct Flags {
    words: Vec<String>,
    threads: Vec<usize>,
    rounds: usize,
    scale: f64,
    seed: u64,
    lists: bool,
    only: Vec<String>,
    json: bool,
    out: Option<PathBuf>,
}

impl Flags {
    fn read(words: &[String]) -> Result<Self, Problem> {
        let mut flags = Self {
            words: Vec::new(),
            threads: vec![1, 2],
            rounds: 20,
            scale: 1.0,
            seed: workloads::DEFAULT_SEED,
            lists: false,
            only: Vec::new(),
            json: false,
            out: None,
        };
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix("--") else {
                flags.words.push(word.clone());
                continue;
            };
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "lists" | "json" if given.is_some() => {
                    return Err(Problem::wrong_use(format!("--{name} takes no value")));
                }
                "lists" => flags.lists = true,
                "json" => flags.json = true,
                "threads" | "rounds" | "scale" | "seed" | "only" | "out" => {
                    let value = given.or_else(|| rest.next().cloned());
                    let value = value.ok_or_else(|| Problem::wrong_use(format!("--{name} needs a value")))?;
                    flags.set(name, &value)?;
                }
                _ => return Err(Problem::wrong_use(format!("unknown flag {word}\n{USAGE}"))),
            }
        }
        Ok(flags)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "threads" => {
                self.threads = value.split(',').map(|one| number(name, one)).collect::<Result<_, _>>()?;
            }
            "rounds" => self.rounds = number(name, value)?,
            "scale" => self.scale = number(name, value)?,
            "seed" => self.seed = number(name, value)?,
            "only" => self.only = value.split(',').map(String::from).collect(),
            _ => self.out = Some(value.into()),
        }
        Ok(())
    }

    /// The workloads that are named; all if none is.
    fn names(&self) -> Vec<String> {
        match self.words.is_empty() {
            true => FAMILIES.iter().map(|family| family.name.into()).collect(),
            false => self.words.clone(),
        }
    }

    fn making<'a>(&self, workers: &'a Workers) -> Result<Making<'a>, CoreError> {
        Making::of_size(workers, self.scale, self.seed)
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::wrong_use(format!("--{name}: {text:?} is no number")))
}

/// Runs the command that the words (without the program's name) ask for.
pub fn main(words: &[String]) -> Result<(), Problem> {
    let (command, rest) = words.split_first().map_or(("help", words), |(first, rest)| (first.as_str(), rest));
    match command {
        "help" | "--help" | "-h" => println!("{USAGE}"),
        "list" => list(),
        "run" => run(words, &Flags::read(rest)?)?,
        "export" => export(&Flags::read(rest)?)?,
        "state-root" => measure_state_root(words, &Flags::read(rest)?)?,
        "model" => model(words, &Flags::read(rest)?)?,
        "batching" => measure_batching(words, &Flags::read(rest)?)?,
        _ => return Err(Problem::wrong_use(format!("unknown command {command:?}\n{USAGE}"))),
    }
    Ok(())
}

fn list() {
    let width = FAMILIES.iter().map(|family| family.name.len()).max().unwrap_or(0);
    for family in FAMILIES {
        println!("{:<width$}  {}", family.name, family.description);
    }
}

fn run(words: &[String], flags: &Flags) -> Result<(), Problem> {
    let workers = Workers::new(0)?;
    let making = flags.making(&workers)?;
    let names = flags.names();
    let plan = Plan {
        threads: flags.threads.clone(),
        rounds: flags.rounds,
        lists: flags.lists,
        only: flags.only.clone(),
    };
    if let Some(unknown) =
        flags.only.iter().find(|name| !Way::of(&all(&plan)).iter().any(|way| way.name() == **name))
    {
        return Err(Problem::wrong_use(format!("--only: no way {unknown:?}")));
    }
    plan.check()?;
    let mut report = report(words, flags);
    for name in names {
        let workload = open(&name, &making)?;
        let measured = WorkloadReport::new(&measure(&workload, &plan)?);
        if !flags.json {
            println!("{}", table::workload_text(&measured));
        }
        report.workloads.push(measured);
    }
    finish(&report, flags)
}

/// The plan without its restriction to some ways.
fn all(plan: &Plan) -> Plan {
    Plan { only: Vec::new(), ..plan.clone() }
}

fn export(flags: &Flags) -> Result<(), Problem> {
    let [name, path] = &flags.words[..] else {
        return Err(Problem::wrong_use("export: takes a workload's name and a file"));
    };
    let workers = Workers::new(0)?;
    Ok(file::write(&open(name, &flags.making(&workers)?)?, Path::new(path))?)
}

fn measure_state_root(words: &[String], flags: &Flags) -> Result<(), Problem> {
    if let Some(word) = flags.words.first() {
        return Err(Problem::wrong_use(format!("state-root: no such thing as {word:?}")));
    }
    let workers = Workers::new(0)?;
    let accounts = flags.making(&workers)?.count(state_root::ACCOUNTS);
    let mut report = report(words, flags);
    report.state_root = state_root::measure(accounts, flags.rounds, flags.seed, &workers)?;
    if !flags.json {
        print!("{}", table::text(&report));
    }
    finish(&report, flags)
}

fn model(words: &[String], flags: &Flags) -> Result<(), Problem> {
    let workers = Workers::new(0)?;
    let making = flags.making(&workers)?;
    let mut report = report(words, flags);
    for name in flags.names() {
        let row = model::measure(&open(&name, &making)?, flags.rounds)?;
        if !flags.json {
            println!("{}", table::model_text(&row));
        }
        report.model.push(row);
    }
    finish(&report, flags)
}

fn measure_batching(words: &[String], flags: &Flags) -> Result<(), Problem> {
    let workers = Workers::new(0)?;
    let measured = batching_report(&flags.words, flags.rounds, &flags.making(&workers)?)?;
    if !flags.json {
        println!("{}", measured.text());
    }
    finish(&Report { batching: Some(measured), ..report(words, flags) }, flags)
}

/// Times of the builder, or with the word `mainnet` what its batches are worth on recorded blocks.
pub fn batching_report(
    words: &[String],
    rounds: usize,
    making: &Making<'_>,
) -> Result<BatchingReport, CoreError> {
    match words {
        [] => {
            let speed = batching::measure_speed(rounds, making.scale, making.seed);
            Ok(BatchingReport { speed, ..BatchingReport::default() })
        }
        [word] if word == "mainnet" => {
            let Recorded { eras, executed } = batching::measure_recorded(making, rounds)?;
            Ok(BatchingReport { speed: Vec::new(), recorded: eras, executed })
        }
        _ => Err(CoreError::InvalidArgument(format!("batching: takes mainnet or nothing, not {words:?}"))),
    }
}

fn report(words: &[String], flags: &Flags) -> Report {
    let conditions = Conditions::here(words.to_vec(), flags.seed, flags.scale, flags.rounds);
    Report { conditions, workloads: Vec::new(), state_root: Vec::new(), model: Vec::new(), batching: None }
}

fn finish(report: &Report, flags: &Flags) -> Result<(), Problem> {
    let json = report.to_json();
    if flags.json {
        println!("{json}");
    }
    if let Some(path) = &flags.out {
        std::fs::write(path, json + "\n")
            .map_err(|error| Problem::wrong_use(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

/// A workload by name, or the block in a file, or the recorded blocks in a folder.
pub fn open(name: &str, making: &Making<'_>) -> Result<Workload, CoreError> {
    let path = Path::new(name);
    if path.is_dir() {
        let recorded = Making { recorded: path.into(), ..*making };
        return Ok(Workload { name: name.into(), ..workloads::make("mainnet", &recorded)? });
    }
    let looks_like_a_file = name.ends_with(".json") || name.ends_with(".gz");
    if path.is_file() || looks_like_a_file {
        return file::read(path, making.workers);
    }
    workloads::make(name, making)
}

#[cfg(test)]
mod tests;
