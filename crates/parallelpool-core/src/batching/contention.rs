//! What the pool's transactions meet at: the hottest locations, and who waits for whom.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::builder::Builder;
use super::locations::LocationId;
use super::users::{Use, User, Users};
use crate::access::{Access, AccessSet, Conflict, Field, Location};
use crate::primitives::{Address, B256};

/// A location, or a whole account, over which pooled transactions conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HotSpot {
    /// The account.
    pub address: Address,
    /// Which part of it; `None` where all parts were taken together.
    pub field: Option<Field>,
    /// Transactions that observe it.
    pub readers: usize,
    /// Transactions that credit or debit it without looking.
    pub changers: usize,
    /// Transactions that replace it, or observe and change it.
    pub writers: usize,
    /// Transactions that must keep an order there: all of the above, each once.
    pub queue: usize,
    /// Sum of their predicted gas.
    pub waiting_gas: u64,
}

/// One pooled transaction before another, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// Who waits.
    pub dependent: B256,
    /// Who comes first: the better tip, or the lower nonce.
    pub dependency: B256,
    /// Where they meet; the first access is that of the dependency.
    pub conflict: Conflict,
}

impl Builder {
    /// The locations with most transactions that must keep an order, most first. A sender's own
    /// nonces are no contention.
    pub fn hottest_locations(&self, limit: usize) -> Vec<HotSpot> {
        let spots = self.contested().map(|(id, users)| {
            let name = self.locations.name(id);
            let [readers, changers, writers] = users.counts.by_class().map(|count| count as usize);
            let gas = users.iter().map(|user| self.entries.row(user.entry).gas_used);
            HotSpot {
                address: name.address,
                field: Some(name.field),
                readers,
                changers,
                writers,
                queue: users.len(),
                waiting_gas: gas.fold(0, u64::saturating_add),
            }
        });
        hottest(spots.collect(), limit)
    }

    /// As [`Self::hottest_locations`], all parts of an account taken together. A transaction that
    /// counts as a reader of one part and a writer of another is a writer.
    pub fn hottest_accounts(&self, limit: usize) -> Vec<HotSpot> {
        let mut accounts: HashMap<u32, HashMap<u32, usize, RandomState>, RandomState> = HashMap::default();
        for (_, users) in self.contested() {
            for user in users.iter() {
                let used = self.used_by(user);
                let account = self.locations.account_of(used.location);
                let strongest = accounts.entry(account).or_default().entry(user.entry).or_default();
                *strongest = (*strongest).max(used.class() as usize);
            }
        }
        let spots = accounts.iter().map(|(account, entries)| {
            let mut counts = [0_usize; 3];
            entries.values().for_each(|&strongest| counts[strongest] += 1);
            let gas = entries.keys().map(|&id| self.entries.row(id).gas_used);
            HotSpot {
                address: self.locations.address(*account),
                field: None,
                readers: counts[0],
                changers: counts[1],
                writers: counts[2],
                queue: entries.len(),
                waiting_gas: gas.fold(0, u64::saturating_add),
            }
        });
        hottest(spots.collect(), limit)
    }

    fn used_by(&self, user: User) -> Use {
        self.entries.uses[user.entry as usize][user.nth as usize]
    }

    fn contested(&self) -> impl Iterator<Item = (LocationId, Users<'_>)> {
        self.locations
            .touched()
            .map(|id| (id, self.locations.users(id)))
            .filter(|(_, users)| users.counts.is_contested() && users.iter().any(|user| user.nth != 0))
    }

    /// Pooled transactions that `hash` must follow, each with one reason, the nearest in order
    /// first; `None` if it is not held or cannot pay. The order is that of the tips.
    pub fn dependencies_of(&self, hash: &B256, limit: usize) -> Option<Vec<Dependency>> {
        let id = self.entries.find(hash)?;
        let own = self.entries.tip_key(id)?;
        let mut met: HashSet<u32, RandomState> = HashSet::default();
        let mut found = Vec::new();
        for used in &self.entries.uses[id as usize] {
            let users = self.locations.users(used.location);
            if users.len() < 2 || users.counts.conflicting(used.class()) == 0 {
                continue;
            }
            for user in users.iter() {
                let theirs = self.used_by(user);
                let Some(key) = self.entries.tip_key(user.entry).filter(|key| *key < own) else { continue };
                if theirs.class().conflicts_with(used.class()) && met.insert(user.entry) {
                    let location = self.locations.name(used.location);
                    let conflict = Conflict { location, first: theirs.access(), second: used.access() };
                    let dependency = self.entries.hash(user.entry);
                    found.push((key, Dependency { dependent: *hash, dependency, conflict }));
                }
            }
        }
        found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        found.truncate(limit);
        Some(found.into_iter().map(|(_, dependency)| dependency).collect())
    }

    /// Pooled transactions of others that conflict with an access set, pooled or not: (hash, what
    /// they do, what the set does). At most `limit`, and how many there are.
    pub fn conflicts_with(&self, access: &AccessSet, sender: Option<Address>, limit: usize) -> Contention {
        let mut contention = Contention::default();
        let mut met: HashSet<u32, RandomState> = HashSet::default();
        for (location, kinds) in &access.accesses {
            let Some(id) = self.locations.find(location) else { continue };
            self.meet(&mut contention, &mut met, (id, *location, *kinds), limit, |other| {
                let its_sender = self.locations.address(self.entries.row(other).sender);
                self.entries.hash(other) != access.hash && Some(its_sender) != sender
            });
        }
        contention.transactions = met.len();
        contention
    }

    fn meet(
        &self,
        contention: &mut Contention,
        met: &mut HashSet<u32, RandomState>,
        (id, location, kinds): (LocationId, Location, Access),
        limit: usize,
        is_other: impl Fn(u32) -> bool,
    ) {
        for user in self.locations.users(id).iter() {
            let theirs = self.used_by(user).access();
            if theirs.conflicts_with(kinds) && is_other(user.entry) {
                met.insert(user.entry);
                if contention.conflicts.len() < limit {
                    let conflict = Conflict { location, first: theirs, second: kinds };
                    contention.conflicts.push((self.entries.hash(user.entry), conflict));
                }
            }
        }
    }
}

/// With what an access set conflicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contention {
    /// The other transaction and where they meet; the first access is the other's.
    pub conflicts: Vec<(B256, Conflict)>,
    /// How many transactions conflict, listed or not.
    pub transactions: usize,
}

fn hottest(mut spots: Vec<HotSpot>, limit: usize) -> Vec<HotSpot> {
    // The rest of the key makes the answer depend on the pool alone.
    spots.sort_unstable_by_key(|spot| {
        (std::cmp::Reverse(spot.queue), std::cmp::Reverse(spot.waiting_gas), spot.address, spot.field)
    });
    spots.truncate(limit);
    spots
}
