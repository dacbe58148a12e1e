//! In which order transactions are wanted.
//!
//! A sender's transactions run in nonce order, so each one comes no earlier than those before it:
//! its key is the worst of its own and theirs. Sorting by such keys gives what a heap of the
//! senders' next transactions would give, without the heap; and a change moves only the later
//! nonces of its own sender.

/// Which transactions are wanted first, and how a chosen set is arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Best effective tip first: what the block earns.
    #[default]
    Tip,
    /// Chosen by tip; arranged so that the first batches are as wide as possible: what conflicts
    /// least comes first, whoever pays more.
    Width,
    /// Chosen by tip; arranged for the shortest critical path: what runs longest comes first, and
    /// batches hold transactions of like length.
    Latency,
    /// By arrival.
    Fifo,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tip, Self::Width, Self::Latency, Self::Fifo];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tip => "tip",
            Self::Width => "width",
            Self::Latency => "latency",
            Self::Fifo => "fifo",
        }
    }

    /// The strategy with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

/// Ascending: the better tip, then the earlier arrival, then the lower nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TipKey {
    /// `u128::MAX` less the least effective tip up to this nonce.
    pub(super) shortfall: u128,
    /// Of the transaction with that tip.
    pub(super) arrival: u64,
    pub(super) nonce: u64,
    pub(super) entry: u32,
}

impl TipKey {
    /// Least effective tip of the sender's transactions up to this one.
    pub(super) fn tip(&self) -> u128 {
        u128::MAX - self.shortfall
    }
}

/// Ascending: the earlier arrival, then the lower nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ArrivalKey {
    /// The latest up to this nonce.
    pub(super) arrival: u64,
    pub(super) nonce: u64,
    pub(super) entry: u32,
}

/// What the producer earns per gas; `None` where the fee cap is below the base fee.
pub(super) fn effective_tip(
    max_fee_per_gas: u128,
    max_priority_fee_per_gas: u128,
    base_fee: Option<u128>,
) -> Option<u128> {
    match base_fee {
        None => Some(max_priority_fee_per_gas),
        Some(base_fee) => Some(max_fee_per_gas.checked_sub(base_fee)?.min(max_priority_fee_per_gas)),
    }
}
