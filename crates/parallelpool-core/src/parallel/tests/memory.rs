//! What readers of the block's state see, and when a log of reads no longer holds.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::access::Field;
use crate::evm::{ExecutionDatabase, Observations};
use crate::primitives::Bytecode;
use crate::state::AccountWrite;
use revm::Database;

/// An account with one slot set, and a count of questions.
#[derive(Debug, Default)]
struct Base {
    asked: AtomicU64,
}

const ACCOUNT: Address = Address::repeat_byte(0xaa);
const FIELDS: Account = Account { nonce: 0, balance: U256::ONE, code_hash: crate::primitives::KECCAK_EMPTY };
const SLOT: U256 = U256::from_limbs([3, 0, 0, 0]);
const BASE_VALUE: U256 = U256::from_limbs([30, 0, 0, 0]);

impl StateView for Base {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok((*address == ACCOUNT).then_some(FIELDS))
    }

    fn storage(&self, _: &Address, slot: &U256) -> Result<U256, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(if *slot == SLOT { BASE_VALUE } else { U256::ZERO })
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(*address == ACCOUNT)
    }

    fn code(&self, hash: &B256) -> Result<Bytecode, StateError> {
        Err(StateError::Backend(format!("no code {hash}")))
    }

    fn block_hash(&self, _: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}

fn wrote(account: Option<Option<Account>>, storage_cleared: bool, storage: &[(U256, U256)]) -> TxExecution {
    let write = AccountWrite { address: ACCOUNT, account, storage_cleared, storage: storage.to_vec() };
    TxExecution {
        outcome: Ok(Default::default()),
        writes: vec![write],
        codes: Vec::new(),
        observed: Default::default(),
        touched: Vec::new(),
    }
}

fn slot_at(memory: &VersionedState<&Base>, at: u32) -> U256 {
    memory.at(at).storage(&ACCOUNT, &SLOT).expect("no failures here")
}

fn seen_by(memory: &VersionedState<&Base>, ats: std::ops::Range<u32>) -> Vec<u64> {
    ats.map(|at| slot_at(memory, at).to()).collect()
}

#[test]
fn a_clearing_hides_older_values_and_not_those_of_its_own_transaction() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    memory.publish(0, &wrote(None, false, &[(SLOT, U256::from(40))]), None);
    memory.publish(2, &wrote(Some(None), true, &[]), None);
    memory.publish(4, &wrote(Some(Some(FIELDS)), false, &[(SLOT, U256::from(50))]), None);
    memory.publish(6, &wrote(None, true, &[(SLOT, U256::from(60))]), None);

    assert_eq!(seen_by(&memory, 0..8), [30, 40, 40, 0, 0, 50, 50, 60]);
    assert_eq!(memory.at(3).account(&ACCOUNT), Ok(None));
    assert_eq!(memory.at(5).account(&ACCOUNT), Ok(Some(FIELDS)));
}

#[test]
fn whether_there_is_storage_follows_writes_and_clearings() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    memory.publish(1, &wrote(None, true, &[]), None);
    memory.publish(3, &wrote(None, false, &[(SLOT, U256::from(5))]), None);
    memory.publish(5, &wrote(None, false, &[(SLOT, U256::ZERO)]), None);
    let seen: Vec<bool> = (0..7).map(|at| memory.at(at).has_storage(&ACCOUNT).expect("a view")).collect();

    assert_eq!(seen, [true, true, false, false, true, true, false]);
}

#[test]
fn what_is_taken_back_leaves_what_was_there() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let other = U256::from(4);
    let write = wrote(Some(None), true, &[(SLOT, U256::from(7)), (other, U256::from(8))]);
    let first = memory.publish(1, &write, None);
    memory.retract(1, &first);
    memory.apply(1, &wrote(None, false, &[(SLOT, U256::from(9))]));

    assert_eq!(slot_at(&memory, 2), U256::from(9));
    assert_eq!(memory.at(2).storage(&ACCOUNT, &other), Ok(U256::ZERO));
    assert_eq!(memory.at(2).account(&ACCOUNT), Ok(Some(FIELDS)));
}

#[test]
fn the_view_is_asked_once_for_each_key() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    for at in 0..10 {
        memory.at(at).account(&ACCOUNT).expect("a view");
        memory.at(at).storage(&ACCOUNT, &SLOT).expect("a view");
        memory.at(at).has_storage(&ACCOUNT).expect("a view");
    }

    assert_eq!(base.asked.into_inner(), 3);
}

fn changed_at(log: &ReadLog, memory: &VersionedState<&Base>) -> Option<(Field, Option<u32>)> {
    let abort = log.first_changed(memory, 5).expect("a view")?;
    assert_eq!((abort.transaction, abort.location?.address), (5, ACCOUNT));
    Some((abort.location?.field, abort.writer))
}

/// A log of all there is to read about the account.
fn whole_log(memory: &VersionedState<&Base>) -> ReadLog {
    let stopped = AtomicBool::new(false);
    let mut view = TransactionView::new(memory, &stopped);
    view.begin_ahead(5, ReadLog::default(), &transaction(account(1), 0, ACCOUNT, 0), false);
    view.basic(ACCOUNT).expect("a view");
    view.storage(ACCOUNT, SLOT).expect("a view");
    view.has_storage(ACCOUNT).expect("a view");
    let mut log = view.take_log().expect("a log was given");
    log.compare_whole();
    log
}

#[test]
fn a_log_names_the_read_that_changed_and_who_did_it() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let log = whole_log(&memory);
    let changed = || changed_at(&log, &memory);
    assert_eq!(changed(), None);
    // The same value again, and a write that comes later: no change.
    let same = memory.publish(1, &wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]), None);
    memory.publish(5, &wrote(Some(None), true, &[]), None);
    assert_eq!(changed(), None);
    let poorer = Account { balance: U256::ZERO, ..FIELDS };
    let fields = memory.publish(2, &wrote(Some(Some(poorer)), false, &[]), None);
    assert_eq!(changed(), Some((Field::Balance, Some(2))));
    memory.retract(2, &fields);
    let slot = memory.publish(3, &wrote(None, false, &[(SLOT, U256::from(31))]), None);
    assert_eq!(changed(), Some((Field::Storage(SLOT), Some(3))));
    memory.retract(3, &slot);
    memory.retract(1, &same);
    assert_eq!(changed(), None);
}

#[test]
fn an_answer_about_storage_alone_is_compared_too() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let mut log = ReadLog::default();
    log.storage(memory.account_id(ACCOUNT), true);
    memory.publish(1, &wrote(None, true, &[]), None);

    assert_eq!(changed_at(&log, &memory).map(|(field, _)| field), Some(Field::Code));
}

/// What a transaction of `sender` would find changed when the account has become `after`, having
/// seen `seen` and observed `observed`.
fn verdict(sender: Address, seen: Account, observed: Observations, after: Option<Account>) -> Option<Field> {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let id = memory.account_id(ACCOUNT);
    let mut log = ReadLog::default();
    log.account(id, Some(seen));
    let tx = transaction(sender, 3, account(9), 0);
    log.compare_observed(&tx, &observed, |address| memory.account_id(*address));
    memory.set_account(4, id, after);
    changed_at(&log, &memory).map(|(field, _)| field)
}

const STRANGER: Address = Address::repeat_byte(0x11);
const SEEN: Account = Account { nonce: 3, balance: U256::from_limbs([100, 0, 0, 0]), ..FIELDS };

#[test]
fn a_balance_that_nobody_looked_at_may_change() {
    let richer = Account { balance: U256::from(101), nonce: 4, ..SEEN };

    assert_eq!(verdict(STRANGER, SEEN, Observations::default(), Some(richer)), None);
}

#[test]
fn an_observed_balance_may_not_change() {
    let observed = Observations { balances: vec![ACCOUNT], ..Default::default() };
    let richer = Account { balance: U256::from(101), ..SEEN };

    assert_eq!(verdict(STRANGER, SEEN, observed.clone(), Some(richer)), Some(Field::Balance));
    assert_eq!(verdict(STRANGER, SEEN, observed, Some(Account { nonce: 9, ..SEEN })), None);
}

#[test]
fn a_balance_that_money_left_from_must_suffice() {
    let observed = Observations { outflow: vec![(ACCOUNT, U256::from(40))], ..Default::default() };
    let with = |balance: u64| Some(Account { balance: U256::from(balance), ..SEEN });

    assert_eq!(verdict(STRANGER, SEEN, observed.clone(), with(40)), None);
    assert_eq!(verdict(STRANGER, SEEN, observed, with(39)), Some(Field::Balance));
}

#[test]
fn balances_near_the_end_of_the_scale_are_compared_exactly() {
    let huge = Account { balance: U256::MAX, ..SEEN };

    assert_eq!(verdict(STRANGER, SEEN, Observations::default(), Some(huge)), Some(Field::Balance));
}

#[test]
fn observed_emptiness_is_all_that_counts_of_an_account_that_was_paid() {
    let observed = || Observations { emptiness: vec![ACCOUNT], ..Default::default() };
    let poor = Account { nonce: 0, ..SEEN };

    assert_eq!(verdict(STRANGER, poor, observed(), Some(Account { nonce: 7, ..SEEN })), None);
    assert_eq!(verdict(STRANGER, poor, observed(), None), Some(Field::Balance));
    assert_eq!(verdict(STRANGER, poor, Observations::default(), None), None);
}

#[test]
fn an_account_that_lingers_without_being_anything_is_never_taken_for_another() {
    assert_eq!(
        verdict(STRANGER, SEEN, Observations::default(), Some(Account::default())),
        Some(Field::Balance)
    );
}

#[test]
fn an_account_that_was_needed_whole_is_compared_whole() {
    let observed = || Observations { whole: vec![ACCOUNT], ..Default::default() };

    assert_eq!(verdict(STRANGER, SEEN, observed(), Some(Account { nonce: 4, ..SEEN })), Some(Field::Nonce));
    assert_eq!(
        verdict(STRANGER, SEEN, observed(), Some(Account { balance: U256::ONE, ..SEEN })),
        Some(Field::Balance)
    );
}

#[test]
fn code_is_always_compared() {
    let other = Account { code_hash: B256::repeat_byte(7), ..SEEN };

    assert_eq!(verdict(STRANGER, SEEN, Observations::default(), Some(other)), Some(Field::Code));
}

#[test]
fn a_predicted_sender_must_have_the_nonce_and_the_funds() {
    let cost = transaction(ACCOUNT, 3, account(9), 0).tx.cost().expect("small");
    let seen = Account { balance: cost, ..SEEN };
    let with = |nonce: u64, balance: U256| Some(Account { nonce, balance, ..SEEN });
    let none = Observations::default;

    assert_eq!(verdict(ACCOUNT, seen, none(), with(3, cost + U256::ONE)), None);
    assert_eq!(verdict(ACCOUNT, seen, none(), with(4, cost)), Some(Field::Nonce));
    assert_eq!(verdict(ACCOUNT, seen, none(), with(3, cost - U256::ONE)), Some(Field::Balance));
    let sends_on = Observations { outflow: vec![(ACCOUNT, U256::ONE)], ..none() };
    assert_eq!(
        verdict(ACCOUNT, Account { balance: cost * U256::from(2), ..SEEN }, sends_on, with(3, cost)),
        Some(Field::Balance)
    );
}

#[test]
fn a_sender_is_predicted_ready_but_never_younger_than_it_is() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let stopped = AtomicBool::new(false);
    let mut view = TransactionView::new(&memory, &stopped);
    let seen = |view: &mut TransactionView<'_, &Base>, nonce: u64| {
        let tx = transaction(ACCOUNT, nonce, account(9), 5);
        view.begin_ahead(5, ReadLog::default(), &tx, true);
        let info = view.basic(ACCOUNT).expect("a view").expect("it exists");
        (info.nonce, info.balance, tx.tx.cost().expect("small"))
    };
    let (nonce, balance, cost) = seen(&mut view, 8);
    assert_eq!((nonce, balance), (8, cost));
    memory.set_account(4, memory.account_id(ACCOUNT), Some(Account { nonce: 9, ..FIELDS }));

    assert_eq!(seen(&mut view, 8), (9, FIELDS.balance, cost));
}

#[test]
fn many_accounts_are_found_as_well_as_few() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let mut log = ReadLog::default();
    let ids: Vec<_> = (0..100).rev().map(|index| memory.account_id(account(index))).collect();
    for id in ids.iter().rev() {
        log.account(*id, Some(SEEN));
    }
    let observed = Observations { whole: vec![account(50)], ..Default::default() };
    let tx = transaction(STRANGER, 0, account(1), 0);
    log.compare_observed(&tx, &observed, |address| memory.account_id(*address));

    assert_eq!(log.seen_in_part(memory.account_id(account(51))), Some(Some(SEEN)));
    assert_eq!(log.seen_in_part(memory.account_id(account(50))), None, "compared whole");
    assert_eq!(log.seen_in_part(memory.account_id(STRANGER)), None, "not read");
}

#[test]
fn a_called_off_speculation_reads_nothing_more() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    let stopped = AtomicBool::new(true);
    let mut view = TransactionView::new(&memory, &stopped);

    assert_eq!(view.basic(ACCOUNT).map(drop), Err(StateError::Speculation));
    assert_eq!(view.storage(ACCOUNT, SLOT), Err(StateError::Speculation));
}

#[test]
fn changes_are_the_differences_that_remain() {
    let base = Base::default();
    let memory = VersionedState::new(&base, Default::default(), 8);
    memory.apply(0, &wrote(Some(None), true, &[]));
    memory.apply(1, &wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]));
    let restored = memory.changes(2, |work| work()).expect("a view");
    let change = &restored.accounts[&ACCOUNT];

    assert_eq!((change.after, change.storage_cleared), (Some(FIELDS), true));
    assert_eq!(change.storage.get(&SLOT), Some(&BASE_VALUE), "after a clearing every slot is named");
    let same = wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]);
    let unchanged = VersionedState::new(&base, Default::default(), 8);
    unchanged.apply(0, &same);
    assert!(unchanged.changes(1, |work| work()).expect("a view").is_empty());
}
