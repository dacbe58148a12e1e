//! What revm's journal keeps across transactions and a database would not.
//!
//! Right before a transaction is closed, accounts that it destroyed or left empty are brought into the
//! form they would have if read anew.

use revm::context_interface::journaled_state::entry::JournalEntry;
use revm::primitives::hardfork::SpecId;
use revm::state::{Account as JournalAccount, AccountInfo, AccountStatus};

use super::{Context, ExecutionDatabase};
use crate::primitives::U256;

/// Gives accounts that the current transaction destroyed or left empty the form in which a
/// database would return them to the next one. Called before the journal's entries go.
pub(super) fn settle<D: ExecutionDatabase>(context: &mut Context<D>) {
    let caller = context.tx.to.map(|_| context.tx.caller);
    let paid = (!context.chain.fee.is_zero()).then_some(context.block.beneficiary);
    let busy = context.tx.to.filter(|_| context.chain.runs_code);
    let journal = &mut context.journaled_state.inner;
    if let Some(slots) = &mut context.chain.slots {
        slots.note(&journal.journal);
    }
    let clears_empty = journal.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    let keeps_balance = journal.cfg.spec.is_enabled_in(SpecId::AMSTERDAM);
    for entry in &journal.journal {
        let address = match entry {
            // A nonce was raised, wei came in, there is code: touched, and neither empty nor to be looked up.
            JournalEntry::AccountTouched { address } if Some(*address) == caller => continue,
            JournalEntry::AccountTouched { address } if Some(*address) == paid => continue,
            JournalEntry::AccountTouched { address } if Some(*address) == busy => continue,
            JournalEntry::AccountTouched { address } | JournalEntry::AccountDestroyed { address, .. } => {
                address
            }
            _ => continue,
        };
        let account = journal.state.get_mut(address).expect("journal entries name loaded accounts");
        if account.is_selfdestructed_locally() && keeps_balance && !account.info.balance.is_zero() {
            leave_balance_only(account);
            continue;
        }
        if account.is_selfdestructed_locally() {
            account.selfdestruct();
            account.unmark_selfdestructed_locally();
        } else if !(clears_empty && account.is_empty()) {
            continue;
        } else if !account.is_loaded_as_not_existing() {
            // An account that existed without being anything: its storage, if any, goes with it.
            account.storage.clear();
            account.mark_selfdestruct();
        }
        account.unmark_touch();
        account.status |= AccountStatus::LoadedAsNotExisting;
    }
}

/// From Amsterdam on a destroyed account that was paid afterwards keeps its wei (EIP-8246). revm sees
/// to that where the journal knows of no earlier destruction of the same address; in one that is kept
/// there may have been one, by another transaction.
fn leave_balance_only(account: &mut JournalAccount) {
    account.info = AccountInfo { balance: account.info.balance, ..AccountInfo::default() };
    account.storage.values_mut().for_each(|slot| slot.present_value = U256::ZERO);
    account.unmark_selfdestruct();
    account.unmark_selfdestructed_locally();
}
