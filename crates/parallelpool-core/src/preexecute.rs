//! Finds access sets: by static knowledge of plain transfers, else by running the transaction alone.
//!
//! In: transactions, the head state and the block that would come next. Out: a [`Prediction`] each:
//! the set, what it rests on, and the run itself where it can be applied later. Nonce and funds are
//! not checked, since earlier transactions may still change them, and gas is capped. What cannot run,
//! or hits the cap, is of unknown access.

use std::collections::BTreeSet;

use crate::access::{Access, AccessSet, AccessSource, Field, Location};
use crate::block::BlockContext;
use crate::chainspec::{Fork, Rules};
use crate::error::StateError;
use crate::evm::{Limit, Preimage, TxExecution, TxResult, may_be_precompile};
use crate::primitives::{Address, KECCAK_EMPTY, U256};
use crate::record::{AccessRecord, Run, run_alone};
use crate::state::{Account, StateView};
use crate::tx::charges::charges;
use crate::tx::{RecoveredTransaction, SharedTransaction, Transaction};
use crate::workers::{Priority, Workers};

/// Only code that appears at the recipient can make a transfer something else.
const TRANSFER_CONFIDENCE: u16 = 999;

/// As `parallelpool accuracy` measures it on real blocks.
const TRACE_CONFIDENCE: u16 = 950;

/// Where and how to look.
#[derive(Debug, Clone, Copy)]
pub struct PreExecution<'a> {
    /// Rules of `block`.
    pub rules: &'a Rules,
    /// The block that would come next.
    pub block: &'a BlockContext,
    /// The state it would build on.
    pub view: &'a dyn StateView,
    /// Gas above which a run gives up.
    pub gas_limit: u64,
}

/// What is expected of a transaction.
#[derive(Debug)]
pub struct Prediction {
    /// Its accesses.
    pub set: AccessSet,
    /// Everything of the state that this follows from: when none of it changes, the same run on
    /// another head gives the same set.
    pub reads: BTreeSet<Location>,
    /// What it asked for of its block: a mask of [`crate::evm::environment_reads`].
    pub environment: u16,
    /// The run, where there was one.
    pub trial: Option<Trial>,
}

/// A run ahead of need.
#[derive(Debug)]
pub struct Trial {
    /// Gas that it took.
    pub gas: u64,
    /// Whether it came to an end within the gas it was given.
    pub is_complete: bool,
    /// For the executor, in place of an execution.
    pub record: Option<AccessRecord>,
    /// What it hashed.
    pub preimages: Vec<Preimage>,
}

impl PreExecution<'_> {
    /// One access set per transaction, in order, found on all workers.
    pub fn run_all(
        &self,
        workers: &Workers,
        transactions: &[SharedTransaction],
    ) -> Result<Vec<AccessSet>, StateError> {
        workers.map_at(Priority::PreExecution, transactions, |tx| self.run(tx)).into_iter().collect()
    }

    /// The access set of one transaction.
    pub fn run(&self, tx: &RecoveredTransaction) -> Result<AccessSet, StateError> {
        Ok(self.predict(tx, Limit::default())?.set)
    }

    /// What is expected of one transaction.
    ///
    /// [`StateError::Interrupted`] when the limit is reached before its run ends.
    pub fn predict(&self, tx: &RecoveredTransaction, limit: Limit) -> Result<Prediction, StateError> {
        match self.transfer(tx)? {
            Some(set) => Ok(Prediction { reads: reads_of(&set), set, environment: 0, trial: None }),
            None => self.trace(tx, limit),
        }
    }

    /// What follows from the envelope and the absence of code, if anything does.
    /// A call without code to run touches sender and recipient and nothing else.
    pub fn transfer(&self, recovered: &RecoveredTransaction) -> Result<Option<AccessSet>, StateError> {
        let tx = &recovered.tx;
        let Some(to) = tx.to.filter(|to| !may_be_precompile(to)) else { return Ok(None) };
        // From Amsterdam on the gas of a transfer depends on whether the recipient exists.
        if self.rules.fork >= Fork::Amsterdam || !tx.authorization_list.is_empty() {
            return Ok(None);
        }
        let has_code =
            |account: Option<Account>| account.is_some_and(|found| found.code_hash != KECCAK_EMPTY);
        if has_code(self.view.account(&to)?) || has_code(self.view.account(&recovered.sender)?) {
            return Ok(None);
        }
        let mut access = AccessSet {
            hash: tx.hash,
            source: AccessSource::Transfer,
            confidence: TRANSFER_CONFIDENCE,
            accesses: Default::default(),
            debits: Default::default(),
            gas_used: self.transfer_gas(recovered),
            succeeded: Some(true),
        };
        add_sender(&mut access, recovered);
        access.add(to, Field::Code, Access::READ);
        if !tx.value.is_zero() {
            access.add(to, Field::Balance, Access::CREDIT);
        }
        Ok(Some(access))
    }

    /// Without code to run the charges are all there is; refunds need storage.
    fn transfer_gas(&self, tx: &RecoveredTransaction) -> u64 {
        charges(&tx.tx, Some(&tx.sender), self.rules).least_gas_limit()
    }

    /// What a run of the transaction alone shows, transfer or not.
    pub fn trace(&self, tx: &RecoveredTransaction, limit: Limit) -> Result<Prediction, StateError> {
        let Run { record, is_applicable, preimages } =
            run_alone(tx, self.view, self.rules, self.block, self.gas_limit, limit)?;
        let execution = record.execution();
        let unknown = || AccessSet::unknown(tx.tx.hash, tx.tx.gas_limit);
        let (set, gas, is_complete) = match &execution.outcome {
            Err(_) => (unknown(), 0, true),
            Ok(result) if hit_the_cap(result, &tx.tx, self.gas_limit) => (unknown(), result.gas_used, false),
            Ok(result) => (self.accesses_of(tx, execution, result)?, result.gas_used, true),
        };
        let mut reads = reads_of(&set);
        if !set.is_known() {
            reads.extend(touched_of(execution));
        }
        let environment = execution.observed.environment;
        let record = (is_applicable && set.is_known()).then_some(record);
        let trial = Some(Trial { gas, is_complete, record, preimages });
        Ok(Prediction { set, reads, environment, trial })
    }

    /// The access set of an execution on this view.
    pub(crate) fn set_of(
        &self,
        tx: &RecoveredTransaction,
        execution: &TxExecution,
    ) -> Result<AccessSet, StateError> {
        match &execution.outcome {
            Ok(result) => self.accesses_of(tx, execution, result),
            Err(_) => Ok(AccessSet::unknown(tx.tx.hash, tx.tx.gas_limit)),
        }
    }

    fn accesses_of(
        &self,
        tx: &RecoveredTransaction,
        execution: &TxExecution,
        result: &TxResult,
    ) -> Result<AccessSet, StateError> {
        let mut set = AccessSet {
            hash: tx.tx.hash,
            source: AccessSource::Trace,
            confidence: TRACE_CONFIDENCE,
            accesses: Default::default(),
            debits: Default::default(),
            gas_used: result.gas_used,
            succeeded: Some(result.success),
        };
        add_sender(&mut set, tx);
        let mut access = Found { set, rows: Vec::new() };
        for touched in &execution.touched {
            access.add(touched.address, Field::Code, Access::READ);
            for slot in &touched.slots {
                access.add(touched.address, Field::Storage(*slot), Access::READ);
            }
        }
        self.add_observations(&mut access, execution)?;
        for write in &execution.writes {
            for (slot, _) in &write.storage {
                access.add(write.address, Field::Storage(*slot), Access::WRITE);
            }
            if let Some(after) = write.account {
                let before = self.view.account(&write.address)?;
                add_account_change(&mut access, write.address, before, after, write.address == tx.sender);
            }
        }
        Ok(access.into_set())
    }

    fn add_observations(&self, access: &mut Found, execution: &TxExecution) -> Result<(), StateError> {
        for address in &execution.observed.balances {
            access.add(*address, Field::Balance, Access::READ);
        }
        for address in &execution.observed.emptiness {
            // An account with a nonce or code is not empty whatever happens to its balance.
            let account = self.view.account(address)?.unwrap_or_default();
            if account.nonce == 0 && account.code_hash == KECCAK_EMPTY {
                for field in [Field::Balance, Field::Nonce, Field::Code] {
                    access.add(*address, field, Access::READ);
                }
            }
        }
        for address in &execution.observed.whole {
            for field in [Field::Nonce, Field::Code] {
                access.add(*address, field, Access::READ);
            }
        }
        for (address, outflow) in &execution.observed.outflow {
            access.add(*address, Field::Balance, Access::DEBIT);
            let debit = access.set.debits.get_or_insert(*address, U256::ZERO);
            *debit = debit.saturating_add(*outflow);
        }
        Ok(())
    }
}

/// A set in the making. Accesses come in any order, thousands of them if a sender wants it, and are
/// sorted once.
struct Found {
    set: AccessSet,
    rows: Vec<(Location, Access)>,
}

impl Found {
    fn add(&mut self, address: Address, field: Field, access: Access) {
        self.rows.push((Location { address, field }, access));
    }

    fn into_set(mut self) -> AccessSet {
        self.set.add_all(self.rows);
        self.set
    }
}

/// The sender counts up its nonce and is charged at most the transaction's cost.
pub(crate) fn add_sender(access: &mut AccessSet, tx: &RecoveredTransaction) {
    access.add(tx.sender, Field::Nonce, Access::WRITE);
    access.add(tx.sender, Field::Code, Access::READ);
    access.add(tx.sender, Field::Balance, Access::DEBIT);
    let debit = access.debits.get_or_insert(tx.sender, U256::ZERO);
    *debit = debit.saturating_add(tx.tx.cost().unwrap_or(U256::MAX));
}

/// What a set follows from. A slot that is written was read first, for its cost.
fn reads_of(set: &AccessSet) -> BTreeSet<Location> {
    let is_read = |(location, access): &(&Location, &Access)| {
        access.has(Access::READ) || matches!(location.field, Field::Storage(_))
    };
    set.accesses.iter().filter(is_read).map(|(location, _)| *location).collect()
}

/// Codes and slots that a run loaded.
fn touched_of(execution: &TxExecution) -> impl Iterator<Item = Location> {
    execution.touched.iter().flat_map(|touched| {
        let fields = touched.slots.iter().map(|slot| Field::Storage(*slot)).chain([Field::Code]);
        fields.map(|field| Location { address: touched.address, field })
    })
}

/// With less gas than the transaction has, a run that failed says nothing about the real one.
fn hit_the_cap(result: &TxResult, tx: &Transaction, cap: u64) -> bool {
    tx.gas_limit > cap && !result.success
}

fn add_account_change(
    access: &mut Found,
    address: Address,
    before: Option<Account>,
    after: Option<Account>,
    is_sender: bool,
) {
    let Some(after) = after else {
        for field in [Field::Nonce, Field::Balance, Field::Code] {
            access.add(address, field, Access::WRITE);
        }
        return;
    };
    let is_new = before.is_none();
    let before = before.unwrap_or_default();
    if after.nonce != before.nonce {
        access.add(address, Field::Nonce, Access::WRITE);
    }
    if after.code_hash != before.code_hash {
        access.add(address, Field::Code, Access::WRITE);
        if is_new {
            access.add(address, Field::Balance, Access::WRITE);
        }
    }
    if is_sender {
        return;
    }
    if after.balance > before.balance {
        access.add(address, Field::Balance, Access::CREDIT);
    } else if after.balance < before.balance {
        access.add(address, Field::Balance, Access::DEBIT);
        let taken = before.balance - after.balance;
        let debit = access.set.debits.get_or_insert(address, U256::ZERO);
        *debit = (*debit).max(taken);
    }
}
