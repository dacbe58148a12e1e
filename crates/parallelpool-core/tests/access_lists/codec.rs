//! The codec against alloy's, and against bytes that are no list.

use alloy_eip7928 as alloy;
use parallelpool_core::block_access_list::{
    AccountAccesses, BlockAccessList, Change, SlotChanges, WrongAccessList, most_items,
};
use parallelpool_core::primitives::{Address, Bytes, U256, keccak256};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::scene::Scene;
use crate::seeds;

/// The same list in alloy's types.
fn as_alloy(list: &BlockAccessList) -> Vec<alloy::AccountChanges> {
    let at = |index: u32| alloy::BlockAccessIndex::new(index.into());
    let slot = |slot: &SlotChanges| alloy::SlotChanges {
        slot: slot.slot,
        changes: slot
            .changes
            .iter()
            .map(|change| alloy::StorageChange {
                block_access_index: at(change.index),
                new_value: change.value,
            })
            .collect(),
    };
    let account = |account: &AccountAccesses| alloy::AccountChanges {
        address: account.address,
        storage_changes: account.storage_changes.iter().map(slot).collect(),
        storage_reads: account.storage_reads.clone(),
        balance_changes: account
            .balance_changes
            .iter()
            .map(|change| alloy::BalanceChange {
                block_access_index: at(change.index),
                post_balance: change.value,
            })
            .collect(),
        nonce_changes: account
            .nonce_changes
            .iter()
            .map(|change| alloy::NonceChange {
                block_access_index: at(change.index),
                new_nonce: change.value,
            })
            .collect(),
        code_changes: account
            .code_changes
            .iter()
            .map(|change| alloy::CodeChange {
                block_access_index: at(change.index),
                new_code: change.value.clone(),
            })
            .collect(),
    };
    list.accounts.iter().map(account).collect()
}

/// A canonical list without any block behind it: numbers of all lengths, long codes, empty parts.
fn random_list(random: &mut SmallRng) -> BlockAccessList {
    let mut addresses: Vec<Address> =
        (0..random.random_range(0..12)).map(|_| Address::from(random.random::<[u8; 20]>())).collect();
    addresses.sort();
    let accounts = addresses.into_iter().map(|address| {
        let mut slots: Vec<U256> = (0..random.random_range(0..8)).map(|_| number(random)).collect();
        slots.sort();
        slots.dedup();
        let (changed, read) = slots.split_at(random.random_range(0..=slots.len()));
        AccountAccesses {
            address,
            storage_changes: changed
                .iter()
                .map(|slot| SlotChanges { slot: *slot, changes: changes(random, 1, number) })
                .collect(),
            storage_reads: read.to_vec(),
            balance_changes: changes(random, 0, number),
            nonce_changes: changes(random, 0, |random| number(random).as_limbs()[0]),
            code_changes: changes(random, 0, |random| {
                let length = random.random_range(0..300);
                (0..length).map(|_| random.random()).collect::<Vec<u8>>().into()
            }),
        }
    });
    BlockAccessList { accounts: accounts.collect() }
}

fn changes<T>(
    random: &mut SmallRng,
    least: usize,
    mut value: impl FnMut(&mut SmallRng) -> T,
) -> Vec<Change<T>> {
    let mut indices: Vec<u32> = (0..random.random_range(least..5))
        .map(|_| random.random::<u32>() >> random.random_range(0..32))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices.into_iter().map(|index| Change { index, value: value(random) }).collect()
}

fn number(random: &mut SmallRng) -> U256 {
    U256::from_be_bytes(random.random::<[u8; 32]>()) >> random.random_range(0..257_usize)
}

fn assert_agrees(list: &BlockAccessList) {
    let bytes = list.encode();
    let theirs = as_alloy(list);

    assert_eq!(bytes, alloy_rlp::encode(&theirs));
    assert_eq!(list.hash(), alloy::compute_block_access_list_hash(&theirs));
    assert_eq!(BlockAccessList::decode(&bytes, list.items()).as_ref(), Ok(list));
    let decoded: Vec<alloy::AccountChanges> = alloy_rlp::decode_exact(&bytes).expect("alloy decodes it");
    assert_eq!(decoded, theirs);
}

#[test]
fn bytes_and_hash_are_those_of_alloy() {
    let mut random = SmallRng::seed_from_u64(7_928);
    for _ in 0..2_000 {
        assert_agrees(&random_list(&mut random));
    }
    for seed in seeds() {
        assert_agrees(&Scene::new(seed).list);
    }
}

#[test]
fn the_empty_list_has_the_hash_of_the_eip() {
    let empty = BlockAccessList::default();

    assert_eq!(empty.encode(), [0xc0]);
    assert_eq!(empty.hash(), keccak256([0xc0]));
    assert_eq!(empty.hash(), alloy::constants::EMPTY_BLOCK_ACCESS_LIST_HASH);
}

/// Whatever is decoded encodes to the same bytes: so there is one encoding, and no other is taken.
#[test]
fn a_changed_byte_gives_another_list_or_none() {
    let mut random = SmallRng::seed_from_u64(1);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut bytes = random_list(&mut random).encode();
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..3) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.random()),
        }
        match BlockAccessList::decode(&bytes, usize::MAX) {
            Ok(list) => {
                taken += 1;
                assert_eq!(list.encode(), bytes);
                assert_eq!(list.check_form(usize::MAX), Ok(()));
            }
            Err(WrongAccessList::Form { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(taken > 100 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn the_first_violation_is_named_by_its_place() {
    let address = Address::repeat_byte(1);
    let good = AccountAccesses {
        address,
        storage_changes: vec![SlotChanges {
            slot: U256::from(5),
            changes: vec![Change { index: 1, value: U256::ONE }, Change { index: 3, value: U256::ZERO }],
        }],
        storage_reads: vec![U256::from(4), U256::from(6)],
        balance_changes: vec![Change { index: 1, value: U256::ONE }],
        nonce_changes: vec![Change { index: 1, value: 1 }],
        code_changes: vec![Change { index: 1, value: Bytes::from_static(&[1]) }],
    };
    let words = |change: &dyn Fn(&mut AccountAccesses)| {
        let mut account = good.clone();
        change(&mut account);
        let list = BlockAccessList { accounts: vec![account] };
        let decoded = BlockAccessList::decode(&list.encode(), 100).expect_err("not canonical");
        assert_eq!(list.check_form(100), Err(decoded.clone()));
        decoded.to_string()
    };
    let at = format!("block access list: account 0 ({address}), ");

    assert_eq!(
        words(&|account| account.storage_changes[0].changes[1].index = 1),
        format!("{at}storage change 0, change 1: indices are not strictly ascending")
    );
    assert_eq!(
        words(&|account| account.storage_changes[0].changes.clear()),
        format!("{at}storage change 0: slot without a change")
    );
    assert_eq!(
        words(&|account| account.storage_reads[1] = U256::from(5)),
        format!("{at}storage read 1: slot is among the changed ones too")
    );
    assert_eq!(
        words(&|account| account.storage_reads.swap(0, 1)),
        format!("{at}storage read 1: slots are not strictly ascending")
    );
    assert_eq!(
        words(&|account| account.nonce_changes.insert(0, Change { index: 2, value: 1 })),
        format!("{at}nonce change 1: indices are not strictly ascending")
    );
    let twice = BlockAccessList { accounts: vec![good.clone(), good.clone()] };
    assert_eq!(
        BlockAccessList::decode(&twice.encode(), 100).expect_err("not canonical").to_string(),
        format!("block access list: account 1 ({address}): addresses are not strictly ascending")
    );
}

#[test]
fn integers_that_are_not_minimal_or_too_long_are_named() {
    let account = |balance: &[u8]| {
        let mut fields = vec![0x94];
        fields.extend_from_slice(&[1; 20]);
        fields.extend_from_slice(&[0xc0, 0xc0]);
        fields.extend_from_slice(balance);
        fields.extend_from_slice(&[0xc0, 0xc0]);
        let mut list = vec![0xc0 + fields.len() as u8];
        list.extend(fields);
        let mut out = vec![0xc0 + list.len() as u8];
        out.extend(list);
        out
    };
    let words = |balance: &[u8]| match BlockAccessList::decode(&account(balance), 10) {
        Err(wrong) => wrong.to_string(),
        Ok(list) => panic!("{list:?}"),
    };
    let at = format!("block access list: account 0 ({}), balance change 0: ", Address::repeat_byte(1));

    assert!(BlockAccessList::decode(&account(&[0xc3, 0xc2, 1, 5]), 10).is_ok());
    assert_eq!(words(&[0xc4, 0xc3, 1, 0x81, 5]), format!("{at}non-canonical single byte"));
    assert_eq!(words(&[0xc5, 0xc4, 1, 0x82, 0, 5]), format!("{at}leading zero"));
    assert_eq!(words(&[0xc8, 0xc7, 0x85, 1, 0, 0, 0, 0, 5]), format!("{at}overflow"));
    assert_eq!(words(&[0xc4, 0xc3, 1, 5, 6]), format!("{at}too many elements"));
}

#[test]
fn the_bound_is_met_before_the_item_is_kept() {
    let mut random = SmallRng::seed_from_u64(2);
    for _ in 0..300 {
        let list = random_list(&mut random);
        let items = list.items();
        assert_eq!(BlockAccessList::decode(&list.encode(), items).as_ref(), Ok(&list));
        if items > 0 {
            let most = random.random_range(0..items);
            let too_many = Err(WrongAccessList::TooManyItems { most });
            assert_eq!(BlockAccessList::decode(&list.encode(), most), too_many);
            assert_eq!(list.check_form(most), too_many.map(|_: BlockAccessList| ()));
        }
    }
    assert_eq!(most_items(60_000_000), 30_000);
    assert_eq!(most_items(1_999), 0);
}
