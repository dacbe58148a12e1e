//! Contracts for workloads: their creation code, calls to them, and states made by running both.
//!
//! Own contracts come from artifacts that are committed beside their sources (`benches/contracts`)
//! and compiled in. Uniswap's factory is other people's work under another licence: it is read from
//! its file when a workload asks for it and becomes part of no program.

pub mod abi;
mod stage;
mod uniswap;

use std::path::PathBuf;

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Bytes, U256};
use serde::Deserialize;

pub use stage::Stage;
pub use uniswap::{Market, PoolKey, approval};

/// Our contracts, by name.
const ARTIFACTS: [(&str, &str); 7] = [
    ("DemoToken", include_str!("../../../../benches/contracts/artifacts/DemoToken.json")),
    ("Nft", include_str!("../../../../benches/contracts/artifacts/Nft.json")),
    ("Payout", include_str!("../../../../benches/contracts/artifacts/Payout.json")),
    ("Proxy", include_str!("../../../../benches/contracts/artifacts/Proxy.json")),
    ("Router", include_str!("../../../../benches/contracts/artifacts/Router.json")),
    ("Stablecoin", include_str!("../../../../benches/contracts/artifacts/Stablecoin.json")),
    ("WrappedEther", include_str!("../../../../benches/contracts/artifacts/WrappedEther.json")),
];

/// The part of an artifact that is executed.
#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

/// Creation code of one of our contracts, its constructor's arguments behind it.
///
/// Panics on a name that is none of them.
pub fn creation_code(name: &str, arguments: &[abi::Value]) -> Bytes {
    let (_, text) = ARTIFACTS.iter().find(|(known, _)| *known == name).expect("a contract of the repository");
    let code = bytecode(text).expect("committed artifacts are what the build writes");
    [code, abi::encode(arguments)].concat().into()
}

/// Creation code of Uniswap's factory, from the file that `PARALLELPOOL_UNISWAP` names or from the
/// repository that this crate was built in.
fn uniswap_factory() -> Result<Bytes, CoreError> {
    const COMMITTED: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/contracts/uniswap/UniswapV3Factory.json");
    let path = std::env::var_os("PARALLELPOOL_UNISWAP").map_or_else(|| COMMITTED.into(), PathBuf::from);
    let refused = |reason: String| {
        CoreError::InvalidArgument(format!(
            "no factory of Uniswap V3 in {} ({reason}); PARALLELPOOL_UNISWAP says where it is",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
    bytecode(&text).map(Bytes::from).map_err(refused)
}

fn bytecode(text: &str) -> Result<Vec<u8>, String> {
    let artifact: Artifact = serde_json::from_str(text).map_err(|error| error.to_string())?;
    alloy_primitives::hex::decode(&artifact.bytecode).map_err(|error| error.to_string())
}

/// `10^exponent`: amounts of a token with that many decimals.
pub fn units(exponent: u8) -> U256 {
    U256::from(10).pow(U256::from(exponent))
}

#[cfg(test)]
mod tests;
