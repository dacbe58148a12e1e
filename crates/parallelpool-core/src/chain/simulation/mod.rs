//! Messages that are run and forgotten: `eth_call`, gas estimates, access lists, series of blocks.
//!
//! A message runs on the state after a block, in that block's own environment (as geth does it),
//! or in the environment of the block to come. State and environment may be overridden. Nothing
//! is stored, whatever happens.

mod access_list;
mod estimate;
mod overrides;
mod request;
mod series;
mod series_block;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) use overrides::overridden;
pub use overrides::{BlockOverrides, StateOverride};
pub use request::CallRequest;
pub use series::{Series, SeriesBlock, SeriesRefusal, SimulatedBlock, SimulatedCall};

use super::{BlockAttributes, Chain};
use crate::block::{BlockContext, InvalidTransaction};
use crate::block_codec::block_context;
use crate::chainspec::Rules;
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{CallOptions, Evm, Limit, MovedPrecompiles, TxExecution, TxResult};
use crate::header::next_gas_limit;
use crate::primitives::Bytes;
use crate::state::StateView;
use crate::state::overlay::Overlay;
use crate::tx::{AccessListItem, RecoveredTransaction};

/// Gas of a message that names none where no cap holds: geth's half of the greatest number.
pub(super) const UNCAPPED_GAS: u64 = u64::MAX / 2;

/// How far a simulation may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulationLimits {
    /// Greatest gas limit of the message; zero: none.
    pub gas_cap: u64,
    /// Longest run; zero: no end.
    pub timeout: Duration,
}

/// What a simulated message did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOutcome {
    /// It ran to its end.
    pub success: bool,
    /// It ended by REVERT; `output` is its data.
    pub reverted: bool,
    /// Return data, revert data, or the code of a created contract.
    pub output: Bytes,
    /// Gas paid for, after refunds.
    pub gas_used: u64,
    /// geth's words for a failure of the run: `out of gas`, `execution reverted`, ...
    pub error: Option<String>,
    /// geth's words where the message could not be applied at all. Then nothing ran.
    pub message_error: Option<String>,
    /// Touched accounts and slots, from [`Chain::create_access_list`] only.
    pub access_list: Vec<AccessListItem>,
}

impl CallOutcome {
    fn of(result: TxResult) -> Self {
        Self {
            success: result.success,
            reverted: result.halt.as_deref() == Some("execution reverted"),
            output: result.output,
            gas_used: result.gas_used,
            error: result.halt,
            ..Self::default()
        }
    }

    fn refused(words: String) -> Self {
        Self { message_error: Some(words), ..Self::default() }
    }
}

impl Chain {
    /// Runs a message on the state after block `number`, in the environment of that block; with
    /// `None` on the head's, in the environment of the block to come.
    ///
    /// [`CoreError::Aborted`] when the time is over, [`CoreError::State`] for an unknown block.
    pub fn call(
        &self,
        request: &CallRequest,
        number: Option<u64>,
        limits: SimulationLimits,
    ) -> Result<CallOutcome, CoreError> {
        let stage = self.stage(request, number, limits)?;
        let gas = request.gas.unwrap_or(UNCAPPED_GAS).min(stage.gas_cap());
        let message = stage.message(request, gas)?;
        Ok(match stage.run(&message)?.outcome {
            Ok(result) => CallOutcome::of(result),
            Err(reason) => CallOutcome::refused(format!("err: {reason} (supplied gas {gas})")),
        })
    }

    /// State and environment that a request asks for.
    fn stage(
        &self,
        request: &CallRequest,
        number: Option<u64>,
        limits: SimulationLimits,
    ) -> Result<Stage, CoreError> {
        let head = self.at_head();
        let number_or_head = number.unwrap_or(head.header.header.number);
        let view = head.snapshot.state_after(number_or_head)?;
        let mut block = match number {
            Some(number) => {
                let header = head.header_by_number(number)?.ok_or(StateError::Unavailable(number))?;
                block_context(&header.header, &[], None)
            }
            None => self.pending_environment(&head.header)?,
        };
        request.block_overrides.apply(&mut block);
        let moved = request.block_overrides.number.is_some() || request.block_overrides.time.is_some();
        let rules = match moved {
            true => self.spec.rules_at(block.number, block.timestamp),
            false => self.spec.rules_in(&block),
        };
        let (state, moved_precompiles) = overrides::overridden(view, &request.state_overrides, &rules)?;
        let deadline = (!limits.timeout.is_zero()).then(|| Instant::now() + limits.timeout);
        let blob_base_fee = request.block_overrides.blob_base_fee;
        Ok(Stage {
            rules,
            block,
            state,
            limits,
            deadline,
            blob_base_fee,
            moved_precompiles,
            parallel_tx_type: self.spec.parallel_tx_type,
        })
    }

    /// The environment of the block that would be made now.
    pub(super) fn pending_environment(&self, head: &super::SealedHeader) -> Result<BlockContext, CoreError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let timestamp = now.max(head.header.timestamp + 1);
        let attributes = BlockAttributes {
            timestamp,
            beneficiary: head.header.beneficiary,
            gas_limit: next_gas_limit(&self.spec, &head.header, timestamp, head.header.gas_limit),
            ..Default::default()
        };
        let (header, withdrawals) = self.draft(head, &attributes)?;
        Ok(block_context(&header, &[], withdrawals))
    }
}

/// Where messages of one request run.
struct Stage {
    rules: Rules,
    block: BlockContext,
    state: Overlay<Arc<dyn StateView>>,
    limits: SimulationLimits,
    deadline: Option<Instant>,
    blob_base_fee: Option<u128>,
    moved_precompiles: MovedPrecompiles,
    parallel_tx_type: Option<u8>,
}

impl Stage {
    fn gas_cap(&self) -> u64 {
        if self.limits.gas_cap == 0 { u64::MAX } else { self.limits.gas_cap }
    }

    /// The request as a transaction of its sender's next nonce.
    fn message(&self, request: &CallRequest, gas: u64) -> Result<RecoveredTransaction, CoreError> {
        let nonce = self.state.account(&request.sender)?.map_or(0, |account| account.nonce);
        Ok(request.as_transaction(&self.rules, self.parallel_tx_type, nonce, gas))
    }

    fn run(&self, message: &RecoveredTransaction) -> Result<TxExecution, CoreError> {
        self.run_recorded(message, false)
    }

    fn run_recorded(&self, message: &RecoveredTransaction, touched: bool) -> Result<TxExecution, CoreError> {
        let mut evm = Evm::new(&self.rules, &self.block, ViewDatabase(&self.state));
        evm.record_touched(touched);
        evm.move_precompiles(self.moved_precompiles.clone());
        evm.set_limit(Limit { deadline: self.deadline, ..Limit::default() });
        let options = CallOptions { blob_base_fee: self.blob_base_fee, ..CallOptions::CALL };
        match evm.call(message, &options) {
            Err(StateError::Interrupted) => Err(self.aborted()),
            run => {
                let mut execution = run?;
                execution.outcome = execution.outcome.map_err(|reason| named_type(reason, message));
                Ok(execution)
            }
        }
    }

    fn aborted(&self) -> CoreError {
        CoreError::Aborted(format!("timeout = {}", in_words(self.limits.timeout)))
    }
}

/// Whether more gas, or less, might help a message that could not be applied.
fn depends_on_gas(reason: &InvalidTransaction) -> bool {
    matches!(reason, InvalidTransaction::IntrinsicGas { .. } | InvalidTransaction::GasLimitCap { .. })
}

/// geth's words where a message has a list that its block does not know: messages have no type.
pub(super) fn named_type(reason: InvalidTransaction, message: &RecoveredTransaction) -> InvalidTransaction {
    let kind = match reason {
        InvalidTransaction::TypeNotSupported { tx_type: 1 } => "access list",
        InvalidTransaction::TypeNotSupported { tx_type: 3 } => "blob",
        InvalidTransaction::TypeNotSupported { tx_type: 4 } => "setcode",
        other => return other,
    };
    InvalidTransaction::Other(format!("{reason}: {kind} tx (sender {})", message.sender))
}

/// A duration as Go prints it, which is how geth's texts say it.
fn in_words(time: Duration) -> String {
    let trimmed = |value: f64, unit: &str| {
        let digits = format!("{value:.9}");
        format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
    };
    match time.as_secs() {
        0 if time.subsec_nanos() < 1_000 => format!("{}ns", time.subsec_nanos()),
        0 if time.subsec_nanos() < 1_000_000 => trimmed(f64::from(time.subsec_nanos()) / 1e3, "µs"),
        0 => trimmed(f64::from(time.subsec_nanos()) / 1e6, "ms"),
        seconds => {
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = trimmed((seconds % 60) as f64 + f64::from(time.subsec_nanos()) / 1e9, "s");
            match (hours, minutes) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (milliseconds, words) in [
            (1, "1ms"),
            (1_500, "1.5s"),
            (5_000, "5s"),
            (60_000, "1m0s"),
            (90_250, "1m30.25s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), words);
        }
        assert_eq!(in_words(Duration::from_nanos(1_500)), "1.5µs");
        assert_eq!(in_words(Duration::from_nanos(7)), "7ns");
    }
}
