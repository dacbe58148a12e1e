//! Executions that are watched step by step, for tracers.
//!
//! In: a [`Tracer`] that an EVM is given for its next transactions. Out: to the tracer, every frame, step
//! and log, in the order and with the figures in which geth tells its tracers of them (core/tracing/hooks.go).
//! A watched execution runs the same instructions in the same handler as any other, so it has the same
//! result; one that is not watched never comes here.

mod charge;
mod live;
mod precompile_failure;
mod run;

use std::any::Any;
use std::fmt::Debug;

use super::{Evm, ExecutionDatabase};
use crate::error::StateError;
use crate::primitives::{Address, Bytes, Log, U256};
use crate::state::{Account, StateView};
use crate::tx::RecoveredTransaction;

pub(crate) use super::halt::name_of;
pub(super) use run::exec_loop;

/// What comes into being when a frame begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enter {
    /// Frames around it.
    pub(crate) depth: usize,
    /// The opcode that begins it; the outermost is a CALL or CREATE.
    pub(crate) kind: u8,
    /// Who calls, creates or destroys itself.
    pub(crate) from: Address,
    /// Whose code runs, where it is created, or the heir.
    pub(crate) to: Address,
    /// Calldata or init code.
    pub(crate) input: Bytes,
    /// Gas it has.
    pub(crate) gas: u64,
    /// Wei; `None` for what cannot have any.
    pub(crate) value: Option<U256>,
}

/// What a frame ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Frames around it.
    pub(crate) depth: usize,
    /// Return or revert data, or the code of a created contract.
    pub(crate) output: Bytes,
    /// Gas it took away.
    pub(crate) gas_used: u64,
    /// geth's words for its failure.
    pub(crate) error: Option<String>,
    /// Whether it took its changes back. Before Homestead a creation may fail without that.
    pub(crate) reverted: bool,
}

/// Where the machine stands before an instruction.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// Place in the code.
    pub(crate) pc: usize,
    /// The instruction.
    pub(crate) opcode: u8,
    /// Gas left before it.
    pub(crate) gas: u64,
    /// Frames around it and its own: the outermost has 1.
    pub(crate) depth: usize,
    /// Whose storage it is about.
    pub(crate) contract: Address,
    /// The top is last.
    pub(crate) stack: &'a [U256],
    /// Before it grows.
    pub(crate) memory: &'a [u8],
    /// What the last call returned.
    pub(crate) return_data: &'a [u8],
}

/// What an instruction cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Gas. For calls with what is handed on, for creations without.
    pub(crate) cost: u64,
    /// geth's words where it could not be begun; `None` where it was, even if it failed then.
    pub(crate) error: Option<String>,
    /// The refund counter of the whole transaction.
    pub(crate) refund: u64,
}

/// The state in the middle of a transaction. Reading it leaves no trace.
pub(crate) trait LiveState {
    /// The account as it is now.
    fn account(&mut self, address: Address) -> Result<Option<Account>, StateError>;
    /// Its code, a delegation as such.
    fn code(&mut self, address: Address) -> Result<Bytes, StateError>;
    /// A slot as it is now.
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError>;
}

/// Follows one transaction. All of its hooks are called in the order in which things happen.
pub(crate) trait Tracer: Any + Debug + Send {
    /// Before anything is checked or charged.
    fn start(&mut self, _tx: &RecoveredTransaction, _state: &dyn StateView) -> Result<(), StateError> {
        Ok(())
    }

    /// Whether it wants to know of steps: they cost time.
    fn wants_steps(&self) -> bool {
        false
    }

    /// A frame begins.
    fn enter(&mut self, _frame: &Enter) {}

    /// A frame ends.
    fn exit(&mut self, _frame: &Exit) {}

    /// An instruction is about to run. `charged` follows before anything else.
    fn step(&mut self, _step: &Step<'_>, _state: &mut dyn LiveState) -> Result<(), StateError> {
        Ok(())
    }

    /// It ran, or it could not.
    fn charged(&mut self, _charge: &Charge) {}

    /// A log was written; `index` counts from the first of the block.
    fn log(&mut self, _log: &Log, _index: u64) {}

    /// It holds as much as it may: the run ends.
    fn is_full(&self) -> bool {
        false
    }

    /// The transaction is over, its fee paid.
    fn end(&mut self, _gas_used: u64, _state: &dyn StateView) -> Result<(), StateError> {
        Ok(())
    }
}

/// A tracer at work.
#[derive(Debug)]
pub(crate) struct Inspection {
    tracer: Box<dyn Tracer>,
    /// Logs of the block before this transaction.
    logs_before: u64,
    /// Logs of the transaction that the tracer knows of, as far as they still stand.
    known_logs: usize,
    /// Refunds of all frames around the running one.
    refunds: Vec<i64>,
    /// Refund from before the first frame.
    first_refund: i64,
    /// The step at which the running frame failed.
    failed_at: Option<FailedStep>,
    /// Length of the code that a creation returned last.
    returned: usize,
}

/// Why a frame's last step failed.
#[derive(Debug, Clone)]
struct FailedStep {
    opcode: u8,
    stack: usize,
    error: Option<String>,
}

impl Inspection {
    fn new(tracer: Box<dyn Tracer>, logs_before: u64) -> Self {
        Self {
            tracer,
            logs_before,
            known_logs: 0,
            refunds: Vec::new(),
            first_refund: 0,
            failed_at: None,
            returned: 0,
        }
    }

    /// Refund that is due before the first frame runs (EIP-7702).
    pub(super) fn begin_with_refund(&mut self, refund: u64) {
        self.first_refund = i64::try_from(refund).unwrap_or(i64::MAX);
    }

    /// Tells of logs that are new.
    fn tell_logs(&mut self, logs: &[Log]) {
        self.known_logs = self.known_logs.min(logs.len());
        for (index, log) in logs.iter().enumerate().skip(self.known_logs) {
            self.tracer.log(log, self.logs_before + index as u64);
        }
        self.known_logs = logs.len();
    }

    /// Ends the run of a tracer that holds as much as it may.
    fn check(&self) -> Result<(), StateError> {
        if self.tracer.is_full() { Err(StateError::Interrupted) } else { Ok(()) }
    }
}

impl<D: ExecutionDatabase> Evm<D> {
    /// The next transaction is followed by this tracer. So many logs stand before it in its block.
    pub(crate) fn inspect(&mut self, tracer: Box<dyn Tracer>, logs_before: u64) {
        self.machine.ctx.chain.inspection = Some(Box::new(Inspection::new(tracer, logs_before)));
    }

    /// The tracer; transactions are not followed any more.
    pub(crate) fn take_tracer(&mut self) -> Box<dyn Tracer> {
        let inspection = self.machine.ctx.chain.inspection.take();
        inspection.expect("a tracer was given").tracer
    }
}
