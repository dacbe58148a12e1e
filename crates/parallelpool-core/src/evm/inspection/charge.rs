//! What an instruction costs as geth tells it (core/vm/gas_table.go, operations_acl.go).
//!
//! What ran was paid, and the payment tells the cost. What failed was cut off somewhere; its cost is worked
//! out anew, up to the point at which geth would have given up, with geth's words for that point.

use revm::bytecode::opcode::{self, OpCode};
use revm::interpreter::instructions::GasTable;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{LoopControl, RuntimeFlag};
use revm::interpreter::{FrameInput, InstructionResult, Interpreter, InterpreterAction, STACK_LIMIT};
use revm::primitives::hardfork::SpecId;

use super::LiveState;
use super::live::Live;
use crate::error::StateError;
use crate::evm::ExecutionDatabase;
use crate::evm::halt::{self, StoppedAt};
use crate::primitives::{Address, KECCAK_EMPTY, U256};

/// Operands that any price depends on.
const OPERANDS: usize = 7;
/// More memory than this has no price in 64 bits.
const MOST_MEMORY: u64 = 0x1F_FFFF_FFE0;

const OUT_OF_GAS: &str = "out of gas";
const OVERFLOW: &str = "gas uint64 overflow";
const WRITE_PROTECTION: &str = "write protection";

const COLD_ACCOUNT: u64 = 2_600;
const COLD_SLOT: u64 = 2_100;
const WARM: u64 = 100;
const CALL_VALUE: u64 = 9_000;
const NEW_ACCOUNT: u64 = 25_000;
const CREATION: u64 = 32_000;
const SET_SLOT: u64 = 20_000;
const RESET_SLOT: u64 = 2_900;
const SENTRY: u64 = 2_300;
const CLEARED: i64 = 4_800;

/// Where the machine stood before an instruction.
#[derive(Debug)]
pub(super) struct Before {
    opcode: u8,
    pub(super) gas: u64,
    pub(super) contract: Address,
    pub(super) stack_length: usize,
    /// The topmost words, the top first.
    pub(super) top: [U256; OPERANDS],
    memory: u64,
    spec: SpecId,
    is_static: bool,
    /// Whether the account or slot that it names was cold.
    is_cold: bool,
    /// For a store the slot's value before the transaction and now.
    slot: (U256, U256),
    /// For a destruction whether it brings the heir into being.
    creates_heir: bool,
}

/// A cost, and geth's words where the instruction was not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charged {
    pub(super) cost: u64,
    pub(super) error: Option<String>,
    /// What geth has counted as a refund though the instruction did not run.
    pub(super) refund: i64,
    /// geth's words for the frame, where they are not those of the step and not what the EVM says either.
    pub(super) failure: Option<String>,
}

impl Charged {
    /// What was paid, or would have been, for an instruction that was begun.
    pub(super) fn begun(cost: u64) -> Self {
        Self { cost, error: None, refund: 0, failure: None }
    }
}

/// Why there is no price.
enum Unpaid {
    /// As it is.
    Plain(&'static str),
    /// Found while the price was worked out: told after "out of gas".
    Wrapped(String),
}

impl Unpaid {
    fn wrapped(words: &str) -> Self {
        Self::Wrapped(words.into())
    }
}

impl Before {
    pub(super) fn of<D: ExecutionDatabase>(
        interpreter: &Interpreter<EthInterpreter>,
        live: &mut Live<'_, D>,
        opcode: u8,
    ) -> Result<Self, StateError> {
        let contract = interpreter.input.target_address;
        let top = std::array::from_fn(|depth| interpreter.stack.peek(depth).unwrap_or_default());
        let address = |depth: usize| Address::from_word(top[depth].into());
        let is_cold = match opcode {
            opcode::BALANCE
            | opcode::EXTCODESIZE
            | opcode::EXTCODEHASH
            | opcode::EXTCODECOPY
            | opcode::SELFDESTRUCT => live.is_account_cold(&address(0)),
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                live.is_account_cold(&address(1))
            }
            opcode::SLOAD | opcode::SSTORE => live.is_slot_cold(&contract, &top[0]),
            _ => false,
        };
        // These change what they are priced by before they are charged.
        let slot = match opcode {
            opcode::SSTORE => live.slot_values(contract, top[0])?,
            _ => Default::default(),
        };
        let creates_heir = opcode == opcode::SELFDESTRUCT
            && live.account(contract)?.is_some_and(|account| !account.balance.is_zero())
            && is_empty(live, address(0))?;
        Ok(Self {
            opcode,
            gas: interpreter.gas.remaining(),
            contract,
            stack_length: interpreter.stack.len(),
            top,
            memory: interpreter.memory.len() as u64,
            spec: interpreter.runtime_flag.spec_id(),
            is_static: interpreter.runtime_flag.is_static(),
            is_cold,
            slot,
            creates_heir,
        })
    }

    /// What an instruction that ran has paid. A creation's gas is handed on when it begins, which is later.
    pub(super) fn paid(&self, interpreter: &mut Interpreter<EthInterpreter>) -> u64 {
        let paid = self.gas.saturating_sub(interpreter.gas.remaining());
        match interpreter.bytecode.action() {
            Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) => {
                paid.saturating_sub(inputs.gas_limit())
            }
            _ => paid,
        }
    }

    /// The cost of an instruction that failed, as far as geth had worked it out.
    pub(super) fn charge_of_failure<D: ExecutionDatabase>(
        &self,
        reason: InstructionResult,
        table: &GasTable,
        live: &mut Live<'_, D>,
    ) -> Result<Charged, StateError> {
        use InstructionResult::{InvalidFEOpcode, NotActivated, OpcodeNotFound};
        if matches!(reason, OpcodeNotFound | NotActivated | InvalidFEOpcode) || !self.is_active() {
            let failure = format!("invalid opcode: {}", halt::name_of(self.opcode));
            return Ok(Charged { failure: Some(failure), ..Charged::begun(0) });
        }
        let constant = self.constant(table);
        let stop = |cost, words: String| Ok(Charged { error: Some(words), ..Charged::begun(cost) });
        // geth looks at the stack before it asks for gas.
        if let Some(words) = self.unfit_stack() {
            return stop(constant, words);
        }
        let Some(left) = self.gas.checked_sub(constant) else { return stop(constant, OUT_OF_GAS.into()) };
        match self.variable(left, live)? {
            Err(Unpaid::Plain(words)) => stop(constant, words.into()),
            Err(Unpaid::Wrapped(words)) => stop(constant, format!("{OUT_OF_GAS}: {words}")),
            Ok(variable) => {
                let error = (variable > left).then(|| OUT_OF_GAS.to_owned());
                let refund = if self.opcode == opcode::SSTORE { self.store_refund() } else { 0 };
                Ok(Charged { error, refund, ..Charged::begun(constant.saturating_add(variable)) })
            }
        }
    }

    /// Whether the fork has the opcode. The EVM takes the gas before it looks.
    fn is_active(&self) -> bool {
        let since = match self.opcode {
            opcode::DELEGATECALL => SpecId::HOMESTEAD,
            opcode::RETURNDATASIZE | opcode::RETURNDATACOPY | opcode::STATICCALL | opcode::REVERT => {
                SpecId::BYZANTIUM
            }
            opcode::SHL | opcode::SHR | opcode::SAR | opcode::EXTCODEHASH | opcode::CREATE2 => {
                SpecId::PETERSBURG
            }
            opcode::CHAINID | opcode::SELFBALANCE => SpecId::ISTANBUL,
            opcode::BASEFEE => SpecId::LONDON,
            opcode::PUSH0 => SpecId::SHANGHAI,
            opcode::TLOAD | opcode::TSTORE | opcode::MCOPY | opcode::BLOBHASH | opcode::BLOBBASEFEE => {
                SpecId::CANCUN
            }
            opcode::CLZ => SpecId::OSAKA,
            _ => return true,
        };
        self.spec.is_enabled_in(since)
    }

    /// geth's words for a stack that is too low or too high for the opcode.
    fn unfit_stack(&self) -> Option<String> {
        let info = OpCode::new(self.opcode)?.info();
        let (taken, left) = (usize::from(info.inputs()), usize::from(info.outputs()));
        let at = Some(StoppedAt { opcode: self.opcode, stack: self.stack_length });
        if self.stack_length < taken {
            return Some(halt::describe_stack(false, at));
        }
        let height = self.stack_length - taken + left;
        (height > STACK_LIMIT).then(|| halt::describe_stack(true, at))
    }

    /// The part that needs no look at operands.
    fn constant(&self, table: &GasTable) -> u64 {
        match self.opcode {
            opcode::SLOAD if self.is_berlin() => 0,
            opcode::SSTORE | opcode::EXP | opcode::RETURN | opcode::REVERT => 0,
            opcode::LOG0..=opcode::LOG4 => 0,
            opcode::KECCAK256 => 30,
            opcode::CREATE | opcode::CREATE2 => CREATION,
            code => u64::from(table[usize::from(code)]),
        }
    }

    fn is_berlin(&self) -> bool {
        self.spec.is_enabled_in(SpecId::BERLIN)
    }

    /// The rest. `left` is what is there to pay it.
    fn variable<D: ExecutionDatabase>(
        &self,
        left: u64,
        live: &mut Live<'_, D>,
    ) -> Result<Result<u64, Unpaid>, StateError> {
        let size = match self.memory_size() {
            None => return Ok(Err(Unpaid::Plain(OVERFLOW))),
            Some(size) => size,
        };
        let protects = match self.opcode {
            opcode::SSTORE | opcode::CREATE | opcode::CREATE2 | opcode::SELFDESTRUCT => true,
            opcode::CALL => !self.top[2].is_zero(),
            _ => false,
        };
        if protects && self.is_static {
            return Ok(Err(Unpaid::wrapped(WRITE_PROTECTION)));
        }
        let is_call = matches!(
            self.opcode,
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL
        );
        if is_call && self.cold_account(WARM) > left {
            return Ok(Err(Unpaid::wrapped(OUT_OF_GAS)));
        }
        let memory = match self.memory_price(size) {
            None => return Ok(Err(Unpaid::wrapped(OVERFLOW))),
            Some(price) => price,
        };
        let words = |depth: usize, price: u64| -> Option<u64> {
            let length = u64::try_from(self.top[depth]).ok()?;
            length.div_ceil(32).checked_mul(price)?.checked_add(memory)
        };
        let sum = match self.opcode {
            opcode::KECCAK256 => words(1, 6),
            opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => words(2, 3),
            opcode::EXTCODECOPY => words(3, 3).map(|price| price + self.cold_account(WARM)),
            opcode::BALANCE | opcode::EXTCODESIZE | opcode::EXTCODEHASH => Some(self.cold_account(WARM)),
            opcode::EXP => {
                let byte = if self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) { 50 } else { 10 };
                Some(10 + byte * self.top[1].bit_len().div_ceil(8) as u64)
            }
            opcode::LOG0..=opcode::LOG4 => {
                let topics = u64::from(self.opcode - opcode::LOG0);
                let length = u64::try_from(self.top[1]).ok();
                length.and_then(|length| length.checked_mul(8)?.checked_add(375 * (1 + topics) + memory))
            }
            opcode::SLOAD if self.is_berlin() => Some(if self.is_cold { COLD_SLOT } else { WARM }),
            opcode::SSTORE => return Ok(self.store_price(left)),
            opcode::CREATE | opcode::CREATE2 => return Ok(self.creation_price(memory)),
            opcode::SELFDESTRUCT => return Ok(self.destruction_price(left)),
            _ if is_call => return self.call_price(left, memory, live),
            _ => Some(memory),
        };
        Ok(sum.ok_or_else(|| Unpaid::wrapped(OVERFLOW)))
    }

    /// What a cold account costs beyond what is constant.
    fn cold_account(&self, constant: u64) -> u64 {
        if self.is_cold && self.is_berlin() { COLD_ACCOUNT - constant } else { 0 }
    }

    fn store_price(&self, left: u64) -> Result<u64, Unpaid> {
        if left <= SENTRY && self.spec.is_enabled_in(SpecId::ISTANBUL) {
            return Err(Unpaid::wrapped("not enough gas for reentrancy sentry"));
        }
        let ((original, current), new) = (self.slot, self.top[1]);
        if !self.is_berlin() {
            let sets = current.is_zero() && !new.is_zero();
            return Ok(if sets { SET_SLOT } else { RESET_SLOT + COLD_SLOT });
        }
        let cold = if self.is_cold { COLD_SLOT } else { 0 };
        let change = match () {
            () if current == new || original != current => WARM,
            () if original.is_zero() => SET_SLOT,
            () => RESET_SLOT,
        };
        Ok(cold + change)
    }

    /// EIP-3529. Before London less was asked for exactness: there it is left out.
    fn store_refund(&self) -> i64 {
        let ((original, current), new) = (self.slot, self.top[1]);
        if current == new || !self.spec.is_enabled_in(SpecId::LONDON) {
            return 0;
        }
        let mut refund = 0;
        if !original.is_zero() && current.is_zero() {
            refund -= CLEARED;
        }
        if !original.is_zero() && new.is_zero() {
            refund += CLEARED;
        }
        if original != current && original == new {
            refund += if original.is_zero() { SET_SLOT - WARM } else { RESET_SLOT - WARM } as i64;
        }
        refund
    }

    fn creation_price(&self, memory: u64) -> Result<u64, Unpaid> {
        let length = u64::try_from(self.top[2]).map_err(|_| Unpaid::wrapped(OVERFLOW))?;
        let salted = if self.opcode == opcode::CREATE2 { 6 } else { 0 };
        let limited = self.spec.is_enabled_in(SpecId::SHANGHAI);
        if limited && length > MAX_INIT_CODE_SIZE {
            let words = format!("max initcode size exceeded: code size {length} limit {MAX_INIT_CODE_SIZE}");
            return Err(Unpaid::Wrapped(words));
        }
        let per_word = salted + if limited { 2 } else { 0 };
        let price = length.div_ceil(32).checked_mul(per_word).and_then(|price| price.checked_add(memory));
        price.ok_or_else(|| Unpaid::wrapped(OVERFLOW))
    }

    fn destruction_price(&self, left: u64) -> Result<u64, Unpaid> {
        let cold = self.cold_account(0);
        if cold > left {
            return Err(Unpaid::wrapped(OUT_OF_GAS));
        }
        Ok(cold + if self.creates_heir { NEW_ACCOUNT } else { 0 })
    }

    /// Calls pay piece by piece; whatever they cannot pay, they tell of it in the same words. Before Prague the
    /// rest, with what is handed on, is one sum.
    fn call_price<D: ExecutionDatabase>(
        &self,
        left: u64,
        memory: u64,
        live: &mut Live<'_, D>,
    ) -> Result<Result<u64, Unpaid>, StateError> {
        let cold = self.cold_account(WARM);
        let has_value = matches!(self.opcode, opcode::CALL | opcode::CALLCODE) && !self.top[2].is_zero();
        let mut price = memory + if has_value { CALL_VALUE } else { 0 };
        let left = left - cold;
        if price > left && self.opcode == opcode::CALL {
            return Ok(Err(Unpaid::wrapped(OUT_OF_GAS)));
        }
        let callee = Address::from_word(self.top[1].into());
        if self.opcode == opcode::CALL && has_value && is_empty(live, callee)? {
            price += NEW_ACCOUNT;
        }
        if self.spec.is_enabled_in(SpecId::PRAGUE) {
            // What is left to fail is the delegation of the callee.
            return Ok(Err(Unpaid::wrapped(OUT_OF_GAS)));
        }
        // geth lets the difference wrap around.
        let available = left.wrapping_sub(price);
        let most = available - available / 64;
        let handed_on = u64::try_from(self.top[0]).map_or(most, |wanted| wanted.min(most));
        let sum = price.checked_add(handed_on).and_then(|sum| sum.checked_add(cold));
        Ok(sum.ok_or_else(|| Unpaid::wrapped(OVERFLOW)))
    }

    /// Bytes of memory that it needs; `None` where they cannot be counted.
    fn memory_size(&self) -> Option<u64> {
        let range = |offset: usize, length: usize| end_of(self.top[offset], self.top[length]);
        let fixed = |length: u64| end_of(self.top[0], U256::from(length));
        let size = match self.opcode {
            opcode::MLOAD | opcode::MSTORE => fixed(32),
            opcode::MSTORE8 => fixed(1),
            opcode::KECCAK256 | opcode::RETURN | opcode::REVERT => range(0, 1),
            opcode::LOG0..=opcode::LOG4 => range(0, 1),
            opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY => range(0, 2),
            opcode::MCOPY => end_of(self.top[0].max(self.top[1]), self.top[2]),
            opcode::EXTCODECOPY => range(1, 3),
            opcode::CREATE | opcode::CREATE2 => range(1, 2),
            opcode::CALL | opcode::CALLCODE => Some(range(3, 4)?.max(range(5, 6)?)),
            opcode::DELEGATECALL | opcode::STATICCALL => Some(range(2, 3)?.max(range(4, 5)?)),
            _ => Some(0),
        };
        // Whole words of it must have a size too.
        size.filter(|size| size.div_ceil(32).checked_mul(32).is_some())
    }

    fn memory_price(&self, size: u64) -> Option<u64> {
        if size > MOST_MEMORY {
            return None;
        }
        let price = |bytes: u64| {
            let words = bytes.div_ceil(32);
            words * 3 + words * words / 512
        };
        Some(price(size.max(self.memory)) - price(self.memory))
    }
}

/// EIP-3860.
const MAX_INIT_CODE_SIZE: u64 = 49_152;

fn end_of(offset: U256, length: U256) -> Option<u64> {
    if length.is_zero() {
        return Some(0);
    }
    u64::try_from(offset).ok()?.checked_add(u64::try_from(length).ok()?)
}

fn is_empty<D: ExecutionDatabase>(live: &mut Live<'_, D>, address: Address) -> Result<bool, StateError> {
    Ok(live.account(address)?.is_none_or(|account| {
        account.nonce == 0 && account.balance.is_zero() && account.code_hash == KECCAK_EMPTY
    }))
}
