//! One access that calls have in common, and how often it has been right lately.

use super::term::{Call, Term};
use crate::access::{Access, Field, Location};
use crate::error::StateError;

/// Which part of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Nonce,
    Balance,
    Code,
    Slot(Term),
}

/// Shares are in so many parts.
const WHOLE: u16 = 10_000;

/// Calls after which an older one counts for less.
const MEMORY: u32 = 8;

/// Moves a share towards what the latest of `calls` calls says.
pub(super) fn follow(share: u16, holds: bool, calls: u32) -> u16 {
    let weight = calls.clamp(1, MEMORY);
    let latest = if holds { u32::from(WHOLE) } else { 0 };
    let moved = (u32::from(share) * (weight - 1) + latest) / weight;
    u16::try_from(moved).unwrap_or(WHOLE)
}

/// A place that calls access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) account: Term,
    pub(super) part: Part,
    /// What was taken away at most, for a debit of a contract.
    pub(super) debit: Option<Term>,
    /// Share of late calls that had the access.
    pub(super) share: u16,
    /// Shares of each of [`KINDS`] among those.
    pub(super) kinds: [u16; 4],
    /// Calls that had it.
    pub(super) seen: u32,
}

/// The kinds of access, in the order of [`Pattern::kinds`].
pub(super) const KINDS: [Access; 4] = [Access::READ, Access::WRITE, Access::CREDIT, Access::DEBIT];

impl Pattern {
    /// Seen first in the latest of `calls` calls.
    pub(super) fn new(account: Term, part: Part, access: Access, debit: Option<Term>, calls: u32) -> Self {
        let kinds = KINDS.map(|kind| if access.has(kind) { WHOLE } else { 0 });
        Self { account, part, debit, share: follow(0, true, calls), kinds, seen: 1 }
    }

    /// Terms that it consists of.
    pub(super) fn terms(&self) -> usize {
        let slot = if let Part::Slot(term) = &self.part { term.size() } else { 0 };
        self.account.size() + slot + self.debit.as_ref().map_or(0, Term::size)
    }

    /// Where it is in this call; `None` where the call lacks what it follows from.
    pub(super) fn location(&self, call: &Call<'_>) -> Result<Option<Location>, StateError> {
        let Some(address) = self.account.account(call)? else { return Ok(None) };
        let field = match &self.part {
            Part::Nonce => Field::Nonce,
            Part::Balance => Field::Balance,
            Part::Code => Field::Code,
            Part::Slot(term) => match term.evaluate(call)? {
                Some(slot) => Field::Storage(slot),
                None => return Ok(None),
            },
        };
        Ok(Some(Location { address, field }))
    }

    /// Takes note of a call, the latest of `calls`, that had the access, or had not.
    pub(super) fn note(&mut self, access: Option<Access>, calls: u32) {
        self.share = follow(self.share, access.is_some(), calls);
        let Some(access) = access else { return };
        self.seen = self.seen.saturating_add(1);
        for (share, kind) in self.kinds.iter_mut().zip(KINDS) {
            *share = follow(*share, access.has(kind), self.seen);
        }
    }

    /// Whether the next call is expected to have it.
    pub(super) fn is_expected(&self) -> bool {
        self.share >= WHOLE / 2
    }

    /// Whether it has been wrong for so long that it goes.
    pub(super) fn is_forgotten(&self) -> bool {
        self.share < WHOLE / 16
    }

    /// How the place is accessed. What is written in every fourth call counts as written.
    pub(super) fn access(&self) -> Access {
        let kinds = self.kinds.iter().zip(KINDS).filter(|(share, kind)| {
            let least = if *kind == Access::READ { WHOLE / 2 } else { WHOLE / 4 };
            **share >= least
        });
        kinds.fold(Access::default(), |all, (_, kind)| all.with(kind))
    }
}
