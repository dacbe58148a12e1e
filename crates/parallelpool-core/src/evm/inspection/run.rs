//! The loop over frames and instructions of a watched execution: the handler's own, with a tracer told of it.

use revm::bytecode::opcode;
use revm::context_interface::context::ContextError;
use revm::context_interface::journaled_state::JournalTr;
use revm::context_interface::result::HaltReason;
use revm::handler::{EvmTr, FrameResult, ItemOrResult};
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::interpreter_types::{Jumps, LoopControl};
use revm::interpreter::{
    CallScheme, CallValue, CreateScheme, FrameInput, InstructionResult, InterpreterAction, SuccessOrHalt,
};

use super::charge::{Before, Charged};
use super::live::Live;
use super::{Charge, Enter, Exit, FailedStep, Inspection, Step, precompile_failure};
use crate::evm::failure::Failure;
use crate::evm::halt::{self, StoppedAt};
use crate::evm::handler::{begin_frame, note_where_it_stopped};
use crate::evm::{Context, ExecutionDatabase, Machine};
use crate::primitives::{Address, Bytes, U256};

/// Runs a transaction's frames, the first of them given.
pub(in crate::evm) fn exec_loop<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    first: FrameInit,
) -> Result<FrameResult, Failure> {
    let mut inspection = evm.ctx.chain.inspection.take().expect("whoever comes here has looked");
    let done = frames(evm, &mut inspection, first);
    evm.ctx.chain.inspection = Some(inspection);
    done
}

fn frames<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    inspection: &mut Inspection,
    first: FrameInit,
) -> Result<FrameResult, Failure> {
    let mut depths = Vec::new();
    if let Some(result) = begin(evm, inspection, first, &mut depths)? {
        return Ok(result);
    }
    loop {
        evm.ctx.chain.watch.step()?;
        let result = match run_frame(evm, inspection)? {
            ItemOrResult::Item(init) => match begin(evm, inspection, init, &mut depths)? {
                None => continue,
                Some(result) => result,
            },
            ItemOrResult::Result(result) => {
                note_where_it_stopped(evm, &result);
                let Begun { depth, gas } = depths.pop().expect("every frame that ends has begun");
                end(evm, inspection, depth, gas, &result);
                result
            }
        };
        if let Some(result) = evm.frame_return_result(result)? {
            return Ok(result);
        }
    }
}

/// A frame that runs.
struct Begun {
    depth: usize,
    gas: u64,
}

/// Begins a frame and tells of it; of its end too where that comes at once.
fn begin<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    inspection: &mut Inspection,
    init: FrameInit,
    running: &mut Vec<Begun>,
) -> Result<Option<FrameResult>, Failure> {
    let entered = entered(evm.ctx(), &init)?;
    inspection.tracer.enter(&entered);
    inspection.check()?;
    inspection.failed_at = None;
    let refund = match running.last() {
        Some(_) => refunded(evm, inspection),
        None => inspection.first_refund,
    };
    let done = begin_frame(evm, init)?;
    if done.as_ref().is_some_and(|result| result.instruction_result() == InstructionResult::PrecompileError) {
        let Enter { to, input, gas, .. } = &entered;
        let error = precompile_failure::words(&evm.precompiles, to, input, *gas);
        inspection.failed_at = Some(FailedStep { opcode: 0, stack: 0, error });
    }
    inspection.tell_logs(&evm.ctx.journaled_state.inner.logs);
    match &done {
        Some(result) => end(evm, inspection, entered.depth, entered.gas, result),
        None => {
            inspection.refunds.push(refund);
            running.push(Begun { depth: entered.depth, gas: entered.gas });
        }
    }
    Ok(done)
}

/// The counter as it stands in the running frame.
fn refunded<D: ExecutionDatabase>(evm: &mut Machine<D>, inspection: &Inspection) -> i64 {
    let around = inspection.refunds.last().copied().unwrap_or(inspection.first_refund);
    around + evm.frame_stack.get().interpreter.gas.refunded()
}

fn entered<D: ExecutionDatabase>(context: &mut Context<D>, init: &FrameInit) -> Result<Enter, Failure> {
    let depth = init.depth;
    Ok(match &init.frame_input {
        FrameInput::Call(inputs) => {
            let input = inputs.input.bytes(context);
            let value = match (inputs.scheme, &inputs.value) {
                (CallScheme::StaticCall, _) => None,
                (_, CallValue::Transfer(value) | CallValue::Apparent(value)) => Some(*value),
            };
            let (kind, from, to) = match inputs.scheme {
                CallScheme::Call => (opcode::CALL, inputs.caller, inputs.target_address),
                CallScheme::StaticCall => (opcode::STATICCALL, inputs.caller, inputs.target_address),
                CallScheme::CallCode => (opcode::CALLCODE, inputs.target_address, inputs.bytecode_address),
                CallScheme::DelegateCall => {
                    (opcode::DELEGATECALL, inputs.target_address, inputs.bytecode_address)
                }
            };
            Enter { depth, kind, from, to, input, gas: inputs.gas_limit, value }
        }
        FrameInput::Create(inputs) => {
            let from = inputs.caller();
            let nonce = context.journaled_state.load_account(from)?.data.info.nonce;
            let kind = match inputs.scheme() {
                CreateScheme::Create2 { .. } => opcode::CREATE2,
                CreateScheme::Create | CreateScheme::Custom { .. } => opcode::CREATE,
            };
            Enter {
                depth,
                kind,
                from,
                to: inputs.created_address(nonce),
                input: inputs.init_code().clone(),
                gas: inputs.gas_limit(),
                value: Some(inputs.value()),
            }
        }
        FrameInput::Empty => unreachable!("no instruction begins an empty frame"),
    })
}

/// Tells of a frame's end.
fn end<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    inspection: &mut Inspection,
    depth: usize,
    gas: u64,
    result: &FrameResult,
) {
    let words = failure(evm.ctx(), inspection, result);
    let outcome = result.interpreter_result();
    let is_kept = outcome.result.is_ok_or_revert();
    let gas_used = if is_kept { gas.saturating_sub(outcome.gas.remaining()) } else { gas };
    let reverted = words.is_some();
    inspection.failed_at = None;
    inspection.tracer.exit(&Exit { depth, output: outcome.output.clone(), gas_used, error: words, reverted });
}

/// geth's words for a frame's failure.
fn failure<D: ExecutionDatabase>(
    context: &mut Context<D>,
    inspection: &Inspection,
    result: &FrameResult,
) -> Option<String> {
    let outcome = result.interpreter_result();
    if outcome.result.is_ok() {
        return None;
    }
    if outcome.result == InstructionResult::Revert {
        return Some("execution reverted".into());
    }
    if let Some(error) = inspection.failed_at.as_ref().and_then(|step| step.error.clone()) {
        return Some(error);
    }
    let is_creation = matches!(result, FrameResult::Create(_));
    if is_creation && inspection.failed_at.is_none() && outcome.result == InstructionResult::OutOfGas {
        return Some("contract creation code storage out of gas".into());
    }
    if outcome.result == InstructionResult::CreateContractSizeLimit {
        let limit = context.cfg.limit_contract_code_size.unwrap_or(MAX_CODE_SIZE);
        let size = inspection.returned;
        return Some(format!("max code size exceeded: code size {size} limit {limit}"));
    }
    let at = inspection.failed_at.as_ref();
    let at = at.map(|step| StoppedAt { opcode: step.opcode, stack: step.stack });
    Some(match SuccessOrHalt::<HaltReason>::from(outcome.result) {
        SuccessOrHalt::Halt(reason) => halt::describe(&reason, at),
        _ => match outcome.result {
            InstructionResult::CallTooDeep => "max call depth exceeded".into(),
            InstructionResult::OutOfFunds => "insufficient balance for transfer".into(),
            _ => "execution reverted".into(),
        },
    })
}

/// EIP-170.
const MAX_CODE_SIZE: usize = 24_576;

/// Runs the frame on top until it ends or begins another.
fn run_frame<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    inspection: &mut Inspection,
) -> Result<ItemOrResult<FrameInit, FrameResult>, Failure> {
    let action = loop {
        if let Some(action) = step(evm, inspection)? {
            break action;
        }
    };
    if let InterpreterAction::Return(result) = &action {
        inspection.refunds.pop();
        inspection.returned = result.output.len();
    }
    let frame = evm.frame_stack.get();
    let next = frame.process_next_action::<_, Failure>(&mut evm.ctx, action)?;
    if next.is_result() {
        frame.set_finished(true);
    }
    Ok(next)
}

/// Runs one instruction. What it hands over, if it is the last one for now.
fn step<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    inspection: &mut Inspection,
) -> Result<Option<InterpreterAction>, Failure> {
    evm.ctx.chain.watch.step()?;
    let around = inspection.refunds.last().copied().unwrap_or_default();
    let frame = evm.frame_stack.get();
    let depth = frame.depth + 1;
    let interpreter = &mut frame.interpreter;
    let code = interpreter.bytecode.opcode();
    let before = Before::of(interpreter, &mut Live(&mut evm.ctx), code)?;
    let wants_steps = inspection.tracer.wants_steps();
    if wants_steps {
        let memory = interpreter.memory.slice_len(0, interpreter.memory.len());
        let step = Step {
            pc: interpreter.bytecode.pc(),
            opcode: code,
            gas: before.gas,
            depth,
            contract: before.contract,
            stack: interpreter.stack.data(),
            memory: &memory,
            return_data: &interpreter.return_data.0,
        };
        inspection.tracer.step(&step, &mut Live(&mut evm.ctx))?;
    }
    let destroyed = (code == opcode::SELFDESTRUCT).then(|| {
        let balance = evm.ctx.journaled_state.inner.state.get(&before.contract);
        balance.map_or(U256::ZERO, |account| account.info.balance)
    });
    let table = &evm.instruction;
    let outcome = interpreter.step(table.instruction_table(), table.gas_table(), &mut evm.ctx);
    if let (Err(ContextError::Db(_)), _) | (_, Err(InstructionResult::FatalExternalError)) =
        (&evm.ctx.error, &outcome)
    {
        revm::context_interface::context::take_error::<Failure, _>(&mut evm.ctx.error)?;
    }
    if let Err(reason) = outcome
        && interpreter.bytecode.action().is_none()
    {
        interpreter.halt(reason);
    }
    let failed = outcome.err().filter(|reason| reason.is_halt());
    let charged = match failed {
        None => Charged::begun(before.paid(interpreter)),
        Some(reason) => before.charge_of_failure(reason, table.gas_table(), &mut Live(&mut evm.ctx))?,
    };
    if wants_steps {
        let Charged { cost, error, refund, .. } = charged.clone();
        let refund = u64::try_from(around + interpreter.gas.refunded() + refund).unwrap_or_default();
        inspection.tracer.charged(&Charge { cost, error, refund });
        inspection.check()?;
    }
    if failed.is_some() {
        let stack = before.stack_length;
        inspection.failed_at =
            Some(FailedStep { opcode: code, stack, error: charged.error.or(charged.failure) });
    }
    let is_over = interpreter.bytecode.is_end();
    let action = is_over.then(|| interpreter.take_next_action());
    inspection.tell_logs(&evm.ctx.journaled_state.inner.logs);
    if let (Some(balance), Err(InstructionResult::SelfDestruct)) = (destroyed, outcome) {
        tell_destruction(inspection, depth, &before, balance);
    }
    Ok(action)
}

/// A destruction is told as a frame that is over at once.
fn tell_destruction(inspection: &mut Inspection, depth: usize, before: &Before, balance: U256) {
    let heir = Address::from_word(before.top[0].into());
    inspection.tracer.enter(&Enter {
        depth,
        kind: opcode::SELFDESTRUCT,
        from: before.contract,
        to: heir,
        input: Bytes::new(),
        gas: 0,
        value: Some(balance),
    });
    let exit = Exit { depth, output: Bytes::new(), gas_used: 0, error: None, reverted: false };
    inspection.tracer.exit(&exit);
}
