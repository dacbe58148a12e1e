//! Blocks made from candidates: who gets in, who does not and why, serially and in parallel.

mod support;

use std::sync::Arc;

use parallelpool_core::block::{BlockContext, InvalidTransaction};
use parallelpool_core::block_codec::transaction_length;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::execution::{BuildLimits, BuildOutcome, ExecuteOptions, Mode, Techniques};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::replay::compare;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction};
use parallelpool_core::workers::Workers;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use support::tiny::{BENEFICIARY, account, block, chain, contract, executor, rich, shared, transaction};

const NO_LIMITS: BuildLimits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
const COUNTER: Address = Address::repeat_byte(0xc0);

struct Site {
    spec: ChainSpec,
    block: BlockContext,
    state: MemoryState,
    executor: Executor,
}

impl Site {
    fn new(fork: &str) -> Self {
        let spec = chain(fork);
        let block = block(&spec);
        let mut state = MemoryState::new();
        for index in 1..=6 {
            rich(&mut state, account(index));
        }
        // Adds one to slot 0.
        contract(&mut state, COUNTER, 0, &[0x60, 0, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x55, 0x00]);
        Self { spec, block, state, executor: executor() }
    }

    fn build_by(&self, limits: &BuildLimits, candidates: &[SharedTransaction], mode: Mode) -> BuildOutcome {
        // Serially without short cuts: the oracle.
        let techniques = if mode == Mode::Serial { Techniques::NONE } else { Techniques::default() };
        let options = ExecuteOptions { mode, recheck: true, techniques, ..Default::default() };
        let Self { spec, block, state, executor } = self;
        executor.build(spec, block, limits, candidates, state, &options).expect("memory state")
    }

    /// Builds serially and in parallel, demands equality, and that the block imports as built.
    fn build(&self, limits: &BuildLimits, candidates: &[SharedTransaction]) -> BuildOutcome {
        let serial = self.build_by(limits, candidates, Mode::Serial);
        let parallel = self.build_by(limits, candidates, Mode::Parallel);
        assert_eq!(serial.included, parallel.included);
        assert_eq!(serial.left_out, parallel.left_out);
        assert_eq!(compare(&serial.outcome, &parallel.outcome), Vec::<String>::new());
        let included: Vec<_> = serial.included.iter().map(|index| Arc::clone(&candidates[*index])).collect();
        let imported = self
            .executor
            .execute(&self.spec, &self.block, &included, &self.state, &ExecuteOptions::default())
            .expect("what was built is valid");
        assert_eq!(compare(&serial.outcome, &imported), Vec::<String>::new());
        serial
    }
}

fn left_out(built: &BuildOutcome) -> Vec<(usize, String)> {
    built.left_out.iter().map(|left| (left.candidate, left.reason.to_string())).collect()
}

#[test]
fn an_invalid_candidate_takes_its_senders_later_nonces_with_it() {
    let site = Site::new("Cancun");
    let mut unaffordable = transaction(account(1), 1, Some(account(9)), 0);
    unaffordable.tx.value = U256::MAX >> 1;
    let candidates = shared([
        transaction(account(1), 0, Some(account(9)), 1),
        unaffordable,
        transaction(account(1), 2, Some(account(9)), 1),
        transaction(account(2), 0, Some(account(9)), 1),
        transaction(account(1), 0, Some(account(9)), 1),
    ]);
    let built = site.build(&NO_LIMITS, &candidates);
    let reasons = left_out(&built);

    assert_eq!(built.included, [0, 3]);
    assert!(reasons[0].1.starts_with("insufficient funds for gas * price + value"), "{reasons:?}");
    assert_eq!(reasons[1], (2, format!("nonce too high: address {}, tx: 2 state: 1", account(1))));
    assert_eq!(reasons[2], (4, format!("nonce too low: address {}, tx: 0 state: 1", account(1))));
}

#[test]
fn a_candidate_can_live_on_what_an_earlier_one_sent() {
    let site = Site::new("Cancun");
    let mut gift = transaction(account(1), 0, Some(account(7)), 0);
    gift.tx.value = U256::from(10_u64.pow(9));
    let own = transaction(account(7), 0, Some(account(9)), 1);
    let late = site.build(&NO_LIMITS, &shared([gift.clone(), own.clone()]));
    let early = site.build(&NO_LIMITS, &shared([own, gift]));

    assert_eq!(late.included, [0, 1]);
    assert_eq!(early.included, [1]);
}

#[test]
fn a_candidate_too_big_for_the_gas_left_makes_way_for_smaller_ones() {
    let mut site = Site::new("Cancun");
    site.block.gas_limit = 100_000;
    let sized = |index: u8, gas_limit| {
        let mut tx = transaction(account(index), 0, Some(account(9)), 1);
        tx.tx.gas_limit = gas_limit;
        tx
    };
    let candidates = shared([sized(1, 50_000), sized(2, 90_000), sized(3, 79_000), sized(4, 60_000)]);
    let built = site.build(&NO_LIMITS, &candidates);

    // 21,000 are used after the first, 42,000 after the third.
    assert_eq!(built.included, [0, 2]);
    let full = |left| InvalidTransaction::BlockGasLimit { limit: 100_000, left };
    assert_eq!(built.left_out[0].reason, full(79_000));
    assert_eq!(built.left_out[1].reason, full(58_000));
}

#[test]
fn blob_gas_is_limited_apart_from_gas() {
    let site = Site::new("Cancun");
    let blobs = |index: u8, count: usize| {
        let mut tx = transaction(account(index), 0, Some(account(9)), 0);
        (tx.tx.tx_type, tx.tx.chain_id) = (3, Some(1));
        tx.tx.max_fee_per_blob_gas = U256::from(100);
        tx.tx.blob_versioned_hashes = vec![B256::right_padding_from(&[1]); count];
        tx
    };
    let plain = transaction(account(5), 0, Some(account(9)), 1);
    let built = site.build(&NO_LIMITS, &shared([blobs(1, 4), blobs(2, 3), blobs(3, 2), plain, blobs(4, 1)]));

    assert_eq!(built.included, [0, 2, 3]);
    assert_eq!(
        built.left_out.iter().map(|left| &left.reason).collect::<Vec<_>>(),
        [&InvalidTransaction::BlobGasLimit, &InvalidTransaction::BlobGasLimit]
    );
    assert_eq!(built.outcome.blob_gas_used, 6 << 17);
}

#[test]
fn a_block_holds_no_more_bytes_than_allowed() {
    let site = Site::new("Cancun");
    let sized = |index: u8, bytes: usize| {
        let mut tx = transaction(account(index), 0, Some(account(9)), 1);
        tx.tx.raw = vec![0xf8; bytes].into();
        tx
    };
    let candidates = shared([sized(1, 400), sized(2, 300), sized(3, 200)]);
    let room = |bytes| BuildLimits { max_block_bytes: Some(bytes), overhead_bytes: 1_000 };

    assert_eq!(site.build(&room(1_900), &candidates).included, [0, 1, 2]);
    let tight = site.build(&room(1_699), &candidates);
    assert_eq!(tight.included, [0, 2]);
    assert_eq!(left_out(&tight), [(1, "block size limit reached".to_owned())]);
    assert_eq!(transaction_length(&candidates[0].tx.raw), 400, "a legacy transaction is a list");
}

#[test]
fn in_a_given_block_sender_and_fees_are_judged_before_the_gas_left_and_funds_after() {
    let mut site = Site::new("Cancun");
    site.block.gas_limit = 30_000;
    let refuse = |change: fn(&mut RecoveredTransaction)| {
        let mut last = transaction(account(2), 0, Some(account(9)), 1);
        last.tx.gas_limit = 21_000;
        change(&mut last);
        let mut first = transaction(account(1), 0, Some(account(9)), 1);
        first.tx.gas_limit = 21_000;
        let sent = shared([first, last]);
        let [serial, parallel] = [Mode::Serial, Mode::Parallel].map(|mode| {
            let options = ExecuteOptions { mode, ..Default::default() };
            let refused = site.executor.execute(&site.spec, &site.block, &sent, &site.state, &options);
            refused.expect_err("no room for two").to_string()
        });
        assert_eq!(serial, parallel);
        assert!(serial.starts_with("could not apply tx 1 [0x"), "{serial}");
        serial
    };
    assert!(refuse(|_| ()).ends_with(": gas limit reached"));
    assert!(refuse(|tx| tx.tx.nonce = 5).contains("nonce too high"));
    let cheap = |tx: &mut RecoveredTransaction| {
        (tx.tx.max_fee_per_gas, tx.tx.max_priority_fee_per_gas) = (U256::from(9), U256::from(9));
    };
    assert!(refuse(cheap).contains("less than block base fee"));
    assert!(refuse(|tx| tx.tx.value = U256::MAX >> 1).ends_with(": gas limit reached"));
    assert!(refuse(|tx| tx.tx.data = vec![1; 100].into()).ends_with(": gas limit reached"));
}

#[test]
fn random_pools_build_the_same_block_serially_and_in_parallel() {
    let mut seen = [0_usize; 4];
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut site = Site::new("Cancun");
        site.block.gas_limit = random.random_range(100_000..3_000_000);
        let bytes = random.random_bool(0.3).then(|| random.random_range(500..5_000));
        let limits = BuildLimits { max_block_bytes: bytes, overhead_bytes: 500 };
        let candidates = random_pool(&mut random);
        let built = site.build(&limits, &candidates);
        assert_eq!(built.included.len() + built.left_out.len(), candidates.len());
        for left in &built.left_out {
            seen[match left.reason {
                InvalidTransaction::NonceTooHigh { .. } | InvalidTransaction::NonceTooLow { .. } => 0,
                InvalidTransaction::InsufficientFunds { .. } => 1,
                InvalidTransaction::BlockGasLimit { .. } => 2,
                _ => 3,
            }] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 100), "nonce, funds, gas, others: {seen:?}");
}

fn random_pool(random: &mut SmallRng) -> Vec<SharedTransaction> {
    let mut nonces = [0_u64; 9];
    let mut pool = Vec::new();
    for _ in 0..random.random_range(5..40) {
        let sender = random.random_range(1..=8_u8);
        let nonce = &mut nonces[usize::from(sender)];
        let to = match random.random_range(0..5) {
            0 => COUNTER,
            1 => BENEFICIARY,
            _ => account(random.random_range(1..=9)),
        };
        let skips = u64::from(random.random_ratio(1, 15));
        let mut tx =
            transaction(account(sender), *nonce + skips, Some(to), random.random_range(0..1_000_000));
        *nonce += 1;
        match random.random_range(0..20) {
            0 => tx.tx.value = support::tiny::ETHER,
            1 => tx.tx.max_fee_per_gas = U256::from(9),
            2 => tx.tx.gas_limit = 20_000,
            3 => tx.tx.nonce = 0,
            _ => {}
        }
        pool.push(Arc::new(tx));
    }
    pool
}

#[test]
fn auto_shares_a_block_only_when_it_is_worth_it() {
    let site = Site::new("Cancun");
    let executor = Executor::new(Arc::new(Workers::new(2).expect("workers")));
    let ran_parallel = |candidates: Vec<RecoveredTransaction>, threads| {
        let options = ExecuteOptions { mode: Mode::Auto, threads, ..Default::default() };
        let candidates = shared(candidates);
        let outcome = executor
            .build(&site.spec, &site.block, &NO_LIMITS, &candidates, &site.state, &options)
            .expect("memory state");
        outcome.outcome.statistics.parallel
    };
    let call = |sender: u8, nonce| {
        let mut tx = transaction(account(sender), nonce, Some(COUNTER), 0);
        tx.tx.data = vec![1].into();
        tx
    };
    let many = |senders: u8| -> Vec<_> {
        (0..60).map(|index: u8| call(index % senders + 1, u64::from(index / senders))).collect()
    };
    assert!(ran_parallel(many(6), 0));
    assert!(!ran_parallel(many(6), 1), "one thread");
    assert!(!ran_parallel(many(1), 0), "one sender");
    assert!(!ran_parallel(many(6)[..3].to_vec(), 0), "little work");
    let transfers: Vec<_> =
        (0..60).map(|nonce| transaction(account(1), nonce, Some(account(9)), 1)).collect();
    assert!(ran_parallel(transfers.clone(), 1), "transfers take no EVM there, on one thread too");
    assert!(!ran_parallel(transfers[..3].to_vec(), 0), "a few of them are not worth setting up");
}

#[test]
fn a_block_of_transfers_is_the_same_whoever_chooses_the_way() {
    let site = Site::new("Cancun");
    let executor = Executor::new(Arc::new(Workers::new(2).expect("workers")));
    let with_gap = |number: u64| number / 6 + u64::from(number == 1_500);
    let transfers: Vec<_> = (0..2_400_u64)
        .map(|number| transaction(account(number as u8 % 6 + 1), with_gap(number), Some(account(9)), number))
        .collect();
    let transfers = shared(transfers);
    let build = |options: ExecuteOptions| {
        let built = executor.build(&site.spec, &site.block, &NO_LIMITS, &transfers, &site.state, &options);
        let mut built = built.expect("memory state");
        let statistics = std::mem::take(&mut built.outcome.statistics);
        (built, statistics.transfers)
    };
    let by_evm = ExecuteOptions { mode: Mode::Serial, techniques: Techniques::NONE, ..Default::default() };
    let (by_evm, _) = build(by_evm);
    assert!(by_evm.left_out.len() > 50 && by_evm.included.len() > 1_000, "some find no room, or no nonce");
    for threads in [1, 2] {
        let auto = ExecuteOptions { mode: Mode::Auto, threads, check_transfers: 100, ..Default::default() };
        let (built, transfers) = build(auto);
        assert_eq!(built, by_evm);
        assert_eq!(transfers, built.included.len() as u64);
    }
}
