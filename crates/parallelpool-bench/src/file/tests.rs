//! Files: what is written is read back whole, and what is wrong is said with its place.

use std::path::{Path, PathBuf};

use super::*;
use crate::baseline::PlainBlock;
use crate::equality::Reference;
use crate::measure::{Plan, measure};
use crate::workloads::{self, Making};

fn workers() -> Workers {
    Workers::new(2).expect("two threads")
}

fn small(name: &str) -> Workload {
    let workers = workers();
    workloads::make(name, &Making { scale: 0.0005, ..Making::new(&workers) }).expect("a known name")
}

/// The words of the error that a changed document gives.
fn complaint(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let text = export(&small("chain-counter")).expect("one block");
    let mut document = serde_json::from_slice(&text).expect("it is JSON");
    change(&mut document);
    parse(document.to_string().as_bytes(), &workers()).expect_err("it is wrong").to_string()
}

#[test]
fn what_is_exported_and_read_back_comes_to_the_same() {
    // A file holds one block.
    let several = ["tiny", "mainnet", "mainnet-2021"];
    for family in workloads::FAMILIES.iter().filter(|family| !several.contains(&family.name)) {
        let made = small(family.name);
        let text = export(&made).expect("one block");
        let read = parse(&text, &workers()).expect("just written");

        assert_eq!((&read.name, &read.description), (&made.name, &made.description));
        let (made, read) = (&made.blocks[0], &read.blocks[0]);
        assert_eq!((made.rules, &made.block), (read.rules, &read.block));
        assert_eq!(made.transactions, read.transactions);
        let outcome = |block: &BenchBlock| PlainBlock::new(block).execute().expect("a valid block");
        let reference = Reference::new(made, outcome(made)).expect("maps do not fail");
        let differences = reference.plain_differences(&outcome(read)).expect("maps do not fail");
        assert_eq!(differences, Vec::<String>::new(), "{}", family.name);
    }
}

#[test]
fn a_file_is_written_and_read_with_and_without_gzip() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = small("hot-recipient");
    let mut sizes = Vec::new();
    for name in ["block.json", "block.json.gz"] {
        let path = folder.path().join(name);
        write(&made, &path).expect("a folder to write to");
        sizes.push(path.metadata().expect("just written").len());
        let read = read(&path, &workers()).expect("just written");
        assert_eq!(read.blocks[0].transactions, made.blocks[0].transactions);
        measure(&read, &Plan { threads: vec![2], rounds: 1, lists: false, only: Vec::new() })
            .expect("all ways agree");
    }
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}

#[test]
fn a_recorded_block_is_read_and_can_be_exported() {
    let fixtures = std::env::var_os("PARALLELPOOL_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    let path = fixtures.join("mainnet/10760440.json.gz");
    if !path.is_file() {
        assert!(std::env::var_os("CI").is_none(), "fixtures are missing: {}", path.display());
        eprintln!("skipped: no fixtures at {}", path.display());
        return;
    }
    let block = read(&path, &workers()).expect("a recorded block");
    assert_eq!(block.name, "mainnet/10760440");
    let again = parse(&export(&block).expect("one block"), &workers()).expect("just written");
    let outcome = |workload: &Workload| PlainBlock::new(&workload.blocks[0]).execute().expect("valid");
    let reference = Reference::new(&block.blocks[0], outcome(&block)).expect("maps do not fail");
    assert_eq!(
        reference.plain_differences(&outcome(&again)).expect("maps do not fail"),
        Vec::<String>::new()
    );
}

#[test]
fn several_blocks_do_not_fit_in_a_file() {
    let mut several = small("transfers-self");
    several.blocks.push(several.blocks[0].clone());
    let error = export(&several).expect_err("two blocks").to_string();
    assert_eq!(error, "transfers-self has 2 blocks, a file holds one: name it, as in mainnet/N");
}

#[test]
fn wrong_documents_are_refused_with_the_place() {
    let foreign = "0x00000000000000000000000000000000000000aa";
    let text = complaint(|document| document["transactions"][3]["from"] = foreign.into());
    assert!(text.starts_with("transactions[3]: signed by 0x"), "{text}");
    let text = complaint(|document| document["transactions"][1]["raw"] = "0x02".into());
    assert!(text.starts_with("transactions[1]: "), "{text}");
    let text = complaint(|document| document["env"]["fork"] = "Atlantis".into());
    assert_eq!(text, "env.fork: unknown fork \"Atlantis\"");
    let text = complaint(|document| document["env"]["blobSchedule"] = serde_json::Value::Null);
    assert_eq!(text, "env.blobSchedule: needed from Cancun on, its fraction not zero");
    let text = complaint(|document| document["env"]["number"] = 5.into());
    assert!(text.starts_with("not a block: invalid type: integer `5`"), "{text}");
    let text = complaint(|document| drop(document.as_object_mut().expect("a map").remove("preState")));
    assert!(text.starts_with("not a block: missing field `preState`"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("absent.json");
    let text = read(&path, &workers()).expect_err("no such file").to_string();
    assert!(text.contains("absent.json: "), "{text}");
    let path = folder.path().join("cut.json.gz");
    std::fs::write(&path, [0x1f, 0x8b, 8]).expect("a folder to write to");
    let text = read(&path, &workers()).expect_err("cut off").to_string();
    assert!(text.contains("cut.json.gz: "), "{text}");
    let path = folder.path().join("text.json");
    std::fs::write(&path, "block").expect("a folder to write to");
    let text = read(&path, &workers()).expect_err("no JSON").to_string();
    assert!(text.contains("text.json: not a block: "), "{text}");
}
