//! The level of each chosen transaction: one more than that of the last one it conflicts with.
//!
//! One pass in order over a dense table of locations. A location's history is a row of *runs*:
//! accesses that commute with one another, each run in conflict with the next. So what a
//! transaction must follow at a location is the run before its own, and two numbers per location
//! tell its level. Levels keep the order of everything that conflicts; members of one level do not
//! conflict and together leave every debited account at zero or more.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::builder::STRETCH;
use super::entries::{Entries, Owes};
use super::graph::{Flags, Footprints};
use super::locations::{AccountId, LocationId, Locations};
use super::order::Strategy;
use super::users::{Class, Use};
use crate::access::{Field, Location};
use crate::primitives::{Address, B256, U256};

/// Level of what runs one by one behind all others.
pub(super) const IN_LINE: u32 = u32::MAX - 1;

/// Tables over accounts, entries and the locations that several use. They keep their room from build to build, and
/// what another build left there does not count.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    build: u32,
    /// By number in the pool's table of locations that several use: the build in which a chosen one
    /// used it, and its number in there.
    numbers: Vec<(u32, u32)>,
    /// By number in the build.
    cells: Vec<Cell>,
    /// Of accounts that cannot pay for the whole pool.
    purses: HashMap<AccountId, Purse, RandomState>,
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
    class: Class,
    /// Highest level of the current run.
    run: u32,
    /// Highest level of all runs before it.
    before: u32,
}

/// What chosen transactions may take from an account.
#[derive(Debug, Default)]
struct Purse {
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
        // One more for the account that earns the fees.
        grow(&mut self.numbers, locations.cells() + 1);
        self.cells.clear();
        grow(&mut self.chosen, entries);
        grow(&mut self.passed, locations.account_numbers());
        self.purses.clear();
        self.build
    }

    /// The number in this build of a location by its number among the pool's: what a build looks at
    /// again and again then stands close together.
    fn number(&mut self, cell: u32) -> u32 {
        let (build, number) = &mut self.numbers[cell as usize];
        if *build != self.build {
            (*build, *number) = (self.build, self.cells.len() as u32);
            self.cells.push(Cell::default());
        }
        *number
    }
}

/// Makes a table at least so long, with some room left: moving it when a few come is dear.
fn grow<T: Clone + Default>(table: &mut Vec<T>, length: usize) {
    if table.capacity() < length {
        table.reserve(length + length / 4 - table.len());
    }
    table.resize(length.max(table.len()), T::default());
}

/// Where fees go, in a pool of which somebody observes or replaces that balance.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeeAccount {
    location: LocationId,
    cell: u32,
}

/// Where fees go, if that matters.
pub(super) fn contested_fee_account(locations: &Locations, beneficiary: Address) -> Option<FeeAccount> {
    let location = locations.find(&Location { address: beneficiary, field: Field::Balance })?;
    let observers = locations.users(location).counts.conflicting(Class::Delta);
    // Where a single one observes it, its location has no cell: all pay there, so it gets the last.
    let cell = locations.cell(location).unwrap_or(locations.cells() as u32);
    (observers > 0).then_some(FeeAccount { location, cell })
}

/// The cell of a location that several of a block may use.
fn cell_of(locations: &Locations, location: LocationId, fees: Option<FeeAccount>) -> Option<u32> {
    match fees {
        Some(fees) if fees.location == location => Some(fees.cell),
        _ if locations.is_shared(location) => locations.cell(location),
        _ => None,
    }
}

/// What planning needs of the chosen entries, side by side in memory: an entry is large, and each is
/// looked at once.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) hashes: Vec<B256>,
    pub(super) gas_limits: Vec<u64>,
    pub(super) gas_used: Vec<u64>,
    pub(super) footprints: Footprints,
    fees: Option<FeeAccount>,
    /// Whom a debit may leave short. Those in line wait for their money anyway.
    debited: Vec<AccountId>,
    /// What each one may need from whom, if anybody is short.
    debits: Vec<(AccountId, U256)>,
    /// Where each one's debits end.
    debits_end: Vec<u32>,
}

impl Chosen {
    fn debits_of(&self, index: usize) -> std::ops::Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.debits_end[before]);
        start as usize..self.debits_end[index] as usize
    }
}

/// Gathers the chosen entries. Locations that nobody else uses, or all only read, are left out.
pub(super) fn gather(
    entries: &Entries,
    ids: &[u32],
    locations: &Locations,
    fees: Option<FeeAccount>,
    scratch: &mut Scratch,
) -> Chosen {
    let mut chosen = Chosen {
        hashes: ids.iter().map(|&id| entries.hash(id)).collect(),
        gas_limits: Vec::with_capacity(ids.len()),
        gas_used: Vec::with_capacity(ids.len()),
        footprints: Footprints::with_capacity(ids.len()),
        fees,
        debited: Vec::with_capacity(ids.len()),
        debits: Vec::new(),
        debits_end: Vec::new(),
    };
    // One column after another: the processor then waits for several transactions at a time.
    for &id in ids {
        let entry = entries.row(id);
        chosen.gas_limits.push(entry.gas_limit);
        chosen.gas_used.push(entry.gas_used);
        let (is_sequential, is_known) = (entry.is_sequential(), entry.is_known);
        chosen.footprints.flags.push(Flags { is_sequential, is_known, has_nonce: false });
        if is_sequential {
            continue;
        }
        match entry.owes {
            Owes::Nobody => {}
            Owes::Itself => chosen.debited.push(entry.sender),
            Owes::Others => chosen.debited.extend(entries.debits[id as usize].iter().map(|debit| debit.0)),
        }
    }
    for (index, &id) in ids.iter().enumerate() {
        if index % STRETCH == 0 {
            ids[index..].iter().take(STRETCH).for_each(|&id| entries.foresee_uses(id));
        }
        let mut pays_elsewhere = fees;
        for (nth, used) in entries.uses[id as usize].iter().enumerate() {
            let Some(cell) = cell_of(locations, used.location, fees) else { continue };
            chosen.footprints.flags[index].has_nonce |= nth == 0;
            let is_fee_account = fees.is_some_and(|fees| fees.location == used.location);
            let class = if is_fee_account { used.class().with(Class::Delta) } else { used.class() };
            chosen.footprints.push(scratch.number(cell), class);
            if is_fee_account {
                pays_elsewhere = None;
            }
        }
        if let Some(fees) = pays_elsewhere {
            chosen.footprints.push(scratch.number(fees.cell), Class::Delta);
        }
        chosen.footprints.close();
    }
    chosen.footprints.locations = scratch.cells.len();
    chosen
}

impl Chosen {
    /// Gathers what each one may need from whom.
    fn gather_debits(&mut self, entries: &Entries, ids: &[u32]) {
        for (index, &id) in ids.iter().enumerate() {
            if !self.footprints.is_sequential(index) {
                self.debits.extend_from_slice(&entries.debits[id as usize]);
            }
            self.debits_end.push(self.debits.len() as u32);
        }
    }
}

/// The chosen entries in the order in which the strategy wants them arranged.
pub(super) fn rank(
    strategy: Strategy,
    entries: &Entries,
    chosen: &mut [u32],
    locations: &Locations,
    scratch: &mut Scratch,
) {
    let degree = |id: u32| -> u64 {
        let conflicts = |used: &Use| {
            let (counts, class) = (locations.users(used.location).counts, used.class());
            u64::from(counts.conflicting(class)) - u64::from(class == Class::Write)
        };
        // The sender's own nonces say nothing about others.
        entries.uses[id as usize].iter().skip(1).map(conflicts).sum()
    };
    let own = |id: u32| match strategy {
        Strategy::Latency => u64::MAX - entries.row(id).gas_used,
        _ => degree(id),
    };
    if matches!(strategy, Strategy::Tip | Strategy::Fifo) {
        return;
    }
    grow(&mut scratch.ranks, locations.account_numbers());
    let build = scratch.build;
    let mut ranked: Vec<(u64, u32, u32)> = Vec::with_capacity(chosen.len());
    for (place, &id) in chosen.iter().enumerate() {
        let rank = own(id);
        // No nonce before the earlier ones of its sender.
        let worst = &mut scratch.ranks[entries.row(id).sender as usize];
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
    (entries, ids): (&Entries, &[u32]),
    locations: &mut Locations,
    scratch: &mut Scratch,
    mut balance: impl FnMut(&Address) -> Result<U256, E>,
) -> Result<Vec<u32>, E> {
    let any_short = find_short_purses(chosen, (entries, ids), locations, scratch, &mut balance)?;
    let count = chosen.hashes.len();
    let mut levels = Vec::with_capacity(count);
    let mut unpaid = Vec::new();
    for index in 0..count {
        let uses = chosen.footprints.of(index);
        if chosen.footprints.is_sequential(index) {
            follow(scratch, chosen.footprints.nonce_of(index), IN_LINE);
            levels.push(IN_LINE);
            continue;
        }
        let floor = uses.iter().map(|&(place, class)| floor(scratch, place, class)).max().unwrap_or(0);
        let mut level = floor.min(IN_LINE);
        if any_short && level != IN_LINE && !reserve(scratch, &chosen.debits[chosen.debits_of(index)]) {
            level = IN_LINE;
            unpaid.push(index);
        }
        follow(scratch, uses, level);
        levels.push(level);
    }
    for index in unpaid {
        for (account, _) in &chosen.debits[chosen.debits_of(index)] {
            // It must follow all who take from there before it.
            if scratch.purses.get(account).is_some_and(|purse| purse.is_short)
                && let Some(cell) = cell_of(locations, locations.balance_of(*account), chosen.fees)
            {
                chosen.footprints.raise(index, scratch.number(cell));
            }
        }
    }
    Ok(levels)
}

/// The lowest level that an access may have: past all that conflicts with it.
fn floor(scratch: &Scratch, place: u32, class: Class) -> u32 {
    let cell = &scratch.cells[place as usize];
    if class.conflicts_with(cell.class) { cell.run } else { cell.before }
}

/// Notes accesses at `level`.
fn follow(scratch: &mut Scratch, uses: &[(u32, Class)], level: u32) {
    for &(place, class) in uses {
        let cell = &mut scratch.cells[place as usize];
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
    chosen: &mut Chosen,
    (entries, ids): (&Entries, &[u32]),
    locations: &mut Locations,
    scratch: &mut Scratch,
    balance: &mut impl FnMut(&Address) -> Result<U256, E>,
) -> Result<bool, E> {
    for (index, &account) in chosen.debited.iter().enumerate() {
        if index % STRETCH == 0 {
            chosen.debited[index..]
                .iter()
                .take(STRETCH)
                .for_each(|&account| locations.foresee_purse(account));
        }
        if locations.is_short(account, balance)? {
            scratch.purses.entry(account).or_default();
        }
    }
    if scratch.purses.is_empty() {
        return Ok(false);
    }
    chosen.gather_debits(entries, ids);
    for (account, wei) in &chosen.debits {
        if let Some(purse) = scratch.purses.get_mut(account) {
            purse.wei = purse.wei.saturating_add(*wei);
        }
    }
    let mut any_short = false;
    for (&account, purse) in &mut scratch.purses {
        let there = locations.balance(account);
        purse.is_short = purse.wei > there;
        any_short |= purse.is_short;
        purse.wei = there;
    }
    Ok(any_short)
}

/// Sets debits aside, or returns false and sets nothing aside.
fn reserve(scratch: &mut Scratch, debits: &[(AccountId, U256)]) -> bool {
    let purses = &mut scratch.purses;
    let pays = debits
        .iter()
        .all(|(account, wei)| purses.get(account).is_none_or(|purse| !purse.is_short || purse.wei >= *wei));
    if pays {
        for (account, wei) in debits {
            if let Some(purse) = purses.get_mut(account)
                && purse.is_short
            {
                purse.wei -= *wei;
            }
        }
    }
    pays
}
