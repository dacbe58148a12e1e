//! Logs as simulations tell them: with geth's numbers, and with moves of ether among them.
//!
//! geth counts every log when it is written, also those of frames that fail later, so numbers have
//! gaps. A move of ether is told as an ERC-20 transfer of the token 0xeeee… (ERC-7528): the value of
//! transaction, call and creation, and what a self-destruct hands on. Such a log stands in the
//! journal like a real one, so that a revert takes both away, and is taken out at the end.

use alloy_primitives::{address, b256};
use revm::bytecode::opcode;
use revm::context_interface::journaled_state::JournalTr;
use revm::handler::{EvmTr, FrameResult};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{
    CallScheme, FrameInput, Instruction, InstructionContext, InstructionExecResult, InstructionResult,
    instructions,
};

use super::{Context, ExecutionDatabase, Machine, observations};
use crate::primitives::{Address, B256, Log, U256};

/// Stands for ether (ERC-7528).
const ETHER: Address = address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");
/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A log and its number in the block.
pub type NumberedLog = (u64, Log);

/// What is known of each log in the journal.
#[derive(Debug, Clone, Copy)]
struct Mark {
    number: u64,
    is_move: bool,
}

/// Follows the logs of a block's transactions.
#[derive(Debug, Default)]
pub(crate) struct LogTrace {
    tells_moves: bool,
    /// One per log of the journal, in its order.
    marks: Vec<Mark>,
    written: u64,
}

impl LogTrace {
    pub(super) fn new(tells_moves: bool) -> Self {
        Self { tells_moves, ..Self::default() }
    }

    /// The journal has so many logs, the last of them new. Reverts are noticed only now.
    fn note(&mut self, logs: usize, is_move: bool) {
        self.marks.truncate(logs - 1);
        while self.marks.len() < logs {
            self.marks.push(Mark { number: self.written, is_move });
            self.written += 1;
        }
    }

    /// Parts what a transaction left: all logs with their numbers, and those that are real.
    pub(super) fn part(&mut self, logs: Vec<Log>) -> (Vec<NumberedLog>, Vec<Log>) {
        if logs.len() > self.marks.len() {
            self.note(logs.len(), false);
        }
        let marks = std::mem::take(&mut self.marks);
        let real = marks.iter().zip(&logs).filter(|(mark, _)| !mark.is_move).map(|(_, log)| log.clone());
        let real = real.collect();
        (marks.iter().map(|mark| mark.number).zip(logs).collect(), real)
    }
}

/// A move of ether that a frame begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameValue {
    from: Address,
    /// `None` for a creation, whose address is known once it has begun.
    to: Option<Address>,
    value: U256,
}

impl FrameValue {
    /// What a frame will move, if that is to be told.
    pub(super) fn of(trace: Option<&LogTrace>, init: &FrameInit) -> Option<Self> {
        if !trace?.tells_moves {
            return None;
        }
        let moved = match &init.frame_input {
            FrameInput::Call(inputs) if inputs.scheme == CallScheme::Call => {
                Self { from: inputs.caller, to: Some(inputs.target_address), value: inputs.transfer_value()? }
            }
            FrameInput::Create(inputs) => Self { from: inputs.caller(), to: None, value: inputs.value() },
            FrameInput::Call(_) | FrameInput::Empty => return None,
        };
        (!moved.value.is_zero()).then_some(moved)
    }

    /// The frame has begun.
    pub(super) fn tell<D: ExecutionDatabase>(self, evm: &mut Machine<D>) {
        let created = || evm.frame_stack.get().interpreter.input.target_address;
        let to = self.to.unwrap_or_else(created);
        tell_move(evm.ctx(), self.from, to, self.value);
    }

    /// The frame was over as soon as it began. If it failed the move has its number all the same.
    pub(super) fn tell_result<D: ExecutionDatabase>(self, context: &mut Context<D>, result: &FrameResult) {
        if !result.instruction_result().is_ok() {
            if let Some(trace) = &mut context.chain.trace {
                trace.written += 1;
            }
            return;
        }
        let created = match result {
            FrameResult::Create(outcome) => outcome.address,
            FrameResult::Call(_) => None,
        };
        if let Some(to) = self.to.or(created) {
            tell_move(context, self.from, to, self.value);
        }
    }
}

fn tell_move<D: ExecutionDatabase>(context: &mut Context<D>, from: Address, to: Address, value: U256) {
    let topics = vec![TRANSFER, from.into_word(), to.into_word()];
    let data = value.to_be_bytes_vec().into();
    context.journaled_state.log(Log::new_unchecked(ETHER, topics, data));
    note(context, true);
}

fn note<D: ExecutionDatabase>(context: &mut Context<D>, is_move: bool) {
    let logs = context.journaled_state.inner.logs.len();
    if let Some(trace) = &mut context.chain.trace {
        trace.note(logs, is_move);
    }
}

type Frame<'a, D> = InstructionContext<'a, Context<D>, EthInterpreter>;

/// Puts the telling instructions in place of the stock ones.
pub(super) fn install<D: ExecutionDatabase>(table: &mut [Instruction<EthInterpreter, Context<D>>; 256]) {
    let mut replace = |code: u8, instruction| table[code as usize] = Instruction::new(instruction);
    replace(opcode::LOG0, log::<0, D>);
    replace(opcode::LOG1, log::<1, D>);
    replace(opcode::LOG2, log::<2, D>);
    replace(opcode::LOG3, log::<3, D>);
    replace(opcode::LOG4, log::<4, D>);
    replace(opcode::SELFDESTRUCT, self_destruct);
}

fn log<const TOPICS: usize, D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    let Frame { interpreter, host } = frame;
    instructions::host::log::<TOPICS, _>(Frame { interpreter, host: &mut *host })?;
    note(host, false);
    Ok(())
}

fn self_destruct<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    let contract = frame.interpreter.input.target_address;
    let heir = observations::address_at(&frame, 0);
    let Frame { interpreter, host } = frame;
    let account = host.journaled_state.inner.state.get(&contract);
    let balance = account.map_or(U256::ZERO, |account| account.info.balance);
    let result = observations::self_destruct(Frame { interpreter, host: &mut *host });
    let tells_moves = host.chain.trace.as_ref().is_some_and(|trace| trace.tells_moves);
    if let (true, Err(InstructionResult::SelfDestruct), Some(heir)) = (tells_moves, &result, heir)
        && !balance.is_zero()
    {
        tell_move(host, contract, heir, balance);
    }
    result
}
