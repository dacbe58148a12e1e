//! The `alloc` object: the accounts that exist before the first block.

use std::collections::BTreeMap;

use super::fields::{self, Object, Problems};
use crate::primitives::{Bytes, KECCAK_EMPTY, U256, keccak256};
use crate::state::{Account, AccountChange, ChangeSet, StateChanges};

/// Every account; `None` only together with a problem.
///
/// Accounts without anything exist too, as in geth's genesis; slots of value zero do not.
pub(super) fn read(alloc: Object<'_>, problems: &mut Problems) -> Option<StateChanges> {
    let (mut accounts, mut codes) = (BTreeMap::new(), BTreeMap::new());
    for (key, raw) in alloc.into_rest() {
        let path = format!("alloc.{key}");
        let address = match fields::address_key(&key) {
            Ok(address) => address,
            Err(what) => {
                problems.add(&path, &format!("not an address: {what}"));
                continue;
            }
        };
        let Some(entry) = Object::new(&path, raw, problems) else { continue };
        let (change, code) = read_account(&path, entry, problems);
        if let Some(code) = code {
            codes.insert(keccak256(&code), code);
        }
        if accounts.insert(address, change).is_some() {
            problems.add(&path, "given twice");
        }
    }
    Some(StateChanges { accounts: accounts.into(), codes })
}

fn read_account(
    path: &str,
    mut entry: Object<'_>,
    problems: &mut Problems,
) -> (AccountChange, Option<Bytes>) {
    let balance = entry.required(problems, "balance", fields::quantity).unwrap_or_default();
    let nonce = entry.optional(problems, "nonce", fields::number).unwrap_or_default();
    let code = entry.optional(problems, "code", fields::bytes).filter(|code| !code.is_empty());
    let storage = entry.take("storage").map(|raw| read_storage(path, raw, problems)).unwrap_or_default();
    for (key, _) in entry.into_rest() {
        problems.add(&format!("{path}.{key}"), "unknown key, or given twice");
    }
    let code_hash = code.as_ref().map_or(KECCAK_EMPTY, keccak256);
    let after = Some(Account { nonce, balance, code_hash });
    (AccountChange { after, storage_cleared: false, storage }, code)
}

fn read_storage(
    path: &str,
    raw: &serde_json::value::RawValue,
    problems: &mut Problems,
) -> ChangeSet<U256, U256> {
    let path = format!("{path}.storage");
    let mut slots = BTreeMap::new();
    let Some(entries) = Object::new(&path, raw, problems) else { return slots.into() };
    for (key, raw) in entries.into_rest() {
        let value = fields::text(raw).and_then(|text| fields::word(&text));
        match fields::word(&key).and_then(|slot| Ok((slot, value?))) {
            Err(what) => problems.add(&format!("{path}.{key}"), &what),
            Ok((slot, value)) => {
                if slots.insert(slot, value).is_some() {
                    problems.add(&format!("{path}.{key}"), "given twice");
                }
            }
        }
    }
    slots.retain(|_, value| !value.is_zero());
    slots.into()
}
