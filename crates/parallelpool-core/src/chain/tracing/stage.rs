//! The state on which transactions of one block are run again, one after the other.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::TraceEnd;
use super::order::{AnyTracer, TraceOrder};
use super::place::Place;
use super::text::Text;
use crate::block::{BlockContext, InvalidTransaction};
use crate::chainspec::{ChainSpec, Rules};
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{CallOptions, Evm, Limit, MovedPrecompiles, TxExecution, TxResult};
use crate::primitives::Address;
use crate::state::StateView;
use crate::state::overlay::Overlay;
use crate::system;
use crate::tx::RecoveredTransaction;

type State = Overlay<Arc<dyn StateView>>;

/// An EVM that keeps what its transactions changed.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) rules: Rules,
    beneficiary: Address,
    evm: Evm<ViewDatabase<State>>,
    options: CallOptions,
    /// Logs so far.
    logs: u64,
}

impl Stage {
    /// For the transactions of a block, on its parent's state: the system calls before them are made.
    pub(super) fn of_block(
        spec: &ChainSpec,
        rules: &Rules,
        block: &BlockContext,
        mut state: State,
    ) -> Result<Self, CoreError> {
        system::before_transactions(spec, rules, block, &mut state, &mut None)?;
        let moved = MovedPrecompiles::new();
        Ok(Self::of_message(rules, block, state, moved, CallOptions::TRANSACTION))
    }

    /// For a message, on a state as it is.
    pub(super) fn of_message(
        rules: &Rules,
        block: &BlockContext,
        state: State,
        moved: MovedPrecompiles,
        options: CallOptions,
    ) -> Self {
        let mut evm = Evm::new(rules, block, ViewDatabase(state));
        evm.move_precompiles(moved);
        Self { rules: *rules, beneficiary: block.beneficiary, evm, options, logs: 0 }
    }

    /// The state as the last transaction left it.
    pub(super) fn into_state(self) -> State {
        self.evm.into_db().0
    }

    /// Runs a transaction without telling of it.
    pub(super) fn run(&mut self, tx: &RecoveredTransaction, order: &TraceOrder) -> Result<(), TraceEnd> {
        self.evm.set_limit(Limit { cancelled: Some(order.cancelled.clone()), ..Limit::default() });
        let execution = self.evm.call(tx, &self.options).map_err(|error| stopped(error, order))?;
        let applied = self.apply(execution)?;
        applied
            .map_err(|reason| TraceEnd::Refused(format!("transaction {} failed: {reason}", tx.tx.hash)))?;
        Ok(())
    }

    /// Runs a transaction and writes what its tracer has to tell.
    pub(super) fn trace(
        &mut self,
        tx: &RecoveredTransaction,
        place: &Place,
        order: &TraceOrder,
        text: &mut Text,
    ) -> Result<(), TraceEnd> {
        self.trace_as(tx, place, order, text, |reason| reason)
    }

    /// The same, with other words for a transaction that cannot be applied.
    pub(super) fn trace_as(
        &mut self,
        tx: &RecoveredTransaction,
        place: &Place,
        order: &TraceOrder,
        text: &mut Text,
        in_words: impl FnOnce(InvalidTransaction) -> InvalidTransaction,
    ) -> Result<(), TraceEnd> {
        let mut tracer = order.tracer.make(place, self.beneficiary, order.text_limit);
        tracer.start(tx, &self.evm.db_mut().0)?;
        self.evm.set_limit(Limit {
            deadline: Instant::now().checked_add(order.timeout),
            cancelled: Some(order.cancelled.clone()),
            ..Limit::default()
        });
        self.evm.inspect(Box::new(AnyTracer(tracer)), self.logs);
        let run = self.evm.call(tx, &self.options);
        let tracer: Box<dyn Any> = self.evm.take_tracer();
        let AnyTracer(mut tracer) = *tracer.downcast().expect("it is the one that was given");
        let execution = match run {
            Err(StateError::Interrupted) if tracer.is_full() => return Err(too_large(order)),
            run => run.map_err(|error| stopped(error, order))?,
        };
        let applied = self.apply(execution)?;
        let result =
            applied.map_err(|reason| TraceEnd::Refused(format!("tracing failed: {}", in_words(reason))))?;
        tracer.end(result.gas_used, &self.evm.db_mut().0)?;
        tracer.write(place, text);
        if text.is_full() { Err(too_large(order)) } else { Ok(()) }
    }

    /// Takes over what a transaction changed.
    fn apply(&mut self, execution: TxExecution) -> Result<Result<TxResult, InvalidTransaction>, StateError> {
        let result = match execution.outcome {
            Ok(result) => result,
            Err(reason) => return Ok(Err(reason)),
        };
        let state = &mut self.evm.db_mut().0;
        state.write(&execution.writes, execution.codes)?;
        if !result.beneficiary_destroyed {
            state.credit(self.beneficiary, result.fee, self.rules.spec_id)?;
        }
        self.logs += result.logs.len() as u64;
        Ok(Ok(result))
    }
}

/// Why a run ended in the middle.
fn stopped(error: StateError, order: &TraceOrder) -> TraceEnd {
    match error {
        StateError::Interrupted if order.cancelled.load(Ordering::Relaxed) => {
            TraceEnd::Failed(CoreError::Aborted("nobody waits for the trace any more".into()))
        }
        StateError::Interrupted => TraceEnd::refused("execution timeout"),
        other => TraceEnd::Failed(other.into()),
    }
}

fn too_large(order: &TraceOrder) -> TraceEnd {
    TraceEnd::Refused(format!("trace is larger than {} bytes", order.text_limit))
}
