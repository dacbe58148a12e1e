//! State tests made into blocks of many transactions.
//!
//! *Disjoint*: cases of one environment whose transactions share no account that any of them writes,
//! the beneficiary apart, so each must do in the block what it does alone. *Overlaid*: all cases of
//! one test on one state, half of them by the test's sender in a row, half by new ones, so they meet
//! each other in every slot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parallelpool_core::execution::{BuildLimits, BuildOutcome};
use parallelpool_core::primitives::{Address, U256, keccak256};
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::state::{Account, StateView};
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction};

use super::agreement::{Case, Task};
use super::state_tests::StateCase;

/// A case and its execution alone.
#[derive(Debug)]
pub(crate) struct Solo {
    pub(crate) case: StateCase,
    pub(crate) transaction: SharedTransaction,
    pub(crate) outcome: BuildOutcome,
    /// Accounts that it loaded or changed, apart from the beneficiary.
    touched: BTreeSet<Address>,
    written: BTreeSet<Address>,
    /// It looks at the beneficiary, whose balance depends on the transactions before.
    pub(crate) meets_beneficiary: bool,
    /// It does so and is its sender or changes it by more than a fee: nobody can stand beside it.
    is_beneficiarys_own: bool,
}

impl Solo {
    /// A case with its serial result, changes and touched accounts kept.
    pub(crate) fn new(case: StateCase, transaction: SharedTransaction, outcome: BuildOutcome) -> Self {
        let beneficiary = case.block.beneficiary;
        let changed = outcome.outcome.transaction_changes[0].accounts.keys().copied();
        let mut written: BTreeSet<Address> = changed.collect();
        let loaded = outcome.outcome.transaction_touched[0].iter().map(|account| account.address);
        let mut touched: BTreeSet<Address> = loaded.collect();
        let meets_beneficiary = touched.remove(&beneficiary);
        let is_beneficiarys_own = meets_beneficiary && written.contains(&beneficiary);
        written.remove(&beneficiary);
        touched.extend(&written);
        Self { case, transaction, outcome, touched, written, meets_beneficiary, is_beneficiarys_own }
    }

    /// Cases with equal keys can stand in one block as far as the block is concerned.
    pub(crate) fn environment(&self) -> String {
        format!("{} {} {:?}", self.case.fork, self.case.spec.chain_id, self.case.block)
    }

    /// Gas to reserve: what it used, unless it may use more in company.
    fn gas(&self) -> u64 {
        if self.meets_beneficiary { self.transaction.tx.gas_limit } else { self.outcome.outcome.gas_used }
    }
}

/// A block of cases that do not meet.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) members: Vec<Solo>,
    pub(crate) state: MemoryState,
    touched: BTreeSet<Address>,
    written: BTreeSet<Address>,
    gas: u64,
    blobs: u64,
}

impl Merged {
    /// Puts each case into the first block of its environment that takes it.
    pub(crate) fn pack(cases: Vec<Solo>) -> Vec<Self> {
        let mut by_environment: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for case in cases {
            let blocks = by_environment.entry(case.environment()).or_default();
            match blocks.iter_mut().find(|block| block.takes(&case)) {
                Some(block) => block.push(case),
                None => {
                    let mut block = Self::default();
                    block.push(case);
                    blocks.push(block);
                }
            }
        }
        by_environment.into_values().flatten().collect()
    }

    fn takes(&self, solo: &Solo) -> bool {
        let (block, tx) = (&solo.case.block, &solo.transaction.tx);
        let most_blobs = solo.case.rules.blobs.map_or(0, |blobs| blobs.max);
        !solo.is_beneficiarys_own
            && !self.members.iter().any(|member| member.is_beneficiarys_own)
            && self.gas + tx.gas_limit <= block.gas_limit
            && self.blobs + tx.blob_versioned_hashes.len() as u64 <= most_blobs
            && self.written.is_disjoint(&solo.touched)
            && self.touched.is_disjoint(&solo.written)
            && solo.touched.intersection(&self.touched).all(|address| self.has_same(solo, *address))
            && self.has_same(solo, block.beneficiary)
    }

    /// Whether the block's state and the case's agree on an account.
    fn has_same(&self, solo: &Solo, address: Address) -> bool {
        stored(&self.state, address) == stored(&solo.case.state, address)
    }

    fn push(&mut self, solo: Solo) {
        let beneficiary = solo.case.block.beneficiary;
        for address in solo.touched.iter().chain([&beneficiary]) {
            copy_account(&solo.case.state, *address, &mut self.state);
        }
        let first = solo.case.block.number.saturating_sub(256);
        for number in first..solo.case.block.number {
            self.state.insert_block_hash(number, solo.case.state.block_hash(number).expect("memory"));
        }
        self.touched.extend(&solo.touched);
        self.written.extend(&solo.written);
        self.gas += solo.gas();
        self.blobs += solo.transaction.tx.blob_versioned_hashes.len() as u64;
        self.members.push(solo);
    }

    /// The members' transactions in order.
    pub(crate) fn transactions(&self) -> Vec<SharedTransaction> {
        self.members.iter().map(|member| Arc::clone(&member.transaction)).collect()
    }

    /// The block as a case, its state answering with pauses.
    pub(crate) fn case<'a>(&'a self, transactions: &'a [SharedTransaction]) -> Case<'a> {
        let first = &self.members[0].case;
        Case {
            spec: &first.spec,
            block: &first.block,
            transactions,
            state: &self.state,
            task: Task::Replay(&first.rules),
            seed: seed_of(&first.name),
            pauses: true,
        }
    }
}

/// A seed that follows from a name.
pub(crate) fn seed_of(name: &str) -> u64 {
    u64::from_be_bytes(*keccak256(name).first_chunk().expect("32 bytes"))
}

type Stored = (Option<Account>, BTreeMap<U256, U256>);

fn stored(state: &MemoryState, address: Address) -> Stored {
    let account = state.account(&address).expect("memory state");
    (account, state.storage_of(&address).collect())
}

fn copy_account(from: &MemoryState, address: Address, to: &mut MemoryState) {
    let (Some(account), storage) = stored(from, address) else { return };
    let code = from.code(&account.code_hash).ok().map(|code| code.original_bytes());
    to.insert_account(address, account, code);
    for (slot, value) in storage {
        to.insert_storage(address, slot, value);
    }
}

/// All cases of one test on one state.
#[derive(Debug)]
pub(crate) struct Overlaid {
    pub(crate) name: String,
    first: StateCase,
    pub(crate) state: MemoryState,
    pub(crate) candidates: Vec<SharedTransaction>,
    limits: BuildLimits,
}

impl Overlaid {
    /// Cases of one test, fork and state; those whose transaction cannot be read are passed over.
    pub(crate) fn new(cases: Vec<StateCase>) -> Option<Self> {
        let mut readable =
            cases.iter().filter_map(|case| case.transaction.clone()).enumerate().collect::<Vec<_>>();
        let mut cases = cases.into_iter();
        let mut first = cases.next()?;
        first.block.gas_limit = ROOM;
        let mut state = first.state.clone();
        if let Some((_, recovered)) = readable.first() {
            enrich(recovered.sender, &mut state);
        }
        for (index, recovered) in &mut readable {
            if *index % 2 == 0 {
                recovered.tx.nonce = recovered.tx.nonce.wrapping_add(*index as u64 / 2);
            } else {
                stand_in(recovered, *index, &mut state);
            }
        }
        let candidates = readable.into_iter().map(|(_, recovered)| Arc::new(recovered)).collect();
        let limits = BuildLimits { max_block_bytes: None, overhead_bytes: 0 };
        Some(Self { name: first.name.clone(), first, state, candidates, limits })
    }

    /// The block as a case, its state answering with pauses; candidates that find no room or funds are left out.
    pub(crate) fn case(&self) -> Case<'_> {
        Case {
            spec: &self.first.spec,
            block: &self.first.block,
            transactions: &self.candidates,
            state: &self.state,
            task: Task::Build(&self.limits),
            seed: seed_of(&self.name),
            pauses: true,
        }
    }
}

/// Gas for as many transactions as a test has.
const ROOM: u64 = u64::MAX / 2;

/// Lets a sender pay for several transactions where it has means for one.
fn enrich(sender: Address, state: &mut MemoryState) {
    let mut account = state.account(&sender).expect("memory state").unwrap_or_default();
    account.balance = account.balance.saturating_add(U256::ONE << 200);
    let code = state.code(&account.code_hash).ok().map(|code| code.original_bytes());
    state.insert_account(sender, account, code);
}

/// Lets a new account with the sender's means send the transaction.
fn stand_in(recovered: &mut RecoveredTransaction, index: usize, state: &mut MemoryState) {
    let account = state.account(&recovered.sender).expect("memory state");
    recovered.sender =
        Address::from_word(keccak256([recovered.sender.as_slice(), &index.to_be_bytes()].concat()));
    if let Some(account) = account {
        state.insert_account(recovered.sender, account, None);
    }
}
