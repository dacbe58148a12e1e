//! The database of one worker's EVM: the block's state at one index, with a log of what was read.
//!
//! The EVM asks for each key once per execution, so a log holds each key once. Whoever reads values
//! that were written by different executions at different times gets an inconsistent picture; that
//! is allowed here and found out when the log is compared at the frontier.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use revm::Database;
use revm::state::{AccountId as AccountHint, AccountInfo};

use super::memory::{AccountId, VersionedState};
use super::reads::ReadLog;
use super::sync::{AtomicBool, Ordering};
use crate::error::StateError;
use crate::evm::ExecutionDatabase;
use crate::evm::database::account_info;
use crate::primitives::{Address, B256, Bytecode, Bytes, U256};
use crate::state::{Account, StateView};
use crate::tx::RecoveredTransaction;

/// The sender as a valid transaction finds it. Earlier transactions of the block may still raise its
/// nonce and its funds, so speculation takes both for granted; at the frontier they are compared.
#[derive(Debug, Clone, Copy)]
struct PredictedSender {
    address: Address,
    nonce: u64,
    /// Most wei that the transaction can cost.
    cost: U256,
}

impl PredictedSender {
    fn instead_of(&self, account: Option<Account>) -> Option<Account> {
        let mut predicted = account.unwrap_or_default();
        // Nonces never fall: this transaction cannot become valid.
        if predicted.nonce > self.nonce {
            return account;
        }
        predicted.nonce = self.nonce;
        predicted.balance = predicted.balance.max(self.cost);
        Some(predicted)
    }
}

/// The block's state as one transaction sees it.
#[derive(Debug)]
pub(super) struct TransactionView<'a, V> {
    memory: &'a VersionedState<V>,
    /// Set when the block is over, whatever still runs.
    stopped: &'a AtomicBool,
    at: u32,
    log: Option<ReadLog>,
    sender: Option<PredictedSender>,
    /// Codes that this worker has met; spares the view's tables.
    codes: HashMap<B256, HeldCode, RandomState>,
    /// Accounts that it met last, by the last byte of their address; spares the tables of all workers.
    met: [Option<(Address, AccountId)>; MET],
}

/// A power of two.
const MET: usize = 64;

/// A code as one worker holds it.
///
/// Whoever runs a code counts as its holder for that time. The count stands beside the code, so threads
/// that run the same one keep taking the place from each other; after some uses a copy is cheaper.
#[derive(Debug)]
struct HeldCode {
    code: Bytecode,
    uses: usize,
    is_own: bool,
}

/// Bytes of code that are copied, and their jump destinations found, in the time lost by one shared use.
const BYTES_PER_USE: usize = 64;

impl HeldCode {
    fn new(code: Bytecode) -> Self {
        Self { code, uses: 0, is_own: false }
    }

    #[inline]
    fn take(&mut self) -> Bytecode {
        if !self.is_own {
            self.uses += 1;
            if self.uses * BYTES_PER_USE >= self.code.len() {
                self.copy();
            }
        }
        self.code.clone()
    }

    #[cold]
    fn copy(&mut self) {
        self.is_own = true;
        if self.code.is_legacy() && !self.code.is_empty() {
            self.code = Bytecode::new_legacy(Bytes::copy_from_slice(self.code.original_byte_slice()));
        }
    }
}

impl<'a, V: StateView> TransactionView<'a, V> {
    pub(super) fn new(memory: &'a VersionedState<V>, stopped: &'a AtomicBool) -> Self {
        Self { memory, stopped, at: 0, log: None, sender: None, codes: HashMap::default(), met: [None; MET] }
    }

    /// The next reads are those of transaction `at`, on committed state.
    #[inline]
    pub(super) fn begin(&mut self, at: u32) {
        (self.at, self.log, self.sender) = (at, None, None);
    }

    /// The next reads are those of transaction `at` ahead of the frontier, written to `log`.
    /// `predicts`: the sender is taken to be ready for the transaction.
    pub(super) fn begin_ahead(&mut self, at: u32, log: ReadLog, tx: &RecoveredTransaction, predicts: bool) {
        self.begin(at);
        self.log = Some(log);
        self.sender = tx.tx.cost().filter(|_| predicts).map(|cost| PredictedSender {
            address: tx.sender,
            nonce: tx.tx.nonce,
            cost,
        });
    }

    /// The reads since [`Self::begin_ahead`].
    #[inline]
    pub(super) fn take_log(&mut self) -> Option<ReadLog> {
        self.log.take()
    }

    /// The id of an account, which it keeps throughout the block.
    #[inline]
    pub(super) fn account_id(&mut self, address: Address) -> AccountId {
        let place = &mut self.met[usize::from(address[19]) % MET];
        match place {
            Some((met, id)) if *met == address => *id,
            _ => {
                let id = self.memory.account_id(address);
                *place = Some((address, id));
                id
            }
        }
    }

    /// The ids of some accounts that are about to be read.
    pub(super) fn meet(&mut self, addresses: &[Address], ids: &[AccountId]) {
        for (address, id) in addresses.iter().zip(ids) {
            self.met[usize::from(address[19]) % MET] = Some((*address, *id));
        }
    }

    #[inline]
    fn slot(&mut self, account: AccountId, slot: U256) -> Result<U256, StateError> {
        self.go_on()?;
        let id = self.memory.slot_id(account, slot);
        let value = self.memory.slot(id, self.at)?;
        if let Some(log) = &mut self.log {
            log.slot(id, value);
        }
        Ok(value)
    }

    #[inline]
    fn go_on(&self) -> Result<(), StateError> {
        if self.stopped.load(Ordering::Relaxed) { Err(StateError::Speculation) } else { Ok(()) }
    }
}

impl<V: StateView> Database for TransactionView<'_, V> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.go_on()?;
        let id = self.account_id(address);
        let mut account = self.memory.account(id, self.at)?;
        if let Some(sender) = self.sender.filter(|sender| sender.address == address) {
            account = sender.instead_of(account);
        }
        if let Some(log) = &mut self.log {
            log.account(id, account);
        }
        Ok(account.map(|account| AccountInfo { account_id: id.as_hint(), ..account_info(&account) }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        match self.codes.entry(code_hash) {
            Entry::Occupied(held) => Ok(held.into_mut().take()),
            Entry::Vacant(place) => {
                let code = self.memory.code(&code_hash)?;
                place.insert(HeldCode::new(code.clone()));
                Ok(code)
            }
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let account = self.account_id(address);
        self.slot(account, slot)
    }

    fn storage_by_account_id(
        &mut self,
        _address: Address,
        account: AccountHint,
        slot: U256,
    ) -> Result<U256, StateError> {
        self.slot(AccountId::from_hint(account), slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        // An ancestor's hash is the same for all transactions: no read to compare.
        self.memory.block_hash(number)
    }
}

impl<V: StateView> ExecutionDatabase for TransactionView<'_, V> {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        let id = self.account_id(address);
        let value = self.memory.has_storage(id, self.at)?;
        if let Some(log) = &mut self.log {
            log.storage(id, value);
        }
        Ok(value)
    }
}
