//! A chain through all forks: codec, body roots and header rules of its 54 blocks.

mod support;

use alloy_consensus::Header;
use parallelpool_core::block_codec::{Block, blocks};
use parallelpool_core::chainspec::{ChainSpec, Fork, Genesis};
use parallelpool_core::genesis::parse_genesis;
use parallelpool_core::header::{InvalidHeader, validate_block, validate_header};
use parallelpool_core::primitives::{B64, B256, Bytes, U256};

struct Chain {
    genesis: Genesis,
    file: Vec<u8>,
    blocks: Vec<Block>,
}

impl Chain {
    fn read() -> Option<Self> {
        let folder = support::fixtures("rpc-compat")?;
        let json = std::fs::read_to_string(folder.join("genesis.json")).expect("a genesis");
        let genesis = parse_genesis(&json).expect("a good genesis");
        let file = std::fs::read(folder.join("chain.rlp")).expect("a chain");
        let blocks = blocks(&file).collect::<Result<_, _>>().expect("good blocks");
        Some(Self { genesis, file, blocks })
    }

    fn header(&self, number: u64) -> &Header {
        match number.checked_sub(1) {
            None => &self.genesis.header,
            Some(index) => &self.blocks[index as usize].header,
        }
    }

    fn ancestor(&self, hash: B256, number: u64) -> Option<(Header, Vec<Header>)> {
        let header = self.header(number).clone();
        let ommers = number.checked_sub(1).map(|index| self.blocks[index as usize].ommers.clone());
        (header.hash_slow() == hash).then_some((header, ommers.unwrap_or_default()))
    }

    fn validate(&self, block: &Block) -> Result<(), InvalidHeader> {
        let parent = self.header(block.header.number - 1);
        validate_block(&self.genesis.spec, parent, block, |hash, number| self.ancestor(hash, number))
    }
}

#[test]
fn the_genesis_is_the_parent_of_block_one() {
    let Some(chain) = Chain::read() else { return };
    assert_eq!(chain.blocks[0].header.parent_hash, chain.genesis.hash);
}

#[test]
fn every_block_encodes_to_the_bytes_it_came_from() {
    let Some(chain) = Chain::read() else { return };
    let encoded: Vec<u8> = chain.blocks.iter().flat_map(Block::encode).collect();
    assert_eq!(encoded, chain.file);
    for block in &chain.blocks {
        assert_eq!(block.encode().len(), block.encoded_length());
        assert_eq!(Block::decode(&block.encode()).expect("its own encoding"), *block);
    }
    assert_eq!(chain.blocks.len(), 54);
    assert_eq!(chain.blocks.iter().map(|block| block.transactions.len()).sum::<usize>(), 249);
    assert_eq!(chain.blocks.iter().map(|block| block.ommers.len()).sum::<usize>(), 18);
    assert_eq!(chain.blocks.iter().flat_map(|block| &block.withdrawals).flatten().count(), 6);
}

#[test]
fn every_block_is_valid_under_the_rules_of_its_fork() {
    let Some(chain) = Chain::read() else { return };
    let mut forks = std::collections::BTreeSet::new();
    for block in &chain.blocks {
        chain.validate(block).unwrap_or_else(|reason| panic!("block {}: {reason}", block.header.number));
        forks.insert(chain.genesis.spec.fork_of(&block.header));
    }
    assert_eq!(forks.first(), Some(&Fork::Homestead));
    assert_eq!(forks.last(), Some(&Fork::Osaka));
    assert_eq!(forks.len(), 17);
}

/// A change to a header and the reason with which it must be refused.
type Mutation = (fn(&mut Header), &'static str);

/// Changes that are wrong for every block.
const ALWAYS_WRONG: &[Mutation] = &[
    (|h| h.parent_hash = B256::repeat_byte(7), "unknown ancestor"),
    (|h| h.number += 1, "invalid block number"),
    (|h| h.number -= 1, "invalid block number"),
    (|h| h.timestamp -= 10, "timestamp older than parent"),
    (|h| h.extra_data = Bytes::from(vec![0; 33]), "extra-data too long: 33 > 32"),
    (|h| h.difficulty += U256::from(1), "invalid difficulty"),
    (|h| h.gas_limit += h.gas_limit / 1000, "invalid gas limit"),
    (|h| h.gas_limit -= h.gas_limit / 1000, "invalid gas limit"),
    (|h| h.gas_limit = u64::MAX, "invalid gasLimit: have 18446744073709551615, max"),
    (|h| h.gas_used = h.gas_limit + 1, "invalid gasUsed"),
];

/// Changes that are wrong from a fork on; the reason before it, and the reason since.
type ForkMutation = (Fork, fn(&mut Header), &'static str, &'static str);

const WRONG_BY_FORK: &[ForkMutation] = &[
    (
        Fork::London,
        |h| h.base_fee_per_gas = Some(h.base_fee_per_gas.map_or(7, |fee| fee + 1)),
        "invalid baseFee before fork",
        "invalid baseFee: have",
    ),
    (Fork::Paris, |h| h.nonce = B64::repeat_byte(1), "", "invalid nonce"),
    (Fork::Paris, |h| h.ommers_hash = B256::repeat_byte(1), "", "invalid uncle hash"),
    (
        Fork::Shanghai,
        |h| h.withdrawals_root = h.withdrawals_root.xor(Some(B256::ZERO)),
        "invalid withdrawalsHash before fork",
        "header is missing withdrawalsHash",
    ),
    (
        Fork::Cancun,
        |h| h.excess_blob_gas = Some(h.excess_blob_gas.map_or(0, |gas| gas + 1)),
        "invalid excessBlobGas before fork",
        "invalid excessBlobGas: have",
    ),
    (
        Fork::Cancun,
        |h| h.blob_gas_used = Some(h.blob_gas_used.map_or(0, |gas| gas + 1)),
        "invalid blobGasUsed before fork",
        "not a multiple of blob gas per blob",
    ),
    (
        Fork::Cancun,
        |h| h.blob_gas_used = Some(22 * 131_072),
        "invalid blobGasUsed before fork",
        "exceeds maximum allowance",
    ),
    (
        Fork::Cancun,
        |h| h.parent_beacon_block_root = h.parent_beacon_block_root.xor(Some(B256::ZERO)),
        "invalid beaconRoot before fork",
        "header is missing beaconRoot",
    ),
    (
        Fork::Prague,
        |h| h.requests_hash = h.requests_hash.xor(Some(B256::ZERO)),
        "invalid requestsHash before fork",
        "header is missing requestsHash",
    ),
    (
        Fork::Amsterdam,
        |h| h.block_access_list_hash = Some(B256::ZERO),
        "invalid block access list hash before fork",
        "",
    ),
    (Fork::Amsterdam, |h| h.slot_number = Some(1), "invalid slotNumber before fork", ""),
];

/// Applies a change and expects its reason; an empty reason: the change is not refused here.
fn expect(spec: &ChainSpec, parent: &Header, header: &Header, change: fn(&mut Header), reason: &str) {
    let mut changed = header.clone();
    change(&mut changed);
    let outcome = validate_header(spec, parent, &changed);
    match (&outcome, reason) {
        (Ok(()), "") => {}
        (Err(found), expected) if !expected.is_empty() && found.to_string().contains(expected) => {}
        _ => panic!("block {}: expected {reason:?}, found {outcome:?}", header.number),
    }
}

#[test]
fn every_wrong_header_field_is_refused_with_its_reason() {
    let Some(chain) = Chain::read() else { return };
    let spec = &chain.genesis.spec;
    for block in &chain.blocks {
        let (header, parent) = (&block.header, chain.header(block.header.number - 1));
        let fork = spec.fork_of(header);
        for (change, reason) in ALWAYS_WRONG {
            expect(spec, parent, header, *change, reason);
        }
        for (from, change, before, since) in WRONG_BY_FORK {
            expect(spec, parent, header, *change, if fork >= *from { since } else { before });
        }
    }
}

#[test]
fn wrong_lists_and_ommers_are_refused() {
    let Some(chain) = Chain::read() else { return };
    let refused = |block: Block, reason: &str| {
        let found = chain.validate(&block).expect_err(reason).to_string();
        assert!(found.contains(reason), "expected {reason}, found {found}");
    };
    let with_ommers = chain.blocks.iter().find(|block| !block.ommers.is_empty() && block.header.number > 8);
    let with_ommers = with_ommers.expect("a block with ommers");
    let rehash = |mut block: Block| {
        block.header.ommers_hash = parallelpool_core::roots::ommers_hash(&block.ommers);
        Block::new(block.header, block.transactions, block.ommers, block.withdrawals)
    };
    let changed = |change: &dyn Fn(&mut Block)| {
        let mut block = with_ommers.clone();
        change(&mut block);
        rehash(block)
    };
    let ommer = with_ommers.ommers[0].clone();
    let parent = with_ommers.header.number - 1;
    let earlier = chain.header(parent - 1).clone();

    refused(changed(&|block| block.ommers = vec![ommer.clone(); 3]), "too many uncles");
    refused(changed(&|block| block.ommers = vec![ommer.clone(); 2]), "duplicate uncle");
    refused(changed(&|block| block.ommers = vec![earlier.clone()]), "uncle is ancestor");
    refused(changed(&|block| block.ommers[0].parent_hash = B256::ZERO), "uncle's parent is not ancestor");
    let sibling = changed(&|block| {
        let parent_hash = block.header.parent_hash;
        block.ommers[0].parent_hash = parent_hash;
    });
    refused(sibling, "uncle's parent is not ancestor");
    refused(changed(&|block| block.ommers[0].gas_limit *= 2), "invalid uncle: invalid gas limit");
    refused(
        changed(&|block| block.ommers[0].difficulty += U256::from(1)),
        "invalid uncle: invalid difficulty",
    );
    let mut block = with_ommers.clone();
    block.ommers.clear();
    refused(block, "uncle root hash mismatch");

    let used = chain.blocks.iter().find(|block| {
        block.header.number > with_ommers.header.number
            && block.header.number <= with_ommers.header.number + 6
    });
    let mut again = used.expect("a later block").clone();
    again.ommers = vec![ommer.clone()];
    refused(rehash(again), "duplicate uncle");

    let last = chain.blocks.last().expect("blocks");
    let full = chain.blocks.iter().rev().find(|block| !block.transactions.is_empty());
    let mut block = full.expect("a block with transactions").clone();
    block.transactions.pop();
    refused(block, "transaction root hash mismatch");
    let paid =
        chain.blocks.iter().find(|block| block.withdrawals.as_ref().is_some_and(|list| !list.is_empty()));
    let mut block = paid.expect("a block with withdrawals").clone();
    block.withdrawals.as_mut().expect("withdrawals")[0].amount += 1;
    refused(block.clone(), "withdrawals root hash mismatch");
    block.withdrawals = None;
    refused(block, "missing withdrawals in block body");
    let mut block = chain.blocks[0].clone();
    block.withdrawals = Some(Vec::new());
    refused(block, "withdrawals present in block body");
    let mut block = last.clone();
    block.transactions.push(vec![2; 8_388_608].into());
    refused(block, "block RLP-encoded size exceeds maximum");
}

#[test]
fn cut_and_garbled_files_name_the_place() {
    let Some(chain) = Chain::read() else { return };
    let second = chain.blocks[0].encode().len();
    let cut = &chain.file[..second + 100];
    let read: Vec<_> = blocks(cut).collect();
    assert_eq!(read.len(), 2);
    assert!(read[0].is_ok());
    let error = read[1].as_ref().expect_err("the second block is cut").to_string();
    assert!(error.contains(&format!("no block at byte {second}")), "{error}");

    for bad in [&b""[..], &[0xc0], &[0x80], &[0xf9, 0xff], &[0xc3, 0xc0, 0xc0, 0xc0], &[0x83, 1, 2, 3]] {
        assert!(Block::decode(bad).is_err(), "{bad:02x?}");
    }
    let mut long = chain.blocks[0].encode();
    long.push(0xc0);
    assert!(Block::decode(&long).expect_err("a byte too many").to_string().contains("after the block"));
    // Any single changed byte is either refused or gives another block: nothing is dropped.
    for block in [&chain.blocks[3], &chain.blocks[53]] {
        let encoded = block.encode();
        for at in 0..encoded.len() {
            let mut garbled = encoded.clone();
            garbled[at] ^= 0x55;
            if let Ok(read) = Block::decode(&garbled) {
                assert_eq!(read.encode(), garbled, "byte {at}");
            }
        }
    }
}
