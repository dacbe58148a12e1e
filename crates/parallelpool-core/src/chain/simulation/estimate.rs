//! The least gas limit with which a message succeeds, found as geth finds it
//! (eth/gasestimator): the same probes in the same order, so the same answer.

use super::{CallOutcome, CallRequest, Chain, SimulationLimits, Stage, depends_on_gas};
use crate::block::InvalidTransaction;
use crate::error::CoreError;
use crate::evm::TxResult;
use crate::primitives::U256;
use crate::state::StateView;

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value hands on for free.
const CALL_STIPEND: u64 = 2_300;
/// EIP-4844.
const GAS_PER_BLOB: u64 = 131_072;
/// The search ends when upper and lower bound are this close.
const TOLERANCE: f64 = 0.015;

/// How a probe with some gas limit went.
enum Probe {
    Success(TxResult),
    /// Another gas limit might do.
    Failure(Option<TxResult>),
    /// No gas limit will do.
    Impossible(InvalidTransaction),
}

impl Chain {
    /// The gas limit that a message needs, within 1.5 %, and what it does with it. Zero gas where
    /// none suffices: the outcome says why.
    ///
    /// `number` and errors as for [`Self::call`].
    pub fn estimate_gas(
        &self,
        request: &CallRequest,
        number: Option<u64>,
        limits: SimulationLimits,
    ) -> Result<(u64, CallOutcome), CoreError> {
        let mut stage = self.stage(request, number, limits)?;
        // As in geth: a move is checked and then forgotten, so that the estimate is for the chain as it is.
        stage.moved_precompiles.clear();
        let high = match stage.greatest_gas(request)? {
            Ok(high) => high,
            Err(words) => return Ok((0, CallOutcome::refused(words.into()))),
        };
        if stage.is_plain_transfer(request)?
            && let Probe::Success(result) = stage.probe(request, TRANSFER_GAS)?
        {
            return Ok((TRANSFER_GAS, CallOutcome::of(result)));
        }
        let result = match stage.probe(request, high)? {
            Probe::Success(result) => result,
            Probe::Impossible(reason) => {
                return Ok((0, CallOutcome::refused(format!("failed with {high} gas: {reason}"))));
            }
            Probe::Failure(Some(result)) if result.halt.as_deref() != Some("out of gas") => {
                return Ok((0, CallOutcome::of(result)));
            }
            Probe::Failure(_) => {
                return Ok((0, CallOutcome::refused(format!("gas required exceeds allowance ({high})"))));
            }
        };
        let (gas, result) = stage.search(request, high, result)?;
        Ok((gas, CallOutcome::of(result)))
    }
}

impl Stage {
    /// The greatest gas limit worth trying, or why there is none.
    fn greatest_gas(&self, request: &CallRequest) -> Result<Result<u64, &'static str>, CoreError> {
        let mut high = request.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(self.block.gas_limit);
        if let Some(cap) = self.rules.max_transaction_gas() {
            high = high.min(cap);
        }
        let fee_cap = request.fee_cap(&self.rules);
        if !fee_cap.is_zero() {
            let balance = self.state.account(&request.sender)?.map_or(U256::ZERO, |account| account.balance);
            // geth says so of an empty account that sends nothing, too.
            if request.value >= balance {
                return Ok(Err("insufficient funds for transfer"));
            }
            let mut available = balance - request.value;
            if !request.blob_versioned_hashes.is_empty() {
                let blob_gas = U256::from(GAS_PER_BLOB) * U256::from(request.blob_versioned_hashes.len());
                let blob_fee = blob_gas.saturating_mul(request.max_fee_per_blob_gas.unwrap_or_default());
                if blob_fee >= available {
                    return Ok(Err("insufficient funds for gas * price + value"));
                }
                available -= blob_fee;
            }
            high = high.min((available / fee_cap).saturating_to());
        }
        Ok(Ok(high.min(self.gas_cap())))
    }

    fn is_plain_transfer(&self, request: &CallRequest) -> Result<bool, CoreError> {
        let Some(to) = request.to.filter(|_| request.data.is_empty()) else { return Ok(false) };
        Ok(match self.state.account(&to)? {
            Some(account) => self.state.code(&account.code_hash)?.is_empty(),
            None => true,
        })
    }

    /// Narrows down between what was used with plenty and the plenty.
    fn search(
        &self,
        request: &CallRequest,
        mut high: u64,
        mut best: TxResult,
    ) -> Result<(u64, TxResult), CoreError> {
        let mut low = best.gas_used - 1;
        // Refunds come after the fact, and a call keeps a 64th of what it could hand on.
        let peak = best.gas_used + best.gas_refunded;
        let likely = u64::try_from(u128::from(peak + CALL_STIPEND) * 64 / 63).unwrap_or(u64::MAX);
        let mut next = (likely < high).then_some(likely);
        while low + 1 < high {
            let gas = match next.take() {
                Some(likely) => likely,
                None if (high - low) as f64 / (high as f64) < TOLERANCE => break,
                // Most messages need little more than they use.
                None => (low + (high - low) / 2).min(low.saturating_mul(2)),
            };
            match self.probe(request, gas)? {
                Probe::Success(result) => (high, best) = (gas, result),
                Probe::Failure(_) => low = gas,
                Probe::Impossible(reason) => {
                    let reason = format!("failed with {gas} gas: {reason}");
                    return Err(CoreError::InvalidArgument(reason));
                }
            }
        }
        Ok((high, best))
    }

    fn probe(&self, request: &CallRequest, gas: u64) -> Result<Probe, CoreError> {
        let message = self.message(request, gas)?;
        Ok(match self.run(&message)?.outcome {
            Ok(result) if result.success => Probe::Success(result),
            Ok(result) => Probe::Failure(Some(result)),
            Err(reason) if depends_on_gas(&reason) => Probe::Failure(None),
            Err(reason) => Probe::Impossible(reason),
        })
    }
}
