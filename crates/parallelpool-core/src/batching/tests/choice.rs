//! Which transactions are chosen, in which order, and how long the others wait.

use super::*;

const FREE: fn(&Address) -> Result<U256, Infallible> = |_| Ok(U256::MAX);

/// Transactions of senders 1, 2, ... with these tips, in order of arrival; 50,000 gas each.
fn pool_of_tips(tips: &[u128]) -> Builder {
    let mut builder = Builder::new();
    add_tips(&mut builder, 1, tips);
    builder
}

fn add_tips(builder: &mut Builder, first: u64, tips: &[u128]) {
    let pooled = tips.iter().zip(first..).map(|(tip, n)| payer(n, n, 0, *tip));
    let added = pooled.map(|pooled| (pooled, touching(pooled.hash, &[]).into())).collect();
    builder.apply(builder.sequence() + 1, &Delta { added, ..Delta::default() }).expect("it follows");
}

fn payer(n: u64, sender: u64, nonce: u64, tip: u128) -> Pooled {
    Pooled {
        hash: hash(n),
        sender: Address::left_padding_from(&sender.to_be_bytes()),
        nonce,
        arrival: n,
        gas_limit: 50_000,
        size: 100,
        max_fee_per_gas: 1_000,
        max_priority_fee_per_gas: tip,
        ..Pooled::default()
    }
}

fn hash(n: u64) -> B256 {
    B256::from(U256::from(n))
}

fn touching(hash: B256, accesses: &[(u8, Field, Access)]) -> AccessSet {
    let mut set = AccessSet::unknown(hash, 50_000);
    set.source = AccessSource::Trace;
    for (address, field, access) in accesses {
        set.add(Address::repeat_byte(*address), *field, *access);
    }
    set
}

fn build(builder: &mut Builder, selection: &Selection) -> Plan {
    let Ok(plan) = builder.build(selection, FREE);
    plan
}

fn chosen(builder: &mut Builder, selection: &Selection) -> Vec<u64> {
    build(builder, selection).candidates.iter().map(|hash| U256::from_be_bytes(hash.0).to()).collect()
}

#[test]
fn the_best_tips_that_fit_are_chosen() {
    let mut builder = pool_of_tips(&[3, 9, 5, 7]);

    assert_eq!(chosen(&mut builder, &Selection::default()), [2, 4, 3, 1]);
    let bounded = [
        Selection { max_gas: 100_000, ..Selection::default() },
        Selection { max_bytes: 200, ..Selection::default() },
        Selection { max_transactions: 2, ..Selection::default() },
        Selection { min_tip: 6, ..Selection::default() },
    ];
    for selection in bounded {
        let plan = build(&mut builder, &selection);
        assert_eq!(plan.candidates, [hash(2), hash(4)], "{selection:?}");
        assert!(plan.withheld, "{selection:?}");
        assert!(plan.batches.iter().map(|batch| batch.gas_limit).sum::<u64>() <= selection.max_gas);
    }
    assert!(!build(&mut builder, &Selection::default()).withheld);
}

#[test]
fn what_does_not_fit_keeps_its_senders_later_nonces_back_and_nobody_elses() {
    let mut builder = Builder::new();
    let large = Pooled { gas_limit: 90_000, ..payer(1, 1, 0, 50) };
    for pooled in [large, payer(2, 1, 1, 40), payer(3, 2, 0, 30)] {
        builder.add_all([(pooled, &touching(pooled.hash, &[]))]);
    }

    assert_eq!(chosen(&mut builder, &Selection { max_gas: 60_000, ..Selection::default() }), [3]);
}

#[test]
fn a_senders_nonces_come_in_order_whatever_they_pay() {
    let mut builder = Builder::new();
    for pooled in [payer(1, 1, 1, 90), payer(2, 2, 0, 50), payer(3, 1, 0, 10), payer(4, 3, 0, 20)] {
        builder.add_all([(pooled, &touching(pooled.hash, &[]))]);
    }

    assert_eq!(chosen(&mut builder, &Selection::default()), [2, 4, 3, 1]);
    assert_eq!(
        chosen(&mut builder, &Selection { strategy: Strategy::Fifo, ..Selection::default() }),
        [2, 3, 1, 4]
    );
}

#[test]
fn who_cannot_pay_the_base_fee_stays_back_until_it_falls() {
    let mut builder = pool_of_tips(&[3, 9]);
    let poor = Pooled { max_fee_per_gas: 20, ..payer(7, 7, 0, 15) };
    builder.add_all([(poor, &touching(poor.hash, &[]))]);
    builder.change_head(builder.sequence() + 1, Some(30), None).expect("it follows");

    assert_eq!(chosen(&mut builder, &Selection::default()), [2, 1]);
    // What it pays above the base fee is its tip.
    assert_eq!(
        chosen(&mut builder, &Selection { base_fee: Some(Some(15)), ..Selection::default() }),
        [2, 7, 1]
    );
    builder.change_head(builder.sequence() + 1, Some(4), None).expect("it follows");
    assert_eq!(chosen(&mut builder, &Selection::default()), [7, 2, 1]);
}

#[test]
fn excluded_transactions_and_whoever_touches_what_is_excluded_stay_back() {
    let mut builder = Builder::new();
    for (n, at) in [(1, 0xa1), (2, 0xa2), (3, 0xa3)] {
        builder.add_all([(payer(n, n, 0, 10), &touching(hash(n), &[(at, slot(n), Access::READ)]))]);
    }
    builder.add_all([(payer(4, 4, 0, 1), &AccessSet::unknown(hash(4), 50_000))]);
    let location = |at, n| Location { address: Address::repeat_byte(at), field: slot(n) };

    let cases = [
        (
            Selection { exclude_transactions: [hash(2)].into_iter().collect(), ..Selection::default() },
            vec![1, 3, 4],
        ),
        (
            Selection {
                exclude_addresses: [Address::repeat_byte(0xa1)].into_iter().collect(),
                ..Selection::default()
            },
            vec![2, 3],
        ),
        (
            Selection {
                exclude_locations: [location(0xa3, 3), location(0xa2, 9)].into_iter().collect(),
                ..Selection::default()
            },
            vec![1, 2],
        ),
    ];
    for (selection, left) in cases {
        assert_eq!(chosen(&mut builder, &selection), left);
        assert!(build(&mut builder, &selection).withheld);
    }
}

#[test]
fn nobody_waits_longer_than_stated_for_better_payers() {
    let mut builder = pool_of_tips(&[1]);
    let selection = Selection { max_gas: 100_000, max_wait: 5, ..Selection::default() };
    let mut waited = 0;
    // Every head two better payers come and fill the block.
    for head in 1.. {
        let newcomers = 100 + head * 2;
        add_tips(&mut builder, newcomers, &[50, 50]);
        let plan = build(&mut builder, &selection);
        assert_eq!(plan.candidates.len(), 2);
        if plan.candidates.contains(&hash(1)) {
            assert_eq!(plan.candidates[0], hash(1), "it goes first");
            break;
        }
        waited += 1;
        let sequence = builder.sequence();
        builder
            .apply(sequence + 1, &Delta { removed: plan.candidates, ..Delta::default() })
            .expect("follows");
        builder.change_head(sequence + 2, None, None).expect("follows");
        assert!(head < 20, "it waits for ever");
    }
    assert_eq!(waited, 5);
}

#[test]
fn overdue_transactions_take_their_small_part_and_no_more() {
    let mut builder = pool_of_tips(&[1; 40]);
    for _ in 0..9 {
        builder.change_head(builder.sequence() + 1, None, None).expect("it follows");
    }
    add_tips(&mut builder, 100, &[50; 40]);
    // A sixteenth of 1,600,000 is two of 50,000.
    let selection = Selection { max_gas: 1_600_000, max_wait: 9, overdue_share: 16, ..Selection::default() };

    let chosen = chosen(&mut builder, &selection);

    assert_eq!(chosen.len(), 32);
    assert_eq!(chosen[..2], [1, 2]);
    assert!(chosen[2..].iter().all(|n| *n >= 100), "{chosen:?}");
}

#[test]
fn a_popular_contract_chains_its_writers_and_nobody_else() {
    let mut builder = Builder::new();
    for n in 1..=300 {
        let accesses: &[_] = if n % 3 == 0 { &[(0xaa, slot(1), Access::WRITE)] } else { &[] };
        builder.add_all([(payer(n, n, 0, 1_000 - u128::from(n)), &touching(hash(n), accesses))]);
    }

    let plan = build(&mut builder, &Selection::default());

    let parallel: usize = plan
        .batches
        .iter()
        .filter(|batch| batch.kind == BatchKind::Parallel)
        .map(|batch| batch.members.len())
        .sum();
    assert_eq!(parallel, 201, "all that do not write there, and the first that does");
    assert_eq!(plan.candidates.len(), 300, "all of them are in the plan");
    let hottest = builder.hottest_locations(1)[0];
    assert_eq!((hottest.writers, hottest.queue, hottest.waiting_gas), (100, 100, 5_000_000));
}

#[test]
fn users_of_a_popular_contract_are_chosen_by_what_they_pay_like_anybody() {
    let mut builder = Builder::new();
    let write = [(0xaa, slot(1), Access::READ.with(Access::WRITE))];
    for n in 1..=400 {
        let accesses: &[_] = if n % 2 == 0 { &write } else { &[] };
        builder.add_all([(payer(n, n, 0, 1_000 - u128::from(n)), &touching(hash(n), accesses))]);
    }
    // A quarter of the pool fits, block after block.
    let selection = Selection { max_gas: 100 * 50_000, ..Selection::default() };
    for block in 0..4_u64 {
        let plan = build(&mut builder, &selection);
        let best: Vec<B256> = (block * 100 + 1..=block * 100 + 100).map(hash).collect();
        assert_eq!(plan.candidates, best, "block {block}: half of them meet at the contract");
        let removed = plan.candidates.clone();
        builder.apply(builder.sequence() + 1, &Delta { removed, ..Delta::default() }).expect("it follows");
    }
    assert!(builder.is_empty());
}

#[test]
fn strategies_arrange_the_same_choice() {
    let mut builder = Builder::new();
    for n in 1..=128_u64 {
        // A hub that pays best conflicts with 40 spokes; the rest is free and runs long or short.
        let hub = (0..40).map(|spoke| (0xaa, slot(spoke), Access::WRITE)).collect::<Vec<_>>();
        let accesses: Vec<_> = match n {
            1 => hub,
            2..=41 => vec![(0xaa, slot(n - 2), Access::WRITE)],
            _ => Vec::new(),
        };
        let mut set = touching(hash(n), &accesses);
        set.gas_used = if n % 2 == 0 { 1_000_000 } else { 21_000 };
        builder.add_all([(payer(n, n, 0, 1_000 - u128::from(n)), &set)]);
    }
    let plan_by =
        |builder: &mut Builder, strategy| build(builder, &Selection { strategy, ..Selection::default() });
    let [tip, width, latency, fifo] = Strategy::ALL.map(|strategy| plan_by(&mut builder, strategy));

    let sorted = |plan: &Plan| {
        let mut hashes = plan.candidates.clone();
        hashes.sort();
        hashes
    };
    for plan in [&width, &latency, &fifo] {
        assert_eq!(sorted(plan), sorted(&tip));
    }
    let first_level = |plan: &Plan| -> usize {
        plan.batches.iter().filter(|batch| batch.after.is_empty()).map(|batch| batch.members.len()).sum()
    };
    assert_eq!((first_level(&tip), first_level(&width)), (88, 127));
    let sum = |plan: &Plan| plan.batches.iter().map(|batch| batch.critical_path_gas).sum::<u64>();
    assert!(sum(&latency) < sum(&tip), "{} {}", sum(&latency), sum(&tip));
}

#[test]
fn dependencies_and_conflicts_are_named_with_their_reason() {
    let mut builder = Builder::new();
    let write = [(0xaa, slot(1), Access::WRITE)];
    let read = [(0xaa, slot(1), Access::READ)];
    builder.add_all([
        (payer(1, 1, 0, 30), &touching(hash(1), &write)),
        (payer(2, 2, 0, 20), &touching(hash(2), &read)),
        (payer(3, 3, 0, 10), &touching(hash(3), &read)),
    ]);

    let found = builder.dependencies_of(&hash(3), 9).expect("it is there");

    let location = Location { address: Address::repeat_byte(0xaa), field: slot(1) };
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].dependency, found[0].conflict.location), (hash(1), location));
    assert_eq!((found[0].conflict.first, found[0].conflict.second), (Access::WRITE, Access::READ));
    assert_eq!(builder.dependencies_of(&hash(1), 9), Some(Vec::new()), "the best paid follows nobody");
    assert_eq!(builder.dependencies_of(&hash(9), 9), None);
    let other = touching(hash(8), &write);
    let contention = builder.conflicts_with(&other, Some(payer(3, 3, 0, 0).sender), 1);
    assert_eq!((contention.transactions, contention.conflicts.len()), (2, 1));
}
