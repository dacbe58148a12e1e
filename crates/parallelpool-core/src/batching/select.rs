//! Which transactions a plan is about: fee-greedy under the caller's budgets.
//!
//! The best transaction that still fits is taken next. One that does not fit is passed over, and
//! with it its sender's later nonces. What has waited for long goes first, in a small part of the
//! budget, so that nobody waits for ever and the producer loses next to nothing.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::builder::{Builder, STRETCH};
use super::entries::Entry;
use super::order::{Strategy, TipKey};
use super::users::Use;
use super::{Plan, arrange, cut};
use crate::access::Location;
use crate::primitives::{Address, B256, U256};

/// Transactions passed over in one build before the search for smaller ones ends.
const PATIENCE: usize = 4_096;

/// The least that any transaction declares.
const LEAST_GAS: u64 = 21_000;

/// What the caller wants to be offered.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Which come first.
    pub strategy: Strategy,
    /// Wei per gas that tips are counted at, if not the head's.
    pub base_fee: Option<Option<u128>>,
    /// Bound of the declared gas.
    pub max_gas: u64,
    /// Bound of the blob gas.
    pub max_blob_gas: u64,
    /// Bound of the canonical encodings' bytes.
    pub max_bytes: u64,
    /// Bound of the number.
    pub max_transactions: usize,
    /// Wei per gas; what pays less stays back.
    pub min_tip: u128,
    /// Members that close a batch.
    pub batch_size: usize,
    /// Fewest members of a parallel batch.
    pub min_batch_size: usize,
    /// Who earns the fees.
    pub beneficiary: Address,
    /// If not empty: only these senders' transactions.
    pub senders: HashSet<Address, RandomState>,
    /// Transactions that stay back, and with them their senders' later nonces.
    pub exclude_transactions: HashSet<B256, RandomState>,
    /// Whoever touches one of these accounts stays back, and whoever may.
    pub exclude_addresses: HashSet<Address, RandomState>,
    /// Whoever touches one of these locations stays back, and whoever may.
    pub exclude_locations: HashSet<Location, RandomState>,
    /// Heads after which a payable transaction that was never in a block is overdue.
    pub max_wait: u64,
    /// Overdue transactions get one part in so many of the gas, and at least one is taken.
    pub overdue_share: u64,
}

impl Default for Selection {
    /// No bound, no exclusion, batches of 64.
    fn default() -> Self {
        Self {
            strategy: Strategy::Tip,
            base_fee: None,
            max_gas: u64::MAX,
            max_blob_gas: u64::MAX,
            max_bytes: u64::MAX,
            max_transactions: usize::MAX,
            min_tip: 0,
            batch_size: *super::BATCH_SIZES.start(),
            min_batch_size: 2,
            beneficiary: Address::ZERO,
            senders: HashSet::default(),
            exclude_transactions: HashSet::default(),
            exclude_addresses: HashSet::default(),
            exclude_locations: HashSet::default(),
            max_wait: 64,
            overdue_share: 64,
        }
    }
}

/// Counts down while transactions are chosen.
struct Budget {
    gas: u64,
    blob_gas: u64,
    bytes: u64,
    transactions: usize,
}

impl Budget {
    fn take(&mut self, entry: &Entry) -> bool {
        let fits = entry.gas_limit <= self.gas
            && entry.blob_gas <= self.blob_gas
            && entry.size <= self.bytes
            && self.transactions > 0;
        if fits {
            self.gas -= entry.gas_limit;
            self.blob_gas -= entry.blob_gas;
            self.bytes -= entry.size;
            self.transactions -= 1;
        }
        fits
    }

    fn is_spent(&self) -> bool {
        self.gas < LEAST_GAS || self.transactions == 0 || self.bytes == 0
    }
}

/// The chosen entries so far.
struct Choice {
    budget: Budget,
    ids: Vec<u32>,
    withheld: bool,
    build: u32,
    passed_over: usize,
}

impl Builder {
    /// Chooses and arranges; `balance` gives what accounts have at the head and is asked once for
    /// each per head. Costs what is chosen, not what is pooled.
    pub fn build<E>(
        &mut self,
        selection: &Selection,
        balance: impl FnMut(&Address) -> Result<U256, E>,
    ) -> Result<Plan, E> {
        let build = self.scratch.begin(self.entries.numbers(), &self.locations);
        let mut choice = self.choose(selection, build);
        let mut scratch = std::mem::take(&mut self.scratch);
        arrange::rank(selection.strategy, &self.entries, &mut choice.ids, &self.locations, &mut scratch);
        let fee_account = arrange::contested_fee_account(&self.locations, selection.beneficiary);
        let mut chosen =
            arrange::gather(&self.entries, &choice.ids, &self.locations, fee_account, &mut scratch);
        let levels = arrange::levels(
            &mut chosen,
            (&self.entries, &choice.ids),
            &mut self.locations,
            &mut scratch,
            balance,
        );
        self.scratch = scratch;
        let batches = cut::cut(&chosen, &levels?, selection);
        Ok(Plan {
            candidates: chosen.hashes,
            batches,
            withheld: choice.withheld,
            footprints: chosen.footprints,
        })
    }

    fn choose(&mut self, selection: &Selection, build: u32) -> Choice {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut choice = Choice {
            budget: Budget {
                gas: selection.max_gas,
                blob_gas: selection.max_blob_gas,
                bytes: selection.max_bytes,
                transactions: selection.max_transactions,
            },
            ids: Vec::with_capacity(self.len().min(4_096)),
            withheld: false,
            build,
            passed_over: 0,
        };
        if selection.strategy == Strategy::Fifo {
            for key in self.by_arrival.iter(self.entries.versions()) {
                let id = key.stamp.entry;
                let pays = self.pays(id, selection.min_tip);
                if !self.consider(&mut choice, &mut scratch, selection, id, pays) {
                    break;
                }
            }
        } else {
            self.choose_overdue(&mut choice, &mut scratch, selection);
            let at_another_fee = selection.base_fee.filter(|base_fee| *base_fee != self.base_fee);
            match at_another_fee {
                Some(base_fee) => {
                    let keys = self.tips_at(base_fee).into_iter();
                    self.choose_by_tip(&mut choice, &mut scratch, selection, keys);
                }
                None => {
                    let keys = self.by_tip.iter(self.entries.versions());
                    self.choose_by_tip(&mut choice, &mut scratch, selection, keys);
                }
            }
        }
        self.scratch = scratch;
        choice
    }

    fn choose_by_tip(
        &self,
        choice: &mut Choice,
        scratch: &mut arrange::Scratch,
        selection: &Selection,
        mut keys: impl Iterator<Item = TipKey>,
    ) {
        let mut stretch: Vec<TipKey> = Vec::with_capacity(STRETCH);
        loop {
            stretch.clear();
            stretch.extend(keys.by_ref().take(STRETCH));
            if stretch.is_empty() {
                return;
            }
            stretch.iter().for_each(|key| self.entries.foresee_row(key.stamp.entry));
            for key in &stretch {
                if key.tip() < selection.min_tip {
                    choice.withheld = true;
                    return;
                }
                if !self.consider(choice, scratch, selection, key.stamp.entry, true) {
                    return;
                }
            }
        }
    }

    /// What has waited for too many heads, oldest first, in its part of the budget.
    fn choose_overdue(&self, choice: &mut Choice, scratch: &mut arrange::Scratch, selection: &Selection) {
        // Another fee than the head's is a question about a block that nobody waits for.
        if selection.base_fee.is_some_and(|base_fee| base_fee != self.base_fee) {
            return;
        }
        let mut share = selection.max_gas / selection.overdue_share.max(1);
        for key in self.by_arrival.iter(self.entries.versions()) {
            let id = key.stamp.entry;
            let entry = self.entries.row(id);
            let is_overdue = self.heads.saturating_sub(entry.since) >= selection.max_wait;
            if !is_overdue || (entry.gas_limit > share && !choice.ids.is_empty()) {
                break;
            }
            let pays = self.pays(id, selection.min_tip);
            if !self.consider(choice, scratch, selection, id, pays) {
                break;
            }
            share = share.saturating_sub(entry.gas_limit);
        }
    }

    fn pays(&self, id: u32, min_tip: u128) -> bool {
        self.entries.tip_key(id).is_some_and(|key| key.tip() >= min_tip)
    }

    /// Takes an entry or passes it over; false once nothing more can be taken.
    fn consider(
        &self,
        choice: &mut Choice,
        scratch: &mut arrange::Scratch,
        selection: &Selection,
        id: u32,
        pays: bool,
    ) -> bool {
        let entry = self.entries.row(id);
        if scratch.chosen[id as usize] == choice.build {
            return true;
        }
        if !selection.senders.is_empty() && !selection.senders.contains(&self.locations.address(entry.sender))
        {
            return true;
        }
        let passed = &mut scratch.passed[entry.sender as usize];
        let fits =
            *passed != choice.build && pays && !self.is_excluded(selection, id) && choice.budget.take(entry);
        if fits {
            scratch.chosen[id as usize] = choice.build;
            choice.ids.push(id);
            return true;
        }
        *passed = choice.build;
        choice.withheld = true;
        choice.passed_over += 1;
        choice.passed_over < PATIENCE && !choice.budget.is_spent()
    }

    fn is_excluded(&self, selection: &Selection, id: u32) -> bool {
        if !selection.exclude_transactions.is_empty()
            && selection.exclude_transactions.contains(&self.entries.hash(id))
        {
            return true;
        }
        if selection.exclude_addresses.is_empty() && selection.exclude_locations.is_empty() {
            return false;
        }
        let touches = |used: &Use| {
            let account = self.locations.account_of(used.location);
            selection.exclude_addresses.contains(&self.locations.address(account))
                || !selection.exclude_locations.is_empty()
                    && selection.exclude_locations.contains(&self.locations.name(used.location))
        };
        !self.entries.row(id).is_known || self.entries.uses[id as usize].iter().any(touches)
    }
}
