//! Ending a run that takes too long: calls whose gas nothing caps.
//!
//! Whatever takes long passes a JUMPDEST or begins a frame again and again, so time is looked at
//! there, now and then. Transactions of blocks have no deadline and the stock instruction.

use std::time::Instant;

use revm::bytecode::opcode;
use revm::context_interface::context::ContextError;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{
    Instruction, InstructionContext, InstructionExecResult, InstructionResult, instructions,
};

use super::{Context, ExecutionDatabase};
use crate::error::StateError;

/// Looks at the clock are this many steps apart.
const STEPS: u32 = 256;

/// The time at which a run ends, if one is set.
#[derive(Debug, Default)]
pub(super) struct Watch {
    deadline: Option<Instant>,
    steps: u32,
}

impl Watch {
    pub(super) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, steps: 0 }
    }

    /// Counts a step; fails when the time is over.
    pub(super) fn step(&mut self) -> Result<(), StateError> {
        let Some(deadline) = self.deadline else { return Ok(()) };
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS) && Instant::now() >= deadline {
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
