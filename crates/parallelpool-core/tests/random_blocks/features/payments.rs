//! Who paid whom in a random block, counted transaction by transaction.

use std::collections::{BTreeMap, BTreeSet};

use parallelpool_core::block::InvalidTransaction;
use parallelpool_core::execution::BuildOutcome;
use parallelpool_core::primitives::{Address, KECCAK_EMPTY, U256};
use parallelpool_core::state::StateChanges;
use parallelpool_core::tx::RecoveredTransaction;

use super::{Features, State, topic};
use crate::world::{World, contracts};

/// So many payments to one account make it hot.
const HOT: usize = 5;
/// So many transfers of one sender in a row make a run.
const RUN: usize = 4;
/// So many payments of one vault make it busy.
const BUSY: usize = 3;

/// What has been paid so far in a block.
#[derive(Debug, Default)]
pub(super) struct Payments {
    received: BTreeMap<Address, usize>,
    funded_by_transfer: BTreeSet<Address>,
    funded_by_call: BTreeSet<Address>,
    authorities: BTreeSet<Address>,
    run: (Address, usize),
    paid_by_vault: usize,
}

/// One included transaction and the state around it.
pub(super) struct Step<'a> {
    pub(super) world: &'a World,
    pub(super) sent: &'a RecoveredTransaction,
    pub(super) built: &'a BuildOutcome,
    pub(super) place: usize,
    pub(super) before: &'a State<'a>,
}

impl Step<'_> {
    fn changes(&self) -> &StateChanges {
        &self.built.outcome.transaction_changes[self.place]
    }

    fn balance_before(&self, address: &Address) -> U256 {
        self.before.account(address).unwrap_or_default().balance
    }

    /// Accounts whose balance grew.
    fn richer(&self) -> impl Iterator<Item = Address> {
        let accounts = self.changes().accounts.iter();
        accounts.filter_map(|(address, change)| {
            let after = change.after.unwrap_or_default().balance;
            (after > self.balance_before(address)).then_some(*address)
        })
    }
}

impl Features {
    pub(super) fn payments(&mut self, step: &Step<'_>, payments: &mut Payments) {
        self.transfers(step, payments);
        self.funding(step, payments);
        self.vault(step, payments);
        let tx = &step.sent.tx;
        self.add_if(
            payments.authorities.contains(&step.sent.sender),
            "authority sends after its authorization",
        );
        payments
            .authorities
            .extend(tx.authorization_list.iter().filter_map(|signed| signed.recover_authority()));
    }

    fn transfers(&mut self, step: &Step<'_>, payments: &mut Payments) {
        let (tx, sender) = (&step.sent.tx, step.sent.sender);
        let receipt = &step.built.outcome.receipts[step.place];
        let Some(to) = tx.to.filter(|_| tx.evm_input().is_empty()) else {
            payments.run = (sender, 0);
            return;
        };
        let code_hash = step.before.account(&to).unwrap_or_default().code_hash;
        let has_code = code_hash != KECCAK_EMPTY;
        let is_precompile = to[..18].iter().all(|byte| *byte == 0) && !has_code;
        self.add_if(is_precompile, "transfer to a precompile");
        self.add_if(has_code && !step.world.is_key(&to), "transfer to an account with code");
        self.add_if(has_code && step.world.is_key(&to), "transfer to a delegated account");
        self.add_if(to == sender, "transfer to oneself");
        self.add_if(
            !receipt.success && step.balance_before(&to).checked_add(tx.value).is_none(),
            "transfer that would overflow the recipient",
        );
        self.add_if(step.world.is_whale(&sender) && receipt.success, "owner of nearly all wei sends");
        let goes = step.changes().accounts.get(&to).is_some_and(|change| change.after.is_none());
        self.add_if(tx.value.is_zero() && goes, "empty account cleared away by a touch");
        if has_code {
            payments.run = (sender, 0);
            return;
        }
        let length = if payments.run.0 == sender { payments.run.1 + 1 } else { 1 };
        payments.run = (sender, length);
        self.add_if(length == RUN, "run of transfers by one sender");
        if !tx.value.is_zero() && receipt.success {
            let received = payments.received.entry(to).or_default();
            *received += 1;
            self.add_if(*received == HOT, "hot recipient");
            self.add_if(
                *received == HOT && to == step.world.block.beneficiary,
                "coinbase is the hot recipient",
            );
        }
    }

    fn funding(&mut self, step: &Step<'_>, payments: &mut Payments) {
        let sender = step.sent.sender;
        self.add_if(
            payments.funded_by_transfer.contains(&sender),
            "sender funded by a transfer in the block",
        );
        self.add_if(payments.funded_by_call.contains(&sender), "sender funded by a call in the block");
        let poor =
            |address: &Address| step.world.is_spender(address) && step.balance_before(address).is_zero();
        for address in step.richer().filter(poor) {
            let is_direct = step.sent.tx.to == Some(address);
            let funded =
                if is_direct { &mut payments.funded_by_transfer } else { &mut payments.funded_by_call };
            funded.insert(address);
        }
    }

    fn vault(&mut self, step: &Step<'_>, payments: &mut Payments) {
        let vault = step.world.vault;
        let logs = &step.built.outcome.receipts[step.place].logs;
        let has = |wanted| logs.iter().any(|log| log.address == vault && topic(log, 0) == wanted);
        let was_rich = !step.balance_before(&vault).is_zero();
        let after = step.changes().accounts.get(&vault).and_then(|change| change.after);
        self.add_if(has(contracts::COULD_NOT_PAY), "vault could not pay");
        self.add_if(
            has(contracts::PAID) && was_rich && after.is_some_and(|account| account.balance.is_zero()),
            "vault emptied to the last wei",
        );
        if has(contracts::PAID) {
            payments.paid_by_vault += 1;
            self.add_if(payments.paid_by_vault == BUSY, "vault pays several times");
        }
        let deposits = step.sent.tx.to == Some(vault) && !step.sent.tx.value.is_zero();
        self.add_if(deposits && !logs.is_empty() && payments.paid_by_vault > 0, "vault takes and pays");
    }

    /// Whether the sender lacked a single wei.
    pub(super) fn shortfall(&mut self, reason: &InvalidTransaction) {
        if let InvalidTransaction::InsufficientFunds { have, want, .. } = reason {
            let want: Option<U256> = want.parse().ok();
            self.add_if(want == Some(*have + U256::ONE), "left out: a wei short");
        }
    }
}
