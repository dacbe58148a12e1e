//! A folder of public tests, run file by file on all CPUs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallelpool_core::executor::Executor;
use parallelpool_core::workers::Workers;

use super::shards::{Shard, share};
use super::tally::Tally;
use super::ways::Ways;
use super::{fixtures, is_slow, json_files};

/// What a suite does with one file. What is wrong goes into the tally.
pub(crate) type RunFile = fn(&Executor, &Path, Ways, &mut Tally);

/// An executor of its own and an empty tally, for each of the threads that share a suite.
pub(crate) fn begin() -> (Executor, Tally) {
    (Executor::new(Arc::new(Workers::new(2).expect("threads start"))), Tally::default())
}

/// Runs the files of a folder, those that are slow or those that are not, and fails the test if
/// anything was wrong. `None`: there are no fixtures.
pub(crate) fn run_folder(name: &str, ways: Ways, slow: bool, run_file: RunFile) -> Option<Tally> {
    run_shard(name, ways, slow, Shard::WHOLE, run_file)
}

/// The same for a part of the files.
pub(crate) fn run_shard(
    name: &str,
    ways: Ways,
    slow: bool,
    shard: Shard,
    run_file: RunFile,
) -> Option<Tally> {
    let mut files = json_files(&fixtures(name)?);
    files.retain(|path| is_slow(path) == slow);
    let files: Vec<PathBuf> = shard.of(files);
    let shares = share(&files, begin, |(executor, tally), path| run_file(executor, path, ways, tally));
    let tally = Tally::sum(shares.into_iter().map(|(_, tally)| tally));
    tally.conclude(&format!("{name}, {ways:?}{shard}"));
    Some(tally)
}
