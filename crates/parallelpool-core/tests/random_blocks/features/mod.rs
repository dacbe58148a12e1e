//! What really happened in a random block, counted from its serial execution.

mod payments;

use std::collections::{BTreeMap, BTreeSet};

use parallelpool_core::block::InvalidTransaction;
use parallelpool_core::chainspec::Fork;
use parallelpool_core::execution::BuildOutcome;
use parallelpool_core::primitives::{Address, KECCAK_EMPTY, U256};
use parallelpool_core::state::{Account, StateChanges, StateView};
use parallelpool_core::tx::{RecoveredTransaction, Tag};

use self::payments::{Payments, Step};
use crate::world::World;
use crate::world::contracts;

/// Every feature that must occur. Names are what a failing test prints.
pub(crate) const REQUIRED: [&str; 63] = [
    "transfer",
    "token transfer",
    "contract created by a transaction",
    "contract created by a contract",
    "same address created twice in a block",
    "account gone and back in a block",
    "self-destruct under old rules",
    "self-destruct under new rules",
    "contract created and destroyed by one transaction",
    "delegation set",
    "delegation replaced or cleared",
    "call of a delegated account",
    "reverted",
    "out of gas",
    "coinbase as sender",
    "coinbase as recipient",
    "coinbase with code is called",
    "coinbase in several transactions",
    "sender emptied",
    "sender funded in the block",
    "balance observer",
    "own balance observer",
    "coinbase balance observer",
    "code hash observer",
    "code size observer",
    "blob transaction",
    "parallel type, tagged PARALLEL",
    "parallel type, tagged SEQUENTIAL",
    "parallel type, tagged contract call",
    "access list",
    "transient storage",
    "hot recipient",
    "run of transfers by one sender",
    "transfer to oneself",
    "transfer to a precompile",
    "transfer to an account with code",
    "transfer to a delegated account",
    "transfer to an account made in the block",
    "transfer to an account destroyed in the block",
    "transfer that would overflow the recipient",
    "owner of nearly all wei sends",
    "empty account cleared away by a touch",
    "sender funded by a transfer in the block",
    "sender funded by a call in the block",
    "authority sends after its authorization",
    "vault pays several times",
    "vault takes and pays",
    "vault could not pay",
    "vault emptied to the last wei",
    "coinbase is the hot recipient",
    "left out: a wei short",
    "left out: funds beyond 256 bits",
    "left out: sender with code",
    "left out: nonce too high",
    "left out: nonce too low",
    "left out: insufficient funds",
    "left out: intrinsic gas",
    "left out: fee cap below base fee",
    "left out: block gas",
    "left out: blob gas",
    "left out: block size",
    "left out: type not supported",
    "left out: chain id",
];

/// Occurrences by name.
#[derive(Debug, Default)]
pub(crate) struct Features(BTreeMap<&'static str, usize>);

impl Features {
    /// Required features that occurred fewer than `least` times, with how often they did.
    pub(crate) fn rarer_than(&self, least: usize) -> Vec<(&'static str, usize)> {
        let count = |name: &&'static str| (*name, self.0.get(name).copied().unwrap_or_default());
        REQUIRED.iter().map(count).filter(|(_, count)| *count < least).collect()
    }

    /// Counts what happened in a block that was built with its transactions' changes kept.
    pub(crate) fn count(&mut self, world: &World, built: &BuildOutcome) {
        for left_out in &built.left_out {
            self.add_if(true, reason(&left_out.reason));
            self.shortfall(&left_out.reason);
        }
        let mut state = State { world, accounts: BTreeMap::new() };
        let mut lifecycle = Lifecycle::default();
        let mut payments = Payments::default();
        for (place, candidate) in built.included.iter().enumerate() {
            let changes = &built.outcome.transaction_changes[place];
            self.transaction(world, built, place, *candidate, &state);
            let sent = &world.candidates[*candidate];
            self.payments(&Step { world, sent, built, place, before: &state }, &mut payments);
            self.met_again(sent, &lifecycle);
            self.lifecycle(world, built, place, changes, &state, &mut lifecycle);
            state.apply(changes);
        }
    }

    fn transaction(
        &mut self,
        world: &World,
        built: &BuildOutcome,
        place: usize,
        candidate: usize,
        state: &State<'_>,
    ) {
        let recovered = &world.candidates[candidate];
        let (tx, receipt) = (&recovered.tx, &built.outcome.receipts[place]);
        let (sender, beneficiary) = (recovered.sender, world.block.beneficiary);
        let target = tx.to.and_then(|to| state.account(&to));
        let has_code = target.is_some_and(|account| account.code_hash != KECCAK_EMPTY);
        let is_token = receipt.logs.iter().any(|log| topic(log, 0) == contracts::TRANSFERRED);
        let is_tagged = |tag| tx.is_parallel && tx.tag() == Some(tag);
        let is_own_transfer = tx.to.is_some() && !has_code && receipt.success;
        self.add_if(is_own_transfer && !tx.value.is_zero(), "transfer");
        self.add_if(is_token, "token transfer");
        self.add_if(!receipt.success && receipt.gas_used < tx.gas_limit, "reverted");
        self.add_if(!receipt.success && receipt.gas_used == tx.gas_limit, "out of gas");
        self.add_if(sender == beneficiary, "coinbase as sender");
        self.add_if(
            tx.to == Some(beneficiary) && !tx.value.is_zero() && receipt.success,
            "coinbase as recipient",
        );
        self.add_if(tx.to == Some(beneficiary) && has_code, "coinbase with code is called");
        self.add_if(
            tx.to.is_some_and(|to| world.is_key(&to)) && has_code && receipt.success,
            "call of a delegated account",
        );
        self.add_if(receipt.blob_gas_used > 0, "blob transaction");
        self.add_if(is_tagged(Tag::Parallel), "parallel type, tagged PARALLEL");
        self.add_if(is_tagged(Tag::Sequential), "parallel type, tagged SEQUENTIAL");
        self.add_if(is_tagged(Tag::Parallel) && is_token, "parallel type, tagged contract call");
        self.add_if(!tx.access_list.is_empty(), "access list");
        let after =
            built.outcome.transaction_changes[place].accounts.get(&sender).and_then(|change| change.after);
        self.add_if(after.is_some_and(|account| account.balance.is_zero()), "sender emptied");
        let at_first = world.state.account(&sender).ok().flatten().unwrap_or_default();
        self.add_if(at_first.balance.is_zero(), "sender funded in the block");
        for log in &receipt.logs {
            self.add_if(topic(log, 0) == contracts::SAW_BALANCE, "balance observer");
            self.add_if(topic(log, 0) == contracts::SAW_OWN_BALANCE, "own balance observer");
            self.add_if(topic(log, 0) == contracts::SAW_COINBASE_BALANCE, "coinbase balance observer");
            self.add_if(topic(log, 0) == contracts::SAW_CODE_HASH, "code hash observer");
            self.add_if(topic(log, 0) == contracts::SAW_CODE_SIZE, "code size observer");
            self.add_if(topic(log, 0) == contracts::USED_TRANSIENT, "transient storage");
        }
    }

    fn lifecycle(
        &mut self,
        world: &World,
        built: &BuildOutcome,
        place: usize,
        changes: &StateChanges,
        state: &State<'_>,
        lifecycle: &mut Lifecycle,
    ) {
        let receipt = &built.outcome.receipts[place];
        let mut created: BTreeSet<Address> =
            receipt.contract_address.filter(|_| receipt.success).into_iter().collect();
        self.add_if(!created.is_empty(), "contract created by a transaction");
        let mut destroyed = BTreeSet::new();
        for log in &receipt.logs {
            match topic(log, 0) {
                contracts::CREATED => {
                    created.insert(Address::from_word(log.topics()[1]));
                    self.add_if(true, "contract created by a contract");
                }
                contracts::DESTROYING => {
                    destroyed.insert(log.address);
                    let is_new = world.fork >= Fork::Cancun;
                    self.add_if(!is_new, "self-destruct under old rules");
                    self.add_if(is_new, "self-destruct under new rules");
                }
                _ => {}
            }
        }
        for address in &created {
            self.add_if(!lifecycle.created.insert(*address), "same address created twice in a block");
            self.add_if(destroyed.contains(address), "contract created and destroyed by one transaction");
        }
        for (address, change) in &changes.accounts {
            let before = state.account(address);
            match change.after {
                None if before.is_some() => {
                    lifecycle.gone.insert(*address);
                }
                Some(after) => {
                    self.add_if(lifecycle.gone.remove(address), "account gone and back in a block");
                    self.delegation(world, changes, address, before, after);
                }
                None => {}
            }
        }
        if changes.accounts.contains_key(&world.block.beneficiary) {
            self.add_if(
                std::mem::replace(&mut lifecycle.met_beneficiary, true),
                "coinbase in several transactions",
            );
        }
    }

    /// Plain transfers to those who came or went earlier in the block.
    fn met_again(&mut self, sent: &RecoveredTransaction, lifecycle: &Lifecycle) {
        let Some(to) = sent.tx.to.filter(|_| sent.tx.evm_input().is_empty()) else { return };
        self.add_if(lifecycle.created.contains(&to), "transfer to an account made in the block");
        self.add_if(lifecycle.gone.contains(&to), "transfer to an account destroyed in the block");
    }

    fn delegation(
        &mut self,
        world: &World,
        changes: &StateChanges,
        address: &Address,
        before: Option<Account>,
        after: Account,
    ) {
        let old = before.unwrap_or_default().code_hash;
        if !world.is_key(address) || old == after.code_hash {
            return;
        }
        let is_set =
            changes.codes.get(&after.code_hash).is_some_and(|code| code.starts_with(&[0xef, 0x01, 0x00]));
        self.add_if(is_set, "delegation set");
        self.add_if(old != KECCAK_EMPTY, "delegation replaced or cleared");
    }

    /// Adds the occurrences of another run.
    pub(crate) fn merge(&mut self, other: Self) {
        for (name, count) in other.0 {
            *self.0.entry(name).or_default() += count;
        }
    }

    fn add_if(&mut self, happened: bool, name: &'static str) {
        if happened {
            *self.0.entry(name).or_default() += 1;
        }
    }
}

#[derive(Default)]
struct Lifecycle {
    created: BTreeSet<Address>,
    gone: BTreeSet<Address>,
    met_beneficiary: bool,
}

/// The accounts as the block goes on.
struct State<'a> {
    world: &'a World,
    accounts: BTreeMap<Address, Option<Account>>,
}

impl State<'_> {
    fn account(&self, address: &Address) -> Option<Account> {
        match self.accounts.get(address) {
            Some(account) => *account,
            None => self.world.state.account(address).expect("memory never fails"),
        }
    }

    fn apply(&mut self, changes: &StateChanges) {
        self.accounts.extend(changes.accounts.iter().map(|(address, change)| (*address, change.after)));
    }
}

fn topic(log: &parallelpool_core::primitives::Log, index: usize) -> u64 {
    let word = log.topics().get(index).copied().unwrap_or_default();
    u64::try_from(U256::from_be_bytes(word.0)).unwrap_or_default()
}

fn reason(reason: &InvalidTransaction) -> &'static str {
    match reason {
        InvalidTransaction::NonceTooHigh { .. } => "left out: nonce too high",
        InvalidTransaction::NonceTooLow { .. } => "left out: nonce too low",
        InvalidTransaction::InsufficientFunds { .. } => "left out: insufficient funds",
        InvalidTransaction::FundsOverflow { .. } => "left out: funds beyond 256 bits",
        InvalidTransaction::SenderNotEoa { .. } => "left out: sender with code",
        InvalidTransaction::IntrinsicGas { .. } => "left out: intrinsic gas",
        InvalidTransaction::FeeCapTooLow { .. } => "left out: fee cap below base fee",
        InvalidTransaction::BlockGasLimit { .. } => "left out: block gas",
        InvalidTransaction::BlobGasLimit => "left out: blob gas",
        InvalidTransaction::BlockSizeLimit => "left out: block size",
        InvalidTransaction::TypeNotSupported { .. } => "left out: type not supported",
        InvalidTransaction::ChainId { .. } => "left out: chain id",
        _ => "left out: other",
    }
}
