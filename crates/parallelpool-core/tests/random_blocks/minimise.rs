//! Makes a failing scenario smaller while it still fails.
//!
//! Which worker does what when is not determined, so a smaller scenario counts as sound only after
//! many repetitions without a failure.

use crate::comparison::compare;
use crate::scenario::{Part, Scenario, parts};
use crate::support::agreement::{Difference, Engine};

/// Executions after which a scenario counts as sound.
const REPEATS: usize = 40;

/// The differences of the first of many executions that fails.
pub(crate) fn failure(engine: &dyn Engine, scenario: &Scenario, repeats: usize) -> Option<Vec<Difference>> {
    let world = scenario.world();
    (0..repeats)
        .map_while(|_| compare(engine, scenario, &world))
        .map(|comparison| comparison.differences)
        .find(|differences| !differences.is_empty())
}

/// The smallest scenario found that still fails, starting from one that did.
pub(crate) fn minimise(engine: &dyn Engine, failing: &Scenario, differences: &[Difference]) -> Scenario {
    let fails = |scenario: &Scenario| failure(engine, scenario, REPEATS).is_some();
    let mut smallest = failing.clone();
    narrow_ways(&mut smallest, differences, &fails);
    loop {
        let before = smallest.clone();
        drop_candidates(&mut smallest, &fails);
        drop_parts(&mut smallest, &fails);
        if smallest == before {
            return smallest;
        }
    }
}

/// One way instead of many, if one of those that differed is enough.
fn narrow_ways(smallest: &mut Scenario, differences: &[Difference], fails: &dyn Fn(&Scenario) -> bool) {
    let numbers = differences.iter().filter_map(|difference| difference.way.number());
    let single =
        numbers.map(|number| Scenario { ways: Some(vec![number]), ..smallest.clone() }).find(|it| fails(it));
    if let Some(single) = single {
        *smallest = single;
    }
}

/// Drops runs of candidates, long ones first, then shorter ones.
fn drop_candidates(smallest: &mut Scenario, fails: &dyn Fn(&Scenario) -> bool) {
    let all = (0..smallest.world().candidates.len()).collect();
    let mut kept = smallest.only.clone().unwrap_or(all);
    let mut length = kept.len().div_ceil(2);
    while length > 0 {
        let mut start = 0;
        while start < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(start..(start + length).min(kept.len()));
            let candidate = Scenario { only: Some(fewer.clone()), ..smallest.clone() };
            if fails(&candidate) {
                (kept, *smallest) = (fewer, candidate);
            } else {
                start += length;
            }
        }
        length /= 2;
    }
}

fn drop_parts(smallest: &mut Scenario, fails: &dyn Fn(&Scenario) -> bool) {
    let missing: Vec<Part> =
        parts(&smallest.world()).into_iter().filter(|part| !smallest.without.contains(part)).collect();
    for part in missing {
        let mut candidate = smallest.clone();
        candidate.without.insert(part);
        if fails(&candidate) {
            *smallest = candidate;
        }
    }
}
