//! One transaction on one view of the state.
//!
//! In: rules, block context, a transaction, a [`StateView`]. Out: what it did ([`TxExecution`])
//! or why it cannot be executed. Both executors, pre-execution, `eth_call` and the re-check go
//! through here, so there is one handler and one set of rules. The beneficiary's fee is never
//! written by the EVM: it is returned as a number and credited at commit.
