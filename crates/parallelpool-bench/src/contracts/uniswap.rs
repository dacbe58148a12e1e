//! Uniswap V3 as published, and our router in front of its pools.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};

use super::abi::{self, Value};
use super::{Stage, creation_code, uniswap_factory};

/// Hundredths of a basis point that the benchmark's pools take: the middle one of the factory's
/// tiers.
pub(super) const FEE_TIER: u64 = 3_000;

/// Ticks of this tier's pools are multiples of 60; these are the outermost.
const OUTERMOST_TICK: i32 = 887_220;

/// Keccak of the pool's creation code, which stands inside the factory's.
pub(super) const POOL_INIT_CODE_HASH: B256 =
    B256::new(alloy_primitives::hex!("e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54"));

/// A factory, and a router for its pools. Neither is written to by a swap.
#[derive(Debug, Clone, Copy)]
pub struct Market {
    /// The published factory.
    pub factory: Address,
    /// Our router.
    pub router: Address,
    /// Created both, and owns the liquidity of all pools.
    pub owner: Address,
}

/// Two tokens in the order of their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The lower address.
    pub token0: Address,
    /// The higher one.
    pub token1: Address,
}

impl PoolKey {
    /// The pair, in whatever order it is given.
    pub fn of(one: Address, other: Address) -> Self {
        Self { token0: one.min(other), token1: one.max(other) }
    }
}

impl Market {
    /// Creates factory and router.
    pub fn create(stage: &mut Stage, owner: Address) -> Result<Self, CoreError> {
        let factory = stage.create(owner, uniswap_factory()?)?;
        let code = creation_code("Router", &[factory.into(), POOL_INIT_CODE_HASH.into()]);
        Ok(Self { factory, router: stage.create(owner, code)?, owner })
    }

    /// Creates a pool at the price of one to one, with as much liquidity over all prices as
    /// `amount` of each token makes. The owner must own as much and have let the router take it.
    pub fn create_pool(&self, stage: &mut Stage, key: PoolKey, amount: U256) -> Result<Address, CoreError> {
        let PoolKey { token0, token1 } = key;
        let pair: [Value; 3] = [token0.into(), token1.into(), FEE_TIER.into()];
        stage.call(self.owner, self.factory, abi::call("createPool(address,address,uint24)", &pair))?;
        let pool = self.pool(key);
        let one_to_one: U256 = U256::ONE << 96;
        stage.call(self.owner, pool, abi::call("initialize(uint160)", &[one_to_one.into()]))?;
        let [token0, token1, fee] = pair;
        let liquidity = [token0, token1, fee, (-OUTERMOST_TICK).into(), OUTERMOST_TICK.into(), amount.into()];
        let add = abi::call("addLiquidity(address,address,uint24,int24,int24,uint128)", &liquidity);
        stage.call(self.owner, self.router, add)?;
        Ok(pool)
    }

    /// Where the factory puts the pool of two tokens.
    pub fn pool(&self, key: PoolKey) -> Address {
        let salt = abi::encode(&[key.token0.into(), key.token1.into(), FEE_TIER.into()]);
        self.factory.create2(keccak256(salt), POOL_INIT_CODE_HASH)
    }

    /// Lets the router take what it needs of the account's tokens.
    pub fn approve(&self, stage: &mut Stage, account: Address, token: Address) -> Result<(), CoreError> {
        stage.call(account, token, approval(self.router))
    }

    /// Calldata of a swap along `path`, the proceeds to `recipient`.
    pub fn swap(path: &[Address], amount: U256, least: U256, recipient: Address) -> Bytes {
        const NEVER: u64 = u64::MAX;
        abi::call(
            "swap(address[],uint24,uint256,uint256,address,uint256)",
            &[path.into(), FEE_TIER.into(), amount.into(), least.into(), recipient.into(), NEVER.into()],
        )
    }
}

/// Calldata that lets `spender` take everything.
pub fn approval(spender: Address) -> Bytes {
    abi::call("approve(address,uint256)", &[spender.into(), U256::MAX.into()])
}
