//! The one handler behind every execution: revm's phases with our validation and fee accounting.
//!
//! Four things differ from the stock handler: validation is ours (geth's order and words, 256-bit
//! amounts, charges over the whole data), the beneficiary's fee is counted and only credited on
//! demand, frames are watched for balance observations, and a creation collides with an account
//! that has storage (EIP-7610).

use std::marker::PhantomData;

use revm::context_interface::LocalContextTr;
use revm::context_interface::context::take_error;
use revm::context_interface::journaled_state::JournalTr;
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::context_interface::result::{HaltReason, ResultGas};
use revm::handler::{EvmTr, FrameResult, FrameTr, Handler, ItemOrResult, post_execution};
use revm::interpreter::interpreter_action::FrameInit;
use revm::interpreter::{
    CallValue, CreateOutcome, FrameInput, Gas, InitialAndFloorGas, InstructionResult, InterpreterResult,
    SuccessOrHalt,
};
use revm::primitives::constants::CALL_STACK_LIMIT;
use revm::primitives::hardfork::SpecId;

use super::failure::Failure;
use super::halt::StoppedAt;
use super::log_trace::FrameValue;
use super::{Context, ExecutionDatabase, Machine, TxResult, halt, inspection, settle, validation};
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

    /// The precompiles are warm since the machine was made.
    fn load_accounts(&self, evm: &mut Self::Evm) -> Result<(), Failure> {
        let context = evm.ctx();
        if !context.tx.access_list.is_empty() {
            return revm::handler::pre_execution::load_accounts(evm);
        }
        if context.chain.rules.spec_id.is_enabled_in(SpecId::SHANGHAI) {
            context.journaled_state.warm_coinbase_account(context.block.beneficiary);
        }
        Ok(())
    }

    fn apply_eip7702_auth_list(
        &self,
        evm: &mut Self::Evm,
        gas: &mut revm::interpreter::GasTracker,
    ) -> Result<Option<u64>, Failure> {
        let context = evm.ctx();
        if context.tx.authorizations.is_empty() {
            return Ok(Some(0));
        }
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
        if let (Some(inspection), Some(refund)) = (&mut context.chain.inspection, refund) {
            inspection.begin_with_refund(refund);
        }
        Ok(refund)
    }

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Failure> {
        evm.ctx.chain.stopped_at = None;
        evm.ctx.chain.runs_code = match &first.frame_input {
            FrameInput::Call(inputs) => !inputs.known_bytecode.1.is_empty(),
            FrameInput::Create(_) | FrameInput::Empty => false,
        };
        if evm.ctx.chain.inspection.is_some() {
            return inspection::exec_loop(evm, first);
        }
        if let Some(result) = begin_frame(evm, first)? {
            return Ok(result);
        }
        loop {
            evm.ctx.chain.watch.step()?;
            let result = match evm.frame_run()? {
                ItemOrResult::Item(init) => match begin_frame(evm, init)? {
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
        let amount = fee(context.tx.price, unused).expect("at most what was deducted before");
        // Loaded and touched since the gas was bought, and nothing is reverted any more.
        let caller = context.journaled_state.inner.state.get_mut(&context.tx.caller);
        let caller = &mut caller.expect("the caller is loaded").info;
        caller.balance = caller.balance.checked_add(amount).unwrap_or(caller.balance);
        Ok(())
    }

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut <<Self::Evm as EvmTr>::Frame as FrameTr>::FrameResult,
    ) -> Result<(), Failure> {
        let context = evm.ctx();
        let price = context.tx.price;
        let earned = earned_per_gas(&context.chain.rules, price, U256::from(context.block.basefee));
        let gas = result.gas();
        let used = gas.used().saturating_sub(gas.reservoir());
        let earned = fee(earned, used).expect("at most what was deducted before");
        context.chain.fee = earned;
        if context.chain.keeps_journal && !context.journaled_state.database.keep_fee(earned)? {
            let beneficiary = context.block.beneficiary;
            context.journaled_state.load_account_mut(beneficiary)?.data.incr_balance(earned);
        }
        Ok(())
    }
}

impl<D: ExecutionDatabase> TransactionHandler<D> {
    /// Runs the transaction that is set: revm's phases, without its result in between.
    pub(super) fn transact(&mut self, evm: &mut Machine<D>) -> Result<TxResult, Failure> {
        let done = self.phases(evm);
        if done.is_err() {
            abandon(evm);
        }
        done
    }

    /// Runs the system call that is set: no validation, nothing before and after the call.
    pub(super) fn call_system(&mut self, evm: &mut Machine<D>) -> Result<TxResult, Failure> {
        let free = InitialAndFloorGas::new(0, 0);
        let mut gas = self.tx_gas(evm, &free);
        let checkpoint = evm.ctx().journaled_state.checkpoint();
        let done = match self.execution(evm, checkpoint, &mut gas) {
            Ok(Some(result)) => Ok(result),
            Ok(None) => self.runtime_oog_result(evm, &free, &mut gas),
            Err(failure) => Err(failure),
        };
        let done = done.and_then(|result| {
            let gas = post_execution::build_result_gas(false, result.gas(), free);
            conclude(evm, result, gas)
        });
        if done.is_err() {
            abandon(evm);
        }
        done
    }

    fn phases(&mut self, evm: &mut Machine<D>) -> Result<TxResult, Failure> {
        let initial = self.validate(evm)?;
        let mut gas = self.tx_gas(evm, &initial);
        let before = self.pre_execution(evm, &mut gas)?;
        let refund = before.map_or(0, |before| before.eip7702_refund as i64);
        let result = match before {
            Some(before) => self.execution(evm, before.checkpoint, &mut gas)?,
            None => None,
        };
        let mut result = match result {
            Some(result) => result,
            None => self.runtime_oog_result(evm, &initial, &mut gas)?,
        };
        let gas = self.post_execution(evm, &mut result, initial, refund)?;
        conclude(evm, result, gas)
    }
}

/// Closes the transaction and says what it did.
fn conclude<D: ExecutionDatabase>(
    evm: &mut Machine<D>,
    result: FrameResult,
    gas: ResultGas,
) -> Result<TxResult, Failure> {
    let context = &mut evm.ctx;
    take_error::<Failure, _>(&mut context.error)?;
    let result = describe(context, result, gas);
    if context.chain.keeps_journal {
        settle::settle(context);
    }
    context.journaled_state.commit_tx();
    context.local.clear();
    evm.frame_stack.clear();
    Ok(result)
}

/// Forgets a transaction that did not come to its end.
fn abandon<D: ExecutionDatabase>(evm: &mut Machine<D>) {
    evm.ctx.local.clear();
    evm.ctx.journaled_state.discard_tx();
    evm.frame_stack.clear();
}

fn describe<D: ExecutionDatabase>(context: &mut Context<D>, result: FrameResult, gas: ResultGas) -> TxResult {
    // Before the logs: it settles accounts that live on with their wei alone.
    let mut logs = context.journaled_state.take_logs();
    let InterpreterResult { result, mut output, .. } = result.into_interpreter_result();
    let success = result.is_ok();
    let halt = match SuccessOrHalt::<HaltReason>::from(result) {
        SuccessOrHalt::Success(_) => None,
        SuccessOrHalt::Revert => Some("execution reverted".to_owned()),
        SuccessOrHalt::Halt(reason) => {
            output = Bytes::new();
            Some(halt::describe(&explained(context, reason), context.chain.stopped_at))
        }
        SuccessOrHalt::FatalExternalError | SuccessOrHalt::Internal(_) => {
            unreachable!("failures of the state have left before, and frames do not end by {result:?}")
        }
    };
    if !success {
        logs = Vec::new();
    }
    context.chain.peak_gas = gas.total_gas_spent().max(gas.floor_gas());
    let Context { tx, chain, block, journaled_state, .. } = context;
    let is_amsterdam = chain.rules.spec_id.is_enabled_in(SpecId::AMSTERDAM);
    // Later the flag would be gone: the next load takes it.
    let beneficiary_destroyed = !is_amsterdam
        && !journaled_state.inner.selfdestructed_addresses.is_empty()
        && journaled_state
            .inner
            .state
            .get(&block.beneficiary)
            .is_some_and(|it| it.is_selfdestructed_locally());
    TxResult {
        success,
        gas_used: gas.tx_gas_used(),
        gas_refunded: gas.final_refunded(),
        block_gas: if is_amsterdam { gas.block_regular_gas_used() } else { gas.tx_gas_used() },
        block_state_gas: if is_amsterdam { gas.block_state_gas_used() } else { 0 },
        output,
        logs,
        created: tx.to.is_none().then(|| tx.caller.create(tx.nonce)),
        halt,
        fee: chain.fee,
        beneficiary_destroyed,
        effective_gas_price: tx.price.saturating_to(),
        blob_gas_used: validation::blob_gas(tx),
    }
}

/// A precompile that failed may have left words for it.
fn explained<D: ExecutionDatabase>(context: &mut Context<D>, reason: HaltReason) -> HaltReason {
    match reason {
        HaltReason::PrecompileError => match context.local.take_precompile_error_context() {
            Some(words) => HaltReason::PrecompileErrorWithContext(words),
            None => reason,
        },
        other => other,
    }
}

/// Begins a frame. Returns the result where it ended at once (precompile, no code, refusal).
pub(super) fn begin_frame<D: ExecutionDatabase>(
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
    let told = FrameValue::of(evm.ctx.chain.trace.as_deref(), &init);
    let result = match evm.frame_init(init)? {
        ItemOrResult::Item(_) => {
            if let Some(told) = told {
                told.tell(evm);
            }
            return Ok(None);
        }
        ItemOrResult::Result(result) => result,
    };
    if let Some(told) = told {
        told.tell_result(evm.ctx(), &result);
    }
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
pub(super) fn note_where_it_stopped<D: ExecutionDatabase>(evm: &mut Machine<D>, result: &FrameResult) {
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
