//! The `config` object: which fork begins when, blob parameters, and our own keys.

use super::fields::{self, Object, Problems};
use crate::chainspec::{Activation, Amsterdam, BlobParameters, ChainSpec, Fork};
use crate::primitives::U256;

/// A key of `config` that starts a fork.
struct ForkKey {
    key: &'static str,
    /// `None`: it changes blob parameters only, or goes together with the next key.
    fork: Option<Fork>,
    by_time: bool,
    /// Later forks may be there without it.
    optional: bool,
}

const fn block(key: &'static str, fork: Fork) -> ForkKey {
    ForkKey { key, fork: Some(fork), by_time: false, optional: false }
}

const fn delay(key: &'static str, fork: Fork) -> ForkKey {
    ForkKey { key, fork: Some(fork), by_time: false, optional: true }
}

const fn time(key: &'static str, fork: Fork) -> ForkKey {
    ForkKey { key, fork: Some(fork), by_time: true, optional: false }
}

const fn blobs_only(key: &'static str) -> ForkKey {
    ForkKey { key, fork: None, by_time: true, optional: true }
}

/// In the order in which forks must follow each other.
const FORK_KEYS: [ForkKey; 25] = [
    block("homesteadBlock", Fork::Homestead),
    delay("daoForkBlock", Fork::Dao),
    block("eip150Block", Fork::TangerineWhistle),
    ForkKey { key: "eip155Block", fork: None, by_time: false, optional: false },
    block("eip158Block", Fork::SpuriousDragon),
    block("byzantiumBlock", Fork::Byzantium),
    block("constantinopleBlock", Fork::Constantinople),
    block("petersburgBlock", Fork::Petersburg),
    block("istanbulBlock", Fork::Istanbul),
    delay("muirGlacierBlock", Fork::MuirGlacier),
    block("berlinBlock", Fork::Berlin),
    block("londonBlock", Fork::London),
    delay("arrowGlacierBlock", Fork::ArrowGlacier),
    delay("grayGlacierBlock", Fork::GrayGlacier),
    delay("mergeNetsplitBlock", Fork::Paris),
    time("shanghaiTime", Fork::Shanghai),
    time("cancunTime", Fork::Cancun),
    time("pragueTime", Fork::Prague),
    time("osakaTime", Fork::Osaka),
    blobs_only("bpo1Time"),
    blobs_only("bpo2Time"),
    blobs_only("bpo3Time"),
    blobs_only("bpo4Time"),
    blobs_only("bpo5Time"),
    time("amsterdamTime", Fork::Amsterdam),
];

/// Keys of `blobSchedule` with the fork key that starts them, and whether the entry is needed.
const BLOB_KEYS: [(&str, &str, bool); 9] = [
    ("cancun", "cancunTime", true),
    ("prague", "pragueTime", true),
    ("osaka", "osakaTime", false),
    ("bpo1", "bpo1Time", true),
    ("bpo2", "bpo2Time", true),
    ("bpo3", "bpo3Time", true),
    ("bpo4", "bpo4Time", true),
    ("bpo5", "bpo5Time", true),
    ("amsterdam", "amsterdamTime", false),
];

/// A legacy transaction's v is twice the chain id and up to 36, in 64 bits (EIP-155).
const MAX_CHAIN_ID: u64 = (u64::MAX - 36) / 2;

/// The chain's rules; `None` only together with a problem.
pub(super) fn read(mut config: Object<'_>, problems: &mut Problems) -> Option<ChainSpec> {
    let chain_id = config.required(problems, "chainId", fields::number);
    if chain_id == Some(0) {
        problems.add("config.chainId", "must not be 0");
    }
    if chain_id.is_some_and(|chain_id| chain_id > MAX_CHAIN_ID) {
        problems.add("config.chainId", &format!("must not be above {MAX_CHAIN_ID}"));
    }
    let activations: Vec<Option<u64>> =
        FORK_KEYS.iter().map(|fork| config.optional(problems, fork.key, fields::number)).collect();
    check_order(&activations, problems);
    let ttd = config.optional(problems, "terminalTotalDifficulty", fields::quantity);
    let dao_support = config.optional(problems, "daoForkSupport", fields::boolean).unwrap_or_default();
    let forks = schedule(&activations, ttd, dao_support, problems);
    let blob_schedule = read_blob_schedule(&mut config, &activations, problems);
    let deposit_contract =
        config.optional(problems, "depositContractAddress", fields::address).unwrap_or_default();
    let parallel_tx_type = read_parallel_type(&mut config, &activations, problems);
    let clique = config.take("clique").is_some();
    if clique && ttd != Some(U256::ZERO) {
        problems.add("config.clique", "proof-of-authority blocks are not supported");
    }
    if config.optional(problems, "enableUBTAtGenesis", fields::boolean) == Some(true) {
        problems.add("config.enableUBTAtGenesis", "binary tries are not supported");
    }
    refuse_unknown_forks(config, problems);
    Some(ChainSpec {
        chain_id: chain_id?,
        forks,
        blob_schedule,
        deposit_contract,
        parallel_tx_type,
        pays_block_rewards: !clique && ttd != Some(U256::ZERO),
        terminal_total_difficulty: ttd,
        amsterdam: Amsterdam::Newest,
    })
}

fn activation(activations: &[Option<u64>], key: &str) -> Option<u64> {
    FORK_KEYS.iter().position(|fork| fork.key == key).and_then(|at| activations[at])
}

/// Each fork at its predecessor's block or time or later, and none left out before it.
fn check_order(activations: &[Option<u64>], problems: &mut Problems) {
    let mut before: Option<(&ForkKey, u64)> = None;
    for (at, (fork, activation)) in FORK_KEYS.iter().zip(activations).enumerate() {
        let Some(activation) = activation else { continue };
        let path = format!("config.{}", fork.key);
        let skipped = FORK_KEYS[..at].iter().zip(activations);
        for (missing, _) in skipped.filter(|(earlier, set)| !earlier.optional && set.is_none()) {
            problems.add(&path, &format!("set, but {} is not", missing.key));
        }
        match before {
            Some((earlier, begins)) if earlier.by_time == fork.by_time && begins > *activation => {
                let what = format!("{activation} is before {} at {begins}", earlier.key);
                problems.add(&path, &what);
            }
            _ => before = Some((fork, *activation)),
        }
    }
    let (replay, clearing) = (activation(activations, "eip155Block"), activation(activations, "eip158Block"));
    if replay.is_some() && replay != clearing {
        problems.add("config.eip155Block", "must equal eip158Block: Spurious Dragon is one fork");
    }
}

fn schedule(
    activations: &[Option<u64>],
    ttd: Option<U256>,
    dao_support: bool,
    problems: &mut Problems,
) -> Vec<(Fork, Activation)> {
    let merged_at_genesis = ttd == Some(U256::ZERO);
    if merged_at_genesis && activation(activations, "londonBlock") != Some(0) {
        problems.add("config.terminalTotalDifficulty", "0 needs londonBlock 0");
    }
    let mut forks = Vec::new();
    for (key, activation) in FORK_KEYS.iter().zip(activations) {
        let Some(fork) = key.fork else { continue };
        let activation = match fork {
            Fork::Paris if merged_at_genesis => Some(0),
            Fork::Dao if !dao_support => None,
            _ => *activation,
        };
        if let Some(at) = activation {
            let at = if key.by_time { Activation::Time(at) } else { Activation::Block(at) };
            forks.push((fork, at));
        }
    }
    forks
}

fn read_blob_schedule(
    config: &mut Object<'_>,
    activations: &[Option<u64>],
    problems: &mut Problems,
) -> Vec<(u64, BlobParameters)> {
    const PATH: &str = "config.blobSchedule";
    let raw = config.take("blobSchedule");
    let mut entries = raw.and_then(|raw| Object::new(PATH, raw, problems));
    let mut schedule = Vec::new();
    for (key, fork_key, needed) in BLOB_KEYS {
        let path = format!("{PATH}.{key}");
        let begins = activation(activations, fork_key);
        match entries.as_mut().and_then(|entries| entries.take(key)) {
            Some(raw) => {
                let parameters =
                    Object::new(&path, raw, problems).and_then(|entry| read_blobs(entry, problems));
                schedule.extend(begins.zip(parameters));
            }
            None if needed && begins.is_some() => {
                problems.add(&path, &format!("missing, but {fork_key} is set"));
            }
            None => {}
        }
    }
    for (key, _) in entries.map(Object::into_rest).unwrap_or_default() {
        problems.add(&format!("{PATH}.{key}"), "not a known fork");
    }
    // Of several that begin at once the newest counts: it is the last, and the sort is stable.
    schedule.sort_by_key(|(begins, _)| *begins);
    schedule
}

fn read_blobs(mut entry: Object<'_>, problems: &mut Problems) -> Option<BlobParameters> {
    let target = entry.required(problems, "target", fields::number);
    let max = entry.required(problems, "max", fields::number);
    let fraction = entry.required(problems, "baseFeeUpdateFraction", fields::number);
    if fraction == Some(0) {
        problems.add(&entry.path_of("baseFeeUpdateFraction"), "must not be 0");
    }
    let parameters = BlobParameters { target: target?, max: max?, base_fee_update_fraction: fraction? };
    if parameters.target > parameters.max {
        problems
            .add(&entry.path_of("target"), &format!("{} is above max {}", parameters.target, parameters.max));
    }
    Some(parameters)
}

fn read_parallel_type(
    config: &mut Object<'_>,
    activations: &[Option<u64>],
    problems: &mut Problems,
) -> Option<u8> {
    const PATH: &str = "config.parallelTxType";
    let number = config.optional(problems, "parallelTxType", fields::number)?;
    if activation(activations, "londonBlock").is_none() {
        problems.add(PATH, "needs londonBlock: parallel transactions pay a base fee");
    }
    match u8::try_from(number) {
        Ok(byte @ 5..=0x7f) => Some(byte),
        _ => {
            problems.add(PATH, &format!("{number} is not in 5..=127; 0 to 4 are taken"));
            None
        }
    }
}

/// A key that looks like a fork must be one: a misspelt fork would be a chain with other rules.
fn refuse_unknown_forks(config: Object<'_>, problems: &mut Problems) {
    let paths: Vec<_> = config
        .into_rest()
        .into_iter()
        .filter(|(key, raw)| {
            let key = key.to_ascii_lowercase();
            raw.get() != "null" && (key.ends_with("time") || key.ends_with("block"))
        })
        .map(|(key, _)| format!("config.{key}"))
        .collect();
    for path in paths {
        problems.add(&path, "not a known fork, or given twice");
    }
}
