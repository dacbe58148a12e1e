//! Why a precompile failed, as geth tells it: it asks for the gas before it looks at the input.

use revm::context_interface::result::HaltReason;
use revm::precompile::bls12_381_const::{
    DISCOUNT_TABLE_G1_MSM, DISCOUNT_TABLE_G2_MSM, G1_ADD_BASE_GAS_FEE, G1_MSM_BASE_GAS_FEE,
    G2_ADD_BASE_GAS_FEE, G2_MSM_BASE_GAS_FEE, MAP_FP_TO_G1_BASE_GAS_FEE, MAP_FP2_TO_G2_BASE_GAS_FEE,
};
use revm::precompile::bls12_381_utils::msm_required_gas;

use crate::evm::halt;
use crate::evm::precompiles::Precompiles;
use crate::primitives::Address;

/// geth's words; `None` where the precompile has none of its own.
pub(super) fn words(precompiles: &Precompiles, address: &Address, input: &[u8], gas: u64) -> Option<String> {
    let (origin, reason) = precompiles.failure(address, input, gas)?;
    if gas < least_gas(&origin, input.len()) {
        return Some("out of gas".into());
    }
    Some(halt::describe(&HaltReason::PrecompileErrorWithContext(reason), None))
}

/// What a precompile asks for whose input may have the wrong length (core/vm/contracts.go); zero for the others,
/// which look at nothing before they are paid, and for blake2F, which is free then.
fn least_gas(precompile: &Address, length: usize) -> u64 {
    let number = precompile[19];
    let groups = |size: usize| length / size;
    match number {
        0x08 => 45_000 + 34_000 * groups(192) as u64,
        0x0a => 50_000,
        0x0b => G1_ADD_BASE_GAS_FEE,
        0x0c => msm_required_gas(groups(160), &DISCOUNT_TABLE_G1_MSM, G1_MSM_BASE_GAS_FEE),
        0x0d => G2_ADD_BASE_GAS_FEE,
        0x0e => msm_required_gas(groups(288), &DISCOUNT_TABLE_G2_MSM, G2_MSM_BASE_GAS_FEE),
        0x0f => 37_700 + 32_600 * groups(384) as u64,
        0x10 => MAP_FP_TO_G1_BASE_GAS_FEE,
        0x11 => MAP_FP2_TO_G2_BASE_GAS_FEE,
        _ => 0,
    }
}
