//! Why a precompile failed, as geth tells it: it asks for the gas before it looks at the input.

use revm::context_interface::result::HaltReason;
use revm::precompile::bls12_381_const::{
    DISCOUNT_TABLE_G1_MSM, DISCOUNT_TABLE_G2_MSM, G1_ADD_BASE_GAS_FEE, G1_MSM_BASE_GAS_FEE,
    G2_ADD_BASE_GAS_FEE, G2_MSM_BASE_GAS_FEE, MAP_FP_TO_G1_BASE_GAS_FEE, MAP_FP2_TO_G2_BASE_GAS_FEE,
};
use revm::precompile::bls12_381_utils::msm_required_gas;
use revm::precompile::modexp::osaka_gas_calc;

use crate::evm::halt;
use crate::evm::precompiles::Precompiles;
use crate::primitives::{Address, U256};

/// geth's words; `None` where the precompile has none of its own.
pub(super) fn words(precompiles: &Precompiles, address: &Address, input: &[u8], gas: u64) -> Option<String> {
    let (origin, reason) = precompiles.failure(address, input, gas)?;
    if gas < least_gas(&origin, input) {
        return Some("out of gas".into());
    }
    Some(halt::describe(&HaltReason::PrecompileErrorWithContext(reason), None))
}

/// What a precompile asks for whose input may have the wrong length (core/vm/contracts.go); zero for the others,
/// which look at nothing before they are paid, and for blake2F, which is free then.
fn least_gas(precompile: &Address, input: &[u8]) -> u64 {
    let number = precompile[19];
    let groups = |size: usize| input.len() / size;
    match number {
        0x05 => modexp_gas(input),
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

/// EIP-7883. Modexp refuses nothing before Osaka, which bounds its lengths.
fn modexp_gas(input: &[u8]) -> u64 {
    let number = |start: usize, length: usize| {
        let mut word = [0; 32];
        let there = input.get(start..).unwrap_or_default();
        let there = &there[..there.len().min(length)];
        word[32 - length..][..there.len()].copy_from_slice(there);
        U256::from_be_bytes(word)
    };
    let [base, exponent, modulus] = [0, 32, 64].map(|start| number(start, 32).saturating_to::<u64>());
    let start = usize::try_from(base).unwrap_or(usize::MAX).saturating_add(96);
    osaka_gas_calc(base, exponent, modulus, &number(start, exponent.min(32) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::primitives::hardfork::SpecId;

    fn told(precompile: u64, input: &[u8], gas: u64) -> Option<String> {
        let address = Address::from_word(U256::from(precompile).into());
        words(&Precompiles::new(SpecId::OSAKA), &address, input, gas)
    }

    #[test]
    fn the_gas_is_asked_for_before_the_input_is_looked_at() {
        let word = |value: u64| U256::from(value).to_be_bytes::<32>();
        // Two words of modulus more than a KiB: 2 * 132 * 132 in each of 7 iterations, the exponent being 0x80.
        let modexp = [&word(1)[..], &word(1), &word(1_056), &[9, 0x80]].concat();
        let cases: [(u64, &[u8], u64, &str); 4] = [
            (5, &modexp, 243_936, "one or more of base/exponent/modulus length exceeded 1024 bytes"),
            (8, &[0; 193], 79_000, "bad elliptic curve pairing size"),
            (10, &[0; 3], 50_000, "invalid input length"),
            (15, &[0; 385], 70_300, "invalid input length"),
        ];
        for (precompile, input, price, expected) in cases {
            assert_eq!(told(precompile, input, price).as_deref(), Some(expected), "{precompile}");
            assert_eq!(told(precompile, input, price - 1).as_deref(), Some("out of gas"), "{precompile}");
        }
    }

    #[test]
    fn who_succeeds_has_no_words() {
        assert_eq!(told(4, b"as it is", 1_000), None);
        assert_eq!(told(0x99, b"", 1_000), None);
    }
}
