//! Schedules by hand, and what the recorded blocks must show.

use parallelpool_core::access::{Access, AccessSet, AccessSource, Field};
use parallelpool_core::batching::{Candidate, Plan, PlanOptions, plan_without_escrow};
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::workers::Workers;

use super::schedule::{Window, conflicting, conflicts};
use super::*;
use crate::workloads::Making;

/// Writers of the slots that are named, each by a sender of its own, with so much gas.
fn sets(rows: &[(u64, &[u64])]) -> Vec<AccessSet> {
    let rows = rows.iter().zip(1_u8..);
    rows.map(|((gas, slots), n)| {
        let mut set = AccessSet::unknown(B256::repeat_byte(n), *gas);
        set.source = AccessSource::Trace;
        set.gas_used = *gas;
        for slot in *slots {
            set.add(Address::repeat_byte(0xaa), Field::Storage(U256::from(*slot)), Access::WRITE);
        }
        set
    })
    .collect()
}

fn plan(sets: &[AccessSet]) -> Plan {
    let candidates: Vec<_> = sets
        .iter()
        .map(|access| Candidate {
            hash: access.hash,
            sender: Address::repeat_byte(access.hash[0]),
            gas_limit: access.gas_used,
            asks_sequential: false,
            access,
        })
        .collect();
    plan_without_escrow(
        &candidates,
        PlanOptions { batch_size: 64, min_batch_size: 2, beneficiary: Address::ZERO },
    )
}

#[test]
fn every_way_takes_what_its_rules_say() {
    // 0 and 2 meet, 1 and 3 meet, 4 is free; the plan is {0, 1, 4} and then {2, 3}.
    let sets = sets(&[(40, &[1]), (10, &[2]), (10, &[1]), (10, &[2]), (30, &[])]);
    let plan = plan(&sets);
    let sets: Vec<&AccessSet> = sets.iter().collect();
    let window = Window { conflicts: conflicts(&sets), sets: &sets };

    assert_eq!(window.conflicts, [vec![], vec![], vec![0], vec![1], vec![]]);
    assert_eq!(plan.batches.len(), 2);
    assert_eq!(window.serial(), 100);
    // Lane one 40; lane two 30 and 10; then 10 beside 10.
    assert_eq!(window.by_batches(&plan, 2), 50);
    // 0 beside 1 and 4, then 2 beside 3.
    assert_eq!(window.by_dependencies(&plan, 2), 50);
    // 0 beside 1, 3 and 4, then 2.
    assert_eq!(window.greedily(2), 50);
    assert_eq!(window.by_components(&plan, 2), 50);
    // 40 beside 10 + 10 + 10; 30 behind them; then 2 and 3 again, one by one.
    assert_eq!(window.by_tag(2), 60 + 20);
    assert_eq!((window.bound(1), window.bound(2), window.bound(8)), (100, 50, 50));
}

#[test]
fn what_nobody_knows_conflicts_with_everything() {
    let mut sets = sets(&[(10, &[1]), (10, &[2]), (10, &[3])]);
    sets[1].source = AccessSource::Unknown;

    let found = conflicts(&sets.iter().collect::<Vec<_>>());

    assert_eq!(found, [vec![], vec![0], vec![1]]);
    assert_eq!(conflicting(&found), [1, 2]);
}

#[test]
fn every_pool_is_timed_at_every_size_with_all_its_samples() {
    let rows = measure_speed(2, 0.001, 7);

    assert_eq!(rows.len(), POOLS.len() * SIZES.len());
    assert_eq!(rows[2].transactions, 100);
    for row in &rows {
        let samples = &row.samples;
        let all = [&samples.fill, &samples.plan, &samples.grow, &samples.plan_block, &samples.plan_all];
        assert!(all.iter().all(|samples| samples.len() == 2), "{row:?}");
        assert!([&samples.change, &samples.fee].iter().all(|samples| samples.len() == 2), "{row:?}");
    }
    let text = BatchingReport { speed: rows, ..BatchingReport::default() }.text();
    assert_eq!(text.lines().count(), 1 + POOLS.len() * SIZES.len());
}

/// The goals of the batches of recorded blocks, held against all recorded blocks together.
#[test]
fn batches_of_recorded_blocks_are_wide_lose_no_tips_and_hold_no_conflict() {
    let workers = Workers::new(2).expect("threads start");
    let making = Making::of_size(&workers, 1.0, 0).expect("a size");
    if !making.recorded.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no recorded blocks: {}", making.recorded.display());
        return;
    }

    let recorded = measure_recorded(&making, 1).expect("every block can be executed");

    let of = |way: &'static str| recorded.eras.iter().filter(move |row| row.way == way);
    assert_eq!(of("batches").count(), 4, "a row for every era that has blocks");
    for (batches, bound) in of("batches").zip(of("bound")) {
        let (tips, first) = (batches.tips_percent.expect("ours"), batches.first_percent.expect("ours"));
        assert!(tips >= 98.0, "{batches:?}");
        assert!(batches.era < "2022" || first >= 80.0, "{batches:?}");
        let slack = batches.speed_up.iter().zip(bound.speed_up).map(|(ours, bound)| bound - ours);
        assert!(slack.into_iter().all(|slack| slack > -1e-9), "nobody beats the bound: {batches:?}");
    }
    let windows: usize = of("batches").map(|row| row.windows).sum();
    let conflicts: usize = of("batches").filter_map(|row| row.conflicts).sum();
    assert!(windows > 50, "only {windows} windows");
    assert!(conflicts * 1_000 <= windows * 64 * 15, "{conflicts} conflicts in {windows} windows");
}
