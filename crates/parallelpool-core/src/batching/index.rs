//! Dense numbers by the hash of their key.
//!
//! Open addressing with linear probing: a cell holds 32 bits of the hash, which say where it belongs
//! and tell most other keys apart, and the number. So a look-up reads one line of memory, a fresh key
//! goes into the line that was looked at, and a table that grows or gives a number up asks for no key.
//! Hashes must be seeded; whoever looks up compares whole keys.

/// The upper half of a hash and one more than a number; zero is nobody.
type Cell = u64;

const EMPTY: Cell = 0;

/// Where a key that is not there belongs.
#[derive(Debug)]
pub(super) struct Place {
    at: usize,
    tag: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// None, or a power of two.
    cells: Vec<Cell>,
    held: usize,
}

impl Index {
    /// How many numbers are held.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        let least = (self.held + more) * 3 / 2 + 1;
        if least > self.cells.len() {
            self.grow(least.next_power_of_two().max(16));
        }
    }

    /// Reads the place where a hash belongs and does nothing with it: who does so for several hashes
    /// waits for memory once.
    pub(super) fn touch(&self, hash: u64) {
        std::hint::black_box(self.cells.get(self.home(tag_of(hash))).copied());
    }

    /// The number under a hash that `is_it` agrees to.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let mut at = self.home(tag);
        loop {
            // Where there are no cells there is none here.
            let cell = *self.cells.get(at)?;
            if cell == EMPTY {
                return None;
            }
            if tag_in(cell) == tag && is_it(number_in(cell)) {
                return Some(number_in(cell));
            }
            at = self.next(at);
        }
    }

    /// The same, or the place that a number for it goes to with [`Self::fill`].
    pub(super) fn find_or_place(&mut self, hash: u64, is_it: impl Fn(u32) -> bool) -> Result<u32, Place> {
        self.reserve(1);
        let tag = tag_of(hash);
        let mut at = self.home(tag);
        loop {
            let cell = self.cells[at];
            if cell == EMPTY {
                return Err(Place { at, tag });
            }
            if tag_in(cell) == tag && is_it(number_in(cell)) {
                return Ok(number_in(cell));
            }
            at = self.next(at);
        }
    }

    /// Puts a number into a place that was found since the last change.
    pub(super) fn fill(&mut self, place: Place, number: u32) {
        debug_assert_eq!(self.cells[place.at], EMPTY, "nothing has changed since it was found");
        self.held += 1;
        self.cells[place.at] = Cell::from(place.tag) << 32 | Cell::from(number + 1);
    }

    /// Puts in a number whose hash has no other.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if let Err(place) = self.find_or_place(hash, |_| false) {
            self.fill(place, number);
        }
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        let mut hole = self.home(tag_of(hash));
        loop {
            match self.cells.get(hole) {
                None | Some(&EMPTY) => return,
                Some(&cell) if number_in(cell) == number => break,
                Some(_) => hole = self.next(hole),
            }
        }
        self.held -= 1;
        let mut at = hole;
        loop {
            at = self.next(at);
            let cell = self.cells[at];
            if cell == EMPTY {
                self.cells[hole] = EMPTY;
                return;
            }
            // One that belongs behind the hole stays where it is.
            if self.distance(self.home(tag_in(cell)), at) >= self.distance(hole, at) {
                self.cells[hole] = cell;
                hole = at;
            }
        }
    }

    fn grow(&mut self, cells: usize) {
        let old = std::mem::replace(&mut self.cells, vec![EMPTY; cells]);
        old.into_iter().filter(|cell| *cell != EMPTY).for_each(|cell| self.put(cell));
    }

    fn put(&mut self, cell: Cell) {
        let mut at = self.home(tag_in(cell));
        while self.cells[at] != EMPTY {
            at = self.next(at);
        }
        self.cells[at] = cell;
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.cells.len().wrapping_sub(1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & self.cells.len().wrapping_sub(1)
    }

    /// Steps from one place to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.cells.len().wrapping_sub(1)
    }
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn tag_in(cell: Cell) -> u32 {
    (cell >> 32) as u32
}

fn number_in(cell: Cell) -> u32 {
    (cell as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that crowd around few places, those at the end of the table among them.
    fn hash_of(number: u32) -> u64 {
        u64::from(number % 7).wrapping_sub(3) << 32 | u64::from(number)
    }

    #[test]
    fn numbers_are_found_until_they_leave_however_they_crowd() {
        let mut index = Index::default();
        assert_eq!(index.find(hash_of(1), |_| true), None);
        index.remove(hash_of(1), 1);
        let is_there =
            |index: &Index, number: u32| index.find(hash_of(number), |other| other == number) == Some(number);
        for number in 0..500 {
            let place = index.find_or_place(hash_of(number), |other| other == number);
            index.fill(place.expect_err("it is not there"), number);
            assert_eq!(index.find_or_place(hash_of(number), |other| other == number).ok(), Some(number));
        }
        assert_eq!(index.len(), 500);
        // Taken out in another order than they came in.
        for step in 0..500 {
            let number = step * 37 % 500;
            index.remove(hash_of(number), number);
            let left = (0..500).filter(|one| is_there(&index, *one)).count();
            assert_eq!((left, index.len()), (499 - step as usize, 499 - step as usize));
        }
        assert!(index.cells.iter().all(|cell| *cell == EMPTY));
    }
}
