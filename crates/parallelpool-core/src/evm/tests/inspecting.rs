//! What a tracer is told, and that nothing becomes of it but words.

use std::any::Any;

use revm::bytecode::opcode::*;

use super::*;
use crate::evm::inspection::{Charge, Enter, Exit, LiveState, Step, Tracer};

/// Keeps all that it is told.
#[derive(Debug, Default)]
struct Notes {
    steps: Vec<(u8, u64, Charge)>,
    begun: Option<(u8, u64)>,
    entered: Vec<Enter>,
    left: Vec<Exit>,
    logs: Vec<u64>,
    /// Full after so many frames; zero: never.
    most_frames: usize,
}

impl Tracer for Notes {
    fn wants_steps(&self) -> bool {
        true
    }

    fn enter(&mut self, frame: &Enter) {
        self.entered.push(frame.clone());
    }

    fn exit(&mut self, frame: &Exit) {
        self.left.push(frame.clone());
    }

    fn step(&mut self, step: &Step<'_>, _state: &mut dyn LiveState) -> Result<(), StateError> {
        self.begun = Some((step.opcode, step.gas));
        Ok(())
    }

    fn charged(&mut self, charge: &Charge) {
        let (opcode, gas) = self.begun.take().expect("a step comes before its charge");
        self.steps.push((opcode, gas, charge.clone()));
    }

    fn log(&mut self, _log: &Log, index: u64) {
        self.logs.push(index);
    }

    fn is_full(&self) -> bool {
        self.most_frames > 0 && self.entered.len() > self.most_frames
    }
}

fn watched(
    state: &MemoryState,
    tx: &RecoveredTransaction,
    notes: Notes,
) -> (Result<TxExecution, StateError>, Notes) {
    let mut evm = Evm::new(&rules(Fork::Prague), &block(), ViewDatabase(state));
    evm.inspect(Box::new(notes), 3);
    let execution = evm.execute(tx);
    let notes: Box<dyn Any> = evm.take_tracer();
    (execution, *notes.downcast().expect("it is the one that was given"))
}

fn of_code(code: &[u8], gas_limit: u64, value: u64) -> (TxExecution, Notes) {
    let mut tx = transaction(Some(CONTRACT), value, &[]);
    tx.tx.gas_limit = gas_limit;
    let (execution, notes) = watched(&state(code), &tx, Notes::default());
    (execution.expect("memory state never fails"), notes)
}

const NOBODY: u8 = 0x99;

/// Programs whose last instruction has a price that depends on something, and the value they come with.
fn priced() -> Vec<(Vec<u8>, u64)> {
    vec![
        (vec![PUSH0, PUSH2, 0x20, 0, MSTORE], 0),
        (vec![PUSH2, 1, 0, MLOAD], 0),
        (vec![PUSH1, 99, PUSH1, 7, KECCAK256], 0),
        (vec![PUSH1, 99, PUSH0, PUSH1, 200, CALLDATACOPY], 0),
        (vec![PUSH1, 99, PUSH0, PUSH1, 200, CODECOPY], 0),
        (vec![PUSH1, 99, PUSH0, PUSH1, 200, PUSH1, NOBODY, EXTCODECOPY], 0),
        (vec![PUSH1, 70, PUSH0, PUSH1, 40, MCOPY], 0),
        (vec![PUSH1, NOBODY, BALANCE], 0),
        (vec![PUSH1, NOBODY, EXTCODEHASH], 0),
        (vec![ADDRESS, EXTCODESIZE], 0),
        (vec![PUSH3, 1, 2, 3, PUSH1, 2, EXP], 0),
        (vec![PUSH1, 1, PUSH1, 2, PUSH1, 50, PUSH1, 9, LOG2], 0),
        (vec![PUSH1, 7, SLOAD], 0),
        (vec![PUSH1, 7, SLOAD, PUSH1, 7, SLOAD], 0),
        (vec![PUSH1, 1, PUSH1, 7, SSTORE], 0),
        (vec![PUSH1, 33, PUSH0, PUSH0, CREATE], 0),
        (vec![PUSH0, PUSH1, 33, PUSH0, PUSH0, CREATE2], 0),
        (vec![PUSH2, 1, 0, PUSH1, 5, RETURN], 0),
        (vec![PUSH2, 1, 0, PUSH1, 5, REVERT], 0),
        (vec![PUSH1, NOBODY, SELFDESTRUCT], 5),
        (vec![PUSH0, PUSH0, TSTORE], 0),
    ]
}

#[test]
fn an_instruction_that_fails_has_the_price_that_it_would_have_had() {
    for (code, value) in priced() {
        let (_, notes) = of_code(&code, 200_000, value);
        let is_last = |(opcode, ..): &&(u8, u64, Charge)| *opcode == code[code.len() - 1];
        let (opcode, gas, paid) = notes.steps.iter().rfind(is_last).cloned().expect("it runs");
        assert_eq!(paid.error, None);
        let gas_limit = 200_000 - (gas - (paid.cost - 1));
        let (_, short) = of_code(&code, gas_limit, value);

        let (failed, left, charge) = short.steps.last().cloned().expect("it runs");
        assert_eq!((failed, left), (opcode, paid.cost - 1), "{code:x?}");
        assert_eq!((charge.cost, charge.error.as_deref()), (paid.cost, Some("out of gas")), "{code:x?}");
    }
}

#[test]
fn being_watched_changes_nothing() {
    let call = |kind: u8| [&[PUSH0; 5][..], &[ADDRESS, PUSH2, 0x20, 0, kind, POP]].concat();
    let inner = [vec![PUSH1, 1, PUSH1, 7, SSTORE], call(CALL), call(DELEGATECALL), call(STATICCALL)].concat();
    let programs = priced().into_iter().chain([(inner, 3), (vec![INVALID], 0), (vec![ADD], 1)]);
    for (code, value) in programs {
        let tx = transaction(Some(CONTRACT), value, &[]);
        let state = state(&code);
        let plain = execute(&state, Fork::Prague, &tx);
        let (seen, notes) = watched(&state, &tx, Notes::default());
        let seen = seen.expect("memory state never fails");

        let in_order = |execution: &TxExecution| {
            let mut writes = execution.writes.clone();
            writes.sort_by_key(|write| write.address);
            writes
        };
        assert_eq!(seen.outcome, plain.outcome, "{code:x?}");
        assert_eq!(in_order(&seen), in_order(&plain), "{code:x?}");
        assert_eq!(notes.entered.len(), notes.left.len());
    }
}

#[test]
fn failures_are_told_in_geths_words() {
    let too_high = [PUSH0; 1_025];
    let cases: [(&[u8], Option<&str>, &str); 8] = [
        (&[ADD], Some("stack underflow (0 <=> 2)"), "stack underflow (0 <=> 2)"),
        (&[DUP9], Some("stack underflow (0 <=> 9)"), "stack underflow (0 <=> 9)"),
        (&too_high, Some("stack limit reached 1024 (1023)"), "stack limit reached 1024 (1023)"),
        (&[PUSH0, JUMP], None, "invalid jump destination"),
        (&[INVALID], None, "invalid opcode: INVALID"),
        (&[0xf8], None, "invalid opcode: EXTCALL"),
        (&[PUSH1, 1, PUSH0, PUSH0, RETURNDATACOPY], None, "return data out of bounds"),
        (&[PUSH32, 0xff], Some("gas uint64 overflow"), "gas uint64 overflow"),
    ];
    for (code, at_step, of_frame) in cases {
        let mut code = code.to_vec();
        if code[0] == PUSH32 {
            code.resize(33, 0xff);
            code.push(MLOAD);
        }
        let (_, notes) = of_code(&code, 100_000, 0);
        let (.., charge) = notes.steps.last().expect("it runs");
        assert_eq!(charge.error.as_deref(), at_step, "{code:x?}");
        assert_eq!(notes.left[0].error.as_deref(), Some(of_frame), "{code:x?}");
        assert!(notes.left[0].reverted);
    }
}

#[test]
fn the_opcode_and_the_stack_are_looked_at_before_the_gas() {
    let cases: [(&[u8], Option<&str>, &str); 2] = [
        (&[CLZ], None, "invalid opcode: CLZ"),
        (&[ADD], Some("stack underflow (0 <=> 2)"), "stack underflow (0 <=> 2)"),
    ];
    for (code, at_step, of_frame) in cases {
        let (_, notes) = of_code(code, 21_001, 0);
        let (.., charge) = notes.steps.last().expect("it runs");
        assert_eq!(charge.error.as_deref(), at_step);
        assert_eq!(notes.left[0].error.as_deref(), Some(of_frame));
    }
}

#[test]
fn what_a_static_call_may_not_do_is_found_with_the_price() {
    // Calls itself, and stores where it is called with value zero by itself.
    let code = [
        &[CALLER, ADDRESS, EQ, PUSH1, 17, JUMPI][..],
        &[PUSH0, PUSH0, PUSH0, PUSH0, ADDRESS, PUSH2, 0x27, 0x10, STATICCALL, POP, STOP],
        &[JUMPDEST, PUSH1, 1, PUSH0, SSTORE],
    ]
    .concat();
    let (execution, notes) = of_code(&code, 100_000, 0);

    assert!(execution.outcome.expect("valid").success);
    let kinds: Vec<_> = notes.entered.iter().map(|frame| (frame.depth, frame.kind)).collect();
    assert_eq!(kinds, [(0, CALL), (1, STATICCALL)]);
    assert_eq!(notes.entered[1].value, None);
    assert_eq!(notes.left[0].error.as_deref(), Some("out of gas: write protection"));
    assert_eq!((notes.left[0].gas_used, notes.entered[1].gas), (10_000, 10_000));
    assert_eq!(notes.left[1].error, None);
}

#[test]
fn logs_are_numbered_behind_those_of_the_block() {
    let (_, notes) = of_code(&[PUSH0, PUSH0, LOG0, PUSH0, PUSH0, LOG0], 100_000, 0);
    assert_eq!(notes.logs, [3, 4]);
}

#[test]
fn a_destruction_is_a_frame_of_its_own() {
    let (_, notes) = of_code(&[PUSH1, NOBODY, SELFDESTRUCT], 100_000, 9);
    let Enter { depth, kind, from, value, .. } = notes.entered[1];
    assert_eq!((depth, kind, from, value), (1, SELFDESTRUCT, CONTRACT, Some(U256::from(9))));
    assert_eq!(notes.left.len(), 2);
}

#[test]
fn a_full_tracer_ends_the_run() {
    let code = [JUMPDEST, PUSH0, PUSH0, PUSH0, PUSH0, PUSH0, PUSH1, NOBODY, GAS, CALL, PUSH0, JUMP];
    let tx = transaction(Some(CONTRACT), 0, &[]);
    let (execution, notes) = watched(&state(&code), &tx, Notes { most_frames: 4, ..Notes::default() });

    assert_eq!(execution.err(), Some(StateError::Interrupted));
    assert_eq!(notes.entered.len(), 5);
}
