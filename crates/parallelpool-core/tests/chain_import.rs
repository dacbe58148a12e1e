//! The chain through all forks, imported, read back at every height, reverted and refused.

mod devchain;
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use parallelpool_core::block_codec::{Block, blocks};
use parallelpool_core::chain::{BlockAttributes, Chain};
use parallelpool_core::execution::{ExecuteOptions, Mode};
use parallelpool_core::primitives::{Address, B256, Bytes, U256};
use parallelpool_core::roots;
use parallelpool_core::state::{Account, StateChanges};
use parallelpool_core::trie::{EMPTY_ROOT_HASH, state_root_of};
use parallelpool_core::tx::recover::recover_sender;

/// The public chain of 54 blocks.
struct PublicChain {
    genesis: Vec<u8>,
    raw: Vec<Vec<u8>>,
}

impl PublicChain {
    fn read() -> Option<Self> {
        let folder = support::fixtures("rpc-compat")?;
        let genesis = std::fs::read(folder.join("genesis.json")).expect("a genesis");
        let file = std::fs::read(folder.join("chain.rlp")).expect("a chain");
        let raw = blocks(&file).map(|block| block.expect("a block").encode()).collect();
        Some(Self { genesis, raw })
    }

    fn open(&self, datadir: Option<&Path>) -> Chain {
        devchain::open(&self.genesis, datadir)
    }

    fn import_all(&self, chain: &Chain, mode: Mode) {
        let next = chain.head().header.number as usize;
        for raw in &self.raw[next..] {
            chain.import_block(raw, &options(mode)).expect("a good block");
        }
    }
}

fn options(mode: Mode) -> ExecuteOptions {
    ExecuteOptions { mode, recheck: true, ..Default::default() }
}

/// Every account and slot at the head, from the flat state.
fn whole_state(chain: &Chain) -> StateChanges {
    chain.at_head().snapshot.whole_state().expect("readable")
}

/// What a state says of the given accounts and slots.
type Answers = Vec<(Address, Option<Account>, Vec<(U256, U256)>)>;

fn answers(chain: &Chain, number: Option<u64>, keys: &[(Address, Vec<U256>)]) -> Answers {
    let view = chain.state(number).expect("the state is kept");
    let slot = |address: &Address, slot: &U256| (*slot, view.storage(address, slot).expect("readable"));
    keys.iter()
        .map(|(address, slots)| {
            let account = view.account(address).expect("readable");
            (*address, account, slots.iter().map(|key| slot(address, key)).collect())
        })
        .collect()
}

fn import_with_every_root(mode: Mode) {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    for (number, raw) in (1..).zip(&public.raw) {
        let imported = chain.import_block(raw, &options(mode)).expect("a good block");
        assert_eq!(imported.statistics.parallel, mode == Mode::Parallel, "block {number}");
        let header = &imported.block.block.header;
        assert_eq!(chain.head().header, *header);
        assert_eq!(header.number, number);
        assert_eq!(state_root_of(&whole_state(&chain)), header.state_root, "flat state of block {number}");
        let receipts = chain.receipts(number).expect("readable").expect("stored");
        assert_eq!(receipts, imported.receipts, "block {number}");
        assert_eq!(roots::receipts_root(&receipts), header.receipts_root, "block {number}");
    }
    assert_eq!(chain.head().header.number, 54);
    let failed = chain.import_block(&public.raw[53], &options(Mode::Serial)).expect_err("it is there");
    assert!(failed.to_string().starts_with("block 54 refused: unknown ancestor"), "{failed}");
}

#[test]
fn all_blocks_are_imported_with_every_root() {
    import_with_every_root(Mode::Serial);
}

#[test]
fn all_blocks_are_imported_in_parallel_with_every_root() {
    import_with_every_root(Mode::Parallel);
}

#[test]
fn blocks_are_found_by_number_hash_and_transaction_after_a_restart() {
    let Some(public) = PublicChain::read() else { return };
    let directory = devchain::TemporaryDirectory::new("chain-restart");
    let chain = public.open(Some(directory.path()));
    for raw in &public.raw[..30] {
        chain.import_block(raw, &options(Mode::Serial)).expect("a good block");
    }
    drop(chain);
    let chain = public.open(Some(directory.path()));
    assert_eq!(chain.head().header.number, 30);
    public.import_all(&chain, Mode::Serial);
    drop(chain);

    let chain = public.open(Some(directory.path()));
    assert_eq!(chain.head().header.number, 54);
    for (number, raw) in (1..).zip(&public.raw) {
        let expected = Block::decode(raw).expect("a block");
        let block = chain.block_by_number(number).expect("readable").expect("stored");
        assert_eq!((&block.block, &block.raw[..]), (&expected, &raw[..]));
        let by_hash = chain.block_by_hash(&expected.hash).expect("readable").expect("stored");
        assert_eq!(by_hash.raw, block.raw);
        let header = chain.header_by_hash(&expected.hash).expect("readable").expect("stored");
        assert_eq!(header.header, expected.header);
        for (index, transaction) in block.transactions.iter().enumerate() {
            assert_eq!(transaction.tx.raw, expected.transactions[index]);
            assert_eq!(recover_sender(&transaction.tx, chain.spec().chain_id), Ok(transaction.sender));
            let location = chain.transaction_location(&transaction.tx.hash).expect("readable");
            assert_eq!(location, Some((number, index as u32)));
            let alone = chain.transaction(number, index).expect("readable");
            assert_eq!(alone.as_ref(), Some(transaction));
        }
        assert_eq!(chain.transaction(number, block.transactions.len()), Ok(None));
    }
    assert!(chain.block_by_number(55).expect("readable").is_none());
    assert!(chain.block_by_hash(&B256::ZERO).expect("readable").is_none());
}

#[test]
fn every_past_state_answers_as_it_did_when_it_was_the_head() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    let mut states = vec![whole_state(&chain)];
    for raw in &public.raw {
        chain.import_block(raw, &options(Mode::Serial)).expect("a good block");
        states.push(whole_state(&chain));
    }
    let mut keys = std::collections::BTreeMap::<Address, BTreeSet<U256>>::new();
    for state in &states {
        for (address, account) in &state.accounts {
            keys.entry(*address).or_default().extend(account.storage.keys());
        }
    }
    let keys: Vec<_> = keys.into_iter().map(|(address, slots)| (address, Vec::from_iter(slots))).collect();
    for (number, state) in states.iter().enumerate() {
        let expected: Answers = keys
            .iter()
            .map(|(address, slots)| {
                let account = state.accounts.get(address);
                let value = |slot: &U256| {
                    account.and_then(|account| account.storage.get(slot)).copied().unwrap_or_default()
                };
                let slots = slots.iter().map(|slot| (*slot, value(slot))).collect();
                (*address, account.and_then(|account| account.after), slots)
            })
            .collect();
        assert_eq!(answers(&chain, Some(number as u64), &keys), expected, "state of block {number}");
    }
    assert_eq!(answers(&chain, None, &keys), answers(&chain, Some(54), &keys));
    assert!(chain.state(Some(55)).is_err());
}

#[test]
fn proofs_hold_against_the_state_root_of_their_block() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    public.import_all(&chain, Mode::Serial);
    let state = whole_state(&chain);
    let (address, account) =
        state.accounts.iter().find(|(_, account)| account.storage.len() > 2).expect("a contract");
    let slots: Vec<_> = account.storage.keys().copied().take(3).collect();
    for number in [0, 1, 10, 35, 36, 44, 53, 54] {
        let proof = chain.proof(*address, &slots, Some(number)).expect("provable");
        let root = chain.header_by_number(number).expect("readable").expect("stored").header.state_root;
        let first = proof.proof.first().expect("the trie is not empty");
        assert_eq!(parallelpool_core::primitives::keccak256(first), root, "block {number}");
        assert_eq!(proof.account, chain.account(address, Some(number)).expect("readable"));
        for entry in &proof.storage {
            let value = chain.storage(address, &entry.slot, Some(number)).expect("readable");
            assert_eq!(entry.value, value, "block {number}, slot {}", entry.slot);
        }
        if proof.account.is_none() {
            assert_eq!(proof.storage_root, EMPTY_ROOT_HASH);
        }
    }
    assert!(chain.proof(*address, &slots, Some(55)).is_err());
}

#[test]
fn reverted_blocks_are_gone_and_can_be_imported_again() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    public.import_all(&chain, Mode::Serial);
    let end = whole_state(&chain);
    for number in [53, 44, 20, 0] {
        let head = chain.revert_to(number).expect("below the head");
        assert_eq!(head.header.number, number);
        assert_eq!(chain.head(), head);
        assert_eq!(state_root_of(&whole_state(&chain)), head.header.state_root);
        assert!(chain.block_by_number(number + 1).expect("readable").is_none());
        let gone = Block::decode(&public.raw[number as usize]).expect("a block");
        assert!(chain.block_by_hash(&gone.hash).expect("readable").is_none());
        public.import_all(&chain, Mode::Parallel);
        assert_eq!(whole_state(&chain), end, "from block {number} again");
    }
    assert_eq!(chain.revert_to(55).expect_err("above the head").kind(), "invalid_argument");
}

/// A block with something changed, sealed anew.
fn changed(raw: &[u8], change: impl FnOnce(&mut Block)) -> Vec<u8> {
    let mut block = Block::decode(raw).expect("a block");
    change(&mut block);
    block.encode()
}

/// Makes the body roots fit the body again, so that a later check has to find the change.
fn reseal_transactions(block: &mut Block) {
    block.header.transactions_root = roots::transactions_root(&block.transactions);
}

#[test]
fn bad_blocks_are_refused_by_number_and_reason_and_change_nothing() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    for raw in &public.raw[..46] {
        chain.import_block(raw, &options(Mode::Serial)).expect("a good block");
    }
    let before = (whole_state(&chain), chain.head());
    let good = &public.raw[46];
    let transactions = Block::decode(good).expect("a block").transactions.len();
    assert!(transactions > 1, "block 47 has {transactions} transactions");
    type Change = Box<dyn FnOnce(&mut Block)>;
    let cases: Vec<(&str, Change)> = vec![
        ("unknown ancestor", Box::new(|block| block.header.parent_hash = B256::repeat_byte(1))),
        ("invalid block number", Box::new(|block| block.header.number = 48)),
        ("timestamp older than parent", Box::new(|block| block.header.timestamp = 1)),
        ("invalid gasUsed", Box::new(|block| block.header.gas_used = block.header.gas_limit + 1)),
        ("invalid gas used", Box::new(|block| block.header.gas_used += 1)),
        ("invalid gas limit", Box::new(|block| block.header.gas_limit *= 2)),
        ("invalid baseFee", Box::new(|block| *block.header.base_fee_per_gas.as_mut().expect("London") += 1)),
        ("invalid difficulty", Box::new(|block| block.header.difficulty = U256::from(1))),
        ("extra-data too long", Box::new(|block| block.header.extra_data = Bytes::from(vec![0; 33]))),
        ("invalid merkle root", Box::new(|block| block.header.state_root = B256::repeat_byte(2))),
        ("invalid receipt root hash", Box::new(|block| block.header.receipts_root = B256::repeat_byte(3))),
        ("invalid bloom", Box::new(|block| block.header.logs_bloom.0[0] ^= 1)),
        ("invalid requests hash", Box::new(|block| block.header.requests_hash = Some(B256::ZERO))),
        ("header is missing requestsHash", Box::new(|block| block.header.requests_hash = None)),
        ("transaction root hash mismatch", Box::new(|block| drop(block.transactions.pop()))),
        (
            "withdrawals root hash mismatch",
            Box::new(|block| block.header.withdrawals_root = Some(B256::ZERO)),
        ),
        ("missing withdrawals", Box::new(|block| block.withdrawals = None)),
        ("invalid excessBlobGas", Box::new(|block| block.header.excess_blob_gas = Some(131_072))),
        ("invalid merkle root", Box::new(|block| block.header.beneficiary = Address::repeat_byte(9))),
        (
            "could not apply tx 0",
            Box::new(|block| {
                block.transactions.swap(0, 1);
                reseal_transactions(block);
            }),
        ),
        (
            "transaction 0: ",
            Box::new(|block| {
                block.transactions[0] = Bytes::from_static(&[2, 0xc0]);
                reseal_transactions(block);
            }),
        ),
        (
            "could not apply tx 1",
            Box::new(|block| {
                block.transactions[1] = block.transactions[0].clone();
                reseal_transactions(block);
            }),
        ),
    ];
    for (index, (reason, change)) in cases.into_iter().enumerate() {
        let mode = if index % 2 == 0 { Mode::Serial } else { Mode::Parallel };
        let bad = changed(good, change);
        let error = chain.import_block(&bad, &options(mode)).expect_err(reason);
        assert_eq!(error.kind(), "block_refused", "{error}");
        let text = error.to_string();
        let expected = if reason == "invalid block number" { 48 } else { 47 };
        assert!(text.starts_with(&format!("block {expected} refused: ")), "{text}");
        assert!(text.contains(reason), "{text}, not {reason}");
        assert_eq!((whole_state(&chain), chain.head()), before, "{reason}");
        assert!(chain.block_by_number(47).expect("readable").is_none());
    }
    for no_block in [&good[..good.len() - 1], &good[1..], b"", b"\xc0"] {
        let error = chain.import_block(no_block, &options(Mode::Serial)).expect_err("no block");
        assert_eq!(error.kind(), "invalid_argument", "{error}");
    }
    public.import_all(&chain, Mode::Serial);
    assert_eq!(chain.head().header.number, 54);
}

/// The attributes that a block must have been made with.
fn attributes_of(block: &Block) -> BlockAttributes {
    let header = &block.header;
    BlockAttributes {
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        prev_randao: header.mix_hash,
        gas_limit: header.gas_limit,
        extra_data: header.extra_data.clone(),
        parent_beacon_block_root: header.parent_beacon_block_root,
        withdrawals: block.withdrawals.clone(),
        slot_number: header.slot_number,
    }
}

#[test]
fn blocks_built_from_the_same_transactions_are_the_same_blocks() {
    let Some(public) = PublicChain::read() else { return };
    let source = public.open(None);
    public.import_all(&source, Mode::Serial);
    let chain = public.open(None);
    let mut rebuilt = 0;
    for (number, raw) in (1..).zip(&public.raw) {
        let original = source.block_by_number(number).expect("readable").expect("stored");
        if !original.block.ommers.is_empty() {
            chain.import_block(raw, &options(Mode::Serial)).expect("a good block");
            continue;
        }
        let attributes = attributes_of(&original.block);
        let built = chain
            .build(&attributes, &original.transactions, &options(Mode::Serial))
            .expect("good attributes");
        assert_eq!(built.block.block, original.block, "block {number}");
        assert_eq!(built.block.raw, original.raw, "block {number}");
        assert_eq!(built.included, Vec::from_iter(0..original.transactions.len()));
        assert!(built.left_out.is_empty());
        assert_eq!(chain.commit(&built).expect("nothing came between"), chain.head());
        assert_eq!(chain.head().hash, original.block.hash);
        assert_eq!(chain.receipts(number), source.receipts(number));
        rebuilt += 1;
    }
    assert!(rebuilt > 35, "rebuilt {rebuilt}");
    assert_eq!(whole_state(&chain), whole_state(&source));
}

#[test]
fn building_leaves_out_what_is_invalid_and_stores_nothing_by_itself() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    for raw in &public.raw[..46] {
        chain.import_block(raw, &options(Mode::Serial)).expect("a good block");
    }
    let next = Block::decode(&public.raw[46]).expect("a block");
    let source = public.open(None);
    public.import_all(&source, Mode::Serial);
    let good = source.block_by_number(47).expect("readable").expect("stored").transactions;
    let old = source.block_by_number(30).expect("readable").expect("stored").transactions;
    let mut candidates = vec![old[0].clone()];
    candidates.extend(good.iter().cloned());
    candidates.push(good[0].clone());
    let before = (whole_state(&chain), chain.head());

    let attributes = attributes_of(&next);
    let built = chain.build(&attributes, &candidates, &options(Mode::Serial)).expect("good attributes");
    assert_eq!(built.block.block, next);
    assert_eq!(built.included, Vec::from_iter(1..=good.len()));
    let left_out: Vec<_> =
        built.left_out.iter().map(|left| (left.candidate, left.reason.to_string())).collect();
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert_eq!((left_out[0].0, left_out[1].0), (0, good.len() + 1));
    assert!(left_out.iter().all(|(_, reason)| reason.starts_with("nonce too low")), "{left_out:?}");
    assert_eq!((whole_state(&chain), chain.head()), before);

    let empty = chain.build(&attributes, &[], &options(Mode::Serial)).expect("good attributes");
    chain.commit(&empty).expect("nothing came between");
    let error = chain.commit(&built).expect_err("another block took its place");
    assert_eq!(error.kind(), "block_refused");
    assert!(error.to_string().starts_with("block 47 refused: stale"), "{error}");
    assert_eq!(chain.head().hash, empty.block.block.hash);
}

#[test]
fn attributes_that_break_a_rule_are_refused() {
    let Some(public) = PublicChain::read() else { return };
    let chain = public.open(None);
    public.import_all(&chain, Mode::Serial);
    let head = chain.head();
    let good = BlockAttributes {
        timestamp: head.header.timestamp + 1,
        gas_limit: head.header.gas_limit,
        ..Default::default()
    };
    chain.build(&good, &[], &options(Mode::Serial)).expect("good attributes");
    let cases = [
        ("timestamp older than parent", BlockAttributes { timestamp: head.header.timestamp, ..good.clone() }),
        ("invalid gas limit", BlockAttributes { gas_limit: head.header.gas_limit * 2, ..good.clone() }),
        ("extra-data too long", BlockAttributes { extra_data: vec![0; 33].into(), ..good.clone() }),
    ];
    for (reason, attributes) in cases {
        let error = chain.build(&attributes, &[], &options(Mode::Serial)).expect_err(reason);
        assert_eq!(error.kind(), "invalid_argument");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
