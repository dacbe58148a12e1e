//! The level of each chosen transaction: one more than that of the last one it conflicts with.
//!
//! One pass in order over a dense table of locations. A location's history is a row of *runs*:
//! accesses that commute with one another, each run in conflict with the next. So what a
//! transaction must follow at a location is the run before its own, and two numbers per location
//! tell its level. Levels keep the order of everything that conflicts; members of one level do not
//! conflict and together leave every debited account at zero or more.

use super::builder::Entry;
use super::graph::Footprints;
use super::locations::{AccountId, Class, Locations, Use};
use super::order::Strategy;
use crate::access::{Field, Location};
use crate::primitives::{Address, U256};

/// Level of what runs one by one behind all others.
pub(super) const IN_LINE: u32 = u32::MAX - 1;

/// Tables over all locations, accounts and entries. They keep their room from build to build, and
/// what another build left there does not count.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    build: u32,
    cells: Vec<Cell>,
    purses: Vec<Purse>,
    /// Build in which an entry was chosen.
    pub(super) chosen: Vec<u32>,
    /// Build in which an account's next transaction was passed over.
    pub(super) passed: Vec<u32>,
    ranks: Vec<(u32, u64)>,
}

/// What has happened to a location so far. Levels are counted from one here, so that zero means
/// nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    build: u32,
    class: Class,
    /// Highest level of the current run.
    run: u32,
    /// Highest level of all runs before it.
    before: u32,
}

/// What chosen transactions may take from an account.
#[derive(Debug, Clone, Copy, Default)]
struct Purse {
    build: u32,
    /// Less is there than all of them together may need.
    is_short: bool,
    /// While counting: the sum of what they may need. After: what is left of the start balance.
    wei: U256,
}

impl Scratch {
    /// Makes all that is noted here void.
    pub(super) fn begin(&mut self, entries: usize, locations: &Locations) -> u32 {
        if self.build == u32::MAX {
            *self = Self::default();
        }
        self.build += 1;
        self.cells.resize(locations.cells().max(self.cells.len()), Cell::default());
        self.purses.resize(locations.account_numbers().max(self.purses.len()), Purse::default());
        self.chosen.resize(entries.max(self.chosen.len()), 0);
        self.passed.resize(locations.account_numbers().max(self.passed.len()), 0);
        self.ranks.resize(locations.account_numbers().max(self.ranks.len()), (0, 0));
        self.build
    }

    fn cell(&mut self, place: u32) -> &mut Cell {
        let cell = &mut self.cells[place as usize];
        if cell.build != self.build {
            *cell = Cell { build: self.build, ..Cell::default() };
        }
        cell
    }

    fn purse(&mut self, account: AccountId) -> &mut Purse {
        let purse = &mut self.purses[account as usize];
        if purse.build != self.build {
            *purse = Purse { build: self.build, ..Purse::default() };
        }
        purse
    }
}

/// Where fees go, if that matters: somebody in the pool observes or replaces that balance.
pub(super) fn contested_fee_account(locations: &Locations, beneficiary: Address) -> Option<u32> {
    let found = locations.find(&Location { address: beneficiary, field: Field::Balance })?;
    let observers = locations.users(found).conflicting(Class::Delta);
    (observers > 0).then(|| locations.cell(found) as u32)
}

/// What the chosen entries touch, side by side in memory.
pub(super) fn footprints(
    entries: &[Entry],
    chosen: &[u32],
    locations: &Locations,
    fee_account: Option<u32>,
) -> Footprints {
    let mut footprints = Footprints::with_capacity(chosen.len());
    for &id in chosen {
        let entry = &entries[id as usize];
        let mut pays_elsewhere = fee_account;
        for Use { location, class, .. } in &entry.uses {
            let place = locations.cell(*location) as u32;
            let is_fee_account = fee_account == Some(place);
            footprints.push(place, if is_fee_account { class.with(Class::Delta) } else { *class });
            if is_fee_account {
                pays_elsewhere = None;
            }
        }
        if let Some(place) = pays_elsewhere {
            footprints.push(place, Class::Delta);
        }
        footprints.close(entry.is_sequential(), entry.is_known);
    }
    footprints
}

/// The chosen entries in the order in which the strategy wants them arranged.
pub(super) fn rank(
    strategy: Strategy,
    entries: &[Entry],
    chosen: &mut [u32],
    locations: &Locations,
    scratch: &mut Scratch,
) {
    let degree = |entry: &Entry| -> u64 {
        let conflicts = |used: &Use| {
            let users = locations.users(used.location);
            u64::from(users.conflicting(used.class)) - u64::from(used.class == Class::Write)
        };
        // The sender's own nonces say nothing about others.
        entry.uses.iter().skip(1).map(conflicts).sum()
    };
    let own: fn(&Entry, u64) -> u64 = match strategy {
        Strategy::Tip | Strategy::Fifo => return,
        Strategy::Width => |_, degree| degree,
        Strategy::Latency => |entry, _| u64::MAX - entry.gas_used,
    };
    let build = scratch.build;
    let mut ranked: Vec<(u64, u32, u32)> = Vec::with_capacity(chosen.len());
    for (place, &id) in chosen.iter().enumerate() {
        let entry = &entries[id as usize];
        let rank = own(entry, if strategy == Strategy::Width { degree(entry) } else { 0 });
        // No nonce before the earlier ones of its sender.
        let worst = &mut scratch.ranks[entry.sender as usize];
        let rank = if worst.0 == build { rank.max(worst.1) } else { rank };
        *worst = (build, rank);
        ranked.push((rank, place as u32, id));
    }
    ranked.sort_unstable();
    for (slot, (_, _, id)) in chosen.iter_mut().zip(ranked) {
        *slot = id;
    }
}

/// The level of each chosen entry; [`IN_LINE`] if its access is unknown, its sender asks for it,
/// escrow does not hold for it, or it follows one in line.
///
/// One that asks to be in line gives up its place before those that it conflicts with, except its
/// sender's own: else a single one could draw all users of a popular contract behind itself.
pub(super) fn levels<E>(
    entries: &[Entry],
    chosen: &[u32],
    footprints: &mut Footprints,
    locations: &mut Locations,
    scratch: &mut Scratch,
    mut balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Vec<u32>, E> {
    let any_short = find_short_purses(entries, chosen, locations, scratch, &mut balance)?;
    let mut levels = Vec::with_capacity(chosen.len());
    let mut unpaid = Vec::new();
    for (index, &id) in chosen.iter().enumerate() {
        let uses = footprints.of(index);
        if footprints.is_sequential(index) {
            follow(scratch, &uses[..1], IN_LINE);
            levels.push(IN_LINE);
            continue;
        }
        let floor = uses.iter().map(|&(place, class)| floor(scratch, place, class)).max().unwrap_or(0);
        let mut level = floor.min(IN_LINE);
        if any_short && level != IN_LINE && !reserve(scratch, &entries[id as usize]) {
            level = IN_LINE;
            unpaid.push(index);
        }
        follow(scratch, uses, level);
        levels.push(level);
    }
    for index in unpaid {
        let debits = &entries[chosen[index] as usize].debits;
        for (account, _) in debits.iter().filter(|(account, _)| scratch.purse(*account).is_short) {
            // It must follow all who take from there before it.
            let balance = locations.locate(*account, Field::Balance);
            footprints.raise(index, locations.cell(balance) as u32);
        }
    }
    Ok(levels)
}

/// The lowest level that an access may have: past all that conflicts with it.
fn floor(scratch: &mut Scratch, place: u32, class: Class) -> u32 {
    let cell = scratch.cell(place);
    if class.conflicts_with(cell.class) { cell.run } else { cell.before }
}

/// Notes accesses at `level`.
fn follow(scratch: &mut Scratch, uses: &[(u32, Class)], level: u32) {
    for &(place, class) in uses {
        let cell = scratch.cell(place);
        if class.conflicts_with(cell.class) {
            cell.before = cell.before.max(cell.run);
            cell.run = level + 1;
            cell.class = class;
        } else {
            cell.run = cell.run.max(level + 1);
        }
    }
}

/// Sums up what may be needed from each account, and finds those that cannot pay for all.
///
/// Credits are not counted: a parallel member may run before the one that pays it.
fn find_short_purses<E>(
    entries: &[Entry],
    chosen: &[u32],
    locations: &mut Locations,
    scratch: &mut Scratch,
    balance: &mut impl FnMut(&Address) -> Result<U256, E>,
) -> Result<bool, E> {
    let mut debited: Vec<AccountId> = Vec::with_capacity(chosen.len());
    let build = scratch.build;
    for &id in chosen {
        let entry = &entries[id as usize];
        if entry.is_sequential() {
            continue;
        }
        for (account, wei) in &entry.debits {
            if scratch.purses[*account as usize].build != build {
                debited.push(*account);
            }
            let purse = scratch.purse(*account);
            purse.wei = purse.wei.saturating_add(*wei);
        }
    }
    let mut any_short = false;
    for account in debited {
        let there = locations.balance(account, balance)?;
        let purse = scratch.purse(account);
        if purse.wei > there {
            purse.is_short = true;
            any_short = true;
        }
        purse.wei = there;
    }
    Ok(any_short)
}

/// Sets the entry's debits aside, or returns false and sets nothing aside.
fn reserve(scratch: &mut Scratch, entry: &Entry) -> bool {
    let pays = entry.debits.iter().all(|(account, wei)| {
        let purse = scratch.purse(*account);
        !purse.is_short || purse.wei >= *wei
    });
    if pays {
        for (account, wei) in &entry.debits {
            let purse = scratch.purse(*account);
            if purse.is_short {
                purse.wei -= *wei;
            }
        }
    }
    pays
}
