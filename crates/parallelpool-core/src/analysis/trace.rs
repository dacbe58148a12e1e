//! A block executed in order, with everything that decides its dependencies written down.
//!
//! The figures of a balance that are needed later are settled here, where balances are known:
//! whether a debit was covered whatever the order, only by earlier credits, or not at all.

use std::collections::HashMap;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::Cost;
use crate::access::{Field, Location};
use crate::block::BlockContext;
use crate::chainspec::Rules;
use crate::error::StateError;
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, TxExecution, TxResult};
use crate::execution::ExecuteError;
use crate::primitives::{Address, KECCAK_EMPTY, U256};
use crate::state::overlay::Overlay;
use crate::state::{Account, AccountWrite, StateView};
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// How a transaction uses a location: a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Uses(u8);

impl Uses {
    /// The value entered the computation.
    pub(super) const READ: Self = Self(1);
    /// The value was replaced by another.
    pub(super) const WRITE: Self = Self(1 << 1);
    /// A balance grew.
    pub(super) const CREDIT: Self = Self(1 << 2);
    /// A balance shrank.
    pub(super) const DEBIT: Self = Self(1 << 3);
    /// A balance covered what was taken or could have been.
    pub(super) const COVER: Self = Self(1 << 4);
    /// It did so only thanks to earlier credits of this block.
    pub(super) const COVER_BY_CREDIT: Self = Self(1 << 5);
    /// The beneficiary earned the fee.
    pub(super) const FEE: Self = Self(1 << 6);
    /// The sender's nonce was counted up by one.
    pub(super) const NEXT_NONCE: Self = Self(1 << 7);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) cost: Cost,
    pub(super) uses: HashMap<Location, Uses, RandomState>,
    /// Accounts of which all earlier slots vanished.
    pub(super) cleared: Vec<Address>,
}

impl Trace {
    fn add(&mut self, address: Address, field: Field, uses: Uses) {
        let entry = self.uses.entry(Location { address, field }).or_default();
        *entry = entry.with(uses);
    }
}

/// Times that a block is executed; of each transaction's the shortest time counts.
const TIMINGS: usize = 3;

/// Executes the transactions in order on `state`.
pub(super) fn record(
    rules: &Rules,
    block: &BlockContext,
    transactions: &[SharedTransaction],
    state: &dyn StateView,
) -> Result<Vec<Trace>, ExecuteError> {
    let mut traces = record_once(rules, block, transactions, state)?;
    for _ in 1..TIMINGS {
        let again = record_once(rules, block, transactions, state)?;
        for (trace, other) in traces.iter_mut().zip(&again) {
            trace.cost.ns = trace.cost.ns.min(other.cost.ns);
        }
    }
    Ok(traces)
}

fn record_once(
    rules: &Rules,
    block: &BlockContext,
    transactions: &[SharedTransaction],
    state: &dyn StateView,
) -> Result<Vec<Trace>, ExecuteError> {
    let mut evm = Evm::new(rules, block, ViewDatabase(Overlay::new(state)));
    evm.record_touched(true);
    let mut recorder = Recorder { base: state, debited: HashMap::default(), beneficiary: block.beneficiary };
    let mut traces = Vec::with_capacity(transactions.len());
    for (index, tx) in transactions.iter().enumerate() {
        let started = Instant::now();
        let execution = evm.execute(tx)?;
        let ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let result = execution.outcome.as_ref().map_err(|reason| ExecuteError::Transaction {
            index,
            hash: tx.tx.hash,
            reason: Box::new(reason.clone()),
        })?;
        let overlay = &mut evm.db_mut().0;
        let mut trace = recorder.trace(overlay, tx, &execution, result)?;
        trace.cost = Cost { gas: result.gas_used, ns };
        traces.push(trace);
        overlay.write(&execution.writes, execution.codes.iter().cloned())?;
        if !result.beneficiary_destroyed {
            overlay.credit(block.beneficiary, result.fee, rules.spec_id)?;
        }
    }
    Ok(traces)
}

/// What is known of the block so far.
struct Recorder<'a> {
    base: &'a dyn StateView,
    /// Sum of all debits, by account.
    debited: HashMap<Address, U256, RandomState>,
    beneficiary: Address,
}

impl Recorder<'_> {
    /// `before`: the state right before the transaction.
    fn trace(
        &mut self,
        before: &impl StateView,
        tx: &RecoveredTransaction,
        execution: &TxExecution,
        result: &TxResult,
    ) -> Result<Trace, StateError> {
        let mut trace = Trace::default();
        for touched in &execution.touched {
            trace.add(touched.address, Field::Code, Uses::READ);
            for slot in &touched.slots {
                trace.add(touched.address, Field::Storage(*slot), Uses::READ);
            }
        }
        self.add_observations(&mut trace, before, execution)?;
        // What has been paid is covered, whatever its sum.
        let cost = tx.tx.cost().unwrap_or(U256::MAX);
        trace.add(tx.sender, Field::Balance, self.cover(before, &tx.sender, cost)?);
        trace.add(tx.sender, Field::Code, Uses::READ);
        for write in &execution.writes {
            self.add_write(&mut trace, before, write, write.address == tx.sender)?;
        }
        if !result.fee.is_zero() && !result.beneficiary_destroyed {
            trace.add(self.beneficiary, Field::Balance, Uses::FEE);
        }
        Ok(trace)
    }

    fn add_observations(
        &self,
        trace: &mut Trace,
        before: &impl StateView,
        execution: &TxExecution,
    ) -> Result<(), StateError> {
        for address in &execution.observed.balances {
            trace.add(*address, Field::Balance, Uses::READ);
        }
        for address in &execution.observed.emptiness {
            trace.add(*address, Field::Code, Uses::READ);
            // An account with a nonce or code is not empty, whatever happens to its balance.
            let account = before.account(address)?.unwrap_or_default();
            if account.nonce == 0 && account.code_hash == KECCAK_EMPTY {
                trace.add(*address, Field::Balance, Uses::READ);
                trace.add(*address, Field::Nonce, Uses::READ);
            }
        }
        for (address, outflow) in &execution.observed.outflow {
            trace.add(*address, Field::Balance, self.cover(before, address, *outflow)?);
        }
        Ok(())
    }

    /// How the account's balance covers `need`.
    fn cover(&self, before: &impl StateView, address: &Address, need: U256) -> Result<Uses, StateError> {
        let balance = |account: Option<Account>| account.unwrap_or_default().balance;
        if balance(before.account(address)?) < need {
            // What came in during the transaction itself covered the rest: then the exact balance
            // matters.
            return Ok(Uses::COVER.with(Uses::READ));
        }
        let debited = self.debited.get(address).copied().unwrap_or_default();
        let without_credits = balance(self.base.account(address)?).saturating_sub(debited);
        let is_covered = without_credits >= need;
        Ok(if is_covered { Uses::COVER } else { Uses::COVER.with(Uses::COVER_BY_CREDIT) })
    }

    fn add_write(
        &mut self,
        trace: &mut Trace,
        before: &impl StateView,
        write: &AccountWrite,
        is_sender: bool,
    ) -> Result<(), StateError> {
        const REPLACED: Uses = Uses::READ.with(Uses::WRITE);
        let address = write.address;
        for (slot, _) in &write.storage {
            trace.add(address, Field::Storage(*slot), Uses::WRITE);
        }
        if write.storage_cleared {
            trace.cleared.push(address);
        }
        let Some(after) = write.account else { return Ok(()) };
        let old = before.account(&address)?;
        let Some(after) = after else {
            for field in [Field::Nonce, Field::Balance, Field::Code] {
                trace.add(address, field, REPLACED);
            }
            return Ok(());
        };
        let (is_new, old) = (old.is_none(), old.unwrap_or_default());
        if is_sender && after.nonce == old.nonce + 1 {
            trace.add(address, Field::Nonce, Uses::NEXT_NONCE);
        } else if after.nonce != old.nonce {
            trace.add(address, Field::Nonce, REPLACED);
        }
        if after.code_hash != old.code_hash {
            trace.add(address, Field::Code, REPLACED);
        }
        if after.balance < old.balance {
            trace.add(address, Field::Balance, Uses::DEBIT);
            *self.debited.entry(address).or_default() += old.balance - after.balance;
        } else if after.balance > old.balance || is_new {
            // To come into being without a balance is seen like one by who asks for emptiness.
            trace.add(address, Field::Balance, Uses::CREDIT);
        }
        Ok(())
    }
}
