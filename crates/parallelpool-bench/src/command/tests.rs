//! The command line: flags are read, wrong words are refused with exit code 2.

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

fn refusal(line: &str) -> String {
    let problem = main(&words(line)).expect_err("it makes no sense");
    assert_eq!(problem.exit_code, 2, "{}", problem.text);
    problem.text
}

#[test]
fn flags_are_read_in_both_forms() {
    let flags = Flags::read(&words("one --threads 1,2,8 --rounds=3 two --scale 0.5 --json")).expect("fine");
    assert_eq!(flags.words, ["one", "two"]);
    assert_eq!((flags.threads, flags.rounds, flags.scale), (vec![1, 2, 8], 3, 0.5));
    assert!(flags.json && !flags.lists);
}

#[test]
fn wrong_words_are_refused() {
    assert_eq!(refusal("run --threads"), "--threads needs a value");
    assert_eq!(refusal("run --rounds few"), "--rounds: \"few\" is no number");
    assert_eq!(refusal("run --threads 1,0"), "threads must be from 1 to 1024, not [1, 0]");
    assert_eq!(refusal("run --scale NaN"), "scale must be above 0 and at most 1000, not NaN");
    assert_eq!(refusal("run --json=yes"), "--json takes no value");
    assert!(refusal("run --fast").starts_with("unknown flag --fast"));
    assert!(refusal("measure").starts_with("unknown command \"measure\""));
    assert!(refusal("run nothing").starts_with("no workload \"nothing\""));
    assert!(refusal("run absent.json").starts_with("absent.json: "));
    assert_eq!(refusal("export transfers-self"), "export: takes a workload's name and a file");
}

#[test]
fn an_exported_file_can_be_run_and_its_result_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (block, result) = (at("block.json.gz"), at("result.json"));
    main(&words(&format!("export one-sender {block} --scale 0.0005"))).expect("written");
    main(&words(&format!("run {block} --rounds 2 --threads 1 --json --out {result}"))).expect("run");

    let text = std::fs::read(&result).expect("just written");
    let document: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    assert_eq!(document["workloads"][0]["name"], "one-sender");
    assert_eq!(document["workloads"][0]["transactions"], 24);
    assert_eq!(document["workloads"][0]["rows"][1]["way"], "serial");
    assert_eq!(document["workloads"][0]["rows"][1]["samples"]["wallNs"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["conditions"]["allocator"], crate::ALLOCATOR);
}
