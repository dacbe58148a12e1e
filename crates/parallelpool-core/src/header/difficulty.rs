//! Proof-of-work difficulty of every fork, ice age and its delays included.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};

use crate::chainspec::{ChainSpec, Fork};
use crate::primitives::U256;

/// Least difficulty before the ice age's share.
const MINIMUM: U256 = U256::from_limbs([131_072, 0, 0, 0]);
const BOUND_DIVISOR: U256 = U256::from_limbs([2_048, 0, 0, 0]);
/// Blocks after which the ice age doubles.
const PERIOD: u64 = 100_000;
/// Blocks by which forks put the ice age off, newest first.
const DELAYS: [(Fork, u64); 6] = [
    (Fork::GrayGlacier, 11_400_000),
    (Fork::ArrowGlacier, 10_700_000),
    (Fork::London, 9_700_000),
    (Fork::MuirGlacier, 9_000_000),
    (Fork::Constantinople, 5_000_000),
    (Fork::Byzantium, 3_000_000),
];

/// The difficulty that a proof-of-work child of `parent` must have at `timestamp`.
///
/// Sources: the Yellow Paper for Frontier, EIP-2 for Homestead, EIP-100 from Byzantium on, and
/// EIP-649, 1234, 2384, 3554, 4345 and 5133 for the delays.
pub fn next_difficulty(spec: &ChainSpec, parent: &Header, timestamp: u64) -> U256 {
    let number = parent.number.saturating_add(1);
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    let delay = DELAYS.iter().find(|(fork, _)| spec.is_active(*fork, number, timestamp));
    let step = match delay {
        Some(_) => {
            let base = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
            (base - i128::from(elapsed / 9)).max(-99)
        }
        None if spec.is_active(Fork::Homestead, number, timestamp) => (1 - i128::from(elapsed / 10)).max(-99),
        None if elapsed < 13 => 1,
        None => -1,
    };
    let adjustment = (parent.difficulty / BOUND_DIVISOR).saturating_mul(U256::from(step.unsigned_abs()));
    let adjusted = match step < 0 {
        true => parent.difficulty.saturating_sub(adjustment),
        false => parent.difficulty.saturating_add(adjustment),
    };
    let counted = match delay {
        Some((_, blocks)) => number.saturating_sub(*blocks),
        None => number,
    };
    adjusted.max(MINIMUM).saturating_add(ice_age(counted / PERIOD))
}

fn ice_age(periods: u64) -> U256 {
    match periods {
        0 | 1 => U256::ZERO,
        258.. => U256::MAX,
        periods => U256::ONE << (periods - 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chainspec::ChainSpec;
    use crate::primitives::B256;

    fn header(number: u64, timestamp: u64, difficulty: u64) -> Header {
        Header { number, timestamp, difficulty: U256::from(difficulty), ..Header::default() }
    }

    #[test]
    fn the_first_mainnet_block_has_its_difficulty() {
        let genesis = header(0, 0, 17_179_869_184);
        let first = next_difficulty(&ChainSpec::mainnet(), &genesis, 1_438_269_988);
        assert_eq!(first, U256::from(17_171_480_576u64));
    }

    #[test]
    fn the_ice_age_doubles_and_is_put_off() {
        let ice = |spec: &ChainSpec, number: u64| {
            // Ten seconds change nothing under either formula, so what is added is the ice age.
            let parent = header(number - 1, 0, 1 << 40);
            next_difficulty(spec, &parent, 10) - U256::from(1u64 << 40)
        };
        let homestead = ChainSpec::for_network("Homestead").expect("a known network");
        assert_eq!(ice(&homestead, 199_999), U256::ZERO);
        assert_eq!(ice(&homestead, 200_000), U256::from(1));
        assert_eq!(ice(&homestead, 3_999_999), U256::from(1u64 << 37));
        for (network, delay) in [
            ("Byzantium", 3_000_000),
            ("Constantinople", 5_000_000),
            ("Istanbul", 5_000_000),
            ("MuirGlacier", 9_000_000),
            ("London", 9_700_000),
            ("ArrowGlacier", 10_700_000),
            ("GrayGlacier", 11_400_000),
        ] {
            let spec = ChainSpec::for_network(network).expect("a known network");
            assert_eq!(ice(&spec, delay + 199_999), U256::ZERO, "{network}");
            assert_eq!(ice(&spec, delay + 200_000), U256::from(1), "{network}");
            assert_eq!(ice(&spec, delay + 1_000_000), U256::from(1 << 8), "{network}");
        }
    }

    #[test]
    fn ommers_of_the_parent_and_long_waits_count_from_byzantium_on() {
        let spec = ChainSpec::for_network("Byzantium").expect("a known network");
        let parent = header(10, 100, 2_048_000);
        let with_ommers = Header { ommers_hash: B256::ZERO, ..parent.clone() };
        assert_eq!(next_difficulty(&spec, &parent, 101), U256::from(2_049_000u64));
        assert_eq!(next_difficulty(&spec, &with_ommers, 101), U256::from(2_050_000u64));
        assert_eq!(next_difficulty(&spec, &parent, 1_000_000), U256::from(2_048_000u64 - 99_000));
    }

    #[test]
    fn the_minimum_holds_and_absurd_numbers_do_not_overflow() {
        let spec = ChainSpec::for_network("Frontier").expect("a known network");
        assert_eq!(next_difficulty(&spec, &header(0, 0, 1), 100), MINIMUM);
        let parent = Header { difficulty: U256::MAX, ..header(u64::MAX - 1, 0, 0) };
        assert_eq!(next_difficulty(&spec, &parent, 1), U256::MAX);
    }
}
