//! geth's `4byteTracer`: selectors of calls, with the length of what follows (eth/tracers/native/4byte.go).

use std::collections::BTreeMap;

use revm::bytecode::opcode;
use revm::precompile::{PrecompileSpecId, Precompiles};

use super::JsonTracer;
use super::place::Place;
use super::text::{Object, Text};
use crate::chainspec::Rules;
use crate::evm::inspection::{Enter, Tracer};

/// Counts them.
#[derive(Debug)]
pub(super) struct FourByteTracer {
    precompiles: &'static Precompiles,
    found: BTreeMap<String, u64>,
}

impl FourByteTracer {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { precompiles: precompiles(rules), found: BTreeMap::new() }
    }
}

/// The precompiles of a fork.
pub(super) fn precompiles(rules: &Rules) -> &'static Precompiles {
    Precompiles::new(PrecompileSpecId::from_spec_id(rules.spec_id))
}

impl Tracer for FourByteTracer {
    fn enter(&mut self, frame: &Enter) {
        let calls = [opcode::CALL, opcode::CALLCODE, opcode::DELEGATECALL, opcode::STATICCALL];
        let Some((selector, rest)) = frame.input.split_first_chunk::<4>() else { return };
        if calls.contains(&frame.kind) && !self.precompiles.contains(&frame.to) {
            *self.found.entry(format!("0x{}-{}", hex::encode(selector), rest.len())).or_default() += 1;
        }
    }
}

impl JsonTracer for FourByteTracer {
    fn write(&mut self, _place: &Place, text: &mut Text) {
        let mut object = Object::begin(text);
        for (name, count) in &self.found {
            object.number(name, *count);
        }
        object.end();
    }
}
