//! geth's default tracer: every step with its stack, memory and storage (eth/tracers/logger/logger.go).

use std::collections::BTreeMap;
use std::fmt::Write;

use revm::bytecode::opcode;

use super::JsonTracer;
use super::place::Place;
use super::text::{Object, Text};
use crate::error::StateError;
use crate::evm::inspection::{Charge, Exit, LiveState, Step, Tracer, name_of};
use crate::primitives::{Address, Bytes, U256};
use crate::state::StateView;

/// What the steps are told with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StructLogOptions {
    /// Memory.
    pub memory: bool,
    /// Stack.
    pub stack: bool,
    /// Storage that was read or written so far.
    pub storage: bool,
    /// What the last call returned.
    pub return_data: bool,
    /// Bytes of steps after which no more are told; zero: no bound.
    pub limit: i64,
}

/// Writes the steps as they happen.
#[derive(Debug)]
pub(super) struct StructLogger {
    options: StructLogOptions,
    logs: Text,
    /// Bytes of the steps in it, without what stands between them.
    told: i64,
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    /// What is known of a step before its cost is, and what is told behind it.
    head: String,
    tail: String,
    depth: usize,
    skips: bool,
    outcome: Exit,
    gas_used: u64,
}

impl StructLogger {
    pub(super) fn new(options: StructLogOptions, limit: usize) -> Self {
        Self {
            options,
            logs: Text::new(limit),
            told: 0,
            storage: BTreeMap::new(),
            head: String::new(),
            tail: String::new(),
            depth: 0,
            skips: false,
            outcome: Exit { depth: 0, output: Bytes::new(), gas_used: 0, error: None, reverted: false },
            gas_used: 0,
        }
    }

    /// The slots of the contract that it has used so far, the one of this step among them.
    fn storage(
        &mut self,
        step: &Step<'_>,
        state: &mut dyn LiveState,
    ) -> Result<Option<&BTreeMap<U256, U256>>, StateError> {
        if !self.options.storage {
            return Ok(None);
        }
        let (slot, value) = match (step.opcode, step.stack) {
            (opcode::SLOAD, [.., slot]) => (*slot, state.storage(step.contract, *slot)?),
            (opcode::SSTORE, [.., value, slot]) => (*slot, *value),
            _ => return Ok(None),
        };
        let slots = self.storage.entry(step.contract).or_default();
        slots.insert(slot, value);
        Ok(Some(slots))
    }

    fn tell(&mut self, step: &Step<'_>, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.head.clear();
        self.tail.clear();
        self.depth = step.depth;
        let mut tail = std::mem::take(&mut self.tail);
        let told = write!(
            self.head,
            "{{\"pc\":{},\"op\":\"{}\",\"gas\":{}",
            step.pc,
            name_of(step.opcode),
            step.gas
        );
        told.expect("a string takes everything");
        if self.options.stack {
            list(&mut tail, "stack", step.stack, |text, word| write!(text, "\"{word:#x}\""));
        }
        if self.options.return_data && !step.return_data.is_empty() {
            tail += &format!(",\"returnData\":\"0x{}\"", hex::encode(step.return_data));
        }
        if self.options.memory && !step.memory.is_empty() {
            list(&mut tail, "memory", step.memory.chunks(32), |text, word| {
                write!(text, "\"0x{:0<64}\"", hex::encode(word))
            });
        }
        if let Some(slots) = self.storage(step, state)? {
            tail += ",\"storage\":{";
            for (place, (slot, value)) in slots.iter().enumerate() {
                let comma = if place > 0 { "," } else { "" };
                write!(tail, "{comma}\"{slot:#066x}\":\"{value:#066x}\"").expect("a string takes everything");
            }
            tail += "}";
        }
        self.tail = tail;
        Ok(())
    }
}

fn list<T>(
    text: &mut String,
    name: &str,
    items: impl IntoIterator<Item = T>,
    mut write_item: impl FnMut(&mut String, T) -> std::fmt::Result,
) {
    *text += &format!(",\"{name}\":[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write_item(text, item).expect("a string takes everything");
    }
    text.push(']');
}

impl Tracer for StructLogger {
    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.skips = self.options.limit != 0 && self.told > self.options.limit;
        if self.skips { Ok(()) } else { self.tell(step, state) }
    }

    fn charged(&mut self, charge: &Charge) {
        if self.skips {
            return;
        }
        let mut text = String::with_capacity(self.head.len() + self.tail.len() + 64);
        text += &self.head;
        write!(text, ",\"gasCost\":{},\"depth\":{}", charge.cost, self.depth)
            .expect("a string takes everything");
        if let Some(error) = &charge.error {
            text += &format!(",\"error\":{}", serde_json::Value::from(error.as_str()));
        }
        text += &self.tail;
        if charge.refund > 0 {
            text += &format!(",\"refund\":{}", charge.refund);
        }
        text.push('}');
        if self.told > 0 {
            self.logs.push(",");
        }
        self.told += text.len() as i64;
        self.logs.push(&text);
    }

    fn exit(&mut self, frame: &Exit) {
        if frame.depth == 0 {
            self.outcome = frame.clone();
        }
    }

    fn is_full(&self) -> bool {
        self.logs.is_full()
    }

    fn end(&mut self, gas_used: u64, _state: &dyn StateView) -> Result<(), StateError> {
        self.gas_used = gas_used;
        Ok(())
    }
}

impl JsonTracer for StructLogger {
    fn write(&mut self, _place: &Place, text: &mut Text) {
        let Exit { output, error, .. } = &self.outcome;
        let is_told = error.as_ref().is_none_or(|error| error == "execution reverted");
        let mut object = Object::begin(text);
        object.number("gas", self.gas_used);
        object.member("failed").push(if error.is_some() { "true" } else { "false" });
        object.data("returnValue", if is_told { output } else { &[] });
        let logs = object.member("structLogs");
        logs.push("[");
        logs.append(std::mem::replace(&mut self.logs, Text::new(0)));
        logs.push("]");
        object.end();
    }
}
