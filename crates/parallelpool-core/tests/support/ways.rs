//! The configuration matrix: every way in which a block can be executed.
//!
//! Out: [`Way`]s, all of them or a sample that follows from a seed, and the options of each. The
//! results must not depend on the way; `agreement` demands it.

use std::fmt;

use parallelpool_core::execution::{ExecuteOptions, Mode, Techniques};

use super::hints::wrong_hints;

/// One way of executing a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In order on one kept journal; plain transfers without the EVM, of which the self-check looks at
    /// none, at all or at half, by seed.
    Serial,
    /// In order on one kept journal, all by the EVM.
    SerialByEvm,
    /// In order, each transaction on a journal of its own, its changes kept.
    SerialSeparately,
    /// As the engine chooses, with threads and self-check by seed. Blocks of nothing but transfers have a
    /// way of their own there.
    Auto,
    /// On the speculative path.
    Parallel(Speculation),
    /// By the block access list that the oracle made, on so many threads. Only for given blocks
    /// that are valid.
    AccessList(usize),
}

/// The settings of a speculative execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Speculation {
    pub(crate) threads: usize,
    /// Whether each committed transaction runs once more on committed state.
    pub(crate) recheck: bool,
    pub(crate) techniques: Techniques,
    pub(crate) hints: Hints,
    /// Whether the changes and touched accounts of each transaction are returned, and the block
    /// access list.
    pub(crate) keeps: bool,
}

/// What the executor is told about dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hints {
    Absent,
    /// Taken from a serial execution.
    True,
    /// Anything, by seed.
    Wrong,
}

/// 8 is more than the machine has, on purpose.
pub(crate) const THREADS: [usize; 4] = [1, 2, 3, 8];

const TECHNIQUES: [Techniques; 5] = [
    Techniques { transfers: true, adaptive_window: true, reuse: true },
    Techniques::NONE,
    Techniques { transfers: true, ..Techniques::NONE },
    Techniques { adaptive_window: true, ..Techniques::NONE },
    Techniques { reuse: true, ..Techniques::NONE },
];

const HINTS: [Hints; 3] = [Hints::Absent, Hints::True, Hints::Wrong];

/// Combinations of all settings.
pub(crate) const SPECULATIONS: usize = THREADS.len() * TECHNIQUES.len() * HINTS.len() * 2 * 2;

impl Speculation {
    /// The combination of that number; its digits are the settings.
    pub(crate) fn nth(number: usize) -> Self {
        let mut rest = number % SPECULATIONS;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        Self {
            threads: THREADS[digit(THREADS.len())],
            techniques: TECHNIQUES[digit(TECHNIQUES.len())],
            hints: HINTS[digit(HINTS.len())],
            recheck: digit(2) == 1,
            keeps: digit(2) == 1,
        }
    }
}

impl Way {
    /// The number of a speculative way's combination.
    pub(crate) fn number(&self) -> Option<usize> {
        (0..SPECULATIONS).find(|number| *self == Self::Parallel(Speculation::nth(*number)))
    }
}

/// Which ways a suite takes for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    /// The serial ways and every combination.
    All,
    /// The serial ways and every number of threads with every set of techniques; hints, re-check and
    /// what is kept follow from the case's seed.
    Pairs,
    /// The serial ways and so many combinations, which follow from the case's seed.
    Sample(usize),
}

/// Gas of one transaction from which on all combinations take too long: a second and more.
const HEAVY: u64 = 1_000_000;

impl Ways {
    /// The ways of a case whose transactions use that much gas, on average.
    pub(crate) fn affordable(self, gas_per_transaction: u64) -> Self {
        if self == Self::All && gas_per_transaction > HEAVY { Self::Pairs } else { self }
    }

    /// The speculative ways of a case. The serial ones are always taken: they are the oracle.
    pub(crate) fn of(self, seed: u64) -> impl Iterator<Item = Way> {
        const PAIRS: usize = THREADS.len() * TECHNIQUES.len();
        let (first, count, step) = match self {
            Self::All => (0, SPECULATIONS, 1),
            // The two lowest digits of a combination's number are threads and techniques, so any so
            // many in a row have all pairs; the step brings other values of the other digits.
            Self::Pairs => (scatter(seed), PAIRS, 7 * PAIRS + 1),
            // Coprime to the number of combinations: no two of a sample are the same, and
            // neighbours in it differ in several settings.
            Self::Sample(count) => (scatter(seed), count.min(SPECULATIONS), 77),
        };
        (0..count).map(move |index| Way::Parallel(Speculation::nth(first.wrapping_add(index * step))))
    }
}

impl Way {
    /// The execution by an access list that a case gets.
    pub(crate) fn by_access_list(seed: u64) -> Self {
        Self::AccessList(THREADS[scatter(seed) % THREADS.len()])
    }
}

/// A number that looks drawn by chance.
fn scatter(seed: u64) -> usize {
    (seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize
}

impl Way {
    /// The options of this way for a block of so many transactions. `dependencies` are the true
    /// ones; wrong ones follow from `seed`.
    pub(crate) fn options(&self, seed: u64, count: usize, dependencies: &[Vec<u32>]) -> ExecuteOptions {
        let serial = ExecuteOptions { mode: Mode::Serial, ..Default::default() };
        match self {
            Self::Serial => ExecuteOptions { check_transfers: (seed % 3) as u32, ..serial },
            Self::SerialByEvm => ExecuteOptions { techniques: Techniques::NONE, ..serial },
            Self::SerialSeparately => ExecuteOptions {
                keep_transaction_changes: true,
                keep_touched: true,
                produce_access_list: true,
                ..serial
            },
            Self::Auto => ExecuteOptions {
                mode: Mode::Auto,
                threads: THREADS[scatter(seed) % THREADS.len()],
                check_transfers: (seed % 3) as u32,
                ..Default::default()
            },
            Self::AccessList(threads) => ExecuteOptions {
                mode: Mode::Parallel,
                threads: *threads,
                recheck: true,
                keep_transaction_changes: true,
                keep_touched: true,
                produce_access_list: true,
                ..Default::default()
            },
            Self::Parallel(speculation) => ExecuteOptions {
                mode: Mode::Parallel,
                threads: speculation.threads,
                recheck: speculation.recheck,
                keep_transaction_changes: speculation.keeps,
                keep_touched: speculation.keeps,
                produce_access_list: speculation.keeps,
                dependencies: match speculation.hints {
                    Hints::Absent => Vec::new(),
                    Hints::True => dependencies.to_vec(),
                    Hints::Wrong => wrong_hints(seed, count),
                },
                techniques: speculation.techniques,
                ..Default::default()
            },
        }
    }

    /// Whether the changes and touched accounts of each transaction are part of the result.
    pub(crate) fn keeps(&self) -> bool {
        match self {
            Self::Serial | Self::SerialByEvm | Self::Auto => false,
            Self::SerialSeparately | Self::AccessList(_) => true,
            Self::Parallel(speculation) => speculation.keeps,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::AccessList(threads) = self {
            return write!(formatter, "by access list, {threads} threads");
        }
        let Self::Parallel(Speculation { threads, recheck, techniques, hints, keeps }) = self else {
            return formatter.write_str(match self {
                Self::Serial => "serial",
                Self::SerialByEvm => "serial, by the EVM",
                Self::Auto => "as the engine chooses",
                _ => "serial, separately",
            });
        };
        let Techniques { transfers, adaptive_window, reuse } = techniques;
        write!(formatter, "parallel, {threads} threads, hints {hints:?}")?;
        for (name, is_on) in [
            ("transfers", transfers),
            ("adaptive window", adaptive_window),
            ("reuse", reuse),
            ("recheck", recheck),
            ("changes kept", keeps),
        ] {
            if *is_on {
                write!(formatter, ", {name}")?;
            }
        }
        Ok(())
    }
}

#[test]
fn pairs_are_every_number_of_threads_with_every_set_of_techniques() {
    for seed in 0..50 {
        let mut pairs = Vec::new();
        let mut others = Vec::new();
        for way in Ways::Pairs.of(seed) {
            let Way::Parallel(speculation) = way else { panic!("not speculative: {way}") };
            pairs.push(format!("{} {:?}", speculation.threads, speculation.techniques));
            others.push(format!("{:?} {} {}", speculation.hints, speculation.recheck, speculation.keeps));
        }
        pairs.sort_unstable();
        pairs.dedup();
        others.sort_unstable();
        others.dedup();

        assert_eq!((pairs.len(), others.len()), (20, 12), "seed {seed}");
    }
}

#[test]
fn heavy_cases_take_pairs_and_samples_stay_as_they_are() {
    assert_eq!(Ways::All.affordable(HEAVY), Ways::All);
    assert_eq!(Ways::All.affordable(HEAVY + 1), Ways::Pairs);
    assert_eq!(Ways::Sample(4).affordable(u64::MAX), Ways::Sample(4));
}
