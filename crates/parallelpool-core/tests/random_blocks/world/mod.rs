//! Seeded random blocks: a small state, a block at any fork, and candidates that meet each other.
//!
//! The same seed gives the same world. A few accounts and contracts are touched by everybody, so
//! most transactions conflict with some other one. Some candidates are invalid on purpose.
#![allow(dead_code, reason = "two test programs share it, each with needs of its own")]

pub(crate) mod assembler;
pub(crate) mod contracts;
mod hints;
mod transactions;
mod transfers;

#[allow(unused_imports, reason = "one of the two test programs needs it")]
pub(crate) use transactions::authorization;

use std::sync::{LazyLock, OnceLock};

use parallelpool_core::block::{BlockContext, Ommer, Withdrawal};
use parallelpool_core::chainspec::{ChainSpec, Fork};
use parallelpool_core::execution::BuildLimits;
use parallelpool_core::genesis::{dev_genesis_json, parse_genesis};
use parallelpool_core::primitives::{Address, B256, U256, keccak256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateChanges};
use parallelpool_core::tx::{SharedTransaction, Transaction};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Forks and how often they are drawn.
const FORKS: [(&str, Fork, u32); 16] = [
    ("Frontier", Fork::Frontier, 3),
    ("Homestead", Fork::Homestead, 2),
    ("TangerineWhistle", Fork::TangerineWhistle, 2),
    ("SpuriousDragon", Fork::SpuriousDragon, 3),
    ("Byzantium", Fork::Byzantium, 3),
    ("Constantinople", Fork::Constantinople, 3),
    ("Petersburg", Fork::Petersburg, 3),
    ("Istanbul", Fork::Istanbul, 4),
    ("Berlin", Fork::Berlin, 5),
    ("London", Fork::London, 6),
    ("Paris", Fork::Paris, 3),
    ("Shanghai", Fork::Shanghai, 7),
    ("Cancun", Fork::Cancun, 8),
    ("Prague", Fork::Prague, 12),
    ("Osaka", Fork::Osaka, 14),
    ("Amsterdam", Fork::Amsterdam, 6),
];

/// Type byte of parallel transactions on these chains.
const PARALLEL_TYPE: u8 = 5;
/// Wei that an ordinary account begins with.
const WEALTH: u64 = 1_000_000_000_000_000;
const ACCOUNTS: usize = 6;
/// Accounts that are no party to anything but sending all they have.
const SPENDERS: usize = 3;
const PROGRAMS: usize = 3;
const RING_COUNT: usize = 64;

/// An account whose key is known.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) secret: [u8; 32],
    pub(crate) address: Address,
    /// The nonce that its next valid transaction should have.
    nonce: u64,
}

impl Key {
    /// The keys of a seed: accounts, spenders, one with code, and last
    /// the rich. There are few rings, since
    /// making one takes longer than executing a block.
    fn ring(seed: u64) -> Vec<Self> {
        static RINGS: [OnceLock<Vec<Key>>; RING_COUNT] = [const { OnceLock::new() }; RING_COUNT];
        let number = (seed % RING_COUNT as u64) as usize;
        let make = || (0..ACCOUNTS + SPENDERS + 3).map(|index| Self::new(number, index)).collect();
        RINGS[number].get_or_init(make).clone()
    }

    fn new(seed: usize, index: usize) -> Self {
        let secret = keccak256(format!("{seed}/{index}")).0;
        let signed = blank(0).signed(&secret).expect("a hash is a good key");
        Self { secret, address: signed.sender, nonce: 0 }
    }
}

/// One random block and all it stands on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) fork: Fork,
    pub(crate) spec: ChainSpec,
    pub(crate) block: BlockContext,
    pub(crate) limits: BuildLimits,
    pub(crate) state: MemoryState,
    pub(crate) candidates: Vec<SharedTransaction>,
    random: SmallRng,
    keys: Vec<Key>,
    spenders: Vec<Key>,
    programs: Vec<Address>,
    /// Owns nearly all the wei that a number can hold.
    whale: Key,
    /// Owns so much that the whale cannot hold it too.
    rival: Key,
    /// Has a key and code of its own, so it cannot send (EIP-3607).
    coded: Key,
    /// Whom many pay.
    hot: Address,
    pub(crate) vault: Address,
    vault_balance: u64,
    token: Address,
    /// Children that programs create by CREATE2, by creator and salt.
    children: Vec<Address>,
    /// Everybody that anybody may look at, pay or call.
    pool: Vec<Address>,
}

impl World {
    /// The world of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let (network, fork, _) =
            *FORKS.choose_weighted(&mut random, |(_, _, weight)| *weight).expect("forks");
        let mut spec = ChainSpec::for_network(network).expect("a network of the public tests");
        spec.parallel_tx_type = Some(PARALLEL_TYPE);
        let mut keys = Key::ring(seed);
        let mut last = || keys.pop().expect("a key");
        let (whale, rival, coded) = (last(), last(), last());
        let spenders = keys.split_off(ACCOUNTS);
        let programs: Vec<Address> =
            (0..PROGRAMS as u8).map(|index| Address::with_last_byte(0xa0 + index)).collect();
        let child_hash = keccak256(contracts::child());
        let children = programs.iter().flat_map(|program| {
            [U256::ZERO, U256::ONE].map(|salt| program.create2(B256::from(salt), child_hash))
        });
        let mut world = Self {
            seed,
            fork,
            spec,
            block: BlockContext::default(),
            limits: BuildLimits { max_block_bytes: None, overhead_bytes: 600 },
            state: MemoryState::new(),
            candidates: Vec::new(),
            children: children.collect(),
            token: Address::with_last_byte(0xe2),
            vault: Address::with_last_byte(0xe3),
            vault_balance: *[0, 10, 10, 1_000].choose(&mut random).expect("balances"),
            whale,
            rival,
            coded,
            hot: Address::repeat_byte(0x77),
            random,
            keys,
            spenders,
            programs,
            pool: Vec::new(),
        };
        world.fill_state();
        world.fill_pool();
        world.fill_block();
        world.fill_candidates();
        world
    }

    /// Dependency hints for the candidates: none, or such as no honest caller gives.
    pub(crate) fn hints(&mut self) -> Vec<Vec<u32>> {
        if self.random.random_bool(0.4) {
            return Vec::new();
        }
        hints::wrong_hints(self.random.random(), self.candidates.len())
    }

    /// Whether the address is one whose key signs transactions.
    pub(crate) fn is_key(&self, address: &Address) -> bool {
        self.keys.iter().chain(&self.spenders).chain([&self.whale]).any(|key| key.address == *address)
    }

    /// The secret of one whose key signs transactions.
    pub(crate) fn secret_of(&self, address: &Address) -> Option<[u8; 32]> {
        let mut keys = self.keys.iter().chain(&self.spenders).chain([&self.coded, &self.whale, &self.rival]);
        keys.find(|key| key.address == *address).map(|key| key.secret)
    }

    fn fill_state(&mut self) {
        static DEV_ALLOC: LazyLock<StateChanges> =
            LazyLock::new(|| parse_genesis(dev_genesis_json()).expect("the built-in genesis is good").alloc);
        self.state.apply(&DEV_ALLOC);
        for key in &self.keys {
            let account = Account { balance: U256::from(WEALTH), ..Account::default() };
            self.state.insert_account(key.address, account, None);
        }
        let contract = Account { nonce: 1, balance: U256::from(1_000), ..Account::default() };
        if self.knows_delegations() {
            // One is delegated from the start.
            let delegation = [&[0xef, 0x01, 0x00][..], self.programs[1].as_slice()].concat();
            let account = Account { balance: U256::from(WEALTH), ..Account::default() };
            self.state.insert_account(self.keys[5].address, account, Some(delegation.into()));
        }
        for (key, balance) in [(&self.whale, U256::MAX - headroom()), (&self.rival, U256::ONE << 254)] {
            self.state.insert_account(key.address, Account { balance, ..Account::default() }, None);
        }
        let coded = Account { balance: U256::from(WEALTH), ..Account::default() };
        self.state.insert_account(self.coded.address, coded, Some(contracts::child_runtime().into()));
        let vault = Account { nonce: 1, balance: U256::from(self.vault_balance), ..Account::default() };
        self.state.insert_account(self.vault, vault, Some(contracts::vault(self.fork).into()));
        self.state.insert_account(self.token, contract, Some(contracts::token(self.fork).into()));
        for key in &self.keys[1..] {
            let slot = U256::from_be_slice(key.address.as_slice());
            self.state.insert_storage(self.token, slot, U256::from(1_000));
        }
        for program in &self.programs {
            let code = contracts::program(self.fork, &mut self.random);
            self.state.insert_account(*program, contract, Some(code.into()));
            for slot in 0..4 {
                let value = U256::from(self.random.random_range(0..3_u64));
                self.state.insert_storage(*program, U256::from(slot), value);
            }
        }
        // Some children are there already, with storage of their own; some have nothing but storage,
        // which a creation must not overwrite (EIP-7610).
        for child in &self.children {
            if self.random.random_bool(0.1) {
                let balance = U256::from(self.random.random_range(0..2_u64));
                self.state.insert_account(*child, Account { balance, ..Account::default() }, None);
                self.state.insert_storage(*child, U256::ZERO, U256::from(40));
            } else if self.random.random_bool(0.3) {
                self.state.insert_account(*child, contract, Some(contracts::child_runtime().into()));
                self.state.insert_storage(*child, U256::ZERO, U256::from(40));
                self.state.insert_storage(*child, U256::from(5), U256::from(41));
            }
        }
        for address in empty_accounts() {
            self.state.insert_account(address, Account::default(), None);
        }
        for number in 0..self.block_number() {
            self.state.insert_block_hash(number, keccak256(number.to_be_bytes()));
        }
    }

    fn fill_pool(&mut self) {
        let mut pool: Vec<Address> = self.keys.iter().map(|key| key.address).collect();
        pool.extend(self.spenders.iter().map(|key| key.address));
        pool.extend_from_slice(&self.programs);
        pool.extend_from_slice(&self.children);
        // Where creations of the first accounts will go, paid and looked at before they are there.
        pool.extend(self.keys[..2].iter().flat_map(|key| [0, 1, 2].map(|nonce| key.address.create(nonce))));
        pool.extend([self.token, self.vault, self.whale.address, Address::with_last_byte(3)]);
        pool.extend(empty_accounts());
        pool.push(self.hot);
        self.pool = pool;
    }

    fn fill_block(&mut self) {
        let random = &mut self.random;
        let is_merged = self.fork >= Fork::Paris;
        let beneficiary = match random.random_range(0..10) {
            0 | 1 => self.keys[random.random_range(0..2)].address,
            2 => self.programs[0],
            3 => empty_accounts()[0],
            4 => *self.children.choose(random).expect("children"),
            5 => self.keys[0].address.create(0),
            6 => self.vault,
            7 => self.whale.address,
            _ => Address::repeat_byte(0xbe),
        };
        let withdrawals = (self.fork >= Fork::Shanghai).then(|| {
            let count = random.random_range(0..3);
            (0..count)
                .map(|index| Withdrawal {
                    index,
                    validator_index: index,
                    address: *self.pool.choose(random).expect("a pool"),
                    amount: random.random_range(0..3),
                })
                .collect()
        });
        self.block = BlockContext {
            number: 12,
            timestamp: 1_000,
            beneficiary,
            gas_limit: if random.random_bool(0.15) { 1_500_000 } else { 60_000_000 },
            base_fee: (self.fork >= Fork::London).then_some(10),
            difficulty: if is_merged { U256::ZERO } else { U256::from(0x20000) },
            prev_randao: is_merged.then(|| keccak256("randao")),
            parent_hash: keccak256(11_u64.to_be_bytes()),
            parent_beacon_block_root: (self.fork >= Fork::Cancun).then(|| keccak256("beacon")),
            excess_blob_gas: (self.fork >= Fork::Cancun).then_some(0),
            withdrawals,
            ommers: Vec::new(),
            slot_number: (self.fork >= Fork::Amsterdam).then_some(99),
        };
        if !is_merged && random.random_bool(0.3) {
            let beneficiary = *self.pool.choose(random).expect("a pool");
            self.block.ommers.push(Ommer { beneficiary, number: 10 });
        }
        self.hot = *[self.hot, self.hot, self.keys[3].address, self.vault, beneficiary, self.whale.address]
            .choose(random)
            .expect("addresses");
        if self.fork >= Fork::Osaka && random.random_bool(0.2) {
            self.limits.max_block_bytes = Some(random.random_range(1_200..4_000));
        }
    }

    /// Whether the account has nearly all the wei there is.
    pub(crate) fn is_whale(&self, address: &Address) -> bool {
        self.whale.address == *address
    }

    /// Whether the account begins with nothing and waits for means.
    pub(crate) fn is_spender(&self, address: &Address) -> bool {
        self.spenders.iter().any(|key| key.address == *address)
    }

    fn block_number(&self) -> u64 {
        12
    }

    fn some_address(&mut self) -> Address {
        match self.random.random_range(0..10) {
            0 | 1 => self.block.beneficiary,
            2 => *self.children.choose(&mut self.random).expect("children"),
            _ => *self.pool.choose(&mut self.random).expect("a pool"),
        }
    }
}

/// What the richest account can still take: all fees and small payments of a block. What contracts
/// pay never overflows it, since no two clients agree on what should happen then.
fn headroom() -> U256 {
    U256::ONE << 64
}

/// Left over from before EIP-161: they exist and are empty.
fn empty_accounts() -> [Address; 3] {
    [0xed, 0xee, 0xef].map(Address::repeat_byte)
}

/// A transaction of this type with nothing in it.
pub(crate) fn blank(tx_type: u8) -> Transaction {
    Transaction {
        tx_type,
        is_parallel: tx_type == PARALLEL_TYPE,
        chain_id: (tx_type != 0).then_some(1),
        ..Transaction::default()
    }
}
