//! geth's words for the ways in which execution fails.

use revm::bytecode::opcode::{self, OpCode};
use revm::context_interface::result::{HaltReason, OutOfGasError};

/// Most words on the stack.
const STACK_LIMIT: usize = 1024;

/// Where the outermost frame stopped: some of geth's texts name the opcode or the stack's height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoppedAt {
    /// The opcode that failed.
    pub(super) opcode: u8,
    /// Words on the stack before it.
    pub(super) stack: usize,
}

/// A failure in geth's words (core/vm/errors.go).
pub(super) fn describe(reason: &HaltReason, at: Option<StoppedAt>) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::Basic) if at.is_some_and(|at| at.opcode == opcode::RETURN) => {
            "contract creation code storage out of gas".into()
        }
        HaltReason::OutOfGas(OutOfGasError::ReentrancySentry) => {
            "out of gas: not enough gas for reentrancy sentry".into()
        }
        HaltReason::OutOfGas(_) | HaltReason::OverflowPayment => "out of gas".into(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".into(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => invalid_opcode(at),
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::StackUnderflow => stack_underflow(at),
        HaltReason::StackOverflow => stack_overflow(at),
        HaltReason::OutOfOffset => "return data out of bounds".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection".into()
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer".into(),
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
        HaltReason::PrecompileError => "precompile failed".into(),
        HaltReason::PrecompileErrorWithContext(words) => of_precompile(words).into(),
    }
}

/// What geth says where a precompile says this (core/vm/contracts.go). Where geth has several texts for what
/// is one here, the precompile's own stays.
fn of_precompile(words: &str) -> &str {
    match words {
        "wrong input length for blake2"
        | "invalid blob input length"
        | "kzg invalid input length"
        | "bls12-381 g1 add input length error"
        | "bls12-381 g1 msm input length error"
        | "bls12-381 g2 add input length error"
        | "bls12-381 g2 msm input length error"
        | "bls12-381 pairing input length error"
        | "bls12-381 map fp to g1 input length error"
        | "bls12-381 map fp2 to g2 input length error" => "invalid input length",
        "wrong final indicator flag for blake2" => "invalid final flag",
        "bn254 invalid pair length" => "bad elliptic curve pairing size",
        "mismatched blob version" => "mismatched versioned hash",
        "verifying blob kzg proof failed" => "error verifying kzg proof",
        "bls12-381 fp 64 top bytes of input are not zero" => "invalid field element top bytes",
        "bls12-381 g1 point not on curve" | "bls12-381 g2 point not on curve" => {
            "invalid point: not on curve"
        }
        "bls12-381 g1 point not in correct subgroup" => "g1 point is not on correct subgroup",
        "bls12-381 g2 point not in correct subgroup" => "g2 point is not on correct subgroup",
        "Modexp limit all input sizes." => "one or more of base/exponent/modulus length exceeded 1024 bytes",
        other => other,
    }
}

/// geth's name of an opcode. It knows more than any fork has.
pub(crate) fn name_of(opcode: u8) -> String {
    let planned = match opcode {
        0xd0 => "DATALOAD",
        0xd1 => "DATALOADN",
        0xd2 => "DATASIZE",
        0xd3 => "DATACOPY",
        0xe0 => "RJUMP",
        0xe1 => "RJUMPI",
        0xe2 => "RJUMPV",
        0xe3 => "CALLF",
        0xe4 => "RETF",
        0xe5 => "JUMPF",
        0xe6 => "DUPN",
        0xe7 => "SWAPN",
        0xe8 => "EXCHANGE",
        0xec => "EOFCREATE",
        0xee => "RETURNCONTRACT",
        0xf7 => "RETURNDATALOAD",
        0xf8 => "EXTCALL",
        0xf9 => "EXTDELEGATECALL",
        0xfb => "EXTSTATICCALL",
        other => {
            let known = OpCode::new(other).map(|known| known.as_str().to_owned());
            return known.unwrap_or_else(|| format!("opcode {other:#x} not defined"));
        }
    };
    planned.into()
}

/// geth's words for a stack that is too low, or too high.
pub(super) fn describe_stack(is_too_high: bool, at: Option<StoppedAt>) -> String {
    if is_too_high { stack_overflow(at) } else { stack_underflow(at) }
}

fn invalid_opcode(at: Option<StoppedAt>) -> String {
    match at {
        // geth's jump table has a hole where the fork lacks the opcode, and names what it knows.
        Some(StoppedAt { opcode, .. }) => format!("invalid opcode: {}", name_of(opcode)),
        None => "invalid opcode".into(),
    }
}

fn stack_underflow(at: Option<StoppedAt>) -> String {
    let Some(StoppedAt { opcode, stack }) = at else { return "stack underflow".into() };
    let required = OpCode::new(opcode).map_or(0, |known| known.info().inputs());
    format!("stack underflow ({stack} <=> {required})")
}

fn stack_overflow(at: Option<StoppedAt>) -> String {
    let Some(StoppedAt { opcode, stack }) = at else { return "stack limit reached".into() };
    if OpCode::new(opcode).is_some_and(|known| stack < usize::from(known.info().inputs())) {
        // What DUP and SWAP say of a stack that is too low.
        return stack_underflow(at);
    }
    let growth = OpCode::new(opcode).map_or(1, |known| {
        usize::from(known.info().outputs()).saturating_sub(usize::from(known.info().inputs()))
    });
    format!("stack limit reached {stack} ({})", STACK_LIMIT - growth)
}
