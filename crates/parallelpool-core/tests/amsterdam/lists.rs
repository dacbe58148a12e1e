//! Lists as the public tests write them, and where two of them differ.

use parallelpool_core::block_access_list::{AccountAccesses, BlockAccessList, Change, SlotChanges};
use parallelpool_core::primitives::{Address, U256};
use serde_json::Value;

use crate::support::{address, bytes, number};

pub(crate) fn read(list: &Value) -> BlockAccessList {
    BlockAccessList { accounts: items(list).map(account).collect() }
}

fn account(entry: &Value) -> AccountAccesses {
    AccountAccesses {
        address: address(&entry["address"]),
        storage_changes: items(&entry["storageChanges"])
            .map(|slot| SlotChanges {
                slot: word(&slot["slot"]),
                changes: changes(&slot["slotChanges"], |change| word(&change["postValue"])),
            })
            .collect(),
        storage_reads: items(&entry["storageReads"]).map(word).collect(),
        balance_changes: changes(&entry["balanceChanges"], |change| word(&change["postBalance"])),
        nonce_changes: changes(&entry["nonceChanges"], |change| word(&change["postNonce"]).to()),
        code_changes: changes(&entry["codeChanges"], |change| bytes(&change["newCode"])),
    }
}

fn changes<T>(list: &Value, value: impl Fn(&Value) -> T) -> Vec<Change<T>> {
    let change =
        |change: &Value| Change { index: word(&change["blockAccessIndex"]).to(), value: value(change) };
    items(list).map(change).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().expect("a list").iter()
}

fn word(value: &Value) -> U256 {
    number(value).expect("a number")
}

/// The list without the balances of those that pay or earn gas.
pub(crate) fn without_balances(list: &BlockAccessList, payers: &[Address]) -> BlockAccessList {
    let mut list = list.clone();
    for account in list.accounts.iter_mut().filter(|account| payers.contains(&account.address)) {
        account.balance_changes.clear();
    }
    list
}

/// The first account in which two lists differ.
pub(crate) fn first_difference(one: &BlockAccessList, other: &BlockAccessList) -> Option<String> {
    let mut pairs = one.accounts.iter().map(Some).chain(std::iter::repeat(None));
    let mut others = other.accounts.iter().map(Some).chain(std::iter::repeat(None));
    for _ in 0..one.accounts.len().max(other.accounts.len()) {
        let (one, other) = (pairs.next()?, others.next()?);
        if one != other {
            return Some(format!("test {one:?}, executed {other:?}"));
        }
    }
    None
}
