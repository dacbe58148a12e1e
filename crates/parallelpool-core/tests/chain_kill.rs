//! A process that seals blocks is killed at random moments; the chain reopens at a whole block.

mod devchain;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parallelpool_core::chain::Chain;
use parallelpool_core::genesis::dev_genesis_json;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::roots;
use parallelpool_core::trie::state_root_of;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Tells the child where its chain is.
const DIRECTORY: &str = "PARALLELPOOL_KILL_DIRECTORY";
/// What the child prints after each block, before its number and hash.
const SEALED: &str = "sealed ";

fn open(directory: &Path) -> Chain {
    devchain::open(dev_genesis_json().as_bytes(), Some(directory))
}

/// Transfers, and a contract with ten new slots, in each block.
fn seal_next(chain: &Chain) {
    let number = chain.head().header.number + 1;
    let stores: Vec<u8> = (1..=10).flat_map(|slot| [0x60, number as u8, 0x60, slot, 0x55]).collect();
    let first = (number - 1) * 5;
    let mut transactions: Vec<_> = (first..first + 4)
        .map(|nonce| devchain::transaction(nonce, Some(Address::with_last_byte(nonce as u8)), nonce, &[]))
        .collect();
    transactions.push(devchain::creation(first + 4, &stores));
    devchain::seal(chain, &transactions);
}

/// Not a test: what the killed process does. Runs only when the parent names a directory.
#[test]
#[ignore = "started by a_chain_reopens_at_a_whole_block_after_every_kill"]
fn child_that_seals_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let chain = open(Path::new(&directory));
    loop {
        seal_next(&chain);
        let head = chain.head();
        println!("{SEALED}{} {}", head.header.number, head.hash);
    }
}

/// Number and hash from a line of the child; the test runner's own words may stand before them.
fn sealed(line: &str) -> Option<(u64, B256)> {
    let (number, hash) = line.split_once(SEALED)?.1.split_once(' ')?;
    Some((number.parse().ok()?, hash.parse().ok()?))
}

fn assert_whole(chain: &Chain, acknowledged: &[(u64, B256)]) {
    let head = chain.head();
    let newest = acknowledged.last().map_or(0, |(number, _)| *number);
    assert!(head.header.number >= newest, "block {newest} was sealed, found {}", head.header.number);
    for (number, hash) in acknowledged {
        let header = chain.header_by_number(*number).expect("readable").expect("a sealed block is stored");
        assert_eq!(header.hash, *hash, "block {number}");
    }
    let whole = chain.at_head().snapshot.whole_state().expect("readable");
    assert_eq!(state_root_of(&whole), head.header.state_root, "flat state of block {}", head.header.number);
    let block = chain.block_by_number(head.header.number).expect("readable").expect("the head is stored");
    let receipts = chain.receipts(head.header.number).expect("readable").expect("with its receipts");
    assert_eq!(roots::receipts_root(&receipts), head.header.receipts_root);
    for (index, transaction) in block.transactions.iter().enumerate() {
        let location = chain.transaction_location(&transaction.tx.hash).expect("readable");
        assert_eq!(location, Some((head.header.number, index as u32)));
    }
    assert!(chain.block_by_number(head.header.number + 1).expect("readable").is_none());
    let sent = chain.account(&devchain::SENDER, None).expect("readable").expect("it is rich");
    assert_eq!(sent.nonce, head.header.number * 5);
    let half = head.header.number / 2;
    let past = chain.account(&devchain::SENDER, Some(half)).expect("readable").expect("it was rich");
    assert_eq!(past.nonce, half * 5);
    assert!(past.balance > sent.balance || head.header.number == 0);
    assert!(sent.balance > U256::ZERO);
}

#[test]
fn a_chain_reopens_at_a_whole_block_after_every_kill() {
    let mut random = StdRng::seed_from_u64(5);
    let directory = devchain::TemporaryDirectory::new("kill");
    let mut acknowledged = Vec::new();
    for _ in 0..10 {
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", "child_that_seals_until_it_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts again");
        let output = child.stdout.take().expect("it was piped");
        let mut lines = BufReader::new(output).lines();
        let enough = acknowledged.len() + random.random_range(1..8);
        while acknowledged.len() < enough {
            let line = lines.next().expect("the child goes on until killed").expect("text");
            acknowledged.extend(sealed(&line));
        }
        // A moment that has nothing to do with the end of a commit.
        let moment = Instant::now() + Duration::from_micros(random.random_range(0..5000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().expect("it is still running");
        child.wait().expect("it was killed");
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| sealed(&line)));

        let chain = open(directory.path());
        assert_whole(&chain, &acknowledged);
        seal_next(&chain);
        assert_whole(&chain, &acknowledged);
        let head = chain.head();
        acknowledged.push((head.header.number, head.hash));
    }
    assert!(acknowledged.len() > 20, "{} blocks", acknowledged.len());
}
