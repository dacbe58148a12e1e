//! Who touches a location: nobody, one, or a crowd.
//!
//! Most locations have one user, and such a row takes eight bytes. Only where several meet is there
//! more to know, which stands elsewhere; and only there can anybody conflict, so a plan looks at
//! nothing else.

use smallvec::SmallVec;

use super::locations::LocationId;
use crate::access::Access;

/// How an access bears on others of the same location. Two accesses conflict unless both are
/// reads or both are changes of a balance that nobody looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Class {
    /// Commutes with reads.
    #[default]
    Read,
    /// Credits and debits: commutes with its like.
    Delta,
    /// Commutes with nothing.
    Write,
}

impl Class {
    pub(super) fn of(access: Access) -> Self {
        if access.conflicts_with(access) {
            Self::Write
        } else if access.has(Access::READ) {
            Self::Read
        } else {
            Self::Delta
        }
    }

    /// Of one who does both.
    pub(super) fn with(self, other: Self) -> Self {
        if self == other { self } else { Self::Write }
    }

    pub(super) fn conflicts_with(self, other: Self) -> bool {
        self != other || self == Self::Write
    }
}

/// One access of one pooled transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) location: LocationId,
    /// The place, and below it the access.
    packed: u32,
}

impl Use {
    /// `place` is where the transaction stands among the location's users.
    pub(super) fn new(location: LocationId, place: u32, access: Access) -> Self {
        debug_assert!(place < 1 << (32 - Access::BITS), "a crowd of that size does not fit into memory");
        Self { location, packed: place << Access::BITS | u32::from(access.bits()) }
    }

    pub(super) fn place(self) -> u32 {
        self.packed >> Access::BITS
    }

    pub(super) fn move_to(&mut self, place: u32) {
        *self = Self::new(self.location, place, self.access());
    }

    pub(super) fn access(self) -> Access {
        Access::from_bits(self.packed as u8)
    }

    pub(super) fn class(self) -> Class {
        Class::of(self.access())
    }
}

/// One who touches a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) entry: u32,
    /// Which of the entry's uses this is.
    pub(super) nth: u32,
}

/// How many touch a location, by [`Class`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts([u32; 3]);

impl Counts {
    /// Readers, who change a balance without looking, writers.
    pub(super) fn by_class(self) -> [u32; 3] {
        self.0
    }

    pub(super) fn total(self) -> u32 {
        self.0.iter().sum()
    }

    /// Whether some two of them conflict.
    pub(super) fn is_contested(self) -> bool {
        let [reads, deltas, writes] = self.0;
        writes > 0 && self.total() > 1 || reads > 0 && deltas > 0
    }

    /// Whether a plan must look at it: some two conflict, or may empty one purse together.
    fn is_shared(self) -> bool {
        self.is_contested() || self.0[Class::Delta as usize] > 1
    }

    /// How many of them an access of `class` conflicts with.
    pub(super) fn conflicting(self, class: Class) -> u32 {
        let [reads, deltas, writes] = self.0;
        match class {
            Class::Read => deltas + writes,
            Class::Delta => reads + writes,
            Class::Write => reads + deltas + writes,
        }
    }
}

/// All who touch one location.
#[derive(Debug, Clone, Copy)]
pub(super) struct Users<'a> {
    pub(super) counts: Counts,
    one: Option<User>,
    crowd: &'a [User],
}

impl Users<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = User> + '_ {
        self.one.into_iter().chain(self.crowd.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        self.counts.total() as usize
    }
}

/// A location's users, or where they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The one's entry, or the number of the crowd.
    first: u32,
    /// Of one: which of the entry's uses it is, and below that its class. Else [`NOBODY`] or [`CROWD`].
    rest: u32,
}

const CROWD: u32 = u32::MAX;
const NOBODY: u32 = u32::MAX - 1;
const CLASSES: [Class; 3] = [Class::Read, Class::Delta, Class::Write];

impl Default for Row {
    fn default() -> Self {
        Self { first: 0, rest: NOBODY }
    }
}

impl Row {
    fn one(user: User, class: Class) -> Self {
        Self { first: user.entry, rest: user.nth << 2 | class as u32 }
    }

    fn user(self) -> (User, Class) {
        (User { entry: self.first, nth: self.rest >> 2 }, CLASSES[self.rest as usize & 3])
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest == NOBODY
    }

    /// The number of its crowd.
    pub(super) fn crowd(self) -> Option<u32> {
        (self.rest == CROWD).then_some(self.first)
    }
}

#[derive(Debug, Default)]
struct Crowd {
    counts: Counts,
    users: SmallVec<[User; 2]>,
}

/// The users of locations that have had several.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    crowds: Vec<Crowd>,
    free: Vec<u32>,
}

impl Crowds {
    /// Enters a user; returns its place.
    pub(super) fn enter(&mut self, row: &mut Row, user: User, class: Class) -> u32 {
        if row.is_empty() {
            *row = Row::one(user, class);
            return 0;
        }
        if row.crowd().is_none() {
            let (first, its_class) = row.user();
            let mut crowd = Crowd::default();
            crowd.counts.0[its_class as usize] = 1;
            crowd.users.push(first);
            *row = Row { first: self.put(crowd), rest: CROWD };
        }
        let crowd = &mut self.crowds[row.first as usize];
        crowd.counts.0[class as usize] += 1;
        crowd.users.push(user);
        crowd.users.len() as u32 - 1
    }

    /// Takes a user out; returns who stands at its place now.
    pub(super) fn leave(&mut self, row: &mut Row, used: Use) -> Option<User> {
        let Some(number) = row.crowd() else {
            *row = Row::default();
            return None;
        };
        let crowd = &mut self.crowds[number as usize];
        crowd.counts.0[used.class() as usize] -= 1;
        crowd.users.swap_remove(used.place() as usize);
        let moved = crowd.users.get(used.place() as usize).copied();
        // The last one keeps the crowd: its place and its class stand there.
        if crowd.users.is_empty() {
            *crowd = Crowd::default();
            self.free.push(number);
            *row = Row::default();
        }
        moved
    }

    fn put(&mut self, crowd: Crowd) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.crowds[number as usize] = crowd;
                number
            }
            None => {
                self.crowds.push(crowd);
                self.crowds.len() as u32 - 1
            }
        }
    }

    /// Whether a plan must look at the location.
    pub(super) fn is_shared(&self, row: Row) -> bool {
        row.crowd().is_some_and(|number| self.crowds[number as usize].counts.is_shared())
    }

    pub(super) fn users(&self, row: Row) -> Users<'_> {
        if let Some(number) = row.crowd() {
            let crowd = &self.crowds[number as usize];
            return Users { counts: crowd.counts, one: None, crowd: &crowd.users };
        }
        let (mut counts, mut one) = (Counts::default(), None);
        if !row.is_empty() {
            let (user, class) = row.user();
            counts.0[class as usize] = 1;
            one = Some(user);
        }
        Users { counts, one, crowd: &[] }
    }

    /// One more than the greatest number of a crowd.
    pub(super) fn numbers(&self) -> usize {
        self.crowds.len()
    }

    /// How many numbers are in use.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.crowds.len() - self.free.len()
    }
}
