//! Made pools: what transactions of a kind touch, without the transactions.

use parallelpool_core::access::{Access, AccessSet, AccessSource, Field};
use parallelpool_core::batching::Pooled;
use parallelpool_core::primitives::{Address, B256, U256, keccak256};

use crate::workloads::Numbers;

/// Names of the pools, in the order in which they are measured.
pub const POOLS: [&str; 7] =
    ["independent", "hot-payee", "single-payer", "groups-64", "zipf-pools", "erc20", "hot-counter"];

/// One entry of a pool.
pub(super) type Entry = (Pooled, AccessSet);

/// A pool of `count` transactions; those from `first` on, so that a pool can grow.
pub(super) fn make(pool: &str, first: u64, count: u64, seed: u64) -> Vec<Entry> {
    let mut numbers = Numbers::new(seed, &format!("{pool} from {first}"));
    (first..first + count).map(|n| entry(pool, n, &mut numbers)).collect()
}

fn entry(pool: &str, n: u64, numbers: &mut Numbers) -> Entry {
    let single = pool == "single-payer";
    let sender = account(if single { u64::MAX } else { n });
    let pooled = Pooled {
        hash: keccak256(n.to_be_bytes()),
        sender,
        nonce: if single { n } else { 0 },
        arrival: n,
        gas_limit: if matches!(pool, "independent" | "hot-payee" | "single-payer") { 21_000 } else { 60_000 },
        size: 120,
        max_fee_per_gas: 1_000_000_000_000,
        max_priority_fee_per_gas: u128::from(numbers.below(1_000_000)),
        ..Pooled::default()
    };
    let mut set = AccessSet::unknown(pooled.hash, pooled.gas_limit);
    set.source = AccessSource::Trace;
    set.add(sender, Field::Nonce, Access::WRITE);
    set.add(sender, Field::Code, Access::READ);
    set.add(sender, Field::Balance, Access::DEBIT);
    set.debits.insert(sender, U256::from(1_000_000_u64));
    let contract = Address::repeat_byte(0xcc);
    match pool {
        "independent" | "single-payer" => pay(&mut set, account(n | 1 << 62)),
        "hot-payee" => pay(&mut set, contract),
        "groups-64" => write(&mut set, contract, numbers.below(64)),
        // A pool of liquidity by Zipf's law with exponent 1 over 1,000 of them; two slots each.
        "zipf-pools" => {
            let rank = zipf(numbers, 1_000);
            let address = Address::left_padding_from(&(rank + 1).to_be_bytes());
            write(&mut set, address, 0);
            write(&mut set, address, 1);
        }
        "hot-counter" => write(&mut set, contract, 0),
        _ => {
            // Paused and owner are read; the two balances are the sender's and the recipient's own.
            set.add(contract, Field::Storage(U256::ZERO), Access::READ);
            set.add(contract, Field::Storage(U256::ONE), Access::READ);
            let slot = |who: u64| U256::from_be_bytes(keccak256(who.to_be_bytes()).0);
            let write = Access::READ.with(Access::WRITE);
            set.add(contract, Field::Storage(slot(n)), write);
            set.add(contract, Field::Storage(slot(n | 1 << 62)), write);
            set.add(contract, Field::Code, Access::READ);
        }
    }
    (pooled, set)
}

fn pay(set: &mut AccessSet, to: Address) {
    set.add(to, Field::Code, Access::READ);
    set.add(to, Field::Balance, Access::CREDIT);
}

fn write(set: &mut AccessSet, address: Address, slot: u64) {
    set.add(address, Field::Code, Access::READ);
    set.add(address, Field::Storage(U256::from(slot)), Access::READ.with(Access::WRITE));
}

fn account(n: u64) -> Address {
    Address::from_slice(&B256::from(keccak256(n.to_le_bytes()))[12..])
}

/// A rank below `ranks`, each with a probability in proportion to its reciprocal: by inversion of
/// the integral, which is near enough.
fn zipf(numbers: &mut Numbers, ranks: u64) -> u64 {
    let uniform = numbers.below(1 << 32) as f64 / f64::from(u32::MAX);
    (((ranks as f64).ln() * uniform).exp() as u64 - 1).min(ranks - 1)
}
