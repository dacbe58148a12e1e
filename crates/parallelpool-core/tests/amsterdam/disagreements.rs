//! Where the EVM's Amsterdam differs from that of April 2026 in more than prices, by cause.
//!
//! A test that is named here must differ, and one that is not must not: so the table is exact.

/// Why a test may differ.
pub(crate) struct Disagreement {
    pub(crate) reason: &'static str,
    /// Whether accounts, slots or values differ as well, beyond what gas decides.
    pub(crate) touches_lists: bool,
}

const DESTROYED: &str = "state gas of what a transaction creates and destroys was given back to the block";
const BURNT: &str = "the same, and a destroyed account's balance was burnt (before EIP-8246)";
const HALT: &str = "an exceptional halt burnt no state gas that had been taken from regular gas";
const COLLISION: &str = "a creation paid for its account before it was known that one is there";
const REVERTED: &str = "state gas that a reverted frame had been given back stayed with its caller";
const NO_FUNDS: &str = "a call that failed for want of funds kept its charge for a new account";
const UNREAD: &str = "a creation that cannot pay for its account did not touch the address yet";
const ROOM: &str = "room for state gas was looked for without the intrinsic regular gas";
const AUTHORITY: &str = "the charge for an authority that is there stayed in the block's regular gas";

/// Parts of test names, each with its cause and whether lists differ.
const CAUSES: &[(&str, &str, bool)] = &[
    ("test_finalization_burn_logs[ & to_beneficiary-via_call_revert", DESTROYED, false),
    ("test_finalization_burn_log", BURNT, true),
    ("test_selfdestruct_finalization_after_priority_fee[", DESTROYED, false),
    ("test_selfdestruct_same_tx_via_call[ & -to_other", DESTROYED, false),
    ("test_selfdestruct_same_tx_via_call[ & -to_self", BURNT, true),
    ("test_selfdestruct_to_different_address_same_tx[", DESTROYED, false),
    ("test_burn_log_at_fork_transition[ & -same_tx_to_self", BURNT, true),
    ("test_call_value_to_self_destructed_header_gas_used[", BURNT, true),
    ("test_call_value_to_self_destructed_same_tx_account[", BURNT, true),
    ("test_call_zero_value_to_self_destructed_same_tx_account[", BURNT, true),
    ("test_selfdestruct_in_create_tx_initcode[", DESTROYED, false),
    ("test_create_selfdestruct_refunds_code_deposit_state_gas[ & _medium", DESTROYED, false),
    ("test_create_selfdestruct_refunds_code_deposit_state_gas[ & self_tiny", DESTROYED, false),
    ("test_selfdestruct_via_delegatecall_chain[", DESTROYED, false),
    ("test_bal_aborted_storage_access[ & -invalid", HALT, false),
    ("test_exchange_stack_underflow[", HALT, false),
    ("test_reservoir_restored_after_child_spill_and_halt[", HALT, false),
    ("test_top_level_halt_preserves_restored_reservoir[ & reservoir_one_short", HALT, false),
    ("test_code_deposit_halt_discards_initcode_state_gas[ & call_new_account", HALT, false),
    ("test_code_deposit_halt_discards_initcode_state_gas[ & inner_create", HALT, false),
    ("test_multi_block_mixed_state_operations[", HALT, false),
    ("test_create_collision_no_log[", COLLISION, false),
    ("test_create_collision_burned_gas_counted_in_block_regular[", COLLISION, false),
    ("test_nested_create_fail_parent_revert_state_gas[ & -parent_reverts", REVERTED, false),
    ("test_sstore_restoration_ancestor_revert[", REVERTED, false),
    ("test_sstore_restoration_sub_frame_revert[", REVERTED, false),
    ("test_call_insufficient_balance_returns_reservoir[ & new_account", NO_FUNDS, false),
    ("test_create_insufficient_state_gas[", UNREAD, true),
    ("test_block_state_gas_limit_boundary[ & -exact_fit", ROOM, true),
    ("test_auth_state_gas_scales_with_cpsb[ & -1M", AUTHORITY, false),
    ("test_auth_state_gas_scales_with_cpsb[ & -30M", AUTHORITY, false),
    ("test_auth_state_gas_scales_with_cpsb[ & -36M", AUTHORITY, false),
];

/// What is known about a test; the first entry that fits counts.
pub(crate) fn disagreement(name: &str) -> Option<Disagreement> {
    let fits = |parts: &str| parts.split(" & ").all(|part| name.contains(part));
    let (_, reason, touches_lists) = *CAUSES.iter().find(|(parts, ..)| fits(parts))?;
    Some(Disagreement { reason, touches_lists })
}
