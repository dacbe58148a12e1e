//! Ommers: how many, whose children, and never twice.

use std::collections::{HashMap, HashSet};

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};

use super::{InvalidHeader, require, validate_fields};
use crate::block_codec::{Block, header_hash};
use crate::chainspec::{ChainSpec, Fork};
use crate::primitives::B256;

const MAX_OMMERS: usize = 2;
/// Generations back to an ommer's parent.
const MAX_DEPTH: usize = 7;

/// Checks the ommers of a block whose own header was checked.
///
/// `ancestor(hash, number)` gives an earlier block's header and ommers. Where it answers `None`
/// the ancestry ends: an ommer that hangs further down is refused as dangling.
pub fn validate_ommers(
    spec: &ChainSpec,
    block: &Block,
    mut ancestor: impl FnMut(B256, u64) -> Option<(Header, Vec<Header>)>,
) -> Result<(), InvalidHeader> {
    let most = if spec.fork_of(&block.header) >= Fork::Paris { 0 } else { MAX_OMMERS };
    require(block.ommers.len() <= most, || InvalidHeader::TooManyOmmers)?;
    if block.ommers.is_empty() {
        return Ok(());
    }
    let mut ancestors = HashMap::new();
    let mut seen = HashSet::from([block.hash]);
    let (mut hash, mut number) = (block.header.parent_hash, block.header.number);
    while ancestors.len() < MAX_DEPTH && number > 0 {
        number -= 1;
        let Some((header, ommers)) = ancestor(hash, number) else { break };
        if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
            seen.extend(ommers.iter().map(header_hash));
        }
        let parent = header.parent_hash;
        ancestors.insert(hash, header);
        hash = parent;
    }
    for ommer in &block.ommers {
        let hash = header_hash(ommer);
        require(seen.insert(hash), || InvalidHeader::DuplicateOmmer)?;
        require(!ancestors.contains_key(&hash), || InvalidHeader::OmmerIsAncestor)?;
        let parent = ancestors
            .get(&ommer.parent_hash)
            .filter(|_| ommer.parent_hash != block.header.parent_hash)
            .ok_or(InvalidHeader::DanglingOmmer)?;
        validate_fields(spec, parent, ommer).map_err(|reason| InvalidHeader::Ommer(Box::new(reason)))?;
    }
    Ok(())
}
