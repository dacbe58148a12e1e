//! One transaction on one view of the state.
//!
//! In: rules, block context, a transaction, a database. Out: what it did ([`TxExecution`]) or why
//! it cannot be executed. Both executors, pre-execution, `eth_call` and the re-check go through
//! here, so there is one handler and one set of rules. The beneficiary's fee is never written by
//! [`Evm::execute`]: it is returned as a number and credited at commit.
//!
//! A result depends on nothing but (rules, block, transaction) and the answers of the database,
//! each of which is asked at most once per key and execution.

mod amsterdam_draft;
pub mod database;
mod deadline;
mod environment;
pub(crate) mod failure;
mod halt;
mod handler;
pub(crate) mod inspection;
mod log_trace;
mod observations;
mod precompiles;
mod preimages;
mod settle;
mod slot_trace;
mod storage_metering;
#[cfg(test)]
mod tests;
pub(crate) mod validation;
pub(crate) mod writes;

use revm::Database;
use revm::context::{BlockEnv, CfgEnv, Context as RevmContext, FrameStack, Journal, LocalContext};
use revm::context_interface::journaled_state::JournalTr;
use revm::handler::instructions::EthInstructions;
use revm::handler::system_call::SYSTEM_CALL_GAS_LIMIT;
use revm::handler::{EthFrame, SYSTEM_ADDRESS};
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;
use revm::state::TransactionId;

use self::deadline::Watch;
use self::environment::EvmTransaction;
use self::failure::Failure;
use self::halt::StoppedAt;
use self::handler::TransactionHandler;
use self::inspection::Inspection;
use self::log_trace::LogTrace;
use self::observations::Recorder;
use self::precompiles::Precompiles;
use self::writes::SpareLists;
use crate::block::{BlockContext, InvalidTransaction};
use crate::chainspec::{Fork, Rules};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, Bytes, Log, U256};
use crate::state::AccountWrite;
use crate::tx::RecoveredTransaction;

pub use self::deadline::Limit;
pub use self::environment::blob_base_fee;
pub use self::log_trace::NumberedLog;
pub use self::observations::{Observations, environment as environment_reads};
pub(crate) use self::precompiles::MovedPrecompiles;
pub use self::preimages::Preimage;
pub(crate) use self::slot_trace::SlotTrace;
pub use self::validation::CallOptions;

/// What the EVM asks of a state. Beyond revm's [`Database`] it must know whether an account has
/// storage, which decides creations (EIP-7610).
pub trait ExecutionDatabase: Database<Error = StateError> {
    /// Whether any slot of the account is not zero. Asked only where a creation meets an account
    /// that exists without nonce and code.
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError>;

    /// Takes a fee for the beneficiary, to be part of its balance when it is loaded. False where it is
    /// loaded already, or its account does not allow that.
    fn keep_fee(&mut self, _fee: U256) -> Result<bool, StateError> {
        Ok(false)
    }
}

impl<D: ExecutionDatabase> ExecutionDatabase for &mut D {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        (**self).has_storage(address)
    }

    fn keep_fee(&mut self, fee: U256) -> Result<bool, StateError> {
        (**self).keep_fee(fee)
    }
}

/// What an executed transaction did, apart from its changes to the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TxResult {
    /// EIP-658 status.
    pub success: bool,
    /// Gas paid for: after refunds, at least the floor.
    pub gas_used: u64,
    /// Gas given back by refunds.
    pub gas_refunded: u64,
    /// What counts against the block's gas limit. Equal to `gas_used` before Amsterdam; from then
    /// on regular gas before refunds.
    pub block_gas: u64,
    /// State gas (EIP-8037), which has the same limit and a count of its own. Zero before
    /// Amsterdam.
    pub block_state_gas: u64,
    /// Return data, revert data, or the code of a created contract.
    pub output: Bytes,
    /// Logs in order; none if the transaction failed.
    pub logs: Vec<Log>,
    /// For creations the address of the contract, whether it came into being or not.
    pub created: Option<Address>,
    /// geth's words for the failure: "out of gas", "execution reverted", ... `None` on success.
    pub halt: Option<String>,
    /// Wei to credit to the beneficiary at commit, by [`credit`].
    pub fee: U256,
    /// The beneficiary destroyed itself in this very transaction: the fee perishes with it and
    /// must not be credited.
    pub beneficiary_destroyed: bool,
    /// Wei per gas, saturated at 128 bits.
    pub effective_gas_price: u128,
    /// EIP-4844 gas.
    pub blob_gas_used: u64,
}

/// An account that was loaded, with the slots that were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedAccount {
    /// Whose.
    pub address: Address,
    /// Loaded slots, in no order.
    pub slots: Vec<U256>,
}

/// One execution.
#[derive(Debug, Clone)]
pub struct TxExecution {
    /// The result, or why the transaction cannot be executed here. An invalid transaction changes
    /// nothing, yet what it read decides that it is invalid.
    pub outcome: Result<TxResult, InvalidTransaction>,
    /// True changes only, in no order; the beneficiary's fee is not among them.
    pub writes: Vec<AccountWrite>,
    /// Code that came into being.
    pub codes: Vec<(B256, Bytecode)>,
    /// What was seen beyond plain reads.
    pub observed: Observations,
    /// Every account and slot that was loaded; empty unless asked for by
    /// [`Evm::record_touched`].
    pub touched: Vec<TouchedAccount>,
}

/// A call to a system contract.
#[derive(Debug, Clone)]
pub(crate) struct SystemCall {
    /// Why it failed; `None` on success.
    pub(crate) halt: Option<String>,
    /// What it returned.
    pub(crate) output: Bytes,
    /// Its changes.
    pub(crate) writes: Vec<AccountWrite>,
    /// What it loaded, if that is recorded; the calling system address is not among it.
    pub(crate) touched: Vec<TouchedAccount>,
}

type Context<D> = RevmContext<BlockEnv, EvmTransaction, CfgEnv, D, Journal<D>, Chain>;
type Machine<D> = revm::context::Evm<
    Context<D>,
    (),
    EthInstructions<EthInterpreter, Context<D>>,
    Precompiles,
    EthFrame<EthInterpreter>,
>;

/// What the handler and the instructions keep beside revm's own context.
#[derive(Debug)]
pub(crate) struct Chain {
    rules: Rules,
    options: CallOptions,
    pub(crate) recorder: Recorder,
    preimages: Vec<Preimage>,
    stopped_at: Option<StoppedAt>,
    fee: U256,
    /// Several transactions share the journal: fees are credited in it, and accounts settled.
    pub(crate) keeps_journal: bool,
    /// The outermost frame is a call that found code, its own or a delegate's.
    runs_code: bool,
    /// Before refunds, at least the floor; of the last transaction.
    peak_gas: u64,
    /// Where logs are followed.
    trace: Option<Box<LogTrace>>,
    /// Where a transaction on a journal that is kept leaves which slots it used, if anybody asks.
    pub(crate) slots: Option<SlotTrace>,
    /// Where a tracer follows every step.
    inspection: Option<Box<Inspection>>,
    watch: Watch,
}

/// An EVM for one block and one database, made once per worker and block.
pub struct Evm<D: ExecutionDatabase> {
    pub(crate) machine: Machine<D>,
    base_fee: u64,
    records_touched: bool,
    spare: SpareLists,
}

impl<D: ExecutionDatabase> std::fmt::Debug for Evm<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Evm").field("rules", &self.machine.ctx.chain.rules).finish_non_exhaustive()
    }
}

/// Gas of a system call before Amsterdam, which adds a reservoir of state gas.
const SYSTEM_CALL_REGULAR_GAS: u64 = 30_000_000;

/// A journal map above this size is thrown away after the transaction: clearing and walking it
/// costs its capacity.
const KEPT_JOURNAL_CAPACITY: usize = 512;

impl<D: ExecutionDatabase> Evm<D> {
    /// An EVM under `rules` for transactions of `block`, reading from `db`.
    pub fn new(rules: &Rules, block: &BlockContext, db: D) -> Self {
        let spec = rules.spec_id;
        let mut cfg = environment::configuration(rules, block);
        let block = environment::block_environment(rules, block);
        let base_fee = block.basefee;
        let mut instruction = EthInstructions::new_mainnet_with_spec(spec);
        observations::install::<D>(instruction.instruction_table_mut());
        if rules.fork == Fork::Constantinople {
            cfg.set_gas_params(storage_metering::parameters(cfg.gas_params.clone()));
            storage_metering::install::<D>(instruction.instruction_table_mut());
        }
        if rules.is_amsterdam_draft() {
            amsterdam_draft::install::<D>(&mut instruction);
        }
        let precompiles = Precompiles::new(spec);
        let mut journaled_state = Journal::new(db);
        journaled_state.set_spec_id(spec);
        journaled_state.warm_precompiles(precompiles.warm());
        let ctx = RevmContext {
            block,
            tx: EvmTransaction::default(),
            cfg,
            journaled_state,
            chain: Chain {
                rules: *rules,
                options: CallOptions::TRANSACTION,
                recorder: Recorder::default(),
                preimages: Vec::new(),
                stopped_at: None,
                fee: U256::ZERO,
                keeps_journal: false,
                runs_code: false,
                peak_gas: 0,
                trace: None,
                slots: None,
                inspection: None,
                watch: Watch::default(),
            },
            local: LocalContext::default(),
            error: Ok(()),
        };
        let machine = Machine::<D> {
            ctx,
            inspector: (),
            instruction,
            precompiles,
            frame_stack: FrameStack::new_prealloc(8),
        };
        Self { machine, base_fee, records_touched: false, spare: SpareLists::default() }
    }

    /// Takes writes that nobody looks at any more back: the room of their lists serves the next ones.
    pub(crate) fn take_back(&mut self, writes: Vec<AccountWrite>) {
        self.spare.keep(writes);
    }

    /// Whether executions list what they loaded.
    pub fn record_touched(&mut self, record: bool) {
        self.records_touched = record;
    }

    /// Ends runs with [`StateError::Interrupted`] when one of these is reached. For calls and
    /// predictions, not for blocks.
    pub fn set_limit(&mut self, limit: Limit) {
        if limit.can_be_reached() {
            deadline::install::<D>(self.machine.instruction.instruction_table_mut());
        }
        self.machine.ctx.chain.watch = Watch::new(limit);
    }

    /// From now on what executions hash is kept, for [`Self::take_preimages`].
    pub fn record_preimages(&mut self) {
        preimages::install::<D>(self.machine.instruction.instruction_table_mut());
    }

    /// What the executions since the last call hashed, in order.
    pub fn take_preimages(&mut self) -> Vec<Preimage> {
        std::mem::take(&mut self.machine.ctx.chain.preimages)
    }

    /// Precompiles answer elsewhere from now on, or not at all. For simulations.
    pub(crate) fn move_precompiles(&mut self, moved: MovedPrecompiles) {
        self.machine.precompiles.set_moved(moved);
    }

    /// From now on logs are numbered, for [`Self::take_numbered_logs`], and moves of ether are told as logs
    /// if `tells_moves`. For simulations.
    pub(crate) fn trace_logs(&mut self, tells_moves: bool) {
        log_trace::install::<D>(self.machine.instruction.instruction_table_mut());
        self.machine.ctx.chain.trace = Some(Box::new(LogTrace::new(tells_moves)));
    }

    /// The logs of the last transaction with their numbers, moves of ether among them; in its result
    /// stay those that are real. They must be traced.
    pub(crate) fn take_numbered_logs(&mut self, result: &mut TxResult) -> Vec<NumberedLog> {
        let trace = self.machine.ctx.chain.trace.as_mut().expect("logs are traced");
        let (numbered, real) = trace.part(std::mem::take(&mut result.logs));
        result.logs = real;
        numbered
    }

    /// Gas that the last transaction used before refunds, at least the floor.
    pub(crate) fn peak_gas(&self) -> u64 {
        self.machine.ctx.chain.peak_gas
    }

    /// The database.
    pub fn db_mut(&mut self) -> &mut D {
        &mut self.machine.ctx.journaled_state.database
    }

    /// The database, at the end.
    pub fn into_db(self) -> D {
        self.machine.ctx.journaled_state.database
    }

    /// Executes a transaction of a block on what the database holds.
    ///
    /// Fails only if the database does; an invalid transaction is an outcome.
    pub fn execute(&mut self, tx: &RecoveredTransaction) -> Result<TxExecution, StateError> {
        self.call(tx, &CallOptions::TRANSACTION)
    }

    /// Executes a transaction, or a message that pretends to be one, under `options`.
    pub fn call(
        &mut self,
        tx: &RecoveredTransaction,
        options: &CallOptions,
    ) -> Result<TxExecution, StateError> {
        self.set_call(tx, *options);
        let run = self.run();
        let observed = self.machine.ctx.chain.recorder.take();
        let execution = match run {
            Err(Failure::State(error)) => Err(error),
            Err(Failure::Invalid(reason)) => Ok(self.refused(reason, observed)),
            Ok(result) => {
                let state = &self.machine.ctx.journaled_state.inner.state;
                // With the fee to come it is not empty when the transaction ends.
                let paid = (!result.fee.is_zero()).then_some(self.machine.ctx.block.beneficiary);
                let (writes, codes) =
                    writes::collect(state, self.machine.ctx.cfg.spec, paid, &mut self.spare);
                let touched = self.touched();
                Ok(TxExecution { outcome: Ok(result), writes, codes, observed, touched })
            }
        };
        self.clear_journal();
        execution
    }

    /// Calls a system contract as the system address: no fee, no nonce, no intrinsic gas.
    pub(crate) fn system_call(&mut self, contract: Address, input: Bytes) -> Result<SystemCall, StateError> {
        let context = &mut self.machine.ctx;
        let is_amsterdam = context.chain.rules.spec_id.is_enabled_in(SpecId::AMSTERDAM);
        context.tx = EvmTransaction {
            caller: SYSTEM_ADDRESS,
            to: Some(contract),
            input,
            gas_limit: if is_amsterdam { SYSTEM_CALL_GAS_LIMIT } else { SYSTEM_CALL_REGULAR_GAS },
            ..EvmTransaction::default()
        };
        let run = TransactionHandler::<D>::default().call_system(&mut self.machine);
        self.machine.ctx.chain.recorder.reset();
        let call = match run {
            Err(Failure::State(error)) => Err(error),
            Err(Failure::Invalid(reason)) => Err(StateError::Backend(reason.to_string())),
            Ok(result) => {
                let TxResult { halt, output, .. } = result;
                let state = &self.machine.ctx.journaled_state.inner.state;
                let (writes, _) = writes::collect(state, self.machine.ctx.cfg.spec, None, &mut self.spare);
                let mut touched = self.touched();
                touched.retain(|account| account.address != SYSTEM_ADDRESS);
                Ok(SystemCall { halt, output, writes, touched })
            }
        };
        self.clear_journal();
        call
    }

    fn refused(&self, reason: InvalidTransaction, observed: Observations) -> TxExecution {
        let touched = self.touched();
        TxExecution { outcome: Err(reason), writes: Vec::new(), codes: Vec::new(), observed, touched }
    }

    fn touched(&self) -> Vec<TouchedAccount> {
        if !self.records_touched {
            return Vec::new();
        }
        writes::touched(&self.machine.ctx.journaled_state.inner.state)
    }

    pub(crate) fn set_call(&mut self, tx: &RecoveredTransaction, options: CallOptions) {
        let context = &mut self.machine.ctx;
        context.tx.fill(tx, &context.chain.rules, &context.cfg.gas_params);
        if let Some(cap) = options.gas_cap.filter(|cap| *cap < context.tx.gas_limit) {
            context.tx.lower_gas_limit(cap);
        }
        context.chain.options = options;
        // revm cuts gas above the cap off where it should have been refused. A call is not refused.
        let is_capped = options.check_sender || context.chain.rules.fork >= Fork::Amsterdam;
        context.cfg.tx_gas_limit_cap = if is_capped { None } else { Some(u64::MAX) };
        let waives_fees = !options.check_base_fee && context.tx.max_fee_per_gas.is_zero();
        let hides_base_fee = waives_fees && !options.shows_base_fee;
        context.block.basefee = if hides_base_fee { 0 } else { self.base_fee };
        context.tx.set_price(context.block.basefee);
        context.chain.runs_code = false;
        if let (Some(price), Some(blobs)) =
            (options.blob_base_fee, &mut context.block.blob_excess_gas_and_price)
        {
            blobs.blob_gasprice = price;
        }
    }

    /// Runs the transaction that is set, on the journal as it is.
    pub(crate) fn run(&mut self) -> Result<TxResult, Failure> {
        TransactionHandler::<D>::default().transact(&mut self.machine)
    }

    fn clear_journal(&mut self) {
        let journal = &mut self.machine.ctx.journaled_state.inner;
        if journal.state.capacity() > KEPT_JOURNAL_CAPACITY {
            journal.state = Default::default();
        } else {
            journal.state.clear();
        }
        journal.transaction_id = TransactionId::ZERO;
        self.machine.ctx.error = Ok(());
    }
}

/// Whether an address may be a precompile's: those of all forks lie among the first addresses.
#[inline]
pub(crate) fn may_be_precompile(address: &Address) -> bool {
    address[..18].iter().all(|byte| *byte == 0)
}
