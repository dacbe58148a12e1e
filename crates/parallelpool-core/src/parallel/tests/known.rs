//! What a range that ends the block leaves in the memory, and what goes straight to the outcome.

use super::super::memory::VersionedState;
use super::super::memory::known::{InOrderView, Known};
use super::*;
use crate::state::overlay::Overlay;
use crate::state::{AccountWrite, StateChanges};

const FIRST: Address = Address::repeat_byte(1);
const SECOND: Address = Address::repeat_byte(2);
const THIRD: Address = Address::repeat_byte(3);
const RICH: Account =
    Account { nonce: 1, balance: U256::from_limbs([9, 0, 0, 0]), code_hash: crate::primitives::KECCAK_EMPTY };
/// Fields from before the block: with them nothing but slots has changed.
const POOR: Account = Account { nonce: 1, balance: U256::ZERO, ..RICH };

fn slot(number: u64) -> U256 {
    U256::from(number)
}

/// The accounts, each with slots 1 to 3 that hold tens.
fn base() -> MemoryState {
    let mut state = MemoryState::new();
    for address in [FIRST, SECOND, THIRD] {
        state.insert_account(address, POOR, None);
        (1..=3).for_each(|number| state.insert_storage(address, slot(number), slot(10 * number)));
    }
    state
}

fn write(
    address: Address,
    account: Option<Account>,
    storage_cleared: bool,
    slots: &[(u64, u64)],
) -> AccountWrite {
    let storage = slots.iter().map(|(number, value)| (slot(*number), slot(*value))).collect();
    AccountWrite { address, account: Some(account), storage_cleared, storage }
}

/// Has the first writes committed one by one and the others made on one journal, and compares the changes
/// of all with those of an overlay. Returns of how many accounts slots went straight to the outcome.
fn assert_joined(first: &[AccountWrite], then: &[AccountWrite]) -> usize {
    let state = base();
    let memory = VersionedState::new(&state, Default::default(), 9);
    let mut whole = Overlay::new(&state);
    for (at, write) in (0..).zip(first) {
        let mut execution = TxExecution {
            outcome: Ok(Default::default()),
            writes: vec![write.clone()],
            codes: Vec::new(),
            observed: Default::default(),
            touched: Vec::new(),
        };
        memory.apply(at, &execution);
        whole.write(&std::mem::take(&mut execution.writes), []).expect("states in memory answer");
    }
    let (at, end) = (first.len() as u32, first.len() as u32 + 2);
    let known = Known::new(&memory);
    let view = InOrderView { known: &known, at };
    for address in [FIRST, SECOND, THIRD] {
        assert_eq!(view.account(&address), whole.account(&address));
        for number in 0..6 {
            assert_eq!(view.storage(&address, &slot(number)), whole.storage(&address, &slot(number)));
        }
    }
    let mut journal = Overlay::new(&view);
    journal.write(then, []).expect("states in memory answer");
    whole.write(then, []).expect("states in memory answer");
    let mut changes = journal.into_changes().expect("states in memory answer");
    let (told, new_slots) = known.split_off(&mut changes, end).expect("states in memory answer");
    let straight = new_slots.len();
    memory.take_in(end - 1, told);
    let mut all: StateChanges = memory.changes(end, |work| work()).expect("states in memory answer");
    memory.add_new_slots(&mut all, new_slots, end).expect("states in memory answer");
    all.accounts.extend(changes.accounts);

    assert_eq!(all, whole.into_changes().expect("states in memory answer"));
    straight
}

#[test]
fn slots_that_nobody_used_before_join_those_that_were() {
    let first = [write(FIRST, Some(RICH), false, &[(1, 11)])];
    // One is changed again, two anew, one to what it was, and an account comes in that nobody used.
    let then = [
        write(FIRST, Some(RICH), false, &[(1, 12), (2, 21), (5, 50), (3, 30)]),
        write(SECOND, Some(RICH), false, &[(1, 13)]),
    ];

    assert_eq!(assert_joined(&first, &then), 1);
}

#[test]
fn an_account_that_is_back_where_it_was_still_has_its_new_slots() {
    let first = [write(FIRST, Some(RICH), false, &[(1, 11)]), write(THIRD, Some(RICH), false, &[])];
    let then = [write(FIRST, Some(POOR), false, &[(1, 10), (2, 21)]), write(THIRD, Some(POOR), false, &[])];

    assert_eq!(assert_joined(&first, &then), 1);
}

#[test]
fn slots_of_an_account_that_was_cleared_all_go_through_the_memory() {
    let first = [
        write(FIRST, Some(RICH), true, &[(1, 11)]),
        write(SECOND, None, true, &[]),
        write(THIRD, Some(RICH), false, &[(1, 11)]),
    ];
    let then = [
        write(FIRST, Some(RICH), false, &[(2, 20), (3, 31), (4, 41)]),
        write(SECOND, Some(RICH), false, &[(1, 10), (5, 50)]),
        write(THIRD, Some(RICH), true, &[(2, 20), (5, 50)]),
    ];

    assert_eq!(assert_joined(&first, &then), 0);
    let gone = [write(FIRST, None, true, &[]), write(THIRD, None, true, &[])];
    assert_eq!(assert_joined(&first, &gone), 0);
}

#[test]
fn many_accounts_and_slots_are_found_without_a_list_too() {
    let many = (0..2_000).map(|number| (100 + number, 1 + number));
    let slots: Vec<(u64, u64)> = many.collect();
    let mut first: Vec<_> = (0..1_100).map(|number| write(account(number), Some(RICH), false, &[])).collect();
    first.push(write(FIRST, Some(RICH), false, &slots));
    let then = [write(FIRST, Some(RICH), false, &[(101, 7), (1, 10), (2, 21), (5_000, 1)])];

    assert_eq!(assert_joined(&first, &then), 1);
}
