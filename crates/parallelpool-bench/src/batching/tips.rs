//! What a block earns: as the builder chooses, and as a serial builder does. Written apart from the
//! builder, to hold it against.

use std::collections::BTreeMap;

use parallelpool_core::access::AccessSet;
use parallelpool_core::batching::{Builder, Pooled, Selection};
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, B256, U256};

/// Tips of half of the pool's gas.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tips {
    /// In wei, of what stands in some batch.
    pub(super) ours: U256,
    /// In wei, of the serial block.
    pub(super) serial: U256,
}

impl Tips {
    /// Of a pool that `builder` holds.
    pub(super) fn of(
        builder: &mut Builder,
        pooled: &[Pooled],
        by_hash: &BTreeMap<B256, &AccessSet>,
        base_fee: Option<u128>,
        selection: &Selection,
        balance: impl FnMut(&Address) -> Result<U256, CoreError>,
    ) -> Result<Self, CoreError> {
        let max_gas = pooled.iter().map(|one| one.gas_limit).sum::<u64>() / 2;
        let plan = builder.build(&Selection { max_gas, ..selection.clone() }, balance)?;
        let by_place: BTreeMap<B256, &Pooled> = pooled.iter().map(|one| (one.hash, one)).collect();
        let earns = |one: &Pooled| {
            U256::from(tip(one, base_fee).unwrap_or(0)) * U256::from(by_hash[&one.hash].gas_used)
        };
        let batched = plan.execution_order().map(|index| by_place[&plan.candidates[index as usize]]);
        Ok(Self {
            ours: batched.map(earns).sum(),
            serial: serial_greedy(pooled, base_fee, max_gas).map(earns).sum(),
        })
    }
}

fn tip(one: &Pooled, base_fee: Option<u128>) -> Option<u128> {
    let Some(base_fee) = base_fee else { return Some(one.max_priority_fee_per_gas) };
    Some(one.max_fee_per_gas.checked_sub(base_fee)?.min(one.max_priority_fee_per_gas))
}

/// The serial block: the sender whose next transaction pays best goes next, until the gas is used;
/// one that does not fit ends its sender's turn.
fn serial_greedy(pooled: &[Pooled], base_fee: Option<u128>, max_gas: u64) -> impl Iterator<Item = &Pooled> {
    let mut senders: BTreeMap<Address, Vec<&Pooled>> = BTreeMap::new();
    for one in pooled {
        senders.entry(one.sender).or_default().push(one);
    }
    senders.values_mut().for_each(|chain| chain.sort_by_key(|one| std::cmp::Reverse(one.nonce)));
    let mut left = max_gas;
    std::iter::from_fn(move || {
        loop {
            let next = senders.iter().filter_map(|(sender, chain)| {
                let one = chain.last()?;
                Some((tip(one, base_fee)?, std::cmp::Reverse(one.arrival), *sender))
            });
            let (_, _, sender) = next.max()?;
            let chain = senders.get_mut(&sender)?;
            let one = chain.pop()?;
            if one.gas_limit <= left {
                left -= one.gas_limit;
                return Some(one);
            }
            chain.clear();
        }
    })
}
