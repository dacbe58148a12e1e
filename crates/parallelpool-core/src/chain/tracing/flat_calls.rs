//! geth's `flatCallTracer`: the frames of a transaction in a row, each with its way from the outermost
//! (eth/tracers/native/call_flat.go).

use revm::bytecode::opcode;
use revm::precompile::Precompiles;

use super::JsonTracer;
use super::calls::{Call, CallOptions, CallTracer};
use super::four_bytes::precompiles;
use super::place::Place;
use super::text::{Object, Text};
use crate::chainspec::Rules;
use crate::error::StateError;
use crate::evm::inspection::{Enter, Exit, Tracer, name_of};
use crate::primitives::U256;
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

/// What is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlatCallOptions {
    /// Failures in Parity's words.
    pub convert_parity_errors: bool,
    /// Calls of precompiles too.
    pub include_precompiles: bool,
}

/// Builds the tree and tells it in a row.
#[derive(Debug)]
pub(super) struct FlatCallTracer {
    options: FlatCallOptions,
    calls: CallTracer,
    precompiles: &'static Precompiles,
}

impl FlatCallTracer {
    pub(super) fn new(options: FlatCallOptions, rules: &Rules, limit: usize) -> Self {
        let calls = CallTracer::new(CallOptions::default(), limit);
        Self { options, calls, precompiles: precompiles(rules) }
    }
}

impl Tracer for FlatCallTracer {
    fn start(&mut self, tx: &RecoveredTransaction, state: &dyn StateView) -> Result<(), StateError> {
        self.calls.start(tx, state)
    }

    fn enter(&mut self, frame: &Enter) {
        self.calls.enter(frame);
        if let Some(call) = self.calls.innermost().filter(|_| frame.depth > 0) {
            call.value.get_or_insert_default();
        }
    }

    fn exit(&mut self, frame: &Exit) {
        self.calls.exit(frame);
        if frame.depth == 0 || self.options.include_precompiles {
            return;
        }
        let Some(parent) = self.calls.innermost() else { return };
        let is_hidden = parent.calls.last().is_some_and(|call| {
            matches!(call.kind, opcode::CALL | opcode::STATICCALL)
                && call.to.is_some_and(|to| self.precompiles.contains(&to))
        });
        if is_hidden {
            parent.calls.pop();
        }
    }

    fn is_full(&self) -> bool {
        self.calls.is_full()
    }

    fn end(&mut self, gas_used: u64, state: &dyn StateView) -> Result<(), StateError> {
        self.calls.end(gas_used, state)
    }
}

impl JsonTracer for FlatCallTracer {
    fn write(&mut self, place: &Place, text: &mut Text) {
        text.push("[");
        if let Some(call) = self.calls.outermost() {
            let mut way = Vec::new();
            write_flat(call, &mut way, self.options.convert_parity_errors, place, text);
        }
        text.push("]");
    }
}

fn write_flat(call: &Call, way: &mut Vec<usize>, converts: bool, place: &Place, text: &mut Text) {
    if !way.is_empty() {
        text.push(",");
    }
    let mut object = Object::begin(text);
    write_action(call, object.member("action"));
    object.hash("blockHash", place.block.map(|(_, hash)| hash));
    object.number("blockNumber", place.block.map_or(0, |(number, _)| number));
    if let Some(error) = &call.error {
        object.words("error", if converts { in_parity_words(error) } else { error });
    }
    let is_told = call.error.as_ref().is_none_or(|error| error == "execution reverted");
    if is_told && call.kind != opcode::SELFDESTRUCT {
        write_result(call, object.member("result"));
    }
    object.number("subtraces", call.calls.len() as u64);
    let address = object.member("traceAddress");
    address.push("[");
    address.list(way.iter(), |text, place| text.push(&place.to_string()));
    address.push("]");
    object.hash("transactionHash", place.hash);
    object.number("transactionPosition", place.index as u64);
    let kind = match call.kind {
        opcode::CREATE | opcode::CREATE2 => "create",
        opcode::SELFDESTRUCT => "suicide",
        _ => "call",
    };
    object.words("type", kind);
    object.end();
    for (index, child) in call.calls.iter().enumerate() {
        way.push(index);
        write_flat(child, way, converts, place, text);
        way.pop();
    }
}

fn write_action(call: &Call, text: &mut Text) {
    let mut action = Object::begin(text);
    let kind = name_of(call.kind).to_lowercase();
    if call.kind == opcode::SELFDESTRUCT {
        action.address("address", &call.from);
        action.quantity("balance", call.value.unwrap_or_default());
        action.address("refundAddress", &call.to.unwrap_or_default());
        action.end();
        return;
    }
    let creates = matches!(call.kind, opcode::CREATE | opcode::CREATE2);
    action.words(if creates { "creationMethod" } else { "callType" }, &kind);
    action.address("from", &call.from);
    action.quantity("gas", U256::from(call.gas));
    action.data(if creates { "init" } else { "input" }, &call.input);
    if let Some(to) = call.to.as_ref().filter(|_| !creates) {
        action.address("to", to);
    }
    if let Some(value) = call.value {
        action.quantity("value", value);
    }
    action.end();
}

fn write_result(call: &Call, text: &mut Text) {
    let mut result = Object::begin(text);
    let creates = matches!(call.kind, opcode::CREATE | opcode::CREATE2);
    if let Some(address) = call.to.as_ref().filter(|_| creates) {
        result.address("address", address);
    }
    result.data(if creates { "code" } else { "output" }, &call.output);
    result.quantity("gasUsed", U256::from(call.gas_used));
    result.end();
}

fn in_parity_words(error: &str) -> &str {
    match error {
        "contract creation code storage out of gas" | "out of gas" | "gas uint64 overflow" => "Out of gas",
        "max code size exceeded" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "execution reverted" => "Reverted",
        "return data out of bounds" => "Out of bounds",
        "stack limit reached 1024 (1023)" => "Out of stack",
        "precompiled failed" => "Built-in failed",
        "invalid input length" => "Built-in failed",
        _ if error.starts_with("out of gas:") => "Out of gas",
        _ if error.starts_with("invalid opcode:") => "Bad instruction",
        _ if error.starts_with("stack underflow") => "Stack underflow",
        other => other,
    }
}
