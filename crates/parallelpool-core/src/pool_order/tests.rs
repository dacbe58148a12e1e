//! The order against plain sorting, through thousands of comings and goings.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::best::{Changed, Wanted};
use super::{Facts, PriceOrder};
use crate::primitives::{Address, B256, U256};

fn facts(serial: u64, sender: u8, nonce: u64, fee_cap: u64, tip_cap: u64) -> Facts {
    Facts {
        hash: B256::from(U256::from(serial)),
        sender: Address::repeat_byte(sender),
        nonce,
        fee_cap: U256::from(fee_cap),
        tip_cap: U256::from(tip_cap),
        gas_limit: 21_000 + serial % 3,
        slots: 1 + u32::from(serial.is_multiple_of(7)),
        arrival: serial,
    }
}

fn hash(serial: u64) -> B256 {
    B256::from(U256::from(serial))
}

fn all_best(order: &mut PriceOrder, wanted: Wanted) -> Vec<B256> {
    let mut best = order.best_first(wanted);
    std::iter::from_fn(|| best.next(order).expect("nothing changes meanwhile")).collect()
}

/// The pool as a list, and what it says by sorting.
#[derive(Default)]
struct Model {
    held: BTreeMap<u64, (Facts, bool)>,
}

impl Model {
    fn tip(facts: &Facts, base_fee: Option<u64>) -> i128 {
        let (cap, tip) = (facts.fee_cap.to::<i128>(), facts.tip_cap.to::<i128>());
        base_fee.map_or(tip, |base_fee| tip.min(cap - i128::from(base_fee)))
    }

    fn best(&self, base_fee: Option<u64>, min_tip: u64, without: Option<Address>) -> Vec<B256> {
        let mut runs: BTreeMap<Address, BTreeMap<u64, &Facts>> = BTreeMap::new();
        for (facts, is_executable) in self.held.values() {
            if *is_executable && Some(facts.sender) != without {
                runs.entry(facts.sender).or_default().insert(facts.nonce, facts);
            }
        }
        let mut queues: Vec<Vec<&Facts>> = runs
            .into_values()
            .map(|run| {
                run.into_values()
                    .take_while(|each| Self::tip(each, base_fee) >= i128::from(min_tip))
                    .collect()
            })
            .collect();
        let mut best = Vec::new();
        loop {
            queues.retain(|queue| !queue.is_empty());
            let next = queues
                .iter_mut()
                .max_by_key(|queue| (Self::tip(queue[0], base_fee), Reverse(queue[0].arrival)));
            let Some(queue) = next else { return best };
            best.push(queue.remove(0).hash);
        }
    }

    /// What geth's two heaps give, by searching plain lists: urgent, floating.
    fn take_cheapest(&self, heaps: &mut [Vec<u64>; 2], base_fee: u64, slots: u32) -> Option<Vec<B256>> {
        let (mut taken, mut missing) = (Vec::new(), slots);
        while missing > 0 {
            if heaps[0].len() > heaps[1].len() * 4 {
                let worst = self.take_worst(&mut heaps[0], Some(base_fee));
                heaps[1].push(worst);
            } else if !heaps[1].is_empty() {
                let worst = self.take_worst(&mut heaps[1], None);
                missing = missing.saturating_sub(self.held[&worst].0.slots);
                taken.push(worst);
            } else {
                heaps[0].append(&mut taken);
                return None;
            }
        }
        Some(taken.into_iter().map(hash).collect())
    }

    fn take_worst(&self, heap: &mut Vec<u64>, base_fee: Option<u64>) -> u64 {
        let worst = *heap
            .iter()
            .min_by_key(|serial| {
                let facts = &self.held[*serial].0;
                let tip = base_fee.map_or(0, |base_fee| Self::tip(facts, Some(base_fee)));
                // Two of one sender and nonce do not occur, and arrivals are unique.
                (tip, facts.fee_cap, facts.tip_cap, Reverse(facts.nonce), Reverse(facts.arrival))
            })
            .expect("the heap is not empty");
        heap.retain(|serial| *serial != worst);
        worst
    }

    /// As after a new head: the worst fifth is floating.
    fn heaps(&self, base_fee: u64) -> [Vec<u64>; 2] {
        let mut heaps = [self.held.keys().copied().collect::<Vec<_>>(), Vec::new()];
        for _ in 0..self.held.len() / 5 {
            let worst = self.take_worst(&mut heaps[0], Some(base_fee));
            heaps[1].push(worst);
        }
        heaps
    }
}

#[test]
fn reading_agrees_with_sorting_under_churn() {
    let mut random = SmallRng::seed_from_u64(17);
    let (mut order, mut model) = (PriceOrder::new(), Model::default());
    let mut base_fee = 30;
    order.reprice(Some(U256::from(base_fee)));
    for serial in 0..6_000_u64 {
        let sender = random.random_range(0..40);
        let taken: Vec<u64> = model
            .held
            .values()
            .filter(|(each, _)| each.sender == Address::repeat_byte(sender))
            .map(|(each, _)| each.nonce)
            .collect();
        let nonce = (0..).find(|nonce| !taken.contains(nonce)).expect("nonces do not end");
        let each = facts(serial, sender, nonce, random.random_range(1..70), random.random_range(0..40));
        let is_executable = random.random_bool(0.7);
        assert!(order.put(each.clone(), is_executable));
        assert!(!order.put(each.clone(), is_executable), "a transaction is here once");
        model.held.insert(serial, (each, is_executable));
        let pick = |random: &mut SmallRng, model: &Model| {
            *model.held.keys().nth(random.random_range(0..model.held.len())).expect("in range")
        };
        if random.random_bool(0.3) {
            let picked = pick(&mut random, &model);
            let (_, is_executable) = model.held.get_mut(&picked).expect("picked from there");
            *is_executable = !*is_executable;
            assert!(order.set_executable(&hash(picked), *is_executable));
        }
        while model.held.len() > 120 || (random.random_bool(0.3) && !model.held.is_empty()) {
            let gone = pick(&mut random, &model);
            model.held.remove(&gone);
            assert!(order.remove(&hash(gone)) && !order.remove(&hash(gone)));
        }
        if serial % 11 == 0 {
            let other = random.random_range(0..60);
            let min_tip = random.random_range(0..5);
            for fee in [Some(base_fee), Some(other), None] {
                let without = random.random_bool(0.5).then(|| Address::repeat_byte(sender));
                let wanted = Wanted {
                    base_fee: fee.map(U256::from),
                    min_tip: U256::from(min_tip),
                    gas_cap: None,
                    without: without.into_iter().collect(),
                };
                assert_eq!(all_best(&mut order, wanted), model.best(fee, min_tip, without));
            }
        }
        if serial % 97 == 0 {
            base_fee = random.random_range(0..60);
            order.reprice(Some(U256::from(base_fee)));
        }
        assert_eq!(order.find_fault(), None);
    }
}

#[test]
fn eviction_is_geths_two_heaps_searched_by_hand() {
    let mut random = SmallRng::seed_from_u64(23);
    let (mut order, mut model) = (PriceOrder::new(), Model::default());
    let mut base_fee = 20;
    order.reprice(Some(U256::from(base_fee)));
    let mut heaps: Option<[Vec<u64>; 2]> = None;
    for serial in 0..4_000_u64 {
        let sender = random.random_range(0..200);
        let nonce = serial;
        let each = facts(serial, sender, nonce, random.random_range(1..60), random.random_range(0..30));
        order.put(each.clone(), random.random_bool(0.5));
        model.held.insert(serial, (each, true));
        if let Some([urgent, _]) = &mut heaps {
            urgent.push(serial);
        }
        if random.random_bool(0.2) {
            let at = random.random_range(0..model.held.len());
            let gone = *model.held.keys().nth(at).expect("in range");
            order.remove(&hash(gone));
            model.held.remove(&gone);
            heaps.iter_mut().flatten().for_each(|heap| heap.retain(|serial| *serial != gone));
        }
        if model.held.len() > 60 || random.random_bool(0.1) {
            let heaps = heaps.get_or_insert_with(|| model.heaps(base_fee));
            let slots = if random.random_bool(0.02) { 1_000 } else { random.random_range(1..6) };
            let taken = order.take_cheapest(u64::from(slots));
            assert_eq!(taken, model.take_cheapest(heaps, base_fee, slots));
            for (place, gone) in taken.into_iter().flatten().enumerate() {
                let serial = U256::from_be_bytes(gone.0).to::<u64>();
                if place % 4 == 3 {
                    assert!(order.put_back(&gone) && !order.put_back(&gone), "it was taken, once");
                    heaps[0].push(serial);
                } else {
                    assert!(order.remove(&gone));
                    model.held.remove(&serial);
                }
            }
        }
        if serial % 83 == 0 {
            base_fee = random.random_range(0..50);
            order.reprice(Some(U256::from(base_fee)));
            heaps = None;
        }
        assert_eq!(order.find_fault(), None);
    }
}

#[test]
fn at_equal_price_the_higher_nonce_goes_first() {
    let mut order = PriceOrder::new();
    for nonce in 0..5 {
        order.put(facts(1 + nonce * 7, 1, nonce, 9, 9), true);
    }
    order.reprice(Some(U256::ZERO));

    assert_eq!(order.take_cheapest(3), Some(vec![hash(29), hash(22), hash(15)]));
    assert_eq!(order.take_cheapest(3), None, "two are left");
    assert_eq!(order.take_cheapest(2), Some(vec![hash(8), hash(1)]), "the refusal changed nothing");
}

#[test]
fn an_equal_price_is_underpriced_and_one_better_heap_is_enough() {
    let mut order = PriceOrder::new();
    order.reprice(Some(U256::from(5)));
    let is_underpriced =
        |order: &mut PriceOrder, cap: u64, tip: u64| order.is_underpriced(U256::from(cap), U256::from(tip));

    assert!(!is_underpriced(&mut order, 1, 1), "an empty pool underprices nobody");
    order.put(facts(1, 1, 0, 10, 2), true);
    assert!(is_underpriced(&mut order, 10, 2) && is_underpriced(&mut order, 9, 2));
    assert!(!is_underpriced(&mut order, 11, 2) && !is_underpriced(&mut order, 10, 3));
}

#[test]
fn below_the_base_fee_the_higher_cap_is_better() {
    let mut order = PriceOrder::new();
    order.reprice(Some(U256::from(100)));
    for (serial, cap) in [(1, 40), (2, 60), (3, 50), (4, 120), (5, 130)] {
        order.put(facts(serial, u8::try_from(serial).expect("small"), 0, cap, 5), true);
    }

    assert_eq!(order.take_cheapest(2), Some(vec![hash(1), hash(3)]));
    let wanted = Wanted { base_fee: Some(U256::from(100)), ..Wanted::default() };
    assert_eq!(all_best(&mut order, wanted), [hash(4), hash(5)], "below the base fee nobody is taken");
}

#[test]
fn prices_of_all_256_bits_are_told_apart() {
    let mut order = PriceOrder::new();
    order.reprice(Some(U256::from(1)));
    for (serial, fee_cap) in [(1, U256::MAX), (2, U256::MAX - U256::from(1)), (3, U256::MAX - U256::from(2))]
    {
        let each = Facts { fee_cap, tip_cap: fee_cap, ..facts(serial, 1, serial, 0, 0) };
        order.put(Facts { sender: Address::repeat_byte(u8::try_from(serial).expect("small")), ..each }, true);
    }

    assert_eq!(order.take_cheapest(1), Some(vec![hash(3)]));
    let wanted = Wanted { base_fee: Some(U256::from(1)), ..Wanted::default() };
    assert_eq!(all_best(&mut order, wanted), [hash(1), hash(2), hash(3)]);
}

#[test]
fn reading_begins_with_few_pieces_of_many_senders_whatever_the_base_fee() {
    let mut random = SmallRng::seed_from_u64(29);
    let mut order = PriceOrder::new();
    for serial in 0..20_000_u64 {
        let sender = Address::from_word(B256::from(U256::from(serial)));
        // Many have the same threshold: wallets draw their fee cap from the base fee of the moment.
        let (cap, tip) = (100 * random.random_range(1..9), random.random_range(1..90));
        let cap = if serial % 3 == 0 { 400 + tip } else { cap };
        order.put(Facts { sender, ..facts(serial, 0, 0, cap, tip) }, true);
    }

    assert_eq!(order.find_fault(), None);
    for base_fee in [0, 1, 399, 400, 401, 700, 1_000] {
        order.reprice(Some(U256::from(base_fee)));
        let best = order.best_first(Wanted { base_fee: order.base_fee(), ..Wanted::default() });
        // Twice the depth of the tree, which is near 35 and beyond 100 by no chance that anybody will meet.
        assert!(best.waiting.len() < 200, "{} pieces at {base_fee}", best.waiting.len());
    }
}

#[test]
fn reading_on_after_a_change_is_refused() {
    let mut order = PriceOrder::new();
    order.put(facts(1, 1, 0, 9, 9), true);
    order.put(facts(2, 2, 0, 8, 8), true);
    let mut best = order.best_first(Wanted::default());

    assert_eq!(best.next(&order), Ok(Some(hash(1))));
    order.remove(&hash(2));
    assert_eq!(best.next(&order), Err(Changed));
}

#[test]
fn those_above_a_gas_limit_are_named() {
    let mut order = PriceOrder::new();
    for serial in 0..6 {
        order.put(facts(serial, 1, serial, 1, 1), serial % 2 == 0);
    }
    let mut above = order.above_gas(21_001);
    above.sort_unstable();

    assert_eq!(above, [hash(2), hash(5)]);
    assert!(order.above_gas(21_002).is_empty());
}
