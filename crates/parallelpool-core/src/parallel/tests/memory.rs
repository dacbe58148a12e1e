//! What readers of the block's state see, and when a log of reads no longer holds.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::error::StateKey;
use crate::evm::{AccountWrite, ExecutionDatabase};
use crate::primitives::Bytecode;
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
    let memory = VersionedState::new(&base);
    memory.publish(0, &wrote(None, false, &[(SLOT, U256::from(40))]));
    memory.publish(2, &wrote(Some(None), true, &[]));
    memory.publish(4, &wrote(Some(Some(FIELDS)), false, &[(SLOT, U256::from(50))]));
    memory.publish(6, &wrote(None, true, &[(SLOT, U256::from(60))]));

    assert_eq!(seen_by(&memory, 0..8), [30, 40, 40, 0, 0, 50, 50, 60]);
    assert_eq!(memory.at(3).account(&ACCOUNT), Ok(None));
    assert_eq!(memory.at(5).account(&ACCOUNT), Ok(Some(FIELDS)));
}

#[test]
fn whether_there_is_storage_follows_writes_and_clearings() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    memory.publish(1, &wrote(None, true, &[]));
    memory.publish(3, &wrote(None, false, &[(SLOT, U256::from(5))]));
    memory.publish(5, &wrote(None, false, &[(SLOT, U256::ZERO)]));
    let seen: Vec<bool> = (0..7).map(|at| memory.at(at).has_storage(&ACCOUNT).expect("a view")).collect();

    assert_eq!(seen, [true, true, false, false, true, true, false]);
}

#[test]
fn a_second_execution_takes_back_what_only_the_first_wrote() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    let other = U256::from(4);
    let first = memory.publish(1, &wrote(Some(None), true, &[(SLOT, U256::from(7)), (other, U256::from(8))]));
    memory.publish_again(1, &first, &wrote(None, false, &[(SLOT, U256::from(9))]));

    assert_eq!(slot_at(&memory, 2), U256::from(9));
    assert_eq!(memory.at(2).storage(&ACCOUNT, &other), Ok(U256::ZERO));
    assert_eq!(memory.at(2).account(&ACCOUNT), Ok(Some(FIELDS)));
}

#[test]
fn the_view_is_asked_once_for_each_key() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    for at in 0..10 {
        memory.at(at).account(&ACCOUNT).expect("a view");
        memory.at(at).storage(&ACCOUNT, &SLOT).expect("a view");
        memory.at(at).has_storage(&ACCOUNT).expect("a view");
    }

    assert_eq!(base.asked.into_inner(), 3);
}

#[test]
fn a_log_names_the_read_that_changed() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    let stopped = AtomicBool::new(false);
    let mut view = TransactionView::new(&memory, &stopped);
    view.begin(5, Some(ReadLog::default()));
    view.basic(ACCOUNT).expect("a view");
    view.storage(ACCOUNT, SLOT).expect("a view");
    view.has_storage(ACCOUNT).expect("a view");
    let log = view.take_log().expect("a log was given");
    let changed = || log.first_changed(&memory, 5).expect("a view");
    assert_eq!(changed(), None);
    // The same value again, and a write that comes later: no change.
    let same = memory.publish(1, &wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]));
    memory.publish(5, &wrote(Some(None), true, &[]));
    assert_eq!(changed(), None);
    let poorer = Account { balance: U256::ZERO, ..FIELDS };
    let fields = memory.publish(2, &wrote(Some(Some(poorer)), false, &[]));
    assert_eq!(changed(), Some(StateKey::Account(ACCOUNT)));
    memory.retract(2, &fields);
    let slot = memory.publish(2, &wrote(None, false, &[(SLOT, U256::from(31))]));
    assert_eq!(changed(), Some(StateKey::Storage(ACCOUNT, SLOT)));
    memory.retract(2, &slot);
    memory.retract(1, &same);
    assert_eq!(changed(), None);
}

#[test]
fn an_answer_about_storage_alone_is_compared_too() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    let stopped = AtomicBool::new(false);
    let mut view = TransactionView::new(&memory, &stopped);
    view.begin(5, Some(ReadLog::default()));
    assert_eq!(view.has_storage(ACCOUNT), Ok(true));
    let log = view.take_log().expect("a log was given");
    memory.publish(1, &wrote(None, true, &[]));

    assert_eq!(log.first_changed(&memory, 5), Ok(Some(StateKey::Account(ACCOUNT))));
}

#[test]
fn a_called_off_speculation_reads_nothing_more() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    let stopped = AtomicBool::new(true);
    let mut view = TransactionView::new(&memory, &stopped);

    assert_eq!(view.basic(ACCOUNT).map(drop), Err(StateError::Speculation));
    assert_eq!(view.storage(ACCOUNT, SLOT), Err(StateError::Speculation));
}

#[test]
fn changes_are_the_differences_that_remain() {
    let base = Base::default();
    let memory = VersionedState::new(&base);
    memory.publish(0, &wrote(Some(None), true, &[]));
    memory.publish(1, &wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]));
    let restored = memory.changes(2).expect("a view");
    let change = &restored.accounts[&ACCOUNT];

    assert_eq!((change.after, change.storage_cleared), (Some(FIELDS), true));
    assert_eq!(change.storage.get(&SLOT), Some(&BASE_VALUE), "after a clearing every slot is named");
    let same = wrote(Some(Some(FIELDS)), false, &[(SLOT, BASE_VALUE)]);
    let unchanged = VersionedState::new(&base);
    unchanged.publish(0, &same);
    assert!(unchanged.changes(1).expect("a view").is_empty());
}
