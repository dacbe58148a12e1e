//! Calls of code that no block has called yet: what one run of it on a made-up state shows.
//!
//! In: a call. Out: its access set, by a template learned from that run alone. In the made-up state
//! accounts, codes and what a compiler numbers are the real ones; every element of a mapping or an
//! array holds much, or nothing, or one, whichever lets the call succeed first. So a run shows which
//! slots follow from sender and arguments, and nothing hangs on what is stored there. Probes are
//! bounded in gas and kept apart from what blocks teach: whoever pays for nothing changes none of that.

use std::collections::HashSet;

use alloy_primitives::b256;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::explain::SMALL;
use super::{Key, Templates, subject};
use crate::access::{AccessSet, AccessSource};
use crate::error::StateError;
use crate::evm::Limit;
use crate::preexecute::{PreExecution, Prediction};
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::{Account, StateView};
use crate::tx::RecoveredTransaction;

/// Gas of all probes on one head.
const GAS: u64 = 30_000_000;

/// Gas of one run.
const RUN_GAS: u64 = 300_000;

/// Probes that are kept, and their terms: the latest.
const MOST: (usize, usize) = (1_024, 100_000);

/// Below what `parallelpool accuracy` measures on real blocks.
const CONFIDENCE: u16 = 750;

/// Where proxies keep the code that they run (ERC-1967, its beacons, ERC-1822, OpenZeppelin's first).
const IMPLEMENTATIONS: [U256; 4] = [
    slot(b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")),
    slot(b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50")),
    slot(b256!("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7")),
    slot(b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3")),
];

const fn slot(name: B256) -> U256 {
    U256::from_be_bytes(name.0)
}

/// What elements of mappings and arrays hold.
#[derive(Debug, Clone, Copy)]
enum Element {
    /// A great number that differs from slot to slot, so that what follows from it is recognized.
    Much,
    Nothing,
    One,
}

/// See the head of the module. Shared by reference.
#[derive(Debug)]
pub struct Probes {
    pub(super) learned: Templates,
    head: Mutex<Head>,
}

/// What was done on the present head.
#[derive(Debug)]
struct Head {
    /// Each kind of call is tried once.
    tried: HashSet<Key, RandomState>,
    gas_left: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self { tried: HashSet::default(), gas_left: GAS }
    }
}

impl Default for Probes {
    fn default() -> Self {
        Self { learned: Templates::new(MOST.0, MOST.1), head: Mutex::default() }
    }
}

impl Probes {
    /// What an earlier probe says about this call; `None` where there was none of its kind.
    pub fn predict(
        &self,
        tx: &RecoveredTransaction,
        view: &dyn StateView,
    ) -> Result<Option<AccessSet>, StateError> {
        let found = self.learned.predict(tx, view)?;
        Ok(found.map(|set| AccessSet { source: AccessSource::Probe, confidence: CONFIDENCE, ..set }))
    }

    /// Probes a kind of call, once on each head and within the gas for all. Returns whether it was run.
    ///
    /// [`StateError::Interrupted`] when the limit is reached before it ends.
    pub fn probe(
        &self,
        tx: &RecoveredTransaction,
        at: PreExecution<'_>,
        limit: &Limit,
    ) -> Result<bool, StateError> {
        let input = tx.tx.evm_input();
        let Some((key, _)) = subject(tx, &input, at.view)? else { return Ok(false) };
        let mut has_run = false;
        for element in [Element::Much, Element::Nothing, Element::One] {
            if !self.begin(key, !has_run) {
                break;
            }
            has_run = true;
            let view = MadeUp { real: at.view, element };
            let at = PreExecution { view: &view, gas_limit: RUN_GAS, ..at };
            let Prediction { set, trial, .. } = at.trace(tx, limit.clone())?;
            let Some(trial) = trial else { break };
            self.give_back(RUN_GAS.saturating_sub(trial.gas));
            // What takes all the gas that there is will do so again.
            if trial.gas >= RUN_GAS || self.learned.learn(tx, &set, &trial.preimages, &view)? {
                break;
            }
        }
        Ok(has_run)
    }

    /// Everything may be tried anew.
    pub fn head_moved(&self) {
        *self.head.lock() = Head::default();
    }

    /// Sets gas for a run aside, if there is any left and the kind was not tried before.
    fn begin(&self, key: Key, is_first: bool) -> bool {
        let mut head = self.head.lock();
        if head.gas_left < RUN_GAS || is_first && !head.tried.insert(key) {
            return false;
        }
        head.gas_left -= RUN_GAS;
        true
    }

    fn give_back(&self, gas: u64) {
        let mut head = self.head.lock();
        // A new head may have come meanwhile.
        head.gas_left = (head.gas_left + gas).min(GAS);
    }
}

/// A state with made-up elements.
#[derive(Debug)]
struct MadeUp<'a> {
    real: &'a dyn StateView,
    element: Element,
}

impl StateView for MadeUp<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.real.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        if *slot < SMALL || IMPLEMENTATIONS.contains(slot) {
            return self.real.storage(address, slot);
        }
        Ok(match self.element {
            Element::Much => U256::from_limbs([slot.as_limbs()[0], 1 << 36, 0, 0]),
            Element::Nothing => U256::ZERO,
            Element::One => U256::ONE,
        })
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.real.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.real.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.real.block_hash(number)
    }
}
