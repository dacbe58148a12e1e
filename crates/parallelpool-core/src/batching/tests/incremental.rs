//! A builder kept by deltas plans as one that was given the same pool at once, whatever the way.

use std::collections::BTreeMap;

use super::*;

/// A pool beside the builder: what it should hold.
#[derive(Default)]
struct Mirror {
    held: BTreeMap<B256, (Pooled, AccessSet)>,
    base_fee: Option<u128>,
    arrivals: u64,
    count: u64,
}

impl Mirror {
    fn fresh(&mut self, rng: &mut SmallRng) -> (Pooled, AccessSet) {
        self.count += 1;
        self.arrivals += 1;
        let hash = B256::from(U256::from(self.count));
        let sender = rng.random_range(1..12_u8);
        let pooled = Pooled {
            hash,
            sender: Address::repeat_byte(sender),
            nonce: rng.random_range(0..5),
            arrival: self.arrivals,
            gas_limit: rng.random_range(21..200) * 1_000,
            blob_gas: if rng.random_bool(0.1) { 131_072 } else { 0 },
            size: rng.random_range(100..400),
            max_fee_per_gas: rng.random_range(5..60),
            max_priority_fee_per_gas: rng.random_range(0..8),
            asks_sequential: rng.random_bool(0.05),
        };
        let access = random_access(rng, hash, sender);
        (pooled, access)
    }

    /// A random change, given to both.
    fn step(&mut self, rng: &mut SmallRng, builder: &mut Builder) {
        let sequence = builder.sequence() + 1;
        if rng.random_bool(0.1) {
            self.base_fee = (!rng.random_bool(0.1)).then(|| rng.random_range(0..20));
            builder.change_head(sequence, self.base_fee, None).expect("numbers follow");
            return;
        }
        let mut delta = Delta::default();
        for _ in 0..rng.random_range(0..6) {
            if let Some(hash) = self.any(rng) {
                self.held.remove(&hash);
                delta.removed.push(hash);
            }
        }
        for _ in 0..rng.random_range(0..12) {
            let (pooled, access) = self.fresh(rng);
            self.held.retain(|_, (old, _)| (old.sender, old.nonce) != (pooled.sender, pooled.nonce));
            self.held.insert(pooled.hash, (pooled, access.clone()));
            delta.added.push((pooled, access.into()));
        }
        if let Some(hash) = self.any(rng) {
            let sender = self.held[&hash].0.sender[0];
            let access = random_access(rng, hash, sender);
            self.held.get_mut(&hash).expect("one of them").1 = access.clone();
            delta.accesses.push(access.into());
        }
        delta.removed.push(B256::repeat_byte(0xee));
        builder.apply(sequence, &delta).expect("numbers follow");
    }

    fn any(&self, rng: &mut SmallRng) -> Option<B256> {
        let place = rng.random_range(0..self.held.len().max(1));
        self.held.keys().nth(place).copied()
    }

    fn rebuilt(&self) -> Builder {
        let mut builder = Builder::new();
        builder.change_head(1, self.base_fee, None).expect("the first");
        // Backwards, so that nothing rests on the order of arrival.
        let all = self.held.values().rev().map(|(pooled, access)| (*pooled, access.clone().into()));
        builder.apply(2, &Delta { added: all.collect(), ..Delta::default() }).expect("the second");
        builder
    }
}

fn random_access(rng: &mut SmallRng, hash: B256, sender: u8) -> AccessSet {
    let mut set = AccessSet::unknown(hash, 50_000);
    if rng.random_bool(0.1) {
        return set;
    }
    set.source = AccessSource::Trace;
    set.gas_used = rng.random_range(21..90) * 1_000;
    let own = Address::repeat_byte(sender);
    set.add(own, Field::Nonce, Access::WRITE);
    set.add(own, Field::Balance, Access::DEBIT);
    set.debits.insert(own, U256::from(rng.random_range(1..9)));
    for _ in 0..rng.random_range(0..5) {
        let address = Address::repeat_byte([0xa1, 0xa2, 0xa3, 0xbe, 3, 4][rng.random_range(0..6)]);
        let access = [Access::READ, Access::WRITE, Access::CREDIT, Access::DEBIT][rng.random_range(0..4)];
        let is_balance = access == Access::CREDIT || access == Access::DEBIT || rng.random_bool(0.2);
        set.add(address, if is_balance { Field::Balance } else { slot(rng.random_range(0..9)) }, access);
        if access == Access::DEBIT {
            set.debits.insert(address, U256::from(3));
        }
    }
    set
}

fn random_selection(rng: &mut SmallRng) -> Selection {
    let maybe = |rng: &mut SmallRng, bound: u64| if rng.random_bool(0.5) { bound } else { u64::MAX };
    Selection {
        strategy: Strategy::ALL[rng.random_range(0..4)],
        base_fee: rng.random_bool(0.2).then_some(Some(7)),
        max_gas: maybe(rng, 1_500_000),
        max_blob_gas: maybe(rng, 262_144),
        max_bytes: maybe(rng, 4_000),
        max_transactions: if rng.random_bool(0.3) { 9 } else { usize::MAX },
        min_tip: rng.random_range(0..3),
        batch_size: rng.random_range(2..9),
        beneficiary: BENEFICIARY,
        senders: (1..rng.random_range(1..3)).map(Address::repeat_byte).collect(),
        exclude_addresses: (0..rng.random_range(0..2)).map(|_| Address::repeat_byte(0xa1)).collect(),
        // What waits for long goes by heads seen, which a rebuilt one has not.
        max_wait: u64::MAX,
        ..Selection::default()
    }
}

type Described<'a> = (&'a [B256], &'a [Batch], bool, [Vec<Vec<u32>>; 2]);

fn describe(plan: &Plan) -> Described<'_> {
    (&plan.candidates, &plan.batches, plan.withheld, [plan.groups(), plan.dependencies()])
}

#[test]
fn deltas_lead_where_a_rebuild_does() {
    for seed in 0..60 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut mirror, mut builder) = (Mirror::default(), Builder::new());
        for step in 0..60 {
            mirror.step(&mut rng, &mut builder);
            if step % 4 != 0 {
                continue;
            }
            let mut rebuilt = mirror.rebuilt();
            for _ in 0..3 {
                let selection = random_selection(&mut rng);
                let balance = |_: &Address| Ok::<_, Infallible>(U256::from(25));
                let (Ok(kept), Ok(anew)) =
                    (builder.build(&selection, balance), rebuilt.build(&selection, balance));
                assert_eq!(describe(&kept), describe(&anew), "seed {seed}, step {step}: {selection:?}");
            }
            assert_eq!(builder.len(), mirror.held.len());
            assert_eq!(builder.hottest_locations(20), rebuilt.hottest_locations(20), "seed {seed}");
            assert_eq!(builder.hottest_accounts(20), rebuilt.hottest_accounts(20), "seed {seed}");
            for hash in mirror.held.keys() {
                assert_eq!(builder.dependencies_of(hash, 99), rebuilt.dependencies_of(hash, 99));
            }
        }
        assert!(builder.locations.is_tidy(), "seed {seed}: numbers leak");
    }
}

/// Above the size from which the builder looks ahead in its tables.
#[test]
fn a_pool_of_tens_of_thousands_plans_as_a_rebuild_does() {
    let mut rng = SmallRng::seed_from_u64(11);
    let address = |number: u32| {
        let mut address = Address::repeat_byte(0x5e);
        address[..4].copy_from_slice(&number.to_be_bytes());
        address
    };
    let fresh = |number: u32, rng: &mut SmallRng| {
        let (hash, own) = (B256::from(U256::from(number)), address(number % 15_000));
        let tip = u128::from(rng.random_range(0..1_000_u32));
        let pooled = Pooled {
            hash,
            sender: own,
            nonce: u64::from(number / 15_000),
            arrival: u64::from(number),
            gas_limit: 50_000,
            max_fee_per_gas: 10_000,
            max_priority_fee_per_gas: tip,
            ..Pooled::default()
        };
        let mut access = AccessSet { source: AccessSource::Trace, ..AccessSet::unknown(hash, 50_000) };
        access.add(own, Field::Nonce, Access::WRITE);
        access.add(own, Field::Balance, Access::DEBIT);
        access.debits.insert(own, U256::from(5));
        access.add(address(rng.random_range(0..20_000)), Field::Balance, Access::CREDIT);
        access.add(Address::repeat_byte(0xa1), slot(rng.random_range(0..4_000)), Access::WRITE);
        access.add(Address::repeat_byte(0xa1), slot(rng.random_range(5_000..900_000)), Access::READ);
        (pooled, access)
    };
    let pool: Vec<(Pooled, AccessSet)> = (0..24_000).map(|number| fresh(number, &mut rng)).collect();
    let balance = |address: &Address| Ok::<_, ()>(U256::from(address[3] % 16));

    let mut builder = Builder::new();
    for chunk in pool.chunks(4_000) {
        let added = chunk.iter().map(|(pooled, access)| (*pooled, access.clone().into())).collect();
        builder.apply(builder.sequence() + 1, &Delta { added, ..Delta::default() }).expect("numbers follow");
        builder.build(&Selection::default(), balance).expect("balances are always there");
    }
    let removed = pool.iter().step_by(7).map(|(pooled, _)| pooled.hash).collect();
    builder.apply(builder.sequence() + 1, &Delta { removed, ..Delta::default() }).expect("numbers follow");
    let mut rebuilt = Builder::new();
    let left = pool.iter().enumerate().filter(|(place, _)| place % 7 != 0);
    rebuilt.add_all(left.map(|(_, (pooled, access))| (*pooled, access)));

    assert!(builder.len() > 20_000 && builder.locations.is_tidy() && rebuilt.locations.is_tidy());
    for strategy in Strategy::ALL {
        let selection = Selection { strategy, max_gas: 400_000_000, ..Selection::default() };
        let [kept, anew] = [&mut builder, &mut rebuilt]
            .map(|builder| builder.build(&selection, balance).expect("balances are always there"));
        assert_eq!((&kept.candidates, &kept.batches), (&anew.candidates, &anew.batches));
        assert_eq!(kept.dependencies(), anew.dependencies());
        assert!(kept.batches.len() > 10 && kept.candidates.len() == 8_000);
    }
}

#[test]
fn what_leaves_takes_its_locations_along() {
    let mut rng = SmallRng::seed_from_u64(7);
    let (mut mirror, mut builder) = (Mirror::default(), Builder::new());
    for _ in 0..40 {
        mirror.step(&mut rng, &mut builder);
    }
    let removed = mirror.held.keys().copied().collect();

    builder.apply(builder.sequence() + 1, &Delta { removed, ..Delta::default() }).expect("numbers follow");

    assert!(builder.is_empty());
    assert_eq!((builder.locations.touched().count(), builder.locations.debited()), (0, 0));
    assert!(builder.locations.is_tidy() && builder.by_tip.len() + builder.by_arrival.len() == 0);
}

#[test]
fn a_delta_out_of_sequence_is_refused_and_takes_nothing() {
    let mut builder = Builder::new();
    let (pooled, access) = Mirror::default().fresh(&mut SmallRng::seed_from_u64(1));
    let delta = Delta { added: vec![(pooled, access.into())], ..Delta::default() };

    assert_eq!(builder.apply(2, &delta), Err(OutOfSequence { last: 0, given: 2 }));
    assert_eq!(builder.change_head(3, None, None), Err(OutOfSequence { last: 0, given: 3 }));
    assert!(builder.is_empty());
    assert_eq!(builder.apply(1, &delta), Ok(0));
    assert_eq!(builder.apply(1, &delta), Err(OutOfSequence { last: 1, given: 1 }));
}

#[test]
fn a_known_access_set_is_no_news() {
    let mut builder = Builder::new();
    let (pooled, _) = Mirror::default().fresh(&mut SmallRng::seed_from_u64(1));
    let unknown = AccessSet::unknown(pooled.hash, 50_000);
    let known = AccessSet { source: AccessSource::Trace, ..unknown.clone() };
    let elsewhere = AccessSet { hash: B256::repeat_byte(9), ..known.clone() };
    let added = vec![(pooled, unknown.into())];
    builder.apply(1, &Delta { added, ..Delta::default() }).expect("the first");
    let mut learn = |set: &AccessSet| {
        let accesses = vec![set.clone().into()];
        builder.apply(builder.sequence() + 1, &Delta { accesses, ..Delta::default() })
    };

    assert_eq!([learn(&elsewhere), learn(&known), learn(&known)], [Ok(0), Ok(1), Ok(0)]);
}
