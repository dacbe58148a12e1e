//! Recorded mainnet blocks: files of the replay format, gzip or not.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use parallelpool_core::error::CoreError;

use super::Making;
use crate::file;
use crate::workload::BenchBlock;

const ENDINGS: [&str; 2] = [".json.gz", ".json"];

/// `$PARALLELPOOL_FIXTURES/mainnet`, or `../shared/fixtures/mainnet` beside the repository.
pub(super) fn default_folder() -> PathBuf {
    // Tests run in the folder of their crate, the program in that of the repository.
    let root = if cfg!(test) { concat!(env!("CARGO_MANIFEST_DIR"), "/../..") } else { "." };
    let fixtures = std::env::var_os("PARALLELPOOL_FIXTURES")
        .map_or_else(|| Path::new(root).join("../shared/fixtures"), PathBuf::from);
    fixtures.join("mainnet")
}

/// The first block of 2021.
const FIRST_OF_2021: u64 = 11_565_019;

/// Every recorded block that has transactions, by number.
pub(super) fn all(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    within(making, 0..=u64::MAX)
}

/// Those from 2021 on: calls into busy contracts more than payments.
pub(super) fn since_2021(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    within(making, FIRST_OF_2021..=u64::MAX)
}

/// What `text` names: a number, or numbers from `A..B` (both included), `A..` or `..B`.
pub(super) fn chosen(making: &Making<'_>, text: &str) -> Result<Vec<BenchBlock>, CoreError> {
    let Some((first, last)) = text.split_once("..") else { return Ok(vec![one(making, text)?]) };
    let bound = |text: &str, open: u64| if text.is_empty() { Some(open) } else { text.parse().ok() };
    match (bound(first, 0), bound(last, u64::MAX)) {
        (Some(first), Some(last)) => within(making, first..=last),
        _ => Err(CoreError::InvalidArgument(format!("no range of block numbers: {text:?}"))),
    }
}

fn within(making: &Making<'_>, range: RangeInclusive<u64>) -> Result<Vec<BenchBlock>, CoreError> {
    let folder = &making.recorded;
    let listed = std::fs::read_dir(folder).map_err(|error| {
        CoreError::InvalidArgument(format!(
            "no recorded blocks in {} ({error}); PARALLELPOOL_FIXTURES says where they are",
            folder.display()
        ))
    })?;
    let mut numbers: Vec<u64> = listed
        .filter_map(|entry| number_of(&entry.ok()?.path()))
        .filter(|number| range.contains(number))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Err(CoreError::InvalidArgument(format!("no such recorded blocks in {}", folder.display())));
    }
    let kept = making.count(numbers.len());
    let blocks =
        making.workers.map(&numbers[..kept.min(numbers.len())], |number| one(making, &number.to_string()));
    let blocks = blocks.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(blocks.into_iter().filter(|block| !block.transactions.is_empty()).collect())
}

/// The recorded block of that number.
fn one(making: &Making<'_>, number: &str) -> Result<BenchBlock, CoreError> {
    let path = ENDINGS
        .iter()
        .map(|ending| making.recorded.join(format!("{number}{ending}")))
        .find(|path| number.bytes().all(|byte| byte.is_ascii_digit()) && path.is_file())
        .ok_or_else(|| {
            CoreError::InvalidArgument(format!(
                "no recorded block {number:?} in {}",
                making.recorded.display()
            ))
        })?;
    let named = |error: CoreError| CoreError::InvalidArgument(format!("{}: {error}", path.display()));
    let mut workload = file::recorded(&file::read_text(&path)?).map_err(named)?;
    Ok(workload.blocks.remove(0))
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?.parse().ok()
}
