//! Which members of a batch conflict, by a table of locations instead of all pairs.

use std::collections::BTreeMap;

use super::{BatchConflict, Verification};
use crate::access::{Access, AccessSet, Conflict, Field, Location};
use crate::primitives::Address;

/// Lists every pair that conflicts, ordered by the pair's places and then by location.
pub(super) fn name_conflicts(
    sets: &[AccessSet],
    beneficiary: Address,
    limit: usize,
    verification: &mut Verification,
) {
    let mut found: Vec<(usize, usize, Conflict)> = Vec::new();
    let mut count = 0;
    for (location, users) in users_by_location(sets, beneficiary) {
        let all = users.iter().fold(Access::default(), |all, (_, access)| all.with(*access));
        if users.len() < 2 || !all.conflicts_with(all) {
            continue;
        }
        for (at, &(a, first)) in users.iter().enumerate() {
            for &(b, second) in &users[at + 1..] {
                if !first.conflicts_with(second) {
                    continue;
                }
                count += 1;
                if found.len() < limit {
                    found.push((a, b, Conflict { location, first, second }));
                }
            }
        }
    }
    found.sort_by_key(|(a, b, conflict)| (*a, *b, conflict.location));
    verification.conflict_count = count;
    verification.conflicts = found
        .into_iter()
        .map(|(a, b, conflict)| BatchConflict { a: sets[a].hash, b: sets[b].hash, conflict })
        .collect();
}

/// Members and their accesses at each location, members ascending; every member pays a fee.
fn users_by_location(sets: &[AccessSet], beneficiary: Address) -> BTreeMap<Location, Vec<(usize, Access)>> {
    let fees = Location { address: beneficiary, field: Field::Balance };
    let mut users: BTreeMap<Location, Vec<(usize, Access)>> = BTreeMap::new();
    for (index, set) in sets.iter().enumerate() {
        for (location, access) in &set.accesses {
            let fee = if *location == fees { Access::CREDIT } else { Access::default() };
            users.entry(*location).or_default().push((index, access.with(fee)));
        }
        if !set.accesses.contains_key(&fees) {
            users.entry(fees).or_default().push((index, Access::CREDIT));
        }
    }
    users
}
