//! Where a traced transaction stands.

use crate::chainspec::Rules;
use crate::primitives::B256;

/// Block and index of a transaction; a message has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The rules it runs under.
    pub(super) rules: Rules,
    /// Its block.
    pub(super) block: Option<(u64, B256)>,
    /// Its index there.
    pub(super) index: usize,
    /// Its hash.
    pub(super) hash: Option<B256>,
}
