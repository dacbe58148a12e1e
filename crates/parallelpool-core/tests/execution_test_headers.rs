//! Public block tests of every fork, as far as they need no execution: the codec, the state root
//! of the first state, and header rules that accept every valid block and refuse those that are
//! said to break them.

mod support;

use std::collections::{BTreeMap, HashMap};

use parallelpool_core::block_codec::Block;
use parallelpool_core::header::validate_block;
use parallelpool_core::primitives::B256;
use parallelpool_core::trie::state_root_of;
use support::block_tests::{self, BlockTest};

/// Exceptions that header, lists and size alone must show.
const SEEN_WITHOUT_EXECUTION: &[&str] = &[
    "BlockException.INCORRECT_EXCESS_BLOB_GAS",
    "BlockException.INVALID_GASLIMIT",
    "BlockException.INVALID_BASEFEE_PER_GAS",
    "BlockException.INVALID_WITHDRAWALS_ROOT",
    "BlockException.RLP_BLOCK_LIMIT_EXCEEDED",
];

#[derive(Default)]
struct Counts {
    valid: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
}

fn check(test: &BlockTest, counts: &mut Counts) {
    let name = &test.name;
    assert_eq!(
        state_root_of(&support::as_changes(&test.pre)),
        test.genesis.header.state_root,
        "{name}: first state"
    );
    let mut known: HashMap<B256, Block> = HashMap::new();
    known.insert(test.genesis.hash, test.genesis.clone());
    for block in &test.blocks {
        let outcome = Block::decode(&block.rlp).map_err(|error| error.to_string()).and_then(|decoded| {
            assert_eq!(decoded.encode(), *block.rlp, "{name}: encodes to its bytes");
            let parent = known.get(&decoded.header.parent_hash).ok_or("no parent")?;
            let ancestor =
                |hash, _| known.get(&hash).map(|block| (block.header.clone(), block.ommers.clone()));
            validate_block(&test.spec, &parent.header, &decoded, ancestor)
                .map_err(|reason| reason.to_string())?;
            Ok(decoded)
        });
        match (&block.exception, outcome) {
            (None, Ok(decoded)) => {
                let fork = test.spec.fork_of(&decoded.header);
                *counts.valid.entry(format!("{fork:?}")).or_default() += 1;
                known.insert(decoded.hash, decoded);
            }
            (None, Err(reason)) => panic!("{name}: a valid block was refused: {reason}"),
            (Some(exception), Err(_)) => *counts.refused.entry(exception.clone()).or_default() += 1,
            (Some(exception), Ok(_)) => {
                let here = exception.split('|').all(|one| SEEN_WITHOUT_EXECUTION.contains(&one));
                assert!(!here, "{name}: {exception} was not seen");
            }
        }
    }
}

#[test]
fn headers_of_every_fork_are_judged_as_the_specification_does() {
    let Some(folder) = support::fixtures("eest/blockchain_tests") else { return };
    let mut counts = Counts::default();
    for path in support::json_files(&folder) {
        for (name, test) in block_tests::read(&support::read(&path)) {
            let test = test.unwrap_or_else(|fault| panic!("{}: {name}: {fault}", path.display()));
            check(&test, &mut counts);
        }
    }
    println!("valid blocks by fork: {:?}", counts.valid);
    println!("refused blocks by exception: {:?}", counts.refused);
    assert!(!counts.valid.is_empty(), "some blocks were checked");
}
