//! What an execution hashed: the way from an argument to the slot of a mapping.
//!
//! Only short inputs of whole words are kept, as Solidity and Vyper make them for mappings and
//! arrays, and only so many; recording is asked for by [`super::Evm::record_preimages`].

use revm::bytecode::opcode;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionExecResult, instructions};

use super::{Context, ExecutionDatabase};
use crate::primitives::U256;

/// Words of the longest input that is kept.
const MOST_WORDS: usize = 4;

/// Inputs kept of one execution; later ones are not.
const MOST_PREIMAGES: usize = 1_024;

const WORD: usize = 32;

/// One hashed input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preimage {
    /// Its hash.
    pub hash: U256,
    /// The words that were hashed, one after another.
    pub words: Vec<U256>,
}

/// Puts the recording KECCAK256 in place of the stock one.
pub(super) fn install<D: ExecutionDatabase>(table: &mut [Instruction<EthInterpreter, Context<D>>; 256]) {
    table[opcode::KECCAK256 as usize] = Instruction::new(keccak256);
}

fn keccak256<D: ExecutionDatabase>(
    frame: InstructionContext<'_, Context<D>, EthInterpreter>,
) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = frame;
    let place = place(interpreter.stack.peek(0).ok(), interpreter.stack.peek(1).ok());
    instructions::system::keccak256(InstructionContext { interpreter: &mut *interpreter, host })?;
    let preimages = &mut host.chain.preimages;
    if let Some((offset, length)) = place
        && preimages.len() < MOST_PREIMAGES
        && let Ok(hash) = interpreter.stack.peek(0)
    {
        // The stock instruction has made the memory at least this long.
        let input = interpreter.memory.slice_len(offset, length);
        let words = input.chunks_exact(WORD).map(U256::from_be_slice).collect();
        preimages.push(Preimage { hash, words });
    }
    Ok(())
}

/// Where an input lies in memory, if it is one to be kept.
fn place(offset: Option<U256>, length: Option<U256>) -> Option<(usize, usize)> {
    let length = usize::try_from(length?).ok()?;
    let is_kept = length > 0 && length.is_multiple_of(WORD) && length <= MOST_WORDS * WORD;
    Some((usize::try_from(offset?).ok().filter(|_| is_kept)?, length))
}
