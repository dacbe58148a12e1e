//! Everything that can happen to one address within a block, two events at a time, with readers
//! before, between and after, in the most outdated order and by chance.

use super::stepper::{Preference, run_by_steps};
use super::world::assembler::{Assembler, op};
use super::world::contracts::{self, Snippet};
use super::world::{authorization, blank};
use super::*;
use crate::chainspec::ChainSpec;
use crate::primitives::keccak256;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const PROGRAM: Address = Address::repeat_byte(0xa0);
const READER: Address = Address::repeat_byte(0x4e);
const SECRET: [u8; 32] = [0x5e; 32];

/// What a transaction does to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Touch,
    Pay,
    Tick,
    Create,
    CreateAndDestroy,
    Destroy,
    DestroyForItself,
    DelegateToChild,
    DelegateToProgram,
    DelegateToPrecompile,
    ClearDelegation,
    SendByItself,
}

/// What the target is before the block.
#[derive(Debug, Clone, Copy)]
enum Start {
    Nothing,
    Account,
    Contract,
}

struct Scene {
    rules: Rules,
    block: BlockContext,
    state: MemoryState,
    target: Address,
    transactions: Vec<SharedTransaction>,
    /// Authorizations of the target so far, and transactions that it sent.
    target_nonce: u64,
}

impl Scene {
    fn new(network: &str, start: Start, target: Address) -> Self {
        let spec = ChainSpec::for_network(network).expect("a known fork");
        let is_merged = spec.fork_at(7, 1_000) >= Fork::Paris;
        let block = BlockContext {
            base_fee: (spec.fork_at(7, 1_000) >= Fork::London).then_some(10),
            prev_randao: is_merged.then_some(B256::ZERO),
            excess_blob_gas: Some(0),
            ..super::block()
        };
        let rules = spec.rules_in(&block);
        let mut state = super::state();
        let contract = Account { nonce: 1, balance: U256::from(50), ..Account::default() };
        let program = contracts::program(rules.fork, &mut SmallRng::seed_from_u64(1));
        state.insert_account(PROGRAM, contract, Some(program.into()));
        state.insert_account(READER, contract, Some(reader(rules.fork).into()));
        match start {
            Start::Nothing => {}
            Start::Account => {
                let account = Account { balance: U256::from(10_u64.pow(12)), ..Account::default() };
                state.insert_account(target, account, None);
            }
            Start::Contract => {
                state.insert_account(target, contract, Some(contracts::child_runtime().into()));
                state.insert_storage(target, U256::ZERO, U256::from(7));
                state.insert_storage(target, U256::from(5), U256::from(8));
            }
        }
        Self { rules, block, state, target, transactions: Vec::new(), target_nonce: 0 }
    }

    /// A call by an account that sends nothing else.
    fn call(&mut self, to: Address, value: u64, words: &[U256]) {
        let sender = account(100 + self.transactions.len() as u64);
        self.state.insert_account(
            sender,
            Account { balance: U256::from(10_u64.pow(15)), ..Account::default() },
            None,
        );
        let mut tx = self.draft(0);
        tx.to = Some(to);
        tx.value = U256::from(value);
        tx.data = words.iter().flat_map(U256::to_be_bytes::<32>).collect();
        self.transactions.push(SharedTransaction::new(RecoveredTransaction { tx, sender }));
    }

    fn draft(&self, tx_type: u8) -> Transaction {
        let gas_limit = if self.rules.fork >= Fork::Amsterdam { 2_000_000 } else { 300_000 };
        let fee = U256::from(13);
        Transaction { gas_limit, max_fee_per_gas: fee, max_priority_fee_per_gas: fee, ..blank(tx_type) }
    }

    fn read(&mut self) {
        let first_slot = U256::from(16 * self.transactions.len());
        let target = word(self.target);
        self.call(READER, 0, &[first_slot, target]);
    }

    fn happen(&mut self, event: Event) {
        let target = self.target;
        let program = |snippet: Snippet, heir: Address| {
            [U256::ZERO, word(heir), U256::ZERO, U256::from(snippet.bit()), U256::ZERO, U256::ZERO]
        };
        match event {
            Event::Touch => self.call(target, 0, &[]),
            Event::Pay => self.call(target, 3, &[]),
            Event::Tick => self.call(target, 0, &[U256::ZERO, U256::ZERO, U256::ZERO, U256::ZERO]),
            Event::Create => self.call(PROGRAM, 0, &program(Snippet::CreateTwo, READER)),
            Event::CreateAndDestroy => self.call(PROGRAM, 0, &program(Snippet::CreateAndDestroy, READER)),
            Event::Destroy => self.call(target, 0, &[U256::ZERO, word(account(1)), U256::ZERO, U256::ONE]),
            Event::DestroyForItself => {
                self.call(target, 0, &[U256::ZERO, word(target), U256::ZERO, U256::ONE])
            }
            Event::DelegateToChild => self.delegate(account(300)),
            Event::DelegateToProgram => self.delegate(PROGRAM),
            Event::DelegateToPrecompile => self.delegate(Address::with_last_byte(4)),
            Event::ClearDelegation => self.delegate(Address::ZERO),
            Event::SendByItself => {
                let mut tx = self.draft(2);
                tx.nonce = self.target_nonce;
                tx.to = Some(account(2));
                self.target_nonce += 1;
                self.transactions.push(SharedTransaction::new(tx.signed(&SECRET).expect("a good key")));
            }
        }
    }

    fn delegate(&mut self, to: Address) {
        self.state.insert_account(
            account(300),
            Account { nonce: 1, ..Account::default() },
            Some(contracts::child_runtime().into()),
        );
        let sender = account(100 + self.transactions.len() as u64);
        self.state.insert_account(
            sender,
            Account { balance: U256::from(10_u64.pow(15)), ..Account::default() },
            None,
        );
        let mut tx = self.draft(4);
        tx.to = Some(account(3));
        tx.authorization_list = vec![authorization(&SECRET, to, self.target_nonce)];
        self.target_nonce += 1;
        self.transactions.push(SharedTransaction::new(RecoveredTransaction { tx, sender }));
    }

    fn assert_all_orders_agree(&self) {
        let options =
            ExecuteOptions { recheck: true, keep_transaction_changes: true, ..ExecuteOptions::default() };
        let limits = crate::execution::BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
        let caller = Caller::Build(&limits);
        let (rules, block, transactions) = (&self.rules, &self.block, &self.transactions[..]);
        let job = Job { rules, block, transactions, caller, options: &options };
        let serial = oracle(&job, &self.state).expect("serial");
        for techniques in [Techniques::NONE, Techniques::default()] {
            let options = ExecuteOptions { techniques, ..ExecuteOptions::default() };
            let on_one_journal = serial::run(&Job { options: &options, ..job }, &self.state).expect("serial");
            assert_eq!(on_one_journal.changes, serial.changes);
        }
        for preference in [Preference::Outdated, Preference::Random(1), Preference::Random(2)] {
            let parallel = run_by_steps(&job, &self.state, transactions.len(), preference).expect("parallel");
            assert_equal(&parallel, &serial);
        }
    }
}

/// Writes balance, size and hash of the code of the address in word 1, and the verdict of calling it,
/// to slots from word 0 on. The call itself reads the target's storage and logs it.
fn reader(fork: Fork) -> Vec<u8> {
    let mut code = Assembler::new();
    let keep = |code: &mut Assembler, offset: u64| {
        code.push(U256::from(offset)).argument(0).ops(&[op::ADD, op::SSTORE]);
    };
    code.argument(1).ops(&[op::BALANCE]);
    keep(&mut code, 0);
    code.argument(1).ops(&[op::EXTCODESIZE]);
    keep(&mut code, 1);
    if fork >= Fork::Constantinople {
        code.argument(1).ops(&[op::EXTCODEHASH]);
        keep(&mut code, 2);
    }
    for _ in 0..5 {
        code.push(U256::ZERO);
    }
    code.argument(1).push(U256::from(60_000)).ops(&[op::CALL]);
    keep(&mut code, 3);
    code.ops(&[op::STOP]);
    code.code()
}

fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// Counts that the target logged, in order.
fn ticks(scene: &Scene) -> Vec<u64> {
    let options = ExecuteOptions::default();
    let job = job(&scene.rules, &scene.block, &scene.transactions, &options);
    let outcome = oracle(&job, &scene.state).expect("serial");
    let logs = outcome.ledger.receipts().iter().flat_map(|receipt| &receipt.logs);
    let ticks = logs.filter(|log| U256::from_be_bytes(log.topics()[0].0) == U256::from(contracts::TICKED));
    ticks.map(|log| U256::from_be_slice(&log.data.data).to()).collect()
}

#[test]
fn the_scenes_do_what_they_say() {
    let child = PROGRAM.create2(B256::ZERO, keccak256(contracts::child()));
    let destroyed_and_created_again = |network: &str| {
        let mut scene = Scene::new(network, Start::Contract, child);
        scene.read();
        scene.happen(Event::Destroy);
        scene.happen(Event::Create);
        scene.read();
        ticks(&scene)
    };

    assert_eq!(destroyed_and_created_again("Istanbul"), [8, 1, 2], "its constructor finds no old storage");
    assert_eq!(destroyed_and_created_again("Cancun"), [8, 9], "it is not destroyed and cannot be created");
}

/// Every pair of events, seen before, between and twice after. Returns how many blocks that was.
fn try_all(network: &str, starts: &[Start], target: Address, events: &[Event]) -> usize {
    let mut blocks = 0;
    for start in starts {
        for first in events {
            for second in events {
                let mut scene = Scene::new(network, *start, target);
                scene.read();
                scene.happen(*first);
                scene.read();
                scene.happen(*second);
                scene.read();
                scene.read();
                let agree = std::panic::AssertUnwindSafe(|| scene.assert_all_orders_agree());
                let agrees = std::panic::catch_unwind(agree).is_ok();
                assert!(agrees, "{network}, {start:?}: {first:?}, then {second:?}");
                blocks += 1;
            }
        }
    }
    blocks
}

#[test]
fn a_contract_that_comes_and_goes_is_seen_as_in_order() {
    use Event::{Create, CreateAndDestroy, Destroy, DestroyForItself, Pay, Tick, Touch};
    let child = PROGRAM.create2(B256::ZERO, keccak256(contracts::child()));
    let starts = [Start::Nothing, Start::Account, Start::Contract];
    let mut blocks = 0;
    for network in ["Homestead", "SpuriousDragon", "Byzantium"] {
        blocks += try_all(network, &starts, child, &[Touch, Pay, Tick, Destroy, DestroyForItself]);
    }
    let events = [Touch, Pay, Tick, Create, CreateAndDestroy, Destroy, DestroyForItself];
    for network in ["Constantinople", "Istanbul", "London", "Shanghai", "Cancun", "Osaka", "Amsterdam"] {
        blocks += try_all(network, &starts, child, &events);
    }

    assert_eq!(blocks, 3 * 3 * 25 + 7 * 3 * 49);
}

#[test]
fn an_account_that_delegates_is_seen_as_in_order() {
    use Event::{
        ClearDelegation, DelegateToChild, DelegateToPrecompile, DelegateToProgram, Pay, SendByItself, Tick,
    };
    let authority = blank(2).signed(&SECRET).expect("a good key").sender;
    let events = [
        DelegateToChild,
        DelegateToProgram,
        DelegateToPrecompile,
        ClearDelegation,
        Pay,
        Tick,
        SendByItself,
        Event::Destroy,
    ];
    for network in ["Prague", "Osaka", "Amsterdam"] {
        try_all(network, &[Start::Nothing, Start::Account], authority, &events);
    }
}
