//! The one handler behind every execution: revm's phases with our validation and fee accounting.
//!
//! Four things differ from the stock handler: validation is ours (geth's order and words, 256-bit
//! amounts, charges over the whole data), the beneficiary's fee is counted and only credited on
//! demand, frames are watched for balance observations, and a creation collides with an account
//! that has storage (EIP-7610).

use std::marker::PhantomData;

use revm::context_interface::context::take_error;
use revm::context_interface::journaled_state::JournalTr;
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::result::{HaltReason, ResultGas};
use revm::handler::{EvmTr, FrameResult, FrameTr, Handler, ItemOrResult, post_execution};
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{
    CallValue, CreateOutcome, FrameInput, Gas, InitialAndFloorGas, InstructionResult, InterpreterResult,
};
use revm::primitives::constants::CALL_STACK_LIMIT;

use super::failure::Failure;
use super::halt::StoppedAt;
use super::{Context, ExecutionDatabase, Machine, block_run, validation};
use crate::chainspec::Fork;
use crate::primitives::{Address, Bytes, KECCAK_EMPTY, U256};
use crate::tx::charges::earned_per_gas;
use crate::tx::validity::fee;

/// Runs one transaction, or one system call, on a machine.
pub(super) struct TransactionHandler<D>(PhantomData<fn() -> D>);

impl<D> Default for TransactionHandler<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: ExecutionDatabase> Handler for TransactionHandler<D> {
    type Evm = Machine<D>;
    type Error = Failure;
    type HaltReason = HaltReason;

    fn validate(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, Failure> {
        validation::validate_and_deduct(evm.ctx())
    }

    fn apply_eip7702_auth_list(
        &self,
        evm: &mut Self::Evm,
        gas: &mut revm::interpreter::GasTracker,
    ) -> Result<Option<u64>, Failure> {
        let context = evm.ctx();
        for authority in context.tx.authorizations.iter().filter_map(|signed| signed.authority) {
            // Whether the account exists decides a refund.
            context.chain.recorder.emptiness(authority);
            context.chain.recorder.whole(authority);
        }
        let is_draft = context.chain.rules.is_amsterdam_draft();
        let refund = revm::handler::pre_execution::apply_eip7702_auth_list::<_, Failure>(context, gas)?;
        if let (true, Some(existing)) = (is_draft, refund) {
            let unused = existing * context.cfg.gas_params.new_account_state_gas();
            gas.set_reservoir(gas.reservoir() + unused);
            return Ok(Some(0));
        }
        Ok(refund)
    }

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Failure> {
        evm.ctx.chain.stopped_at = None;
        if let Some(result) = init_frame(evm, first)? {
            return Ok(result);
        }
        loop {
            evm.ctx.chain.watch.step()?;
            let result = match evm.frame_run()? {
                ItemOrResult::Item(init) => match init_frame(evm, init)? {
                    None => continue,
                    Some(result) => result,
                },
                ItemOrResult::Result(result) => {
                    note_where_it_stopped(evm, &result);
                    result
                }
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }

    fn reimburse_caller(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Failure> {
        let context = evm.ctx();
        let gas = result.gas();
        let unused = gas.remaining() + gas.reservoir() + gas.refunded() as u64;
        if unused == 0 {
            return Ok(());
        }
        let price = context.tx.effective_gas_price(context.block.basefee);
        let amount = fee(price, unused).expect("at most what was deducted before");
        context.journaled_state.load_account_mut(context.tx.caller)?.data.incr_balance(amount);
        Ok(())
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Failure> {
        let context = evm.ctx();
        let price = context.tx.effective_gas_price(context.block.basefee);
        let earned = earned_per_gas(&context.chain.rules, price, U256::from(context.block.basefee));
        let gas = result.gas();
        let used = gas.used().saturating_sub(gas.reservoir());
        context.chain.fee = fee(earned, used).expect("at most what was deducted before");
        if context.chain.keeps_journal {
            let beneficiary = context.block.beneficiary;
            let earned = context.chain.fee;
            context.journaled_state.load_account_mut(beneficiary)?.data.incr_balance(earned);
        }
        Ok(())
    }

    fn execution_result(
        &mut self,
        evm: &mut Self::Evm,
        result: FrameResult,
        gas: ResultGas,
    ) -> Result<revm::context_interface::result::ExecutionResult<HaltReason>, Failure> {
        take_error::<Failure, _>(&mut evm.ctx.error)?;
        let outcome = post_execution::output(evm.ctx(), result, gas);
        let context = evm.ctx();
        // Later the flag would be gone: `commit_tx` does not touch it, but the next load does.
        context.chain.beneficiary_destroyed = context
            .journaled_state
            .state
            .get(&context.block.beneficiary)
            .is_some_and(|account| account.is_selfdestructed_locally());
        if context.chain.keeps_journal {
            block_run::settle(context);
        }
        context.journaled_state.commit_tx();
        revm::context_interface::LocalContextTr::clear(&mut context.local);
        evm.frame_stack().clear();
        Ok(outcome)
    }
}

/// Begins a frame. Returns the result where it ended at once (precompile, no code, refusal).
fn init_frame<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    init: FrameInit,
) -> Result<Option<FrameResult>, Failure> {
    let transfer = InternalTransfer::of(&init);
    if let Some(transfer) = transfer {
        evm.ctx.chain.recorder.outflow(transfer.sender, transfer.value);
    }
    if let Some(collision) = storage_collision(evm.ctx(), &init)? {
        return Ok(Some(collision));
    }
    let call = ValueCall::of(&init);
    let result = match evm.frame_init(init)? {
        ItemOrResult::Item(_) => return Ok(None),
        ItemOrResult::Result(result) => result,
    };
    match (result.instruction_result(), transfer, call) {
        (InstructionResult::OutOfFunds, Some(transfer), _) => {
            evm.ctx.chain.recorder.balance(transfer.sender);
        }
        (InstructionResult::OverflowPayment, _, Some(call)) => call.give_back(evm.ctx()),
        _ => {}
    }
    Ok(Some(result))
}

/// A call with value.
#[derive(Clone, Copy)]
struct ValueCall {
    sender: Address,
    recipient: Address,
    value: U256,
}

impl ValueCall {
    fn of(init: &FrameInit) -> Option<Self> {
        let FrameInput::Call(inputs) = &init.frame_input else { return None };
        let CallValue::Transfer(value) = inputs.value else { return None };
        Some(Self { sender: inputs.caller, recipient: inputs.target_address, value })
    }

    /// The recipient could not hold the value. revm has taken it from the sender by then and keeps no
    /// note of that, so whether it is lost would depend on what else touches the sender.
    fn give_back<D: ExecutionDatabase>(self, context: &mut Context<D>) {
        context.chain.recorder.balance(self.recipient);
        if let Some(sender) = context.journaled_state.inner.state.get_mut(&self.sender) {
            sender.info.balance += self.value;
        }
    }
}

/// Value that a contract sends. The outermost frame's value is the sender's affair: its funds
/// were checked before.
#[derive(Clone, Copy)]
struct InternalTransfer {
    sender: Address,
    value: U256,
}

impl InternalTransfer {
    fn of(init: &FrameInit) -> Option<Self> {
        let (sender, value) = match &init.frame_input {
            FrameInput::Call(inputs) => match inputs.value {
                CallValue::Transfer(value) => (inputs.caller, value),
                CallValue::Apparent(_) => return None,
            },
            FrameInput::Create(inputs) => (inputs.caller(), inputs.value()),
            FrameInput::Empty => return None,
        };
        (init.depth > 0 && !value.is_zero()).then_some(Self { sender, value })
    }
}

/// EIP-7610: a creation fails on an account that has storage, though it has neither nonce nor
/// code. revm knows nothing of this rule, so the collision is played here as revm would play
/// one: nonce of the creator raised, target warm, all gas gone.
fn storage_collision<D: ExecutionDatabase>(
    context: &mut Context<D>,
    init: &FrameInit,
) -> Result<Option<FrameResult>, Failure> {
    let FrameInput::Create(inputs) = &init.frame_input else { return Ok(None) };
    if init.depth > CALL_STACK_LIMIT as usize {
        return Ok(None);
    }
    if init.depth > 0 {
        context.chain.recorder.whole(inputs.caller());
    }
    let creator = context.journaled_state.load_account(inputs.caller())?.data;
    if creator.info.balance < inputs.value() || creator.info.nonce == u64::MAX {
        return Ok(None);
    }
    let target = inputs.created_address(creator.info.nonce);
    context.chain.recorder.whole(target);
    if context.chain.rules.fork >= Fork::Amsterdam {
        context.chain.recorder.emptiness(target);
    }
    let account = context.journaled_state.load_account(target)?.data;
    let is_candidate = !account.is_loaded_as_not_existing()
        && !account.is_created()
        && !account.is_selfdestructed()
        && account.info.nonce == 0
        && account.info.code_hash == KECCAK_EMPTY;
    if !is_candidate || !context.journaled_state.database.has_storage(target)? {
        return Ok(None);
    }
    context.journaled_state.load_account_mut(inputs.caller())?.data.bump_nonce();
    let gas = Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir());
    Ok(Some(FrameResult::Create(CreateOutcome {
        result: InterpreterResult { result: InstructionResult::CreateCollision, gas, output: Bytes::new() },
        address: None,
        charged_create_state_gas: inputs.charged_create_state_gas(),
    })))
}

/// Keeps opcode and stack height of an outermost frame that failed.
fn note_where_it_stopped<D: ExecutionDatabase>(evm: &mut Machine<D>, result: &FrameResult) {
    let needs_words = match result.instruction_result() {
        InstructionResult::OpcodeNotFound
        | InstructionResult::NotActivated
        | InstructionResult::StackUnderflow
        | InstructionResult::StackOverflow => true,
        // RETURN itself fails by its memory or not at all: then it was the code's deposit.
        InstructionResult::OutOfGas => matches!(result, FrameResult::Create(_)),
        _ => false,
    };
    if !needs_words {
        return;
    }
    let frame = evm.frame_stack.get();
    if frame.depth == 0 {
        let at = StoppedAt { opcode: failed_opcode(frame), stack: frame.interpreter.stack.len() };
        evm.ctx.chain.stopped_at = Some(at);
    }
}

fn failed_opcode(frame: &revm::handler::EthFrame) -> u8 {
    use revm::interpreter::interpreter_types::{Jumps, LegacyBytecode};
    // The program counter already stands behind the opcode that failed.
    let code = &frame.interpreter.bytecode;
    let at = code.pc().saturating_sub(1);
    code.bytecode_slice().get(at).copied().unwrap_or_default()
}
