//! The cheapest transactions of a pool, in geth's two heaps.
//!
//! The urgent heap orders by what a transaction pays in the block to come, the floating one by its caps
//! alone. Eviction draws from both, so neither a wave of high tips nor one of high fee caps pushes out
//! the other kind.
//!
//! The heaps are made when they are first needed after a new head: a pool that is not full pays nothing
//! for them. What leaves the pool is deleted from them lazily.
//!
//! Source: geth core/txpool/legacypool/list.go, pricedList.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Facts, PriceOrder, Row};
use crate::primitives::{B256, U256};

/// Urgent to floating, as geth keeps them.
const URGENT_SHARE: usize = 4;
const FLOATING_SHARE: usize = 1;

/// Deleted entries that a heap may carry beyond one for each that counts.
const SLACK: usize = 64;

/// Which heap a transaction stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heap {
    /// By what it pays in the block to come.
    Urgent,
    /// By its caps.
    Floating,
}

/// What a transaction pays, comparable as geth compares it: effective tip, fee cap, tip cap.
///
/// An effective tip below zero is told apart by the flag; among those the fee cap alone decides, since the
/// base fee is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Price {
    covers_base_fee: bool,
    effective_tip: U256,
    fee_cap: U256,
    tip_cap: U256,
}

impl Price {
    fn urgent(fee_cap: U256, tip_cap: U256, base_fee: Option<U256>) -> Self {
        let Some(base_fee) = base_fee else { return Self::floating(fee_cap, tip_cap) };
        match fee_cap.checked_sub(base_fee) {
            Some(above) => {
                Self { covers_base_fee: true, effective_tip: above.min(tip_cap), fee_cap, tip_cap }
            }
            None => Self { covers_base_fee: false, effective_tip: U256::ZERO, fee_cap, tip_cap },
        }
    }

    fn floating(fee_cap: U256, tip_cap: U256) -> Self {
        Self { covers_base_fee: true, effective_tip: U256::ZERO, fee_cap, tip_cap }
    }
}

/// At equal price the higher nonce goes first, then the later arrival, then the later serial.
type Worth = (Price, Reverse<u64>, Reverse<u64>, Reverse<u64>);

type Item = Reverse<(Worth, Row)>;

/// Both heaps. An item counts if its row's tenant has its serial and says that it stands in that heap.
#[derive(Debug, Default)]
pub(super) struct Heaps {
    urgent: BinaryHeap<Item>,
    floating: BinaryHeap<Item>,
    urgent_members: usize,
    floating_members: usize,
}

impl PriceOrder {
    /// Whether nothing in the pool pays less than these caps; an equal price is not less.
    pub fn is_underpriced(&mut self, fee_cap: U256, tip_cap: U256) -> bool {
        self.make_heaps();
        let urgent = self.worst(Heap::Urgent);
        let floating = self.worst(Heap::Floating);
        if urgent.is_none() && floating.is_none() {
            return false;
        }
        urgent.is_none_or(|worst| Price::urgent(fee_cap, tip_cap, self.base_fee) <= worst)
            && floating.is_none_or(|worst| Price::floating(fee_cap, tip_cap) <= worst)
    }

    /// The cheapest transactions that together have `slots`; `None` if there are not enough.
    ///
    /// They are out of the heaps and still in the pool: the caller removes them or puts them back.
    pub fn take_cheapest(&mut self, slots: u64) -> Option<Vec<B256>> {
        self.make_heaps();
        let mut taken = Vec::new();
        let mut missing = slots;
        while missing > 0 {
            let heaps = self.heaps.as_ref().expect("made above");
            if heaps.urgent_members * FLOATING_SHARE > heaps.floating_members * URGENT_SHARE {
                let row = self.pop_member(Heap::Urgent);
                self.push(Heap::Floating, row);
            } else if heaps.floating_members > 0 {
                let row = self.pop_member(Heap::Floating);
                missing = missing.saturating_sub(u64::from(self.entry(row).facts.slots));
                taken.push(row);
            } else {
                for row in taken {
                    self.push(Heap::Urgent, row);
                }
                return None;
            }
        }
        Some(taken.into_iter().map(|row| self.entry(row).facts.hash).collect())
    }

    /// Undoes `take_cheapest` for one transaction; whether it was taken.
    pub fn put_back(&mut self, hash: &B256) -> bool {
        let Some(&row) = self.by_hash.get(hash) else { return false };
        let was_taken = self.heaps.is_some() && self.entry(row).heap.is_none();
        if was_taken {
            self.push(Heap::Urgent, row);
        }
        was_taken
    }

    /// A newcomer stands in the urgent heap, once there is one.
    pub(super) fn push_urgent(&mut self, row: Row) {
        if self.heaps.is_some() {
            self.push(Heap::Urgent, row);
        }
    }

    /// A member of a heap left the pool.
    pub(super) fn left_heap(&mut self, heap: Option<Heap>) {
        let Some(heaps) = &mut self.heaps else { return };
        match heap {
            Some(Heap::Urgent) => heaps.urgent_members -= 1,
            Some(Heap::Floating) => heaps.floating_members -= 1,
            None => {}
        }
        let members = heaps.urgent_members + heaps.floating_members;
        if heaps.urgent.len() + heaps.floating.len() > 2 * members + SLACK {
            self.sweep();
        }
    }

    fn make_heaps(&mut self) {
        if self.heaps.is_some() {
            return;
        }
        let mut urgent: Vec<(Worth, Row)> = Vec::with_capacity(self.len());
        for (row, entry) in (0..).zip(&self.rows) {
            if let Some(entry) = entry {
                urgent.push((worth(&entry.facts, entry.serial, Heap::Urgent, self.base_fee), row));
            }
        }
        let floating = urgent.len() * FLOATING_SHARE / (URGENT_SHARE + FLOATING_SHARE);
        if floating > 0 {
            urgent.select_nth_unstable(floating - 1);
        }
        let mut worst = urgent;
        let urgent = worst.split_off(floating);
        let mut heaps =
            Heaps { urgent_members: urgent.len(), floating_members: worst.len(), ..Heaps::default() };
        for (_, row) in &urgent {
            self.entry_mut(*row).heap = Some(Heap::Urgent);
        }
        heaps.urgent = urgent.into_iter().map(Reverse).collect();
        let mut items = Vec::with_capacity(worst.len());
        for (_, row) in worst {
            let entry = self.entry_mut(row);
            entry.heap = Some(Heap::Floating);
            items.push(Reverse((worth(&entry.facts, entry.serial, Heap::Floating, None), row)));
        }
        heaps.floating = items.into();
        self.heaps = Some(heaps);
    }

    fn push(&mut self, heap: Heap, row: Row) {
        let base_fee = self.base_fee;
        let entry = self.entry_mut(row);
        entry.heap = Some(heap);
        let item = Reverse((worth(&entry.facts, entry.serial, heap, base_fee), row));
        let heaps = self.heaps.as_mut().expect("heaps are made before they are filled");
        match heap {
            Heap::Urgent => {
                heaps.urgent.push(item);
                heaps.urgent_members += 1;
            }
            Heap::Floating => {
                heaps.floating.push(item);
                heaps.floating_members += 1;
            }
        }
    }

    /// The price of the worst member of a heap.
    fn worst(&mut self, heap: Heap) -> Option<Price> {
        let heaps = self.heaps.as_mut()?;
        let items = match heap {
            Heap::Urgent => &mut heaps.urgent,
            Heap::Floating => &mut heaps.floating,
        };
        while let Some(Reverse(((price, _, _, Reverse(serial)), row))) = items.peek() {
            if is_member(&self.rows, *row, *serial, heap) {
                return Some(*price);
            }
            items.pop();
        }
        None
    }

    /// Takes the worst member out of a heap that has one.
    fn pop_member(&mut self, heap: Heap) -> Row {
        let heaps = self.heaps.as_mut().expect("heaps are made before they are asked");
        let (items, members) = match heap {
            Heap::Urgent => (&mut heaps.urgent, &mut heaps.urgent_members),
            Heap::Floating => (&mut heaps.floating, &mut heaps.floating_members),
        };
        loop {
            let Reverse(((_, _, _, Reverse(serial)), row)) = items.pop().expect("the heap has a member");
            if is_member(&self.rows, row, serial, heap) {
                *members -= 1;
                self.entry_mut(row).heap = None;
                return row;
            }
        }
    }

    /// Throws out what does not count, so that the heaps never grow far beyond twice the pool.
    fn sweep(&mut self) {
        let rows = &self.rows;
        let heaps = self.heaps.as_mut().expect("only made heaps outgrow the pool");
        for (items, heap) in [(&mut heaps.urgent, Heap::Urgent), (&mut heaps.floating, Heap::Floating)] {
            items.retain(|Reverse(((_, _, _, Reverse(serial)), row))| is_member(rows, *row, *serial, heap));
        }
    }

    pub(super) fn heap_fault(&self, live: &[Row]) -> Option<String> {
        let heaps = self.heaps.as_ref()?;
        for (items, heap, members) in [
            (&heaps.urgent, Heap::Urgent, heaps.urgent_members),
            (&heaps.floating, Heap::Floating, heaps.floating_members),
        ] {
            let mut standing: Vec<Row> = items
                .iter()
                .filter(|Reverse(((_, _, _, Reverse(serial)), row))| {
                    is_member(&self.rows, *row, *serial, heap)
                })
                .map(|Reverse((_, row))| *row)
                .collect();
            standing.sort_unstable();
            standing.dedup();
            let said: Vec<Row> =
                live.iter().copied().filter(|row| self.entry(*row).heap == Some(heap)).collect();
            if standing != said || said.len() != members {
                return Some(format!(
                    "{heap:?}: {} stand there, {} say so, {members} counted",
                    standing.len(),
                    said.len()
                ));
            }
        }
        live.iter().find(|row| self.entry(**row).heap.is_none()).map(|row| format!("row {row} is in no heap"))
    }
}

fn worth(facts: &Facts, serial: u64, heap: Heap, base_fee: Option<U256>) -> Worth {
    let price = match heap {
        Heap::Urgent => Price::urgent(facts.fee_cap, facts.tip_cap, base_fee),
        Heap::Floating => Price::floating(facts.fee_cap, facts.tip_cap),
    };
    (price, Reverse(facts.nonce), Reverse(facts.arrival), Reverse(serial))
}

fn is_member(rows: &[Option<super::Entry>], row: Row, serial: u64, heap: Heap) -> bool {
    rows[row as usize].as_ref().is_some_and(|entry| entry.serial == serial && entry.heap == Some(heap))
}
