//! What one kind of call is known to access.

use std::collections::BTreeSet;

use super::explain::Explainer;
use super::pattern::{Part, Pattern, follow};
use super::term::{Call, Term, word_of};
use crate::access::{Access, AccessSet, AccessSource, Field, Location};
use crate::error::StateError;
use crate::evm::Preimage;
use crate::preexecute::add_sender;
use crate::primitives::U256;
use crate::tx::RecoveredTransaction;

/// Patterns of one template; calls that touch more are not learned from.
pub(super) const MOST_PATTERNS: usize = 96;

/// Terms of one template above which new patterns are constants.
const MOST_TERMS: usize = 512;

/// A share of calls predicted exactly below which a template is history only, in ten-thousandths.
const TRUSTED: u16 = 5_000;

/// See the head of the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) patterns: Vec<Pattern>,
    /// Calls that it was learned from.
    pub(super) calls: u32,
    /// Share of late calls that it would have predicted exactly, in ten-thousandths.
    pub(super) exact: u16,
    /// Gas of the latest call.
    pub(super) gas: u64,
    /// When it was used last, in uses of all.
    pub(super) used: u64,
}

impl Template {
    /// Terms that it consists of, and one for itself.
    pub(super) fn terms(&self) -> usize {
        1 + self.patterns.iter().map(Pattern::terms).sum::<usize>()
    }

    pub(super) fn predict(
        &self,
        tx: &RecoveredTransaction,
        call: &Call<'_>,
    ) -> Result<Option<AccessSet>, StateError> {
        if self.calls == 0 {
            return Ok(None);
        }
        let mut set = base(tx);
        for pattern in self.patterns.iter().filter(|pattern| pattern.is_expected()) {
            let Some(Location { address, field }) = pattern.location(call)? else { continue };
            let access = pattern.access();
            set.add(address, field, access);
            if access.has(Access::DEBIT) {
                add_debit(&mut set, pattern, call)?;
            }
        }
        // One call says little: what was an argument there may be taken for a constant.
        let is_trusted = self.calls == 1 || self.exact >= TRUSTED;
        set.source = if is_trusted { AccessSource::Template } else { AccessSource::History };
        set.confidence = if self.calls == 1 { 500 } else { self.exact / 10 };
        set.gas_used = self.gas;
        set.succeeded = Some(true);
        Ok(Some(set))
    }

    pub(super) fn learn(
        &mut self,
        tx: &RecoveredTransaction,
        call: &Call<'_>,
        set: &AccessSet,
        preimages: &[Preimage],
    ) -> Result<(), StateError> {
        if set.accesses.len() > MOST_PATTERNS {
            return Ok(());
        }
        if let Some(predicted) = self.predict(tx, call)? {
            self.exact = follow(self.exact, predicted.accesses == set.accesses, self.calls);
        }
        self.calls = self.calls.saturating_add(1);
        self.gas = set.gas_used;
        let known = self.note(call, set)?;
        let base = base(tx);
        let explainer = Explainer::new(*call, set, preimages)?;
        let mut terms = self.terms();
        for (location, access) in &set.accesses {
            if !known.contains(location) && base.accesses.get(location) != Some(access) {
                let mut new = pattern(&explainer, set, *location, *access, self.calls);
                if terms + new.terms() > MOST_TERMS {
                    new = constant(*location, *access, self.calls);
                }
                terms += new.terms();
                self.patterns.push(new);
            }
        }
        self.patterns.retain(|pattern| !pattern.is_forgotten());
        if self.patterns.len() > MOST_PATTERNS {
            self.patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.share));
            self.patterns.truncate(MOST_PATTERNS);
        }
        Ok(())
    }

    /// Tells every pattern whether the call had its access. Returns the locations that they name.
    fn note(&mut self, call: &Call<'_>, set: &AccessSet) -> Result<BTreeSet<Location>, StateError> {
        let mut known = BTreeSet::new();
        for pattern in &mut self.patterns {
            let location = pattern.location(call)?;
            let access = location.and_then(|location| set.accesses.get(&location)).copied();
            pattern.note(access, self.calls);
            known.extend(location.filter(|_| access.is_some()));
        }
        Ok(known)
    }
}

/// What every call does whatever it calls.
fn base(tx: &RecoveredTransaction) -> AccessSet {
    let mut set = AccessSet::unknown(tx.tx.hash, tx.tx.gas_limit);
    add_sender(&mut set, tx);
    set
}

fn pattern(
    explainer: &Explainer<'_>,
    set: &AccessSet,
    location: Location,
    access: Access,
    calls: u32,
) -> Pattern {
    let part = part(location.field, |slot| explainer.slot(slot));
    let debit = set.debits.get(&location.address).filter(|_| location.field == Field::Balance);
    let debit = debit.and_then(|amount| explainer.amount(*amount));
    Pattern::new(explainer.account(location.address), part, access, debit, calls)
}

/// The same access for every call. What a contract pays out is then not known.
fn constant(location: Location, access: Access, calls: u32) -> Pattern {
    Pattern::new(Term::Word(word_of(location.address)), part(location.field, Term::Word), access, None, calls)
}

fn part(field: Field, slot_term: impl FnOnce(U256) -> Term) -> Part {
    match field {
        Field::Nonce => Part::Nonce,
        Field::Balance => Part::Balance,
        Field::Code => Part::Code,
        Field::Storage(slot) => Part::Slot(slot_term(slot)),
    }
}

/// Where it cannot be said how much is taken away, the balance counts as observed: then nothing
/// commutes with it, and no escrow is needed.
fn add_debit(set: &mut AccessSet, pattern: &Pattern, call: &Call<'_>) -> Result<(), StateError> {
    let Some(address) = pattern.account.account(call)? else { return Ok(()) };
    match pattern.debit.as_ref().map(|term| term.evaluate(call)).transpose()?.flatten() {
        Some(amount) => {
            let debit = set.debits.get_or_insert(address, U256::ZERO);
            *debit = debit.saturating_add(amount);
        }
        None => set.add(address, Field::Balance, Access::READ),
    }
    Ok(())
}
