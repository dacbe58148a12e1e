//! A run of one transaction alone, kept so that it need not run again.
//!
//! In: a transaction, a state and the block that would come next. Out: an [`AccessRecord`] with what
//! the run did and everything that this depended on. The parallel executor applies a record in place
//! of an execution when its conditions hold: [`AccessRecord::applied`] decides those that follow from
//! the block alone, the commit at the frontier compares every value that was read, as it does for any
//! execution. A record that is wrong or stale costs that comparison and nothing else.

use revm::Database;
use revm::state::AccountInfo;

use crate::block::BlockContext;
use crate::chainspec::{Fork, Rules};
use crate::error::StateError;
use crate::evm::database::account_info;
use crate::evm::{
    CallOptions, Evm, ExecutionDatabase, Limit, Preimage, TxExecution, TxResult, blob_base_fee,
    environment_reads as reads,
};
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::state::{Account, StateView};
use crate::tx::RecoveredTransaction;
use crate::tx::charges::{earned_per_gas, effective_gas_price};
use crate::tx::validity::fee;

/// What a transaction did when it ran alone, and what that rests on.
#[derive(Debug, Clone)]
pub struct AccessRecord {
    hash: B256,
    rules: Rules,
    block: BlockContext,
    /// Wei per gas of that run.
    price: U256,
    pub(crate) execution: TxExecution,
    pub(crate) accounts: Vec<(Address, Option<Account>)>,
    pub(crate) slots: Vec<(Address, U256, U256)>,
    pub(crate) has_storage: Vec<(Address, bool)>,
}

/// Why a record says nothing about a transaction in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// It is another transaction's.
    Transaction,
    /// Other rules are in force.
    Rules,
    /// The run asked for something of its block that is different in this one: a mask of
    /// [`crate::evm::environment_reads`] bits.
    Environment(u16),
    /// The run touched its block's beneficiary or this one's, which is warm from the start.
    Beneficiary,
    /// The transaction does not offer what this block asks for.
    Fee,
    /// The price differs, and the run looked at the sender's balance while the gas was prepaid.
    Price,
}

/// A transaction's run alone.
#[derive(Debug)]
pub struct Run {
    /// What it did and saw.
    pub record: AccessRecord,
    /// Whether the record could ever be applied. Not where the transaction is invalid, where the run
    /// had less gas than the transaction has, nor where the rules are older than Spurious Dragon or
    /// younger than Osaka, whose accounts and fees follow other laws.
    pub is_applicable: bool,
    /// What it hashed.
    pub preimages: Vec<Preimage>,
}

/// Runs a transaction alone on `view`, as if it were first in `block` and its sender ready for it.
///
/// `None` where a record could never be applied.
pub fn pre_execute(
    tx: &RecoveredTransaction,
    view: &dyn StateView,
    rules: &Rules,
    block: &BlockContext,
) -> Result<Option<AccessRecord>, StateError> {
    let run = run_alone(tx, view, rules, block, u64::MAX, Limit::default())?;
    Ok(run.is_applicable.then_some(run.record))
}

/// The same with at most `gas_cap` gas and until `limit` is reached, whatever the transaction offers
/// for its gas.
pub fn run_alone(
    tx: &RecoveredTransaction,
    view: &dyn StateView,
    rules: &Rules,
    block: &BlockContext,
    gas_cap: u64,
    limit: Limit,
) -> Result<Run, StateError> {
    let cost = tx.tx.cost().unwrap_or(U256::MAX);
    let log = Log {
        view,
        sender: tx.sender,
        nonce: tx.tx.nonce,
        cost,
        accounts: Vec::new(),
        slots: Vec::new(),
        has_storage: Vec::new(),
    };
    let mut evm = Evm::new(rules, block, log);
    evm.record_touched(true);
    evm.record_preimages();
    evm.set_limit(limit);
    let options = CallOptions { gas_cap: Some(gas_cap), ..CallOptions::PREEXECUTION };
    let execution = evm.call(tx, &options)?;
    let preimages = evm.take_preimages();
    let Log { accounts, slots, has_storage, .. } = evm.into_db();
    let price = price(tx, block);
    let is_covered = (Fork::SpuriousDragon..Fork::Amsterdam).contains(&rules.fork)
        && tx.tx.cost().is_some()
        && tx.tx.blob_versioned_hashes.is_empty()
        && tx.tx.gas_limit <= gas_cap
        && tx.tx.nonce < u64::MAX
        && offers_enough(tx, rules, block);
    let outcome = execution.outcome.as_ref();
    let is_applicable =
        is_covered && outcome.is_ok_and(|done| done.fee == earned(rules, block, price, done.gas_used));
    let (rules, block) = (*rules, block.clone());
    let hash = tx.tx.hash;
    let record = AccessRecord { hash, rules, block, price, execution, accounts, slots, has_storage };
    Ok(Run { record, is_applicable, preimages })
}

/// Whether the transaction pays the base fee of `block`.
fn offers_enough(tx: &RecoveredTransaction, rules: &Rules, block: &BlockContext) -> bool {
    rules.fork < Fork::London || tx.tx.max_fee_per_gas >= base_fee(block)
}

impl AccessRecord {
    /// The run as it would have been in `block`, if nothing that it asked for is different there.
    /// Fees are computed anew. What it read of the state is not compared here.
    pub fn applied(
        &self,
        tx: &RecoveredTransaction,
        rules: &Rules,
        block: &BlockContext,
    ) -> Result<TxExecution, Void> {
        if tx.tx.hash != self.hash {
            return Err(Void::Transaction);
        }
        if *rules != self.rules {
            return Err(Void::Rules);
        }
        if !offers_enough(tx, rules, block) {
            return Err(Void::Fee);
        }
        let price = price(tx, block);
        let different = self.different_environment(block, price) & self.execution.observed.environment;
        if different != 0 {
            return Err(Void::Environment(different));
        }
        let is_touched = |address: Address| self.accounts.iter().any(|(touched, _)| *touched == address);
        let differs = block.beneficiary != self.block.beneficiary;
        if is_touched(block.beneficiary) || (differs && is_touched(self.block.beneficiary)) {
            return Err(Void::Beneficiary);
        }
        if price != self.price && self.execution.observed.observes_balance(&tx.sender) {
            return Err(Void::Price);
        }
        let mut execution = self.execution.clone();
        let Ok(result) = &mut execution.outcome else { return Err(Void::Fee) };
        let gas_used = result.gas_used;
        result.effective_gas_price = price.saturating_to();
        result.fee = earned(rules, block, price, gas_used);
        self.repay(&mut execution, tx.sender, price, gas_used);
        Ok(execution)
    }

    /// About how many locations' worth of memory it takes.
    pub fn weight(&self) -> usize {
        const BYTES: usize = 64;
        let execution = &self.execution;
        let writes: usize = execution.writes.iter().map(|write| 2 + write.storage.len()).sum();
        let codes: usize = execution.codes.iter().map(|(_, code)| code.len() / BYTES).sum();
        let result = self.result().map_or(0, |result| {
            let logs = result.logs.iter().map(|log| 3 + log.data.data.len() / BYTES);
            result.output.len() / BYTES + logs.sum::<usize>()
        });
        8 + 2 * (self.accounts.len() + self.slots.len()) + writes + codes + result
    }

    /// The run.
    pub fn execution(&self) -> &TxExecution {
        &self.execution
    }

    /// What the run did by itself.
    pub fn result(&self) -> Option<&TxResult> {
        self.execution.outcome.as_ref().ok()
    }

    /// Bits of what is different in `block`, asked for or not.
    fn different_environment(&self, block: &BlockContext, price: U256) -> u16 {
        let own = &self.block;
        let mut different = 0;
        let mut compare = |bit: u16, is_same: bool| different |= if is_same { 0 } else { bit };
        compare(reads::TIMESTAMP, block.timestamp == own.timestamp);
        compare(reads::NUMBER, block.number == own.number);
        let is_same_randomness = (block.difficulty, block.prev_randao) == (own.difficulty, own.prev_randao);
        compare(reads::PREVRANDAO, is_same_randomness);
        compare(reads::COINBASE, block.beneficiary == own.beneficiary);
        compare(reads::GASLIMIT, block.gas_limit == own.gas_limit);
        compare(reads::BASEFEE, block.base_fee == own.base_fee);
        compare(reads::GASPRICE, price == self.price);
        let blob_fees = [block, own].map(|block| blob_base_fee(&self.rules, block));
        compare(reads::BLOBBASEFEE, blob_fees[0] == blob_fees[1]);
        compare(reads::BLOCKHASH, (block.number, block.parent_hash) == (own.number, own.parent_hash));
        compare(reads::SLOTNUM, block.slot_number == own.slot_number);
        different
    }

    /// Takes from the sender what the gas costs here instead of what it cost in the run.
    fn repay(&self, execution: &mut TxExecution, sender: Address, price: U256, gas_used: u64) {
        if price == self.price {
            return;
        }
        let cost = |price| fee(price, gas_used).expect("no more than the transaction's cost");
        let own = execution.writes.iter_mut().find(|write| write.address == sender);
        if let Some(Some(after)) = own.and_then(|write| write.account.as_mut()) {
            // A difference modulo 2^256, like all that is published about balances.
            let owed = cost(price).wrapping_sub(cost(self.price));
            after.balance = after.balance.wrapping_sub(owed);
        }
    }
}

/// Wei per gas that the transaction pays in `block`.
fn price(tx: &RecoveredTransaction, block: &BlockContext) -> U256 {
    let RecoveredTransaction { tx, .. } = tx;
    effective_gas_price(tx.tx_type, tx.max_fee_per_gas, tx.max_priority_fee_per_gas, base_fee(block))
}

/// Wei that the beneficiary earns.
fn earned(rules: &Rules, block: &BlockContext, price: U256, gas_used: u64) -> U256 {
    let per_gas = earned_per_gas(rules, price, base_fee(block));
    fee(per_gas, gas_used).expect("no more than the transaction's cost")
}

fn base_fee(block: &BlockContext) -> U256 {
    U256::from(block.base_fee.unwrap_or_default())
}

/// A view that writes down its answers, and shows the sender ready for its transaction.
struct Log<'a> {
    view: &'a dyn StateView,
    sender: Address,
    nonce: u64,
    cost: U256,
    accounts: Vec<(Address, Option<Account>)>,
    slots: Vec<(Address, U256, U256)>,
    has_storage: Vec<(Address, bool)>,
}

impl Database for Log<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let mut account = self.view.account(&address)?;
        if address == self.sender {
            let ready = account.get_or_insert_default();
            ready.nonce = self.nonce;
            ready.balance = ready.balance.max(self.cost);
        }
        self.accounts.push((address, account));
        Ok(account.as_ref().map(account_info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.view.code(&code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let value = self.view.storage(&address, &slot)?;
        self.slots.push((address, slot, value));
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.view.block_hash(number)
    }
}

impl ExecutionDatabase for Log<'_> {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        let has = self.view.has_storage(&address)?;
        self.has_storage.push((address, has));
        Ok(has)
    }
}
