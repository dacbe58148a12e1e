//! Which rules hold at which block: forks, blob schedule, system addresses, transaction types.

mod networks;

pub use networks::MAINNET_DEPOSIT_CONTRACT;

use crate::primitives::{Address, B256, SpecId, U256};

/// A fork as Ethereum counts them, finer than [`SpecId`]: difficulty bombs and blob-parameter
/// forks change no EVM rule but the header rules around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fork {
    Frontier,
    Homestead,
    Dao,
    TangerineWhistle,
    SpuriousDragon,
    Byzantium,
    Constantinople,
    Petersburg,
    Istanbul,
    MuirGlacier,
    Berlin,
    London,
    ArrowGlacier,
    GrayGlacier,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
    Amsterdam,
}

impl Fork {
    /// All forks in order, each with its name.
    pub const NAMED: [(Self, &'static str); 20] = [
        (Self::Frontier, "Frontier"),
        (Self::Homestead, "Homestead"),
        (Self::Dao, "Dao"),
        (Self::TangerineWhistle, "TangerineWhistle"),
        (Self::SpuriousDragon, "SpuriousDragon"),
        (Self::Byzantium, "Byzantium"),
        (Self::Constantinople, "Constantinople"),
        (Self::Petersburg, "Petersburg"),
        (Self::Istanbul, "Istanbul"),
        (Self::MuirGlacier, "MuirGlacier"),
        (Self::Berlin, "Berlin"),
        (Self::London, "London"),
        (Self::ArrowGlacier, "ArrowGlacier"),
        (Self::GrayGlacier, "GrayGlacier"),
        (Self::Paris, "Paris"),
        (Self::Shanghai, "Shanghai"),
        (Self::Cancun, "Cancun"),
        (Self::Prague, "Prague"),
        (Self::Osaka, "Osaka"),
        (Self::Amsterdam, "Amsterdam"),
    ];

    /// The fork's name in Ethereum's documents.
    pub fn name(self) -> &'static str {
        Self::NAMED[self as usize].1
    }

    /// The fork of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(_, known)| *known == name).map(|(fork, _)| *fork)
    }

    /// The EVM rules of this fork.
    pub fn spec_id(self) -> SpecId {
        match self {
            Self::Frontier => SpecId::FRONTIER,
            Self::Homestead | Self::Dao => SpecId::HOMESTEAD,
            Self::TangerineWhistle => SpecId::TANGERINE,
            Self::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
            Self::Byzantium => SpecId::BYZANTIUM,
            // The executor adds EIP-1283 for Constantinople, which this table cannot say.
            Self::Constantinople | Self::Petersburg => SpecId::PETERSBURG,
            Self::Istanbul | Self::MuirGlacier => SpecId::ISTANBUL,
            Self::Berlin => SpecId::BERLIN,
            Self::London | Self::ArrowGlacier | Self::GrayGlacier => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
            Self::Amsterdam => SpecId::AMSTERDAM,
        }
    }
}

/// When a fork begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// From this block number on.
    Block(u64),
    /// From this timestamp (seconds) on.
    Time(u64),
}

/// Blob gas parameters from one point in time on (EIP-7840, EIP-7892).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobParameters {
    /// Target blobs per block.
    pub target: u64,
    /// Most blobs per block.
    pub max: u64,
    /// Denominator of the blob base fee's exponent.
    pub base_fee_update_fraction: u64,
}

/// A chain's constitution, read from geth's `genesis.json` and fixed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Forks in ascending order, each with its activation; those never activated are absent.
    pub forks: Vec<(Fork, Activation)>,
    /// Blob parameters in ascending order of activation time.
    pub blob_schedule: Vec<(u64, BlobParameters)>,
    /// EIP-6110 deposit contract.
    pub deposit_contract: Address,
    /// The type byte of the chain's parallel transactions; `None`: the type is off.
    pub parallel_tx_type: Option<u8>,
    /// Proof-of-work rewards are paid (false for clique and for post-merge genesis).
    pub pays_block_rewards: bool,
    /// Terminal total difficulty, where the document names one.
    pub terminal_total_difficulty: Option<U256>,
    /// Which Amsterdam this chain has.
    pub amsterdam: Amsterdam,
}

/// State of Amsterdam's rules, which still move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Amsterdam {
    /// The newest that the EVM knows.
    #[default]
    Newest,
    /// As of April 2026, when the public tests were filled: other prices. Known to execution only,
    /// not to the pool.
    April2026,
}

/// The rules that hold at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The newest active fork.
    pub fork: Fork,
    /// Its EVM rules.
    pub spec_id: SpecId,
    /// Chain id.
    pub chain_id: u64,
    /// Blob parameters, from Cancun on.
    pub blobs: Option<BlobParameters>,
    /// Type byte of parallel transactions, where they are on and London is active.
    pub parallel_tx_type: Option<u8>,
    /// Which Amsterdam.
    pub amsterdam: Amsterdam,
}

impl Rules {
    /// Whether Amsterdam holds as of April 2026.
    pub(crate) fn is_amsterdam_draft(&self) -> bool {
        self.fork >= Fork::Amsterdam && self.amsterdam == Amsterdam::April2026
    }
}

impl ChainSpec {
    /// The newest fork active at a block. As in geth, time alone brings none before London.
    pub fn fork_at(&self, number: u64, timestamp: u64) -> Fork {
        let is_before_london = self.activation_block(Fork::London).is_some_and(|at| number < at);
        self.forks
            .iter()
            .rev()
            .find(|(_, activation)| match activation {
                Activation::Block(at) => number >= *at,
                Activation::Time(at) => timestamp >= *at && !is_before_london,
            })
            .map_or(Fork::Frontier, |(fork, _)| *fork)
    }

    /// The newest fork active at a block that exists.
    ///
    /// A schedule may leave open at which number the merge came (only its total difficulty was
    /// fixed): then the first header without difficulty is merged, as geth takes it.
    pub fn fork_of(&self, header: &alloy_consensus::Header) -> Fork {
        let fork = self.fork_at(header.number, header.timestamp);
        let merged = self.terminal_total_difficulty.is_some() && header.difficulty.is_zero();
        if merged { fork.max(Fork::Paris) } else { fork }
    }

    /// Whether this very fork is in the schedule and has begun. A later fork does not imply it:
    /// chains may leave out those that only put off the difficulty bomb.
    pub fn is_active(&self, fork: Fork, number: u64, timestamp: u64) -> bool {
        self.forks.iter().any(|(listed, activation)| {
            *listed == fork
                && match activation {
                    Activation::Block(at) => number >= *at,
                    Activation::Time(at) => timestamp >= *at,
                }
        })
    }

    /// The block at which a fork begins, where the schedule says so by number.
    pub fn activation_block(&self, fork: Fork) -> Option<u64> {
        self.forks.iter().find_map(|(listed, activation)| match activation {
            Activation::Block(at) if *listed == fork => Some(*at),
            _ => None,
        })
    }

    /// Blob parameters at a time, `None` before the first.
    pub fn blob_parameters_at(&self, timestamp: u64) -> Option<BlobParameters> {
        let newest = self.blob_schedule.iter().rev().find(|(from, _)| timestamp >= *from);
        newest.map(|(_, parameters)| *parameters)
    }

    /// The rules of a block that exists, see [`Self::fork_of`].
    pub fn rules_of(&self, header: &alloy_consensus::Header) -> Rules {
        self.rules(self.fork_of(header), header.timestamp)
    }

    /// The rules of a block to come.
    pub fn rules_at(&self, number: u64, timestamp: u64) -> Rules {
        self.rules(self.fork_at(number, timestamp), timestamp)
    }

    /// The rules of a block that is being executed, see [`Self::fork_of`].
    pub fn rules_in(&self, block: &crate::block::BlockContext) -> Rules {
        let fork = self.fork_at(block.number, block.timestamp);
        let merged = self.terminal_total_difficulty.is_some() && block.difficulty.is_zero();
        self.rules(if merged { fork.max(Fork::Paris) } else { fork }, block.timestamp)
    }

    fn rules(&self, fork: Fork, timestamp: u64) -> Rules {
        let blobs = (fork >= Fork::Cancun).then(|| self.blob_parameters_at(timestamp)).flatten();
        Rules {
            fork,
            spec_id: fork.spec_id(),
            chain_id: self.chain_id,
            blobs,
            parallel_tx_type: self.parallel_tx_type.filter(|_| fork >= Fork::London),
            amsterdam: self.amsterdam,
        }
    }
}

/// The first block and the state below it.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// The chain's rules.
    pub spec: ChainSpec,
    /// Header of block 0, state root included.
    pub header: alloy_consensus::Header,
    /// Keccak of the header's RLP.
    pub hash: B256,
    /// The state it commits to.
    pub alloc: crate::state::StateChanges,
}
