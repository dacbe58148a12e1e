//! Searching logs: blooms first, receipts only where a bloom says "perhaps".

use alloy_primitives::BloomInput;

use super::Chain;
use crate::error::CoreError;
use crate::primitives::{Address, B256, Bloom, Log};

/// Where the bloom lies in a header's RLP. All fields before it have fixed lengths, and a header
/// is always longer than 255 bytes, so the list's own prefix has three bytes.
const BLOOM_OFFSET: usize = 3 + 33 + 33 + 21 + 33 + 33 + 33 + 3;

/// Which logs are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// First block.
    pub first: u64,
    /// Last block, included; above the head means the head.
    pub last: u64,
    /// Emitting contracts; empty: any.
    pub addresses: Vec<Address>,
    /// For each position the topics that may stand there; empty: any. A log with fewer topics
    /// than positions does not match.
    pub topics: Vec<Vec<B256>>,
    /// The search ends after one more than this many: enough to know that there are too many.
    pub limit: usize,
}

/// A log and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLog {
    /// Block.
    pub block_number: u64,
    /// Index of the transaction in the block.
    pub transaction_index: usize,
    /// Index of the log in the block.
    pub log_index: usize,
    /// The log.
    pub log: Log,
}

impl Chain {
    /// Logs that match, in chain order, at most `limit + 1`.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<FoundLog>, CoreError> {
        let snapshot = self.at_head().snapshot;
        let blooms = filter.blooms();
        let mut found = Vec::new();
        snapshot.visit_headers(filter.first, filter.last, |number, _, header| {
            let bloom = header.get(BLOOM_OFFSET..BLOOM_OFFSET + 256).map(Bloom::from_slice);
            let bloom = bloom.ok_or_else(|| CoreError::Storage(format!("header {number} is too short")))?;
            let possible = blooms.iter().all(|any| any.iter().any(|wanted| bloom.contains(wanted)));
            if possible {
                let receipts = snapshot.receipts(number)?.unwrap_or_default();
                for (transaction_index, (receipt, logs_before)) in receipts.into_iter().enumerate() {
                    let places = receipt.logs.into_iter().enumerate();
                    found.extend(places.filter(|(_, log)| filter.matches(log)).map(|(index, log)| {
                        FoundLog {
                            block_number: number,
                            transaction_index,
                            log_index: logs_before + index,
                            log,
                        }
                    }));
                }
            }
            Ok(found.len() <= filter.limit)
        })?;
        found.truncate(filter.limit.saturating_add(1));
        Ok(found)
    }
}

impl LogFilter {
    /// For each condition the blooms of what satisfies it: a block without any cannot match.
    fn blooms(&self) -> Vec<Vec<Bloom>> {
        let of = |bytes: &[u8]| Bloom::from(BloomInput::Raw(bytes));
        let addresses = self.addresses.iter().map(|address| of(address.as_slice())).collect();
        let topics = self.topics.iter().map(|any| any.iter().map(|topic| of(topic.as_slice())).collect());
        std::iter::once(addresses).chain(topics).filter(|any: &Vec<Bloom>| !any.is_empty()).collect()
    }

    fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && topics.len() >= self.topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;

    #[test]
    fn the_bloom_lies_where_it_is_looked_for() {
        let bloom = Bloom::from(std::array::from_fn::<u8, 256, _>(|index| index as u8));
        for header in [
            Header { logs_bloom: bloom, ..Header::default() },
            Header {
                logs_bloom: bloom,
                number: u64::MAX,
                extra_data: vec![1; 32].into(),
                base_fee_per_gas: Some(u64::MAX),
                withdrawals_root: Some(B256::repeat_byte(1)),
                ..Header::default()
            },
        ] {
            let rlp = alloy_rlp::encode(&header);
            assert_eq!(&rlp[BLOOM_OFFSET..BLOOM_OFFSET + 256], bloom.as_slice());
        }
    }
}
