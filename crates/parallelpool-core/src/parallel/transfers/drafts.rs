//! Windows of transfers, ready to be applied but for what the transfers before them leave.
//!
//! In: transactions and the state below the block. Out: for each transaction the transfer that it is and
//! what the state says of its accounts. All of a window is asked for together, so that it waits for memory
//! together.

use std::hint::black_box;

use super::accounts::Party;
use crate::parallel::sync::KeyedHash;
use crate::primitives::{Address, KECCAK_EMPTY, U256};
use crate::state::{StateView, hash_of};
use crate::transfers::{Plain, Transfer, TransferRules};
use crate::tx::{RecoveredTransaction, SharedTransaction};

/// `None`: something is wrong with it in itself.
pub(super) type Draft = Option<Transfer>;

/// A window's transfers.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    drafts: Vec<Draft>,
    /// Of each transaction the sender, and the recipient if that is another.
    addresses: Vec<Address>,
    /// Whether there is another, by transaction.
    have_others: Vec<bool>,
    /// By address: its hash, and the account below the block.
    accounts: Vec<(u64, Plain)>,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Transfers, if they are valid.
    Transfers,
    /// Something else too, or the state does not say.
    Others,
}

/// Transactions that are read at the same time: not so many that the first are gone when the last are there.
const AT_ONCE: usize = 32;

/// Reads the parts of a transaction that a draft needs.
#[inline]
fn touch(recovered: &RecoveredTransaction) -> u64 {
    let RecoveredTransaction { tx, sender } = recovered;
    let lengths = tx.data.len() ^ tx.access_list.len() ^ tx.blob_versioned_hashes.len();
    let words = [tx.value, tx.max_fee_per_gas, tx.max_priority_fee_per_gas];
    // Both ends of a number: it may lie across the end of a line.
    let ends = |word: &U256| word.as_limbs()[0] ^ word.as_limbs()[3];
    let numbers = words.iter().fold(tx.nonce ^ tx.gas_limit, |all, word| all ^ ends(word));
    let to = tx.to.map_or(0, |to| to[0]);
    numbers ^ (lengths ^ tx.authorization_list.len()) as u64 ^ u64::from(tx.tx_type ^ sender[0] ^ to)
}

impl Drafts {
    /// Drafts a window. What was drafted before is forgotten.
    pub(super) fn fill(
        &mut self,
        transactions: &[SharedTransaction],
        rules: &TransferRules,
        state: &dyn StateView,
        hasher: &KeyedHash,
    ) -> Found {
        let Self { drafts, addresses, have_others, accounts } = self;
        drafts.clear();
        addresses.clear();
        have_others.clear();
        accounts.clear();
        for few in transactions.chunks(AT_ONCE) {
            // Nothing but loads: each transaction lies somewhere else, and they are waited for together.
            black_box(few.iter().fold(0, |all, tx| all ^ touch(tx)));
            for recovered in few {
                let RecoveredTransaction { tx, sender } = &**recovered;
                let to = tx.to.filter(|_| TransferRules::may_be_one(tx));
                let Some(to) = to else { return Found::Others };
                drafts.push(rules.draft(recovered));
                addresses.push(*sender);
                have_others.push(to != *sender);
                if to != *sender {
                    addresses.push(to);
                }
            }
        }
        accounts.extend(addresses.iter().map(|address| (hash_of(hasher, address), Plain::NONE)));
        let mut found = Found::Transfers;
        state.accounts(addresses, &mut |place, account| match account {
            Ok(Some(account)) if account.code_hash == KECCAK_EMPTY => {
                accounts[place].1 = Plain { exists: true, nonce: account.nonce, balance: account.balance };
            }
            Ok(None) => (),
            Ok(Some(_)) | Err(_) => found = Found::Others,
        });
        found
    }

    /// Calls `take` for each transaction, in order, with its sender and recipient.
    #[inline(always)]
    pub(super) fn each<E>(
        &self,
        mut take: impl FnMut(usize, &Draft, [Party<'_>; 2]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut parties = self.addresses.iter().zip(&self.accounts);
        let mut next = || {
            let (address, (hash, before)) = parties.next().expect("one or two for each transaction");
            Party { address, hash: *hash, before }
        };
        for (offset, (draft, has_other)) in self.drafts.iter().zip(&self.have_others).enumerate() {
            let sender = next();
            let recipient = if *has_other { next() } else { sender };
            take(offset, draft, [sender, recipient])?;
        }
        Ok(())
    }
}
