//! The price order over a whole pool: who leaves a full one, and who is taken into a block next.
//!
//! In: transactions as they come, go, and become executable or stop to be. Out: the cheapest ones in
//! geth's two heaps ([`eviction`]), and the executable ones best first ([`best`]). Both look at one
//! table of facts, so they can never disagree about what is pooled or what it pays.
//!
//! Accounts, nonces and limits are policy and stand elsewhere: this knows prices and nothing more.
//! What an eviction needs beyond the table is made when it is first needed after a new head.

pub mod best;
pub mod eviction;
mod firsts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use self::eviction::Heaps;
use self::firsts::Firsts;
use crate::primitives::{Address, B256, U256};
use crate::tx::RecoveredTransaction;

/// Bytes of one slot of pool space; geth's `txSlotSize`.
const SLOT_SIZE: usize = 32_768;

/// Place of a transaction in the table.
type Row = u32;

/// What the order knows of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Names it.
    pub hash: B256,
    /// Whose it is.
    pub sender: Address,
    /// Its place among the sender's.
    pub nonce: u64,
    /// Wei per gas; the gas price of types 0 and 1.
    pub fee_cap: U256,
    /// Wei per gas; the gas price of types 0 and 1.
    pub tip_cap: U256,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Pool space in units of 32 KiB.
    pub slots: u32,
    /// Rises with every admission; at equal price the lower is better.
    pub arrival: u64,
}

impl Facts {
    /// Reads them off a transaction.
    pub fn of(recovered: &RecoveredTransaction, arrival: u64) -> Self {
        let tx = &recovered.tx;
        Self {
            hash: tx.hash,
            sender: recovered.sender,
            nonce: tx.nonce,
            fee_cap: tx.max_fee_per_gas,
            tip_cap: tx.max_priority_fee_per_gas,
            gas_limit: tx.gas_limit,
            // Nothing that is pooled comes near 2^47 bytes.
            slots: u32::try_from(tx.raw.len().div_ceil(SLOT_SIZE)).unwrap_or(u32::MAX).max(1),
            arrival,
        }
    }
}

/// A transaction in the table.
#[derive(Debug)]
struct Entry {
    facts: Facts,
    /// Never used twice: what a heap says of an earlier tenant of this row does not count.
    serial: u64,
    is_executable: bool,
    heap: Option<eviction::Heap>,
}

/// All transactions of a pool by what they pay.
#[derive(Debug, Default)]
pub struct PriceOrder {
    base_fee: Option<U256>,
    rows: Vec<Option<Entry>>,
    free: Vec<Row>,
    by_hash: HashMap<B256, Row, RandomState>,
    /// Executable ones, each sender's in nonce order.
    runs: BTreeMap<(Address, u64), Row>,
    serials: u64,
    version: u64,
    heaps: Option<Heaps>,
    firsts: Firsts,
}

impl PriceOrder {
    /// An empty order without a base fee.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Whether the transaction is here.
    pub fn contains(&self, hash: &B256) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// Base fee of the block to come, wei per gas.
    pub fn base_fee(&self) -> Option<U256> {
        self.base_fee
    }

    /// A new head. What was made for the old price is dropped.
    ///
    /// geth rebuilds its heaps at every head, which moves the worst fifth to the floating one; so do we.
    pub fn reprice(&mut self, base_fee: Option<U256>) {
        self.heaps = None;
        self.base_fee = base_fee;
        self.version += 1;
    }

    /// Takes a transaction in; whether it was not there yet.
    pub fn put(&mut self, facts: Facts, is_executable: bool) -> bool {
        if self.by_hash.contains_key(&facts.hash) {
            return false;
        }
        self.version += 1;
        self.serials += 1;
        let hash = facts.hash;
        let entry = Entry { facts, serial: self.serials, is_executable: false, heap: None };
        let row = match self.free.pop() {
            Some(row) => {
                self.rows[row as usize] = Some(entry);
                row
            }
            None => {
                self.rows.push(Some(entry));
                Row::try_from(self.rows.len() - 1).expect("a pool has less than 2^32 transactions")
            }
        };
        self.by_hash.insert(hash, row);
        self.push_urgent(row);
        if is_executable {
            self.enter_run(row);
        }
        true
    }

    /// Notes whether a transaction is executable; whether it is here.
    pub fn set_executable(&mut self, hash: &B256, is_executable: bool) -> bool {
        let Some(&row) = self.by_hash.get(hash) else { return false };
        if self.entry(row).is_executable != is_executable {
            self.version += 1;
            match is_executable {
                true => self.enter_run(row),
                false => self.leave_run(row),
            }
        }
        true
    }

    /// Takes a transaction out; whether it was here.
    pub fn remove(&mut self, hash: &B256) -> bool {
        let Some(row) = self.by_hash.remove(hash) else { return false };
        self.version += 1;
        if self.entry(row).is_executable {
            self.leave_run(row);
        }
        let entry = self.rows[row as usize].take().expect("a hash leads to a row that is taken");
        self.free.push(row);
        self.left_heap(entry.heap);
        true
    }

    /// Those that need more gas than `gas_limit`, in no order.
    pub fn above_gas(&self, gas_limit: u64) -> Vec<B256> {
        let entries = self.rows.iter().flatten();
        entries.filter(|entry| entry.facts.gas_limit > gas_limit).map(|entry| entry.facts.hash).collect()
    }

    /// Raises with every change, so that who reads on notices.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn entry(&self, row: Row) -> &Entry {
        entry(&self.rows, row)
    }

    fn entry_mut(&mut self, row: Row) -> &mut Entry {
        self.rows[row as usize].as_mut().expect("rows in use are taken")
    }

    /// What is wrong with the order, if anything: each part recomputed from the table.
    pub fn find_fault(&self) -> Option<String> {
        let live: Vec<Row> =
            (0..).zip(&self.rows).filter(|(_, entry)| entry.is_some()).map(|(row, _)| row).collect();
        if live.len() != self.by_hash.len() || live.len() + self.free.len() != self.rows.len() {
            return Some(format!(
                "{} rows, {} hashes, {} free",
                live.len(),
                self.by_hash.len(),
                self.free.len()
            ));
        }
        if let Some(row) =
            live.iter().find(|row| self.by_hash.get(&self.entry(**row).facts.hash) != Some(row))
        {
            return Some(format!("row {row} is not found by its hash"));
        }
        let executable = live.iter().filter(|row| self.entry(**row).is_executable);
        if self.runs.len() != executable.clone().count() {
            return Some("executable transactions and runs differ".to_owned());
        }
        for &row in executable {
            let facts = &self.entry(row).facts;
            if self.runs.get(&(facts.sender, facts.nonce)) != Some(&row) {
                return Some(format!("row {row} is not in its sender's run"));
            }
        }
        self.heap_fault(&live).or_else(|| self.firsts_fault())
    }
}

fn entry(rows: &[Option<Entry>], row: Row) -> &Entry {
    rows[row as usize].as_ref().expect("rows in use are taken")
}
