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
use crate::primitives::{Address, B256, U256};

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
        let accounts = locations.account_numbers();
        grow(&mut self.cells, locations.cells());
        grow(&mut self.purses, accounts);
        grow(&mut self.chosen, entries);
        grow(&mut self.passed, accounts);
        grow(&mut self.ranks, accounts);
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

/// Makes a table at least so long, with some room left: moving it when a few come is dear.
fn grow<T: Clone + Default>(table: &mut Vec<T>, length: usize) {
    if table.capacity() < length {
        table.reserve(length + length / 4 - table.len());
    }
    table.resize(length.max(table.len()), T::default());
}

/// Where fees go, if that matters: somebody in the pool observes or replaces that balance.
pub(super) fn contested_fee_account(locations: &Locations, beneficiary: Address) -> Option<u32> {
    let found = locations.find(&Location { address: beneficiary, field: Field::Balance })?;
    let observers = locations.users(found).conflicting(Class::Delta);
    (observers > 0).then(|| locations.cell(found) as u32)
}

/// What planning needs of the chosen entries, side by side in memory: an entry is large, and each is
/// looked at once.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) hashes: Vec<B256>,
    pub(super) gas_limits: Vec<u64>,
    pub(super) gas_used: Vec<u64>,
    pub(super) footprints: Footprints,
    debits: Vec<(AccountId, U256)>,
    /// Where each one's debits end.
    debits_end: Vec<u32>,
}

impl Chosen {
    fn debits(&self, index: usize) -> &[(AccountId, U256)] {
        let start = index.checked_sub(1).map_or(0, |before| self.debits_end[before]);
        &self.debits[start as usize..self.debits_end[index] as usize]
    }
}

/// Gathers the chosen entries. Locations that nobody else uses, or all only read, are left out.
pub(super) fn gather(
    entries: &[Entry],
    ids: &[u32],
    locations: &Locations,
    fee_account: Option<u32>,
) -> Chosen {
    let mut chosen = Chosen {
        hashes: Vec::with_capacity(ids.len()),
        gas_limits: Vec::with_capacity(ids.len()),
        gas_used: Vec::with_capacity(ids.len()),
        footprints: Footprints::with_capacity(ids.len()),
        debits: Vec::with_capacity(ids.len()),
        debits_end: Vec::with_capacity(ids.len()),
    };
    for &id in ids {
        let entry = &entries[id as usize];
        let mut pays_elsewhere = fee_account;
        for (nth, Use { location, class, .. }) in entry.uses.iter().enumerate() {
            let place = locations.cell(*location) as u32;
            let is_fee_account = fee_account == Some(place);
            // What runs in line draws its sender's later nonces along, whatever comes between.
            let is_nonce_in_line = nth == 0 && entry.is_sequential();
            if is_nonce_in_line || is_fee_account || locations.is_shared(*location) {
                let class = if is_fee_account { class.with(Class::Delta) } else { *class };
                chosen.footprints.push(place, class);
            }
            if is_fee_account {
                pays_elsewhere = None;
            }
        }
        if let Some(place) = pays_elsewhere {
            chosen.footprints.push(place, Class::Delta);
        }
        chosen.footprints.close(entry.is_sequential(), entry.is_known);
        chosen.hashes.push(entry.pooled.hash);
        chosen.gas_limits.push(entry.pooled.gas_limit);
        chosen.gas_used.push(entry.gas_used);
        if !entry.is_sequential() {
            chosen.debits.extend_from_slice(&entry.debits);
        }
        chosen.debits_end.push(chosen.debits.len() as u32);
    }
    chosen
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
    chosen: &mut Chosen,
    locations: &mut Locations,
    scratch: &mut Scratch,
    mut balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Vec<u32>, E> {
    let any_short = find_short_purses(chosen, locations, scratch, &mut balance)?;
    let count = chosen.hashes.len();
    let mut levels = Vec::with_capacity(count);
    let mut unpaid = Vec::new();
    for index in 0..count {
        let uses = chosen.footprints.of(index);
        if chosen.footprints.is_sequential(index) {
            follow(scratch, &uses[..1], IN_LINE);
            levels.push(IN_LINE);
            continue;
        }
        let floor = uses.iter().map(|&(place, class)| floor(scratch, place, class)).max().unwrap_or(0);
        let mut level = floor.min(IN_LINE);
        if any_short && level != IN_LINE && !reserve(scratch, chosen.debits(index)) {
            level = IN_LINE;
            unpaid.push(index);
        }
        follow(scratch, uses, level);
        levels.push(level);
    }
    for index in unpaid {
        let debits = chosen.debits(index).iter();
        let short: Vec<AccountId> =
            debits.map(|(account, _)| *account).filter(|account| scratch.purse(*account).is_short).collect();
        for account in short {
            // It must follow all who take from there before it.
            let balance = locations.locate(account, Field::Balance);
            chosen.footprints.raise(index, locations.cell(balance) as u32);
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

/// Finds accounts that cannot pay for all that the chosen ones may need from them, and returns
/// whether there are any. Who can pay for the whole pool is not looked at again.
///
/// Credits are not counted: a parallel member may run before the one that pays it.
fn find_short_purses<E>(
    chosen: &Chosen,
    locations: &mut Locations,
    scratch: &mut Scratch,
    balance: &mut impl FnMut(&Address) -> Result<U256, E>,
) -> Result<bool, E> {
    let mut doubtful: Vec<AccountId> = Vec::new();
    for &(account, wei) in &chosen.debits {
        if !locations.is_short(account, balance)? {
            continue;
        }
        if scratch.purses[account as usize].build != scratch.build {
            doubtful.push(account);
        }
        let purse = scratch.purse(account);
        purse.wei = purse.wei.saturating_add(wei);
    }
    let mut any_short = false;
    for account in doubtful {
        let there = locations.balance(account);
        let purse = scratch.purse(account);
        purse.is_short = purse.wei > there;
        any_short |= purse.is_short;
        purse.wei = there;
    }
    Ok(any_short)
}

/// Sets debits aside, or returns false and sets nothing aside.
fn reserve(scratch: &mut Scratch, debits: &[(AccountId, U256)]) -> bool {
    let pays = debits.iter().all(|(account, wei)| {
        let purse = scratch.purse(*account);
        !purse.is_short || purse.wei >= *wei
    });
    if pays {
        for (account, wei) in debits {
            let purse = scratch.purse(*account);
            if purse.is_short {
                purse.wei -= *wei;
            }
        }
    }
    pays
}
