//! The level of each candidate: one more than that of the last one it conflicts with.
//!
//! One pass in execution order over a table of locations, so time is linear in the accesses. Levels
//! respect the execution order of everything that conflicts; candidates of one level do not
//! conflict and together leave every debited account at zero or more.

use hashbrown::HashMap;

use super::Candidate;
use super::escrow::Escrow;
use crate::access::{Access, Field, Location};
use crate::primitives::{Address, U256};

/// Direct dependencies kept per candidate: hints are bounded, whatever the transactions do.
const MAX_DEPENDENCIES: usize = 16;

/// Where each candidate stands.
#[derive(Debug)]
pub(super) struct Placement {
    /// Candidates of each level, in execution order.
    pub(super) levels: Vec<Vec<usize>>,
    /// Candidates that must run one by one behind all levels, in execution order.
    pub(super) sequential: Vec<usize>,
    /// Direct dependencies of each candidate, ascending.
    pub(super) dependencies: Vec<Vec<usize>>,
}

/// What has happened to a location so far, per kind of access: the first free level (one past the
/// highest level that holds such an access) and the latest such candidate.
#[derive(Debug, Clone, Copy, Default)]
struct History {
    read: Last,
    write: Last,
    credit: Last,
    debit: Last,
}

#[derive(Debug, Clone, Copy, Default)]
struct Last {
    free_level: usize,
    candidate: Option<usize>,
}

impl History {
    fn kinds(&mut self) -> [(Access, &mut Last); 4] {
        [
            (Access::READ, &mut self.read),
            (Access::WRITE, &mut self.write),
            (Access::CREDIT, &mut self.credit),
            (Access::DEBIT, &mut self.debit),
        ]
    }
}

/// Assigns levels. A candidate goes sequential if its access is unknown, its sender asks for it,
/// escrow does not hold for it, or it follows a sequential one that it conflicts with.
pub(super) fn assign<E>(
    candidates: &[Candidate<'_>],
    beneficiary: Address,
    balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Placement, E> {
    let mut table: HashMap<Location, History, foldhash::fast::RandomState> = HashMap::default();
    let mut escrow = Escrow::new(balance);
    let mut in_line: HashMap<Location, Access, foldhash::fast::RandomState> = HashMap::default();
    let mut senders_in_line: hashbrown::HashSet<Address, foldhash::fast::RandomState> = Default::default();
    let mut placement = Placement {
        levels: Vec::new(),
        sequential: Vec::new(),
        dependencies: Vec::with_capacity(candidates.len()),
    };
    for (index, candidate) in candidates.iter().enumerate() {
        let accesses = accesses_of(candidate, beneficiary);
        let (level, dependencies) = place(&mut table, &accesses);
        placement.dependencies.push(dependencies);
        let follows_line = senders_in_line.contains(&candidate.sender)
            || accesses.iter().any(|(location, access)| {
                in_line.get(location).is_some_and(|earlier| earlier.conflicts_with(*access))
            });
        let stays_out = follows_line || candidate.asks_sequential || !candidate.access.is_known();
        if stays_out || !escrow.reserve(candidate.access)? {
            senders_in_line.insert(candidate.sender);
            for (location, access) in &accesses {
                let entry = in_line.entry(*location).or_default();
                *entry = entry.with(*access);
            }
            remember(&mut table, &accesses, None, index);
            placement.sequential.push(index);
            continue;
        }
        remember(&mut table, &accesses, Some(level), index);
        if placement.levels.len() <= level {
            placement.levels.resize_with(level + 1, Vec::new);
        }
        placement.levels[level].push(index);
    }
    Ok(placement)
}

/// The candidate's accesses and what every transaction does: count up its sender's nonce, pay a fee.
pub(super) fn accesses_of(candidate: &Candidate<'_>, beneficiary: Address) -> Vec<(Location, Access)> {
    let fee = (Location { address: beneficiary, field: Field::Balance }, Access::CREDIT);
    let nonce = (Location { address: candidate.sender, field: Field::Nonce }, Access::WRITE);
    let known = candidate.access.accesses.iter().map(|(location, access)| (*location, *access));
    known.chain([fee, nonce]).collect()
}

/// The lowest level after everything that conflicts, and the latest candidates that do.
fn place(
    table: &mut HashMap<Location, History, foldhash::fast::RandomState>,
    accesses: &[(Location, Access)],
) -> (usize, Vec<usize>) {
    let mut level = 0;
    let mut dependencies = Vec::new();
    for (location, access) in accesses {
        let Some(history) = table.get_mut(location) else { continue };
        for (kind, last) in history.kinds() {
            if access.conflicts_with(kind) {
                level = level.max(last.free_level);
                dependencies.extend(last.candidate);
            }
        }
    }
    dependencies.sort_unstable_by(|a, b| b.cmp(a));
    dependencies.dedup();
    dependencies.truncate(MAX_DEPENDENCIES);
    dependencies.reverse();
    (level, dependencies)
}

/// Enters accesses into the table; `level` is `None` for a candidate that runs behind all levels.
fn remember(
    table: &mut HashMap<Location, History, foldhash::fast::RandomState>,
    accesses: &[(Location, Access)],
    level: Option<usize>,
    index: usize,
) {
    for (location, access) in accesses {
        for (kind, last) in table.entry(*location).or_default().kinds() {
            if access.has(kind) {
                last.free_level = last.free_level.max(level.map_or(0, |level| level + 1));
                last.candidate = Some(index);
            }
        }
    }
}
