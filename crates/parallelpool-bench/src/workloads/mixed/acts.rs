//! What the transactions of a mixed block do, how many do it, and what gas they are given.

use crate::workloads::Numbers;
use crate::workloads::uniswap::SWAP_GAS;

/// What a transaction does, and how many in a thousand do.
const SHARES: [(Act, u64); 12] = [
    (Act::Payment, 400),
    (Act::TokenTransfer, 220),
    (Act::Swap(Route::Direct), 110),
    (Act::Swap(Route::ThroughEther), 60),
    (Act::Swap(Route::Circle), 40),
    (Act::Approval, 40),
    (Act::Wrapping, 35),
    (Act::Mint, 35),
    (Act::Payout, 15),
    (Act::Creation, 10),
    (Act::Failure(Failing::Swap), 15),
    (Act::Failure(Failing::TokenTransfer), 20),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Payment,
    TokenTransfer,
    Swap(Route),
    Approval,
    Wrapping,
    Mint,
    Payout,
    Creation,
    Failure(Failing),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Route {
    /// Wrapped ether for a token, or the other way round.
    Direct,
    /// A token for another one.
    ThroughEther,
    /// From wrapped ether through two tokens back to it, as searchers do.
    Circle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Failing {
    /// Asks for more than the pool gives, and fails after all of the work.
    Swap,
    /// Asks for more than there is of the token, or runs out of gas.
    TokenTransfer,
}

/// Enough for every single call of a token.
pub(super) const TOKEN_GAS: u64 = 90_000;

/// Less than the cheapest transfer of a token, more than is charged before it runs.
pub(super) const TOO_LITTLE_TOKEN_GAS: u64 = 25_000;

/// Enough for the larger of the contracts that are created.
pub(super) const CREATION_GAS: u64 = 600_000;

impl Act {
    /// One of them, each as often as its share says.
    pub(super) fn draw(numbers: &mut Numbers) -> Self {
        let mut drawn = numbers.below(1_000);
        for (act, share) in SHARES {
            if drawn < share {
                return act;
            }
            drawn -= share;
        }
        unreachable!("the shares add up to a thousand")
    }
}

impl Route {
    /// Enough for a swap along it.
    pub(super) fn gas(self) -> u64 {
        let pools = match self {
            Self::Direct => 1,
            Self::ThroughEther => 2,
            Self::Circle => 4,
        };
        SWAP_GAS * pools
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_a_thousand() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u64>(), 1_000);
    }
}
