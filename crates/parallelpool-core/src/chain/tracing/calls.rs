//! geth's `callTracer`: the frames of a transaction as a tree (eth/tracers/native/call.go).

use revm::bytecode::opcode;

use super::JsonTracer;
use super::place::Place;
use super::revert::revert_reason;
use super::text::{Object, Text};
use crate::error::StateError;
use crate::evm::inspection::{Enter, Exit, Tracer, name_of};
use crate::primitives::{Address, Bytes, Log, U256};
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

/// Bytes that a frame counts for beside its data.
const FRAME_BYTES: usize = 320;

/// What is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// The outermost frame alone.
    pub only_top_call: bool,
    /// Logs with the frames that wrote them.
    pub with_log: bool,
}

/// A log and where it stands among the frame's calls.
#[derive(Debug, Clone)]
struct CallLog {
    log: Log,
    index: u64,
    position: usize,
}

/// A frame.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) kind: u8,
    pub(super) from: Address,
    pub(super) to: Option<Address>,
    pub(super) value: Option<U256>,
    pub(super) gas: u64,
    pub(super) gas_used: u64,
    pub(super) input: Bytes,
    pub(super) output: Bytes,
    pub(super) error: Option<String>,
    revert_reason: Option<String>,
    pub(super) calls: Vec<Call>,
    logs: Vec<CallLog>,
}

impl Call {
    fn begin(frame: &Enter) -> Self {
        Self {
            kind: frame.kind,
            from: frame.from,
            to: Some(frame.to),
            value: frame.value,
            gas: frame.gas,
            gas_used: 0,
            input: frame.input.clone(),
            output: Bytes::new(),
            error: None,
            revert_reason: None,
            calls: Vec::new(),
            logs: Vec::new(),
        }
    }

    fn end(&mut self, frame: &Exit) {
        let Some(error) = frame.error.as_ref().filter(|_| frame.reverted) else {
            self.output = frame.output.clone();
            return;
        };
        self.error = Some(error.clone());
        if matches!(self.kind, opcode::CREATE | opcode::CREATE2) {
            self.to = None;
        }
        if error == "execution reverted" {
            self.output = frame.output.clone();
            self.revert_reason = revert_reason(&frame.output);
        }
    }

    /// Logs of what failed are no logs.
    fn clear_failed_logs(&mut self, is_inside_failed: bool) {
        let failed = is_inside_failed || self.error.is_some();
        if failed {
            self.logs.clear();
        }
        self.calls.iter_mut().for_each(|call| call.clear_failed_logs(failed));
    }

    fn write(&self, text: &mut Text) {
        let mut object = Object::begin(text);
        object.address("from", &self.from);
        object.quantity("gas", U256::from(self.gas));
        object.quantity("gasUsed", U256::from(self.gas_used));
        if let Some(to) = &self.to {
            object.address("to", to);
        }
        object.data("input", &self.input);
        if !self.output.is_empty() {
            object.data("output", &self.output);
        }
        if let Some(error) = &self.error {
            object.words("error", error);
        }
        if let Some(reason) = self.revert_reason.as_ref().filter(|reason| !reason.is_empty()) {
            object.words("revertReason", reason);
        }
        if !self.calls.is_empty() {
            let calls = object.member("calls");
            calls.push("[");
            calls.list(&self.calls, |text, call| call.write(text));
            calls.push("]");
        }
        if !self.logs.is_empty() {
            let logs = object.member("logs");
            logs.push("[");
            logs.list(&self.logs, write_log);
            logs.push("]");
        }
        if let Some(value) = self.value {
            object.quantity("value", value);
        }
        object.words("type", &name_of(self.kind));
        object.end();
    }
}

fn write_log(text: &mut Text, CallLog { log, index, position }: &CallLog) {
    let mut object = Object::begin(text);
    object.address("address", &log.address);
    let topics = object.member("topics");
    topics.push("[");
    topics.list(log.topics(), |text, topic| text.data(topic.as_slice()));
    topics.push("]");
    object.data("data", &log.data.data);
    object.quantity("index", U256::from(*index));
    object.quantity("position", U256::from(*position));
    object.end();
}

/// Builds the tree.
#[derive(Debug)]
pub(super) struct CallTracer {
    options: CallOptions,
    /// Frames that run, the outermost first; in the end that one alone.
    stack: Vec<Call>,
    gas_limit: u64,
    depth: usize,
    bytes: usize,
    limit: usize,
}

impl CallTracer {
    pub(super) fn new(options: CallOptions, limit: usize) -> Self {
        Self { options, stack: Vec::new(), gas_limit: 0, depth: 0, bytes: 0, limit }
    }

    /// The innermost frame that runs.
    pub(super) fn innermost(&mut self) -> Option<&mut Call> {
        self.stack.last_mut()
    }

    /// The tree.
    pub(super) fn outermost(&self) -> Option<&Call> {
        self.stack.first()
    }
}

impl Tracer for CallTracer {
    fn start(&mut self, tx: &RecoveredTransaction, _state: &dyn StateView) -> Result<(), StateError> {
        self.gas_limit = tx.tx.gas_limit;
        Ok(())
    }

    fn enter(&mut self, frame: &Enter) {
        self.depth = frame.depth;
        if self.options.only_top_call && frame.depth > 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(frame.input.len() + FRAME_BYTES);
        let mut call = Call::begin(frame);
        if frame.depth == 0 {
            call.gas = self.gas_limit;
        }
        self.stack.push(call);
    }

    fn exit(&mut self, frame: &Exit) {
        if frame.depth == 0 {
            if let [outermost] = &mut self.stack[..] {
                outermost.end(frame);
            }
            return;
        }
        self.depth = frame.depth - 1;
        if self.options.only_top_call || self.stack.len() <= 1 {
            return;
        }
        let mut call = self.stack.pop().expect("there are two");
        self.bytes = self.bytes.saturating_add(frame.output.len());
        call.gas_used = frame.gas_used;
        call.end(frame);
        self.innermost().expect("there were two").calls.push(call);
    }

    fn log(&mut self, log: &Log, index: u64) {
        if !self.options.with_log || (self.options.only_top_call && self.depth > 0) {
            return;
        }
        self.bytes = self.bytes.saturating_add(log.data.data.len() + FRAME_BYTES);
        if let Some(call) = self.innermost() {
            let position = call.calls.len();
            call.logs.push(CallLog { log: log.clone(), index, position });
        }
    }

    fn is_full(&self) -> bool {
        self.bytes > self.limit
    }

    fn end(&mut self, gas_used: u64, _state: &dyn StateView) -> Result<(), StateError> {
        if let Some(outermost) = self.stack.first_mut() {
            outermost.gas_used = gas_used;
            outermost.clear_failed_logs(false);
        }
        Ok(())
    }
}

impl JsonTracer for CallTracer {
    fn write(&mut self, _place: &Place, text: &mut Text) {
        match self.outermost() {
            Some(call) => call.write(text),
            None => text.push("null"),
        }
    }
}
