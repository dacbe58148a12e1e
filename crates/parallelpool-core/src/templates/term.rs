//! How a word follows from a call: the language in which templates name slots and accounts.

use crate::error::StateError;
use crate::primitives::{Address, U256, keccak256};
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

/// A recipe for a word. An account is named by a word whose last 20 bytes are its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// Always the same.
    Word(U256),
    /// Who signed.
    Sender,
    /// The called contract.
    To,
    /// Wei sent along.
    Value,
    /// A word of the calldata, counted behind the selector.
    Argument(u16),
    /// Keccak of words one after another: an element of a mapping, the begin of an array.
    Hash(Vec<Term>),
    /// So many further: a member of a structure.
    Plus(Box<Term>, u8),
    /// What a slot holds: account, slot.
    Stored(Box<Term>, Box<Term>),
}

/// Most slots that one term looks into, one inside the other.
pub(super) const DEEPEST: usize = 6;

/// A call that a template speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) sender: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) input: &'a [u8],
    /// The state before it.
    pub(super) view: &'a dyn StateView,
}

const SELECTOR: usize = 4;
const WORD: usize = 32;

/// Words of calldata that are looked at.
pub(super) const MOST_ARGUMENTS: u16 = 24;

impl<'a> Call<'a> {
    /// `None` for creations.
    pub(super) fn new(tx: &RecoveredTransaction, input: &'a [u8], view: &'a dyn StateView) -> Option<Self> {
        Some(Self { sender: tx.sender, to: tx.tx.to?, value: tx.tx.value, input, view })
    }

    pub(super) fn selector(&self) -> Option<[u8; SELECTOR]> {
        self.input.first_chunk().copied()
    }

    pub(super) fn argument(&self, index: u16) -> Option<U256> {
        let begin = SELECTOR + usize::from(index) * WORD;
        self.input.get(begin..begin + WORD).map(U256::from_be_slice)
    }

    /// The words of the calldata with their indices.
    pub(super) fn arguments(&self) -> impl Iterator<Item = (u16, U256)> {
        (0..MOST_ARGUMENTS).map_while(|index| Some((index, self.argument(index)?)))
    }
}

impl Term {
    /// Terms that it consists of, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match self {
            Self::Word(_) | Self::Sender | Self::To | Self::Value | Self::Argument(_) => 0,
            Self::Plus(base, _) => base.size(),
            Self::Hash(terms) => terms.iter().map(Self::size).sum(),
            Self::Stored(account, slot) => account.size() + slot.size(),
        }
    }

    /// The word in this call; `None` where the call has no such argument.
    pub(super) fn evaluate(&self, call: &Call<'_>) -> Result<Option<U256>, StateError> {
        Ok(match self {
            Self::Word(word) => Some(*word),
            Self::Sender => Some(word_of(call.sender)),
            Self::To => Some(word_of(call.to)),
            Self::Value => Some(call.value),
            Self::Argument(index) => call.argument(*index),
            Self::Plus(base, by) => base.evaluate(call)?.map(|base| base.wrapping_add(U256::from(*by))),
            Self::Hash(terms) => {
                let mut input = Vec::with_capacity(terms.len() * WORD);
                for term in terms {
                    let Some(word) = term.evaluate(call)? else { return Ok(None) };
                    input.extend_from_slice(&word.to_be_bytes::<WORD>());
                }
                Some(keccak256(&input).into())
            }
            Self::Stored(account, slot) => match (account.evaluate(call)?, slot.evaluate(call)?) {
                (Some(account), Some(slot)) => Some(call.view.storage(&address_of(account), &slot)?),
                _ => None,
            },
        })
    }

    /// The account that the word names.
    pub(super) fn account(&self, call: &Call<'_>) -> Result<Option<Address>, StateError> {
        Ok(self.evaluate(call)?.map(address_of))
    }
}

pub(super) fn word_of(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// The last 20 bytes.
pub(super) fn address_of(word: U256) -> Address {
    Address::from_word(word.into())
}
