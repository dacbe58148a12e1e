//! Blooms of one block's receipts.
//!
//! In: logs. Out: their bloom. A bloom hashes each address and topic, and hashing is most of what many
//! calls cost beside their code; yet few contracts and events make most logs of a block. So the bits of
//! what was logged last stay at hand.

use alloy_primitives::keccak256;

use crate::block::LogsBloom;
use crate::primitives::{B256, Bloom, Log};

/// Addresses and topics that are remembered: a few kilobytes.
const PLACES: usize = 128;

/// Positions of three bits, from the end of the bloom.
type Bits = [u16; 3];

/// Makes blooms, and remembers the bits of what it saw last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blooms {
    /// Empty before the first log.
    addresses: Vec<Option<(B256, Bits)>>,
    topics: Vec<Option<(B256, Bits)>>,
}

impl Blooms {
    /// The bloom of these logs.
    pub(crate) fn of(&mut self, logs: &[Log]) -> LogsBloom {
        if logs.is_empty() {
            return LogsBloom::default();
        }
        if self.topics.is_empty() {
            self.addresses = vec![None; PLACES];
            self.topics = vec![None; PLACES];
        }
        let mut bloom = Bloom::ZERO;
        for log in logs {
            let address = log.address.into_word();
            set(&mut bloom, bits(&mut self.addresses, address, |word| &word[12..]));
            for topic in log.topics() {
                set(&mut bloom, bits(&mut self.topics, *topic, |word| &word[..]));
            }
        }
        bloom.into()
    }
}

/// The bits of `key`, of which `hashed` is what counts.
#[inline]
fn bits(known: &mut [Option<(B256, Bits)>], key: B256, hashed: impl Fn(&B256) -> &[u8]) -> Bits {
    // The last byte of a number tells it from its neighbours, the first of a hash says as much as any.
    let place = &mut known[usize::from(key[31] ^ key[0]) % PLACES];
    match place {
        Some((same, bits)) if *same == key => *bits,
        _ => {
            let hash = keccak256(hashed(&key));
            let bits = [0, 2, 4].map(|at| u16::from_be_bytes([hash[at], hash[at + 1]]) & 0x7ff);
            *place = Some((key, bits));
            bits
        }
    }
}

#[inline]
fn set(bloom: &mut Bloom, bits: Bits) {
    for bit in bits {
        bloom[Bloom::len_bytes() - 1 - usize::from(bit) / 8] |= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, LogData, logs_bloom};

    use super::*;
    use crate::primitives::Address;

    fn log(address: u64, topics: &[u64]) -> Log {
        let topics = topics.iter().map(|topic| B256::left_padding_from(&topic.to_be_bytes())).collect();
        let address = Address::left_padding_from(&address.to_be_bytes());
        Log { address, data: LogData::new_unchecked(topics, Bytes::from_static(b"not hashed")) }
    }

    #[test]
    fn blooms_are_those_of_the_logs_whatever_was_seen_before() {
        let mut blooms = Blooms::default();
        // Numbers of one place, an address and a topic of one number, repetitions, and no topics at all.
        for round in 0..3 * PLACES as u64 {
            let logs = [
                log(round / 2, &[7, round, 7 + PLACES as u64]),
                log(7, &[round, round + PLACES as u64 * round]),
                log(round, &[]),
                log(round << 40, &[round << 50, 1, 2, 3]),
            ];
            for logs in [&logs[..], &logs[1..2], &logs[2..]] {
                assert_eq!(*blooms.of(logs), logs_bloom(logs));
            }
        }
    }

    #[test]
    fn no_logs_set_no_bit() {
        assert!(Blooms::default().of(&[]).is_empty());
    }
}
