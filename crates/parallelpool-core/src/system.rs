//! What a block does to the state besides its transactions.
//!
//! Before them: the DAO fork's transfers, the parent's beacon root (EIP-4788) and hash
//! (EIP-2935). After them: requests (EIP-6110, EIP-7002, EIP-7251), withdrawals (EIP-4895) and
//! the rewards of proof of work. Serial and parallel execution call the same two functions.

mod deposits;

use alloy_primitives::address;

use crate::block::{BlockContext, Receipt};
use crate::chainspec::{ChainSpec, Fork, Rules};
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, SystemCall, TouchedAccount};
use crate::primitives::{Address, B256, Bytes, KECCAK_EMPTY, U256};
use crate::state::StateView;
use crate::state::overlay::Overlay;

/// Stores the beacon chain's root of the parent's time (EIP-4788).
pub const BEACON_ROOTS_CONTRACT: Address = address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02");
/// Stores hashes of earlier blocks (EIP-2935).
pub const HISTORY_STORAGE_CONTRACT: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
/// Queue of withdrawals asked for by their owners (EIP-7002).
pub const WITHDRAWAL_REQUEST_CONTRACT: Address = address!("00000961Ef480Eb55e80D19ad83579A64c007002");
/// Queue of validator consolidations (EIP-7251).
pub const CONSOLIDATION_REQUEST_CONTRACT: Address = address!("0000BBdDc7CE488642fb579F8B00f3a590007251");

const DEPOSIT_REQUEST: u8 = 0;
const WITHDRAWAL_REQUEST: u8 = 1;
const CONSOLIDATION_REQUEST: u8 = 2;

const WEI_PER_GWEI: u64 = 1_000_000_000;
const WEI_PER_ETHER: u64 = 1_000_000_000_000_000_000;

/// An ommer of the parent's height earns seven eighths of the reward, each block of distance
/// costs one more eighth.
const OMMER_SHARES: u64 = 8;
/// Including an ommer earns a thirty-second of the reward.
const INCLUSION_SHARE: u64 = 32;

/// What is touched around the transactions; `None` where nobody wants to know.
pub(crate) type Touched = Option<Vec<TouchedAccount>>;

/// Applies what precedes the transactions.
pub(crate) fn before_transactions<V: StateView>(
    spec: &ChainSpec,
    rules: &Rules,
    block: &BlockContext,
    state: &mut Overlay<V>,
    touched: &mut Touched,
) -> Result<(), CoreError> {
    if spec.activation_block(Fork::Dao) == Some(block.number) {
        crate::dao::apply(state)?;
        crate::dao::accounts().for_each(|address| touch(touched, address));
    }
    if rules.fork >= Fork::Cancun
        && let Some(root) = block.parent_beacon_block_root
    {
        call_unchecked(rules, block, state, touched, BEACON_ROOTS_CONTRACT, root)?;
    }
    if rules.fork >= Fork::Prague {
        call_unchecked(rules, block, state, touched, HISTORY_STORAGE_CONTRACT, block.parent_hash)?;
    }
    Ok(())
}

/// Applies what follows the transactions. Returns the requests from Prague on, each with its type
/// byte in front, empty ones left out.
pub(crate) fn after_transactions<V: StateView>(
    spec: &ChainSpec,
    rules: &Rules,
    block: &BlockContext,
    receipts: &[Receipt],
    state: &mut Overlay<V>,
    touched: &mut Touched,
) -> Result<Option<Vec<Bytes>>, CoreError> {
    let requests = if rules.fork >= Fork::Prague {
        let mut requests = Vec::new();
        let deposits = deposits::collect(receipts, &spec.deposit_contract)
            .map_err(|reason| CoreError::BlockRefused { number: block.number, reason })?;
        push_request(&mut requests, DEPOSIT_REQUEST, &deposits);
        let withdrawals = call_checked(rules, block, state, touched, WITHDRAWAL_REQUEST_CONTRACT)?;
        push_request(&mut requests, WITHDRAWAL_REQUEST, &withdrawals);
        let consolidations = call_checked(rules, block, state, touched, CONSOLIDATION_REQUEST_CONTRACT)?;
        push_request(&mut requests, CONSOLIDATION_REQUEST, &consolidations);
        Some(requests)
    } else {
        None
    };
    for withdrawal in block.withdrawals.iter().flatten() {
        let amount = U256::from(withdrawal.amount) * U256::from(WEI_PER_GWEI);
        state.credit(withdrawal.address, amount, rules.spec_id)?;
        touch(touched, withdrawal.address);
    }
    if spec.pays_block_rewards && rules.fork < Fork::Paris {
        pay_rewards(rules, block, state, touched)?;
    }
    Ok(requests)
}

/// EIP-4788 and EIP-2935: without the contract nothing happens, and a failure changes nothing.
fn call_unchecked<V: StateView>(
    rules: &Rules,
    block: &BlockContext,
    state: &mut Overlay<V>,
    touched: &mut Touched,
    contract: Address,
    input: B256,
) -> Result<(), CoreError> {
    touch(touched, contract);
    if has_code(state, &contract)? {
        call(rules, block, state, touched, contract, Bytes::copy_from_slice(input.as_slice()))?;
    }
    Ok(())
}

/// EIP-7002 and EIP-7251: without the contract, or if it fails, the block is invalid.
fn call_checked<V: StateView>(
    rules: &Rules,
    block: &BlockContext,
    state: &mut Overlay<V>,
    touched: &mut Touched,
    contract: Address,
) -> Result<Bytes, CoreError> {
    let refused = |reason| CoreError::BlockRefused { number: block.number, reason };
    touch(touched, contract);
    if !has_code(state, &contract)? {
        return Err(refused(format!("system contract {contract} has no code")));
    }
    let (failure, output) = call(rules, block, state, touched, contract, Bytes::new())?;
    match failure {
        None => Ok(output),
        Some(words) => Err(refused(format!("system call to {contract} failed: {words}"))),
    }
}

fn has_code(state: &impl StateView, address: &Address) -> Result<bool, StateError> {
    Ok(state.account(address)?.is_some_and(|account| account.code_hash != KECCAK_EMPTY))
}

/// Calls a system contract and applies what it changed. Returns why it failed, if it did, and
/// what it returned.
fn call<V: StateView>(
    rules: &Rules,
    block: &BlockContext,
    state: &mut Overlay<V>,
    touched: &mut Touched,
    contract: Address,
    input: Bytes,
) -> Result<(Option<String>, Bytes), CoreError> {
    let mut evm = Evm::new(rules, block, ViewDatabase(&*state));
    evm.record_touched(touched.is_some());
    let SystemCall { halt, output, writes, touched: loaded } = evm.system_call(contract, input)?;
    state.write(&writes, [])?;
    if let Some(touched) = touched {
        touched.extend(loaded);
    }
    Ok((halt, output))
}

fn touch(touched: &mut Touched, address: Address) {
    if let Some(touched) = touched {
        touched.push(TouchedAccount { address, slots: Vec::new() });
    }
}

fn push_request(requests: &mut Vec<Bytes>, kind: u8, content: &[u8]) {
    if !content.is_empty() {
        requests.push([&[kind], content].concat().into());
    }
}

fn pay_rewards<V: StateView>(
    rules: &Rules,
    block: &BlockContext,
    state: &mut Overlay<V>,
    touched: &mut Touched,
) -> Result<(), StateError> {
    let ethers = match rules.fork {
        fork if fork >= Fork::Constantinople => 2,
        Fork::Byzantium => 3,
        _ => 5,
    };
    let reward = U256::from(ethers) * U256::from(WEI_PER_ETHER);
    for ommer in &block.ommers {
        let shares = (ommer.number + OMMER_SHARES).saturating_sub(block.number);
        state.credit(
            ommer.beneficiary,
            reward * U256::from(shares) / U256::from(OMMER_SHARES),
            rules.spec_id,
        )?;
        touch(touched, ommer.beneficiary);
    }
    let inclusions = reward / U256::from(INCLUSION_SHARE) * U256::from(block.ommers.len());
    touch(touched, block.beneficiary);
    state.credit(block.beneficiary, reward + inclusions, rules.spec_id)
}
