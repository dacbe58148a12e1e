//! Transactions of one block, one after another, on a journal that is kept throughout.
//!
//! The journal is the state: nothing is written to a cache in between, and an account loaded by
//! one transaction is there for the next. This is the fastest honest serial execution, and the
//! baseline that parallel execution is measured against. Plain transfers change the journal's accounts
//! without running the EVM, if the job allows it; fees wait beside the journal until a transaction has
//! to do with the beneficiary.

use revm::Database;
use revm::context_interface::journaled_state::JournalTr;
use revm::primitives::hardfork::SpecId;
use revm::primitives::hash_map::Entry;
use revm::state::{Account as JournalAccount, AccountId, AccountInfo, TransactionId};

use super::Job;
use super::ahead::Ahead;
use crate::block::{BlockContext, InvalidTransaction, Remains};
use crate::chainspec::{Fork, Rules};
use crate::error::{CoreError, StateError};
use crate::evm::database::account_info;
use crate::evm::failure::Failure;
use crate::evm::{CallOptions, Evm, ExecutionDatabase, SlotTrace, TxResult, validation, writes};
use crate::primitives::{Address, B256, Bytecode, KECCAK_EMPTY, U256};
use crate::state::overlay::{canonical_change, new_code_hash};
use crate::state::{Account, AccountChange, ChangeSet, StateChanges, StateView, credit};
use crate::transfers::{Outcome, Plain, Transfer, TransferRules};
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// A view that remembers what it answered: the values from before the block.
#[derive(Debug)]
struct RememberingDatabase<V> {
    view: V,
    /// Accounts that existed, by the id they got; the journal carries it along.
    loaded: Vec<Loaded>,
    /// Slots that were asked for, of all these accounts.
    slots: Vec<LoadedSlot>,
    fees: KeptFees,
    ahead: Ahead,
}

/// An account from before the block.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    fields: Account,
    /// Its slot that was asked for last.
    last_slot: u32,
}

/// A slot from before the block.
#[derive(Debug, Clone, Copy)]
struct LoadedSlot {
    slot: U256,
    value: U256,
    /// The one of the same account that was asked for before it.
    previous: u32,
}

const NO_SLOT: u32 = u32::MAX;

/// So many accounts are looked at together when a run ends.
const BATCH: usize = 32;

/// Fees that the beneficiary has not been credited yet. As long as no transaction has to do with it,
/// they are added up here and its account stays where it is.
#[derive(Debug)]
struct KeptFees {
    beneficiary: Address,
    state: KeptIn,
}

#[derive(Debug, Clone, Copy)]
enum KeptIn {
    /// No fee yet.
    Nothing,
    /// The account as it was before the block, and the fees so far.
    Sum(Option<Account>, U256),
    /// Fees are credited in the journal, which holds the account.
    Journal,
}

impl<V: StateView> Database for RememberingDatabase<V> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let fields = match self.ahead.answer(&address) {
            Some(fields) => fields,
            None => self.view.account(&address)?,
        };
        let found = if address == self.fees.beneficiary { self.fees.settle(fields) } else { fields };
        let Some(fields) = fields else { return Ok(found.as_ref().map(account_info)) };
        let account_id = AccountId::new(self.loaded.len());
        self.loaded.push(Loaded { fields, last_slot: NO_SLOT });
        Ok(found.map(|found| AccountInfo { account_id, ..account_info(&found) }))
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: U256,
    ) -> Result<U256, StateError> {
        let value = self.view.storage(&address, &slot)?;
        let place = u32::try_from(self.slots.len()).expect("far fewer fit a block");
        if self.slots.capacity() == 0 {
            // A list that grows is copied again and again.
            self.slots.reserve(self.loaded.capacity());
        }
        let previous = std::mem::replace(&mut self.loaded[id.get()].last_slot, place);
        self.slots.push(LoadedSlot { slot, value, previous });
        Ok(value)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.view.code(&code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.view.storage(&address, &slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.view.block_hash(number)
    }
}

impl<V: StateView> ExecutionDatabase for RememberingDatabase<V> {
    fn has_storage(&mut self, address: Address) -> Result<bool, StateError> {
        self.view.has_storage(&address)
    }

    fn keep_fee(&mut self, fee: U256) -> Result<bool, StateError> {
        let KeptFees { beneficiary, state } = &mut self.fees;
        if matches!(state, KeptIn::Nothing) {
            let before = self.view.account(beneficiary)?;
            // An account that exists and is empty goes when it is touched.
            if before.is_some_and(|account| account.is_empty()) {
                return Ok(false);
            }
            *state = KeptIn::Sum(before, U256::ZERO);
        }
        let KeptIn::Sum(before, sum) = state else { return Ok(false) };
        let balance = before.as_ref().map_or(U256::ZERO, |before| before.balance);
        let more = sum.checked_add(fee).filter(|more| balance.checked_add(*more).is_some());
        *sum = more.unwrap_or(*sum);
        Ok(more.is_some())
    }
}

impl KeptFees {
    /// From before Spurious Dragon on even a fee of nothing creates an account.
    fn new(rules: &Rules, block: &BlockContext) -> Self {
        let state = if rules.fork >= Fork::SpuriousDragon { KeptIn::Nothing } else { KeptIn::Journal };
        Self { beneficiary: block.beneficiary, state }
    }

    /// The journal takes the account over, which was `before` the block.
    fn settle(&mut self, before: Option<Account>) -> Option<Account> {
        match std::mem::replace(&mut self.state, KeptIn::Journal) {
            KeptIn::Sum(_, sum) => credit(before, sum, SpecId::SPURIOUS_DRAGON),
            KeptIn::Nothing | KeptIn::Journal => before,
        }
    }

    /// What they make of an account that no transaction had to do with.
    fn change(&self) -> Option<AccountChange> {
        let KeptIn::Sum(before, sum) = self.state else { return None };
        let after = credit(before, sum, SpecId::SPURIOUS_DRAGON);
        let storage = ChangeSet::default();
        (before != after).then_some(AccountChange { after, storage_cleared: false, storage })
    }
}

/// The run of a block's transactions.
pub(crate) struct BlockRun<'a, V: StateView> {
    job: &'a Job<'a>,
    evm: Evm<RememberingDatabase<V>>,
    /// `None` where every transaction takes the EVM.
    transfers: Option<TransferRules>,
    /// The last recipient that turned out to have code. What goes to it is left to the EVM unseen.
    last_code: Option<Address>,
}

/// What became of a valid transaction.
#[derive(Debug)]
pub(crate) enum Done {
    /// A plain transfer, applied without the EVM.
    Transfer {
        /// Gas of it.
        gas_used: u64,
        /// Wei per gas.
        price: u128,
    },
    /// A plain transfer for which the EVM was asked too, and agreed.
    CheckedTransfer(TxResult),
    /// It ran.
    Run(TxResult),
}

impl<'a, V: StateView> BlockRun<'a, V> {
    /// A run of some of the job's transactions, which are looked at to make room for what they will load.
    pub(crate) fn new(job: &'a Job<'a>, view: V, transactions: &[SharedTransaction]) -> Self {
        let Job { rules, block, options, .. } = job;
        let expected = expected_accounts(transactions);
        let database = RememberingDatabase {
            view,
            loaded: Vec::with_capacity(expected),
            slots: Vec::new(),
            fees: KeptFees::new(rules, block),
            ahead: Ahead::default(),
        };
        let mut evm = Evm::new(rules, block, database);
        evm.machine.ctx.journaled_state.inner.state.reserve(expected);
        evm.machine.ctx.chain.keeps_journal = true;
        // The first number is that of accounts which transfers load: no transaction finds them warm.
        evm.machine.ctx.journaled_state.inner.transaction_id.increment();
        let transfers = TransferRules::new(rules, block).filter(|_| options.techniques.transfers);
        Self { job, evm, transfers, last_code: None }
    }

    /// Makes room for what further transactions will load, beside what is there: a journal that grows by
    /// itself is copied again and again.
    pub(crate) fn make_room(&mut self, transactions: &[SharedTransaction]) {
        let expected = expected_accounts(transactions);
        let journal = &mut self.evm.machine.ctx.journaled_state;
        journal.inner.state.reserve(expected);
        let RememberingDatabase { loaded, slots, .. } = &mut journal.database;
        loaded.reserve(expected);
        if !slots.is_empty() {
            slots.reserve(expected);
        }
    }

    /// Asks for the accounts of the transactions that come next.
    pub(crate) fn look_ahead(&mut self, next: &[SharedTransaction]) {
        let journal = &mut self.evm.machine.ctx.journaled_state;
        let RememberingDatabase { view, ahead, .. } = &mut journal.database;
        ahead.look(view, next, |address| journal.inner.state.contains_key(address));
    }

    /// Executes the next transaction and credits its fee. An invalid one changes nothing.
    ///
    /// [`CoreError::Divergence`] for a transfer of the self-check that is not the EVM's.
    pub(crate) fn execute(
        &mut self,
        tx: &RecoveredTransaction,
    ) -> Result<Result<Done, InvalidTransaction>, CoreError> {
        if let Some((transfer, outcome)) = self.transfer(tx)? {
            if self.job.checks_transfer(tx) {
                return Ok(Ok(Done::CheckedTransfer(self.check_transfer(tx, &transfer, &outcome)?)));
            }
            self.apply(&transfer, &outcome)?;
            let Transfer { gas_used, price, .. } = transfer;
            return Ok(Ok(Done::Transfer { gas_used, price: price.into() }));
        }
        Ok(self.run(tx)?.map(Done::Run))
    }

    fn run(&mut self, tx: &RecoveredTransaction) -> Result<Result<TxResult, InvalidTransaction>, StateError> {
        self.evm.set_call(tx, CallOptions::TRANSACTION);
        let run = self.evm.run();
        self.evm.machine.ctx.chain.recorder.reset();
        valid_or_refused(run)
    }

    /// What the transaction makes of its accounts, if it is a plain transfer.
    #[inline]
    fn transfer(
        &mut self,
        tx: &RecoveredTransaction,
    ) -> Result<Option<(Transfer<Address>, Outcome)>, StateError> {
        let Some((rules, to)) = self.transfers.as_ref().zip(tx.tx.to) else { return Ok(None) };
        if self.last_code == Some(to) {
            return Ok(None);
        }
        let Some(transfer) = rules.prepare(tx) else { return Ok(None) };
        let transfer = transfer.between(tx.sender, to);
        #[cfg(any(test, feature = "faults"))]
        let transfer =
            transfer.with_fee(crate::faults::transfer_fee(self.job.options.fault, U256::from(transfer.fee)));
        let Some(recipient) = plain(self.load(to)?) else {
            self.last_code = Some(to);
            return Ok(None);
        };
        let sender = if to == tx.sender { Some(recipient) } else { plain(self.load(tx.sender)?) };
        let Some(sender) = sender else { return Ok(None) };
        // A touch without a credit may be the end of an account: the EVM's affair.
        let is_touch = transfer.fee == 0 && !self.evm.db_mut().keep_fee(U256::ZERO)?;
        Ok(transfer.outcome(sender, recipient).filter(|_| !is_touch).map(|outcome| (transfer, outcome)))
    }

    #[inline]
    fn apply(&mut self, transfer: &Transfer<Address>, outcome: &Outcome) -> Result<(), StateError> {
        let changed =
            [Some((transfer.sender, outcome.sender)), outcome.recipient.map(|it| (transfer.recipient, it))];
        for (address, after) in changed.into_iter().flatten() {
            let account = self.load(address)?;
            (account.info.nonce, account.info.balance) = (after.nonce, after.balance);
            account.mark_touch();
        }
        let fee = U256::from(transfer.fee);
        if !self.evm.db_mut().keep_fee(fee)? {
            let account = self.load(self.job.block.beneficiary)?;
            let balance = account.info.balance;
            account.info.balance = balance.checked_add(fee).unwrap_or(balance);
            account.mark_touch();
        }
        Ok(())
    }

    /// Has the EVM execute a transfer, and compares. Its changes stand.
    #[cold]
    fn check_transfer(
        &mut self,
        tx: &RecoveredTransaction,
        transfer: &Transfer<Address>,
        outcome: &Outcome,
    ) -> Result<TxResult, CoreError> {
        let differs = |what: String| {
            CoreError::Divergence(format!("transfer [{}] without the EVM: {what}", tx.tx.hash))
        };
        let by_evm = self.run(tx)?.map_err(|reason| differs(format!("the EVM refuses it: {reason}")))?;
        let result = transfer.result();
        if by_evm != result {
            return Err(differs(format!("{result:?}, with it {by_evm:?}")));
        }
        let changed =
            [Some((transfer.sender, outcome.sender)), outcome.recipient.map(|it| (transfer.recipient, it))];
        for (address, mut after) in changed.into_iter().flatten() {
            if address == self.job.block.beneficiary {
                let fee = U256::from(transfer.fee);
                after.balance = after.balance.checked_add(fee).unwrap_or(after.balance);
            }
            let found = plain(self.load(address)?);
            if found != Some(after) {
                return Err(differs(format!("{address} has {after:?}, with it {found:?}")));
            }
        }
        Ok(by_evm)
    }

    /// An account in the journal, for use between transactions: it stays cold for all of them.
    #[inline]
    fn load(&mut self, address: Address) -> Result<&mut JournalAccount, StateError> {
        let journal = &mut self.evm.machine.ctx.journaled_state;
        match journal.inner.state.entry(address) {
            Entry::Occupied(account) => Ok(account.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(match journal.database.basic(address)? {
                Some(info) => JournalAccount::default().with_info(info),
                None => JournalAccount::new_not_existing(TransactionId::ZERO),
            })),
        }
    }

    /// Whether the transaction could be executed next, without executing it.
    pub(crate) fn check(
        &mut self,
        tx: &RecoveredTransaction,
    ) -> Result<Result<(), InvalidTransaction>, StateError> {
        self.evm.set_call(tx, CallOptions::TRANSACTION);
        let context = &mut self.evm.machine.ctx;
        let verdict = validation::validate_and_deduct(context);
        context.journaled_state.discard_tx();
        valid_or_refused(verdict.map(drop))
    }

    /// From now on transactions leave which slots they used, for [`Self::take_slots`]; or no longer.
    pub(crate) fn trace_slots(&mut self, is_on: bool) {
        self.evm.machine.ctx.chain.slots = is_on.then(SlotTrace::default);
    }

    /// The slots of the last transaction; none where they are not traced.
    pub(crate) fn take_slots(&mut self) -> Option<SlotTrace> {
        self.evm.machine.ctx.chain.slots.as_mut().map(std::mem::take)
    }

    /// The true changes of the whole run, and what is to be dropped. There is `room` for so many accounts
    /// more among the changes.
    pub(crate) fn into_changes(self, room: usize) -> Result<(StateChanges, Remains), StateError> {
        let journal = self.evm.machine.ctx.journaled_state;
        let spec = journal.inner.cfg.spec;
        let RememberingDatabase { view, loaded, slots, fees, ahead: _ } = journal.database;
        let state = journal.inner.state;
        let mut changes = StateChanges {
            accounts: ChangeSet::with_capacity(state.len() + 1 + room),
            ..StateChanges::default()
        };
        if let Some(change) = fees.change() {
            changes.accounts.insert(fees.beneficiary, change);
        }
        let mut accounts = state.iter();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            // Read together, they wait for memory at the same time.
            batch.extend(accounts.by_ref().take(BATCH).map(|(address, account)| {
                let known = account.info.account_id.map(|id| loaded[id.get()]);
                (address, account, known, after_block(account, spec))
            }));
            if batch.is_empty() {
                break;
            }
            for (address, account, known, after) in batch.drain(..) {
                let (before, change) = match known {
                    Some(known) if after.is_some() && !hides_base_storage(account) => {
                        (Some(known.fields), plain_change(&known, &slots, account, after))
                    }
                    // Came into being, or was destroyed in between, which takes the id away.
                    _ => {
                        let before = view.account(address)?;
                        let slots = account.storage.iter().map(|(slot, value)| (*slot, value.present_value));
                        let cleared = hides_base_storage(account);
                        (before, canonical_change(&view, address, before, after, cleared, slots)?)
                    }
                };
                let Some(change) = change else { continue };
                if let Some(hash) = new_code_hash(before, after)
                    && let Some(code) = &account.info.code
                {
                    changes.codes.insert(hash, code.original_bytes());
                }
                changes.accounts.insert(*address, change);
            }
        }
        Ok((changes, Remains::of((state, loaded, slots))))
    }
}

/// A journal's account, if it has no code.
#[inline]
fn plain(account: &mut JournalAccount) -> Option<Plain> {
    let exists = !account.is_loaded_as_not_existing_not_touched();
    let AccountInfo { nonce, balance, code_hash, .. } = account.info;
    (code_hash == KECCAK_EMPTY).then_some(Plain { exists, nonce, balance })
}

/// Room for more slots is made at once, as if all that were used changed.
const FEW_SLOTS: usize = 8;

/// The change of an account that existed throughout.
fn plain_change(
    known: &Loaded,
    slots: &[LoadedSlot],
    account: &JournalAccount,
    after: Option<Account>,
) -> Option<AccountChange> {
    let mut storage = ChangeSet::default();
    let mut place = if account.is_touched() { known.last_slot } else { NO_SLOT };
    while let Some(LoadedSlot { slot, value, previous }) = slots.get(place as usize) {
        let after = account.storage.get(slot).map_or(*value, |slot| slot.present_value);
        if after != *value {
            if storage.is_empty() && account.storage.len() > FEW_SLOTS {
                storage = ChangeSet::with_capacity(account.storage.len());
            }
            storage.insert(*slot, after);
        }
        place = *previous;
    }
    let unchanged = after == Some(known.fields) && storage.is_empty();
    (!unchanged).then_some(AccountChange { after, storage_cleared: false, storage })
}

/// How many accounts the transactions name, without those that the one before names too: room for many
/// more would spread what is loaded over memory that no cache holds.
fn expected_accounts(transactions: &[SharedTransaction]) -> usize {
    let mut before = [None; 2];
    let mut count = 0;
    for tx in transactions {
        let named = [Some(tx.sender), tx.tx.to.filter(|to| *to != tx.sender)];
        count += named.iter().filter(|it| it.is_some() && !before.contains(it)).count();
        before = named;
    }
    count
}

fn valid_or_refused<T>(run: Result<T, Failure>) -> Result<Result<T, InvalidTransaction>, StateError> {
    match run {
        Ok(result) => Ok(Ok(result)),
        Err(Failure::Invalid(reason)) => Ok(Err(reason)),
        Err(Failure::State(error)) => Err(error),
    }
}

#[inline]
fn after_block(account: &JournalAccount, spec: SpecId) -> Option<Account> {
    let was_cleared =
        account.is_touched() && account.is_empty() && spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    let never_came = account.is_loaded_as_not_existing() && !account.is_touched();
    (!was_cleared && !never_came).then(|| writes::fields(account))
}

/// Created or destroyed in this block: what the journal lists is all there is.
fn hides_base_storage(account: &JournalAccount) -> bool {
    account.is_created() || account.is_selfdestructed()
}
