//! The contracts that a mixed block calls, and what its senders own of them.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, Bytes, U256};

use crate::contracts::{Market, PoolKey, Stage, abi, creation_code, units};
use crate::workloads::Numbers;
use crate::workloads::token::transfer;

/// Plain tokens beside the stablecoin and wrapped ether.
const TOKENS: usize = 29;

/// What an account is given of a token: far more than a whole block can take from it.
fn holding() -> U256 {
    units(24)
}

/// What there is of every token, nearly all of it with the creator.
fn supply() -> U256 {
    units(32)
}

/// Contracts, all made by one creator.
pub(super) struct World {
    pub(super) creator: Address,
    pub(super) wrapped: Address,
    /// The stablecoin's implementation, behind `tokens[0]`.
    pub(super) implementation: Address,
    /// The stablecoin, then plain tokens. Each has a pool with wrapped ether.
    pub(super) tokens: Vec<Address>,
    pub(super) nft: Address,
    pub(super) payout: Address,
    pub(super) market: Market,
}

impl World {
    /// Creates everything. The creator must own the supply of wrapped ether in ether.
    pub(super) fn create(stage: &mut Stage, creator: Address) -> Result<Self, CoreError> {
        let market = Market::create(stage, creator)?;
        let wrapped = stage.create(creator, creation_code("WrappedEther", &[]))?;
        stage.pay(creator, wrapped, supply(), abi::call("deposit()", &[]))?;
        market.approve(stage, creator, wrapped)?;
        let implementation = stage.create(creator, creation_code("Stablecoin", &[]))?;
        let mut tokens = vec![stage.create(creator, stablecoin(implementation, creator))?];
        for _ in 0..TOKENS {
            tokens.push(stage.create(creator, plain_token())?);
        }
        for token in &tokens {
            market.approve(stage, creator, *token)?;
            market.create_pool(stage, PoolKey::of(wrapped, *token), units(26))?;
        }
        let nft = stage.create(creator, creation_code("Nft", &[]))?;
        let payout = stage.create(creator, creation_code("Payout", &[]))?;
        Ok(Self { creator, wrapped, implementation, tokens, nft, payout, market })
    }

    /// Gives the account of a token.
    pub(super) fn give(&self, stage: &mut Stage, token: Address, account: Address) -> Result<(), CoreError> {
        stage.call(self.creator, token, transfer(account, holding()))
    }

    /// A token for a transfer: mostly the stablecoin, the others ever less.
    pub(super) fn moved_token(&self, numbers: &mut Numbers) -> Address {
        match numbers.below(100) {
            0..60 => self.tokens[0],
            60..80 => self.tokens[1],
            80..92 => self.tokens[2],
            _ => self.tokens[3],
        }
    }

    /// A token for a trade with wrapped ether: the k-th with a weight of 1 / (k + 5), so that five
    /// of the thirty pools have two fifths of the trade.
    pub(super) fn traded_token(&self, numbers: &mut Numbers) -> Address {
        const PRECISION: u64 = 1 << 20;
        let weights = || (0..).zip(&self.tokens).map(|(k, token)| (PRECISION / (k + 5), *token));
        let mut drawn = numbers.below(weights().map(|(weight, _)| weight).sum());
        for (weight, token) in weights() {
            if drawn < weight {
                return token;
            }
            drawn -= weight;
        }
        unreachable!("a number below the sum of all weights")
    }
}

/// Creation code of a stablecoin that `governor` gets the supply of.
pub(super) fn stablecoin(implementation: Address, governor: Address) -> Bytes {
    let setup = abi::call("initialize(address,uint256)", &[governor.into(), supply().into()]);
    creation_code("Proxy", &[implementation.into(), setup.into()])
}

/// Creation code of a token that its creator gets the supply of.
pub(super) fn plain_token() -> Bytes {
    creation_code("DemoToken", &[supply().into()])
}
