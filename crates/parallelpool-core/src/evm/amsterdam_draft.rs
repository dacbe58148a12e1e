//! Amsterdam's prices as they stood in April 2026, when its public tests were filled.
//!
//! EIP-8037 then had smaller sizes, a price per byte that followed the block's gas limit, and
//! charged new accounts of transactions before execution. EIP-2780 and EIP-8038 were not part of
//! the fork. What else differs is structure, not price, and is left as it is; docs/access-lists.md
//! lists it.

use revm::bytecode::opcode;
use revm::context::CfgEnv;
use revm::context_interface::cfg::{GasId, GasParams};
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;

use super::{Context, ExecutionDatabase};
use crate::block::BlockContext;
use crate::tx::charges::DRAFT_MAX_INIT_CODE_SIZE;

/// Sizes of what is stored, in bytes.
const NEW_ACCOUNT_BYTES: u64 = 112;
const SLOT_BYTES: u64 = 32;
const DELEGATION_BYTES: u64 = 23;

const BLOCKS_PER_YEAR: u128 = 2_628_000;
/// Bytes by which the state was meant to grow in a year.
const YEARLY_GROWTH: u128 = 100 << 30;
/// The price is rounded to this many significant bits, above an offset.
const SIGNIFICANT_BITS: u32 = 5;
const PRICE_OFFSET: u64 = 9_578;

const CREATE: u64 = 9_000;
const STORAGE_WRITE: u64 = 2_800;
const AUTHORIZATION: u64 = 7_500;
/// EIP-7981: 64 gas for each of the 20 and 32 bytes.
const ACCESS_LIST_ADDRESS: u64 = 2_400 + 20 * 64;
const ACCESS_LIST_STORAGE_KEY: u64 = 1_900 + 32 * 64;

/// EIP-7954 then doubled less.
const MAX_CODE_SIZE: usize = 32_768;

/// Gas per byte of state in a block with this gas limit.
fn price_per_byte(gas_limit: u64) -> u64 {
    let raw = (u128::from(gas_limit) * BLOCKS_PER_YEAR).div_ceil(2 * YEARLY_GROWTH);
    let shifted = u64::try_from(raw).unwrap_or(u64::MAX).saturating_add(PRICE_OFFSET);
    let shift = shifted.ilog2() + 1 - SIGNIFICANT_BITS;
    ((shifted >> shift) << shift).saturating_sub(PRICE_OFFSET).max(1)
}

/// Sets the prices that differ.
pub(super) fn configure(configuration: &mut CfgEnv, block: &BlockContext) {
    configuration.enable_amsterdam_eip2780 = false;
    configuration.limit_contract_code_size = Some(MAX_CODE_SIZE);
    configuration.limit_contract_initcode_size = Some(DRAFT_MAX_INIT_CODE_SIZE);
    let osaka = GasParams::new_spec(SpecId::OSAKA);
    let mut prices = configuration.gas_params.clone();
    let of_osaka = [
        GasId::warm_storage_read_cost(),
        GasId::cold_account_additional_cost(),
        GasId::cold_storage_additional_cost(),
        GasId::cold_storage_cost(),
        GasId::transfer_value_cost(),
        GasId::sstore_static(),
        GasId::sstore_clearing_slot_refund(),
        GasId::tx_floor_cost_base_gas(),
    ];
    prices.override_gas(of_osaka.map(|id| (id, osaka.get(id))));
    let per_byte = price_per_byte(block.gas_limit);
    prices.override_gas([
        (GasId::sstore_set_without_load_cost(), STORAGE_WRITE),
        (GasId::sstore_reset_without_cold_load_cost(), STORAGE_WRITE),
        (GasId::sstore_set_refund(), STORAGE_WRITE),
        (GasId::sstore_reset_refund(), STORAGE_WRITE),
        (GasId::sstore_set_state_gas(), SLOT_BYTES * per_byte),
        (GasId::new_account_state_gas(), NEW_ACCOUNT_BYTES * per_byte),
        (GasId::create_state_gas(), NEW_ACCOUNT_BYTES * per_byte),
        (GasId::code_deposit_state_gas(), per_byte),
        (GasId::tx_eip7702_state_gas_bytecode(), DELEGATION_BYTES * per_byte),
        (GasId::new_account_cost_for_selfdestruct(), 0),
        (GasId::create(), CREATE),
        (GasId::tx_create_cost(), CREATE),
        (GasId::tx_access_list_address_cost(), ACCESS_LIST_ADDRESS),
        (GasId::tx_access_list_storage_key_cost(), ACCESS_LIST_STORAGE_KEY),
        (GasId::tx_eip7702_regular_gas(), AUTHORIZATION),
        // One per refunded authority: the handler turns the count into state gas.
        (GasId::tx_eip7702_regular_refund(), 1),
    ]);
    configuration.set_gas_params(prices);
}

/// Reading another account's code is one access, not yet two.
pub(super) fn install<D: ExecutionDatabase>(instructions: &mut EthInstructions<EthInterpreter, Context<D>>) {
    let warm = instructions.gas_table()[opcode::EXTCODEHASH as usize];
    instructions.insert_gas(opcode::EXTCODESIZE, warm);
    instructions.insert_gas(opcode::EXTCODECOPY, warm);
}

#[cfg(test)]
mod tests {
    use super::price_per_byte;

    #[test]
    fn the_price_follows_the_gas_limit_in_steps() {
        let by_gas_limit =
            [1, 60, 100, 120, 200, 300, 500].map(|millions| price_per_byte(millions * 1_000_000));

        assert_eq!(by_gas_limit, [1, 662, 1_174, 1_174, 2_198, 3_222, 5_782]);
    }
}
