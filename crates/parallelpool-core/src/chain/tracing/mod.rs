//! Transactions and messages run again, told step by step, frame by frame, or by what they touch.
//!
//! In: a mined transaction, a block or a message, and one of geth's tracers. Out: the tracer's JSON, or geth's
//! words for why there is none. A transaction is run as its block ran it, on its parent's state, after the
//! system calls and the transactions before it; nothing is stored.

mod calls;
mod flat_calls;
mod four_bytes;
mod order;
mod place;
mod prestate;
mod revert;
mod stage;
mod struct_logger;
mod text;

pub use calls::CallOptions;
pub use flat_calls::FlatCallOptions;
pub use order::{TraceOrder, TracerChoice};
pub use prestate::PrestateOptions;
pub use struct_logger::StructLogOptions;

use self::place::Place;
use self::stage::Stage;
use self::text::Text;
use super::simulation::{CallRequest, UNCAPPED_GAS, named_type, overridden};
use super::{Chain, ChainBlock};
use crate::block_codec::{Block, block_context};
use crate::error::CoreError;
use crate::evm::CallOptions as RunOptions;
use crate::evm::inspection::Tracer;
use crate::primitives::B256;
use crate::state::StateView;
use crate::state::overlay::Overlay;
use crate::tx::SharedTransaction;

/// JSON text in pieces.
pub type Pieces = Vec<Vec<u8>>;

/// A tracer that writes what it was told of.
trait JsonTracer: Tracer {
    /// Writes its result, once, after the transaction has ended.
    fn write(&mut self, place: &Place, text: &mut Text);
}

/// Why there is no trace: an answer in geth's words, or a failure of ours.
#[derive(Debug)]
enum TraceEnd {
    Refused(String),
    Failed(CoreError),
}

impl TraceEnd {
    fn refused(words: impl Into<String>) -> Self {
        Self::Refused(words.into())
    }
}

impl<E: Into<CoreError>> From<E> for TraceEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn answered(outcome: Result<Text, TraceEnd>) -> Result<Result<Pieces, String>, CoreError> {
    match outcome {
        Ok(text) => Ok(Ok(text.into_pieces())),
        Err(TraceEnd::Refused(words)) => Ok(Err(words)),
        Err(TraceEnd::Failed(error)) => Err(error),
    }
}

impl Chain {
    /// Traces a mined transaction.
    ///
    /// [`CoreError::State`] for a block that is not there, [`CoreError::Aborted`] once it is cancelled.
    pub fn trace_transaction(
        &self,
        number: u64,
        index: usize,
        order: &TraceOrder,
    ) -> Result<Result<Pieces, String>, CoreError> {
        answered(self.stored(number).and_then(|block| {
            let mut stage = self.stage_before(&block, index, order)?;
            let mut text = Text::new(order.text_limit);
            let transaction = block.transactions.get(index).ok_or_else(|| out_of_range(&block, index))?;
            stage.trace(transaction, &block_place(&stage, &block, index), order, &mut text)?;
            Ok(text)
        }))
    }

    /// Traces all transactions of a canonical block.
    pub fn trace_block(&self, number: u64, order: &TraceOrder) -> Result<Result<Pieces, String>, CoreError> {
        answered(self.stored(number).and_then(|block| self.traced(&block, order)))
    }

    /// Traces all transactions of an RLP block whose parent is canonical. It is not checked otherwise.
    pub fn trace_raw_block(
        &self,
        raw: &[u8],
        order: &TraceOrder,
    ) -> Result<Result<Pieces, String>, CoreError> {
        answered(self.decoded(raw).and_then(|block| self.traced(&block, order)))
    }

    /// Traces a message on the state after block `number`, or with `index` on the one before that transaction of
    /// it. The environment is the block's.
    pub fn trace_call(
        &self,
        request: &CallRequest,
        number: u64,
        index: Option<usize>,
        gas_cap: u64,
        order: &TraceOrder,
    ) -> Result<Result<Pieces, String>, CoreError> {
        answered(self.traced_call(request, number, index, gas_cap, order))
    }

    fn stored(&self, number: u64) -> Result<ChainBlock, TraceEnd> {
        let found = self.block_by_number(number)?;
        found.ok_or_else(|| TraceEnd::Refused(format!("block #{number} not found")))
    }

    /// A block that somebody sent, with its senders.
    fn decoded(&self, raw: &[u8]) -> Result<ChainBlock, TraceEnd> {
        let block = Block::decode(raw)
            .map_err(|error| TraceEnd::Refused(format!("could not decode block: {error}")))?;
        let parent = block.header.number.checked_sub(1).ok_or_else(genesis)?;
        if parent > self.head().header.number {
            return Err(TraceEnd::Refused(format!("block #{parent} not found")));
        }
        if self.header_by_hash(&block.header.parent_hash)?.is_none_or(|found| found.header.number != parent) {
            return Err(TraceEnd::Refused(format!("block {} not found", block.header.parent_hash)));
        }
        let transactions = block
            .recover_transactions(&self.spec.rules_of(&block.header), &self.workers)
            .map_err(|error| TraceEnd::Refused(format!("tracing failed: {error}")))?;
        Ok(ChainBlock { block, transactions, raw: raw.to_vec().into() })
    }

    fn traced(&self, block: &ChainBlock, order: &TraceOrder) -> Result<Text, TraceEnd> {
        let mut stage = self.stage_before(block, 0, order)?;
        let mut text = Text::new(order.text_limit);
        text.push("[");
        for (index, transaction) in block.transactions.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            text.push(&format!("{comma}{{\"txHash\":\"{}\",\"result\":", transaction.tx.hash));
            stage.trace(transaction, &block_place(&stage, block, index), order, &mut text)?;
            text.push("}");
        }
        text.push("]");
        Ok(text)
    }

    /// The parent's state after the system calls and the transactions up to `index`.
    fn stage_before(&self, block: &ChainBlock, index: usize, order: &TraceOrder) -> Result<Stage, TraceEnd> {
        let parent = block.block.header.number.checked_sub(1).ok_or_else(genesis)?;
        let context = block.block.context();
        let rules = self.spec.rules_in(&context);
        let state = Overlay::new(self.state(Some(parent))?);
        let mut stage = Stage::of_block(&self.spec, &rules, &context, state)?;
        for transaction in block.transactions.iter().take(index) {
            stage.run(transaction, order)?;
        }
        Ok(stage)
    }

    fn traced_call(
        &self,
        request: &CallRequest,
        number: u64,
        index: Option<usize>,
        gas_cap: u64,
        order: &TraceOrder,
    ) -> Result<Text, TraceEnd> {
        let block = self.stored(number)?;
        let view = match index {
            None => self.state(Some(number))?,
            Some(index) => {
                if number == 0 {
                    return Err(TraceEnd::refused("no transaction in genesis"));
                }
                let is_empty = index == 0 && block.transactions.is_empty();
                if !is_empty && index >= block.transactions.len() {
                    return Err(out_of_range(&block, index));
                }
                let stage = self.stage_before(&block, index, order)?;
                std::sync::Arc::new(stage.into_state())
            }
        };
        let overrides = &request.block_overrides;
        let mut context = block_context(&block.block.header, &[], None);
        overrides.apply(&mut context);
        let moved = overrides.number.is_some() || overrides.time.is_some();
        let rules = match moved {
            true => self.spec.rules_at(context.number, context.timestamp),
            false => self.spec.rules_in(&context),
        };
        let (state, moved_precompiles) =
            overridden(view, &request.state_overrides, &rules).map_err(|error| match error {
                CoreError::InvalidArgument(words) => TraceEnd::Refused(words),
                other => TraceEnd::Failed(other),
            })?;
        let nonce = state.account(&request.sender)?.map_or(0, |account| account.nonce);
        let cap = if gas_cap == 0 { u64::MAX } else { gas_cap };
        let gas = request.gas.unwrap_or(UNCAPPED_GAS).min(cap);
        let message = request.as_transaction(&rules, self.spec.parallel_tx_type, nonce, gas);
        let options = RunOptions { blob_base_fee: overrides.blob_base_fee, ..RunOptions::CALL };
        let mut stage = Stage::of_message(&rules, &context, state, moved_precompiles, options);
        let place = Place { rules, block: None, index: 0, hash: None };
        let mut text = Text::new(order.text_limit);
        stage.trace_as(&message, &place, order, &mut text, |reason| named_type(reason, &message))?;
        Ok(text)
    }
}

fn genesis() -> TraceEnd {
    TraceEnd::refused("genesis is not traceable")
}

fn out_of_range(block: &ChainBlock, index: usize) -> TraceEnd {
    let hash: B256 = block.block.hash;
    TraceEnd::Refused(format!("transaction index {index} out of range for block {hash}"))
}

fn block_place(stage: &Stage, block: &ChainBlock, index: usize) -> Place {
    let hash = block.transactions.get(index).map(|tx: &SharedTransaction| tx.tx.hash);
    Place { rules: stage.rules, block: Some((block.block.header.number, block.block.hash)), index, hash }
}
