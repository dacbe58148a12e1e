//! Taking the newest blocks off again.

use std::sync::Arc;

use super::codec::{ChangedAccount, decode_changed_accounts, decode_signed};
use super::snapshot::{Snapshot, damaged};
use super::tables::{account_history_key, storage_history_key, storage_key};
use super::write::BlockWriter;
use super::{Store, StoreHead, storage_error};
use crate::error::CoreError;
use crate::primitives::B256;
use crate::state::StateChanges;
use crate::trie::TrieUpdate;

impl Store {
    /// Takes all blocks above `number` off, in one durable transaction. Afterwards the store is
    /// as it was when block `number` was its head, apart from code that came later: content-
    /// addressed, it does no harm and may be needed again.
    ///
    /// `trie` computes the update that leads back from the given changes, on the snapshot's
    /// nodes. Codes in these changes are empty. [`CoreError::InvalidArgument`] above the head.
    pub fn revert_to(
        &self,
        number: u64,
        trie: impl FnOnce(&Arc<Snapshot>, &StateChanges) -> Result<TrieUpdate, CoreError>,
    ) -> Result<Arc<Snapshot>, CoreError> {
        let _writer = self.writer.lock();
        let newest = self.snapshot();
        let head = newest.head();
        if number == head.number {
            return Ok(newest);
        }
        if number > head.number {
            let reason = format!("cannot revert to block {number}: the head is {}", head.number);
            return Err(CoreError::InvalidArgument(reason));
        }
        let target = newest.header(number)?.ok_or_else(damaged)?;
        let target = StoreHead { number, hash: target.hash };
        let changes = newest.changes_back_to(number)?;
        let update = trie(&newest, &changes)?;

        self.noting_failure(|| self.write_reverted(head, target, &update))?;
        self.publish(target, |cache, commit| {
            for (address, change) in &changes.accounts {
                cache.accounts.replace(*address, change.after, commit);
            }
            // Reverts are rare: forgetting every slot is simpler than naming those that changed.
            cache.storage.clear();
        })
    }

    fn write_reverted(
        &self,
        head: StoreHead,
        target: StoreHead,
        update: &TrieUpdate,
    ) -> Result<(), CoreError> {
        let transaction = self.begin_write(head)?;
        {
            let mut writer = BlockWriter::open(&transaction)?;
            for block in (target.number + 1..=head.number).rev() {
                writer.revert_state(block)?;
                writer.revert_block(block).map_err(storage_error)?;
            }
            writer.write_trie(update)?;
            writer.write_head(target).map_err(storage_error)?;
        }
        transaction.commit().map_err(storage_error)
    }
}

impl BlockWriter<'_> {
    fn revert_state(&mut self, number: u64) -> Result<(), CoreError> {
        let record = self.changed_keys.remove(number).map_err(storage_error)?;
        let changed =
            record.and_then(|record| decode_changed_accounts(record.value())).ok_or_else(damaged)?;
        for account in &changed {
            if account.account {
                self.revert_account(number, account)?;
            }
            self.revert_slots(number, account)?;
        }
        Ok(())
    }

    fn revert_account(&mut self, number: u64, changed: &ChangedAccount) -> Result<(), CoreError> {
        let key = account_history_key(&changed.address, number);
        let before = self.account_history.remove(&key).map_err(storage_error)?.ok_or_else(damaged)?;
        match before.value() {
            [] => drop(self.accounts.remove(&changed.address.0.0).map_err(storage_error)?),
            account => drop(self.accounts.insert(&changed.address.0.0, account).map_err(storage_error)?),
        }
        Ok(())
    }

    fn revert_slots(&mut self, number: u64, changed: &ChangedAccount) -> Result<(), CoreError> {
        for slot in &changed.slots {
            let history = storage_history_key(&changed.address, slot, number);
            let before = self.storage_history.remove(&history).map_err(storage_error)?.ok_or_else(damaged)?;
            let key = storage_key(&changed.address, slot);
            match before.value() {
                [] => drop(self.storage.remove(&key).map_err(storage_error)?),
                value => drop(self.storage.insert(&key, value).map_err(storage_error)?),
            }
        }
        Ok(())
    }

    fn revert_block(&mut self, number: u64) -> Result<(), redb::StorageError> {
        let hash =
            self.headers.remove(number)?.and_then(|header| header.value().get(..32).map(B256::from_slice));
        if let Some(hash) = hash {
            self.block_numbers.remove(&hash.0)?;
        }
        let signed = self.signed.remove(number)?.and_then(|signed| decode_signed(signed.value()));
        for signed in signed.unwrap_or_default() {
            self.transactions.remove(&signed.hash.0)?;
        }
        self.bodies.remove(number)?;
        self.receipts.remove(number)?;
        Ok(())
    }
}
