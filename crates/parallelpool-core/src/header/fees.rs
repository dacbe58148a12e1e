//! Prices that a block inherits from its parent: base fee and blob base fee.

use alloy_consensus::Header;
use alloy_eips::eip4844::fake_exponential;

use crate::chainspec::{BlobParameters, ChainSpec, Fork};
use crate::primitives::U256;

/// Gas of one blob.
pub const GAS_PER_BLOB: u64 = 131_072;
/// From London on, the gas limit is this many times the gas target.
pub(super) const ELASTICITY: u64 = 2;

/// Base fee of the first London block.
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;
const CHANGE_DENOMINATOR: u128 = 8;
/// Gas that one blob must at least be worth from Osaka on (EIP-7918).
const BLOB_BASE_COST: u64 = 8_192;

/// The base fee (EIP-1559) of a child of `parent` at `timestamp`; `None` before London.
pub fn next_base_fee(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    if spec.fork_at(parent.number.saturating_add(1), timestamp) < Fork::London {
        return None;
    }
    let Some(base_fee) = parent.base_fee_per_gas else { return Some(INITIAL_BASE_FEE) };
    let target = parent.gas_limit / ELASTICITY;
    let change = u128::from(base_fee) * u128::from(parent.gas_used.abs_diff(target))
        / u128::from(target.max(1))
        / CHANGE_DENOMINATOR;
    let change = u64::try_from(change).unwrap_or(u64::MAX);
    Some(match parent.gas_used.cmp(&target) {
        std::cmp::Ordering::Equal => base_fee,
        std::cmp::Ordering::Greater => base_fee.saturating_add(change.max(1)),
        std::cmp::Ordering::Less => base_fee.saturating_sub(change),
    })
}

/// The excess blob gas (EIP-4844, EIP-7918) of a child of `parent` at `timestamp`; `None` before
/// Cancun or without a blob schedule.
pub fn next_excess_blob_gas(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    let fork = spec.fork_at(parent.number.saturating_add(1), timestamp);
    if fork < Fork::Cancun {
        return None;
    }
    let blobs = spec.blob_parameters_at(timestamp)?;
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    let sum = excess.saturating_add(used);
    let target = blobs.target.saturating_mul(GAS_PER_BLOB);
    if sum < target {
        return Some(0);
    }
    if fork >= Fork::Osaka {
        let reserve = U256::from(BLOB_BASE_COST) * U256::from(parent.base_fee_per_gas.unwrap_or_default());
        let price = U256::from(GAS_PER_BLOB) * U256::from(blob_base_fee(&blobs, excess));
        if reserve > price {
            let scaled = u128::from(used) * u128::from(blobs.max.saturating_sub(blobs.target))
                / u128::from(blobs.max.max(1));
            return Some(excess.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX)));
        }
    }
    Some(sum - target)
}

/// Wei per blob gas at this excess; `u128::MAX` where it would be more.
pub fn blob_base_fee(blobs: &BlobParameters, excess_blob_gas: u64) -> u128 {
    let fraction = u128::from(blobs.base_fee_update_fraction.max(1));
    fake_exponential(1, u128::from(excess_blob_gas), fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london() -> ChainSpec {
        ChainSpec::for_network("London").expect("a known network")
    }

    fn parent(base_fee: u64, gas_used: u64) -> Header {
        Header {
            number: 1,
            gas_limit: 20_000_000,
            gas_used,
            base_fee_per_gas: Some(base_fee),
            ..Header::default()
        }
    }

    #[test]
    fn the_base_fee_follows_the_gas_used() {
        let next = |base_fee, gas_used| next_base_fee(&london(), &parent(base_fee, gas_used), 10);
        assert_eq!(next(1_000_000_000, 10_000_000), Some(1_000_000_000));
        assert_eq!(next(1_000_000_000, 9_000_000), Some(987_500_000));
        assert_eq!(next(1_000_000_000, 11_000_000), Some(1_012_500_000));
        assert_eq!(next(7, 20_000_000), Some(8), "it rises by one wei at least");
        assert_eq!(next(0, 0), Some(0));
        assert_eq!(next(u64::MAX, 20_000_000), Some(u64::MAX), "it does not wrap");
    }

    #[test]
    fn the_first_london_block_has_the_initial_base_fee_and_older_ones_none() {
        let spec = ChainSpec::for_network("BerlinToLondonAt5").expect("a known network");
        let at = |number| next_base_fee(&spec, &Header { number, ..Header::default() }, 10);
        assert_eq!(at(3), None);
        assert_eq!(at(4), Some(INITIAL_BASE_FEE));
    }

    #[test]
    fn the_reserve_price_keeps_the_excess_up_from_osaka_on() {
        let blobs = 6 * GAS_PER_BLOB;
        let parent = Header {
            number: 1,
            base_fee_per_gas: Some(1_000_000_000),
            excess_blob_gas: Some(10 * GAS_PER_BLOB),
            blob_gas_used: Some(blobs),
            ..Header::default()
        };
        let next = |network: &str| {
            let spec = ChainSpec::for_network(network).expect("a known network");
            next_excess_blob_gas(&spec, &parent, 12)
        };
        assert_eq!(next("Shanghai"), None);
        assert_eq!(next("Cancun"), Some(13 * GAS_PER_BLOB));
        assert_eq!(next("Prague"), Some(10 * GAS_PER_BLOB));
        assert_eq!(next("Osaka"), Some(10 * GAS_PER_BLOB + blobs / 3));
    }

    #[test]
    fn the_blob_base_fee_is_the_exponential_of_the_excess() {
        let cancun = BlobParameters { target: 3, max: 6, base_fee_update_fraction: 3_338_477 };
        assert_eq!(blob_base_fee(&cancun, 0), 1);
        assert_eq!(blob_base_fee(&cancun, 2_314_057), 1);
        assert_eq!(blob_base_fee(&cancun, 2_314_058), 2);
        assert_eq!(blob_base_fee(&cancun, 10 * 1024 * 1024), 23);
        assert_eq!(blob_base_fee(&cancun, u64::MAX), u128::MAX);
    }
}
