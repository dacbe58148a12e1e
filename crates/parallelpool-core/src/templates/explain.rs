//! From a word that a run came upon to the recipe for it.
//!
//! Several recipes may give one word; the likeliest for its place is taken. A wrong one is found out
//! by the next call that it does not hold for. A word that only a long recipe gives counts as a
//! constant: whoever writes the code decides how long recipes get.

use std::cell::Cell;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::term::{Call, DEEPEST, Term, address_of, word_of};
use crate::access::{AccessSet, Field};
use crate::error::StateError;
use crate::evm::Preimage;
use crate::primitives::{Address, U256};

/// Members of a structure that are looked for behind its begin.
const MOST_MEMBERS: u8 = 16;

/// Words below this stand for slots and constants that the compiler chose.
pub(super) const SMALL: U256 = U256::from_limbs([1 << 16, 0, 0, 0]);

/// Slots whose contents are looked at.
const MOST_STORED: usize = 64;

/// Terms of the longest recipe.
pub(super) const MOST_IN_ONE: usize = 32;

/// Everything that words of one run can follow from.
pub(super) struct Explainer<'a> {
    call: Call<'a>,
    hashes: HashMap<U256, &'a [U256], RandomState>,
    /// What slots held that the run read: (contents, account, slot).
    stored: Vec<(U256, Address, U256)>,
    /// Terms that the recipe in the making may still get.
    left: Cell<usize>,
}

impl<'a> Explainer<'a> {
    pub(super) fn new(
        call: Call<'a>,
        set: &AccessSet,
        preimages: &'a [Preimage],
    ) -> Result<Self, StateError> {
        let hashes = preimages.iter().map(|one| (one.hash, &one.words[..])).collect();
        let mut stored = Vec::new();
        for location in set.accesses.keys() {
            let Field::Storage(slot) = location.field else { continue };
            let word = call.view.storage(&location.address, &slot)?;
            if word >= SMALL && stored.len() < MOST_STORED {
                stored.push((word, location.address, slot));
            }
        }
        Ok(Self { call, hashes, stored, left: Cell::new(0) })
    }

    /// The recipe for a touched account.
    pub(super) fn account(&self, address: Address) -> Term {
        self.or_constant(word_of(address), || self.account_within(address, DEEPEST))
    }

    /// The recipe for a slot.
    pub(super) fn slot(&self, slot: U256) -> Term {
        self.or_constant(slot, || self.slot_within(slot, DEEPEST))
    }

    /// The recipe for an amount, if there is one that does not make it a constant.
    pub(super) fn amount(&self, amount: U256) -> Option<Term> {
        if amount == self.call.value {
            return Some(Term::Value);
        }
        self.argument(amount)
    }

    fn or_constant(&self, word: U256, explain: impl FnOnce() -> Term) -> Term {
        self.left.set(MOST_IN_ONE);
        let term = explain();
        if self.left.get() == 0 { Term::Word(word) } else { term }
    }

    /// To be called for every term. Where it says no, the recipe will not be used.
    fn may_go_on(&self) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        self.left.get() > 0
    }

    fn account_within(&self, address: Address, depth: usize) -> Term {
        let word = word_of(address);
        if !self.may_go_on() {
            return Term::Word(word);
        }
        if address == self.call.to {
            return Term::To;
        }
        if address == self.call.sender {
            return Term::Sender;
        }
        if let Some(argument) = self.argument(word) {
            return argument;
        }
        self.stored(depth, |contents| address_of(contents) == address).unwrap_or(Term::Word(word))
    }

    fn slot_within(&self, slot: U256, depth: usize) -> Term {
        if !self.may_go_on() || slot < SMALL || depth == 0 {
            return Term::Word(slot);
        }
        if let Some(hash) = self.hash(slot, depth) {
            return hash;
        }
        for by in 1..=MOST_MEMBERS {
            if let Some(hash) = self.hash(slot.wrapping_sub(U256::from(by)), depth) {
                return Term::Plus(Box::new(hash), by);
            }
        }
        Term::Word(slot)
    }

    fn hash(&self, word: U256, depth: usize) -> Option<Term> {
        let words = *self.hashes.get(&word)?;
        let last = words.len() - 1;
        let has_great = words.iter().any(|word| *word >= SMALL);
        let term = |(place, word): (usize, &U256)| {
            // Beside a key stands the number of the mapping's own slot, at the end as a rule.
            let is_number = *word < SMALL && (has_great || place == last);
            if is_number { Term::Word(*word) } else { self.key(*word, depth - 1) }
        };
        Some(Term::Hash(words.iter().enumerate().map(term).collect()))
    }

    fn key(&self, word: U256, depth: usize) -> Term {
        if !self.may_go_on() || depth == 0 {
            return Term::Word(word);
        }
        if let Some(hash) = self.hash(word, depth) {
            return hash;
        }
        if word == word_of(self.call.sender) {
            return Term::Sender;
        }
        if let Some(argument) = self.argument(word) {
            return argument;
        }
        if word == word_of(self.call.to) {
            return Term::To;
        }
        self.stored(depth, |contents| contents == word).unwrap_or(Term::Word(word))
    }

    fn argument(&self, word: U256) -> Option<Term> {
        self.call.arguments().find(|(_, argument)| *argument == word).map(|(index, _)| Term::Argument(index))
    }

    fn stored(&self, depth: usize, is_it: impl Fn(U256) -> bool) -> Option<Term> {
        let depth = depth.checked_sub(1)?;
        let (_, address, slot) = self.stored.iter().find(|(contents, _, _)| is_it(*contents))?;
        let account = self.account_within(*address, depth.min(2));
        Some(Term::Stored(Box::new(account), Box::new(self.slot_within(*slot, depth))))
    }
}
