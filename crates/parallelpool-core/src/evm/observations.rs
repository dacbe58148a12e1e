//! What an execution saw beyond the values it loaded.
//!
//! A loaded account is not yet an observed balance: most accounts are loaded for their code or
//! to move value, and such moves commute. This module records where a balance, an account's
//! emptiness or the block's environment really entered the computation. It errs towards
//! recording: an observation too many costs parallelism, one too few costs correctness. Frames
//! that are reverted later count as well.

use revm::bytecode::opcode;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{InputsTr, RuntimeFlag};
use revm::interpreter::{
    Instruction, InstructionContext, InstructionExecResult, InstructionResult, SharedMemory, instructions,
};
use revm::primitives::hardfork::SpecId;

use super::Context;
use super::ExecutionDatabase;
use crate::primitives::{Address, U256};

type AddressSet = hashbrown::HashSet<Address, foldhash::fast::RandomState>;

/// One bit per environment read.
pub mod environment {
    #![allow(missing_docs)]
    pub const TIMESTAMP: u16 = 1;
    pub const NUMBER: u16 = 1 << 1;
    pub const PREVRANDAO: u16 = 1 << 2;
    pub const COINBASE: u16 = 1 << 3;
    pub const GASLIMIT: u16 = 1 << 4;
    pub const BASEFEE: u16 = 1 << 5;
    pub const GASPRICE: u16 = 1 << 6;
    pub const BLOBBASEFEE: u16 = 1 << 7;
    pub const BLOCKHASH: u16 = 1 << 8;
    pub const SLOTNUM: u16 = 1 << 9;
}

/// Observations of one transaction; addresses without repetition, in order of first sight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// Accounts whose balance was seen: BALANCE, SELFBALANCE, SELFDESTRUCT, an internal value
    /// call or creation that failed for want of funds.
    pub balances: Vec<Address>,
    /// Accounts of which it was seen whether they are empty (or exist): value CALL,
    /// EXTCODEHASH, SELFDESTRUCT target, authorities of a set-code transaction; from Amsterdam on
    /// the recipient of value and the address of a creation.
    pub emptiness: Vec<Address>,
    /// Accounts that entered the computation as a whole, nonce included: contracts that create,
    /// destinations of creations, authorities of a set-code transaction. The sender's own nonce
    /// is checked by every transaction and not meant here.
    pub whole: Vec<Address>,
    /// Mask of [`environment`] bits.
    pub environment: u16,
    /// For each contract that sent value in internal calls: the sum of all it tried to send,
    /// nothing it received subtracted. A balance of at least this much lets every one of those
    /// calls have the same outcome as with unlimited funds.
    pub outflow: Vec<(Address, U256)>,
}

impl Observations {
    /// Whether the balance of `address` entered the computation.
    pub fn observes_balance(&self, address: &Address) -> bool {
        self.balances.contains(address)
    }
}

/// Collects the observations of one transaction after another.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    observations: Observations,
    // Membership of the address lists: a loop over BALANCE must not turn quadratic.
    balances: AddressSet,
    emptiness: AddressSet,
    whole: AddressSet,
}

/// Above this many entries a set is thrown away instead of cleared, since clearing costs its
/// capacity.
const KEPT_CAPACITY: usize = 256;

impl Recorder {
    /// The observations since the last call; starts anew.
    pub(super) fn take(&mut self) -> Observations {
        self.forget_members();
        std::mem::take(&mut self.observations)
    }

    /// Forgets the observations, keeping their room.
    pub(crate) fn reset(&mut self) {
        self.forget_members();
        let Observations { balances, emptiness, whole, environment, outflow } = &mut self.observations;
        balances.clear();
        emptiness.clear();
        whole.clear();
        *environment = 0;
        outflow.clear();
    }

    fn forget_members(&mut self) {
        for set in [&mut self.balances, &mut self.emptiness, &mut self.whole] {
            if set.capacity() > KEPT_CAPACITY {
                *set = AddressSet::default();
            } else {
                set.clear();
            }
        }
    }

    pub(super) fn balance(&mut self, address: Address) {
        if self.balances.insert(address) {
            self.observations.balances.push(address);
        }
    }

    pub(super) fn emptiness(&mut self, address: Address) {
        if self.emptiness.insert(address) {
            self.observations.emptiness.push(address);
        }
    }

    pub(super) fn whole(&mut self, address: Address) {
        if self.whole.insert(address) {
            self.observations.whole.push(address);
        }
    }

    pub(super) fn outflow(&mut self, address: Address, value: U256) {
        let outflow = &mut self.observations.outflow;
        match outflow.iter_mut().find(|(sender, _)| *sender == address) {
            Some((_, sum)) => *sum = sum.saturating_add(value),
            None => outflow.push((address, value)),
        }
    }

    fn environment(&mut self, bit: u16) {
        self.observations.environment |= bit;
    }
}

type Frame<'a, D> = InstructionContext<'a, Context<D>, EthInterpreter>;

/// Puts the recording instructions in place of the stock ones.
pub(super) fn install<D: ExecutionDatabase>(table: &mut [Instruction<EthInterpreter, Context<D>>; 256]) {
    let mut replace = |code: u8, instruction| table[code as usize] = Instruction::new(instruction);
    replace(opcode::BALANCE, balance);
    replace(opcode::SELFBALANCE, self_balance);
    replace(opcode::SELFDESTRUCT, self_destruct);
    replace(opcode::EXTCODEHASH, ext_code_hash);
    replace(opcode::CALL, call);
    replace(opcode::CREATE, create::<false, D>);
    replace(opcode::CREATE2, create::<true, D>);
    replace(opcode::GASPRICE, gas_price);
    replace(opcode::TIMESTAMP, |frame| {
        frame.host.chain.recorder.environment(environment::TIMESTAMP);
        instructions::block_info::timestamp(frame)
    });
    replace(opcode::NUMBER, |frame| {
        frame.host.chain.recorder.environment(environment::NUMBER);
        instructions::block_info::block_number(frame)
    });
    replace(opcode::DIFFICULTY, |frame| {
        frame.host.chain.recorder.environment(environment::PREVRANDAO);
        instructions::block_info::difficulty(frame)
    });
    replace(opcode::COINBASE, |frame| {
        frame.host.chain.recorder.environment(environment::COINBASE);
        instructions::block_info::coinbase(frame)
    });
    replace(opcode::GASLIMIT, |frame| {
        frame.host.chain.recorder.environment(environment::GASLIMIT);
        instructions::block_info::gaslimit(frame)
    });
    replace(opcode::BASEFEE, |frame| {
        frame.host.chain.recorder.environment(environment::BASEFEE);
        instructions::block_info::basefee(frame)
    });
    replace(opcode::BLOBBASEFEE, |frame| {
        frame.host.chain.recorder.environment(environment::BLOBBASEFEE);
        instructions::block_info::blob_basefee(frame)
    });
    replace(opcode::BLOCKHASH, |frame| {
        frame.host.chain.recorder.environment(environment::BLOCKHASH);
        instructions::host::blockhash(frame)
    });
    replace(opcode::SLOTNUM, |frame| {
        frame.host.chain.recorder.environment(environment::SLOTNUM);
        instructions::block_info::slot_num(frame)
    });
}

/// The address `depth` words below the top of the stack.
pub(super) fn address_at<D: ExecutionDatabase>(frame: &Frame<'_, D>, depth: usize) -> Option<Address> {
    let word = frame.interpreter.stack.peek(depth).ok()?;
    Some(Address::from_word(word.into()))
}

fn balance<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    if let Some(address) = address_at(&frame, 0) {
        frame.host.chain.recorder.balance(address);
    }
    instructions::host::balance(frame)
}

fn self_balance<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    frame.host.chain.recorder.balance(frame.interpreter.input.target_address());
    instructions::host::selfbalance(frame)
}

pub(super) fn self_destruct<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    if let Some(target) = address_at(&frame, 0) {
        frame.host.chain.recorder.balance(frame.interpreter.input.target_address());
        frame.host.chain.recorder.emptiness(target);
    }
    instructions::host::selfdestruct(frame)
}

fn ext_code_hash<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    if let Some(address) = address_at(&frame, 0) {
        frame.host.chain.recorder.emptiness(address);
    }
    instructions::host::extcodehash(frame)
}

/// A value call pays for a recipient that is empty; before EIP-161 every call pays for one that
/// does not exist.
fn call<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    let value = frame.interpreter.stack.peek(2).unwrap_or_default();
    let always = !frame.interpreter.runtime_flag.spec_id().is_enabled_in(SpecId::SPURIOUS_DRAGON);
    if (always || !value.is_zero())
        && let Some(recipient) = address_at(&frame, 1)
    {
        frame.host.chain.recorder.emptiness(recipient);
    }
    instructions::contract::call::<{ opcode::CALL }, _, _>(frame)
}

/// From Amsterdam on the opcode itself compares the creator's balance and charges for a
/// destination that is empty; before, all that happens when the frame begins.
fn create<const SALTED: bool, D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    let Frame { interpreter, host } = frame;
    if !interpreter.runtime_flag.spec_id().is_enabled_in(SpecId::AMSTERDAM) {
        return instructions::contract::create::<SALTED, _, _>(Frame { interpreter, host });
    }
    let creator = interpreter.input.target_address();
    let arguments: [U256; 4] = std::array::from_fn(|depth| interpreter.stack.peek(depth).unwrap_or_default());
    let account = host.journaled_state.state.get(&creator);
    let (balance, nonce) =
        account.map(|account| (account.info.balance, account.info.nonce)).unwrap_or_default();
    if balance < arguments[0] {
        host.chain.recorder.balance(creator);
        host.chain.recorder.outflow(creator, arguments[0]);
    }
    let result =
        instructions::contract::create::<SALTED, _, _>(Frame { interpreter: &mut *interpreter, host });
    if result.is_err_and(|reason| reason != InstructionResult::Suspend) {
        host.chain.recorder.whole(creator);
        let destination = if SALTED {
            salted_destination(&interpreter.memory, creator, arguments)
        } else {
            Some(creator.create(nonce))
        };
        destination.into_iter().for_each(|address| host.chain.recorder.emptiness(address));
    }
    result
}

/// Where CREATE2 would have created; `None` if it did not come as far as reading its code.
fn salted_destination(memory: &SharedMemory, creator: Address, arguments: [U256; 4]) -> Option<Address> {
    let [_, offset, length, salt] = arguments;
    let length = usize::try_from(length).ok()?;
    let offset = if length == 0 { 0 } else { usize::try_from(offset).ok()? };
    let is_there = offset.checked_add(length)? <= memory.len();
    is_there.then(|| creator.create2_from_code(salt.to_be_bytes::<32>(), &*memory.slice_len(offset, length)))
}

/// Pushes the price in full width; revm's own is 128 bits wide.
fn gas_price<D: ExecutionDatabase>(frame: Frame<'_, D>) -> InstructionExecResult {
    frame.host.chain.recorder.environment(environment::GASPRICE);
    if frame.interpreter.stack.push(frame.host.tx.price) {
        Ok(())
    } else {
        Err(InstructionResult::StackOverflow)
    }
}
