//! A small assembler for EVM code: enough to write test contracts without a compiler.

use parallelpool_core::primitives::{Address, U256};

pub(crate) mod op {
    pub(crate) const STOP: u8 = 0x00;
    pub(crate) const ADD: u8 = 0x01;
    pub(crate) const SUB: u8 = 0x03;
    pub(crate) const LT: u8 = 0x10;
    pub(crate) const ISZERO: u8 = 0x15;
    pub(crate) const AND: u8 = 0x16;
    pub(crate) const ADDRESS: u8 = 0x30;
    pub(crate) const BALANCE: u8 = 0x31;
    pub(crate) const CALLER: u8 = 0x33;
    pub(crate) const CALLDATALOAD: u8 = 0x35;
    pub(crate) const CODECOPY: u8 = 0x39;
    pub(crate) const GASPRICE: u8 = 0x3a;
    pub(crate) const EXTCODESIZE: u8 = 0x3b;
    pub(crate) const EXTCODECOPY: u8 = 0x3c;
    pub(crate) const EXTCODEHASH: u8 = 0x3f;
    pub(crate) const BLOCKHASH: u8 = 0x40;
    pub(crate) const COINBASE: u8 = 0x41;
    pub(crate) const TIMESTAMP: u8 = 0x42;
    pub(crate) const NUMBER: u8 = 0x43;
    pub(crate) const DIFFICULTY: u8 = 0x44;
    pub(crate) const GASLIMIT: u8 = 0x45;
    pub(crate) const SELFBALANCE: u8 = 0x47;
    pub(crate) const POP: u8 = 0x50;
    pub(crate) const MLOAD: u8 = 0x51;
    pub(crate) const MSTORE: u8 = 0x52;
    pub(crate) const SLOAD: u8 = 0x54;
    pub(crate) const SSTORE: u8 = 0x55;
    pub(crate) const JUMP: u8 = 0x56;
    pub(crate) const JUMPI: u8 = 0x57;
    pub(crate) const GAS: u8 = 0x5a;
    pub(crate) const JUMPDEST: u8 = 0x5b;
    pub(crate) const TLOAD: u8 = 0x5c;
    pub(crate) const TSTORE: u8 = 0x5d;
    pub(crate) const PUSH1: u8 = 0x60;
    pub(crate) const PUSH2: u8 = 0x61;
    pub(crate) const DUP1: u8 = 0x80;
    pub(crate) const DUP2: u8 = 0x81;
    pub(crate) const LOG1: u8 = 0xa1;
    pub(crate) const LOG2: u8 = 0xa2;
    pub(crate) const LOG3: u8 = 0xa3;
    pub(crate) const CREATE: u8 = 0xf0;
    pub(crate) const CALL: u8 = 0xf1;
    pub(crate) const CALLCODE: u8 = 0xf2;
    pub(crate) const RETURN: u8 = 0xf3;
    pub(crate) const DELEGATECALL: u8 = 0xf4;
    pub(crate) const CREATE2: u8 = 0xf5;
    pub(crate) const STATICCALL: u8 = 0xfa;
    pub(crate) const REVERT: u8 = 0xfd;
    pub(crate) const INVALID: u8 = 0xfe;
    pub(crate) const SELFDESTRUCT: u8 = 0xff;
}

/// Code under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
}

impl Assembler {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Plain opcodes.
    pub(crate) fn ops(&mut self, ops: &[u8]) -> &mut Self {
        self.code.extend_from_slice(ops);
        self
    }

    /// The shortest push of a number, never PUSH0: the code must run on every fork.
    pub(crate) fn push(&mut self, value: impl TryInto<U256>) -> &mut Self {
        let value = value.try_into().unwrap_or_else(|_| panic!("a number of at most 256 bits"));
        let bytes: [u8; 32] = value.to_be_bytes();
        let skipped = bytes.iter().take_while(|byte| **byte == 0).count().min(31);
        self.code.push(op::PUSH1 + (31 - skipped) as u8);
        self.code.extend_from_slice(&bytes[skipped..]);
        self
    }

    pub(crate) fn push_address(&mut self, address: Address) -> &mut Self {
        self.push(U256::from_be_slice(address.as_slice()))
    }

    /// Word `index` of the calldata.
    pub(crate) fn argument(&mut self, index: u64) -> &mut Self {
        self.push(U256::from(32 * index)).ops(&[op::CALLDATALOAD])
    }

    /// Runs `body` unless the word on the stack is zero. `body` leaves the stack as it was.
    pub(crate) fn when(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.ops(&[op::ISZERO, op::PUSH2, 0, 0, op::JUMPI]);
        let target = self.code.len() - 3;
        body(self);
        let end = u16::try_from(self.code.len()).expect("code below 64 KiB").to_be_bytes();
        self.code[target..target + 2].copy_from_slice(&end);
        self.ops(&[op::JUMPDEST])
    }

    /// Never ends but by running out of gas.
    pub(crate) fn forever(&mut self) -> &mut Self {
        let start = self.code.len();
        self.ops(&[op::JUMPDEST]).push(U256::from(start)).ops(&[op::JUMP])
    }

    /// Puts `bytes`, at most a few words, to the start of memory by pushing them.
    pub(crate) fn memory(&mut self, bytes: &[u8]) -> &mut Self {
        for (index, chunk) in bytes.chunks(32).enumerate() {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            self.push(U256::from_be_bytes(word)).push(U256::from(32 * index)).ops(&[op::MSTORE]);
        }
        self
    }

    pub(crate) fn code(&self) -> Vec<u8> {
        self.code.clone()
    }
}

/// Init code that runs `constructor` and returns `runtime`.
pub(crate) fn init_code(constructor: &Assembler, runtime: &[u8]) -> Vec<u8> {
    let mut init = constructor.clone();
    // The length of what is still to come is known: each push below takes three bytes.
    let tail = 3 + 3 + 2 + 1 + 3 + 2 + 1;
    let start = u16::try_from(init.code.len() + tail).expect("short code").to_be_bytes();
    let length = u16::try_from(runtime.len()).expect("short code").to_be_bytes();
    init.ops(&[op::PUSH2, length[0], length[1], op::PUSH2, start[0], start[1], op::PUSH1, 0, op::CODECOPY]);
    init.ops(&[op::PUSH2, length[0], length[1], op::PUSH1, 0, op::RETURN]);
    init.code.extend_from_slice(runtime);
    init.code
}
