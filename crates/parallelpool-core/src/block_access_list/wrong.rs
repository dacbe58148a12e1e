//! What can be wrong with a list, in words that name the place.

use std::fmt::{Display, Formatter, Result as FormatResult};

use super::BlockAccessIndex;
use crate::primitives::{Address, B256, U256};

/// One thing a list speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// That an account was touched.
    Account(Address),
    /// An account's balance.
    Balance(Address),
    /// An account's nonce.
    Nonce(Address),
    /// An account's code.
    Code(Address),
    /// One of its slots.
    Slot(Address, U256),
}

impl Display for Entry {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> FormatResult {
        match self {
            Self::Account(address) => write!(formatter, "account {address}"),
            Self::Balance(address) => write!(formatter, "balance of {address}"),
            Self::Nonce(address) => write!(formatter, "nonce of {address}"),
            Self::Code(address) => write!(formatter, "code of {address}"),
            Self::Slot(address, slot) => write!(formatter, "slot {slot:#x} of {address}"),
        }
    }
}

/// Why a block access list does not hold. Lists are read from the front, and the first violation is
/// the one that is named; values are those that were listed and those that execution gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongAccessList {
    /// The bytes are no list, or not in canonical order.
    #[error("block access list: {place}: {fault}")]
    Form {
        /// Which account, and which of its entries.
        place: String,
        /// What is wrong there.
        fault: String,
    },
    /// It has more addresses and storage keys than the block's gas can touch.
    #[error("block access list exceeds gas limit: more than {most} items")]
    TooManyItems {
        /// The greatest number that the gas limit allows.
        most: usize,
    },
    /// An index changed something otherwise than the list says.
    #[error("block access list is wrong at index {index}: {entry}: listed {}, executed {}",
        .listed.as_deref().unwrap_or("no change"), .executed.as_deref().unwrap_or("no change"))]
    Change {
        /// Where in the block.
        index: BlockAccessIndex,
        /// What.
        entry: Entry,
        /// The value in the list at this index.
        listed: Option<String>,
        /// The value after execution.
        executed: Option<String>,
    },
    /// An index touched something that the list does not name.
    #[error("block access list is wrong at index {index}: {entry} is accessed and not listed")]
    NotListed {
        /// Where in the block.
        index: BlockAccessIndex,
        /// What.
        entry: Entry,
    },
    /// The list names something that nothing in the block touches.
    #[error("block access list is wrong: {entry} is listed and never accessed")]
    NotAccessed {
        /// What.
        entry: Entry,
    },
    /// The header commits to another list.
    #[error("invalid block access list hash (remote: {header:x} local: {list:x})")]
    Hash {
        /// What the header says.
        header: B256,
        /// Hash of the list.
        list: B256,
    },
}
