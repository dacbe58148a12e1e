//! Who gets which transactions of a run, and when.

use crate::parallel::edges::Edges;
use crate::parallel::schedule::{Claim, Kind, Schedule};

/// Calls with these edges, none of them early, all in the window.
fn of(edges: &[&[u32]]) -> Schedule {
    let plan = edges.iter().map(|edges| (Edges::from_slice(edges), Kind::Call));
    Schedule::new(plan, Vec::new(), edges.len() as u32)
}

/// What one worker gets after another, as long as there is anything; none of it runs.
fn claims(schedule: &Schedule) -> Vec<Claim> {
    let next = || Some(schedule.claim(None)).filter(|claim| matches!(claim, Claim::Run(_)));
    std::iter::from_fn(next).collect()
}

#[test]
fn a_run_belongs_to_the_worker_that_began_it() {
    let schedule = of(&[&[], &[0], &[1], &[], &[3]]);
    assert_eq!(claims(&schedule), [Claim::Run(0), Claim::Run(3)]);
    assert_eq!(schedule.claim(None), Claim::Wait, "the others may still be left by those two");

    assert_eq!(schedule.has_run(0, true), Some(1));
    assert_eq!(schedule.claim(Some(1)), Claim::Run(1));
    assert_eq!(schedule.has_run(3, true), Some(4));
    assert_eq!(schedule.has_run(1, true), Some(2));
    assert_eq!(schedule.has_run(2, true), None);
    assert_eq!(schedule.has_run(4, true), None);
    assert_eq!(schedule.claim(None), Claim::Leave);
}

#[test]
fn a_run_ends_with_the_window() {
    let schedule = of(&[&[], &[0], &[1], &[2]]);
    schedule.advance(0, 2);
    assert_eq!(claims(&schedule), [Claim::Run(0)]);
    assert_eq!(schedule.has_run(0, true), Some(1));
    assert_eq!(schedule.has_run(1, true), None);

    schedule.advance(2, 2);
    assert_eq!(claims(&schedule), [Claim::Run(2)]);
}

#[test]
fn a_run_that_waits_follows_whoever_it_waited_for() {
    let schedule = of(&[&[], &[], &[0], &[2], &[3]]);
    assert_eq!(claims(&schedule), [Claim::Run(0), Claim::Run(1)]);

    assert_eq!(schedule.has_run(0, true), Some(2));
    assert_eq!(schedule.has_run(2, true), Some(3));
    assert_eq!(schedule.has_run(3, true), Some(4));
}

#[test]
fn what_the_window_leaves_of_a_run_goes_to_anybody() {
    let schedule = of(&[&[], &[0], &[1]]);
    assert_eq!(schedule.claim(None), Claim::Run(0));
    schedule.advance(0, 1);
    assert_eq!(schedule.has_run(0, true), Some(1));
    assert_eq!(schedule.claim(Some(1)), Claim::Wait, "the window has closed");

    schedule.advance(1, 1);
    assert_eq!(claims(&schedule), [Claim::Run(1)]);
    assert_eq!(schedule.has_run(1, true), Some(2));
}

#[test]
fn a_long_call_that_began_early_ends_a_run() {
    let plan = [&[][..], &[0], &[1], &[2]].map(|edges| (Edges::from_slice(edges), Kind::Call));
    let schedule = Schedule::new(plan, vec![2], 4);
    assert_eq!(claims(&schedule), [Claim::Run(0)]);

    assert_eq!(schedule.has_run(0, true), Some(1));
    assert_eq!(schedule.has_run(1, false), None, "2 is for whoever comes first");
    assert_eq!(schedule.claim(None), Claim::Run(2));
    assert_eq!(schedule.has_run(2, true), Some(3));
}

#[test]
fn a_transfer_is_in_no_run() {
    let plan = [(&[][..], Kind::Transfer), (&[0], Kind::Call), (&[1], Kind::Call)];
    let plan = plan.map(|(edges, kind)| (Edges::from_slice(edges), kind));
    let schedule = Schedule::new(plan, Vec::new(), 3);
    assert_eq!(schedule.claim(None), Claim::Transfers(0, 1));
    assert_eq!(schedule.claim(None), Claim::Wait, "1 waits for the transfer, 2 for 1");

    assert_eq!(schedule.has_run(0, false), None);
    assert_eq!(schedule.claim(None), Claim::Run(1));
    assert_eq!(schedule.has_run(1, true), Some(2));
}

/// So many short calls without edges, but for those given.
fn short_calls(count: u32, edges: &[(u32, u32)]) -> Schedule {
    let edges_of = |index| edges.iter().filter(|(to, _)| *to == index).map(|(_, from)| *from).collect();
    let plan = (0..count).map(|index| (edges_of(index), Kind::ShortCall));
    Schedule::new(plan, Vec::new(), count)
}

#[test]
fn short_calls_are_handed_out_several_at_once() {
    let schedule = short_calls(200, &[]);
    assert_eq!([0, 1].map(|_| schedule.claim(None)), [Claim::Run(0), Claim::Run(16)]);

    assert_eq!((0..16).filter_map(|index| schedule.has_run(index, true)).last(), Some(15));
    assert_eq!(schedule.has_run(15, true), None);
    assert_eq!(schedule.claim(None), Claim::Run(32));
    assert_eq!((schedule.run_from(16), schedule.run_from(30)), (16..32, 30..32));
}

#[test]
fn what_the_window_leaves_is_for_more_than_one_worker() {
    let schedule = short_calls(200, &[]);
    schedule.advance(0, 32);

    assert_eq!([0, 1, 2].map(|_| schedule.claim(None)), [0, 4, 7].map(Claim::Run));
}

#[test]
fn a_short_call_that_waits_for_another_is_in_no_run_of_others() {
    let schedule = short_calls(64, &[(3, 0)]);
    assert_eq!([0, 1, 2].map(|_| schedule.claim(None)), [0, 4, 11].map(Claim::Run));

    assert_eq!((schedule.has_run(0, true), schedule.has_run(1, true)), (Some(1), Some(2)));
    assert_eq!(schedule.has_run(2, true), None);
}
