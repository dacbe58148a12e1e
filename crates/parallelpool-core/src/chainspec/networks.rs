//! Schedules known by name: mainnet, and the networks of the public execution tests.

use super::{Activation, Amsterdam, BlobParameters, ChainSpec, Fork};
use crate::primitives::{Address, U256, address};

/// Mainnet's deposit contract.
pub const MAINNET_DEPOSIT_CONTRACT: Address = address!("00000000219ab540356cBB839Cbe05303d7705Fa");

const fn blobs(target: u64, max: u64, base_fee_update_fraction: u64) -> BlobParameters {
    BlobParameters { target, max, base_fee_update_fraction }
}

const CANCUN: BlobParameters = blobs(3, 6, 3_338_477);
const PRAGUE: BlobParameters = blobs(6, 9, 5_007_716);
const BPO1: BlobParameters = blobs(10, 15, 8_346_193);
const BPO2: BlobParameters = blobs(14, 21, 11_684_671);
/// Not on mainnet: the values of the public tests.
const BPO3: BlobParameters = blobs(21, 32, 20_609_697);
const BPO4: BlobParameters = blobs(14, 21, 13_739_630);

/// A step of a test network: a fork, or new blob parameters, or both.
type Step = (&'static [&'static str], Option<Fork>, Option<BlobParameters>);

/// Ascending; a network named after a step has it and all before it, but Amsterdam, which hangs
/// on the second blob-parameter step beside the later ones, only where it is named.
const STEPS: [Step; 23] = [
    (&["Frontier"], Some(Fork::Frontier), None),
    (&["Homestead"], Some(Fork::Homestead), None),
    (&["TangerineWhistle", "EIP150"], Some(Fork::TangerineWhistle), None),
    (&["SpuriousDragon", "EIP158"], Some(Fork::SpuriousDragon), None),
    (&["Byzantium"], Some(Fork::Byzantium), None),
    (&["Constantinople"], Some(Fork::Constantinople), None),
    (&["Petersburg", "ConstantinopleFix"], Some(Fork::Petersburg), None),
    (&["Istanbul"], Some(Fork::Istanbul), None),
    (&["MuirGlacier"], Some(Fork::MuirGlacier), None),
    (&["Berlin"], Some(Fork::Berlin), None),
    (&["London"], Some(Fork::London), None),
    (&["ArrowGlacier"], Some(Fork::ArrowGlacier), None),
    (&["GrayGlacier"], Some(Fork::GrayGlacier), None),
    (&["Paris", "Merge"], Some(Fork::Paris), None),
    (&["Shanghai"], Some(Fork::Shanghai), None),
    (&["Cancun"], Some(Fork::Cancun), Some(CANCUN)),
    (&["Prague"], Some(Fork::Prague), Some(PRAGUE)),
    (&["Osaka"], Some(Fork::Osaka), Some(PRAGUE)),
    (&["BPO1"], None, Some(BPO1)),
    (&["BPO2"], None, Some(BPO2)),
    (&["Amsterdam"], Some(Fork::Amsterdam), None),
    (&["BPO3"], None, Some(BPO3)),
    (&["BPO4"], None, Some(BPO4)),
];

impl ChainSpec {
    /// Ethereum mainnet up to its second blob-parameter fork, the merge by its block number.
    pub fn mainnet() -> Self {
        use Activation::{Block, Time};
        let forks = vec![
            (Fork::Homestead, Block(1_150_000)),
            (Fork::Dao, Block(1_920_000)),
            (Fork::TangerineWhistle, Block(2_463_000)),
            (Fork::SpuriousDragon, Block(2_675_000)),
            (Fork::Byzantium, Block(4_370_000)),
            (Fork::Constantinople, Block(7_280_000)),
            (Fork::Petersburg, Block(7_280_000)),
            (Fork::Istanbul, Block(9_069_000)),
            (Fork::MuirGlacier, Block(9_200_000)),
            (Fork::Berlin, Block(12_244_000)),
            (Fork::London, Block(12_965_000)),
            (Fork::ArrowGlacier, Block(13_773_000)),
            (Fork::GrayGlacier, Block(15_050_000)),
            (Fork::Paris, Block(15_537_394)),
            (Fork::Shanghai, Time(1_681_338_455)),
            (Fork::Cancun, Time(1_710_338_135)),
            (Fork::Prague, Time(1_746_612_311)),
            (Fork::Osaka, Time(1_764_798_551)),
        ];
        let blob_schedule = vec![
            (1_710_338_135, CANCUN),
            (1_746_612_311, PRAGUE),
            (1_765_290_071, BPO1),
            (1_767_747_671, BPO2),
        ];
        Self {
            forks,
            blob_schedule,
            terminal_total_difficulty: Some(U256::from(58_750_000_000_000_000_000_000u128)),
            amsterdam: Amsterdam::Newest,
            ..Self::bare(1)
        }
    }

    /// The rules of a network of the public tests, `None` for an unknown name.
    ///
    /// Fork names (`Frontier` … `Amsterdam`, old spellings too) and transitions: `AToBAt5` (by
    /// block), `AToBAtTime15k` (by time), `AToBAtDiffC0000` (merge by total difficulty). Chain
    /// id 1, mainnet's deposit contract and blob parameters.
    pub fn for_network(name: &str) -> Option<Self> {
        let (from, to) = match name.split_once("To").and_then(|(from, rest)| {
            let (to, at) = rest.split_once("At")?;
            Some((from, to, at))
        }) {
            None => (step(name)?, None),
            Some((from, to, at)) => (step(from)?, Some((to, at))),
        };
        let mut spec = Self::bare(1);
        for at_genesis in steps(0, from) {
            spec.take_step(at_genesis, Activation::Time(0));
        }
        let Some((to, at)) = to else { return Some(spec) };
        if let Some(difficulty) = at.strip_prefix("Diff") {
            spec.terminal_total_difficulty = Some(U256::from_str_radix(difficulty, 16).ok()?);
            return Some(spec);
        }
        let activation = match at.strip_prefix("Time") {
            Some(time) => Activation::Time(parse_time(time)?),
            None => Activation::Block(at.parse().ok()?),
        };
        if to.eq_ignore_ascii_case("dao") {
            spec.forks.push((Fork::Dao, activation));
            return Some(spec);
        }
        let to = step(to).filter(|to| *to > from)?;
        for later in steps(from + 1, to) {
            spec.take_step(later, activation);
        }
        Some(spec)
    }

    fn take_step(&mut self, (_, fork, blobs): &Step, activation: Activation) {
        if let Some(fork) = fork.filter(|fork| *fork != Fork::Frontier) {
            // Forks up to the merge go by number; number and time zero are the same moment.
            let at_genesis = activation == Activation::Time(0) && fork <= Fork::Paris;
            self.forks.push((fork, if at_genesis { Activation::Block(0) } else { activation }));
        }
        if let (Some(blobs), Activation::Time(time)) = (blobs, activation) {
            self.blob_schedule.push((time, *blobs));
        }
    }

    fn bare(chain_id: u64) -> Self {
        Self {
            chain_id,
            forks: Vec::new(),
            blob_schedule: Vec::new(),
            deposit_contract: MAINNET_DEPOSIT_CONTRACT,
            parallel_tx_type: None,
            pays_block_rewards: true,
            terminal_total_difficulty: None,
            amsterdam: Amsterdam::Newest,
        }
    }
}

fn step(name: &str) -> Option<usize> {
    STEPS.iter().position(|(names, _, _)| names.contains(&name))
}

/// The steps from one to another that a network named after the last takes.
fn steps(first: usize, last: usize) -> impl Iterator<Item = &'static Step> {
    let aside = move |at: usize| at != last && STEPS[at].1 == Some(Fork::Amsterdam);
    (first..=last).filter(move |at| !aside(*at)).map(|at| &STEPS[at])
}

fn parse_time(text: &str) -> Option<u64> {
    match text.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_forks_begin_where_they_did() {
        let spec = ChainSpec::mainnet();
        let at = |number, timestamp| spec.fork_at(number, timestamp);
        assert_eq!(at(0, 0), Fork::Frontier);
        assert_eq!(at(1_149_999, 0), Fork::Frontier);
        assert_eq!(at(1_150_000, 0), Fork::Homestead);
        assert_eq!(at(7_280_000, 1_551_383_524), Fork::Petersburg);
        assert_eq!(at(15_537_393, 1_663_224_162), Fork::GrayGlacier);
        assert_eq!(at(15_537_394, 1_663_224_179), Fork::Paris);
        assert_eq!(at(17_034_869, 1_681_338_443), Fork::Paris);
        assert_eq!(at(17_034_870, 1_681_338_455), Fork::Shanghai);
        assert_eq!(at(23_935_694, 1_764_798_551), Fork::Osaka);
        assert_eq!(spec.blob_parameters_at(1_710_338_134), None);
        assert_eq!(spec.blob_parameters_at(1_764_798_551), Some(PRAGUE));
        assert_eq!(spec.blob_parameters_at(1_767_747_671), Some(BPO2));
    }

    #[test]
    fn networks_are_found_by_name() {
        let fork = |name: &str, number, timestamp| {
            ChainSpec::for_network(name).map(|spec| spec.fork_at(number, timestamp))
        };
        assert_eq!(fork("Frontier", 1, 1), Some(Fork::Frontier));
        assert_eq!(fork("EIP158", 1, 1), Some(Fork::SpuriousDragon));
        assert_eq!(fork("ConstantinopleFix", 1, 1), Some(Fork::Petersburg));
        assert_eq!(fork("Amsterdam", 1, 1), Some(Fork::Amsterdam));
        assert_eq!(fork("ShanghaiToCancunAtTime15k", 1, 14_999), Some(Fork::Shanghai));
        assert_eq!(fork("ShanghaiToCancunAtTime15k", 1, 15_000), Some(Fork::Cancun));
        assert_eq!(fork("EIP158ToByzantiumAt5", 4, 99), Some(Fork::SpuriousDragon));
        assert_eq!(fork("EIP158ToByzantiumAt5", 5, 99), Some(Fork::Byzantium));
        assert_eq!(fork("HomesteadToDaoAt5", 5, 99), Some(Fork::Dao));
        for unknown in ["", "Atlantis", "ShanghaiToCancun", "ShanghaiToCancunAtTimeX", "CancunToShanghaiAt5"]
        {
            assert_eq!(fork(unknown, 0, 0), None, "{unknown}");
        }
        let blobs = |name: &str, timestamp| {
            ChainSpec::for_network(name).and_then(|spec| spec.blob_parameters_at(timestamp))
        };
        assert_eq!(blobs("BPO2ToBPO3AtTime15k", 14_999), Some(BPO2));
        assert_eq!(blobs("BPO2ToBPO3AtTime15k", 15_000), Some(BPO3));
    }
}
