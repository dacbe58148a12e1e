//! EIP-1283: the net gas metering of SSTORE that held in Constantinople only.
//!
//! It is EIP-2200's table with a read price of 200 and without the stipend check, so revm's
//! calculation serves with other parameters. Petersburg took it back.

use revm::bytecode::opcode::SSTORE;
use revm::context_interface::cfg::{GasId, GasParams};
use revm::context_interface::context::{SStoreResult, StateLoad};
use revm::interpreter::instructions::host::sstore_with_gas_accounting;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult};

use super::{Context, ExecutionDatabase};
use crate::primitives::Address;

/// Gas of a change that costs no more than a read.
const UNCHANGED: u64 = 200;
const SET: u64 = 20_000;
const RESET: u64 = 5_000;

/// The gas parameters with EIP-1283's prices in place of the flat ones.
pub(super) fn parameters(mut stock: GasParams) -> GasParams {
    stock.override_gas([
        (GasId::sstore_static(), UNCHANGED),
        (GasId::sstore_set_without_load_cost(), SET - UNCHANGED),
        (GasId::sstore_reset_without_cold_load_cost(), RESET - UNCHANGED),
        (GasId::sstore_set_refund(), SET - UNCHANGED),
        (GasId::sstore_reset_refund(), RESET - UNCHANGED),
    ]);
    stock
}

/// Makes SSTORE compute by original, present and new value.
pub(super) fn install<D: ExecutionDatabase>(table: &mut [Instruction<EthInterpreter, Context<D>>; 256]) {
    table[SSTORE as usize] = Instruction::new(|frame| sstore_with_gas_accounting(frame, net_metering));
}

fn net_metering<D: ExecutionDatabase>(
    frame: &mut InstructionContext<'_, Context<D>, EthInterpreter>,
    _target: Address,
    slot: &StateLoad<SStoreResult>,
) -> InstructionExecResult {
    let parameters = frame.host.gas_params();
    let cost = parameters.sstore_dynamic_gas(true, &slot.data, false);
    let refund = parameters.sstore_refund(true, &slot.data);
    if !frame.interpreter.gas.record_regular_cost(cost) {
        return Err(InstructionResult::OutOfGas);
    }
    frame.interpreter.gas.record_refund(refund);
    Ok(())
}
