//! Ending a run that takes too long, or that stands in the way: calls whose gas nothing caps, and
//! predictions.
//!
//! Whatever takes long passes a JUMPDEST or begins a frame again and again, so time is looked at
//! there, now and then. Transactions of blocks have no deadline and the stock instruction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use revm::bytecode::opcode;
use revm::context_interface::context::ContextError;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    Instruction, InstructionContext, InstructionExecResult, InstructionResult, instructions,
};

use super::{Context, ExecutionDatabase};
use crate::error::StateError;
use crate::workers::Outranked;

/// Looks at the clock are this many steps apart.
const STEPS: u32 = 256;

/// When runs end before they are done.
#[derive(Debug, Clone, Default)]
pub struct Limit {
    /// At this moment.
    pub deadline: Option<Instant>,
    /// As soon as this work has to give way.
    pub outranked: Option<Outranked>,
    /// As soon as nobody waits for it any more.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Limit {
    pub(super) fn can_be_reached(&self) -> bool {
        self.deadline.is_some() || self.outranked.is_some() || self.cancelled.is_some()
    }

    fn is_reached(&self) -> bool {
        self.outranked.as_ref().is_some_and(Outranked::is_now)
            || self.cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Looks at the limit now and then, if there is one.
#[derive(Debug, Default)]
pub(super) struct Watch {
    limit: Option<Limit>,
    steps: u32,
}

impl Watch {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit: limit.can_be_reached().then_some(limit), steps: 0 }
    }

    /// Counts a step; fails when the limit is reached.
    pub(super) fn step(&mut self) -> Result<(), StateError> {
        let Some(limit) = &self.limit else { return Ok(()) };
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS) && limit.is_reached() {
            return Err(StateError::Interrupted);
        }
        Ok(())
    }
}

/// Puts the watching JUMPDEST in place of the stock one.
pub(super) fn install<D: ExecutionDatabase>(table: &mut [Instruction<EthInterpreter, Context<D>>; 256]) {
    table[opcode::JUMPDEST as usize] = Instruction::new(jump_destination);
}

fn jump_destination<D: ExecutionDatabase>(
    frame: InstructionContext<'_, Context<D>, EthInterpreter>,
) -> InstructionExecResult {
    if let Err(error) = frame.host.chain.watch.step() {
        frame.host.error = Err(ContextError::Db(error));
        return Err(InstructionResult::FatalExternalError);
    }
    instructions::control::jumpdest(frame)
}
