//! The access list that a message would profit from (EIP-2930), found by running it until the
//! list does not grow any more.

use std::collections::{BTreeMap, BTreeSet};

use revm::precompile::{PrecompileSpecId, Precompiles};

use super::{CallOutcome, CallRequest, Chain, SimulationLimits, Stage, StateOverride, UNCAPPED_GAS};
use crate::chainspec::Rules;
use crate::error::CoreError;
use crate::evm::TxExecution;
use crate::primitives::{Address, B256};
use crate::state::StateView;
use crate::tx::{AccessListItem, RecoveredTransaction, Transaction};

/// Slots by account.
type Touched = BTreeMap<Address, BTreeSet<B256>>;

impl Chain {
    /// Runs a message and lists the accounts and slots that it touches beyond those that every
    /// transaction has warm anyway: sender, recipient, precompiles, authorities. What the
    /// request's own list has of other accounts stays in. `gas_used` is that of the run with the list.
    ///
    /// `number` and errors as for [`Self::call`].
    pub fn create_access_list(
        &self,
        request: &CallRequest,
        number: Option<u64>,
        limits: SimulationLimits,
    ) -> Result<CallOutcome, CoreError> {
        refuse_moves(&request.state_overrides)?;
        let mut stage = self.stage(request, number, limits)?;
        stage.moved_precompiles.clear();
        let gas = request.gas.unwrap_or(UNCAPPED_GAS).min(stage.gas_cap());
        let excluded = stage.always_warm(request, gas)?;
        let mut touched = Touched::new();
        add_list(&mut touched, request.access_list.as_deref().unwrap_or_default(), &excluded);
        loop {
            let access_list = as_list(&touched);
            let with_list = CallRequest { access_list: Some(access_list.clone()), ..request.clone() };
            let message = stage.message(&with_list, gas)?;
            let execution = stage.run_recorded(&message, true)?;
            let result = match &execution.outcome {
                Ok(result) => result.clone(),
                Err(reason) => {
                    let hash = named(&message, &with_list, &stage.rules).hash;
                    let words = format!("failed to apply transaction: {hash} err: {reason}");
                    return Ok(CallOutcome::refused(words));
                }
            };
            let before = touched.clone();
            stage.add_touched(&mut touched, &execution, &excluded)?;
            if touched == before {
                return Ok(CallOutcome { access_list, ..CallOutcome::of(result) });
            }
        }
    }
}

impl Stage {
    /// Accounts that need no place in a list unless a slot of theirs does.
    fn always_warm(&self, request: &CallRequest, gas: u64) -> Result<BTreeSet<Address>, CoreError> {
        let message = self.message(request, gas)?;
        let recipient = request.to.unwrap_or_else(|| request.sender.create(message.tx.nonce));
        let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(self.rules.spec_id));
        let mut warm = BTreeSet::from([request.sender, recipient]);
        warm.extend(precompiles.addresses().copied());
        warm.extend(request.authorization_list.iter().filter_map(|signed| signed.recover_authority()));
        // The recipient's delegation is followed, and so warmed, before the first instruction.
        if let Some(account) = self.state.account(&recipient)? {
            warm.extend(self.state.code(&account.code_hash)?.eip7702_address());
        }
        Ok(warm)
    }

    fn add_touched(
        &self,
        touched: &mut Touched,
        execution: &TxExecution,
        excluded: &BTreeSet<Address>,
    ) -> Result<(), CoreError> {
        for account in &execution.touched {
            let slots = account.slots.iter().map(|slot| B256::from(slot.to_be_bytes::<32>()));
            // A contract that the message itself creates is warm from then on, and the
            // beneficiary's account is looked at whatever the message does.
            let is_own =
                account.address == self.block.beneficiary || self.is_created(account.address, execution)?;
            if account.slots.is_empty() && (is_own || excluded.contains(&account.address)) {
                continue;
            }
            touched.entry(account.address).or_default().extend(slots);
        }
        Ok(())
    }

    fn is_created(&self, address: Address, execution: &TxExecution) -> Result<bool, CoreError> {
        let write = execution.writes.iter().find(|write| write.address == address);
        let Some(Some(Some(after))) = write.map(|write| write.account) else { return Ok(false) };
        let before = self.state.account(&address)?.unwrap_or_default();
        Ok(before.nonce == 0 && after.nonce > 0)
    }
}

fn add_list(touched: &mut Touched, list: &[AccessListItem], excluded: &BTreeSet<Address>) {
    for item in list {
        // As in geth: what is warm anyway has a place for the slots that are touched, not for those that are named.
        if !excluded.contains(&item.address) {
            touched.entry(item.address).or_default().extend(&item.storage_keys);
        }
    }
}

fn as_list(touched: &Touched) -> Vec<AccessListItem> {
    touched
        .iter()
        .map(|(address, slots)| AccessListItem {
            address: *address,
            storage_keys: slots.iter().copied().collect(),
        })
        .collect()
}

/// geth knows of no precompiles here.
fn refuse_moves(overrides: &[StateOverride]) -> Result<(), CoreError> {
    let moves = overrides.iter().filter(|wanted| wanted.move_precompile_to.is_some());
    match moves.map(|wanted| wanted.address).min() {
        Some(address) => Err(CoreError::InvalidArgument(format!("account {address} is not a precompile"))),
        None => Ok(()),
    }
}

/// The transaction whose hash geth's text names.
fn named(message: &RecoveredTransaction, request: &CallRequest, rules: &Rules) -> Transaction {
    let nonce = request.nonce.unwrap_or(message.tx.nonce);
    request.as_unsigned(rules, rules.parallel_tx_type, nonce, message.tx.gas_limit)
}
