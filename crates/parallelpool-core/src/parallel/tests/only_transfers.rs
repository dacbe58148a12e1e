//! Blocks of nothing but plain transfers: what comes of them is what the EVM makes of them, one by one.

use super::*;
use crate::error::CoreError;
use crate::execution::{BuildLimits, Interrupt};
use crate::faults::Fault;
use crate::parallel::transfers;
use crate::state::AccountAnswer;

const HALF: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

/// Numbers by a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Transfers between few accounts, with whatever may be odd about them, seldom.
struct Town {
    rules: Rules,
    block: BlockContext,
    state: MemoryState,
    transactions: Vec<SharedTransaction>,
    limits: BuildLimits,
}

/// Far from the precompiles, which are left to the EVM.
fn account(index: u64) -> Address {
    Address::repeat_byte(0x40 + u8::try_from(index).expect("few accounts"))
}

fn state() -> MemoryState {
    let mut state = super::state();
    let rich = Account { balance: U256::from(10_u64.pow(15)), ..Account::default() };
    (0..8).for_each(|index| state.insert_account(account(index), rich, None));
    state
}

impl Town {
    fn new(seed: u64) -> Self {
        let mut draw = Draw(seed);
        let fork = [Fork::SpuriousDragon, Fork::Berlin, Fork::London, Fork::Cancun, Fork::Osaka]
            [draw.below(5) as usize];
        let rules = Rules { fork, spec_id: fork.spec_id(), ..rules() };
        let count = 8 + draw.below(12);
        let mut block = block();
        block.base_fee = (fork >= Fork::London).then_some([0, 10][draw.below(2) as usize]);
        block.gas_limit = if draw.one_in(3) { 21_000 * draw.below(40) + 60_000 } else { 30_000_000 };
        block.beneficiary = if draw.one_in(3) { account(draw.below(count)) } else { BENEFICIARY };
        let mut state = MemoryState::new();
        for index in 0..count {
            let balance = match draw.below(60) {
                0 => U256::ZERO,
                1 => HALF - U256::ONE,
                2 => U256::MAX - U256::from(draw.below(5_000_000)),
                3 => U256::from(draw.below(20_000_000)),
                _ => U256::from(10_u64.pow(15)),
            };
            let nonce = if draw.one_in(4) { 7 } else { 0 };
            let code = draw.one_in(200).then(|| vec![0].into());
            if !draw.one_in(12) {
                state.insert_account(account(index), Account { nonce, balance, ..Account::default() }, code);
            }
        }
        match draw.below(8) {
            0 => state.insert_account(BENEFICIARY, Account::default(), None),
            1 => state.insert_account(BENEFICIARY, Account::default(), Some(COUNT.to_vec().into())),
            2 => state.insert_account(
                BENEFICIARY,
                Account { balance: U256::MAX - U256::from(500_000), ..Account::default() },
                None,
            ),
            3 => state.insert_account(BENEFICIARY, Account { nonce: 1, ..Account::default() }, None),
            _ => (),
        }
        let transactions = Self::transactions(&mut draw, &state, &rules, count);
        let limits = BuildLimits {
            max_block_bytes: draw.one_in(4).then(|| 100 * draw.below(60) as usize),
            overhead_bytes: 10,
        };
        Self { rules, block, state, transactions, limits }
    }

    fn transactions(
        draw: &mut Draw,
        state: &MemoryState,
        rules: &Rules,
        count: u64,
    ) -> Vec<SharedTransaction> {
        let nonce_of = |index| state.account(&account(index)).expect("in memory").map_or(0, |it| it.nonce);
        let mut nonces: Vec<u64> = (0..count).map(nonce_of).collect();
        let length = draw.below(60);
        let mut transfer = |draw: &mut Draw| {
            let from = draw.below(count);
            let to = match draw.below(400) {
                0 => Address::with_last_byte(2),
                1..12 => account(count + draw.below(3)),
                12..20 => BENEFICIARY,
                20..60 => account(from),
                _ => account(draw.below(count)),
            };
            let value = if draw.one_in(4) { 0 } else { draw.below(1_000_000) };
            let nonce = nonces[from as usize] + u64::from(draw.one_in(150));
            nonces[from as usize] = nonce + 1;
            let mut tx = Arc::unwrap_or_clone(transaction(account(from), nonce, to, value));
            tx.tx.tx_type = if rules.fork >= Fork::London { [0, 2][draw.below(2) as usize] } else { 0 };
            tx.tx.gas_limit = if draw.one_in(100) { 20_999 } else { 21_000 + draw.below(9_000) };
            if draw.one_in(20) {
                tx.tx.max_priority_fee_per_gas = U256::ZERO;
            }
            if tx.tx.tx_type == 0 {
                tx.tx.max_priority_fee_per_gas = tx.tx.max_fee_per_gas;
            }
            if draw.one_in(200) {
                tx.tx.max_fee_per_gas = U256::from(1_000_000_000_000_u64);
            }
            tx.tx.raw = vec![1; 60 + draw.below(60) as usize].into();
            tx.tx.hash = B256::left_padding_from(&draw.below(1 << 30).to_be_bytes());
            SharedTransaction::new(tx)
        };
        (0..length).map(|_| transfer(draw)).collect()
    }

    fn job<'a>(&'a self, caller: Caller<'a>, options: &'a ExecuteOptions) -> Job<'a> {
        let Self { rules, block, transactions, .. } = self;
        Job { rules, block, transactions, caller, options }
    }
}

/// Executes by transfers alone, by as many threads and with as much self-check as `ways` say, and compares with
/// the EVM. Returns how many were not given up.
fn compare(town: &Town, caller: Caller<'_>, ways: &[(Workers, u32)]) -> usize {
    let plain = ExecuteOptions::default();
    let by_evm = oracle(&town.job(caller, &plain), &town.state);
    let mut done = 0;
    for (workers, check_transfers) in ways {
        let options = ExecuteOptions { check_transfers: *check_transfers, ..ExecuteOptions::default() };
        let found = transfers::run(workers, &town.job(caller, &options), &town.state, workers.threads());
        let Some(found) = found.expect("memory never fails, and nothing differs") else { continue };
        let by_evm = by_evm.as_ref().expect("what is valid here is valid by the EVM");
        assert_equal(&found, by_evm);
        let (ours, theirs) = (&found.ledger, &by_evm.ledger);
        assert_eq!((ours.gas_used(), ours.bloom()), (theirs.gas_used(), theirs.bloom()));
        assert_eq!(ours.clone().into_receipts(), theirs.clone().into_receipts());
        assert_eq!(found.statistics.transfers, found.included.len() as u64);
        if *check_transfers == 1 {
            assert_eq!(found.statistics.checked_transfers, found.statistics.transfers);
        }
        done += 1;
    }
    done
}

#[test]
fn blocks_of_transfers_are_what_the_evm_makes_of_them() {
    let (mut built, mut given, mut left_out) = (0, 0, 0);
    let ways =
        [(1, 0), (2, 1), (3, 2)].map(|(threads, check)| (Workers::new(threads).expect("threads"), check));
    for seed in 0..1_000 {
        let mut town = Town::new(seed);
        built += compare(&town, Caller::Build(&town.limits), &ways);
        given += compare(&town, Caller::Import, &ways);
        // What the EVM takes in, given as a block.
        let options = ExecuteOptions::default();
        let taken = oracle(&town.job(Caller::Build(&town.limits), &options), &town.state).expect("built");
        left_out += taken.left_out.len();
        town.transactions =
            taken.included.iter().map(|index| Arc::clone(&town.transactions[*index])).collect();
        given += compare(&town, Caller::Import, &ways);
    }

    // Most are executed here; the others are given up, which the rest of these tests are about.
    assert!(built > 1_000 && given > 1_500 && left_out > 500, "{built} {given} {left_out}");
}

/// Sixteen transfers between eight accounts.
fn some_transfers() -> Vec<SharedTransaction> {
    (0..16).map(|index| transaction(account(index % 8), index / 8, account((index + 3) % 8), index)).collect()
}

#[test]
fn many_windows_by_several_workers_are_applied_in_order() {
    let far = |number: u64| Address::left_padding_from(&((number + 1) << 40).to_be_bytes());
    let (rules, options) = (rules(), ExecuteOptions::default());
    let block = BlockContext { gas_limit: 1_000_000_000, ..block() };
    let transactions: Vec<_> = (0..5_000)
        .map(|number| transaction(account(number % 8), number / 8, far(number / 2), number % 5))
        .collect();
    let (state, job) = (state(), job(&rules, &block, &transactions, &options));
    let serial = oracle(&job, &state).expect("serial");
    for threads in [1, 2, 8] {
        let workers = Workers::new(threads).expect("threads");
        let found = transfers::run(&workers, &job, &state, threads).expect("in memory");
        assert_equal(&found.expect("only transfers"), &serial);
    }
    assert_eq!(serial.changes.accounts.len(), 8 + 2_500 + 1);
}

fn gives_up(block: &BlockContext, state: &dyn StateView, transactions: &[SharedTransaction]) -> bool {
    let (rules, options) = (rules(), ExecuteOptions::default());
    [1, 2].map(|threads| {
        let workers = Workers::new(threads).expect("threads");
        let job = job(&rules, block, transactions, &options);
        transfers::run(&workers, &job, state, threads).expect("memory never fails").is_none()
    }) == [true; 2]
}

#[test]
fn what_is_no_plain_transfer_is_left_to_the_general_way() {
    let state = state();
    let with = |index: usize, tx: SharedTransaction| {
        let mut transactions = some_transfers();
        transactions[index] = tx;
        transactions
    };
    assert!(!gives_up(&block(), &state, &some_transfers()));
    let mut creation = Arc::unwrap_or_clone(transaction(account(7), 1, account(0), 0));
    creation.tx.to = None;
    for odd in [
        transaction(account(7), 1, COUNTER, 0),
        transaction(account(7), 1, Address::with_last_byte(4), 0),
        transaction(account(7), 9, account(1), 0),
        SharedTransaction::new(creation),
    ] {
        assert!(gives_up(&block(), &state, &with(15, odd)));
    }
    let mut empty = state.clone();
    empty.insert_account(BENEFICIARY, Account::default(), None);
    assert!(gives_up(&block(), &empty, &some_transfers()));
    empty.insert_account(BENEFICIARY, Account { nonce: 1, ..Account::default() }, None);
    empty.insert_account(account(20), Account::default(), None);
    assert!(gives_up(&block(), &empty, &with(15, transaction(account(7), 1, account(20), 0))));
}

#[test]
fn techniques_and_demands_that_need_the_evm_rule_it_out() {
    let (rules, block, state, transactions) = (rules(), block(), state(), some_transfers());
    let workers = Workers::new(1).expect("threads");
    let plain = ExecuteOptions::default();
    for options in [
        ExecuteOptions { techniques: Techniques::NONE, ..plain.clone() },
        ExecuteOptions { keep_transaction_changes: true, ..plain.clone() },
        ExecuteOptions { keep_touched: true, ..plain.clone() },
        ExecuteOptions { recheck: true, ..plain.clone() },
    ] {
        let job = job(&rules, &block, &transactions, &options);
        assert!(transfers::run(&workers, &job, &state, 1).expect("memory never fails").is_none());
    }
}

/// A state that does not tell of one account.
#[derive(Debug)]
struct Silent(MemoryState, Address);

impl StateView for Silent {
    fn account(&self, address: &Address) -> AccountAnswer {
        if *address == self.1 { Err(StateError::Interrupted) } else { self.0.account(address) }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.0.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.0.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<crate::primitives::Bytecode, StateError> {
        self.0.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash(number)
    }
}

#[test]
fn a_state_that_fails_is_left_to_whoever_reports_it() {
    for address in [BENEFICIARY, account(0), account(7)] {
        assert!(gives_up(&block(), &Silent(state(), address), &some_transfers()));
    }
    assert!(!gives_up(&block(), &Silent(state(), account(30)), &some_transfers()));
}

#[test]
fn an_interrupted_import_fails_and_an_interrupted_build_ends_with_what_it_has() {
    let (rules, block, state, transactions) = (rules(), block(), state(), some_transfers());
    let workers = Workers::new(2).expect("threads");
    let interrupt = Interrupt { deadline: Some(Instant::now()), cancelled: None };
    let options = ExecuteOptions { interrupt, ..ExecuteOptions::default() };
    let given = job(&rules, &block, &transactions, &options);
    let error = transfers::run(&workers, &given, &state, 2).expect_err("interrupted");
    assert!(matches!(error, ExecuteError::Core(CoreError::State(StateError::Interrupted))), "{error}");

    let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
    let built = Job { caller: Caller::Build(&limits), ..given };
    let built = transfers::run(&workers, &built, &state, 2).expect("built").expect("only transfers");
    assert!(built.included.is_empty() && built.left_out.is_empty() && built.changes.is_empty());
}

#[test]
fn the_self_check_finds_a_wrong_fee() {
    let (rules, block, state, transactions) = (rules(), block(), state(), some_transfers());
    let workers = Workers::new(1).expect("threads");
    let wrong = ExecuteOptions { fault: Some(Fault::TransferFee), ..ExecuteOptions::default() };
    let job = |options| job(&rules, &block, &transactions, options);
    let unseen = transfers::run(&workers, &job(&wrong), &state, 1).expect("unseen").expect("only transfers");
    let options = ExecuteOptions::default();
    let right = oracle(&job(&options), &state).expect("serial");
    let earned =
        |outcome: &JobOutcome| outcome.changes.accounts[&BENEFICIARY].after.expect("it earned").balance;
    assert_eq!(earned(&unseen), earned(&right) + U256::from(16));

    let checked = ExecuteOptions { check_transfers: 1, ..wrong.clone() };
    let error = transfers::run(&workers, &job(&checked), &state, 1).expect_err("seen");
    assert!(matches!(error, ExecuteError::Core(CoreError::Divergence(_))), "{error}");
}
