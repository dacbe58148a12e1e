//! Swaps in Uniswap V3 pools that have nothing to do with each other.
//!
//! A cluster is two tokens, their pool with liquidity over all prices, and the people who swap in
//! it; clusters share only what no swap writes to, the factory and the router. By default one
//! person swaps once in each, as in the benchmarks of other executors: no transaction depends on
//! another. With several, the swaps of a cluster depend on each other, and the clusters take turns.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::memory::MemoryState;

use super::transfers::ether;
use super::{Draft, Making, Numbers, Signer, draft};
use crate::contracts::{Market, PoolKey, Stage, creation_code, units};
use crate::workload::{BenchBlock, Workload};

/// Swaps that make one gigagas.
pub(super) const GIGAGAS_SWAPS: usize = 7_236;

/// Enough for the dearest swap of one pool.
pub(super) const SWAP_GAS: u64 = 250_000;

/// Most swaps that may be asked for in one cluster.
const MOST_SWAPS: usize = 1_000;

/// Two tokens, their pool, and who swaps which of them.
struct Cluster {
    path: [Address; 2],
    swappers: Vec<Signer>,
}

/// One swap in each cluster.
pub(super) fn clusters(making: &Making<'_>) -> Result<Vec<BenchBlock>, CoreError> {
    swaps(making, 1)
}

/// As many swaps in each cluster as the name says.
pub(super) fn crowded(making: &Making<'_>, number: &str) -> Result<Workload, CoreError> {
    let each = number.parse().ok().filter(|each| (1..=MOST_SWAPS).contains(each)).ok_or_else(|| {
        CoreError::InvalidArgument(format!(
            "{number:?} swaps in each pool asked for, possible are 1 to {MOST_SWAPS}"
        ))
    })?;
    Ok(Workload {
        name: format!("uniswap/{each}"),
        description: format!("Uniswap V3 swaps, {each} in each pool"),
        blocks: swaps(making, each)?,
    })
}

fn swaps(making: &Making<'_>, each: usize) -> Result<Vec<BenchBlock>, CoreError> {
    let accounts = making.accounts("sender", making.count(GIGAGAS_SWAPS));
    let mut state = MemoryState::new();
    making.fund(&mut state, &accounts, ether());
    let mut stage = Stage::new(state)?;
    let owner = making.accounts("creator", 1)[0].address;
    let market = Market::create(&mut stage, owner)?;
    let mut numbers = making.numbers("uniswap");
    let clusters = accounts
        .chunks(each)
        .map(|swappers| Cluster::create(&mut stage, &market, swappers.to_vec(), &mut numbers))
        .collect::<Result<Vec<_>, _>>()?;
    let mut drafts = Vec::with_capacity(accounts.len());
    for turn in 0..each {
        for cluster in &clusters {
            drafts.extend(cluster.swap(turn, &stage, &market, &mut numbers));
        }
    }
    making.block(stage.finish()?, drafts)
}

impl Cluster {
    fn create(
        stage: &mut Stage,
        market: &Market,
        swappers: Vec<Signer>,
        numbers: &mut Numbers,
    ) -> Result<Self, CoreError> {
        let owner = market.owner;
        let supply = units(30);
        let mut path = [Address::ZERO; 2];
        for token in &mut path {
            *token = stage.create(owner, creation_code("DemoToken", &[supply.into()]))?;
            market.approve(stage, owner, *token)?;
        }
        market.create_pool(stage, PoolKey::of(path[0], path[1]), units(24))?;
        if numbers.below(2) == 0 {
            path.reverse();
        }
        for swapper in &swappers {
            stage.call(owner, path[0], super::token::transfer(swapper.address, units(20)))?;
            market.approve(stage, swapper.address, path[0])?;
        }
        Ok(Self { path, swappers })
    }

    /// The swap of one person, who sells 0.1 to 1 of the first token.
    fn swap(
        &self,
        person: usize,
        stage: &Stage,
        market: &Market,
        numbers: &mut Numbers,
    ) -> Option<Draft<'_>> {
        let swapper = self.swappers.get(person)?;
        let amount = units(17) + units(14) * U256::from(numbers.below(900));
        let data = Market::swap(&self.path, amount, U256::ONE, swapper.address);
        let nonce = stage.nonce(&swapper.address);
        Some(draft(swapper, nonce, Some(market.router), U256::ZERO, data, SWAP_GAS))
    }
}
