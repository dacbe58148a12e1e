//! Bytes of a list: one encoding, one order, no exception.
//!
//! The decoder refuses what the encoder would not have written, and the first thing it refuses is
//! named with its place. It counts items as they come and stops at the bound before it keeps the
//! next one, so a list of garbage costs no more memory than a valid one could.

use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

use super::{AccountAccesses, BlockAccessList, Change, SlotChanges, WrongAccessList};
use crate::primitives::{Address, B256, Bytes, U256, keccak256};

/// Gas that stands behind every item of a list at least: a block's gas limit divided by it bounds
/// the list, see [`most_items`].
pub const GAS_PER_ITEM: u64 = 2_000;

/// Most addresses and storage keys in the list of a block with this gas limit.
pub fn most_items(gas_limit: u64) -> usize {
    usize::try_from(gas_limit / GAS_PER_ITEM).unwrap_or(usize::MAX)
}

impl BlockAccessList {
    /// Decodes exactly one list of at most `most_items` addresses and storage keys.
    pub fn decode(bytes: &[u8], most_items: usize) -> Result<Self, WrongAccessList> {
        let mut reader = Reader { rest: bytes, place: Place::default() };
        let mut items = Budget { left: most_items, most: most_items };
        let mut content = reader.list()?;
        if !reader.rest.is_empty() {
            return Err(reader.wrong("bytes follow the list"));
        }
        let mut list = Self::default();
        while !content.rest.is_empty() {
            content.place.account = Some((list.accounts.len(), None));
            let account = decode_account(&mut content, &mut items)?;
            let before = list.accounts.last().map(|account| account.address);
            check_account(list.accounts.len(), before, &account)?;
            list.accounts.push(account);
        }
        Ok(list)
    }

    /// The list's bytes: RLP of its accounts.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.accounts.length());
        self.accounts.encode(&mut out);
        out
    }

    /// Keccak of [`Self::encode`], as the header has it from Amsterdam on.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// Whether a block with this gas limit may have a list of this length.
    pub fn check_bound(&self, gas_limit: u64) -> Result<(), WrongAccessList> {
        self.check_items(most_items(gas_limit))
    }

    fn check_items(&self, most: usize) -> Result<(), WrongAccessList> {
        if self.items() > most { Err(WrongAccessList::TooManyItems { most }) } else { Ok(()) }
    }

    /// Whether the list is in canonical order and holds no more than `most_items`; a decoded one is.
    pub fn check_form(&self, most_items: usize) -> Result<(), WrongAccessList> {
        self.check_items(most_items)?;
        let mut before = None;
        for (position, account) in self.accounts.iter().enumerate() {
            check_account(position, before, account)?;
            before = Some(account.address);
        }
        Ok(())
    }
}

impl Encodable for AccountAccesses {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        RlpHeader { list: true, payload_length: self.payload_length() }.encode(out);
        self.address.encode(out);
        self.storage_changes.encode(out);
        self.storage_reads.encode(out);
        self.balance_changes.encode(out);
        self.nonce_changes.encode(out);
        self.code_changes.encode(out);
    }

    fn length(&self) -> usize {
        with_header(self.payload_length())
    }
}

impl AccountAccesses {
    fn payload_length(&self) -> usize {
        self.address.length()
            + self.storage_changes.length()
            + self.storage_reads.length()
            + self.balance_changes.length()
            + self.nonce_changes.length()
            + self.code_changes.length()
    }
}

impl Encodable for SlotChanges {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        RlpHeader { list: true, payload_length: self.slot.length() + self.changes.length() }.encode(out);
        self.slot.encode(out);
        self.changes.encode(out);
    }

    fn length(&self) -> usize {
        with_header(self.slot.length() + self.changes.length())
    }
}

impl<T: Encodable> Encodable for Change<T> {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        RlpHeader { list: true, payload_length: self.index.length() + self.value.length() }.encode(out);
        self.index.encode(out);
        self.value.encode(out);
    }

    fn length(&self) -> usize {
        with_header(self.index.length() + self.value.length())
    }
}

fn with_header(payload: usize) -> usize {
    payload + alloy_rlp::length_of_length(payload)
}

/// How many items may still come.
struct Budget {
    left: usize,
    most: usize,
}

impl Budget {
    fn spend(&mut self) -> Result<(), WrongAccessList> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(WrongAccessList::TooManyItems { most: self.most }),
        }
    }
}

/// Where in the list something stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    account: Option<(usize, Option<Address>)>,
    /// Name of the account's list, and the position in it.
    item: Option<(&'static str, usize)>,
    /// Position among a slot's changes.
    change: Option<usize>,
}

impl Place {
    fn wrong(self, fault: impl Into<String>) -> WrongAccessList {
        WrongAccessList::Form { place: self.to_string(), fault: fault.into() }
    }

    fn at(self, list: &'static str, position: usize) -> Self {
        Self { item: Some((list, position)), ..self }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((position, address)) = self.account else { return formatter.write_str("list") };
        write!(formatter, "account {position}")?;
        if let Some(address) = address {
            write!(formatter, " ({address})")?;
        }
        if let Some((list, position)) = self.item {
            write!(formatter, ", {list} {position}")?;
        }
        match self.change {
            Some(position) => write!(formatter, ", change {position}"),
            None => Ok(()),
        }
    }
}

const STORAGE_CHANGE: &str = "storage change";
const STORAGE_READ: &str = "storage read";
const BALANCE_CHANGE: &str = "balance change";
const NONCE_CHANGE: &str = "nonce change";
const CODE_CHANGE: &str = "code change";

/// The rest of one RLP list, and where it stands.
struct Reader<'a> {
    rest: &'a [u8],
    place: Place,
}

impl<'a> Reader<'a> {
    fn wrong(&self, fault: impl Into<String>) -> WrongAccessList {
        self.place.wrong(fault)
    }

    fn value<T: Decodable>(&mut self) -> Result<T, WrongAccessList> {
        T::decode(&mut self.rest).map_err(|fault| self.wrong(fault.to_string()))
    }

    fn list(&mut self) -> Result<Reader<'a>, WrongAccessList> {
        let rest =
            RlpHeader::decode_bytes(&mut self.rest, true).map_err(|fault| self.wrong(fault.to_string()))?;
        Ok(Reader { rest, place: self.place })
    }

    /// Every element of the next list, each with its place set by `locate`.
    fn elements<T>(
        &mut self,
        locate: impl Fn(Place, usize) -> Place,
        mut element: impl FnMut(&mut Self) -> Result<T, WrongAccessList>,
    ) -> Result<Vec<T>, WrongAccessList> {
        let mut list = self.list()?;
        let outer = list.place;
        let mut elements = Vec::new();
        while !list.rest.is_empty() {
            list.place = locate(outer, elements.len());
            elements.push(element(&mut list)?);
        }
        Ok(elements)
    }

    fn end(&self) -> Result<(), WrongAccessList> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong("too many elements")) }
    }
}

fn decode_account(from: &mut Reader<'_>, items: &mut Budget) -> Result<AccountAccesses, WrongAccessList> {
    items.spend()?;
    let mut fields = from.list()?;
    let address: Address = fields.value()?;
    if let Some((_, known)) = &mut fields.place.account {
        *known = Some(address);
    }
    let account = AccountAccesses {
        address,
        storage_changes: fields.elements(
            |place, position| place.at(STORAGE_CHANGE, position),
            |reader| {
                items.spend()?;
                decode_slot(reader)
            },
        )?,
        storage_reads: fields.elements(
            |place, position| place.at(STORAGE_READ, position),
            |reader| {
                items.spend()?;
                reader.value::<U256>()
            },
        )?,
        balance_changes: fields.elements(|place, at| place.at(BALANCE_CHANGE, at), decode_change)?,
        nonce_changes: fields.elements(|place, at| place.at(NONCE_CHANGE, at), decode_change)?,
        code_changes: fields.elements(|place, at| place.at(CODE_CHANGE, at), decode_change::<Bytes>)?,
    };
    fields.end()?;
    Ok(account)
}

fn decode_slot(from: &mut Reader<'_>) -> Result<SlotChanges, WrongAccessList> {
    let mut fields = from.list()?;
    let slot = fields.value()?;
    let changes = fields.elements(|place, at| Place { change: Some(at), ..place }, decode_change)?;
    fields.end()?;
    Ok(SlotChanges { slot, changes })
}

fn decode_change<T: Decodable>(from: &mut Reader<'_>) -> Result<Change<T>, WrongAccessList> {
    let mut fields = from.list()?;
    let change = Change { index: fields.value()?, value: fields.value()? };
    fields.end()?;
    Ok(change)
}

/// The rules of order within an account and towards the one before.
fn check_account(
    position: usize,
    before: Option<Address>,
    account: &AccountAccesses,
) -> Result<(), WrongAccessList> {
    let place = Place { account: Some((position, Some(account.address))), ..Place::default() };
    if before.is_some_and(|before| before >= account.address) {
        return Err(place.wrong("addresses are not strictly ascending"));
    }
    for (position, slot) in account.storage_changes.iter().enumerate() {
        let place = place.at(STORAGE_CHANGE, position);
        if position > 0 && account.storage_changes[position - 1].slot >= slot.slot {
            return Err(place.wrong("slots are not strictly ascending"));
        }
        if slot.changes.is_empty() {
            return Err(place.wrong("slot without a change"));
        }
        check_order(&slot.changes, |at| Place { change: Some(at), ..place })?;
    }
    for (position, slot) in account.storage_reads.iter().enumerate() {
        let place = place.at(STORAGE_READ, position);
        if position > 0 && account.storage_reads[position - 1] >= *slot {
            return Err(place.wrong("slots are not strictly ascending"));
        }
        if account.storage_changes.binary_search_by_key(slot, |changed| changed.slot).is_ok() {
            return Err(place.wrong("slot is among the changed ones too"));
        }
    }
    check_order(&account.balance_changes, |at| place.at(BALANCE_CHANGE, at))?;
    check_order(&account.nonce_changes, |at| place.at(NONCE_CHANGE, at))?;
    check_order(&account.code_changes, |at| place.at(CODE_CHANGE, at))
}

fn check_order<T>(changes: &[Change<T>], place: impl Fn(usize) -> Place) -> Result<(), WrongAccessList> {
    match changes.windows(2).position(|pair| pair[0].index >= pair[1].index) {
        Some(at) => Err(place(at + 1).wrong("indices are not strictly ascending")),
        None => Ok(()),
    }
}
