//! How good predictions are: blocks replayed in order, each transaction predicted on the state before
//! its block and held against what it did at its place.
//!
//! In: blocks, ascending. Out: tallies by source, and what batches made of the predictions would have
//! been worth. Templates are learned from a block only after all of it has been predicted, and from
//! what the daemon learns from: runs alone on the state before the block.

mod batches;
mod tally;

use std::collections::BTreeMap;
use std::time::Instant;

pub use self::batches::BatchTally;
pub use self::tally::Tally;
use self::tally::{conflicts, tally};
use crate::access::{AccessSet, AccessSource};
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{Evm, Limit, Preimage, TxExecution};
use crate::executor::Executor;
use crate::preexecute::{PreExecution, Prediction};
use crate::primitives::KECCAK_EMPTY;
use crate::replay::ReplayBlock;
use crate::state::StateView;
use crate::state::memory::MemoryState;
use crate::state::overlay::Overlay;
use crate::templates::{Probes, Templates};
use crate::tx::RecoveredTransaction;

/// transfer, transferFrom and approve.
const TOKEN_SELECTORS: [[u8; 4]; 3] =
    [[0xa9, 0x05, 0x9c, 0xbb], [0x23, 0xb8, 0x72, 0xdd], [0x09, 0x5e, 0xa7, 0xb3]];

/// One block's tallies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockAccuracy {
    /// Its transactions.
    pub transactions: u64,
    /// By source; sources without an answer are left out.
    pub sources: Vec<(AccessSource, Tally)>,
    /// Calls that look like those of a token: transfer, transferFrom, approve of a contract.
    pub token_calls: u64,
    /// Templates on those calls.
    pub token_templates: Tally,
    /// Probes of code that no earlier block called, on those calls.
    pub token_probes: Tally,
    /// What is found ahead of need about all of them: a transfer where that follows from the state,
    /// else what a run shows, if only that it went too far.
    pub ahead: Tally,
    /// What the daemon would have gone by: a transfer, else a trace, else a template.
    pub batches: BatchTally,
}

/// Replays blocks and learns from them.
#[derive(Debug, Default)]
pub struct Accuracy {
    templates: Templates,
    probes: Probes,
    gas: u64,
}

/// What sources say about one transaction, and in how many nanoseconds.
type Answers = BTreeMap<AccessSource, (AccessSet, u64)>;

/// The state within a block.
type Within<'a> = Overlay<&'a MemoryState>;

impl Accuracy {
    /// Nothing learned yet; runs ahead of need get at most `gas`.
    pub fn new(gas: u64) -> Self {
        Self { templates: Templates::default(), probes: Probes::default(), gas }
    }

    /// Templates learned so far.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Predicts a block, executes it, and learns from it.
    pub fn take(&self, executor: &Executor, block: &ReplayBlock) -> Result<BlockAccuracy, CoreError> {
        self.probes.head_moved();
        let mut answers = Vec::with_capacity(block.transactions.len());
        let mut lessons = Vec::with_capacity(block.transactions.len());
        for tx in &block.transactions {
            let (answer, preimages) = self.ask(block, tx)?;
            answers.push(answer);
            lessons.push(preimages);
        }
        self.learn(block, &answers, &lessons)?;
        let actual = used(block)?;
        let conflicts = conflicts(&actual);
        let mut found = BlockAccuracy { transactions: actual.len() as u64, ..BlockAccuracy::default() };
        for source in AccessSource::ALL {
            let of_source = |answers| Answers::get(answers, &source);
            let tally = tally(of_source, &answers, &actual, &conflicts, |_| true);
            if tally.predicted > 0 {
                found.sources.push((source, tally));
            }
        }
        let is_token_call: Vec<bool> =
            block.transactions.iter().map(|tx| is_token_call(block, tx)).collect::<Result<_, _>>()?;
        found.token_calls = is_token_call.iter().filter(|is| **is).count() as u64;
        let templates = |answers| Answers::get(answers, &AccessSource::Template);
        found.token_templates = tally(templates, &answers, &actual, &conflicts, |index| is_token_call[index]);
        let probes = |answers| Answers::get(answers, &AccessSource::Probe);
        found.token_probes = tally(probes, &answers, &actual, &conflicts, |index| is_token_call[index]);
        found.ahead = tally(ahead, &answers, &actual, &conflicts, |_| true);
        found.batches = batches::take(executor, block, answers)?;
        Ok(found)
    }

    /// Every source's answer, and what a run hashed if there was one.
    fn ask(
        &self,
        block: &ReplayBlock,
        tx: &RecoveredTransaction,
    ) -> Result<(Answers, Vec<Preimage>), StateError> {
        let at = before(block, self.gas);
        let (mut answers, mut preimages) = (Answers::new(), Vec::new());
        let put = |answers: &mut Answers, found: Option<AccessSet>, began: Instant| {
            let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            found.map(|set| answers.insert(set.source, (set, ns)));
        };
        let began = Instant::now();
        put(&mut answers, at.transfer(tx)?, began);
        let began = Instant::now();
        let learned = self.templates.predict(tx, at.view)?;
        let is_new = learned.is_none();
        put(&mut answers, learned, began);
        if is_new {
            let began = Instant::now();
            self.probes.probe(tx, at, &Limit::default())?;
            put(&mut answers, self.probes.predict(tx, at.view)?, began);
        }
        let began = Instant::now();
        put(&mut answers, AccessSet::of_list(tx), began);
        if !answers.contains_key(&AccessSource::Transfer) {
            let began = Instant::now();
            let Prediction { set, trial, .. } = at.predict(tx, Limit::default())?;
            put(&mut answers, Some(set), began);
            preimages = trial.map_or_else(Vec::new, |trial| trial.preimages);
        }
        Ok((answers, preimages))
    }

    fn learn(
        &self,
        block: &ReplayBlock,
        answers: &[Answers],
        lessons: &[Vec<Preimage>],
    ) -> Result<(), StateError> {
        for ((tx, answers), preimages) in block.transactions.iter().zip(answers).zip(lessons) {
            if let Some((set, _)) = answers.get(&AccessSource::Trace) {
                self.templates.learn(tx, set, preimages, &block.state)?;
            }
        }
        Ok(())
    }
}

fn ahead(answers: &Answers) -> Option<&(AccessSet, u64)> {
    let sources = [AccessSource::Transfer, AccessSource::Trace, AccessSource::Unknown];
    sources.iter().find_map(|source| answers.get(source))
}

fn before(replayed: &ReplayBlock, gas_limit: u64) -> PreExecution<'_> {
    PreExecution { rules: &replayed.rules, block: &replayed.block, view: &replayed.state, gas_limit }
}

/// What the transactions did at their places.
fn used(block: &ReplayBlock) -> Result<Vec<AccessSet>, CoreError> {
    let mut within = Overlay::new(&block.state);
    let step = |tx| step(block, &mut within, tx).map(|(set, _)| set);
    block.transactions.iter().map(|tx| &**tx).map(step).collect()
}

/// Executes a transaction where the block has come to, and goes on behind it. Returns what it
/// accessed, and whether it is valid there; otherwise nothing has changed.
fn step(
    replayed: &ReplayBlock,
    within: &mut Within<'_>,
    tx: &RecoveredTransaction,
) -> Result<(AccessSet, bool), CoreError> {
    let ReplayBlock { rules, block, .. } = replayed;
    let mut evm = Evm::new(rules, block, ViewDatabase(&*within));
    evm.record_touched(true);
    let execution = evm.execute(tx)?;
    let set = PreExecution { view: within, ..before(replayed, u64::MAX) }.set_of(tx, &execution)?;
    let is_valid = execution.outcome.is_ok();
    if is_valid {
        apply(within, replayed, &execution)?;
    }
    Ok((set, is_valid))
}

fn apply(within: &mut Within<'_>, block: &ReplayBlock, execution: &TxExecution) -> Result<(), StateError> {
    within.write(&execution.writes, execution.codes.iter().cloned())?;
    if let Ok(result) = &execution.outcome
        && !result.beneficiary_destroyed
    {
        within.credit(block.block.beneficiary, result.fee, block.rules.spec_id)?;
    }
    Ok(())
}

fn is_token_call(block: &ReplayBlock, tx: &RecoveredTransaction) -> Result<bool, StateError> {
    let input = tx.tx.evm_input();
    let Some(to) = tx.tx.to.filter(|_| TOKEN_SELECTORS.iter().any(|selector| input.starts_with(selector)))
    else {
        return Ok(false);
    };
    Ok(block.state.account(&to)?.is_some_and(|account| account.code_hash != KECCAK_EMPTY))
}
