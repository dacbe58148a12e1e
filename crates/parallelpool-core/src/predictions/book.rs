//! The predictions that hold on the head, by transaction, and what each of them rests on.
//!
//! A prediction stays through head after head until one changes something that it read. The book is
//! bounded in the sum of what its predictions name; the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::readers::{Ids, ReaderIndex};
use crate::access::{AccessSet, Field, Location};
use crate::error::StateError;
use crate::evm::{Preimage, environment_reads as reads};
use crate::primitives::{Address, B256};
use crate::record::AccessRecord;
use crate::state::{Account, AccountChange, StateChanges};

/// What every new head changes, so that a run that asked for it says nothing about the next block.
/// Time and number change as well, but what a transaction touches rarely hangs on them.
const NEW_WITH_EVERY_HEAD: u16 = reads::PREVRANDAO | reads::BLOCKHASH | reads::SLOTNUM;

/// A prediction that holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) set: Arc<AccessSet>,
    pub(super) record: Option<Arc<AccessRecord>>,
    pub(super) reads: Box<[Location]>,
    pub(super) environment: u16,
    /// What the run hashed.
    pub(super) preimages: Arc<[Preimage]>,
}

impl Held {
    /// Locations that it keeps in memory, in one form or another.
    fn weight(&self) -> usize {
        let record = self.record.as_ref().map_or(0, |record| record.weight());
        let preimages = self.preimages.iter().map(|one| 1 + one.words.len() / 2).sum::<usize>();
        self.set.accesses.len() + self.reads.len() + record + preimages + 1
    }
}

#[derive(Debug)]
struct Entry {
    hash: B256,
    held: Held,
}

#[derive(Debug)]
pub(super) struct Book {
    by_hash: HashMap<B256, u32, RandomState>,
    entries: HashMap<u32, Entry, RandomState>,
    readers: ReaderIndex,
    /// Ids in the order of arrival; those that are gone are passed over.
    arrivals: VecDeque<u32>,
    /// Those that every new head makes stale.
    drifting: Ids,
    next: u32,
    weight: usize,
    records: usize,
    most_weight: usize,
}

impl Book {
    pub(super) fn new(most_weight: usize) -> Self {
        Self {
            by_hash: HashMap::default(),
            entries: HashMap::default(),
            readers: ReaderIndex::default(),
            arrivals: VecDeque::new(),
            drifting: Ids::default(),
            next: 0,
            weight: 0,
            records: 0,
            most_weight,
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<&Held> {
        self.by_hash.get(hash).map(|id| &self.entries[id].held)
    }

    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Predictions with a record.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = &B256> {
        self.by_hash.keys()
    }

    /// Puts a prediction in, in place of an earlier one of the same transaction.
    pub(super) fn put(&mut self, hash: B256, held: Held) {
        self.remove(&hash);
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.weight += held.weight();
        self.records += usize::from(held.record.is_some());
        self.readers.add(id, &held.reads);
        self.by_hash.insert(hash, id);
        if held.environment & NEW_WITH_EVERY_HEAD != 0 {
            self.drifting.insert(id);
        }
        self.entries.insert(id, Entry { hash, held });
        self.arrivals.push_back(id);
        while self.weight > self.most_weight
            && let Some(oldest) = self.arrivals.pop_front()
        {
            self.remove_id(oldest);
        }
        // Otherwise ids of what has left could pile up behind one that stays.
        if self.arrivals.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.arrivals.retain(|id| entries.contains_key(id));
        }
    }

    pub(super) fn remove(&mut self, hash: &B256) -> bool {
        self.by_hash.get(hash).copied().is_some_and(|id| self.remove_id(id))
    }

    fn remove_id(&mut self, id: u32) -> bool {
        let Some(Entry { hash, held }) = self.entries.remove(&id) else { return false };
        self.weight -= held.weight();
        self.records -= usize::from(held.record.is_some());
        self.readers.remove(id, &held.reads);
        self.drifting.remove(&id);
        self.by_hash.remove(&hash);
        true
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most_weight);
    }

    /// Drops what rests on anything that a new head has changed. Returns how many.
    ///
    /// `before` answers with accounts as they were on the head before.
    pub(super) fn drop_stale(
        &mut self,
        changes: &StateChanges,
        before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
    ) -> Result<usize, StateError> {
        let mut stale = std::mem::take(&mut self.drifting);
        if !self.entries.is_empty() {
            for (address, change) in changes.accounts.iter() {
                self.collect_readers(*address, change, &before, &mut stale)?;
            }
        }
        Ok(stale.into_iter().filter(|id| self.remove_id(*id)).count())
    }

    fn collect_readers(
        &self,
        address: Address,
        change: &AccountChange,
        before: impl Fn(&Address) -> Result<Option<Account>, StateError>,
        stale: &mut Ids,
    ) -> Result<(), StateError> {
        let at = |field| Location { address, field };
        if change.storage_cleared {
            self.readers.visit_account(&address, |id| {
                stale.insert(id);
            });
            return Ok(());
        }
        for slot in change.storage.keys() {
            self.readers.visit(&at(Field::Storage(*slot)), |id| {
                stale.insert(id);
            });
        }
        if ![Field::Nonce, Field::Balance, Field::Code].into_iter().any(|field| self.readers.has(&at(field)))
        {
            return Ok(());
        }
        let (old, new) = (before(&address)?.unwrap_or_default(), change.after.unwrap_or_default());
        let fields = [
            (Field::Nonce, old.nonce != new.nonce),
            (Field::Balance, old.balance != new.balance),
            (Field::Code, old.code_hash != new.code_hash),
        ];
        for (field, _) in fields.into_iter().filter(|(_, differs)| *differs) {
            self.readers.visit(&at(field), |id| {
                stale.insert(id);
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use crate::primitives::U256;
    use crate::state::ChangeSet;

    const TOKEN: Address = Address::repeat_byte(0x70);

    fn hash(number: u8) -> B256 {
        B256::repeat_byte(number)
    }

    fn held(number: u8, fields: &[Field]) -> Held {
        let mut set = AccessSet::unknown(hash(number), 0);
        fields.iter().for_each(|field| set.add(TOKEN, *field, Access::READ));
        let reads = set.accesses.keys().copied().collect();
        Held { set: Arc::new(set), record: None, reads, environment: 0, preimages: [].into() }
    }

    fn changed(slots: &[u64], after: Account, storage_cleared: bool) -> StateChanges {
        let mut storage = ChangeSet::default();
        slots.iter().for_each(|slot| storage.insert(U256::from(*slot), U256::ONE));
        let mut changes = StateChanges::default();
        changes.accounts.insert(TOKEN, AccountChange { after: Some(after), storage_cleared, storage });
        changes
    }

    fn left(book: &Book) -> Vec<u8> {
        let mut left: Vec<u8> = book.hashes().map(|hash| hash[0]).collect();
        left.sort_unstable();
        left
    }

    fn slot(number: u64) -> Field {
        Field::Storage(U256::from(number))
    }

    /// 1 reads slot 1, 2 slots 1 and 2, 3 the code, 4 the balance, 5 the randomness of its block.
    fn book() -> Book {
        let mut book = Book::new(1_000);
        let fields = [vec![slot(1)], vec![slot(1), slot(2)], vec![Field::Code], vec![Field::Balance], vec![]];
        for (number, fields) in (1..).zip(fields) {
            book.put(hash(number), held(number, &fields));
        }
        book.put(hash(5), Held { environment: reads::PREVRANDAO | reads::TIMESTAMP, ..held(5, &[]) });
        book.put(hash(6), Held { environment: reads::TIMESTAMP, ..held(6, &[]) });
        book
    }

    fn after(changes: &StateChanges) -> Vec<u8> {
        let mut book = book();
        let dropped = book.drop_stale(changes, |_| Ok(Some(Account::default()))).expect("no state fails");
        assert_eq!(dropped + book.len(), 6);
        left(&book)
    }

    #[test]
    fn what_read_nothing_that_changed_stays() {
        let same = Account::default();
        assert_eq!(after(&StateChanges::default()), [1, 2, 3, 4, 6]);
        assert_eq!(after(&changed(&[2], same, false)), [1, 3, 4, 6]);
        assert_eq!(after(&changed(&[1, 7], same, false)), [3, 4, 6]);
        assert_eq!(after(&changed(&[], Account { balance: U256::ONE, ..same }, false)), [1, 2, 3, 6]);
        assert_eq!(after(&changed(&[], Account { nonce: 1, ..same }, false)), [1, 2, 3, 4, 6]);
        assert_eq!(after(&changed(&[], Account { code_hash: B256::ZERO, ..same }, false)), [1, 2, 4, 6]);
        assert_eq!(after(&changed(&[], same, true)), [6]);
    }

    #[test]
    fn a_later_prediction_takes_the_place_of_an_earlier_one() {
        let mut book = book();
        book.put(hash(1), held(1, &[slot(9)]));

        assert_eq!(book.len(), 6);
        assert_eq!(book.drop_stale(&changed(&[1], Account::default(), false), |_| Ok(None)), Ok(2));
        assert!(book.get(&hash(1)).is_some());
    }

    #[test]
    fn the_oldest_go_when_the_book_is_full_and_nothing_of_them_stays() {
        let mut book = Book::new(30);
        for number in 0..200 {
            book.put(hash(number), held(number, &[slot(1), slot(u64::from(number) + 2)]));
        }
        assert_eq!(left(&book), [194, 195, 196, 197, 198, 199]);
        assert!(book.arrivals.len() < 100, "{}", book.arrivals.len());
        for number in 194..200 {
            assert!(book.remove(&hash(number)));
        }
        assert_eq!((book.weight, book.readers.len()), (0, 0));
    }
}
