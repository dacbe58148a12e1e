//! `docs/conformance.md` names a test for every promise; each of them exists.

use std::collections::BTreeSet;
use std::path::Path;

const PROMISES: usize = 17;

/// Rows of the table of promises: number, and its tests as file and name.
fn promises(page: &str) -> Vec<(usize, Vec<(String, String)>)> {
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let number = cells.next()?.parse().ok()?;
        let names = cells.nth(1)?;
        let tests = names.split('`').filter_map(|quoted| quoted.split_once("::"));
        Some((number, tests.map(|(file, name)| (file.to_owned(), name.to_owned())).collect()))
    });
    rows.collect()
}

/// Whether a source holds a test of that name.
fn holds_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}()");
    source.match_indices(&head).any(|(at, _)| {
        let before = source[..at].lines().rev().take_while(|line| !line.trim().is_empty());
        before.into_iter().any(|line| line.trim() == "#[test]")
    })
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/conformance.md")).expect("the page");
    let promises = promises(&page);
    let mut seen = BTreeSet::new();
    for (number, tests) in &promises {
        assert!(!tests.is_empty(), "promise {number} names no test");
        for (file, name) in tests {
            let source = std::fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("promise {number}: {file}: {error}"));
            assert!(holds_test(&source, name), "promise {number}: {file} has no test {name}");
            assert!(seen.insert((file, name)), "{file}::{name} is named twice");
        }
    }
    let numbers: Vec<usize> = promises.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=PROMISES).collect::<Vec<_>>());
}

#[test]
fn a_test_that_is_missing_is_noticed() {
    let source = "#[test]\n#[ignore]\nfn there() {\n}\n\nfn not_a_test() {}\n";

    assert!(holds_test(source, "there"));
    assert!(!holds_test(source, "not_a_test"));
    assert!(!holds_test(source, "ther"));
    assert_eq!(promises("| 3 | words | `a.rs::b` |")[0], (3, vec![("a.rs".to_owned(), "b".to_owned())]));
}
