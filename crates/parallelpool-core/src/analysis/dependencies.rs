//! From what transactions used to what they depend on, under one model.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Model;
use super::trace::{Trace, Uses};
use crate::access::{Field, Location};
use crate::primitives::Address;

/// Why a transaction has to wait for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Index of the earlier one.
    pub on: u32,
    /// What it wrote and the later one read.
    pub location: Location,
}

/// A location that transactions meet at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contention {
    /// The location.
    pub location: Location,
    /// Transactions that read it, as the model counts reads.
    pub readers: usize,
    /// Transactions that change it.
    pub writers: usize,
    /// Pairs of a later and an earlier transaction that depend on each other by it.
    pub dependencies: usize,
    /// Gas of the transactions that depend on an earlier one by it.
    pub gas: u64,
}

/// Who changed one location so far.
#[derive(Debug, Default)]
struct Cell {
    /// The last that replaced the value. Whoever does has read it before, so nothing older counts.
    replaced: Option<u32>,
    /// Since then: who added to it, and who took from it, without a look.
    credits: Vec<u32>,
    debits: Vec<u32>,
    /// For a nonce: the last change that does not follow from the order of the sender's
    /// transactions.
    unpredicted: Option<u32>,
}

/// What one transaction does to one location under one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Role {
    reads: Reads,
    writes: Writes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Nothing,
    /// Only what may have added to it.
    Credits,
    /// Only changes of a nonce that were not foreseen.
    Unpredicted,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Nothing,
    Credit,
    Debit,
    NextNonce,
    Value,
}

impl Role {
    fn of(uses: Uses, model: Model) -> Self {
        const CHANGES: Uses = Uses::CREDIT.with(Uses::DEBIT);
        const USED: Uses = Uses::READ.with(CHANGES).with(Uses::COVER);
        let predicts = model == Model::PredictedNonces;
        if model == Model::Plain {
            return Self {
                reads: if uses.has(USED.with(Uses::NEXT_NONCE)) { Reads::Value } else { Reads::Nothing },
                writes: if uses.has(CHANGES.with(Uses::WRITE).with(Uses::NEXT_NONCE)) {
                    Writes::Value
                } else if uses.has(Uses::FEE) {
                    Writes::Credit
                } else {
                    Writes::Nothing
                },
            };
        }
        let reads = if uses.has(Uses::READ) || (uses.has(Uses::NEXT_NONCE) && !predicts) {
            Reads::Value
        } else if uses.has(Uses::NEXT_NONCE) {
            Reads::Unpredicted
        } else if uses.has(Uses::COVER_BY_CREDIT) {
            Reads::Credits
        } else {
            Reads::Nothing
        };
        let writes = if uses.has(Uses::WRITE) || (uses.has(CHANGES) && reads == Reads::Value) {
            Writes::Value
        } else if uses.has(Uses::NEXT_NONCE) {
            if predicts { Writes::NextNonce } else { Writes::Value }
        } else if uses.has(Uses::DEBIT) {
            Writes::Debit
        } else if uses.has(Uses::CREDIT.with(Uses::FEE)) {
            Writes::Credit
        } else {
            Writes::Nothing
        };
        Self { reads, writes }
    }
}

impl Cell {
    /// Calls `on` for every earlier transaction that a read depends on.
    fn visit(&self, reads: Reads, on: impl FnMut(u32)) {
        let (credits, debits): (&[u32], &[u32]) = match reads {
            Reads::Nothing | Reads::Unpredicted => (&[], &[]),
            Reads::Credits => (&self.credits, &[]),
            Reads::Value => (&self.credits, &self.debits),
        };
        let replaced = match reads {
            Reads::Nothing => None,
            Reads::Unpredicted => self.unpredicted,
            Reads::Credits | Reads::Value => self.replaced,
        };
        replaced.iter().chain(credits).chain(debits).copied().for_each(on);
    }

    fn note(&mut self, index: u32, writes: Writes) {
        match writes {
            Writes::Nothing => {}
            Writes::Credit => self.credits.push(index),
            Writes::Debit => self.debits.push(index),
            Writes::NextNonce => self.replaced = Some(index),
            Writes::Value => {
                *self = Self { replaced: Some(index), unpredicted: Some(index), ..Self::default() };
            }
        }
    }
}

/// Dependencies of each transaction, ascending, and the locations that cause them.
pub(super) fn find(model: Model, traces: &[Trace]) -> (Vec<Vec<Dependency>>, Vec<Contention>) {
    let mut cells = HashMap::<Location, (Cell, Contention), RandomState>::default();
    let mut cleared = HashMap::<Address, u32, RandomState>::default();
    let mut all = Vec::with_capacity(traces.len());
    for (index, trace) in (0u32..).zip(traces) {
        let mut own = Vec::new();
        for (&location, &uses) in &trace.uses {
            let role = Role::of(uses, model);
            let (cell, contention) =
                cells.entry(location).or_insert_with(|| (Cell::default(), none(location)));
            let before = own.len();
            cell.visit(role.reads, |on| own.push(Dependency { on, location }));
            if let Field::Storage(_) = location.field
                && role.reads == Reads::Value
                && let Some(&on) = cleared.get(&location.address)
                && cell.replaced.is_none_or(|writer| writer < on)
            {
                own.push(Dependency { on, location });
            }
            let causes = own.len() - before;
            contention.readers += usize::from(role.reads != Reads::Nothing);
            contention.writers += usize::from(role.writes != Writes::Nothing);
            contention.dependencies += causes;
            contention.gas += if causes > 0 { trace.cost.gas } else { 0 };
            cell.note(index, role.writes);
        }
        cleared.extend(trace.cleared.iter().map(|address| (*address, index)));
        own.sort_unstable();
        own.dedup();
        all.push(own);
    }
    let mut contended: Vec<Contention> = cells.into_values().map(|(_, contention)| contention).collect();
    contended.retain(|contention| contention.dependencies > 0);
    contended.sort_unstable_by(|one, other| {
        (other.gas, other.dependencies, one.location).cmp(&(one.gas, one.dependencies, other.location))
    });
    (all, contended)
}

fn none(location: Location) -> Contention {
    Contention { location, readers: 0, writers: 0, dependencies: 0, gas: 0 }
}
