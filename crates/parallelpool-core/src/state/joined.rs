//! The changes of the parts of a block, one on top of the other.
//!
//! The transactions change many accounts, what comes before and after them a few. So the many stay as
//! they are: later parts read them in place ([`Changed`]), and only accounts that two parts change are
//! brought together ([`Changed::join`]). What comes out is canonical against the state below all parts.

use std::sync::OnceLock;

use hashbrown::HashMap;

use super::overlay::Overlay;
use super::{Account, AccountChange, StateChanges, StateView, analyse};
use crate::error::StateError;
use crate::primitives::{Address, B256, Bytecode, U256};

/// A view with canonical changes on top.
#[derive(Debug)]
pub(crate) struct Changed<V> {
    base: V,
    changes: StateChanges,
    /// Where the change of an account stands; made when the first is looked for.
    places: OnceLock<HashMap<Address, usize, foldhash::fast::RandomState>>,
}

impl<V: StateView> Changed<V> {
    /// `changes` are those against `base`.
    pub(crate) fn new(base: V, changes: StateChanges) -> Self {
        Self { base, changes, places: OnceLock::new() }
    }

    fn place(&self, address: &Address) -> Option<usize> {
        let places = self.places.get_or_init(|| self.changes.accounts.keys().copied().zip(0..).collect());
        places.get(address).copied()
    }

    fn change(&self, address: &Address) -> Option<&AccountChange> {
        self.place(address).map(|place| self.changes.accounts.nth(place).1)
    }

    /// All changes against `state`, on which the `earlier` ones made the base of these, and on these the
    /// `later` ones came.
    pub(crate) fn join(
        self,
        state: &dyn StateView,
        earlier: &StateChanges,
        later: &StateChanges,
    ) -> Result<StateChanges, StateError> {
        let others = earlier.accounts.keys().chain(later.accounts.keys());
        let mut shared: Vec<usize> = others.filter_map(|address| self.place(address)).collect();
        shared.sort_unstable();
        shared.dedup();
        let mut all = self.changes;
        let mut taken = StateChanges::default();
        // From the end: what is moved to a gap comes from behind it.
        for place in shared.into_iter().rev() {
            let (address, change) = all.accounts.swap_remove(place);
            let code = change.after.and_then(|after| all.codes.get_key_value(&after.code_hash));
            taken.codes.extend(code.map(|(hash, code)| (*hash, code.clone())));
            taken.accounts.insert(address, change);
        }
        for hash in taken.codes.keys() {
            let carries = |change: &AccountChange| change.after.is_some_and(|after| after.code_hash == *hash);
            if !all.accounts.values().any(carries) {
                all.codes.remove(hash);
            }
        }
        let mut few = Overlay::new(state);
        [earlier, &taken, later].into_iter().for_each(|changes| few.apply(changes));
        let few = few.into_changes()?;
        all.accounts.extend(few.accounts);
        all.codes.extend(few.codes);
        Ok(all)
    }
}

impl<V: StateView> StateView for Changed<V> {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        match self.change(address) {
            Some(change) => Ok(change.after),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let change = self.change(address);
        match change.and_then(|change| change.storage.get(slot)) {
            Some(value) => Ok(*value),
            None if change.is_some_and(|change| change.after.is_none() || change.storage_cleared) => {
                Ok(U256::ZERO)
            }
            None => self.base.storage(address, slot),
        }
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        match self.change(address) {
            Some(change) if change.storage.values().any(|value| !value.is_zero()) => Ok(true),
            Some(change) if change.after.is_none() || change.storage_cleared => Ok(false),
            // As in an overlay: nobody asks where slots were zeroed one by one.
            _ => self.base.has_storage(address),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        match self.changes.codes.get(code_hash) {
            Some(code) => Ok(analyse(code.clone())),
            None => self.base.code(code_hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.base.block_hash(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::{Bytes, SpecId};
    use crate::state::memory::MemoryState;

    const COUNT: u8 = 9;

    fn address(number: u8) -> Address {
        Address::repeat_byte(number)
    }

    fn account(balance: u64) -> Account {
        Account { balance: U256::from(balance), ..Account::default() }
    }

    /// Accounts 1 to 8 with a slot each.
    fn state() -> MemoryState {
        let mut state = MemoryState::new();
        for number in 1..COUNT {
            state.insert_account(address(number), account(10), Some(Bytes::from(vec![number])));
            state.insert_storage(address(number), U256::ONE, U256::from(number));
        }
        state
    }

    fn part(state: &dyn StateView, change: impl Fn(&mut Overlay<&dyn StateView>)) -> StateChanges {
        let mut overlay = Overlay::new(state);
        change(&mut overlay);
        overlay.into_changes().expect("states in memory answer")
    }

    fn credit(overlay: &mut Overlay<&dyn StateView>, number: u8, amount: u64) {
        overlay.credit(address(number), U256::from(amount), SpecId::OSAKA).expect("it answers");
    }

    fn before(overlay: &mut Overlay<&dyn StateView>) {
        [1, 2, 20].into_iter().for_each(|number| credit(overlay, number, 5));
    }

    fn during(overlay: &mut Overlay<&dyn StateView>) {
        // 2 is back where it was before the block, 5 goes, 6 pays, 30 comes.
        overlay.set_account(
            address(2),
            overlay
                .account(&address(2))
                .expect("it answers")
                .map(|account| Account { balance: U256::from(10), ..account }),
        );
        overlay.set_account(address(5), None);
        [6, 7, 30, 20].into_iter().for_each(|number| credit(overlay, number, 7));
    }

    fn after(overlay: &mut Overlay<&dyn StateView>) {
        [1, 5, 6, 30, 31].into_iter().for_each(|number| credit(overlay, number, 1));
    }

    #[test]
    fn joined_parts_are_those_of_one_overlay() {
        let state = state();
        let whole =
            part(&state, |overlay| [before, during, after].into_iter().for_each(|part| part(overlay)));

        let earlier = part(&state, before);
        let mut base = Overlay::new(&state);
        base.apply(&earlier);
        let changed = Changed::new(&base, part(&base, during));
        let later = part(&changed, after);
        assert_eq!(changed.join(&state, &earlier, &later), Ok(whole));
    }

    #[test]
    fn a_change_on_top_is_what_an_overlay_shows() {
        let state = state();
        let mut overlay = Overlay::new(&state as &dyn StateView);
        during(&mut overlay);
        let changed = Changed::new(&state, part(&state, during));
        for number in (1..COUNT).chain([20, 30, 31]) {
            let address = address(number);
            assert_eq!(changed.account(&address), overlay.account(&address), "{number}");
            assert_eq!(changed.storage(&address, &U256::ONE), overlay.storage(&address, &U256::ONE));
            assert_eq!(changed.has_storage(&address), overlay.has_storage(&address), "{number}");
        }
    }

    #[test]
    fn code_goes_with_the_last_account_that_carries_it() {
        let code = Bytes::from_static(&[0x5b, 0x00]);
        let hash = crate::primitives::keccak256(&code);
        let mut during = StateChanges::default();
        let carrier = Account { code_hash: hash, ..account(1) };
        for number in [1, 2] {
            let change =
                AccountChange { after: Some(carrier), storage_cleared: false, storage: Default::default() };
            during.accounts.insert(address(number), change);
        }
        during.codes.insert(hash, code);
        let state = MemoryState::new();
        let gone = |numbers: &[u8]| {
            let change = AccountChange { after: None, storage_cleared: false, storage: Default::default() };
            let accounts = numbers.iter().map(|number| (address(*number), change.clone())).collect();
            StateChanges { accounts, ..StateChanges::default() }
        };
        let join = |later: &StateChanges| {
            let changed = Changed::new(&state, during.clone());
            changed.join(&state, &StateChanges::default(), later).expect("states in memory answer")
        };
        assert_eq!(join(&gone(&[1])).codes.len(), 1);
        assert_eq!(join(&gone(&[1, 2])), StateChanges::default());
    }
}
