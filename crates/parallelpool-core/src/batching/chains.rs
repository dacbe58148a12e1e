//! Each sender's entries in nonce order, by number of account.
//!
//! Most accounts send nothing and most senders one transaction: such a row takes four bytes.

use super::locations::AccountId;

const EMPTY: u32 = u32::MAX;
/// From here on a number is that of a longer chain.
const LONGER: u32 = 1 << 31;

/// The chains.
#[derive(Debug, Default)]
pub(super) struct Chains {
    rows: Vec<u32>,
    longer: Vec<Vec<u32>>,
    free: Vec<u32>,
}

impl Chains {
    /// Makes room for so many more accounts.
    pub(super) fn reserve(&mut self, accounts: usize) {
        self.rows.reserve(accounts);
    }

    /// A sender's entries.
    pub(super) fn of(&self, sender: AccountId) -> &[u32] {
        match self.rows.get(sender as usize) {
            None | Some(&EMPTY) => &[],
            Some(&row) if row >= LONGER => &self.longer[(row - LONGER) as usize],
            Some(one) => std::slice::from_ref(one),
        }
    }

    /// Puts an entry at a place of its sender's chain.
    pub(super) fn insert(&mut self, sender: AccountId, at: usize, entry: u32) {
        if self.rows.len() <= sender as usize {
            self.rows.resize(sender as usize + 1, EMPTY);
        }
        let row = &mut self.rows[sender as usize];
        if *row == EMPTY {
            *row = entry;
            return;
        }
        if *row < LONGER {
            let number = self.free.pop().unwrap_or_else(|| {
                self.longer.push(Vec::new());
                self.longer.len() as u32 - 1
            });
            self.longer[number as usize].push(*row);
            *row = LONGER + number;
        }
        self.longer[(*row - LONGER) as usize].insert(at, entry);
    }

    /// Takes the entry at a place out.
    pub(super) fn remove(&mut self, sender: AccountId, at: usize) {
        let row = &mut self.rows[sender as usize];
        if *row < LONGER {
            *row = EMPTY;
            return;
        }
        let number = *row - LONGER;
        let chain = &mut self.longer[number as usize];
        chain.remove(at);
        if chain.is_empty() {
            *chain = Vec::new();
            self.free.push(number);
            *row = EMPTY;
        }
    }

    /// All that are not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.rows.len() as u32).map(|sender| self.of(sender)).filter(|chain| !chain.is_empty())
    }
}
