//! Recorded mainnet blocks: files of the replay format, gzip or not.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use parallelpool_core::error::CoreError;
use parallelpool_core::replay::{self, ReplayBlock};

use super::{BenchBlock, Making};

const ENDINGS: [&str; 2] = [".json.gz", ".json"];

/// `$PARALLELPOOL_FIXTURES/mainnet`, or `../shared/fixtures/mainnet` beside the repository.
pub(super) fn default_folder() -> PathBuf {
    let fixtures =
        std::env::var_os("PARALLELPOOL_FIXTURES").map_or("../shared/fixtures".into(), PathBuf::from);
    fixtures.join("mainnet")
}

/// Every recorded block that has transactions, by number.
pub(super) fn all(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    let folder = &making.recorded;
    let listed = std::fs::read_dir(folder).map_err(|error| {
        CoreError::InvalidArgument(format!(
            "no recorded blocks in {} ({error}); PARALLELPOOL_FIXTURES says where they are",
            folder.display()
        ))
    })?;
    let mut numbers: Vec<u64> = listed.filter_map(|entry| number_of(&entry.ok()?.path())).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Err(CoreError::InvalidArgument(format!("no recorded blocks in {}", folder.display())));
    }
    let kept = making.count(numbers.len());
    let blocks =
        making.workers.map(&numbers[..kept.min(numbers.len())], |number| one(making, &number.to_string()));
    let blocks = blocks.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(blocks.into_iter().filter(|block| !block.transactions.is_empty()).collect())
}

/// The recorded block of that number.
pub(super) fn one(making: &Making<'_>, number: &str) -> Result<BenchBlock, CoreError> {
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
    let text = read_text(&path)?;
    let ReplayBlock { rules, block, transactions, state, expected: _ } = replay::parse(&text)
        .map_err(|error| CoreError::InvalidArgument(format!("{}: {error}", path.display())))?;
    let block_hashes = state.block_hashes().collect();
    Ok(BenchBlock { label: block.number.to_string(), rules, block, state, block_hashes, transactions })
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))?.parse().ok()
}

/// A file's content, unpacked if its name ends in `.gz`.
pub(crate) fn read_text(path: &Path) -> Result<Vec<u8>, CoreError> {
    let failed = |error: std::io::Error| CoreError::InvalidArgument(format!("{}: {error}", path.display()));
    let content = std::fs::read(path).map_err(failed)?;
    if path.extension().is_none_or(|ending| ending != "gz") {
        return Ok(content);
    }
    let mut text = Vec::new();
    GzDecoder::new(&content[..]).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}
