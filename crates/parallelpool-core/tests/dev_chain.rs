//! The built-in chain: sealing, logs, restarts, the document it lives by, and readers meanwhile.

mod devchain;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parallelpool_core::chain::{Chain, ChainOptions, FoundLog, LogFilter};
use parallelpool_core::genesis::dev_genesis_json;
use parallelpool_core::header::MAX_BLOCK_BYTES;
use parallelpool_core::primitives::{Address, B256, U256, keccak256};
use parallelpool_core::store::Durability;
use parallelpool_core::trie::state_root_of;
use parallelpool_core::workers::Workers;

fn dev() -> Chain {
    devchain::open(dev_genesis_json().as_bytes(), None)
}

/// A contract that logs the first two words of its calldata as topics.
fn logger() -> Vec<u8> {
    // PUSH1 32, CALLDATALOAD, PUSH0, CALLDATALOAD, PUSH0, PUSH0, LOG2.
    devchain::deploying(&[0x60, 32, 0x35, 0x5f, 0x35, 0x5f, 0x5f, 0xa2])
}

fn word(value: u64) -> B256 {
    B256::from(U256::from(value))
}

#[test]
fn logs_are_found_by_address_topic_and_range() {
    let chain = dev();
    let contracts = [devchain::SENDER.create(0), devchain::SENDER.create(1)];
    devchain::seal(&chain, &[devchain::creation(0, &logger()), devchain::creation(1, &logger())]);
    // Blocks 2 to 21: two logs each, one of each contract: topics (number, 7) and (number, number % 3).
    for number in 2..=21u64 {
        let data = |second: u64| [word(number).0, word(second).0].concat();
        let nonce = number * 2 - 2;
        devchain::seal(
            &chain,
            &[
                devchain::transaction(nonce, Some(contracts[0]), 0, &data(7)),
                devchain::transaction(nonce + 1, Some(contracts[1]), 0, &data(number % 3)),
            ],
        );
    }
    let all = LogFilter { first: 0, last: 100, limit: 1_000, ..Default::default() };
    let found = |filter: &LogFilter| chain.logs(filter).expect("readable");
    let places = |logs: &[FoundLog]| {
        logs.iter().map(|log| (log.block_number, log.transaction_index, log.log_index)).collect::<Vec<_>>()
    };

    let everything = found(&all);
    assert_eq!(
        places(&everything),
        (2..=21).flat_map(|block| [(block, 0, 0), (block, 1, 1)]).collect::<Vec<_>>()
    );
    assert_eq!(everything[0].log.topics(), [word(2), word(7)]);
    assert_eq!(everything[0].log.address, contracts[0]);

    let second = LogFilter { addresses: vec![contracts[1]], first: 5, last: 7, ..all.clone() };
    assert_eq!(places(&found(&second)), [(5, 1, 1), (6, 1, 1), (7, 1, 1)]);
    let by_second_topic = LogFilter { topics: vec![vec![], vec![word(0), word(7)]], last: 6, ..all.clone() };
    assert_eq!(
        places(&found(&by_second_topic)),
        [(2, 0, 0), (3, 0, 0), (3, 1, 1), (4, 0, 0), (5, 0, 0), (6, 0, 0), (6, 1, 1)]
    );
    let both = LogFilter {
        addresses: contracts.to_vec(),
        topics: vec![vec![word(9)], vec![word(0)]],
        ..all.clone()
    };
    assert_eq!(places(&found(&both)), [(9, 1, 1)]);
    let three_positions = LogFilter { topics: vec![vec![], vec![], vec![]], ..all.clone() };
    assert_eq!(found(&three_positions), []);
    let nobody = LogFilter { addresses: vec![Address::ZERO], ..all.clone() };
    assert_eq!(found(&nobody), []);
    let few = LogFilter { limit: 4, ..all.clone() };
    assert_eq!(
        places(&found(&few)),
        places(&everything)[..5],
        "one more than the limit tells that there are more"
    );
    let empty = LogFilter { first: 8, last: 7, ..all };
    assert_eq!(found(&empty), []);
}

#[test]
fn a_chain_and_its_past_outlive_the_process_that_made_them() {
    let directory = devchain::TemporaryDirectory::new("dev-chain");
    let chain = devchain::open(dev_genesis_json().as_bytes(), Some(directory.path()));
    for nonce in 0..5 {
        devchain::seal(&chain, &[devchain::transaction(nonce, Some(Address::repeat_byte(1)), 3, &[])]);
    }
    let head = chain.head();
    drop(chain);

    let chain = devchain::open(dev_genesis_json().as_bytes(), Some(directory.path()));
    assert_eq!(chain.head(), head);
    for number in 0..=5u64 {
        let account = chain.account(&Address::repeat_byte(1), Some(number)).expect("the past is kept");
        assert_eq!(account.map_or(U256::ZERO, |account| account.balance), U256::from(3 * number));
    }
    devchain::seal(&chain, &[devchain::transaction(5, Some(Address::repeat_byte(1)), 3, &[])]);
    let whole = chain.at_head().snapshot.whole_state().expect("readable");
    assert_eq!(state_root_of(&whole), chain.head().header.state_root);
}

fn reopen(
    directory: &devchain::TemporaryDirectory,
    genesis: &str,
) -> Result<Chain, parallelpool_core::error::CoreError> {
    Chain::open(ChainOptions {
        genesis_json: genesis.as_bytes(),
        datadir: Some(directory.path().to_owned()),
        workers: Arc::new(Workers::new(1).expect("one worker needs no thread")),
        durability: Durability::Immediate,
    })
}

#[test]
fn a_document_may_move_what_is_to_come_and_nothing_that_was() {
    let directory = devchain::TemporaryDirectory::new("document");
    let osaka = "\"osakaTime\": 0";
    let dev = dev_genesis_json();
    assert!(dev.contains(osaka), "the dev genesis has Osaka from the beginning");
    let amsterdam_at = |time: &str| dev.replace(osaka, &format!("{osaka}, \"amsterdamTime\": {time}"));
    let chain = reopen(&directory, dev).expect("a new directory");
    devchain::seal(&chain, &[]);
    let head = chain.head();
    drop(chain);

    let far = reopen(&directory, &amsterdam_at("99999999999"));
    let Ok(far) = far else { panic!("{:?}", far.err()) };
    assert_eq!(far.head(), head);
    drop(far);
    drop(reopen(&directory, dev).expect("what never came may be taken back"));

    let other_chain = dev.replace("31337", "31338");
    let error = reopen(&directory, &other_chain).expect_err("another chain id, the same block 0");
    assert_eq!(error.kind(), "store_refused");
    assert_eq!(
        error.to_string(),
        "database contains incompatible chain configuration: chain id (have 31337, want 31338), and the head is block 1"
    );
    let error = reopen(&directory, "{}").expect_err("no genesis at all");
    assert_eq!(error.kind(), "genesis");
}

#[test]
fn another_genesis_is_refused_with_both_hashes() {
    let directory = devchain::TemporaryDirectory::new("genesis");
    let dev = dev_genesis_json();
    let hash = reopen(&directory, dev).expect("a new directory").genesis_hash();
    let other = dev.replacen("0x21e19e0c9bab2400000", "0x21e19e0c9bab2400001", 1);
    assert_ne!(other, dev);
    let error = reopen(&directory, &other).expect_err("another genesis");
    assert_eq!(error.kind(), "store_refused");
    let words = error.to_string();
    assert!(
        words.starts_with(&format!("database contains incompatible genesis (have {hash}, new 0x")),
        "{words}"
    );
}

#[test]
fn a_built_block_stays_below_the_size_limit_and_fills_it_well() {
    let genesis = dev_genesis_json().replace("0x3938700", "0x1dcd6500");
    assert_ne!(genesis, dev_genesis_json(), "the dev genesis has 60 million gas");
    let chain = devchain::open(genesis.as_bytes(), None);
    let to = Some(Address::repeat_byte(3));
    let candidates: Vec<_> =
        (0..9).map(|nonce| devchain::with_gas(nonce, to, &vec![0; 1_000_000], 16_000_000)).collect();
    let built = devchain::build(&chain, &candidates);
    assert_eq!(built.included, Vec::from_iter(0..8));
    let reasons: Vec<_> =
        built.left_out.iter().map(|left| (left.candidate, left.reason.to_string())).collect();
    assert_eq!(reasons, [(8, "block size limit reached".to_owned())]);
    let room = MAX_BLOCK_BYTES - built.block.raw.len();
    assert!(room < 1_000_000, "{room} bytes are left");
    // What fits to the last byte but a few of prefixes is not left out.
    let filler = devchain::with_gas(8, to, &vec![0; room - 150], 16_000_000);
    let full = devchain::build(&chain, &[&candidates[..8], &[filler]].concat());
    assert_eq!(full.included.len(), 9, "{:?}", full.left_out);
    assert!(full.block.raw.len() <= MAX_BLOCK_BYTES);
    chain.commit(&full).expect("nothing came between");

    let other = devchain::open(genesis.as_bytes(), None);
    other.import_block(&full.block.raw, &Default::default()).expect("others take it");
}

#[test]
fn readers_see_whole_blocks_while_the_chain_grows() {
    let chain = dev();
    let stop = AtomicBool::new(false);
    let target = Address::repeat_byte(2);
    let checked = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut checked = 0;
                    while !stop.load(Ordering::Relaxed) || checked == 0 {
                        let head = chain.at_head();
                        let number = head.header.header.number;
                        let state: &dyn parallelpool_core::state::StateView = &*head.snapshot;
                        let balance =
                            state.account(&target).expect("readable").map_or(U256::ZERO, |a| a.balance);
                        assert_eq!(balance, U256::from(number));
                        let stored =
                            head.snapshot.header(number).expect("readable").expect("the head's header");
                        assert_eq!(stored.hash, head.header.hash);
                        assert_eq!(keccak256(&stored.rlp), head.header.hash);
                        checked += 1;
                    }
                    checked
                })
            })
            .collect();
        for nonce in 0..100 {
            devchain::seal(&chain, &[devchain::transaction(nonce, Some(target), 1, &[])]);
        }
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("no reader failed")).sum::<u64>()
    });
    assert!(checked > 10, "checked {checked}");
}
