//! Measuring small workloads: every way gives samples, and a wrong outcome ends it.

use parallelpool_core::primitives::U256;

use super::*;
use crate::workloads::{self, Making};

fn workload(name: &str) -> Workload {
    let workers = Workers::new(2).expect("two threads");
    let making = Making { scale: 0.001, ..Making::new(&workers) };
    workloads::make(name, &making).expect("a known name")
}

#[test]
fn every_way_has_as_many_samples_as_rounds() {
    let plan = Plan { threads: vec![1, 2], rounds: 3, lists: true, only: Vec::new() };
    let measured = measure(&workload("chain-counter"), &plan).expect("all agree");

    let names: Vec<_> = measured.rows().iter().map(|row| (row.way.name(), row.way.threads())).collect();
    let expected = [
        ("plain revm", 1),
        ("serial", 1),
        ("serial by EVM", 1),
        ("parallel", 1),
        ("parallel", 2),
        ("parallel, hinted", 2),
        ("parallel, reused", 2),
        ("auto", 1),
        ("auto", 2),
        ("calibration", 2),
    ];
    assert_eq!(names, expected);
    for row in measured.rows() {
        assert_eq!(row.samples.len(), 3);
        let count = measured.transactions() as u64;
        assert!(row.samples.iter().all(|sample| sample.wall_ns > 0 && sample.executions >= count));
    }
    let lists: Vec<_> = measured.lists().iter().map(|row| (row.work, row.threads, row.items)).collect();
    let count = measured.transactions();
    assert_eq!(
        lists,
        [
            ("decode and recover", 1, count),
            ("pre-execution", 1, count),
            ("decode and recover", 2, count),
            ("pre-execution", 2, count),
            ("receipts root", 1, count),
        ]
    );
}

#[test]
fn a_workload_of_several_blocks_is_summed_round_by_round() {
    let mut several = workload("transfers-self");
    several.blocks.push(workload("hot-recipient").blocks.remove(0));
    let plan = Plan { threads: vec![2], rounds: 2, lists: false, only: Vec::new() };
    let measured = measure(&several, &plan).expect("all agree");

    assert_eq!(measured.transactions(), 96);
    assert_eq!(measured.gas(), 96 * 21_000);
    for (place, sum) in measured.rows().iter().enumerate() {
        for round in 0..2 {
            let part = |block: usize| measured.blocks[block].rows[place].samples[round].wall_ns;
            assert_eq!(sum.samples[round].wall_ns, part(0) + part(1));
        }
    }
}

#[test]
fn an_invalid_block_is_an_error_in_words() {
    let mut broken = workload("transfers-self");
    broken.blocks[0].rules.chain_id = 5;
    let error = measure(&broken, &Plan { threads: vec![1], rounds: 1, lists: false, only: Vec::new() })
        .expect_err("chain id");
    assert!(error.to_string().starts_with("block 24000000 is not valid: "), "{error}");
}

#[test]
fn another_outcome_than_the_plain_loops_ends_the_measurement() {
    let workload = workload("transfers-distinct");
    let workers = Arc::new(Workers::new(1).expect("one thread"));
    let mut bench = Bench::new(&workload.blocks[0], &workers).expect("a valid block");
    bench.sample(Way::Serial).expect("all agree");
    let mut other = workload.blocks[0].clone();
    let recipient = other.transactions[0].tx.to.expect("a transfer");
    let mut account = other.state.account(&recipient).expect("maps do not fail").expect("it is funded");
    account.balance += U256::ONE;
    other.state.insert_account(recipient, account, None);
    bench.block = &other;
    let error = bench.sample(Way::Serial).expect_err("one wei more");
    assert!(matches!(error, CoreError::Divergence(_)), "{error}");
}
