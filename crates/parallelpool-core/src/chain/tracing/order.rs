//! What a caller wants to be told of a transaction, and the tracers that tell it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::JsonTracer;
use super::calls::{CallOptions, CallTracer};
use super::flat_calls::{FlatCallOptions, FlatCallTracer};
use super::four_bytes::FourByteTracer;
use super::place::Place;
use super::prestate::{PrestateOptions, PrestateTracer};
use super::struct_logger::{StructLogOptions, StructLogger};
use super::text::{Object, Text};
use crate::error::StateError;
use crate::evm::inspection::{Charge, Enter, Exit, LiveState, Step, Tracer};
use crate::primitives::{Address, Log};
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

/// One of geth's own tracers, with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TracerChoice {
    /// The default: steps.
    StructLogs(StructLogOptions),
    /// `callTracer`.
    Calls(CallOptions),
    /// `flatCallTracer`.
    FlatCalls(FlatCallOptions),
    /// `prestateTracer`.
    Prestate(PrestateOptions),
    /// `4byteTracer`.
    FourBytes,
    /// `noopTracer`.
    Nothing,
    /// `muxTracer`: several under their names, in ascending order.
    Several(Vec<(String, TracerChoice)>),
}

/// A tracer and how far it may go.
#[derive(Debug, Clone)]
pub struct TraceOrder {
    /// What is told.
    pub tracer: TracerChoice,
    /// Longest run of one transaction.
    pub timeout: Duration,
    /// Most bytes of text.
    pub text_limit: usize,
    /// Set when nobody waits any more.
    pub cancelled: Arc<AtomicBool>,
}

impl TracerChoice {
    /// A tracer for one transaction at its place.
    pub(super) fn make(&self, place: &Place, beneficiary: Address, limit: usize) -> Box<dyn JsonTracer> {
        let rules = &place.rules;
        match self {
            Self::StructLogs(options) => Box::new(StructLogger::new(*options, limit)),
            Self::Calls(options) => Box::new(CallTracer::new(*options, limit)),
            Self::FlatCalls(options) => Box::new(FlatCallTracer::new(*options, rules, limit)),
            Self::Prestate(options) => Box::new(PrestateTracer::new(*options, rules, beneficiary)),
            Self::FourBytes => Box::new(FourByteTracer::new(rules)),
            Self::Nothing => Box::new(NoopTracer),
            Self::Several(members) => Box::new(MuxTracer(
                members
                    .iter()
                    .map(|(name, choice)| (name.clone(), choice.make(place, beneficiary, limit)))
                    .collect(),
            )),
        }
    }
}

/// geth's `noopTracer`.
#[derive(Debug)]
struct NoopTracer;

impl Tracer for NoopTracer {}

impl JsonTracer for NoopTracer {
    fn write(&mut self, _place: &Place, text: &mut Text) {
        text.push("{}");
    }
}

/// geth's `muxTracer`: hands everything on to several tracers.
#[derive(Debug)]
struct MuxTracer(Vec<(String, Box<dyn JsonTracer>)>);

impl MuxTracer {
    fn each(&mut self, mut tell: impl FnMut(&mut dyn JsonTracer)) {
        self.0.iter_mut().for_each(|(_, tracer)| tell(&mut **tracer));
    }

    fn try_each(
        &mut self,
        mut tell: impl FnMut(&mut dyn JsonTracer) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        self.0.iter_mut().try_for_each(|(_, tracer)| tell(&mut **tracer))
    }
}

impl Tracer for MuxTracer {
    fn start(&mut self, tx: &RecoveredTransaction, state: &dyn StateView) -> Result<(), StateError> {
        self.try_each(|tracer| tracer.start(tx, state))
    }

    fn wants_steps(&self) -> bool {
        self.0.iter().any(|(_, tracer)| tracer.wants_steps())
    }

    fn enter(&mut self, frame: &Enter) {
        self.each(|tracer| tracer.enter(frame));
    }

    fn exit(&mut self, frame: &Exit) {
        self.each(|tracer| tracer.exit(frame));
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.try_each(|tracer| tracer.step(step, &mut *state))
    }

    fn charged(&mut self, charge: &Charge) {
        self.each(|tracer| tracer.charged(charge));
    }

    fn log(&mut self, log: &Log, index: u64) {
        self.each(|tracer| tracer.log(log, index));
    }

    fn is_full(&self) -> bool {
        self.0.iter().any(|(_, tracer)| tracer.is_full())
    }

    fn end(&mut self, gas_used: u64, state: &dyn StateView) -> Result<(), StateError> {
        self.try_each(|tracer| tracer.end(gas_used, state))
    }
}

impl JsonTracer for MuxTracer {
    fn write(&mut self, place: &Place, text: &mut Text) {
        let mut object = Object::begin(text);
        for (name, tracer) in &mut self.0 {
            tracer.write(place, object.member(name));
        }
        object.end();
    }
}

/// Whatever tracer it is, as the EVM takes it.
#[derive(Debug)]
pub(super) struct AnyTracer(pub(super) Box<dyn JsonTracer>);

impl Tracer for AnyTracer {
    fn wants_steps(&self) -> bool {
        self.0.wants_steps()
    }

    fn enter(&mut self, frame: &Enter) {
        self.0.enter(frame);
    }

    fn exit(&mut self, frame: &Exit) {
        self.0.exit(frame);
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.0.step(step, state)
    }

    fn charged(&mut self, charge: &Charge) {
        self.0.charged(charge);
    }

    fn log(&mut self, log: &Log, index: u64) {
        self.0.log(log, index);
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}
