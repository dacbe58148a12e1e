//! Blocks that are simulated one on the other (`eth_simulateV1`): what they shall be, and in which order.
//!
//! In: for each block overrides and messages. Out: whole blocks with the results of their messages, or why
//! there are none, with the code of the execution API. Numbers and times only grow; numbers that are
//! left out get empty blocks. Nothing is stored.

use std::sync::Arc;
use std::time::Instant;

use super::{BlockOverrides, CallOutcome, CallRequest, SimulationLimits, StateOverride};
use crate::block::{InvalidTransaction, Withdrawal};
use crate::chain::{Chain, ChainBlock, SealedHeader};
use crate::error::{CoreError, StateError};
use crate::evm::NumberedLog;
use crate::primitives::B256;
use crate::state::StateView;
use crate::store::Snapshot;
use crate::trie::{TrieOverlay, update_state};

/// Blocks of one series, those that fill gaps among them.
const MOST_BLOCKS: u64 = 256;
/// Messages of one block.
const MOST_CALLS_PER_BLOCK: usize = 5_000;
/// Messages of one series.
const MOST_CALLS: usize = 10_000;
/// Seconds from block to block where the caller does not say.
const BLOCK_TIME: u64 = 12;

/// One block as the caller wants it.
#[derive(Debug, Clone, Default)]
pub struct SeriesBlock {
    /// Its environment; number and time may only grow.
    pub overrides: BlockOverrides,
    /// EIP-4788; `None`: zero.
    pub parent_beacon_block_root: Option<B256>,
    /// EIP-4895; `None`: none.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// What accounts are set to before it.
    pub state_overrides: Vec<StateOverride>,
    /// Its messages. Their own overrides are not looked at.
    pub calls: Vec<CallRequest>,
}

/// Blocks, each on the one before.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The blocks that the caller wants; at least one.
    pub blocks: Vec<SeriesBlock>,
    /// Nonces and fees are checked as for transactions.
    pub validate: bool,
    /// Moves of ether are told as logs of 0xeeee…eeee (ERC-7528).
    pub tells_moves: bool,
}

/// One block of a series as it came out.
#[derive(Debug, Clone)]
pub struct SimulatedBlock {
    /// The block. Its transactions are not signed.
    pub block: ChainBlock,
    /// Results, one per message.
    pub calls: Vec<SimulatedCall>,
}

/// What one message of a series did.
#[derive(Debug, Clone)]
pub struct SimulatedCall {
    /// Its result.
    pub outcome: CallOutcome,
    /// Gas before refunds, at least the floor.
    pub peak_gas: u64,
    /// Logs with geth's numbers, moves of ether among them if they were asked for; none if it failed.
    pub logs: Vec<NumberedLog>,
}

/// Why a series is not simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRefusal {
    /// As the execution API has it.
    pub code: i64,
    /// geth's words.
    pub message: String,
}

impl SeriesRefusal {
    const INVALID_PARAMETERS: i64 = -32602;
    const INTERNAL: i64 = -32603;
    const NONCE_TOO_LOW: i64 = -38010;
    const NONCE_TOO_HIGH: i64 = -38011;
    const FEE_CAP_TOO_LOW: i64 = -38012;
    const INTRINSIC_GAS: i64 = -38013;
    const INSUFFICIENT_FUNDS: i64 = -38014;
    const BLOCK_GAS_LIMIT: i64 = -38015;
    const BLOCK_NUMBER: i64 = -38020;
    const BLOCK_TIME: i64 = -38021;
    const SENDER_NOT_EOA: i64 = -38024;
    const INIT_CODE_SIZE: i64 = -38025;
    const LIMIT_EXCEEDED: i64 = -38026;

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A message asks for more gas than its block has left.
    pub(super) fn block_gas(remaining: u64, required: u64) -> Self {
        let words = format!("block gas limit reached: remaining: {remaining}, required: {required}");
        Self::new(Self::BLOCK_GAS_LIMIT, words)
    }

    /// A message that cannot be applied.
    pub(super) fn invalid(reason: &InvalidTransaction, gas: u64) -> Self {
        let code = match reason {
            InvalidTransaction::NonceTooHigh { .. } => Self::NONCE_TOO_HIGH,
            InvalidTransaction::NonceTooLow { .. } => Self::NONCE_TOO_LOW,
            InvalidTransaction::SenderNotEoa { .. } => Self::SENDER_NOT_EOA,
            InvalidTransaction::TipAboveFeeCap { .. } => Self::INVALID_PARAMETERS,
            InvalidTransaction::FeeCapTooLow { .. } => Self::FEE_CAP_TOO_LOW,
            InvalidTransaction::InsufficientFunds { .. } | InvalidTransaction::FundsOverflow { .. } => {
                Self::INSUFFICIENT_FUNDS
            }
            InvalidTransaction::IntrinsicGas { .. } => Self::INTRINSIC_GAS,
            InvalidTransaction::InitCodeSize { .. } => Self::INIT_CODE_SIZE,
            _ => Self::INTERNAL,
        };
        Self::new(code, format!("err: {reason} (supplied gas {gas})"))
    }

    /// The time is over.
    pub(super) fn aborted(words: &str) -> Self {
        Self::new(Self::INTERNAL, format!("execution aborted ({words})"))
    }
}

/// Why a series ends early: as a refusal, which is an answer, or by a failure of ours.
#[derive(Debug)]
pub(super) enum SeriesEnd {
    Refused(SeriesRefusal),
    Failed(CoreError),
}

impl From<SeriesRefusal> for SeriesEnd {
    fn from(refusal: SeriesRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: Into<CoreError>> From<E> for SeriesEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A block of the series with its place; without a wish it fills a gap.
pub(super) struct Planned<'a> {
    pub(super) number: u64,
    pub(super) timestamp: u64,
    pub(super) wanted: Option<&'a SeriesBlock>,
}

/// Where the series stands between two blocks.
pub(super) struct Standing {
    pub(super) parent: SealedHeader,
    pub(super) state: Arc<dyn StateView>,
    pub(super) tries: TrieOverlay<Arc<Snapshot>>,
    /// Gas that is left for all messages to come.
    pub(super) budget: u64,
    pub(super) limits: SimulationLimits,
    pub(super) deadline: Option<Instant>,
}

impl Chain {
    /// Simulates blocks on the block at `number`.
    ///
    /// The gas cap of `limits` holds for all messages together, its time for the whole series. For an earlier
    /// block than the head the tries are led back in memory, see [`Self::proof`]. A refusal is an answer;
    /// [`CoreError::InvalidArgument`] in geth's words for overrides that contradict each other,
    /// [`CoreError::State`] for an unknown block.
    pub fn simulate(
        &self,
        series: &Series,
        number: u64,
        limits: SimulationLimits,
    ) -> Result<Result<Vec<SimulatedBlock>, SeriesRefusal>, CoreError> {
        match self.simulated(series, number, limits) {
            Ok(blocks) => Ok(Ok(blocks)),
            Err(SeriesEnd::Refused(refusal)) => Ok(Err(refusal)),
            Err(SeriesEnd::Failed(error)) => Err(error),
        }
    }

    fn simulated(
        &self,
        series: &Series,
        number: u64,
        limits: SimulationLimits,
    ) -> Result<Vec<SimulatedBlock>, SeriesEnd> {
        check_size(series)?;
        let mut standing = self.standing_after(number, limits)?;
        let planned = plan(series, &standing.parent)?;
        let mut blocks = Vec::with_capacity(planned.len());
        for block in &planned {
            blocks.push(self.simulate_block(series, block, &mut standing)?);
        }
        Ok(blocks)
    }

    fn standing_after(&self, number: u64, limits: SimulationLimits) -> Result<Standing, CoreError> {
        let head = self.at_head();
        let parent = head.header_by_number(number)?.ok_or(StateError::Unavailable(number))?;
        let state = head.snapshot.state_after(number)?;
        let mut tries = TrieOverlay::new(head.snapshot.clone())?;
        if number < head.header.header.number {
            let changes = head.snapshot.changes_back_to(number)?;
            tries.apply(update_state(&tries, &changes, self.workers())?);
        }
        let budget = if limits.gas_cap == 0 { u64::MAX } else { limits.gas_cap };
        let deadline = (!limits.timeout.is_zero()).then(|| Instant::now() + limits.timeout);
        Ok(Standing { parent: (*parent).clone(), state, tries, budget, limits, deadline })
    }
}

/// geth's limits, and its words for them.
fn check_size(series: &Series) -> Result<(), SeriesRefusal> {
    let exceeded = |words: String| Err(SeriesRefusal::new(SeriesRefusal::LIMIT_EXCEEDED, words));
    if series.blocks.is_empty() {
        return Err(SeriesRefusal::new(SeriesRefusal::INVALID_PARAMETERS, "empty input"));
    }
    if series.blocks.len() as u64 > MOST_BLOCKS {
        return exceeded("too many blocks".into());
    }
    let mut all = 0;
    for block in &series.blocks {
        let calls = block.calls.len();
        if calls > MOST_CALLS_PER_BLOCK {
            return exceeded(format!("too many calls in block: {calls} > {MOST_CALLS_PER_BLOCK}"));
        }
        all += calls;
        if all > MOST_CALLS {
            return exceeded(format!("too many calls: {all} > {MOST_CALLS}"));
        }
    }
    Ok(())
}

/// Numbers and times of all blocks, gaps filled.
fn plan<'a>(series: &'a Series, base: &SealedHeader) -> Result<Vec<Planned<'a>>, SeriesRefusal> {
    let base = &base.header;
    let (mut number, mut timestamp) = (base.number, base.timestamp);
    let mut planned = Vec::with_capacity(series.blocks.len());
    for block in &series.blocks {
        let wanted = block.overrides.number.unwrap_or(number.saturating_add(1));
        if wanted <= number {
            let words = format!("block numbers must be in order: {wanted} <= {number}");
            return Err(SeriesRefusal::new(SeriesRefusal::BLOCK_NUMBER, words));
        }
        if wanted - base.number > MOST_BLOCKS {
            return Err(SeriesRefusal::new(SeriesRefusal::LIMIT_EXCEEDED, "too many blocks"));
        }
        for filler in number + 1..wanted {
            timestamp = timestamp.saturating_add(BLOCK_TIME);
            planned.push(Planned { number: filler, timestamp, wanted: None });
        }
        number = wanted;
        let time = block.overrides.time.unwrap_or(timestamp.saturating_add(BLOCK_TIME));
        if time <= timestamp {
            let words = format!("block timestamps must be in order: {time} <= {timestamp}");
            return Err(SeriesRefusal::new(SeriesRefusal::BLOCK_TIME, words));
        }
        timestamp = time;
        planned.push(Planned { number, timestamp, wanted: Some(block) });
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;

    fn series(places: &[(Option<u64>, Option<u64>)]) -> Series {
        let block = |(number, time): &(Option<u64>, Option<u64>)| SeriesBlock {
            overrides: BlockOverrides { number: *number, time: *time, ..BlockOverrides::default() },
            ..SeriesBlock::default()
        };
        Series { blocks: places.iter().map(block).collect(), ..Series::default() }
    }

    fn planned(places: &[(Option<u64>, Option<u64>)]) -> Result<Vec<(u64, u64, bool)>, SeriesRefusal> {
        let header = Header { number: 10, timestamp: 100, ..Header::default() };
        let base = SealedHeader { hash: B256::ZERO, header };
        let series = series(places);
        check_size(&series)?;
        let plan = plan(&series, &base)?;
        Ok(plan.iter().map(|block| (block.number, block.timestamp, block.wanted.is_some())).collect())
    }

    #[test]
    fn gaps_are_filled_and_times_are_twelve_seconds_apart() {
        let blocks = planned(&[(None, None), (Some(14), None), (None, Some(1_000))]);

        let expected =
            vec![(11, 112, true), (12, 124, false), (13, 136, false), (14, 148, true), (15, 1_000, true)];
        assert_eq!(blocks, Ok(expected));
    }

    #[test]
    fn what_does_not_grow_is_refused_with_its_code() {
        let refused = |places: &[_]| planned(places).map_err(|refusal| (refusal.code, refusal.message));
        let words = "block numbers must be in order: 10 <= 10".to_owned();
        assert_eq!(refused(&[(Some(10), None)]), Err((-38020, words)));
        let words = "block timestamps must be in order: 112 <= 112".to_owned();
        assert_eq!(refused(&[(None, None), (None, Some(112))]), Err((-38021, words)));
        assert_eq!(refused(&[]), Err((-32602, "empty input".to_owned())));
        let too_many = Err((-38026, "too many blocks".to_owned()));
        assert_eq!(refused(&[(Some(10 + 257), None)]), too_many);
        assert_eq!(refused(&[(None, None); 257]), too_many);
        assert_eq!(refused(&[(Some(u64::MAX), None)]), too_many);
        assert!(planned(&[(Some(10 + 256), None)]).is_ok());
    }

    #[test]
    fn too_many_messages_are_refused() {
        let with_calls = |counts: &[usize]| {
            let mut series = series(&vec![(None, None); counts.len()]);
            for (block, count) in series.blocks.iter_mut().zip(counts) {
                block.calls = vec![CallRequest::default(); *count];
            }
            check_size(&series).map_err(|refusal| (refusal.code, refusal.message))
        };
        assert_eq!(with_calls(&[5_000, 5_000]), Ok(()));
        let words = "too many calls in block: 5001 > 5000".to_owned();
        assert_eq!(with_calls(&[5_001]), Err((-38026, words)));
        let words = "too many calls: 10001 > 10000".to_owned();
        assert_eq!(with_calls(&[5_000, 5_000, 1]), Err((-38026, words)));
    }
}
