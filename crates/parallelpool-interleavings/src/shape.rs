//! What a block looks like to the scheduler.

/// A block whose transactions do nothing but be counted.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Of each transaction the earlier ones that should run first, descending.
    pub edges: Vec<Vec<u32>>,
    /// Of each transaction whether it looks like a transfer. Such have no edges, and none leads to one.
    pub transfers: Vec<bool>,
    /// Whether all that looks like a call looks like a short one.
    pub short: bool,
    /// Those that look like a transfer and are none.
    pub disguised: Vec<u32>,
    /// Those that should begin before their turn, in this order. None of them is a transfer.
    pub early: Vec<u32>,
    /// How many the committer runs in order at once while the window is one; 0: none.
    pub in_order: u32,
    /// How far ahead workers may go, after each commit in turn.
    pub windows: Vec<u32>,
    pub ending: Ending,
    /// Whether a worker goes on with a transaction that waited for its last one.
    pub hand_on: bool,
    /// Whether a worker commits what it runs at the frontier without publishing it first.
    pub in_place: bool,
    /// Executions that end only when all of them have begun.
    pub meeting: Vec<u32>,
    /// How often others may move while one executes.
    pub pauses: u32,
}

/// How the block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// The committer fails at this transaction.
    Refused(u32),
    /// The worker that executes this transaction panics.
    Panicked(u32),
}

impl Shape {
    /// A block without edges, the window always open.
    pub fn independent(transactions: usize) -> Self {
        Self {
            edges: vec![Vec::new(); transactions],
            transfers: vec![false; transactions],
            short: false,
            disguised: Vec::new(),
            early: Vec::new(),
            in_order: 0,
            windows: vec![transactions as u32],
            ending: Ending::Whole,
            hand_on: true,
            in_place: true,
            meeting: Vec::new(),
            pauses: 0,
        }
    }

    /// A block in which each transaction should follow the one before.
    pub fn chain(transactions: usize) -> Self {
        let edges =
            (0..transactions as u32).map(|index| index.checked_sub(1).into_iter().collect()).collect();
        Self { edges, ..Self::independent(transactions) }
    }

    /// A long transaction, and three others of which the last two must wait for the first. The long
    /// one does not end before those two are running, so three workers must have work at once.
    pub fn meeting() -> Self {
        let edges = vec![vec![], vec![], vec![1], vec![1]];
        Self { edges, meeting: vec![0, 2, 3], pauses: 40, ..Self::independent(4) }
    }

    /// The same with transfers.
    pub fn with_transfers(mut self, transfers: &[u32], disguised: &[u32]) -> Self {
        for index in transfers {
            self.transfers[*index as usize] = true;
        }
        self.disguised = disguised.to_vec();
        self
    }

    /// The same with transactions that should begin early.
    pub fn with_early(mut self, early: &[u32]) -> Self {
        self.early = early.to_vec();
        self
    }

    /// The same with ranges of so many that the committer runs in order.
    pub fn with_in_order(mut self, count: u32) -> Self {
        self.in_order = count;
        self
    }

    /// The same with windows that follow each other.
    pub fn with_windows(mut self, windows: &[u32]) -> Self {
        self.windows = windows.to_vec();
        self
    }

    /// The same with another ending.
    pub fn with_ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}
