//! What a plan promises, on hand-made access sets and on random ones.

mod choice;
mod incremental;
mod tables;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::access::{Access, AccessSource, Field, Location};

const BENEFICIARY: Address = Address::repeat_byte(0xbe);
const OPTIONS: PlanOptions = PlanOptions { batch_size: 64, min_batch_size: 2, beneficiary: BENEFICIARY };

struct Pool {
    sets: Vec<AccessSet>,
    senders: Vec<Address>,
    sequential: Vec<bool>,
}

impl Pool {
    fn new() -> Self {
        Self { sets: Vec::new(), senders: Vec::new(), sequential: Vec::new() }
    }

    fn add(&mut self, sender: u8, accesses: &[(u8, Field, Access)], debits: &[(u8, u64)]) -> usize {
        let index = self.sets.len();
        let mut set = AccessSet::unknown(B256::repeat_byte(index as u8), 50_000);
        set.source = AccessSource::Trace;
        for (address, field, access) in accesses {
            set.add(Address::repeat_byte(*address), *field, *access);
        }
        set.debits = debits.iter().map(|(who, wei)| (Address::repeat_byte(*who), U256::from(*wei))).collect();
        self.sets.push(set);
        self.senders.push(Address::repeat_byte(sender));
        self.sequential.push(false);
        index
    }

    fn add_unknown(&mut self, sender: u8) -> usize {
        let index = self.add(sender, &[], &[]);
        self.sets[index].source = AccessSource::Unknown;
        index
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let rows = self.sets.iter().zip(&self.senders).zip(&self.sequential);
        rows.map(|((access, sender), sequential)| Candidate {
            hash: access.hash,
            sender: *sender,
            gas_limit: 50_000,
            asks_sequential: *sequential,
            access,
        })
        .collect()
    }

    fn plan(&self, options: PlanOptions, wei: u64) -> Plan {
        let plan = plan(&self.candidates(), options, |_| Ok::<_, ()>(U256::from(wei)));
        plan.expect("balances are always there")
    }
}

fn slot(index: u64) -> Field {
    Field::Storage(U256::from(index))
}

fn kinds(plan: &Plan) -> Vec<(BatchKind, Vec<u32>)> {
    plan.batches.iter().map(|batch| (batch.kind, batch.members.clone())).collect()
}

#[test]
fn independent_candidates_share_one_parallel_batch() {
    let mut pool = Pool::new();
    for sender in 1..=5 {
        pool.add(sender, &[(sender, slot(0), Access::WRITE), (0xaa, slot(9), Access::READ)], &[]);
    }

    let plan = pool.plan(OPTIONS, 0);

    assert_eq!(kinds(&plan), [(BatchKind::Parallel, vec![0, 1, 2, 3, 4])]);
    assert_eq!(plan.groups().len(), 5);
    assert_eq!(plan.batches[0].critical_path_gas, 50_000);
    assert_eq!(plan.batches[0].gas_limit, 250_000);
}

#[test]
fn writers_of_one_slot_follow_one_another() {
    let mut pool = Pool::new();
    for sender in 1..=4 {
        pool.add(sender, &[(0xaa, slot(1), Access::WRITE)], &[]);
    }

    let plan = pool.plan(OPTIONS, 0);

    assert_eq!(kinds(&plan), [(BatchKind::Sequential, vec![0, 1, 2, 3])]);
    assert_eq!(plan.dependencies(), [vec![], vec![0], vec![1], vec![2]]);
    assert_eq!(plan.groups(), [vec![0, 1, 2, 3]]);
}

#[test]
fn nonces_of_one_sender_are_in_different_batches() {
    let mut pool = Pool::new();
    for sender in [1, 2, 1, 2] {
        pool.add(sender, &[], &[]);
    }

    let plan = pool.plan(OPTIONS, 0);

    assert_eq!(kinds(&plan), [(BatchKind::Parallel, vec![0, 1]), (BatchKind::Parallel, vec![2, 3])]);
    assert_eq!(plan.batches[1].after, [0]);
}

#[test]
fn three_withdrawals_of_four_from_ten_are_never_one_batch() {
    let mut pool = Pool::new();
    for sender in 1..=3 {
        pool.add(sender, &[(0xaa, Field::Balance, Access::DEBIT)], &[(0xaa, 4)]);
    }

    let plan = pool.plan(OPTIONS, 10);

    assert_eq!(kinds(&plan), [(BatchKind::Parallel, vec![0, 1]), (BatchKind::Sequential, vec![2])]);
    assert_eq!(plan.batches[1].after, [0]);
}

#[test]
fn an_observer_of_the_beneficiary_conflicts_with_every_fee() {
    let mut pool = Pool::new();
    pool.add(1, &[], &[]);
    pool.add(2, &[(0xbe, Field::Balance, Access::READ)], &[]);
    pool.add(3, &[], &[]);

    let plan = pool.plan(OPTIONS, 0);

    assert!(plan.batches.iter().all(|batch| batch.kind == BatchKind::Sequential));
    assert_eq!(plan.groups(), [vec![0, 1, 2]]);
}

#[test]
fn unknown_and_tagged_sequential_candidates_run_behind_the_others_with_their_senders() {
    let mut pool = Pool::new();
    pool.add_unknown(1);
    pool.add(2, &[], &[]);
    pool.add(1, &[], &[]);
    pool.add(3, &[], &[]);
    let tagged = pool.add(4, &[(0xaa, slot(1), Access::WRITE)], &[]);
    pool.sequential[tagged] = true;
    pool.add(5, &[(0xaa, slot(1), Access::READ)], &[]);

    let plan = pool.plan(OPTIONS, 0);

    // The tagged one gave up its place before the reader of what it writes.
    assert_eq!(kinds(&plan), [(BatchKind::Parallel, vec![1, 3, 5]), (BatchKind::Sequential, vec![0, 2, 4])]);
    assert_eq!(plan.batches[1].after, [0]);
    let all_before = vec![1, 3, 5];
    assert_eq!(plan.dependencies(), [all_before, vec![], vec![0], vec![], vec![0], vec![]]);
}

#[test]
fn a_level_is_cut_at_the_batch_size_and_its_rest_is_a_smaller_batch() {
    let mut pool = Pool::new();
    for sender in 1..=11 {
        pool.add(sender, &[], &[]);
    }

    let plan = pool.plan(PlanOptions { batch_size: 4, ..OPTIONS }, 0);

    assert_eq!(plan.batches.iter().map(|batch| batch.members.len()).collect::<Vec<_>>(), [4, 4, 3]);
    assert!(plan.batches.iter().all(|batch| batch.after.is_empty()));
}

#[test]
fn batch_ids_follow_from_content_alone() {
    let members = [B256::repeat_byte(1), B256::repeat_byte(2)];
    let id = batch_id(31337, B256::repeat_byte(9), BatchKind::Parallel, &members);

    // keccak256 of rlp([1, 31337, 0x09.., "parallel", [0x01.., 0x02..]]), put together by hand.
    let mut payload = vec![0x01, 0x82, 0x7a, 0x69, 0xa0];
    payload.extend([9; 32]);
    payload.push(0x88);
    payload.extend(b"parallel");
    payload.extend([0xf8, 66, 0xa0]);
    payload.extend([1; 32]);
    payload.push(0xa0);
    payload.extend([2; 32]);
    let mut rlp = vec![0xf8, payload.len() as u8];
    rlp.extend(payload);

    assert_eq!(id, keccak256(rlp));
    assert_ne!(id, batch_id(31337, B256::repeat_byte(9), BatchKind::Sequential, &members));
}

#[test]
fn plans_of_random_pools_keep_every_promise() {
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let pool = random_pool(&mut rng);
        let wei = rng.random_range(5..60);
        let options = PlanOptions { batch_size: rng.random_range(2..9), ..OPTIONS };
        check(&pool, &pool.plan(options, wei), options, wei, seed);
    }
}

fn random_pool(rng: &mut SmallRng) -> Pool {
    let mut pool = Pool::new();
    for _ in 0..rng.random_range(1..60) {
        let sender = rng.random_range(1..25);
        let accesses: Vec<_> = (0..rng.random_range(0..4))
            .map(|_| {
                let address = [0xaa, 0xab, 0xac, 0xbe][rng.random_range(0..4)];
                let access =
                    [Access::READ, Access::WRITE, Access::CREDIT, Access::DEBIT][rng.random_range(0..4)];
                let storage = access == Access::READ || access == Access::WRITE;
                let field = if storage && rng.random_bool(0.8) {
                    slot(rng.random_range(0..6))
                } else {
                    Field::Balance
                };
                (address, field, access)
            })
            .collect();
        let debits: Vec<_> = accesses
            .iter()
            .filter(|(_, _, access)| *access == Access::DEBIT)
            .map(|(who, _, _)| (*who, 4))
            .collect();
        let index = pool.add(sender, &accesses, &debits);
        if rng.random_bool(0.05) {
            pool.sets[index].source = AccessSource::Unknown;
        }
        pool.sequential[index] = rng.random_bool(0.05);
    }
    pool
}

/// The candidate's accesses and what every transaction does: count up its sender's nonce, pay a fee.
fn accesses_of(candidate: &Candidate<'_>) -> Vec<(Location, Access)> {
    let fee = (Location { address: BENEFICIARY, field: Field::Balance }, Access::CREDIT);
    let nonce = (Location { address: candidate.sender, field: Field::Nonce }, Access::WRITE);
    let known = candidate.access.accesses.iter().filter(|_| candidate.access.is_known());
    known.map(|(location, access)| (*location, *access)).chain([fee, nonce]).collect()
}

fn check(pool: &Pool, plan: &Plan, options: PlanOptions, wei: u64, seed: u64) {
    let candidates = pool.candidates();
    let full: Vec<_> = candidates.iter().map(accesses_of).collect();
    let conflict = |a: usize, b: usize| {
        full[a].iter().any(|(at, x)| full[b].iter().any(|(there, y)| at == there && x.conflicts_with(*y)))
    };
    let mut position = vec![None; candidates.len()];
    let mut order = 0;
    for (index, batch) in plan.batches.iter().enumerate() {
        assert!(!batch.members.is_empty() && batch.members.len() <= options.batch_size, "seed {seed}");
        for &member in &batch.members {
            let before = position[member as usize].replace((order, index));
            assert!(before.is_none(), "seed {seed}: {member} twice");
            order += 1;
        }
        if batch.kind == BatchKind::Parallel {
            assert!(batch.members.len() >= options.min_batch_size, "seed {seed}");
            for (at, &a) in batch.members.iter().enumerate() {
                let candidate = &candidates[a as usize];
                assert!(candidate.access.is_known() && !candidate.asks_sequential, "seed {seed}");
                for &b in &batch.members[at + 1..] {
                    assert!(!conflict(a as usize, b as usize), "seed {seed}: {a} and {b} share a batch");
                }
            }
        }
    }
    assert_eq!(order, candidates.len(), "seed {seed}: every candidate has its place");
    let position: Vec<(usize, usize)> = position.into_iter().flatten().collect();
    let groups = plan.groups();
    let group_of = |one: usize| groups.iter().position(|group| group.contains(&(one as u32)));
    let dependencies = plan.dependencies();
    for a in 0..candidates.len() {
        for b in a + 1..candidates.len() {
            if !conflict(a, b) {
                continue;
            }
            assert_eq!(group_of(a), group_of(b), "seed {seed}");
            let runs_last = candidates[a].asks_sequential || !candidates[a].access.is_known();
            let gave_up_its_place = runs_last && candidates[a].sender != candidates[b].sender;
            if !gave_up_its_place {
                assert!(position[a].0 < position[b].0, "seed {seed}: {b} overtakes {a}");
            }
            let (first, second) = if position[a].0 < position[b].0 { (a, b) } else { (b, a) };
            assert!(follows(&dependencies, second, first), "seed {seed}: {second} must wait for {first}");
            let after: Vec<Vec<u32>> = plan.batches.iter().map(|batch| batch.after.clone()).collect();
            let (earlier, later) = (position[first].1, position[second].1);
            assert!(
                earlier == later || follows(&after, later, earlier),
                "seed {seed}: {later} after {earlier}"
            );
        }
    }
    // Who does not find enough in a purse follows all who use that balance.
    let takes_from = |a: usize, b: usize| {
        let touches =
            |who: &Address| full[b].iter().any(|(at, _)| at.address == *who && at.field == Field::Balance);
        pool.sets[a].debits.keys().any(touches)
    };
    let related = |a: usize, b: usize| conflict(a, b) || takes_from(a, b) || takes_from(b, a);
    let is_unknown = |one: usize| !candidates[one].access.is_known();
    for (b, direct) in dependencies.iter().enumerate() {
        for &a in direct {
            let may_conflict = related(a as usize, b) || is_unknown(a as usize) || is_unknown(b);
            assert!(may_conflict, "seed {seed}: {b} does not depend on {a}");
            assert!(position[a as usize].0 < position[b].0, "seed {seed}");
        }
        for a in (0..candidates.len()).filter(|&a| position[a].0 < position[b].0) {
            let must_wait = is_unknown(a) || is_unknown(b);
            assert!(!must_wait || follows(&dependencies, b, a), "seed {seed}: {b} may depend on {a}");
        }
    }
    check_after(plan, &candidates, &related, seed);
    check_escrow(pool, plan, wei, seed);
}

/// Whether `later` waits for `earlier`, directly or through others.
fn follows(graph: &[Vec<u32>], later: usize, earlier: usize) -> bool {
    let (mut seen, mut open) = (vec![false; graph.len()], vec![later]);
    while let Some(node) = open.pop() {
        for &before in &graph[node] {
            if before as usize == earlier {
                return true;
            }
            if !std::mem::replace(&mut seen[before as usize], true) {
                open.push(before as usize);
            }
        }
    }
    false
}

/// A batch waits for real predecessors only; unknown accesses may be any.
fn check_after(
    plan: &Plan,
    candidates: &[Candidate<'_>],
    conflict: &impl Fn(usize, usize) -> bool,
    seed: u64,
) {
    let is_unknown =
        |batch: &Batch| batch.members.iter().any(|&member| !candidates[member as usize].access.is_known());
    for (index, batch) in plan.batches.iter().enumerate() {
        for &earlier in &batch.after {
            assert!((earlier as usize) < index, "seed {seed}");
            let before = &plan.batches[earlier as usize];
            let meets = |&a: &u32| batch.members.iter().any(|&b| conflict(a as usize, b as usize));
            assert!(
                is_unknown(batch) || is_unknown(before) || before.members.iter().any(meets),
                "seed {seed}: batch {index} does not follow {earlier}"
            );
        }
    }
}

/// Whatever runs side by side, and all parallel batches together, can pay from the start balance.
fn check_escrow(pool: &Pool, plan: &Plan, wei: u64, seed: u64) {
    let mut spent = std::collections::BTreeMap::<Address, U256>::new();
    for batch in plan.batches.iter().filter(|batch| batch.kind == BatchKind::Parallel) {
        for &member in &batch.members {
            for (who, required) in &pool.sets[member as usize].debits {
                *spent.entry(*who).or_default() += *required;
            }
        }
    }
    assert!(spent.values().all(|sum| *sum <= U256::from(wei)), "seed {seed}: {spent:?}");
}
