//! A random block, or what is left of one while it is being made smaller.
//!
//! In: a seed, or the environment of a run that is to be repeated. Out: the world, the ways to take,
//! and the command that repeats all of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::{AccountChange, StateChanges};

use crate::support::ways::{Speculation, Way, Ways};
use crate::world::World;

/// Speculative executions of a block: of building it, of importing what was built, and of refusing
/// the candidates as a block.
const SAMPLE: usize = 5;

/// Something of a world that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Withdrawals,
    Ommers,
    SizeLimit,
    /// Pauses of the state's answers.
    Pauses,
    Account(Address),
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Withdrawals => formatter.write_str("withdrawals"),
            Self::Ommers => formatter.write_str("ommers"),
            Self::SizeLimit => formatter.write_str("size-limit"),
            Self::Pauses => formatter.write_str("pauses"),
            Self::Account(address) => write!(formatter, "{address}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "withdrawals" => Ok(Self::Withdrawals),
            "ommers" => Ok(Self::Ommers),
            "size-limit" => Ok(Self::SizeLimit),
            "pauses" => Ok(Self::Pauses),
            other => other.parse().map(Self::Account).map_err(|_| format!("no such part: {other}")),
        }
    }
}

/// Which part of which random block, executed how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Candidates that are left, by number; `None`: all.
    pub(crate) only: Option<Vec<usize>>,
    pub(crate) without: BTreeSet<Part>,
    /// Numbers of the speculative ways; `None`: a sample that follows from the seed.
    pub(crate) ways: Option<Vec<usize>>,
}

impl Scenario {
    /// The whole block of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, only: None, without: BTreeSet::new(), ways: None }
    }

    /// What the variables ask for; nothing if there is no seed among them.
    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self {
            seed: parse("PARALLELPOOL_SEED", &variable("PARALLELPOOL_SEED")?),
            only: variable("PARALLELPOOL_ONLY").map(|text| list("PARALLELPOOL_ONLY", &text)),
            without: variable("PARALLELPOOL_WITHOUT")
                .map(|text| list("PARALLELPOOL_WITHOUT", &text).into_iter().collect())
                .unwrap_or_default(),
            ways: variable("PARALLELPOOL_WAYS").map(|text| list("PARALLELPOOL_WAYS", &text)),
        })
    }

    /// The variables that ask for this, as a shell takes them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("PARALLELPOOL_SEED", self.seed.to_string())];
        let join = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
        if let Some(only) = &self.only {
            variables.push(("PARALLELPOOL_ONLY", join(&mut only.iter().map(usize::to_string))));
        }
        if !self.without.is_empty() {
            variables.push(("PARALLELPOOL_WITHOUT", join(&mut self.without.iter().map(Part::to_string))));
        }
        if let Some(ways) = &self.ways {
            variables.push(("PARALLELPOOL_WAYS", join(&mut ways.iter().map(usize::to_string))));
        }
        variables
    }

    /// The command that repeats it.
    pub(crate) fn command(&self) -> String {
        let variables: Vec<_> =
            self.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "{} cargo test --release -p parallelpool-core --test random_blocks repeats_ -- --nocapture",
            variables.join(" ")
        )
    }

    /// The world, without what is missing.
    pub(crate) fn world(&self) -> World {
        let mut world = World::new(self.seed);
        for part in &self.without {
            match part {
                Part::Withdrawals => world.block.withdrawals = world.block.withdrawals.map(|_| Vec::new()),
                Part::Ommers => world.block.ommers.clear(),
                Part::SizeLimit => world.limits.max_block_bytes = None,
                Part::Pauses => {}
                Part::Account(address) => {
                    let gone =
                        AccountChange { after: None, storage_cleared: true, storage: Default::default() };
                    world.state.apply(&StateChanges {
                        accounts: [(*address, gone)].into(),
                        codes: Default::default(),
                    });
                }
            }
        }
        if let Some(only) = &self.only {
            keep(&mut world, only);
        }
        world
    }

    /// Whether the state pauses: that of every third world, unless it is told not to.
    pub(crate) fn pauses(&self) -> bool {
        self.seed.is_multiple_of(3) && !self.without.contains(&Part::Pauses)
    }

    /// The ways of building, importing and refusing.
    pub(crate) fn ways(&self) -> [Vec<Way>; 3] {
        if let Some(numbers) = &self.ways {
            let ways: Vec<_> =
                numbers.iter().map(|number| Way::Parallel(Speculation::nth(*number))).collect();
            return [ways.clone(), ways.clone(), ways];
        }
        let mut ways: Vec<_> = Ways::Sample(SAMPLE).of(self.seed).collect();
        let refusing = ways.split_off(SAMPLE - 1);
        let importing = ways.split_off(SAMPLE - 2);
        [ways, importing, refusing]
    }
}

fn parse<T: FromStr<Err: fmt::Debug>>(variable: &str, text: &str) -> T {
    text.trim().parse().unwrap_or_else(|error| panic!("{variable} cannot be {text:?}: {error:?}"))
}

fn list<T: FromStr<Err: fmt::Debug>>(variable: &str, text: &str) -> Vec<T> {
    text.split(',').filter(|item| !item.trim().is_empty()).map(|item| parse(variable, item)).collect()
}

/// Leaves only these candidates. Nonces move up, so that a sender's later transactions do not all
/// become invalid with the loss of an earlier one.
fn keep(world: &mut World, only: &[usize]) {
    let all = std::mem::take(&mut world.candidates);
    let kept = only.iter().filter_map(|index| all.get(*index));
    world.candidates = kept
        .clone()
        .map(|candidate| {
            let nonces = |of: &mut dyn Iterator<Item = &parallelpool_core::tx::SharedTransaction>| {
                of.filter(|other| other.sender == candidate.sender && other.tx.nonce < candidate.tx.nonce)
                    .map(|other| other.tx.nonce)
                    .collect::<BTreeSet<u64>>()
                    .len() as u64
            };
            let lost = nonces(&mut all.iter()) - nonces(&mut kept.clone());
            let mut candidate = candidate.as_ref().clone();
            candidate.tx.nonce -= lost;
            if lost > 0 {
                candidate.tx = candidate.tx.sealed();
            }
            Arc::new(candidate)
        })
        .collect();
}

/// Every part that a world has.
pub(crate) fn parts(world: &World) -> Vec<Part> {
    let mut parts = vec![Part::Withdrawals, Part::Ommers, Part::SizeLimit, Part::Pauses];
    let mut accounts: Vec<_> = world.state.iter().map(|(address, ..)| Part::Account(address)).collect();
    accounts.sort_unstable();
    parts.extend(accounts);
    parts
}

/// A sum that differs with anything in the world: two runs of one command must meet the same.
pub(crate) fn fingerprint(world: &World) -> U256 {
    let text = format!("{:?} {:?} {:?}", world.block, world.limits, world.candidates);
    parallelpool_core::primitives::keccak256(text).into()
}
