//! Header rules that no public chain at hand shows.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;

use super::*;
use crate::chainspec::Activation;
use crate::primitives::Bytes;

/// A child that is valid under the rules of `spec`.
fn child(spec: &ChainSpec, parent: &Header) -> Header {
    let timestamp = parent.timestamp + 12;
    let number = parent.number + 1;
    let fork = spec.fork_at(number, timestamp);
    let difficulty = match fork >= Fork::Paris {
        true => U256::ZERO,
        false => next_difficulty(spec, parent, timestamp),
    };
    Header {
        parent_hash: header_hash(parent),
        number,
        timestamp,
        gas_limit: parent.gas_limit,
        difficulty,
        base_fee_per_gas: next_base_fee(spec, parent, timestamp),
        ..Header::default()
    }
}

fn network(name: &str) -> ChainSpec {
    ChainSpec::for_network(name).expect("a known network")
}

fn first(difficulty: u64) -> Header {
    Header { gas_limit: 8_000_000, difficulty: U256::from(difficulty), ..Header::default() }
}

#[test]
fn ten_blocks_of_the_dao_fork_carry_its_words() {
    let spec = network("HomesteadToDaoAt5");
    let mut parent = first(131_072);
    for number in 1..20 {
        let plain = child(&spec, &parent);
        let words = Header { extra_data: Bytes::from_static(DAO_EXTRA_DATA), ..plain.clone() };
        let inside = (5..15).contains(&number);
        let expected = if inside { Err(InvalidHeader::DaoExtraData) } else { Ok(()) };
        assert_eq!(validate_header(&spec, &parent, &plain), expected, "block {number}");
        assert_eq!(validate_header(&spec, &parent, &words), Ok(()), "block {number}");
        parent = words;
    }
}

#[test]
fn a_merge_by_total_difficulty_is_taken_from_the_headers_and_stays() {
    let spec = network("ArrowGlacierToParisAtDiffC0000");
    let old = child(&spec, &Header { base_fee_per_gas: Some(7), ..first(131_072) });
    let mut merged = child(&spec, &old);
    assert!(!merged.difficulty.is_zero());
    merged.difficulty = U256::ZERO;
    assert_eq!(validate_header(&spec, &old, &merged), Ok(()));
    assert_eq!(spec.fork_of(&merged), Fork::Paris);

    let back = child(&spec, &merged);
    let refused = validate_header(&spec, &merged, &back);
    assert!(matches!(refused, Err(InvalidHeader::Difficulty { want: U256::ZERO, .. })), "{refused:?}");

    let never = ChainSpec { terminal_total_difficulty: None, ..spec };
    let refused = validate_header(&never, &old, &merged);
    assert!(matches!(refused, Err(InvalidHeader::Difficulty { have: U256::ZERO, .. })), "{refused:?}");
}

#[test]
fn the_gas_limit_may_double_when_london_begins() {
    let spec = network("BerlinToLondonAt5");
    let parent = Header { number: 4, ..first(131_072) };
    let stays = child(&spec, &parent);
    let doubles = Header { gas_limit: 2 * stays.gas_limit, ..stays.clone() };
    assert_eq!(validate_header(&spec, &parent, &doubles), Ok(()));
    assert!(matches!(validate_header(&spec, &parent, &stays), Err(InvalidHeader::GasLimitStep { .. })));
}

#[test]
fn the_next_gas_limit_comes_as_near_as_it_may() {
    let spec = network("BerlinToLondonAt5");
    let at = |number: u64, gas_limit: u64, wanted: u64| {
        next_gas_limit(&spec, &Header { number, gas_limit, ..first(1) }, 1, wanted)
    };
    assert_eq!(at(1, 1_024_000, 1_024_500), 1_024_500);
    assert_eq!(at(1, 1_024_000, u64::MAX), 1_024_999);
    assert_eq!(at(1, 1_024_000, 0), 1_023_001);
    assert_eq!(at(1, 5_000, 0), 5_000);
    assert_eq!(at(4, 1_024_000, 0), 2_046_001, "the block before London's first");
}

#[test]
fn blob_gas_without_a_schedule_is_refused() {
    let mut spec = network("Shanghai");
    spec.forks.push((Fork::Cancun, Activation::Time(0)));
    let parent = Header { base_fee_per_gas: Some(7), ..first(0) };
    let header = Header {
        withdrawals_root: Some(B256::ZERO),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..child(&spec, &parent)
    };
    assert_eq!(header.ommers_hash, EMPTY_OMMER_ROOT_HASH);
    assert_eq!(validate_header(&spec, &parent, &header), Err(InvalidHeader::NoBlobSchedule));
}
