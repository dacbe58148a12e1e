//! geth's `prestateTracer`: the accounts and slots that a transaction asks for, as they were before it, and in
//! its other mode what it changed (eth/tracers/native/prestate.go).

use std::collections::{BTreeMap, BTreeSet};

use revm::bytecode::opcode;

use super::JsonTracer;
use super::place::Place;
use super::text::{Object, Text};
use crate::chainspec::{Fork, Rules};
use crate::error::StateError;
use crate::evm::inspection::{Charge, LiveState, Step, Tracer};
use crate::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256};
use crate::state::{Account, StateView};
use crate::tx::RecoveredTransaction;

/// Bytes of code in a delegation (EIP-7702).
const DELEGATION_LENGTH: usize = 23;
const DELEGATION_MARK: &[u8] = &[0xef, 0x01, 0x00];
/// So much memory that is not there yet may be part of init code.
const MOST_PADDING: usize = 1024 * 1024;

/// What is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrestateOptions {
    /// What changed, before and after, in place of all that was asked for.
    pub diff_mode: bool,
    /// No code.
    pub disable_code: bool,
    /// No storage.
    pub disable_storage: bool,
    /// Accounts that were not there.
    pub include_empty: bool,
}

/// An account; what is `None` is not told.
#[derive(Debug, Clone, Default)]
struct Told {
    balance: Option<U256>,
    code: Option<Bytes>,
    code_hash: Option<B256>,
    nonce: u64,
    storage: BTreeMap<U256, U256>,
    /// There was nothing.
    empty: bool,
}

/// Keeps what is asked for.
#[derive(Debug)]
pub(super) struct PrestateTracer {
    options: PrestateOptions,
    rules: Rules,
    beneficiary: Address,
    before: BTreeMap<Address, Told>,
    after: BTreeMap<Address, Told>,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
    /// What the step that is under way asks for: it counts once the step has begun.
    asked: Asked,
}

/// What a step asks for.
#[derive(Debug, Default)]
struct Asked {
    accounts: Vec<(Address, Told)>,
    slot: Option<(Address, U256, U256)>,
    created: Option<Address>,
    deleted: Option<Address>,
}

impl PrestateTracer {
    pub(super) fn new(options: PrestateOptions, rules: &Rules, beneficiary: Address) -> Self {
        Self {
            options,
            rules: *rules,
            beneficiary,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            asked: Asked::default(),
        }
    }

    fn told(&self, account: Option<Account>, code: Bytes) -> Told {
        let Account { nonce, balance, code_hash } = account.unwrap_or_default();
        let has_code = account.is_some() && code_hash != KECCAK_EMPTY;
        Told {
            balance: Some(balance),
            empty: nonce == 0 && balance.is_zero() && code.is_empty(),
            code: (!code.is_empty() && !self.options.disable_code).then_some(code),
            code_hash: has_code.then_some(code_hash),
            nonce,
            storage: BTreeMap::new(),
        }
    }

    /// Keeps an account as it is before the transaction.
    fn look_up(&mut self, address: Address, state: &dyn StateView) -> Result<(), StateError> {
        if !self.before.contains_key(&address) {
            let told = self.told(state.account(&address)?, code_of(state, &address)?);
            self.before.insert(address, told);
        }
        Ok(())
    }

    /// An account that a step asks for.
    fn ask(&mut self, address: Address, state: &mut dyn LiveState) -> Result<(), StateError> {
        let is_asked = self.asked.accounts.iter().any(|(asked, _)| *asked == address);
        if !is_asked && !self.before.contains_key(&address) {
            let told = self.told(state.account(address)?, state.code(address)?);
            self.asked.accounts.push((address, told));
        }
        Ok(())
    }

    fn ask_for_callee(&mut self, address: Address, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.ask(address, state)?;
        match self.delegate(&state.code(address)?) {
            Some(delegate) => self.ask(delegate, state),
            None => Ok(()),
        }
    }

    /// To whom code delegates, where delegations are known.
    fn delegate(&self, code: &[u8]) -> Option<Address> {
        let is_delegation = self.rules.fork >= Fork::Prague
            && code.len() == DELEGATION_LENGTH
            && code.starts_with(DELEGATION_MARK);
        is_delegation.then(|| Address::from_slice(&code[DELEGATION_MARK.len()..]))
    }

    fn ask_for_creation(
        &mut self,
        creator: Address,
        address: Address,
        state: &mut dyn LiveState,
    ) -> Result<(), StateError> {
        debug_assert_ne!(creator, address);
        self.ask(address, state)?;
        self.asked.created = Some(address);
        Ok(())
    }

    /// Fills in what became of the accounts, and leaves out of both sides what did not change.
    fn compare(&mut self, state: &dyn StateView) -> Result<(), StateError> {
        let mut unchanged = Vec::new();
        for (address, before) in &mut self.before {
            if self.deleted.contains(address) {
                continue;
            }
            let found = state.account(address)?;
            let Account { nonce, balance, code_hash } = found.unwrap_or_default();
            let code_hash = if found.is_some() { code_hash } else { B256::ZERO };
            let mut after = Told::default();
            let mut modified = false;
            if before.balance != Some(balance) {
                modified = true;
                after.balance = Some(balance);
            }
            if before.nonce != nonce {
                modified = true;
                after.nonce = nonce;
            }
            if before.code_hash.unwrap_or(KECCAK_EMPTY) != code_hash {
                modified = true;
                after.code_hash = Some(code_hash);
            }
            if !self.options.disable_code {
                let code = code_of(state, address)?;
                if before.code.as_ref().map_or(&[][..], |code| code) != &code[..] {
                    modified = true;
                    after.code = Some(code);
                }
            }
            let mut kept = BTreeMap::new();
            for (slot, old) in std::mem::take(&mut before.storage) {
                let new = if found.is_some() { state.storage(address, &slot)? } else { U256::ZERO };
                if old == new {
                    continue;
                }
                modified = true;
                if !old.is_zero() {
                    kept.insert(slot, old);
                }
                if !new.is_zero() {
                    after.storage.insert(slot, new);
                }
            }
            before.storage = kept;
            if modified {
                self.after.insert(*address, after);
            } else {
                unchanged.push(*address);
            }
        }
        unchanged.iter().for_each(|address| drop(self.before.remove(address)));
        Ok(())
    }
}

impl Tracer for PrestateTracer {
    fn start(&mut self, tx: &RecoveredTransaction, state: &dyn StateView) -> Result<(), StateError> {
        let sender = tx.sender;
        let to = match tx.tx.to {
            None => {
                let nonce = state.account(&sender)?.map_or(0, |account| account.nonce);
                let to = sender.create(nonce);
                self.created.insert(to);
                to
            }
            Some(to) => {
                if let Some(delegate) = self.delegate(&code_of(state, &to)?) {
                    self.look_up(delegate, state)?;
                }
                to
            }
        };
        for address in [sender, to, self.beneficiary] {
            self.look_up(address, state)?;
        }
        for authorization in &tx.tx.authorization_list {
            if let Some(authority) = authorization.recover_authority() {
                self.look_up(authority, state)?;
            }
        }
        Ok(())
    }

    fn wants_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn LiveState) -> Result<(), StateError> {
        self.asked = Asked::default();
        let address = |word: &U256| Address::from_word((*word).into());
        match (step.opcode, step.stack) {
            (opcode::SLOAD | opcode::SSTORE, [.., slot]) => {
                self.ask(step.contract, state)?;
                self.asked.slot = Some((step.contract, *slot, state.storage(step.contract, *slot)?));
            }
            (
                opcode::EXTCODECOPY | opcode::EXTCODEHASH | opcode::EXTCODESIZE | opcode::BALANCE,
                [.., word],
            ) => self.ask(address(word), state)?,
            (opcode::SELFDESTRUCT, [.., heir]) => {
                self.ask(address(heir), state)?;
                let goes = self.rules.fork < Fork::Cancun || self.created.contains(&step.contract);
                self.asked.deleted = goes.then_some(step.contract);
            }
            (
                opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL,
                [.., _, _, _, callee, _],
            ) => self.ask_for_callee(address(callee), state)?,
            (opcode::CREATE, _) => {
                let nonce = state.account(step.contract)?.map_or(0, |account| account.nonce);
                self.ask_for_creation(step.contract, step.contract.create(nonce), state)?;
            }
            (opcode::CREATE2, [.., salt, length, offset, _]) => {
                if let Some(code) = padded(step.memory, *offset, *length) {
                    let created = step.contract.create2_from_code(salt.to_be_bytes::<32>(), code);
                    self.ask_for_creation(step.contract, created, state)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn charged(&mut self, charge: &Charge) {
        let Asked { accounts, slot, created, deleted } = std::mem::take(&mut self.asked);
        if charge.error.is_some() {
            return;
        }
        self.before.extend(accounts);
        self.created.extend(created);
        self.deleted.extend(deleted);
        if let Some((address, slot, value)) = slot.filter(|_| !self.options.disable_storage) {
            self.before.entry(address).or_default().storage.entry(slot).or_insert(value);
        }
    }

    fn end(&mut self, _gas_used: u64, state: &dyn StateView) -> Result<(), StateError> {
        if self.options.diff_mode {
            self.compare(state)?;
        }
        if !self.options.include_empty {
            self.before.retain(|_, account| !account.empty);
        }
        Ok(())
    }
}

impl JsonTracer for PrestateTracer {
    fn write(&mut self, _place: &Place, text: &mut Text) {
        if !self.options.diff_mode {
            return write_accounts(&self.before, text);
        }
        let mut object = Object::begin(text);
        write_accounts(&self.after, object.member("post"));
        write_accounts(&self.before, object.member("pre"));
        object.end();
    }
}

fn write_accounts(accounts: &BTreeMap<Address, Told>, text: &mut Text) {
    text.push("{");
    text.list(accounts, |text, (address, told)| {
        text.data(address.as_slice());
        text.push(":");
        let mut object = Object::begin(text);
        if let Some(balance) = told.balance {
            object.quantity("balance", balance);
        }
        if let Some(code) = &told.code {
            object.data("code", code);
        }
        if told.code_hash.is_some() {
            object.hash("codeHash", told.code_hash);
        }
        if told.nonce > 0 {
            object.number("nonce", told.nonce);
        }
        if !told.storage.is_empty() {
            let slots = object.member("storage");
            slots.push("{");
            slots.list(&told.storage, |text, (slot, value)| {
                text.push(&format!("\"{slot:#066x}\":\"{value:#066x}\""));
            });
            slots.push("}");
        }
        object.end();
    });
    text.push("}");
}

fn code_of(state: &dyn StateView, address: &Address) -> Result<Bytes, StateError> {
    match state.account(address)? {
        Some(account) if account.code_hash != KECCAK_EMPTY => {
            Ok(state.code(&account.code_hash)?.original_bytes())
        }
        _ => Ok(Bytes::new()),
    }
}

/// Memory as it will be once it has grown; `None` for more than it could grow to.
fn padded(memory: &[u8], offset: U256, length: U256) -> Option<Vec<u8>> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    let end = offset.checked_add(length)?;
    if end.saturating_sub(memory.len()) > MOST_PADDING {
        return None;
    }
    let mut code = memory.get(offset.min(memory.len())..end.min(memory.len()))?.to_vec();
    code.resize(length, 0);
    Some(code)
}
