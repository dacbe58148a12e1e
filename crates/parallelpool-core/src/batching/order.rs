//! In which order transactions are wanted.
//!
//! A sender's transactions run in nonce order, so each one comes no earlier than those before it:
//! its key is the worst of its own and theirs. Sorting by such keys gives what a heap of the
//! senders' next transactions would give, without the heap; and a change moves only the later
//! nonces of its own sender.

use super::sorted::Key;

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

/// Wei per gas, by 64 bits: a table of it has no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Wei {
    high: u64,
    low: u64,
}

impl From<u128> for Wei {
    fn from(wei: u128) -> Self {
        Self { high: (wei >> 64) as u64, low: wei as u64 }
    }
}

impl From<Wei> for u128 {
    fn from(wei: Wei) -> Self {
        Self::from(wei.high) << 64 | Self::from(wei.low)
    }
}

/// Which transaction a key belongs to, and which of the keys that it has had this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) entry: u32,
    pub(super) version: u32,
}

/// Ascending: the better tip, then the earlier arrival, then the lower nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TipKey {
    /// `u128::MAX` less the least effective tip up to this nonce.
    pub(super) shortfall: Wei,
    /// Of the transaction with that tip.
    pub(super) arrival: u64,
    pub(super) nonce: u64,
    pub(super) stamp: Stamp,
}

impl TipKey {
    /// Least effective tip of the sender's transactions up to this one.
    pub(super) fn tip(&self) -> u128 {
        u128::MAX - u128::from(self.shortfall)
    }
}

impl Key for TipKey {
    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn prefix(&self) -> u64 {
        // Who pays 2^64 wei per gas or more is told apart by the whole.
        if self.shortfall.high == u64::MAX { self.shortfall.low } else { 0 }
    }
}

/// Ascending: the earlier arrival, then the lower nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ArrivalKey {
    /// The latest up to this nonce.
    pub(super) arrival: u64,
    pub(super) nonce: u64,
    pub(super) stamp: Stamp,
}

impl Key for ArrivalKey {
    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn prefix(&self) -> u64 {
        self.arrival
    }
}

/// Where a transaction stands in both orders, by its own price and its sender's before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// As [`TipKey::shortfall`].
    pub(super) shortfall: Wei,
    /// As [`TipKey::arrival`].
    pub(super) tip_arrival: u64,
    /// As [`ArrivalKey::arrival`].
    pub(super) arrival: u64,
}

impl Standing {
    /// Of one that pays `tip` and follows one that stands at `before`.
    pub(super) fn behind(tip: u128, arrival: u64, before: Option<Self>) -> Self {
        let own = Self { shortfall: (u128::MAX - tip).into(), tip_arrival: arrival, arrival };
        let Some(before) = before else { return own };
        let (shortfall, tip_arrival) =
            (before.shortfall, before.tip_arrival).max((own.shortfall, own.tip_arrival));
        Self { shortfall, tip_arrival, arrival: arrival.max(before.arrival) }
    }

    pub(super) fn tip_key(self, nonce: u64, stamp: Stamp) -> TipKey {
        TipKey { shortfall: self.shortfall, arrival: self.tip_arrival, nonce, stamp }
    }

    pub(super) fn arrival_key(self, nonce: u64, stamp: Stamp) -> ArrivalKey {
        ArrivalKey { arrival: self.arrival, nonce, stamp }
    }
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
