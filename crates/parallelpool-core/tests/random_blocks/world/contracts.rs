//! The contracts of random blocks.
//!
//! A *program* holds many snippets, each behind one bit of a mask in its calldata, so a call picks
//! what it does. Snippets leave a log as a witness: it survives only if what it tells took place.
//!
//! Calldata of programs and children, in words: 0 slot, 1 address, 2 value, 3 mask, 4 mask of the
//! nested call, 5 address of the nested call's word 1.

use parallelpool_core::chainspec::Fork;
use parallelpool_core::primitives::U256;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use super::assembler::{Assembler, init_code, op};

/// Topic of a token's transfers.
pub(crate) const TRANSFERRED: u64 = 0xfea0_0000;
/// Topics of what a program did; a creation's second topic is the address.
pub(crate) const CREATED: u64 = 0xfea0_0001;
pub(crate) const DESTROYING: u64 = 0xfea0_0002;
pub(crate) const SAW_BALANCE: u64 = 0xfea0_0003;
pub(crate) const SAW_OWN_BALANCE: u64 = 0xfea0_0004;
pub(crate) const SAW_CODE_HASH: u64 = 0xfea0_0005;
pub(crate) const SAW_CODE_SIZE: u64 = 0xfea0_0006;
pub(crate) const SAW_COINBASE_BALANCE: u64 = 0xfea0_0007;
pub(crate) const TICKED: u64 = 0xfea0_0008;
pub(crate) const USED_TRANSIENT: u64 = 0xfea0_0009;
/// Topics of a vault: it has paid, or could not.
pub(crate) const PAID: u64 = 0xfea0_000a;
pub(crate) const COULD_NOT_PAY: u64 = 0xfea0_000b;

/// Bits of a vault's mode.
pub(crate) const PAY: u64 = 1;
pub(crate) const SHOW_BALANCE: u64 = 2;

/// Bits of a program's mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Snippet {
    Increment,
    Store,
    Copy,
    Balance,
    OwnBalance,
    CodeHash,
    CodeSize,
    CodeCopy,
    CoinbaseBalance,
    Send,
    Forward,
    Delegate,
    CallCode,
    Static,
    Create,
    CreateTwo,
    CreateAndDestroy,
    Environment,
    Transient,
    Gas,
    Log,
    RevertIfOdd,
    OutOfGas,
    Destroy,
}

impl Snippet {
    const ALL: [Self; 24] = [
        Self::Increment,
        Self::Store,
        Self::Copy,
        Self::Balance,
        Self::OwnBalance,
        Self::CodeHash,
        Self::CodeSize,
        Self::CodeCopy,
        Self::CoinbaseBalance,
        Self::Send,
        Self::Forward,
        Self::Delegate,
        Self::CallCode,
        Self::Static,
        Self::Create,
        Self::CreateTwo,
        Self::CreateAndDestroy,
        Self::Environment,
        Self::Transient,
        Self::Gas,
        Self::Log,
        Self::RevertIfOdd,
        Self::OutOfGas,
        Self::Destroy,
    ];

    /// What a call picks from by chance; the violent ones are asked for by name.
    pub(crate) const COMMON: [Self; 21] = {
        let mut common = [Self::Increment; 21];
        let mut index = 0;
        while index < common.len() {
            common[index] = Self::ALL[index];
            index += 1;
        }
        common
    };

    pub(crate) fn bit(self) -> u64 {
        1 << self as u8
    }

    fn since(self) -> Fork {
        match self {
            Self::Delegate => Fork::Homestead,
            Self::Static => Fork::Byzantium,
            Self::CodeHash | Self::CreateTwo | Self::CreateAndDestroy => Fork::Constantinople,
            Self::Transient => Fork::Cancun,
            _ => Fork::Frontier,
        }
    }
}

/// A program with all snippets that the fork knows, in random order; those that end it come last.
pub(crate) fn program(fork: Fork, random: &mut SmallRng) -> Vec<u8> {
    let (mut snippets, ends): (Vec<_>, Vec<_>) = Snippet::ALL
        .into_iter()
        .filter(|snippet| fork >= snippet.since())
        .partition(|snippet| !matches!(snippet, Snippet::RevertIfOdd | Snippet::OutOfGas | Snippet::Destroy));
    snippets.shuffle(random);
    snippets.extend(ends);
    let mut code = Assembler::new();
    for snippet in snippets {
        code.push(U256::from(snippet.bit())).argument(3).ops(&[op::AND]);
        code.when(|code| write(code, snippet, fork));
    }
    // Returns what it left in its slot.
    code.argument(0).ops(&[op::SLOAD]).push(U256::ZERO).ops(&[op::MSTORE]);
    code.push(U256::from(32)).push(U256::ZERO).ops(&[op::RETURN]);
    code.code()
}

fn witness(code: &mut Assembler, topic: u64) {
    code.push(U256::from(topic)).push(U256::ZERO).push(U256::ZERO).ops(&[op::LOG1]);
}

/// Stores the word on the stack.
fn keep(code: &mut Assembler, slot: u64) {
    code.push(U256::from(slot)).ops(&[op::SSTORE]);
}

fn write(code: &mut Assembler, snippet: Snippet, fork: Fork) {
    match snippet {
        Snippet::Increment => {
            code.argument(0).ops(&[op::SLOAD]).push(U256::ONE).ops(&[op::ADD]);
            code.argument(0).ops(&[op::SSTORE]);
        }
        Snippet::Store => {
            code.argument(2).argument(0).ops(&[op::SSTORE]);
        }
        Snippet::Copy => {
            code.argument(0).ops(&[op::SLOAD]).push(U256::from(3)).argument(2).ops(&[op::AND, op::SSTORE]);
        }
        Snippet::Balance => {
            code.argument(1).ops(&[op::BALANCE]);
            keep(code, 16);
            witness(code, SAW_BALANCE);
        }
        Snippet::OwnBalance => {
            let plain = [op::ADDRESS, op::BALANCE];
            code.ops(if fork >= Fork::Istanbul { &[op::SELFBALANCE] } else { &plain });
            keep(code, 17);
            witness(code, SAW_OWN_BALANCE);
        }
        Snippet::CodeHash => {
            code.argument(1).ops(&[op::EXTCODEHASH]);
            keep(code, 18);
            witness(code, SAW_CODE_HASH);
        }
        Snippet::CodeSize => {
            code.argument(1).ops(&[op::EXTCODESIZE]);
            keep(code, 19);
            witness(code, SAW_CODE_SIZE);
        }
        Snippet::CodeCopy => {
            code.push(U256::from(32)).push(U256::ZERO).push(U256::ZERO).argument(1).ops(&[op::EXTCODECOPY]);
            code.push(U256::ZERO).ops(&[op::MLOAD]);
            keep(code, 20);
        }
        Snippet::CoinbaseBalance => {
            code.ops(&[op::COINBASE, op::BALANCE]);
            keep(code, 23);
            witness(code, SAW_COINBASE_BALANCE);
        }
        Snippet::Send => {
            send(code);
            keep(code, 21);
        }
        Snippet::Forward => nested(code, op::CALL, fork),
        Snippet::CallCode => nested(code, op::CALLCODE, fork),
        Snippet::Delegate => nested(code, op::DELEGATECALL, fork),
        Snippet::Static => nested(code, op::STATICCALL, fork),
        Snippet::Create => {
            let init = child();
            code.memory(&init).push(U256::from(init.len())).push(U256::ZERO).push(U256::ZERO);
            code.ops(&[op::CREATE]);
            report_creation(code);
        }
        Snippet::CreateTwo => {
            create_two(code);
            report_creation(code);
        }
        Snippet::CreateAndDestroy => {
            create_two(code);
            code.ops(&[op::DUP1]);
            report_creation(code);
            // The child destroys itself in favour of word 1.
            code.argument(1).push(U256::from(32)).ops(&[op::MSTORE]);
            code.push(U256::ONE).push(U256::from(96)).ops(&[op::MSTORE]);
            code.push(U256::ZERO).push(U256::ZERO).push(U256::from(128)).push(U256::ZERO).push(U256::ZERO);
            // Below the five arguments lies the child's address.
            code.ops(&[op::DUP1 + 5]).ops(&[op::GAS, op::CALL, op::POP, op::POP]);
        }
        Snippet::Environment => {
            code.push(U256::ONE).ops(&[op::NUMBER, op::SUB, op::BLOCKHASH]);
            for read in [op::GASPRICE, op::COINBASE, op::TIMESTAMP, op::NUMBER, op::DIFFICULTY, op::GASLIMIT]
            {
                code.ops(&[read, op::ADD]);
            }
            keep(code, 22);
        }
        Snippet::Transient => {
            code.argument(2).argument(0).ops(&[op::TSTORE]).argument(0).ops(&[op::TLOAD]);
            keep(code, 25);
            witness(code, USED_TRANSIENT);
        }
        Snippet::Gas => {
            code.ops(&[op::GAS]);
            keep(code, 24);
        }
        Snippet::Log => {
            code.argument(0).ops(&[op::SLOAD]).push(U256::ZERO).ops(&[op::MSTORE]);
            code.argument(1).push(U256::from(32)).push(U256::ZERO).ops(&[op::LOG1]);
        }
        Snippet::RevertIfOdd => {
            code.argument(0).ops(&[op::SLOAD]).push(U256::ONE).ops(&[op::AND]);
            code.when(|code| revert(code, fork));
        }
        Snippet::OutOfGas => {
            code.forever();
        }
        Snippet::Destroy => {
            witness(code, DESTROYING);
            code.argument(1).ops(&[op::SELFDESTRUCT]);
        }
    }
}

/// Sends word 2, cut to a byte, to word 1 and leaves the verdict.
fn send(code: &mut Assembler) {
    code.push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).push(U256::ZERO);
    code.push(U256::from(255)).argument(2).ops(&[op::AND]).argument(1).push(U256::from(30_000));
    code.ops(&[op::CALL]);
}

/// Calls word 1 as a program with the nested mask and address, and keeps the verdict.
fn nested(code: &mut Assembler, kind: u8, fork: Fork) {
    for (argument, place) in [(0, 0), (5, 32), (2, 64), (4, 96)] {
        code.argument(argument).push(U256::from(place as u64)).ops(&[op::MSTORE]);
    }
    code.push(U256::from(32)).push(U256::ZERO).push(U256::from(128)).push(U256::ZERO);
    if matches!(kind, op::CALL | op::CALLCODE) {
        code.push(U256::ZERO);
    }
    code.argument(1);
    if fork >= Fork::TangerineWhistle {
        code.ops(&[op::GAS]);
    } else {
        // All but a sixty-fourth was not kept back yet: asking for more than there is fails.
        code.push(U256::from(40_000));
    }
    code.ops(&[kind]);
    keep(code, 26);
}

fn create_two(code: &mut Assembler) {
    let init = child();
    code.memory(&init).push(U256::ONE).argument(0).ops(&[op::AND]);
    code.push(U256::from(init.len())).push(U256::ZERO).push(U256::ZERO).ops(&[op::CREATE2]);
}

/// Takes an address from the stack and logs it unless the creation failed.
fn report_creation(code: &mut Assembler) {
    code.ops(&[op::DUP1]);
    code.when(|code| {
        code.ops(&[op::DUP1]).push(U256::from(CREATED)).push(U256::ZERO).push(U256::ZERO).ops(&[op::LOG2]);
    });
    code.ops(&[op::POP]);
}

fn revert(code: &mut Assembler, fork: Fork) {
    if fork >= Fork::Byzantium {
        code.push(U256::ZERO).push(U256::ZERO).ops(&[op::REVERT]);
    } else {
        code.ops(&[op::INVALID]);
    }
}

/// Runtime code of what programs create: counts its calls in slot 0 and logs the count, or, with
/// bit 0 of the mask, destroys itself in favour of word 1.
pub(crate) fn child_runtime() -> Vec<u8> {
    let mut code = Assembler::new();
    code.push(U256::ONE).argument(3).ops(&[op::AND]);
    code.when(|code| {
        witness(code, DESTROYING);
        code.argument(1).ops(&[op::SELFDESTRUCT]);
    });
    count(&mut code);
    code.ops(&[op::STOP]);
    code.code()
}

fn count(code: &mut Assembler) {
    code.push(U256::ZERO).ops(&[op::SLOAD]).push(U256::ONE).ops(&[op::ADD, op::DUP1]);
    code.push(U256::ZERO).ops(&[op::SSTORE]).push(U256::ZERO).ops(&[op::MSTORE]);
    code.push(U256::from(TICKED)).push(U256::from(32)).push(U256::ZERO).ops(&[op::LOG1]);
}

/// Init code of a child. Its constructor counts too: storage that should be gone would show.
pub(crate) fn child() -> Vec<u8> {
    let mut constructor = Assembler::new();
    count(&mut constructor);
    constructor.ops(&[op::CALLER]).push(U256::from(5)).ops(&[op::SSTORE]);
    init_code(&constructor, &child_runtime())
}

/// A token: `transfer(address,uint256)` and nothing else, balances in the slot of their owner.
pub(crate) fn token(fork: Fork) -> Vec<u8> {
    let (to, amount) = (4, 36);
    let mut code = Assembler::new();
    // [balance of the caller, amount]
    code.push(U256::from(amount)).ops(&[op::CALLDATALOAD, op::CALLER, op::SLOAD]);
    code.ops(&[op::DUP2, op::DUP2, op::LT]);
    code.when(|code| revert(code, fork));
    code.ops(&[op::SUB, op::CALLER, op::SSTORE]);
    code.push(U256::from(to)).ops(&[op::CALLDATALOAD, op::SLOAD]);
    code.push(U256::from(amount)).ops(&[op::CALLDATALOAD, op::ADD]);
    code.push(U256::from(to)).ops(&[op::CALLDATALOAD, op::SSTORE]);
    code.push(U256::from(amount)).ops(&[op::CALLDATALOAD]).push(U256::ZERO).ops(&[op::MSTORE]);
    code.push(U256::from(to)).ops(&[op::CALLDATALOAD, op::CALLER]).push(U256::from(TRANSFERRED));
    code.push(U256::from(32)).push(U256::ZERO).ops(&[op::LOG3]);
    code.push(U256::ONE).push(U256::ZERO).ops(&[op::MSTORE]).push(U256::from(32)).push(U256::ZERO);
    code.ops(&[op::RETURN]);
    code.code()
}

/// A vault: takes what it is sent and, by its mode in word 2, pays word 0 to word 1 and shows its
/// balance. It never looks before it pays.
pub(crate) fn vault(fork: Fork) -> Vec<u8> {
    let mut code = Assembler::new();
    code.push(U256::from(PAY)).argument(2).ops(&[op::AND]);
    code.when(|code| {
        code.push(U256::ZERO).push(U256::ZERO).push(U256::ZERO).push(U256::ZERO);
        code.argument(0).argument(1).push(U256::from(30_000)).ops(&[op::CALL, op::DUP1]);
        code.when(|code| witness(code, PAID));
        code.ops(&[op::ISZERO]);
        code.when(|code| witness(code, COULD_NOT_PAY));
    });
    code.push(U256::from(SHOW_BALANCE)).argument(2).ops(&[op::AND]);
    code.when(|code| {
        let plain = [op::ADDRESS, op::BALANCE];
        code.ops(if fork >= Fork::Istanbul { &[op::SELFBALANCE] } else { &plain });
        code.push(U256::ZERO).ops(&[op::MSTORE]);
        code.push(U256::from(SAW_OWN_BALANCE)).push(U256::from(32)).push(U256::ZERO).ops(&[op::LOG1]);
    });
    code.ops(&[op::STOP]);
    code.code()
}
