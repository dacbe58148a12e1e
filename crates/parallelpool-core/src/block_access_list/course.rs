//! A block's way through the executor where a list is asked for or given.
//!
//! The executor reports what each index changed and touched. Without a given list they are gathered
//! into one; with a given list they are held against it. Where a list can answer reads, its block's
//! transactions run on it and prove their own indices; elsewhere they run like any others.
//!
//! A list cannot answer where an account's absence or a voided storage matters that it does not
//! speak of: before EIP-161, where self-destructs still destroy, and on accounts that exist empty.

use std::sync::Arc;

use super::build::{Builder, Standing};
use super::verify::Proof;
use super::view::ListedState;
use super::{BlockAccessIndex, BlockAccessList, WrongAccessList, execute};
use crate::chainspec::{Fork, Rules};
use crate::error::CoreError;
use crate::evm::TouchedAccount;
use crate::execution::ExecuteError;
use crate::primitives::Address;
use crate::serial::{Caller, Job, JobOutcome};
use crate::state::{StateChanges, StateView};
use crate::workers::Workers;

/// What is done about a list in one execution.
pub(crate) enum ListCourse<'a> {
    /// Nobody asked.
    Off,
    /// One is made.
    Building { builder: Builder, beneficiary: Address },
    /// One was given.
    Proving(Proving<'a>),
}

/// A given list.
pub(crate) struct Proving<'a> {
    given: &'a Arc<BlockAccessList>,
    proof: Proof<'a>,
    /// Where it can answer reads.
    listed: Option<ListedState<'a>>,
    beneficiary: Address,
    produce: bool,
}

impl<'a> ListCourse<'a> {
    /// For a job on the state of its block's parent.
    pub(crate) fn new(
        job: &Job<'a>,
        parent: &'a dyn StateView,
        workers: &Workers,
    ) -> Result<Self, ExecuteError> {
        let beneficiary = job.block.beneficiary;
        let Some(given) = &job.options.access_list else {
            return Ok(match job.options.produce_access_list {
                true => Self::Building { builder: Builder::default(), beneficiary },
                false => Self::Off,
            });
        };
        if let Caller::Build(_) = job.caller {
            let words = "a block under construction has no access list yet".to_owned();
            return Err(CoreError::InvalidArgument(words).into());
        }
        let Ok(last) = BlockAccessIndex::try_from(job.transactions.len() + 1) else {
            return Err(CoreError::InvalidArgument("too many transactions for one block".into()).into());
        };
        // What the gas limit says about its length is the header's affair, as for a list that is made.
        given.check_form(usize::MAX).map_err(Box::new)?;
        let listed = match can_answer(job.rules, given) {
            true => Some(ListedState::new(given, parent, workers)?).filter(|it| !it.has_empty_account()),
            false => None,
        };
        let proof = Proof::new(given, last);
        let produce = job.options.produce_access_list;
        Ok(Self::Proving(Proving { given, proof, listed, beneficiary, produce }))
    }

    /// Whether changes and touched keys of each index are wanted.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether a list was given that the transactions can run on.
    pub(crate) fn answers_reads(&self) -> bool {
        matches!(self, Self::Proving(proving) if proving.listed.is_some())
    }

    /// Runs the transactions on the list, which must be able to answer their reads.
    pub(crate) fn run(
        &self,
        workers: &Workers,
        job: &Job<'_>,
        base: &dyn StateView,
    ) -> Result<JobOutcome, ExecuteError> {
        match self {
            Self::Proving(Proving { proof, listed: Some(listed), .. }) => {
                execute::run(workers, job, base, listed, proof)
            }
            _ => unreachable!("asked for only where the list answers reads"),
        }
    }

    /// What happened around the transactions at one index, on the state `before`.
    pub(crate) fn surroundings(
        &mut self,
        index: BlockAccessIndex,
        before: &dyn StateView,
        changes: &StateChanges,
        touched: &[TouchedAccount],
    ) -> Result<(), ExecuteError> {
        self.add(index, &Standing::new(before), changes, touched)
    }

    /// What the transactions did, in their order, on the state `before` the first of them.
    pub(crate) fn transactions(
        &mut self,
        before: &dyn StateView,
        changes: &[StateChanges],
        touched: &mut [Vec<TouchedAccount>],
    ) -> Result<(), ExecuteError> {
        let beneficiary = match self {
            Self::Off => return Ok(()),
            Self::Proving(proving) if proving.listed.is_some() => return Ok(()),
            Self::Proving(proving) => proving.beneficiary,
            Self::Building { beneficiary, .. } => *beneficiary,
        };
        assert_eq!(changes.len(), touched.len(), "both were asked for");
        let mut standing = Standing::new(before);
        for (at, (changes, touched)) in changes.iter().zip(touched).enumerate() {
            touched.push(TouchedAccount { address: beneficiary, slots: Vec::new() });
            self.add(execute::index_of(at), &standing, changes, touched)?;
            touched.pop();
            standing.apply(changes);
        }
        Ok(())
    }

    /// The list, if it was asked for; a given one is proved by now.
    pub(crate) fn finish(self) -> Result<Option<Arc<BlockAccessList>>, ExecuteError> {
        match self {
            Self::Off => Ok(None),
            Self::Building { builder, .. } => Ok(Some(Arc::new(builder.finish()))),
            Self::Proving(proving) => {
                proving.proof.finish().map_err(Box::new)?;
                Ok(proving.produce.then(|| Arc::clone(proving.given)))
            }
        }
    }

    fn add(
        &mut self,
        index: BlockAccessIndex,
        before: &Standing<'_>,
        changes: &StateChanges,
        touched: &[TouchedAccount],
    ) -> Result<(), ExecuteError> {
        match self {
            Self::Off => {}
            Self::Building { builder, .. } => builder.add(index, before, changes, touched)?,
            Self::Proving(proving) => proving
                .proof
                .check(index, |address| before.account(address), changes, touched)?
                .map_err(Box::new)?,
        }
        Ok(())
    }
}

/// Whether a list has all that reads of such a block ask for.
fn can_answer(rules: &Rules, list: &BlockAccessList) -> bool {
    match rules.fork {
        fork if fork >= Fork::Cancun => true,
        fork if fork >= Fork::SpuriousDragon => !list.accounts.iter().any(|entry| {
            entry.nonce_changes.iter().any(|change| change.value == 0)
                || entry.code_changes.iter().any(|change| change.value.is_empty())
        }),
        _ => false,
    }
}

impl From<Box<WrongAccessList>> for ExecuteError {
    fn from(wrong: Box<WrongAccessList>) -> Self {
        Self::AccessList(wrong)
    }
}
