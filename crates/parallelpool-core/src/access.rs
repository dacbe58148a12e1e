//! What a transaction is expected to read and write, and when two of them conflict.
//!
//! The conflict model is `commutative-balance-v1`: credits commute with credits and debits, debits
//! commute as long as escrow holds for the whole set (see `batching::escrow`); everything that
//! observes what another changes conflicts. A missed conflict costs a re-execution, never a wrong
//! block: value validation in the executor is the correctness boundary, not this module.

use crate::primitives::{Address, B256, U256};
use crate::sorted_map::SortedMap;
use crate::tx::RecoveredTransaction;

/// The name under which others can verify our batches.
pub const CONFLICT_MODEL: &str = "commutative-balance-v1";

/// One thing that transactions read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The account.
    pub address: Address,
    /// Which part of it.
    pub field: Field,
}

/// Parts of an account that change independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Transaction or creation counter.
    Nonce,
    /// Wei.
    Balance,
    /// Code, and with it whether the account is a contract.
    Code,
    /// One slot.
    Storage(U256),
}

/// How a location is accessed: a set of [`Access::READ`] and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access(u8);

impl Access {
    /// The value is observed.
    pub const READ: Self = Self(1);
    /// The value is replaced; its old value may have been observed.
    pub const WRITE: Self = Self(2);
    /// An amount is added without looking.
    pub const CREDIT: Self = Self(4);
    /// An amount is taken away, under escrow without looking.
    pub const DEBIT: Self = Self(8);

    /// In so many bits every access fits.
    pub(crate) const BITS: u32 = 4;

    /// As a number below `1 << BITS`.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Undoes [`Self::bits`]; higher bits do not count.
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    /// Both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether two transactions that access one location so must keep their order.
    pub fn conflicts_with(self, other: Self) -> bool {
        let changes = Self::WRITE.with(Self::CREDIT).with(Self::DEBIT);
        self.has(Self::WRITE) && other.0 != 0
            || other.has(Self::WRITE) && self.0 != 0
            || self.has(Self::READ) && other.has(changes)
            || other.has(Self::READ) && self.has(changes)
    }

    /// Names for people and programs, strongest first: `write`, `debit`, `credit`, `read`.
    pub fn name(self) -> &'static str {
        if self.has(Self::WRITE) {
            "write"
        } else if self.has(Self::DEBIT) {
            "debit"
        } else if self.has(Self::CREDIT) {
            "credit"
        } else {
            "read"
        }
    }

    /// The single kinds it consists of.
    pub fn kinds(self) -> impl Iterator<Item = Self> {
        [Self::READ, Self::WRITE, Self::CREDIT, Self::DEBIT].into_iter().filter(move |kind| self.has(*kind))
    }
}

/// Where an access set comes from, in rising trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessSource {
    /// Nothing is known: the transaction goes sequential.
    Unknown,
    /// The sender's tag and the envelope: a word, not knowledge.
    Tag,
    /// The transaction's own access list (EIP-2930): nobody has checked it.
    List,
    /// What earlier calls of the same code and selector had in common: part of the accesses.
    History,
    /// One run of the code, never called before, on a made-up state: nobody has seen it hold.
    Probe,
    /// A plain transfer: all accesses follow from the envelope and the absence of code.
    Transfer,
    /// A template learned from earlier calls of the same code and selector.
    Template,
    /// A run of the transaction alone on the head state.
    Trace,
}

impl AccessSource {
    /// All of them, in rising trust.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Tag,
        Self::List,
        Self::History,
        Self::Probe,
        Self::Transfer,
        Self::Template,
        Self::Trace,
    ];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Tag => "tag",
            Self::List => "list",
            Self::History => "history",
            Self::Probe => "probe",
            Self::Transfer => "transfer",
            Self::Template => "template",
            Self::Trace => "trace",
        }
    }

    /// Whether its word is enough to run beside others. What has no such source goes sequential.
    pub fn is_complete(self) -> bool {
        self >= Self::Transfer
    }
}

/// The expected accesses of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSet {
    /// The transaction's hash; zero for a message without one.
    pub hash: B256,
    /// Where the knowledge comes from.
    pub source: AccessSource,
    /// Of so many predictions like this one in a thousand every access is expected to be right.
    pub confidence: u16,
    /// Locations in ascending order. The beneficiary's fee is not among them.
    pub accesses: SortedMap<Location, Access>,
    /// Wei that must be there for the transaction to behave as predicted, per debited account: the
    /// sender's greatest charge, a contract's greatest outflow.
    pub debits: SortedMap<Address, U256>,
    /// Gas of the predicted run; the gas limit where unknown.
    pub gas_used: u64,
    /// Whether the predicted run succeeded.
    pub succeeded: Option<bool>,
}

/// A location that two transactions may not share a batch over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Where they meet.
    pub location: Location,
    /// What the first does there.
    pub first: Access,
    /// What the second does there.
    pub second: Access,
}

impl AccessSet {
    /// A transaction about which nothing is known.
    pub fn unknown(hash: B256, gas_limit: u64) -> Self {
        Self {
            hash,
            source: AccessSource::Unknown,
            confidence: 0,
            accesses: SortedMap::new(),
            debits: SortedMap::new(),
            gas_used: gas_limit,
            succeeded: None,
        }
    }

    /// What the sender says: by an access list, else by a tag, else nothing.
    pub fn of_envelope(tx: &RecoveredTransaction) -> Self {
        let unknown = Self::unknown(tx.tx.hash, tx.tx.gas_limit);
        match (Self::of_list(tx), tx.tx.tag()) {
            (Some(set), _) => set,
            (None, Some(_)) => Self { source: AccessSource::Tag, ..unknown },
            (None, None) => unknown,
        }
    }

    /// What the transaction's own access list and envelope say (EIP-2930); `None` without a list. The
    /// list does not tell reading from writing, so all of it counts as written.
    pub fn of_list(tx: &RecoveredTransaction) -> Option<Self> {
        if tx.tx.access_list.is_empty() {
            return None;
        }
        let mut set = Self { source: AccessSource::List, ..Self::unknown(tx.tx.hash, tx.tx.gas_limit) };
        set.add_all(tx.tx.access_list.iter().flat_map(|item| {
            let at = |field| Location { address: item.address, field };
            let slots = item.storage_keys.iter();
            let written = slots.map(move |slot| (at(Field::Storage((*slot).into())), Access::WRITE));
            written.chain([(at(Field::Code), Access::READ)])
        }));
        Some(set)
    }

    /// Whether all accesses are known, as far as a prediction knows anything.
    pub fn is_known(&self) -> bool {
        self.source.is_complete()
    }

    /// Adds an access to what is there. Of many, in whatever order, see [`Self::add_all`].
    pub fn add(&mut self, address: Address, field: Field, access: Access) {
        let entry = self.accesses.get_or_insert(Location { address, field }, Access::default());
        *entry = entry.with(access);
    }

    /// Adds accesses to what is there; a location may occur several times. Costs what sorting costs.
    pub fn add_all(&mut self, accesses: impl IntoIterator<Item = (Location, Access)>) {
        self.accesses.merge(accesses, |held, more| *held = held.with(more));
    }

    /// Every location over which this set conflicts with `other`, ascending. Pairwise: escrow is a
    /// property of a whole batch and not decided here.
    pub fn conflicts<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Conflict> + 'a {
        self.accesses.iter().filter_map(move |(location, &first)| {
            let second = *other.accesses.get(location)?;
            first.conflicts_with(second).then_some(Conflict { location: *location, first, second })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_and_debits_commute_and_observations_do_not() {
        let commuting = [Access::CREDIT, Access::DEBIT];
        for a in commuting {
            for b in commuting {
                assert!(!a.conflicts_with(b));
            }
            assert!(a.conflicts_with(Access::READ) && Access::READ.conflicts_with(a));
            assert!(a.conflicts_with(Access::WRITE) && Access::WRITE.conflicts_with(a));
        }
        assert!(!Access::READ.conflicts_with(Access::READ));
        assert!(Access::READ.conflicts_with(Access::WRITE));
        assert!(Access::WRITE.conflicts_with(Access::WRITE));
    }

    #[test]
    fn an_observed_credit_conflicts_with_another_credit() {
        let observed = Access::READ.with(Access::CREDIT);
        assert!(observed.conflicts_with(Access::CREDIT));
        assert!(observed.conflicts_with(observed));
    }
}
